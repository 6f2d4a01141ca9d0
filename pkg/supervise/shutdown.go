package supervise

import (
	"syscall"
	"time"
)

// isStop tells the signals that ask for the command's end. systemd, docker and
// kill(1) send TERM, a terminal INT and QUIT.
func isStop(sig syscall.Signal) bool {
	return sig == syscall.SIGTERM || sig == syscall.SIGINT || sig == syscall.SIGQUIT
}

// asksToStop tells whether a signal, as it has been rewritten, is a stop request.
// An INT or QUIT that reaper was started with ignored is none: a shell without
// job control ignores the two for what it starts in the background, so that a ^C
// meant for others does not end it. It is forwarded like any other.
func (m machine) asksToStop(sig syscall.Signal) bool {
	deaf := m.cfg.Inherited != nil && m.cfg.Inherited.Ignored.Has(sig) && sig != syscall.SIGTERM
	return isStop(sig) && !deaf
}

// stopRequest is the ladder: the delay, the stop signal, the kill.
func (m machine) stopRequest(ev event) (machine, []action) {
	m.wantDown = true
	switch m.state {
	case up:
		m.request = ev
		if m.cfg.StopDelay > 0 {
			m.state, m.deadline, m.barkAt = delaying, ev.now.Add(m.cfg.StopDelay), time.Time{}
			return m, tell(Event{Kind: StopDelayed, PID: m.pid, Signal: ev.from, After: m.cfg.StopDelay})
		}
		return m.sendStop(ev.now, m.stopAction())
	case seeking:
		m.request, m.search.last, m.search.stopAt = ev, true, time.Time{}
		return m, []action{{kind: actSeek}}
	case delaying:
		m.request = ev
		return m.sendStop(ev.now, m.stopAction())
	case stopping:
		if m.request.sig == 0 { // it is being stopped already, as it did not work
			m.request = ev
			return m.cancelRestart(ev)
		}
		if ev.sig == syscall.SIGQUIT { // asks for a core dump rather than for haste
			return m, []action{{kind: m.sendAs(ev), sig: ev.sig, from: ev.from}}
		}
		m.hurry = true
		return m.kill(Event{Kind: KillRequested, PID: m.pid, Signal: ev.from})
	case killing: // perhaps the first could not be sent
		m.hurry = m.hurry || ev.sig != syscall.SIGQUIT
		return m, []action{{kind: actSend, sig: syscall.SIGKILL, from: ev.from}}
	case settling, draining, sweeping:
		return m.hasten(ev)
	case backoff, starting:
		m, acts := m.cancelRestart(ev)
		m, more := m.finish(ev)
		return m, append(acts, more...)
	case down, pausing, done:
		// nobody to stop
	}
	return m, nil
}

// wakeAt is when step is to be told that time has passed; zero is never.
func (m machine) wakeAt() time.Time {
	next := m.deadline
	earlier := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	earlier(m.limit)
	earlier(m.startBy)
	earlier(m.barkAt)
	earlier(m.health.Due())
	if m.heldStop != 0 {
		earlier(m.restless)
	}
	return next
}

// expired acts on the time limit, or on the deadline of the state, or deals with
// a stop that was held.
func (m machine) expired(ev event) (machine, []action) {
	if !m.limit.IsZero() && !ev.now.Before(m.limit) {
		return m.overLimit(ev)
	}
	if !m.startBy.IsZero() && !ev.now.Before(m.startBy) {
		return m.overStart(ev)
	}
	if !m.barkAt.IsZero() && !ev.now.Before(m.barkAt) {
		return m.bark(ev)
	}
	if due := m.health.Due(); !due.IsZero() && !ev.now.Before(due) {
		return m.probe(ev)
	}
	if m.deadline.IsZero() || ev.now.Before(m.deadline) {
		return m.releaseStop(ev)
	}
	switch m.state {
	case seeking:
		m.search.last = true
		return m, []action{{kind: actSeek}}
	case delaying:
		return m.sendStop(ev.now, m.stopAction())
	case stopping:
		if !m.until.IsZero() {
			m.hurry = true // the others have had the same time
			return m.kill(Event{Kind: KillTimeout, PID: m.pid, After: m.cfg.limitPatience()})
		}
		after := m.cfg.StopTimeout
		if m.cause != endSuccess {
			after = m.cfg.limitPatience()
		}
		return m.kill(Event{Kind: KillTimeout, PID: m.pid, After: after})
	case settling:
		return m.settled(ev)
	case draining:
		return m.sweep(ev.now, Event{Kind: LeftoversTimeout, After: m.graceGiven()})
	case sweeping:
		m, acts := m.finish(ev)
		return m, append(tell(Event{Kind: LeftoversSurvived}), acts...)
	case backoff:
		m.state, m.deadline = starting, time.Time{}
		return m, []action{{kind: actStart}}
	case down, starting, pausing, up, killing, done:
		// these have no deadline
	}
	return m, nil
}

// stopAction sends what the stop request asks for.
func (m machine) stopAction() action {
	sig := m.request.sig
	if m.cfg.StopSignal != 0 {
		sig = m.cfg.StopSignal
	}
	return action{kind: m.sendAs(m.request), sig: sig, from: m.request.from}
}

func (m machine) sendStop(now time.Time, stop action) (machine, []action) {
	m.state, m.deadline, m.barkAt = stopping, time.Time{}, time.Time{}
	if m.cfg.StopTimeout > 0 {
		m.deadline = now.Add(m.cfg.StopTimeout)
	}
	acts := []action{stop}
	if m.jobStopped { // it could not act on the signal before it is continued
		acts = append(acts, action{kind: actSendGroup, sig: syscall.SIGCONT, from: stop.from})
	}
	return m, acts
}

func (m machine) kill(why Event) (machine, []action) {
	m.state, m.deadline = killing, time.Time{}
	return m, append(tell(why), action{kind: actSend, sig: syscall.SIGKILL, from: why.Signal})
}
