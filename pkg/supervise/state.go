package supervise

import (
	"syscall"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
	"github.com/reaper-init/reaper/pkg/supervise/health"
	"github.com/reaper-init/reaper/pkg/supervise/notify"
)

// state is where the command is in its life, and what it leaves after that; see
// the diagram in doc.go.
type state uint8

const (
	down     state = iota // nothing has happened yet
	starting              // about to be started
	pausing               // there is no command to run
	up                    // it runs
	seeking               // it has left a daemon; which process is that?
	delaying              // a stop request waits for the stop delay to pass
	stopping              // the stop signal has been sent
	killing               // SIGKILL has been sent
	settling              // the command is gone; who is just ending has a moment to do so
	draining              // descendants are left, and have been asked to end, or are waited for
	sweeping              // descendants are left, and are being killed
	backoff               // nobody is left, and the command is about to be started again
	done                  // it is over
)

// eventKind is what step is told.
type eventKind uint8

const (
	evBegin eventKind = iota
	evStarted
	evFailed    // the start failed
	evSignal    // a signal came
	evCancelled // the context ended
	evDeadline  // the time of wakeAt has come
	evStopped   // job control stopped the command
	evContinued
	evResumed // reaper runs again after actSuspend
	evEnded   // the command has ended, and is a zombie still
	evExited  // it was reaped
	evLost    // no child is left and the command's end was never seen
	evEmpty   // no child is left, and so no descendant
	evPoll    // it is time to look for newcomers among the leftovers, or for the daemon
	evStray   // another process was reaped while the daemon is not known
	evSought  // what actSeek has found: pid, or 0 and err, and how many there are
	evNotify  // the command tells of itself: msg; MAINPID is pid, and child if it is one
	evProbed  // a health check has ended; err is why it failed
)

// event is one input of step. The terminal is set for evStopped and evResumed,
// for evSignal with what a terminal sends, and for evDeadline with a heldStop.
type event struct {
	kind     eventKind
	now      time.Time
	sig      syscall.Signal // as it is to be acted on
	from     syscall.Signal // as it came, before it was rewritten
	pid      int
	status   reap.Status
	usage    reap.Usage
	err      error // why the start failed, or the search
	count    int   // of the processes that the search has seen
	final    bool  // it is of no use to look again
	msg      *notify.Message
	child    bool
	terminal Terminal
	chance   float64 // from 0 to 1
}

// actionKind is what step wants done.
type actionKind uint8

const (
	actStart        actionKind = iota // start the command; evStarted or evFailed follows
	actSend                           // sig to the command, or to its group if so configured
	actSendGroup                      // sig to the command's group
	actTakeTerminal                   // reaper's own group to the foreground
	actGiveTerminal                   // the command's group to the foreground
	actSuspend                        // stop reaper and its own group, by sig
	actContinueOwn                    // continue reaper's own group
	actStopSelf                       // stop reaper alone
	actFind                           // look who is left
	actAsk                            // TERM and CONT to every descendant but the command, once each
	actSweep                          // kill every descendant
	actProbe                          // begin a health check; evProbed follows some time
	actEndProbe                       // end it
	actSeek                           // look for the daemon; evSought follows
	actConclude                       // end the records of who was left
	actTell                           // an Event for the log
)

// action is one output of step. For a send, from is the signal that led to it. To ask is
// first if the grace begins with it.
type action struct {
	kind  actionKind
	first bool
	sig   syscall.Signal
	from  syscall.Signal
	tell  Event
}

