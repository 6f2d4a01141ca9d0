package supervise

import (
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
)

const killedStatus = reap.Status(syscall.SIGKILL)

// The tree is looked at again after a multiple of what the last look has cost, so
// that no size of tree takes more than a share of the processor.
const (
	watchShare, watchSoonest, watchLatest = 50, 5 * time.Millisecond, 500 * time.Millisecond // while the command runs
	drainShare, drainSoonest, drainLatest = 10, 10 * time.Millisecond, time.Second
	seekLatest                            = 250 * time.Millisecond
	sweepShare, sweepSoonest, sweepLatest = 1, 2 * time.Millisecond, 250 * time.Millisecond
)

// mostUnreaped is how many zombies are remembered that the command's tree has left
// to reaper: a long run could leave any number.
const mostUnreaped = 1000

// poller is the channel that fires when the tree is to be looked at, nil when it
// is not.
func (l *loop) poller() <-chan time.Time {
	var wait time.Duration
	switch {
	case l.m.state == sweeping:
		wait = min(max(sweepShare*l.cost, sweepSoonest), sweepLatest)
	case l.m.state == seeking: // the longer it takes, the less a moment counts
		wait = min(max(drainShare*l.cost, drainSoonest, time.Since(l.ended)/drainShare), seekLatest)
	case l.m.polls():
		wait = min(max(drainShare*l.cost, drainSoonest), drainLatest)
	case l.watches():
		wait = min(max(watchShare*l.cost, watchSoonest), watchLatest)
	default:
		l.poll.Stop()
		l.looked = true // when there is something to look at again
		return nil
	}
	if l.looked {
		l.looked = false
		l.poll.Reset(wait)
	}
	return l.poll.C
}

// watches reports whether it is remembered who starts whom.
func (l *loop) watches() bool { return l.InspectLeftovers && l.m.pid != 0 && !l.table.blind }

// names reports whether somebody wants to know who the leftovers are: to read their
// command lines takes as long as to find them.
func (l *loop) names() bool { return l.FindLeftovers || l.InspectLeftovers || l.NameOrphans }

// look is the tree below this process. It costs, and the cost decides when it is
// done next.
func (l *loop) look() (procs []reap.Proc, known bool) {
	begin := time.Now()
	procs, err := l.Kernel.Descendants()
	if err != nil {
		l.table.blind = true
	} else if l.names() {
		l.lineage.look(procs, l.Kernel.CommandLine)
	}
	l.cost, l.looked = time.Since(begin), true
	return procs, err == nil
}

