package supervise

import (
	"syscall"
	"time"
)

// sweepPatience is how long leftovers are killed before reaper gives up. Only two
// kinds outlive a SIGKILL that long: those of another user, which an unprivileged
// reaper may not signal, and those that wait in the kernel for a device.
const sweepPatience = 10 * time.Second

// settle follows the end of the command. Who is just ending has a moment, unless
// there is haste. The loop tells evEmpty at once if nobody is left at all.
func (m machine) settle(now time.Time) machine {
	if m.cfg.Leftovers == KeepLeftovers && !m.cfg.FindLeftovers {
		m.state, m.limit = done, time.Time{}
		return m
	}
	m.state, m.deadline = settling, now
	if !m.hurry && m.until.IsZero() {
		m.deadline = now.Add(m.cfg.Settle)
	}
	if m.cfg.Leftovers != WaitForLeftovers {
		m.limit = time.Time{} // it was the command's
	}
	return m
}

// settled starts to deal with those who are left.
func (m machine) settled(now time.Time) (machine, []action) {
	switch {
	case m.cfg.Leftovers == KeepLeftovers:
		m.state, m.deadline = done, time.Time{}
		return m, []action{{kind: actFind}}
	case m.hurry, m.cfg.Leftovers == KillLeftovers:
		return m.sweep(now, Event{})
	case m.cfg.Leftovers == WaitForLeftovers && m.request.sig == 0:
		m.state, m.deadline = draining, time.Time{}
		return m, append([]action{{kind: actFind}}, tell(Event{Kind: LeftoversAwaited})...)
	default:
		return m.ask(now)
	}
}

// ask asks all who are left to end.
func (m machine) ask(now time.Time) (machine, []action) {
	m.state, m.deadline, m.limit = draining, now.Add(m.cfg.Grace), time.Time{}
	if !m.until.IsZero() {
		m.deadline = m.until // they were asked when the command was
	}
	return m, append([]action{{kind: actAsk}}, tell(Event{Kind: LeftoversAsked, After: m.graceGiven()})...)
}

// sweep begins to kill. why is told, if it is anything.
func (m machine) sweep(now time.Time, why Event) (machine, []action) {
	m.state, m.deadline, m.limit = sweeping, now.Add(sweepPatience), time.Time{}
	var acts []action
	if why.Kind != 0 {
		acts = tell(why)
	}
	return m, append(acts, action{kind: actSweep})
}

// graceGiven is how long leftovers have had.
func (m machine) graceGiven() time.Duration {
	if !m.until.IsZero() {
		return m.cfg.limitPatience()
	}
	return m.cfg.Grace
}

// hasten is a stop request when the command is gone. The first ends the waiting;
// one after the command, too, has been asked to stop kills. Nothing cuts a sweep
// short.
func (m machine) hasten(ev event) (machine, []action) {
	again := m.request.sig != 0 && ev.sig != syscall.SIGQUIT
	m.request = ev
	switch {
	case m.cfg.Leftovers == KeepLeftovers || m.state == sweeping:
		return m.unwanted(ev)
	case again:
		m.hurry = true
		why := Event{Kind: KillRequested, Signal: ev.from}
		if m.state == settling { // they have not been looked at
			m, acts := m.settled(ev.now)
			return m, append(tell(why), acts...)
		}
		return m.sweep(ev.now, why)
	case m.state == settling:
		return m.settled(ev.now)
	case m.deadline.IsZero():
		return m.ask(ev.now)
	default:
		return m.unwanted(ev)
	}
}

// unwanted is a signal that nobody is there for. But for ^Z: while reaper waits,
// the shell wants its prompt back.
func (m machine) unwanted(ev event) (machine, []action) {
	if tty := ev.terminal; ev.from == syscall.SIGTSTP && tty.Present && !tty.Orphaned && tty.Foreground == tty.Own {
		return m, []action{{kind: actSuspend, sig: syscall.SIGTSTP}}
	}
	return m, tell(Event{Kind: SignalDropped, Signal: ev.from})
}

// overLimit asks the command and everybody below to stop, by one deadline.
func (m machine) overLimit(now time.Time) (machine, []action) {
	m.limit = time.Time{}
	acts := tell(Event{Kind: LimitReached, PID: m.pid, After: m.cfg.TimeLimit})
	switch m.state {
	case up, delaying:
		var more []action
		m.request = event{kind: evDeadline, now: now, sig: syscall.SIGTERM}
		m, more = m.sendStop(now)
		acts = append(acts, more...)
	case stopping: // the stop signal has been sent
	case settling, draining: // they were being waited for
		m.request.sig = syscall.SIGTERM
		if m.state == settling {
			m, more := m.settled(now)
			return m, append(acts, more...)
		}
		m, more := m.ask(now)
		return m, append(acts, more...)
	case down, starting, pausing, killing, sweeping, done:
		return m, nil // there is no limit, or it changes nothing any more
	}
	m.result.TimedOut = true
	m.until = now.Add(m.cfg.limitPatience())
	if m.deadline.IsZero() || m.until.Before(m.deadline) {
		m.deadline = m.until
	}
	m.until = m.deadline
	if m.cfg.Leftovers == StopLeftovers || m.cfg.Leftovers == WaitForLeftovers {
		acts = append(acts, action{kind: actAsk})
	}
	return m, acts
}

// empty is the end: nobody is left.
func (m machine) empty() (machine, []action) {
	switch m.state {
	case settling, draining, sweeping:
		m.state, m.deadline, m.limit = done, time.Time{}, time.Time{}
	case down, starting, pausing, up, delaying, stopping, killing, done:
		// there is a command, or was none
	}
	return m, nil
}

// polls reports whether newcomers are looked for: an orphan that comes while
// others are being stopped makes no signal.
func (m machine) polls() bool {
	return m.state == sweeping || m.state == draining && !m.deadline.IsZero()
}

func (m machine) poll() (machine, []action) {
	switch {
	case !m.polls():
		return m, nil
	case m.state == sweeping:
		return m, []action{{kind: actSweep}}
	default:
		return m, []action{{kind: actAsk}}
	}
}
