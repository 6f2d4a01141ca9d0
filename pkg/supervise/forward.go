package supervise

import "syscall"

// signalled routes a signal that came from outside.
func (m machine) signalled(ev event) (machine, []action) {
	ev.from = ev.sig
	if to, ok := m.cfg.Rewrite[ev.sig]; ok {
		if to == 0 {
			return m, tell(Event{Kind: SignalDropped, PID: m.pid, Signal: ev.from})
		}
		ev.sig = to
	}
	switch m.state {
	case down, starting:
		if isStop(ev.sig) {
			m.state = done
			m.result.Aborted = ev.sig
			return m, tell(Event{Kind: StopAborted, Signal: ev.from})
		}
		m.queued = append(m.queued, ev)
	case up, delaying, stopping, killing:
		return m.forward(ev)
	case done:
	}
	return m, nil
}

// forward deals with a signal that has been rewritten, while there is a command.
func (m machine) forward(ev event) (machine, []action) {
	if isStop(ev.sig) {
		return m.stopRequest(ev)
	}
	if ev.sig == syscall.SIGCONT && m.echo {
		m.echo = false // what ended reaper's own stop, and evResumed has dealt with
		return m, nil
	}
	return m, []action{{kind: actSend, sig: ev.sig, from: ev.from}}
}