// polled is the time to look again.
func (l *loop) polled() {
	if l.watches() {
		l.look()
		return
	}
	l.step(event{kind: evPoll})
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// find puts those who are left into the table, and writes off those of it who
// are not there any more.
func (l *loop) find() []reap.Proc {
	procs, known := l.look()
	if !known {
		procs = l.Kernel.Children()
	}
	now, uptime := time.Now(), l.Kernel.Uptime()
	here := make(map[int]bool, len(procs))
	probe := make(map[int]bool) // what is below it is no leftover either
	for _, p := range procs {
		if l.probe.pid != 0 && (p.PID == l.probe.pid || probe[p.PPID]) {
			probe[p.PID] = true
			continue
		}
		if p.PID == l.m.pid {
			continue
		}
		here[p.PID] = true
		if r := l.table.of(p); r != nil {
			r.missing = time.Time{}
			continue
		}
		l.discover(p, now, uptime)
	}
	for pid, r := range l.table.byPID {
		switch {
		case here[pid]:
		case r.missing.IsZero():
			r.missing = now // its parent may have died while the tree was read
		default:
			l.writeOff(r, r.missing)
		}
	}
	return procs
}

// discover makes a record of a process. Late ones are not inspected.
func (l *loop) discover(p reap.Proc, now time.Time, uptime time.Duration) {
	if old := l.table.byPID[p.PID]; old != nil {
		l.writeOff(old, now)
	}
	r := &record{Leftover: Leftover{Proc: p, Found: now, Ancestors: l.lineage.of(p)}}
	r.Orphan = p.PPID == os.Getpid()
	if p.Start != 0 {
		r.Age = p.Age(uptime)
	}
	r.Late = l.m.pid == 0 && p.Start != 0 && r.Age < now.Sub(l.ended)
	switch {
	case p.Zombie() && p.Threads <= 1:
		r.Fate = FateUnreaped
	case l.InspectLeftovers && !r.Late:
		r.Details = l.Kernel.Describe(p.PID)
	default:
		r.Details.Args = l.lineage.args(p)
	}
	l.table.add(r)
}

// ask sends SIGTERM and SIGCONT to each descendant but the command that has not
// had them. A stopped process acts on the one when it gets the other.
func (l *loop) ask() {
	for _, p := range l.find() {
		r := l.table.of(p)
		switch {
		case r == nil || r.Unreaped():
		case r.grouped:
			r.grouped = false
			r.Err = l.sendTo(p, syscall.SIGCONT)
		case r.asked.IsZero():
			r.asked = time.Now()
			r.Err = l.sendTo(p, syscall.SIGTERM, syscall.SIGCONT)
		}
	}
}

// sendTo sends signals to a process that find has just told of. A child of this process
// keeps its number until it is reaped, and nothing is reaped in between: there is nothing
// to be looked up. The number of any other can have been given away.
func (l *loop) sendTo(p reap.Proc, sigs ...syscall.Signal) error {
	if p.PPID != os.Getpid() {
		_, err := l.Kernel.SignalDescendant(p, sigs...)
		return err
	}
	for _, sig := range sigs {
		if sent, err := l.Kernel.Signal(p.PID, sig); !sent || err != nil {
			return err
		}
	}
	return nil
}

// askGroup comes before a SIGTERM to the command's group: who is in it by now will
// have had the one that it gets.
func (l *loop) askGroup(pgid int) {
	if l.Leftovers != StopLeftovers && l.Leftovers != WaitForLeftovers {
		return
	}
	for _, p := range l.find() {
		if r := l.table.of(p); r != nil && p.PGID == pgid && r.asked.IsZero() {
			r.asked, r.grouped = time.Now(), true
		}
	}
}

// sweep kills each descendant. Nothing is reaped in between: see
// [reap.KillDescendants].
func (l *loop) sweep() {
	begin := time.Now()
	killed, err := l.Kernel.KillDescendants(l.find())
	now, uptime := time.Now(), l.Kernel.Uptime()
	for _, p := range killed {
		if l.table.of(p) == nil {
			l.discover(p, now, uptime) // nothing is left to be inspected
		}
		if r := l.table.of(p); r.killed.IsZero() {
			r.killed = now
		}
	}
	if err != nil && !l.refused {
		l.refused = true // once: it will not change
		l.check(err)
	}
	l.cost = time.Since(begin)
}

// reaped is told of each child that was reaped and is not the command.
func (l *loop) reaped(exit reap.Exit) {
	if r := l.table.byPID[exit.PID]; r != nil {
		r.Status, r.Reaped = exit.Status, true
		l.writeOff(r, time.Now())
		return
	}
	if a := l.lineage.unreaped(exit.PID); a != nil && len(l.table.list) < mostUnreaped {
		r := &record{Leftover: Leftover{Proc: a.proc, Found: time.Now(), Ancestors: l.lineage.of(a.proc)}}
		r.Fate, r.Status, r.Reaped, r.Details.Args = FateUnreaped, exit.Status, true, a.args
		r.over = true
		l.table.list = append(l.table.list, r)
	}
}

// writeOff ends a record. Who ended before the command did, asked to by the time
// limit, was no leftover.
func (l *loop) writeOff(r *record, when time.Time) {
	delete(l.table.byPID, r.PID)
	if r.told {
		return
	}
	r.gone(when)
	if l.m.pid != 0 {
		l.table.drop(r)
		return
	}
	l.tell(Event{Kind: LeftoverEnded, PID: r.PID, Name: r.Name, Leftover: &r.Leftover, Background: l.m.background})
}

// mostRemembered is how many leftovers of earlier instances of the command are kept
// for the result: there could be any number.
const mostRemembered = 1000

// conclude ends all records when an instance of the command is over and done with, and
// hands them to the result. Who lives on is not found again by the next.
func (l *loop) conclude() {
	now := time.Now()
	res, list := &l.m.result, l.table.list
	if n := min(len(res.Leftovers), len(res.Leftovers)+len(list)-mostRemembered); n > 0 {
		res.Leftovers = slices.Delete(res.Leftovers, 0, n)
		res.Forgotten += n
	}
	for _, r := range list {
		switch {
		case r.over:
		case !l.more:
			when := now
			if !r.missing.IsZero() {
				when = r.missing
			}
			l.writeOff(r, when)
		default:
			r.told = true
			l.tell(Event{Kind: LeftoverEnded, PID: r.PID, Name: r.Name, Leftover: &r.Leftover, Background: l.m.background})
		}
		res.Leftovers = append(res.Leftovers, r.Leftover)
	}
	l.table.list = nil
	res.Blind = l.table.blind
}
