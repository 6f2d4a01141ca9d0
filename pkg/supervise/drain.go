package supervise

import (
	"slices"
	"syscall"
	"time"
)

// sweepPatience is how long leftovers are killed before reaper gives up. Only two
// kinds outlive a SIGKILL that long: those of another user, which an unprivileged
// reaper may not signal, and those that wait in the kernel for a device.
const sweepPatience = 10 * time.Second

// settle follows the end of the command. Who is just ending has a moment, unless
// there is haste. The loop tells evEmpty at once if nobody is left at all.
func (m machine) settle(ev event) (machine, []action) {
	if m.cfg.Leftovers == KeepLeftovers && !m.cfg.FindLeftovers {
		return m.finish(ev)
	}
	m.state, m.deadline = settling, ev.now
	if !m.hurry && m.until.IsZero() {
		m.deadline = ev.now.Add(m.cfg.Settle)
	}
	if m.cfg.Leftovers != WaitForLeftovers && !m.again {
		m.limit = time.Time{} // it was the command's
	}
	return m, nil
}

// settled starts to deal with those who are left.
func (m machine) settled(ev event) (machine, []action) {
	switch {
	case m.cfg.Leftovers == KeepLeftovers:
		m, acts := m.finish(ev)
		return m, append([]action{{kind: actFind}}, acts...)
	case m.hurry, m.cfg.Leftovers == KillLeftovers:
		return m.sweep(ev.now, Event{})
	case m.cfg.Leftovers == WaitForLeftovers && m.request.sig == 0:
		m.state, m.deadline = draining, time.Time{}
		return m, append([]action{{kind: actFind}}, tell(Event{Kind: LeftoversAwaited})...)
	default:
		return m.ask(ev.now)
	}
}

// ask asks all who are left to end.
func (m machine) ask(now time.Time) (machine, []action) {
	m.state, m.deadline = draining, now.Add(m.cfg.Grace)
	if !m.again {
		m.limit = time.Time{}
	}
	if !m.until.IsZero() {
		m.deadline = m.until // they were asked when the command was
	}
	return m, append([]action{{kind: actAsk, first: true}}, tell(Event{Kind: LeftoversAsked, After: m.graceGiven()})...)
}

// asked counts the grace from when all have been asked, as it takes a while to find
// many, and more under load.
func (m machine) asked(now time.Time) machine {
	if m.state == draining && m.until.IsZero() {
		m.deadline = now.Add(m.cfg.Grace)
	}
	return m
}

// sweep begins to kill. why is told, if it is anything.
func (m machine) sweep(now time.Time, why Event) (machine, []action) {
	m.state, m.deadline = sweeping, now.Add(sweepPatience)
	if !m.again {
		m.limit = time.Time{}
	}
	var acts []action
	if why.Kind != 0 {
		acts = tell(why)
	}
	return m, append(acts, action{kind: actSweep})
}

// swept takes the time of a sweep off the patience: without /proc it takes a second to
// find everybody, and more under load, in which nobody could have ended.
func (m machine) swept(took time.Duration) machine {
	if m.state == sweeping {
		m.deadline = m.deadline.Add(took)
	}
	return m
}

// graceGiven is how long leftovers have had.
func (m machine) graceGiven() time.Duration {
	if !m.until.IsZero() {
		return m.cfg.limitPatience()
	}
	return m.cfg.Grace
}

// hasten is a stop request when the command is gone. The first ends the waiting, and
// that the command would be started again; one after the command, too, has been asked
// to stop kills. Nothing cuts a sweep short.
func (m machine) hasten(ev event) (machine, []action) {
	urgent := m.request.sig != 0 && ev.sig != syscall.SIGQUIT
	m.request, m.wantDown = ev, true
	var acts, more []action
	if m.again {
		m, acts = m.cancelRestart(ev)
	}
	switch {
	case m.cfg.Leftovers == KeepLeftovers || m.state == sweeping:
		if acts == nil {
			return m.unwanted(ev)
		}
	case urgent:
		m.hurry = true
		why := Event{Kind: KillRequested, Signal: ev.from}
		if m.state == settling { // they have not been looked at
			m, more = m.settled(ev)
			return m, slices.Concat(acts, tell(why), more)
		}
		m, more = m.sweep(ev.now, why)
	case m.state == settling:
		m, more = m.settled(ev)
	case m.deadline.IsZero():
		m, more = m.ask(ev.now)
	case acts == nil:
		return m.unwanted(ev)
	}
	return m, append(acts, more...)
}

