package supervise

import (
	"slices"
	"syscall"
)

// signalled rewrites a signal that came from outside, and routes it.
func (m machine) signalled(ev event) (machine, []action) {
	if m.state == done {
		return m, nil
	}
	if ev.sig == syscall.SIGCONT && m.echo {
		m.echo = false // what ended reaper's own stop, and evResumed has dealt with
		return m, nil
	}
	if m.wantedByOwn(ev) {
		return m.lend()
	}
	ev.from = ev.sig
	stopSelf := m.pid != 0 && m.cfg.StopSelf.Has(ev.sig)
	if tty := ev.terminal; stopSelf && forTerminal(ev.sig) && tty.Present && tty.Foreground == tty.Own {
		// It came while the group was in the background, and was taken after the SIGCONT
		// of a shell, which would have dropped it had it still been pending (signal(7)).
		return m, tell(Event{Kind: SignalDropped, PID: m.pid, Signal: ev.from})
	}
	to, rewritten := m.cfg.Rewrite[ev.sig]
	if rewritten {
		ev.sig = to
	}
	var acts []action
	if ev.sig == 0 {
		acts = tell(Event{Kind: SignalDropped, PID: m.pid, Signal: ev.from})
	} else {
		m, acts = m.route(ev)
	}
	if stopSelf {
		acts = append(acts, action{kind: actStopSelf})
	}
	return m, acts
}

// cancelled asks for a stop as TERM does. No signal came, so none is rewritten:
// where TERM is, the end of the context would be lost or have another meaning.
func (m machine) cancelled(ev event) (machine, []action) {
	ev.sig, ev.from = syscall.SIGTERM, syscall.SIGTERM
	return m.route(ev)
}

// route aborts the start, or keeps the signal for the command, or forwards it.
func (m machine) route(ev event) (machine, []action) {
	switch m.state {
	case down, starting:
		stop := m.asksToStop(ev.sig) && !m.cfg.ForwardOnly
		if stop && m.result.PID != 0 {
			return m.stopRequest(ev)
		}
		if stop {
			m.state = done
			m.result.Aborted = ev.sig
			return m, tell(Event{Kind: StopAborted, Signal: ev.from})
		}
		m.queued = append(slices.Clip(m.queued), ev) // the old machine keeps its own
	case up, delaying, stopping, killing:
		return m.forward(ev)
	case seeking:
		switch {
		case m.asksToStop(ev.sig) && !m.cfg.ForwardOnly:
			return m.stopRequest(ev)
		case forJob(ev):
			return m.unwanted(ev)
		}
		return m.wait(ev), nil
	case pausing:
		if ev.sig == syscall.SIGTERM || ev.sig == syscall.SIGINT {
			return m.settle(ev)
		}
		return m.unwanted(ev)
	case settling, draining, sweeping, backoff:
		if m.asksToStop(ev.sig) {
			return m.stopRequest(ev)
		}
		return m.unwanted(ev)
	case done:
	}
	return m, nil
}

// forward deals with a signal that has been rewritten, while there is a command.
func (m machine) forward(ev event) (machine, []action) {
	if m.asksToStop(ev.sig) && !m.cfg.ForwardOnly {
		return m.stopRequest(ev)
	}
	if m.followed && forJob(ev) && m.cfg.StopSelf == 0 { // a daemon has nothing to do with the terminal
		return m.unwanted(ev)
	}
	if m.cfg.Type == ForkingType && !m.followed && !m.forLauncher(ev) {
		return m.wait(ev), nil
	}
	return m, []action{{kind: m.sendAs(ev), sig: ev.sig, from: ev.from}}
}
