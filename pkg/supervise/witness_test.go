package supervise

import (
	"fmt"
	"reflect"
	"slices"
	"syscall"
)

// witness keeps what the rules need to know of the past.
type witness struct {
	cfg                     *Config
	started, ended, aborted int
}

// check holds one step against the rules.
func (w *witness) check(m machine, ev event, next machine, acts []action) error {
	for _, rule := range []func(machine, event, machine, []action) error{
		w.pure, w.transitions, w.deadlines, w.stopRequests, w.actions, w.events,
	} {
		if err := rule(m, ev, next, acts); err != nil {
			return err
		}
	}
	return nil
}

// pure: another event to the old machine leaves the new one alone, and the same
// event again gives the same.
func (w *witness) pure(m machine, ev event, next machine, acts []action) error {
	queued := slices.Clone(next.queued)
	_, _ = m.step(event{kind: evSignal, sig: syscall.SIGWINCH, now: ev.now})
	if !slices.Equal(queued, next.queued) {
		return fmt.Errorf("the machines share their queue: %+v\nbecame %+v", queued, next.queued)
	}
	again, same := m.step(ev)
	if !reflect.DeepEqual(again, next) || !reflect.DeepEqual(same, acts) {
		return fmt.Errorf("not pure: %+v\nand then %+v", next, again)
	}
	return nil
}

// transitions: those of the diagram in doc.go; the end is final; there is a pid
// as long as there is a command.
func (w *witness) transitions(m machine, _ event, next machine, acts []action) error {
	if m.state == done && (!reflect.DeepEqual(m, next) || len(acts) > 0) {
		return fmt.Errorf("not final: %+v\nbecame %+v", m, next)
	}
	var to []state
	switch m.state {
	case down:
		to = []state{starting, done}
	case starting:
		to = []state{up, done}
	case up:
		to = []state{delaying, stopping, done}
	case delaying:
		to = []state{stopping, done}
	case stopping:
		to = []state{killing, done}
	case killing:
		to = []state{done}
	case settling, draining, sweeping: // only with leftovers
	case done:
	}
	alive := next.state != down && next.state != starting && next.state != done
	if (next.pid != 0) != alive {
		return fmt.Errorf("pid %d in state %s", next.pid, stateName(next.state))
	}
	if next.state != m.state && !slices.Contains(to, next.state) {
		return fmt.Errorf("from state %s to %s", stateName(m.state), stateName(next.state))
	}
	return nil
}

// deadlines: armed exactly in the states that wait for one, and not in the past.
func (w *witness) deadlines(m machine, ev event, next machine, _ []action) error {
	armed := !next.deadline.IsZero()
	switch next.state {
	case delaying:
		if !armed {
			return fmt.Errorf("delaying without a deadline")
		}
	case stopping:
		if armed != (w.cfg.StopTimeout > 0) {
			return fmt.Errorf("stopping, deadline armed: %v, timeout %v", armed, w.cfg.StopTimeout)
		}
	case settling, draining, sweeping: // only with leftovers
	case down, starting, up, killing, done:
		if armed {
			return fmt.Errorf("a deadline in state %s", stateName(next.state))
		}
	}
	if armed && !next.deadline.Equal(m.deadline) && !next.deadline.After(ev.now) {
		return fmt.Errorf("deadline armed in the past: %v at %v", next.deadline, ev.now)
	}
	return nil
}

// stopRequests: while up one is either sent on at once or has a deadline armed;
// the second ends the delay; the second TERM or INT while stopping kills.
func (w *witness) stopRequests(m machine, ev event, next machine, acts []action) error {
	sig := ev.sig
	if to, ok := w.cfg.Rewrite[sig]; ok {
		sig = to
	}
	if ev.kind == evCancelled {
		sig = syscall.SIGTERM
	}
	if ev.kind != evSignal && ev.kind != evCancelled || !isStop(sig) {
		return nil
	}
	sends := func(want syscall.Signal) bool {
		return slices.ContainsFunc(acts, func(a action) bool { return (a.kind == actSend || a.kind == actSendGroup) && a.sig == want })
	}
	stop := sig
	if w.cfg.StopSignal != 0 {
		stop = w.cfg.StopSignal
	}
	delayed := next.state == delaying && next.deadline.Equal(ev.now.Add(w.cfg.StopDelay))
	switch {
	case m.state == up && !sends(stop) && !delayed,
		m.state == delaying && !sends(stop),
		m.state == stopping && sig != syscall.SIGQUIT && !sends(syscall.SIGKILL):
		return fmt.Errorf("stop request %s in state %s: %q", signalName(sig), stateName(m.state), describe(acts, 0))
	}
	return nil
}

// actions: only for a command, each for a reason that holds.
func (w *witness) actions(m machine, ev event, next machine, acts []action) error {
	tty := ev.terminal
	told := ev.kind == evStopped || ev.kind == evResumed || ev.kind == evDeadline || // the terminal
		ev.kind == evSignal && forTerminal(ev.sig)
	for i, a := range acts {
		wrong := ""
		switch a.kind {
		case actTell:
			continue
		case actSend, actSendGroup:
			if a.sig == 0 {
				wrong = "a signal that is none"
			}
		case actGiveTerminal:
			if !told || !tty.Present || tty.Foreground != tty.Own {
				wrong = "it is not ours to give"
			}
		case actTakeTerminal:
			if !told || !tty.Present || tty.Foreground != m.pid {
				wrong = "the command does not have it"
			}
		case actFind, actAsk, actSweep: // only with leftovers
			wrong = "there are no leftovers"
		case actContinueOwn:
			if ev.kind != evSignal || !tty.Present || tty.Orphaned {
				wrong = "nothing has stopped it"
			}
		case actSuspend:
			if !tty.Present || tty.Orphaned {
				wrong = "nobody would continue it"
			}
			if i != len(acts)-1 {
				wrong = "there is more to do after it, which would come too late"
			}
		}
		if next.pid == 0 {
			wrong = "there is no command"
		}
		if wrong != "" {
			return fmt.Errorf("%s: %s", describe(acts[i:i+1], 0), wrong)
		}
	}
	if ev.kind == evResumed && m.suspended && !slices.ContainsFunc(acts, func(a action) bool {
		return a.kind == actSendGroup && a.sig == syscall.SIGCONT
	}) {
		return fmt.Errorf("resumed, and the command is not continued")
	}
	return nil
}

// events: one start at most, one end at most, and each names the command.
func (w *witness) events(m machine, ev event, next machine, acts []action) error {
	pid := max(m.pid, next.pid)
	for _, a := range acts {
		if a.kind != actTell {
			continue
		}
		if a.tell.PID != pid {
			return fmt.Errorf("%s does not name %d", describe([]action{a}, pid), pid)
		}
		switch a.tell.Kind {
		case CommandStarted:
			w.started++
		case CommandExited, CommandLost:
			w.ended++
		case StopAborted:
			w.aborted++
		case CommandStopped, CommandContinued, SignalSent, SignalDropped, SignalMissed,
			StopDelayed, KillTimeout, KillRequested, Suspended, OrphanReaped, CallFailed,
			LimitReached, LeftoversAsked, LeftoversAwaited, LeftoversTimeout, LeftoverEnded, LeftoversSurvived:
		}
	}
	if next.state != m.state && next.state == up && ev.pid != next.pid {
		return fmt.Errorf("up with pid %d, started was %d", next.pid, ev.pid)
	}
	if w.started > 1 || w.ended > w.started || w.aborted > 1-w.started {
		return fmt.Errorf("started %d, ended %d, aborted %d times", w.started, w.ended, w.aborted)
	}
	return nil
}