// machine is the state and what belongs to it. It is a value: step returns a
// new one.
type machine struct {
	cfg   *Config // never written
	state state
	pid   int // the command, from started until it was reaped

	// deadline ends the state that has one; zero is never.
	deadline time.Time
	// limit is when the time limit is over; zero is never, or that it was acted on.
	limit time.Time
	// until is by when everybody is killed whom the time limit has asked to end.
	until time.Time
	// wantDown: a stop has been asked for, whatever the state; nothing is started any
	// more.
	wantDown bool
	// again: the command is started again when nobody is left of this instance.
	again bool
	// born is when this instance was ready; zero if it was not, or has ended.
	born time.Time
	// failures is how many instances have failed, one after another; delay how long the
	// last restart has waited. Both are 0 again after a life that was long enough.
	failures int
	delay    time.Duration
	// waits are the things that have to happen before it is ready, and startBy when that
	// has to be; zero is never.
	waits   waits
	startBy time.Time
	// cause is why reaper stops this instance though nobody has asked for it; endSuccess
	// if it does not.
	cause ending
	// background: it has exited with 0 at once.
	background bool
	// followed: pid is a daemon that the command has left. search is what is known as
	// long as it is looked for, and stray who has ended before.
	followed bool
	search   search
	stray    stray
	// heir is the process that the command has named its successor, while that is no child;
	// says is how far the command says that it is.
	heir int
	says notify.Readiness
	// watchdog is how often it has to give a sign of life, and barkAt by when the next; zero
	// is never.
	watchdog time.Duration
	barkAt   time.Time
	// health is that of the command, if it is probed; tended, that it is being probed now,
	// and unprobed, that this instance has not been yet.
	health           health.Tracker
	tended, unprobed bool
	// hurry: who is left when the command is gone is to be killed at once.
	hurry bool
	// request is the stop request that waits while delaying, and that asked for
	// the stop afterwards. Its signal is 0 while nobody has asked.
	request event
	// queued holds the signals that came before the command existed, or, if it is a
	// daemon, before that was known.
	queued []event
	// jobStopped: job control holds the command.
	jobStopped bool
	// heldStop is a stop of the command that is dealt with when restless is over,
	// 0 if there is none; see holdStop.
	heldStop syscall.Signal
	restless time.Time
	// nudged: the command was continued so that it acts on the stop signal.
	nudged bool
	// suspended: reaper stops itself because the command was stopped.
	suspended bool
	// echo: a SIGCONT that ended reaper's own stop, or that it sent to its own
	// group, is still to come by way of sigs.
	echo bool

	result Result
}

// step makes every decision there is. It has no effect; the actions are to be
// carried out in their order.
func (m machine) step(ev event) (machine, []action) {
	m, acts := m.react(ev)
	return m.tend(ev, acts)
}

func (m machine) react(ev event) (machine, []action) {
	switch ev.kind {
	case evBegin:
		return m.begin()
	case evStarted:
		return m.started(ev)
	case evFailed:
		return m.failed(ev)
	case evSignal:
		return m.signalled(ev)
	case evCancelled:
		return m.cancelled(ev)
	case evDeadline:
		return m.expired(ev)
	case evStopped:
		return m.jobStop(ev)
	case evContinued:
		return m.continued(ev)
	case evResumed:
		return m.resume(ev)
	case evEnded:
		return m.ended()
	case evExited:
		return m.exited(ev)
	case evLost:
		return m.lost(ev)
	case evEmpty:
		return m.empty(ev)
	case evPoll:
		return m.poll()
	case evStray:
		return m.strayed(ev)
	case evSought:
		return m.sought(ev)
	case evNotify:
		return m.notified(ev)
	case evProbed:
		return m.probed(ev)
	}
	return m, nil
}

func (m machine) begin() (machine, []action) {
	switch m.state {
	case down:
		if !m.cfg.NoCommand {
			m.state = starting
			return m, []action{{kind: actStart}}
		}
		m.state = pausing
	case starting, pausing, up, seeking, delaying, stopping, killing, settling, draining, sweeping, backoff, done:
		// begun already
	}
	return m, nil
}

func (m machine) started(ev event) (machine, []action) {
	switch m.state {
	case starting:
		switch {
		case m.result.PID != 0:
			m.result.Restarts++
		case m.cfg.TimeLimit > 0:
			m.limit = ev.now.Add(m.cfg.TimeLimit)
		}
		m.state, m.pid = up, ev.pid
		m = m.launched(ev.now)
		m.result.PID, m.result.Status, m.result.Usage = ev.pid, 0, reap.Usage{}
		m.result.Lost, m.result.Err, m.result.Cause, m.result.Health = false, nil, CauseNone, health.None
		m, acts := m.replay()
		return m, append(tell(Event{Kind: CommandStarted, PID: m.pid}), acts...)
	case down, pausing, up, seeking, delaying, stopping, killing, settling, draining, sweeping, backoff, done:
		// nothing was being started
	}
	return m, nil
}

