package supervise

import (
	"fmt"
	"reflect"
	"slices"
	"syscall"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
)

// witness keeps what the rules need to know of the past.
type witness struct {
	cfg                     *Config
	started, ended, aborted int

	status   *reap.Status // of the command, when it has ended
	probing  bool         // a health check has been begun and has not ended
	void     bool         // it is to be ended
	unwanted bool         // nothing may be started any more
	urged    bool         // asked to stop, or out of time
	hastens  bool         // a second request
}

// check holds one step against the rules.
func (w *witness) check(m machine, ev event, next machine, acts []action) error {
	for _, rule := range []func(machine, event, machine, []action) error{
		w.pure, w.transitions, w.restarts, w.probes, w.deadlines, w.stopRequests, w.actions, w.events, w.leftovers, w.outcome,
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
		if w.cfg.NoCommand {
			to = []state{pausing, done}
		}
	case starting:
		to = []state{up, backoff, done}
	case pausing:
		to = []state{settling, done}
	case up:
		to = []state{delaying, stopping, done, settling, backoff, seeking}
	case seeking:
		to = []state{up, delaying, stopping, done, settling, backoff}
	case delaying:
		to = []state{stopping, done, settling, seeking}
	case stopping:
		to = []state{killing, done, settling, seeking}
		if m.cause != endSuccess { // it did not work, and nobody has asked for its end
			to = append(to, backoff)
		}
	case killing:
		to = []state{done, settling}
		if m.cause != endSuccess {
			to = append(to, backoff)
		}
	case settling:
		to = []state{draining, sweeping, done, backoff}
	case draining:
		to = []state{sweeping, done, backoff}
	case sweeping:
		to = []state{done, backoff}
	case backoff:
		to = []state{starting, done}
	case done:
	}
	if next.state == settling && !w.cfg.FindLeftovers && w.cfg.Leftovers == KeepLeftovers {
		return fmt.Errorf("settling, and leftovers are of no interest")
	}
	if next.state == seeking && m.state != seeking && w.cfg.Type != ForkingType && m.heir == 0 {
		return fmt.Errorf("a daemon is looked for, and there is to be none")
	}
	if !next.barkAt.IsZero() && (next.state != up || next.waits != 0 || next.jobStopped) {
		return fmt.Errorf("signs of life are waited for in state %s, waits %d", stateName(next.state), next.waits)
	}
	alive := next.state == up || next.state == delaying || next.state == stopping || next.state == killing
	if (next.pid != 0) != alive {
		return fmt.Errorf("pid %d in state %s", next.pid, stateName(next.state))
	}
	if next.state != m.state && !slices.Contains(to, next.state) {
		return fmt.Errorf("from state %s to %s", stateName(m.state), stateName(next.state))
	}
	return nil
}

// restarts: nothing is started that the policy does not want, nor after a stop request
// or the time limit.
func (w *witness) restarts(m machine, ev event, next machine, acts []action) error {
	sig := ev.sig
	if to, ok := w.cfg.Rewrite[sig]; ok && ev.kind == evSignal {
		sig = to
	}
	forwarded := w.cfg.ForwardOnly && (m.pid != 0 || m.state == down || m.state == starting || m.state == seeking)
	switch {
	case ev.kind == evCancelled, ev.kind == evSignal && isStop(sig):
		w.unwanted = w.unwanted || !forwarded
	case ev.kind == evDeadline && !m.limit.IsZero() && !ev.now.Before(m.limit) && m.state != killing && m.state != starting:
		w.unwanted = true
	}
	for _, a := range acts {
		switch {
		case a.kind == actConclude && (next.state != backoff || next.again):
			return fmt.Errorf("conclude in state %s", stateName(next.state))
		case a.kind != actStart:
		case w.unwanted:
			return fmt.Errorf("started when nobody wants it")
		case m.state != down && w.cfg.Restart == RestartNever:
			return fmt.Errorf("started again")
		case w.started != w.ended || m.pid != 0:
			return fmt.Errorf("started before the end of the one before")
		}
	}
	if w.unwanted && m.state == seeking && next.state == up {
		return fmt.Errorf("a daemon is followed that nobody wants")
	}
	if next.failures > 0 && w.cfg.RestartFailures > 0 && next.failures >= w.cfg.RestartFailures && next.state == backoff {
		return fmt.Errorf("%d failures, and no end", next.failures)
	}
	return nil
}

