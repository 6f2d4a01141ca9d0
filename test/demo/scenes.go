package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// play shows the six steps.
func (s *show) play() error {
	began := time.Now()
	s.say("The life of a zombie, live. Each table was read from /proc at that moment, " +
		"and looks as `ps -o stat,ppid,pid,cmd` prints it. The first letter of STAT is the " +
		"state of the process: S is sleeping, R running, Z a zombie. The letters behind it: " +
		"l has several threads, s leads a session, + is in the foreground of its " +
		"terminal, N has a low priority, < a high one, L has locked memory.")
	for _, scene := range []func() error{s.childAndWait, s.orphanWithout, s.orphanUnder, s.manyZombies} {
		if err := scene(); err != nil {
			return fmt.Errorf("step %d: %w", s.step, err)
		}
		if s.err != nil {
			return s.err
		}
	}
	left, err := s.left()
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("process %d (%s) is left behind", left[0].PID, left[0].Name)
	}
	took := time.Since(began).Round(100 * time.Millisecond)
	for _, stray := range s.strays {
		if !isGone(stray.Proc) {
			s.say("This took %v. Of all its processes one is left: the zombie of step 4 (%d).", took, stray.PID)
			return s.err
		}
	}
	s.say("This took %v, and none of its processes is left.", took)
	return s.err
}

// childAndWait is steps 1 to 3.
func (s *show) childAndWait() error {
	s.heading(1, "A parent starts a child and does not wait for it")
	parent, err := s.startParent("bash")
	if err != nil {
		return err
	}
	rows, err := s.await("a sleeping parent, below it bash, below that sleep", func() ([]row, bool) {
		rows := tree(parent.Pid)
		return rows, sleeping(rows, "", "bash", "sleep")
	})
	if err != nil {
		return err
	}
	child := rows[1].Proc
	s.table(rows)
	s.say("The parent (%d) is a Go program. It has started its child bash (%d) by "+
		"os.StartProcess and has not called Wait. Both sleep: bash until the command sleep has "+
		"ended, after two seconds, and the parent until it is told to go on.", parent.Pid, child.PID)

	s.heading(2, "The child ends, and the parent still does not wait for it")
	rows, err = s.await("a sleeping parent and below it bash as a zombie", func() ([]row, bool) {
		rows := tree(parent.Pid)
		return rows, len(rows) == 2 && sleeping(rows[:1], "") &&
			rows[1].Zombie() && rows[1].PID == child.PID && rows[1].Start == child.Start
	})
	if err != nil {
		return err
	}
	s.print("\n") // bash has written a line
	s.table(rows)
	s.say("bash has ended and is a zombie (Z, <defunct>). It runs no more and has no memory; all " +
		"that is left is its line in the process table, with its pid and its exit status. The " +
		"kernel keeps that until the parent asks for it.")

	s.heading(3, "The parent calls Wait")
	if err := parent.Signal(unix.SIGUSR1); err != nil {
		return fmt.Errorf("tell the parent to wait: %w", err)
	}
	rows, err = s.await("the parent alone", func() ([]row, bool) {
		rows := tree(parent.Pid)
		return rows, len(rows) == 1 && sleeping(rows, "") && isGone(child)
	})
	if err != nil {
		return err
	}
	s.table(rows)
	s.say("The child (%d) is gone. Wait has handed its exit status to the parent, so there is "+
		"nothing left that the kernel has to keep, and the pid is free again.", child.PID)
	_, err = s.end(parent)
	return err
}

