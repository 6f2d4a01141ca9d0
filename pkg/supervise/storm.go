package supervise

import "time"

// A lone exit is seen at once. But a SIGCHLD costs more than the wait that it leads
// to (see [reap.ChildSignal]), so two that come close together switch it off, and
// the children are drained by a timer until it finds nothing.
//
// No exit is missed. While SIGCHLD is on, whoever exits makes one, and chld has a
// place for it or holds one that has not been taken: the loop wakes after the exit
// and drains. While it is off the timer runs: the loop wakes and drains. From on
// to off the timer is set before anything is waited for. From off to on it is
// switched on first and drained then: who had exited before is found by that drain,
// who exits after it makes a signal.
const (
	// stormGap is how close two wake-ups are under load. What comes more seldom costs
	// too little to matter.
	stormGap = 5 * time.Millisecond
	// stormTick is how long the command's exit, or a stop of it, may wait to be seen
	// under load.
	stormTick = 4 * time.Millisecond
	// stormShare and stormLatest are for those who have many living children. The
	// kernel walks past each of them for each that has exited, and once more to find
	// that there are no others. So the orphans wait for a multiple of what a walk has
	// cost last, so that more of them share that last one.
	stormShare, stormLatest = 32, 16 * time.Millisecond
)

// storm is whether the loop is under load.
type storm struct {
	off   bool        // SIGCHLD is off and tick runs
	stuck bool        // SIGCHLD cannot be switched, and that has been told
	last  time.Time   // when the last SIGCHLD was taken that led to an orphan
	known int         // how many orphans there had been by then
	tick  *time.Timer // made when it is first needed
	due   time.Time   // the orphans are not to be drained before
}

// ticks is the channel that fires when it is time to look, nil while SIGCHLD tells.
func (s *storm) ticks() <-chan time.Time {
	if !s.off {
		return nil
	}
	return s.tick.C
}

// drained takes in how long a drain of so many exits took.
func (s *storm) drained(exits int, begin, end time.Time) {
	walk := end.Sub(begin) / time.Duration(exits+1)
	// The ticks go on: the last before that time is the one.
	s.due = end.Add(min(stormShare*walk, stormLatest) - stormTick)
}

// woken follows a SIGCHLD that has been dealt with. Under load it switches to the
// timer. The command's own exit is no load, however often it is started again.
func (l *loop) woken() {
	s := &l.storm
	if l.m.result.Orphans == s.known || s.off || s.stuck {
		return
	}
	s.known = l.m.result.Orphans
	now := time.Now()
	load := now.Sub(s.last) < stormGap
	s.last = now
	if !load {
		return
	}
	if err := l.Kernel.SetChildSignal(false); err != nil {
		s.stuck = true
		l.check(err)
		return
	}
	s.off = true
	if s.tick == nil {
		s.tick = time.NewTimer(stormTick)
		return
	}
	s.tick.Reset(stormTick)
}

// ticked is the time to look. Who finds nothing switches SIGCHLD on again, and takes
// in what came until then.
func (l *loop) ticked() {
	s := &l.storm
	l.attend()
	if time.Now().Before(s.due) {
		// The command is found by its number, without a walk.
		if exited, _ := l.Kernel.Exited(l.m.pid); !exited {
			s.tick.Reset(stormTick)
			return
		}
	}
	s.known = l.m.result.Orphans
	l.reap()
	if l.m.state == done {
		return
	}
	if l.m.result.Orphans > s.known {
		s.tick.Reset(stormTick)
		return
	}
	l.calm()
	l.settle()
}

// calm switches SIGCHLD on.
func (l *loop) calm() {
	s := &l.storm
	if !s.off {
		return
	}
	s.tick.Stop()
	if err := l.Kernel.SetChildSignal(true); err != nil {
		l.check(err)
		s.tick.Reset(stormTick) // it stays off, and the timer goes on
		return
	}
	s.off = false
}