// probes: one at a time, and only of a command that is up; what is under way when it is
// not is ended.
func (w *witness) probes(m machine, ev event, next machine, acts []action) error {
	if ev.kind == evProbed && m.state != done {
		w.probing, w.void = false, false
	}
	for _, a := range acts {
		switch a.kind { //nolint:exhaustive // the others have their own rules
		case actProbe:
			if w.probing || next.state != up || next.jobStopped {
				return fmt.Errorf("probes in state %s, another one: %v", stateName(next.state), w.probing)
			}
			w.probing = true
		case actEndProbe:
			if !w.probing {
				return fmt.Errorf("there is no probe to be ended")
			}
			w.void = true
		}
	}
	if w.probing && !w.void && (next.state != up || next.jobStopped) {
		return fmt.Errorf("a probe goes on in state %s", stateName(next.state))
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
		if armed != (w.cfg.StopTimeout > 0 || !next.until.IsZero() || next.cause != endSuccess) {
			return fmt.Errorf("stopping, deadline armed: %v, timeout %v", armed, w.cfg.StopTimeout)
		}
	case settling, sweeping, backoff, seeking:
		if !armed {
			return fmt.Errorf("no deadline in state %s", stateName(next.state))
		}
	case draining:
		if !armed && w.cfg.Leftovers != WaitForLeftovers {
			return fmt.Errorf("draining for ever")
		}
	case down, starting, pausing, up, killing, done:
		if armed {
			return fmt.Errorf("a deadline in state %s", stateName(next.state))
		}
	}
	if !next.startBy.IsZero() && !next.startBy.Equal(m.startBy) && next.startBy.Before(ev.now) {
		return fmt.Errorf("start timeout in the past")
	}
	if !next.barkAt.IsZero() && !next.barkAt.Equal(m.barkAt) && next.barkAt.Before(ev.now) {
		return fmt.Errorf("watchdog in the past")
	}
	if armed && !next.deadline.Equal(m.deadline) && next.deadline.Before(ev.now) && !next.deadline.Equal(m.until) && !next.deadline.Equal(m.search.stopAt) {
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
	if w.cfg.ForwardOnly {
		if m.state == up && (next.state != up || !sends(sig)) {
			return fmt.Errorf("%s is not just forwarded: %q", signalName(sig), describe(acts, 0))
		}
		return nil
	}
	stop := sig
	if w.cfg.StopSignal != 0 {
		stop = w.cfg.StopSignal
	}
	delayed := next.state == delaying && next.deadline.Equal(ev.now.Add(w.cfg.StopDelay))
	switch {
	case m.state == up && !sends(stop) && !delayed,
		m.state == delaying && !sends(stop),
		m.state == stopping && sig != syscall.SIGQUIT && m.request.sig != 0 && !sends(syscall.SIGKILL):
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
		case actFind, actAsk, actSweep, actConclude, actSeek, actProbe, actEndProbe:
			continue // see leftovers, and restarts
		case actStart:
			if next.state != starting || m.state == starting || i != len(acts)-1 {
				return fmt.Errorf("start in state %s: %s", stateName(next.state), describe(acts, 0))
			}
			continue
		case actStopSelf:
			if ev.kind != evSignal || !w.cfg.StopSelf.Has(ev.sig) {
				wrong = "nothing asked for it"
			}
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
		if next.pid == 0 && (a.kind != actSuspend || next.state != settling && next.state != draining && next.state != sweeping && next.state != backoff && next.state != seeking && next.state != pausing) {
			wrong = "there is no command"
		}
		if wrong != "" {
			return fmt.Errorf("%s: %s", describe(acts[i:i+1], 0), wrong)
		}
	}
	if w.cfg.StopSelf != 0 && slices.ContainsFunc(acts, func(a action) bool { return a.kind == actSuspend }) && m.pid != 0 {
		return fmt.Errorf("stopped with the command")
	}
	if ev.kind == evResumed && m.suspended && !slices.ContainsFunc(acts, func(a action) bool {
		return a.kind == actSendGroup && a.sig == syscall.SIGCONT
	}) {
		return fmt.Errorf("resumed, and the command is not continued")
	}
	return nil
}

// events: one end for each start, before the next, and each names the command.
func (w *witness) events(m machine, ev event, next machine, acts []action) error {
	pid := max(m.pid, next.pid)
	for _, a := range acts {
		if a.kind != actTell {
			continue
		}
		of := pid
		switch a.tell.Kind { //nolint:exhaustive // those that are told when it is gone
		case Restarting, StartFailed, GaveUp, RestartCancelled, DaemonEnded, DaemonAwaited, DaemonNotFound, NotReady, Ready,
			Reloading, Reloaded, Ending, StatusTold, DaemonFollowed, Probed, Healthy, Unhealthy:
			of = next.result.PID
		}
		if a.tell.PID != of {
			return fmt.Errorf("%s does not name %d", describe([]action{a}, pid), pid)
		}
		switch a.tell.Kind {
		case CommandStarted:
			w.started++
		case DaemonFollowed:
			if m.pid == 0 { // else it has another number
				w.started++
			}
		case CommandExited, CommandLost:
			w.ended++
		case StopAborted:
			w.aborted++
		case CommandStopped, CommandContinued, SignalSent, SignalDropped, SignalMissed,
			StopDelayed, KillTimeout, KillRequested, Suspended, OrphanReaped, CallFailed,
			LimitReached, LeftoversAsked, LeftoversAwaited, LeftoversTimeout, LeftoverEnded, LeftoversSurvived,
			Restarting, StartFailed, GaveUp, RestartCancelled, DaemonEnded, DaemonAwaited, DaemonNotFound, NotReady,
			Ready, Reloading, Reloaded, Ending, StatusTold, MessageRefused, Probed, Healthy, Unhealthy:
		case WatchdogMissed:
			if triggered := ev.kind == evNotify && ev.msg.WatchdogTrigger; !triggered && (m.barkAt.IsZero() || ev.now.Before(m.barkAt)) {
				return fmt.Errorf("the watchdog barks before its time")
			}
		}
	}
	if next.state != m.state && next.state == up && ev.pid != next.pid && ev.kind != evNotify {
		return fmt.Errorf("up with pid %d, started was %d", next.pid, ev.pid)
	}
	if w.started > w.ended+1 || w.ended > w.started || w.aborted > max(0, 1-w.started) {
		return fmt.Errorf("started %d, ended %d, aborted %d times", w.started, w.ended, w.aborted)
	}
	return nil
}

// leftovers: who is to be kept is left alone; nobody is killed before the time, or
// without being asked, but for a reason; and what has begun to kill goes on.
func (w *witness) leftovers(m machine, ev event, next machine, acts []action) error {
	if ev.kind == evSignal || ev.kind == evCancelled {
		sig := ev.sig
		if to, ok := w.cfg.Rewrite[sig]; ok && ev.kind == evSignal {
			sig = to
		}
		if isStop(sig) || ev.kind == evCancelled {
			ladder := m.state != up && m.state != delaying // where a second one hastens
			w.hastens = w.hastens || ladder && w.urged && sig != syscall.SIGQUIT
			w.urged = w.urged || m.state != down && m.state != starting
		}
	}
	limit := !m.limit.IsZero() && !ev.now.Before(m.limit) && ev.kind == evDeadline
	w.urged = w.urged || limit
	late := ev.kind == evDeadline && !m.deadline.IsZero() && !ev.now.Before(m.deadline)
	for _, a := range acts {
		asks, kills := a.kind == actAsk, a.kind == actSweep
		policy := w.cfg.Leftovers
		switch {
		case (asks || kills) && policy == KeepLeftovers:
			return fmt.Errorf("%s, and leftovers are to be kept", describe(acts, 0))
		case asks && policy == KillLeftovers:
			return fmt.Errorf("asks, and leftovers are to be killed")
		case (asks || kills) && policy == WaitForLeftovers && !w.urged:
			return fmt.Errorf("%s, and leftovers are to be waited for", describe(acts, 0))
		case asks && m.hurry:
			return fmt.Errorf("asks in spite of the haste")
		case kills && next.state != sweeping:
			return fmt.Errorf("kills in state %s", stateName(next.state))
		case kills && m.state != sweeping && !late && !w.hastens && !m.hurry && policy != KillLeftovers:
			return fmt.Errorf("kills before the time")
		case kills && m.state == settling && policy == StopLeftovers && !w.hastens && !m.hurry:
			return fmt.Errorf("kills who has not been asked")
		}
	}
	if m.state == sweeping && next.state != sweeping && ev.kind != evEmpty && !late {
		return fmt.Errorf("a sweep was cut short")
	}
	return nil
}

// outcome: what is known of the command stays as it is.
func (w *witness) outcome(m machine, ev event, next machine, acts []action) error {
	for _, a := range acts {
		if a.kind == actTell && a.tell.Kind == DaemonEnded {
			status := a.tell.Status
			w.status = &status
		}
	}
	if ev.kind == evExited && m.pid != 0 {
		status := ev.status
		w.status = &status
	}
	if m.pid == 0 && next.pid != 0 {
		w.status = nil
	}
	if w.status != nil && next.result.Status != *w.status {
		return fmt.Errorf("the status %v became %v", *w.status, next.result.Status)
	}
	if next.result.TimedOut != m.result.TimedOut && (m.pid == 0 && !m.again && m.state != backoff && m.state != seeking || ev.kind != evDeadline) {
		return fmt.Errorf("timed out by %s, with pid %d", eventName(ev.kind), m.pid)
	}
	return nil
}

// ends: once the command is gone the deadlines alone lead to the end, or to the next
// start, unless others are to be waited for.
func (w *witness) ends(m machine, now time.Time) error {
	if m.state != settling && m.state != draining && m.state != sweeping && m.state != backoff && m.state != seeking {
		return nil
	}
	for range 5 {
		if m.state == done || m.state == starting {
			return nil
		}
		next := m.wakeAt()
		if next.IsZero() {
			break
		}
		if next.Before(now) {
			next = now
		}
		now = next
		m, _ = m.step(event{kind: evDeadline, now: now})
		if m.state == seeking {
			m, _ = m.step(event{kind: evSought, now: now, count: 1})
		}
	}
	if m.state != done && m.state != starting && (m.state != draining || w.cfg.Leftovers != WaitForLeftovers || !m.deadline.IsZero()) {
		return fmt.Errorf("it would never end, from state %s", stateName(m.state))
	}
	return nil
}
