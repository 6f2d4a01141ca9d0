package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// orphanUnder is step 5.
func (s *show) orphanUnder() error {
	s.heading(5, "The same under reaper")
	reaper, rows, err := s.stage(1, "cat")
	if err != nil {
		return err
	}
	service, orphan := rows[1].Proc, rows[3].Proc
	parent, err := open(rows[2].Proc)
	if err != nil {
		return err
	}
	child, err := open(orphan)
	if err != nil {
		return err
	}
	s.table(rows)
	s.say("reaper (%d) runs a service, the service has started the parent (%d), and the parent "+
		"has started cat (%d). Now the parent is killed.", reaper.Pid, parent.PID, orphan.PID)

	if err := parent.signal(unix.SIGKILL); err != nil {
		return err
	}
	const adopted = "reaper to have two children, the service and cat, and the parent to be gone"
	rows, err = s.await(adopted, func() ([]row, bool) {
		rows := tree(reaper.Pid)
		now, err := readRow(orphan.PID)
		if err == nil && now.PPID != parent.PID && now.PPID != reaper.Pid {
			return withParent(now), true // it went elsewhere, and will not come back
		}
		if len(rows) == 3 && rows[1].PID == orphan.PID { // whose number is the lower one if they have begun again
			rows[1], rows[2] = rows[2], rows[1]
		}
		return rows, isGone(parent.Proc) && len(rows) == 3 && sleeping(rows[:2], "", "") &&
			rows[2].PID == orphan.PID && rows[2].PPID == reaper.Pid && rows[2].State == 'S'
	})
	if err != nil {
		return err
	}
	if last := rows[len(rows)-1]; last.PPID != reaper.Pid {
		return &missed{adopted, rows}
	}
	s.table(rows)
	s.say("The service has waited for the parent, so that is gone, and cat is an orphan. This "+
		"time its PPID went from %d to %d: reaper is a subreaper, and the nearest one.", parent.PID, reaper.Pid)

	if err := child.signal(unix.SIGTERM); err != nil {
		return err
	}
	ended := time.Now()
	rows, err = s.await("reaper and the service alone", func() ([]row, bool) {
		rows := tree(reaper.Pid)
		return rows, isGone(orphan) && len(rows) == 2 && sleeping(rows, "", "") && rows[1].PID == service.PID
	})
	if err != nil {
		return err
	}
	s.table(rows)
	s.say("cat was told to end, and %v later it was gone: reaper waits for every child it has, "+
		"also for those it has not started, so none of them stays a zombie.", since(ended))
	return s.endReaper(reaper)
}

// manyZombies is step 6.
func (s *show) manyZombies() error {
	const many = 50
	s.heading(6, "Many zombies under a parent that lives")
	reaper, rows, err := s.stage(many, "true", fmt.Sprint(many))
	if err != nil {
		return err
	}
	service, zombies := rows[1].Proc, rows[3:]
	parent, err := open(rows[2].Proc)
	if err != nil {
		return err
	}
	s.table(rows)
	s.say("Zombies of the parent (%d): %d. Zombies of reaper (%d): %d.",
		parent.PID, zombiesOf(rows, parent.PID), reaper.Pid, zombiesOf(rows, reaper.Pid))
	s.say("The parent has started %d children. All have ended, and it has not waited for any. "+
		"reaper cannot help: the kernel lets nobody but the parent wait for them, and the "+
		"parent lives. Now it is killed.", many)

	if err := parent.signal(unix.SIGKILL); err != nil {
		return err
	}
	killed := time.Now()
	rows, err = s.await("reaper and the service alone", func() ([]row, bool) {
		rows := tree(reaper.Pid)
		return rows, existing(zombies) == 0 && isGone(parent.Proc) &&
			len(rows) == 2 && sleeping(rows, "", "") && rows[1].PID == service.PID
	})
	if err != nil {
		return err
	}
	took := since(killed)
	s.table(rows)
	s.say("Of the %d zombies, %d are left. Zombies of reaper (%d): %d.",
		len(zombies), existing(zombies), reaper.Pid, zombiesOf(rows, reaper.Pid))
	s.say("With their parent dead, the zombies were orphans: they came to reaper, which waited for "+
		"each of them. %v after the kill all were gone.", took)
	return s.endReaper(reaper)
}

// stage starts reaper, below it the service, below that the parent, and waits
// until that has count children, which are either asleep or zombies.
func (s *show) stage(count int, args ...string) (*actor, []row, error) {
	reaper, err := s.startReaper(args...)
	if err != nil {
		return nil, nil, err
	}
	what := fmt.Sprintf("reaper, below it the service, the parent, and %d of %s", count, args[0])
	rows, err := s.await(what, func() ([]row, bool) {
		rows := tree(reaper.Pid)
		if len(rows) != 3+count || !sleeping(rows[:3], "", "", "") {
			return rows, false
		}
		for _, r := range rows[3:] {
			asleep := count == 1 && r.State == 'S'
			if r.PPID != rows[2].PID || r.Name != args[0] || !asleep && !r.Zombie() {
				return rows, false
			}
		}
		return rows, true
	})
	return reaper, rows, err
}

// endReaper lets the service end, and with it reaper.
func (s *show) endReaper(reaper *actor) error {
	state, err := s.end(reaper)
	if err != nil {
		return err
	}
	if !state.Success() {
		return fmt.Errorf("the service has ended with 0, but reaper with: %v", state)
	}
	return nil
}

// existing counts those that are still in the process table.
func existing(rows []row) int {
	n := 0
	for _, r := range rows {
		if !isGone(r.Proc) {
			n++
		}
	}
	return n
}

func zombiesOf(rows []row, pid int) int {
	n := 0
	for _, r := range rows {
		if r.Zombie() && r.PPID == pid {
			n++
		}
	}
	return n
}

func since(t time.Time) time.Duration {
	return max(time.Since(t).Round(time.Millisecond), time.Millisecond)
}