// replay sends the signals that have waited for the command.
func (m machine) replay() (machine, []action) {
	waited := m.queued
	m.queued = nil
	var acts []action
	for _, sig := range waited {
		var more []action
		m, more = m.forward(sig)
		acts = append(acts, more...)
	}
	return m, acts
}

// failed is an error of Run if there has been no command. Later, it is the end of
// an instance that never was.
func (m machine) failed(ev event) (machine, []action) {
	switch m.state {
	case starting:
		m.queued = nil
		if m.result.PID == 0 {
			m.state = done
			return m, nil
		}
		m.result.Err, m.result.Cause = ev.err, CauseNone
		acts := tell(Event{Kind: StartFailed, PID: m.result.PID, Err: ev.err})
		m, more := m.judge(ev, endNoStart)
		m, last := m.finish(ev)
		return m, append(append(acts, more...), last...)
	case down, pausing, up, seeking, delaying, stopping, killing, settling, draining, sweeping, backoff, done:
		// nothing was being started
	}
	return m, nil
}

func (m machine) continued(ev event) (machine, []action) {
	switch m.state {
	case up, delaying, stopping, killing:
		m.jobStopped, m.heldStop = false, 0
		m = m.guard(ev.now)
		return m, tell(Event{Kind: CommandContinued, PID: m.pid})
	case down, starting, pausing, seeking, settling, draining, sweeping, backoff, done:
		// no command
	}
	return m, nil
}

// ended is the last moment in which the command's group can be signalled for
// certain: once its leader has been reaped, its number may belong to others.
func (m machine) ended() (machine, []action) {
	switch m.state {
	case up, delaying, stopping, killing:
		if m.cfg.EndSignal != 0 {
			return m, []action{{kind: actSendGroup, sig: m.cfg.EndSignal, from: m.cfg.EndSignal}}
		}
	case down, starting, pausing, seeking, settling, draining, sweeping, backoff, done:
		// no command
	}
	return m, nil
}

func (m machine) exited(ev event) (machine, []action) {
	switch m.state {
	case up, delaying, stopping, killing:
		m.result.Status, m.result.Usage = ev.status, ev.usage
		acts := tell(Event{Kind: CommandExited, PID: m.pid, Status: ev.status})
		if m.leaves(ev) {
			m, more := m.seek(ev)
			return m, append(acts, more...)
		}
		m.background = m.cfg.Type == ExecType && ev.status == 0 && !m.wantDown && ev.now.Sub(m.born) < quick
		m, more := m.end(ev, m.cfg.endingOf(ev.status))
		return m, append(acts, more...)
	case down, starting, pausing, seeking, settling, draining, sweeping, backoff, done:
		// no command
	}
	return m, nil
}

func (m machine) lost(ev event) (machine, []action) {
	switch m.state {
	case up, delaying, stopping, killing:
		m.result.Lost = true
		acts := tell(Event{Kind: CommandLost, PID: m.pid})
		m, more := m.end(ev, endLost)
		return m, append(acts, more...)
	case down, starting, pausing, seeking, settling, draining, sweeping, backoff, done:
		// no command
	}
	return m, nil
}

// end is that of an instance of the command.
func (m machine) end(ev event, how ending) (machine, []action) {
	if m.cause != endSuccess {
		how = m.cause
	}
	m = m.forget()
	m.waits, m.startBy, m.queued, m.heir = 0, time.Time{}, nil, 0
	m, acts := m.judge(ev, how)
	m, more := m.settle(ev)
	return m, append(acts, more...)
}

// forget forgets the process: from here its pid may belong to somebody else.
func (m machine) forget() machine {
	m.pid, m.deadline, m.barkAt = 0, time.Time{}, time.Time{}
	m.jobStopped, m.suspended, m.echo, m.heldStop, m.nudged = false, false, false, 0, false
	return m
}

func tell(ev Event) []action { return []action{{kind: actTell, tell: ev}} }
