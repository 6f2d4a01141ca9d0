package supervise

import (
	"math"
	"syscall"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
)

// RestartPolicy tells after which ends the command is started again.
type RestartPolicy uint8

const (
	// RestartNever never does.
	RestartNever RestartPolicy = iota
	// RestartOnSuccess starts again what has succeeded.
	RestartOnSuccess
	// RestartOnFailure starts again what has failed, in whatever way.
	RestartOnFailure
	// RestartOnAbnormal starts again what a signal has ended, or Run itself because it
	// did not work, but not what has exited by itself.
	RestartOnAbnormal
	// RestartAlways starts it again, whatever was.
	RestartAlways
)

// ending is how an instance of the command has ended, as far as the policies care.
type ending uint8

const (
	endSuccess   ending = iota // code 0, a signal that asks for the end, or what Config.OKExit has
	endCode                    // another exit code
	endSignal                  // another signal
	endNoStart                 // it could not be started
	endNoDaemon                // it left none, or nobody knows which
	endUnready                 // it was stopped because it was not ready in time
	endWatchdog                // because it gave no sign of life
	endUnhealthy               // because its health checks failed
	endLost                    // nobody knows
)

// restarts is the table of the policies.
func (p RestartPolicy) restarts(end ending) bool {
	switch p {
	case RestartNever:
		return false
	case RestartOnSuccess:
		return end == endSuccess
	case RestartOnFailure:
		return end != endSuccess
	case RestartOnAbnormal:
		return end == endSignal || end == endUnready || end == endWatchdog || end == endUnhealthy
	case RestartAlways:
		return true
	}
	return false
}

// byItself reports an end that came by the command, with a status that is known.
func (e ending) byItself() bool { return e == endSuccess || e == endCode || e == endSignal }

// endingOf sorts an end by its status. As in systemd, HUP, INT, TERM and PIPE count as
// success: who sends them asks for the end (systemd.service(5), Restart=).
func (c *Config) endingOf(status reap.Status) ending {
	switch sig := status.Signal(); {
	case c.OKExit.Has(status), status == reap.ExitStatus(0):
		return endSuccess
	case sig == 0:
		return endCode
	case sig == syscall.SIGHUP, sig == syscall.SIGINT, sig == syscall.SIGTERM, sig == syscall.SIGPIPE:
		return endSuccess
	default:
		return endSignal
	}
}

// judge decides, when an instance of the command has ended, whether there is to be
// another one.
func (m machine) judge(ev event, end ending) (machine, []action) {
	if !m.born.IsZero() && ev.now.Sub(m.born) >= m.cfg.RestartReset {
		m.failures, m.delay = 0, 0
	}
	m.born = time.Time{}
	if end == endSuccess {
		m.failures = 0
	} else {
		m.failures++
	}
	m.again = false
	switch {
	case m.wantDown, !m.cfg.Restart.restarts(end), end.byItself() && m.cfg.NoRestartExit.Has(m.result.Status):
		return m, nil
	case m.cfg.RestartFailures > 0 && m.failures >= m.cfg.RestartFailures:
		return m, tell(Event{Kind: GaveUp, PID: m.result.PID, Count: m.failures})
	}
	m.again = true
	return m, nil
}

// finish follows when the command has ended and what it left has been dealt with.
func (m machine) finish(ev event) (machine, []action) {
	m.deadline = time.Time{}
	if !m.again {
		m.state, m.limit = done, time.Time{}
		return m, nil
	}
	m.again, m.delay = false, m.nextDelay()
	wait := min(time.Duration(float64(m.delay)*(1+jitter*ev.chance)), longestDelay)
	m.state, m.deadline = backoff, ev.now.Add(wait)
	return m, []action{{kind: actConclude}, {kind: actTell, tell: Event{
		Kind: Restarting, PID: m.result.PID, Status: m.result.Status, Err: m.result.Err, After: wait, Count: m.failures,
	}}}
}

// jitter is the share of the delay that chance adds, so that what has failed together
// does not come back together.
const jitter = 0.1

// longestDelay is where no computation overflows.
const longestDelay = time.Duration(math.MaxInt64 / 4)

// nextDelay is the delay after this one.
func (m machine) nextDelay() time.Duration {
	first := min(m.cfg.RestartDelay, longestDelay)
	if m.delay == 0 {
		return first
	}
	longest := longestDelay
	if m.cfg.RestartMaxDelay > 0 {
		longest = max(m.cfg.RestartMaxDelay, first)
	}
	return time.Duration(min(float64(m.delay)*max(m.cfg.RestartFactor, 1), float64(longest)))
}

// cancelRestart is a stop request while there is no command, and would be one again.
func (m machine) cancelRestart(ev event) (machine, []action) {
	m.again = false
	return m, tell(Event{Kind: RestartCancelled, PID: m.result.PID, Signal: ev.from})
}