// unwanted is a signal that nobody is there for. But for ^Z: while reaper waits,
// the shell wants its prompt back.
func (m machine) unwanted(ev event) (machine, []action) {
	if tty := ev.terminal; ev.from == syscall.SIGTSTP && typed(ev) && !tty.Orphaned {
		return m, []action{{kind: actSuspend, sig: syscall.SIGTSTP}}
	}
	return m, tell(Event{Kind: SignalDropped, PID: m.pid, Signal: ev.from})
}

// overLimit asks the command and everybody below to stop, by one deadline.
func (m machine) overLimit(ev event) (machine, []action) {
	if m.state == starting {
		return m, nil // in a moment
	}
	m.limit = time.Time{}
	acts := tell(Event{Kind: LimitReached, PID: m.pid, After: m.cfg.TimeLimit})
	switch m.state {
	case up, delaying:
		var more []action
		m.request = event{kind: evDeadline, now: ev.now, sig: syscall.SIGTERM}
		m, more = m.sendStop(ev.now, m.stopAction())
		acts = append(acts, more...)
	case stopping: // the stop signal has been sent
	case seeking:
		m.request = event{kind: evDeadline, now: ev.now, sig: syscall.SIGTERM}
		m.wantDown, m.result.TimedOut = true, true
		m.search.last, m.search.stopAt = true, time.Time{}
		m.until = ev.now.Add(m.cfg.limitPatience())
		return m, append(acts, action{kind: actSeek})
	case settling, draining, sweeping:
		return m.overLimitAfter(ev, acts)
	case backoff:
		m.wantDown, m.result.TimedOut = true, true
		m, _ := m.finish(ev)
		return m, acts
	case down, starting, pausing, killing, done:
		return m, nil // there is no limit, or it changes nothing any more
	}
	m.wantDown, m.result.TimedOut = true, true
	m.until = ev.now.Add(m.cfg.limitPatience())
	m, more := m.untilThen()
	return m, append(acts, more...)
}

// untilThen gives the command and everybody below the same deadline, and asks them.
func (m machine) untilThen() (machine, []action) {
	if m.deadline.IsZero() || m.until.Before(m.deadline) {
		m.deadline = m.until
	}
	m.until = m.deadline
	var acts []action
	if m.cfg.Leftovers == StopLeftovers || m.cfg.Leftovers == WaitForLeftovers {
		acts = append(acts, action{kind: actAsk})
	}
	return m, acts
}

// overLimitAfter is the time limit when the command has ended: then it is not started
// again, and who is being waited for is asked to stop.
func (m machine) overLimitAfter(ev event, acts []action) (machine, []action) {
	again := m.again
	m.wantDown, m.again, m.result.TimedOut = true, false, m.result.TimedOut || again
	waits := m.cfg.Leftovers == WaitForLeftovers && (m.state == settling || m.state == draining && m.deadline.IsZero())
	var more []action
	switch {
	case !waits && !again:
		return m, nil
	case !waits: // who is left has a deadline
	case m.state == settling:
		m.request.sig = syscall.SIGTERM
		m, more = m.settled(ev)
	default:
		m.request.sig = syscall.SIGTERM
		m, more = m.ask(ev.now)
	}
	return m, append(acts, more...)
}

// empty is the end: nobody is left.
func (m machine) empty(ev event) (machine, []action) {
	switch m.state {
	case settling, draining, sweeping:
		return m.finish(ev)
	case seeking:
		m, acts := m.nobodyLeft(ev)
		m, more := m.empty(ev)
		return m, append(acts, more...)
	case down, starting, pausing, up, delaying, stopping, killing, backoff, done:
		// there is a command, or was none
	}
	return m, nil
}

// polls reports whether newcomers are looked for: an orphan that comes while
// others are being stopped makes no signal.
func (m machine) polls() bool {
	return m.state == sweeping || m.state == seeking || m.state == draining && !m.deadline.IsZero()
}

func (m machine) poll() (machine, []action) {
	switch {
	case !m.polls():
		return m, nil
	case m.state == sweeping:
		return m, []action{{kind: actSweep}}
	case m.state == seeking:
		return m, []action{{kind: actSeek}}
	default:
		return m, []action{{kind: actAsk}}
	}
}
