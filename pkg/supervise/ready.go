package supervise

import (
	"syscall"
	"time"
)

// waits are the things that have to happen before the command is ready.
type waits uint8

const (
	waitFollow waits = 1 << iota // the daemon that it leaves has to be known
)

// waits is what a command that is just being started has to do.
func (c *Config) waits() waits {
	var w waits
	if c.Type == ForkingType {
		w |= waitFollow
	}
	return w
}

// launched begins the life of an instance of the command.
func (m machine) launched(now time.Time) machine {
	m.waits, m.born, m.startBy = m.cfg.waits(), time.Time{}, time.Time{}
	m.cause, m.background, m.followed, m.search, m.stray = endSuccess, false, false, search{}, stray{}
	switch {
	case m.waits == 0:
		m.born = now
	case m.cfg.StartTimeout > 0:
		m.startBy = now.Add(m.cfg.StartTimeout)
	}
	return m
}

// arrived takes one thing from those that are waited for.
func (m machine) arrived(w waits, now time.Time) machine {
	if m.waits&w == 0 {
		return m
	}
	m.waits &^= w
	if m.waits == 0 {
		m.born, m.startBy = now, time.Time{}
	}
	return m
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
		m.result.Unready = true
		return m.quit(ev, syscall.SIGTERM, endUnready, why)
	case seeking:
		m.result.Unready = true
		m, acts := m.end(ev, endUnready)
		return m, append(tell(why), acts...)
	case down, starting, pausing, delaying, stopping, killing, settling, draining, sweeping, backoff, done:
		// it is being stopped, or has ended
	}
	return m, nil
}

// quit stops the command though nobody has asked for that, because it does not work.
// It has a deadline in any case.
func (m machine) quit(ev event, sig syscall.Signal, how ending, why Event) (machine, []action) {
	m.cause = how
	if m.cfg.StopSignal != 0 && sig == syscall.SIGTERM {
		sig = m.cfg.StopSignal
	}
	m, acts := m.sendStop(ev.now, action{kind: actSend, sig: sig})
	m.deadline = ev.now.Add(m.cfg.limitPatience())
	return m, append(tell(why), acts...)
}
