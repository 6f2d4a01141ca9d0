package health

import (
	"errors"
	"time"
)

// State is the health of a command. Its text is the word of docker inspect.
type State uint8

// The states of a command's health.
const (
	None      State = iota // there is no check, or the command was never started
	Starting               // no probe has succeeded yet
	Healthy                // it works, as far as is known
	Unhealthy              // the last probes have failed, as many as there are retries or more
)

func (s State) String() string {
	switch s {
	case None:
		return "none"
	case Starting:
		return "starting"
	case Healthy:
		return "healthy"
	case Unhealthy:
		return "unhealthy"
	}
	return "unknown"
}

// ActionKind is what a [Tracker] wants done.
type ActionKind uint8

const (
	// Begin a probe. When it has ended, also if it could not be begun, Finished is
	// to be called.
	Begin ActionKind = iota + 1
	// End the probe that is under way, by killing it: it is out of time, or of no
	// interest any more. Finished is still to be called, once it is gone. It comes
	// again while the probe does not go.
	End
	// Tell what a probe has brought: Result is set.
	Tell
)

// Action is one thing to be done.
type Action struct {
	Kind   ActionKind
	Result Result
}

// Result is what a probe has brought, for a log.
type Result struct {
	// Err is why the probe failed, ErrTimeout or ErrStuck if it is not its own; nil
	// is a success.
	Err error
	// Took is how long it took, or until it was out of time.
	Took time.Duration
	// Failures is the number of failures in a row, this one included if it counts.
	Failures int
	// Forgiven is a failure in the start period, which does not count.
	Forgiven bool
	// Was and Is are the health before and after.
	Was, Is State
}

// Changed reports whether the health of the command is another one now.
func (r Result) Changed() bool { return r.Was != r.Is }

var (
	// ErrTimeout is the failure of a probe that was out of time.
	ErrTimeout = errors.New("timed out")
	// ErrStuck is that of one that could not be begun, as the last one was killed and
	// is still there: it waits for a device, or belongs to another user.
	ErrStuck = errors.New("last probe cannot be killed")
)

// Tracker follows the health of a command. It is a value: each method returns what
// is so afterwards, and the actions to be carried out, in their order. The zero
// Tracker has no check: it is never due.
//
// Times must come from one clock and never go back.
type Tracker struct {
	cfg      Config
	state    State
	failures int       // in a row
	started  time.Time // when the command was
	watching bool      // the command is up, and is to be probed
	running  bool      // a probe was begun and is not gone yet
	void     bool      // how it ends does not matter any more
	began    time.Time // when it was begun
	next     time.Time // when the next is to begin
}

// New is a Tracker for a command that has not been started. The configuration must be
// valid.
func New(cfg Config) Tracker { return Tracker{cfg: cfg} }

// State is the health now. It stays as it was while the command is not probed.
func (t Tracker) State() State { return t.state }

// Failures is the number of failures in a row.
func (t Tracker) Failures() int { return t.failures }

// Started tells that the command was started, also for another time. Nothing that was
// before matters any more.
func (t Tracker) Started(now time.Time) (Tracker, []Action) {
	if t.cfg.Interval == 0 {
		return t, nil
	}
	t, acts := t.Paused()
	t.state, t.failures, t.started = Starting, 0, now
	return t.Resumed(now), acts
}

// Paused tells that the command is not to be probed: it has ended, it has been asked
// to, or job control has stopped it.
func (t Tracker) Paused() (Tracker, []Action) {
	t.watching = false
	if !t.running || t.void {
		return t, nil
	}
	t.void = true
	return t, []Action{{Kind: End}}
}

// Resumed tells that the command is to be probed again, an interval from now.
func (t Tracker) Resumed(now time.Time) Tracker {
	if !t.watching && t.state != None {
		t.watching, t.next = true, now.Add(t.interval(now))
	}
	return t
}

// Due is when Wake is to be called, if nothing else happens before; zero is never.
// After Begin it is when the probe will be out of time.
func (t Tracker) Due() time.Time {
	switch {
	case !t.watching:
		return time.Time{}
	case t.running && !t.void:
		return t.began.Add(t.cfg.Timeout)
	}
	return t.next
}

// Wake tells that the time of Due has come. It does nothing if it has not. Who can see
// that a probe has ended calls Finished first, as that may have been in time.
func (t Tracker) Wake(now time.Time) (Tracker, []Action) {
	due := t.Due()
	if due.IsZero() || now.Before(due) {
		return t, nil
	}
	if !t.running {
		t.running, t.began = true, now
		return t, []Action{{Kind: Begin}}
	}
	why := ErrTimeout
	if t.void {
		// A killed probe that does not go would be the last one, and what hangs with
		// it would be healthy for ever.
		why, t.began = ErrStuck, now
	}
	t, result := t.judge(now, why)
	t.void, t.next = true, now.Add(t.interval(now))
	return t, []Action{{Kind: End}, result}
}

// Finished tells that the probe is gone; err is why it failed, nil for a success.
func (t Tracker) Finished(now time.Time, err error) (Tracker, []Action) {
	if !t.running {
		return t, nil
	}
	var acts []Action
	if !t.void {
		var result Action
		t, result = t.judge(now, err)
		acts = []Action{result}
	}
	t.running, t.void, t.next = false, false, now.Add(t.interval(now))
	return t, acts
}

// judge takes in how the probe ended that was begun last.
func (t Tracker) judge(now time.Time, err error) (Tracker, Action) {
	result := Result{Err: err, Took: now.Sub(t.began), Was: t.state}
	switch {
	case err == nil:
		t.failures, t.state = 0, Healthy
	case t.state == Starting && t.early(t.began):
		result.Forgiven = true
	default:
		t.failures++
		if t.failures >= t.cfg.Retries {
			t.state = Unhealthy
		}
	}
	result.Failures, result.Is = t.failures, t.state
	return t, Action{Kind: Tell, Result: result}
}

// interval is the time to the next probe.
func (t Tracker) interval(now time.Time) time.Duration {
	if t.state == Starting && t.early(now) {
		return t.cfg.startInterval()
	}
	return t.cfg.Interval
}

// early reports whether a time is in the start period.
func (t Tracker) early(at time.Time) bool { return at.Sub(t.started) < t.cfg.StartPeriod }