// orphanWithout is step 4.
func (s *show) orphanWithout() error {
	s.heading(4, "A parent dies before its child, without reaper")
	parent, err := s.startParent("cat")
	if err != nil {
		return err
	}
	rows, err := s.await("a sleeping parent and below it cat", func() ([]row, bool) {
		rows := tree(parent.Pid)
		return rows, sleeping(rows, "", "cat")
	})
	if err != nil {
		return err
	}
	orphan, err := open(rows[1].Proc)
	if err != nil {
		return err
	}
	s.strays = append(s.strays, orphan)
	s.table(rows)
	s.say("The parent (%d) has started cat (%d), which waits for input. Now the parent is killed.",
		parent.Pid, orphan.PID)

	// cat reads from the same pipe. It is to live on, so that stays open.
	if err := parent.Kill(); err != nil {
		return fmt.Errorf("kill the parent: %w", err)
	}
	if _, err := parent.Wait(); err != nil {
		return fmt.Errorf("wait for the parent: %w", err)
	}
	var adopter int
	rows, err = s.await("cat to have another parent", func() ([]row, bool) {
		r, err := readRow(orphan.PID)
		if err != nil || r.Start != orphan.Start {
			return nil, false
		}
		adopter = r.PPID
		return withParent(r), r.PPID != parent.Pid && r.State == 'S'
	})
	if err != nil {
		return err
	}
	name := nameOf(adopter)
	s.table(rows)
	s.say("cat has lost its parent: it is an orphan. The kernel has given it to another one, and "+
		"its PPID went from %d to %d. %s", parent.Pid, adopter, whoIs(adopter, name))
	return s.orphanEnds(orphan, adopter, name)
}

// orphanEnds shows what the adopter makes of the orphan's end.
func (s *show) orphanEnds(orphan *process, adopter int, name string) error {
	if err := orphan.signal(unix.SIGTERM); err != nil {
		return err
	}
	ended := time.Now()
	rows, err := s.await("cat to be gone or a zombie", func() ([]row, bool) {
		r, err := readRow(orphan.PID)
		if err != nil || r.Start != orphan.Start {
			return nil, isGone(orphan.Proc)
		}
		return withParent(r), r.Zombie()
	})
	if err != nil {
		return err
	}
	if adopter == os.Getpid() {
		s.table(rows)
		if _, err := orphan.handle.Wait(); err != nil {
			return fmt.Errorf("wait for the orphan: %w", err)
		}
		s.say("cat has ended, and is a zombie until its new parent, this demo, waits for it. That " +
			"has now been done.")
		return nil
	}
	const grace = 3 * time.Second
	limit := min(grace, s.patience)
	_, err = s.awaitFor(limit, "cat to be gone", func() ([]row, bool) {
		return nil, isGone(orphan.Proc)
	})
	_, late := errors.AsType[*missed](err)
	switch {
	case err == nil:
		s.say("cat was told to end, and %v later it was gone: %s has waited for it. That depends "+
			"on %s alone. In a container, pid 1 is often a program that waits for no children but "+
			"those it has started itself, and then zombies pile up.", since(ended), name, name)
		return nil
	case !late:
		return err
	}
	s.table(rows)
	s.say("cat has ended, but %s has not waited for it: %v later it is still a zombie. It stays "+
		"one until %s waits for it or ends. In a container zombies pile up in this way.", name, limit, name)
	return nil
}

// whoIs tells who adopted the orphan, and why it was that one.
func whoIs(pid int, name string) string {
	const rule = "An orphan goes to its nearest ancestor that is a subreaper, and to pid 1 if there is none."
	switch {
	case pid == os.Getpid() && pid == 1:
		return "That is this demo itself: it runs as pid 1 here. " + rule
	case pid == os.Getpid():
		return "That is this demo itself: it is a subreaper here. " + rule
	case pid == 1:
		return fmt.Sprintf("That is pid 1, %s. %s", name, rule)
	default:
		return fmt.Sprintf("That is %s, a subreaper above this demo. %s", name, rule)
	}
}

// sleeping tells whether the rows are asleep, each the parent of the next, with
// these names, where one is given.
func sleeping(rows []row, names ...string) bool {
	if len(rows) != len(names) {
		return false
	}
	for i, r := range rows {
		if r.State != 'S' || names[i] != "" && r.Name != names[i] || i > 0 && r.PPID != rows[i-1].PID {
			return false
		}
	}
	return true
}

// withParent is the row of a process, after that of its parent if it can be seen.
func withParent(r row) []row {
	parent, err := readRow(r.PPID)
	if err != nil {
		return []row{r}
	}
	return []row{parent, r}
}

func nameOf(pid int) string {
	p, err := reap.ReadProc(pid)
	if err != nil {
		return fmt.Sprintf("process %d", pid) // /proc may hide it
	}
	return p.Name
}
