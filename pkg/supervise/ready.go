package supervise

import (
	"syscall"
	"time"
)

// waits are the things that have to happen before the command is ready.
type waits uint8

const (
	waitFollow waits = 1 << iota // the daemon that it leaves has to be known
	waitNotify                   // it has to say so
	waitHealth                   // a health check has to succeed
)

// waits is what a command that is just being started has to do.
func (c *Config) waits() waits {
	var w waits
	switch c.Type {
	case ExecType:
	case ForkingType:
		w |= waitFollow
	case NotifyType:
		w |= waitNotify
	}
	if c.Health.Interval > 0 {
		w |= waitHealth
	}
	return w
}

// launched begins the life of an instance of the command.
func (m machine) launched(now time.Time) machine {
	m.waits, m.born, m.startBy = m.cfg.waits(), time.Time{}, time.Time{}
	m.cause, m.background, m.followed, m.search, m.stray = endSuccess, false, false, search{}, stray{}
	m.heir, m.says, m.watchdog, m.unprobed = 0, 0, m.cfg.Watchdog, true
	switch {
	case m.waits == 0:
		m.born = now
	case m.cfg.StartTimeout > 0:
		m.startBy = now.Add(m.cfg.StartTimeout)
	}
	return m.guard(now)
}

// arrived takes one thing from those that are waited for.
func (m machine) arrived(w waits, now time.Time) (machine, []action) {
	if m.waits&w == 0 {
		return m, nil
	}
	m.waits &^= w
	if m.waits != 0 {
		return m, nil
	}
	m.born, m.startBy = now, time.Time{}
	return m.guard(now), tell(Event{Kind: Ready, PID: m.result.PID})
}

// overStart is the end of the start timeout.
func (m machine) overStart(ev event) (machine, []action) {
	m.startBy = time.Time{}
	if m.wantDown {
		return m, nil
	}
	why := Event{Kind: NotReady, PID: m.result.PID, After: m.cfg.StartTimeout}
	switch m.state {
	case up:
		return m.quit(ev, syscall.SIGTERM, endUnready, why)
	case seeking:
		m.cause, m.result.Cause = endUnready, CauseNotReady
		m, acts := m.end(ev, endUnready)
		return m, append(tell(why), acts...)
	case down, starting, pausing, delaying, stopping, killing, settling, draining, sweeping, backoff, done:
		// it is being stopped, or has ended
	}
	return m, nil
}

// guard begins to wait for the signs of life of a command that is to give some, if it is
// in a state to do so.
func (m machine) guard(now time.Time) machine {
	m.barkAt = time.Time{}
	if m.watchdog > 0 && m.state == up && m.waits == 0 && !m.jobStopped {
		m.barkAt = now.Add(m.watchdog)
	}
	return m
}

// bark is what follows when there was no sign of life in time.
func (m machine) bark(ev event) (machine, []action) {
	m.barkAt = time.Time{}
	if m.state != up {
		return m, nil
	}
	why := Event{Kind: WatchdogMissed, PID: m.pid, After: m.watchdog}
	return m.quit(ev, syscall.SIGABRT, endWatchdog, why)
}

// quit stops the command though nobody has asked for that, because it does not work.
// It has a deadline in any case.
func (m machine) quit(ev event, sig syscall.Signal, how ending, why Event) (machine, []action) {
	m.cause, m.result.Cause = how, how.cause()
	if m.cfg.StopSignal != 0 && sig == syscall.SIGTERM {
		sig = m.cfg.StopSignal
	}
	m, acts := m.sendStop(ev.now, action{kind: actSend, sig: sig})
	m.deadline = ev.now.Add(m.cfg.limitPatience())
	return m, append(tell(why), acts...)
}

// Cause is why the command was stopped though nobody had asked for that.
type Cause uint8

// The causes.
const (
	// CauseNone: it was not.
	CauseNone Cause = iota
	// CauseNotReady: it was not ready within the StartTimeout.
	CauseNotReady
	// CauseWatchdog: it gave no sign of life within the Watchdog.
	CauseWatchdog
	// CauseUnhealthy: its health checks failed.
	CauseUnhealthy
)

func (e ending) cause() Cause {
	switch e {
	case endUnready:
		return CauseNotReady
	case endWatchdog:
		return CauseWatchdog
	case endUnhealthy:
		return CauseUnhealthy
	case endSuccess, endCode, endSignal, endNoStart, endLost, endNoDaemon:
	}
	return CauseNone
}
