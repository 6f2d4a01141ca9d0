package health

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// The model test drives a Tracker through sequences that no loop would give it. A witness
// holds what it wants done against rules that are true of any sequence, from what has
// happened instead of from states. A tape of bytes chooses the timing and what is told,
// so the random test and the fuzzer share everything: three bytes for the timing, then
// two for each thing that is told, which and how much later.

// TestModel plays random tapes.
func TestModel(t *testing.T) {
	const tapes, longest = 20000, 120
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	for i := range tapes {
		tape := make([]byte, 3+rnd.IntN(longest))
		for j := range tape {
			tape[j] = byte(rnd.Uint32())
		}
		if err := play(tape); err != nil {
			t.Fatalf("seed %d, tape %d: %v\nto try it again: f.Add(%#v) in FuzzTracker", seed, i, err, tape)
		}
	}
}

// FuzzTracker plays tapes that the fuzzer makes.
func FuzzTracker(f *testing.F) {
	f.Add([]byte{})
	// Started; a success; failures until it is unhealthy; a success.
	f.Add([]byte{2, 0, 0, opStarted, 0, opDue, 0, opOK, 1, opDue, 0, opFail, 1, opDue, 0, opFail, 1, opDue, 0, opFail, 1, opDue, 0, opOK, 1})
	// Out of time, killed, and stuck.
	f.Add([]byte{1, 0, 0, opStarted, 0, opDue, 0, opDue, 0, opFail, 1, opDue, 0, opDue, 0, opDue, 0, opDue, 0, opOK, 9})
	// Failures in the start period, a restart with a probe under way, job control.
	f.Add([]byte{0, 9, 1, opStarted, 0, opDue, 0, opFail, 1, opDue, 0, opStarted, 1, opOK, 1, opDue, 0, opPaused, 1, opResumed, 1, opFail, 0, opDue, 0, opFail, 0})
	f.Fuzz(func(t *testing.T, tape []byte) {
		if err := play(tape); err != nil {
			t.Fatal(err)
		}
	})
}

const (
	opDue  = iota // wake when it is due, if ever; else whenever it is
	opLate        // wake some time after that
	opWake        // wake whenever it is
	opOK
	opFail
	opStarted
	opPaused
	opResumed
	ops
)

// play is the first rule that a tape breaks.
func play(tape []byte) error {
	if len(tape) < 3 {
		return nil
	}
	cfg := Config{
		Interval:      time.Duration(1+tape[1]%16) * sec,
		Timeout:       time.Duration(1+tape[0]>>4) * sec,
		Retries:       1 + int(tape[0]%4),
		StartPeriod:   time.Duration(tape[1]>>4) * 2 * sec,
		StartInterval: time.Duration(tape[2]%8) * sec,
	}
	tracker, w := New(cfg), witness{cfg: cfg}
	now := epoch()
	for i := 3; i+1 < len(tape); i += 2 {
		op, later := tape[i]%ops, time.Duration(tape[i+1])*sec/8
		due := tracker.Due()
		switch {
		case op != opDue && op != opLate:
			now = now.Add(later)
		case !due.IsZero():
			now = latest(now, due)
			if op == opLate {
				now = now.Add(later)
			}
		}
		told := []string{"wake", "wake", "wake", "ok", "fail", "started", "paused", "resumed"}[op]
		before := tracker
		var acts []Action
		tracker, acts = tell(tracker, told, now)
		if err := w.check(before, tracker, told, now, acts); err != nil {
			return fmt.Errorf("%+v, %v after the epoch: %s did %q: %w", cfg, now.Sub(epoch()), told, describe(acts), err)
		}
	}
	return nil
}

// latest is the later of two times.
func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// witness knows what has happened.
type witness struct {
	cfg     Config
	started time.Time // zero: never
	up      bool      // and to be probed
	probing bool      // there has been a begin, and not been told that it is gone
	judged  bool      // that probe has been judged, or is not to be
	began   time.Time
	since   time.Time // since when there has been no probe: the start, or the end of one
	streak  int       // failures since the last success, or the start
	ever    bool      // there was a success since the start
	state   State
}

// check is the rule that is broken.
func (w *witness) check(before, after Tracker, told string, now time.Time, acts []Action) error {
	due := before.Due()
	wasProbing := w.probing
	w.take(told, now)
	for _, a := range acts {
		if err := w.act(a, told, due, now); err != nil {
			return err
		}
	}
	if told == "ok" || told == "fail" {
		if wasProbing && !w.judged && w.up {
			return fmt.Errorf("nobody is told how the probe ended")
		}
	}
	switch {
	case after.State() != w.state || after.Failures() != w.streak:
		return fmt.Errorf("it is %v with %d failures, not %v with %d", after.State(), after.Failures(), w.state, w.streak)
	case w.up == after.Due().IsZero():
		return fmt.Errorf("to be probed is %v, and due at %v", w.up, after.Due())
	case told == "wake" && w.up && !after.Due().After(now):
		return fmt.Errorf("woken, and due at %v, which is not later", after.Due())
	case told == "wake" && !due.IsZero() && !now.Before(due) && len(acts) == 0:
		return fmt.Errorf("it was due, and nothing came of it")
	case told != "wake" && !after.Due().Equal(due) && !after.Due().IsZero() && !after.Due().After(now):
		return fmt.Errorf("due at %v, which is not later", after.Due())
	case w.up && after.Due().Sub(now) > max(w.cfg.Interval, w.cfg.startInterval(), w.cfg.Timeout):
		return fmt.Errorf("due in %v, later than after any interval or timeout", after.Due().Sub(now))
	}
	return nil
}

// take notes what the Tracker is told.
func (w *witness) take(told string, now time.Time) {
	switch told {
	case "started":
		w.started, w.up, w.since, w.judged = now, true, now, true
		w.streak, w.ever, w.state = 0, false, Starting
	case "paused":
		w.up, w.judged = false, true
	case "resumed":
		if !w.up && !w.started.IsZero() {
			w.up, w.since = true, now
		}
	case "ok", "fail":
		if w.probing {
			w.probing, w.since = false, now
		}
	}
}

// act is what is wrong with one action.
func (w *witness) act(a Action, told string, due, now time.Time) error {
	switch a.Kind {
	case Begin:
		switch {
		case w.probing:
			return fmt.Errorf("two probes at once")
		case !w.up:
			return fmt.Errorf("a probe of what is not up")
		case told != "wake" || now.Before(due):
			return fmt.Errorf("a probe that is not due")
		case now.Sub(w.since) < min(w.cfg.Interval, w.cfg.startInterval()):
			return fmt.Errorf("a probe %v after the last", now.Sub(w.since))
		case now.Sub(w.since) < w.cfg.Interval && (w.ever || w.since.Sub(w.started) >= w.cfg.StartPeriod):
			return fmt.Errorf("a probe %v after the last, which was no more in the start period", now.Sub(w.since))
		}
		w.probing, w.judged, w.began = true, false, now
	case End:
		if !w.probing {
			return fmt.Errorf("an end of no probe")
		}
	case Tell:
		return w.judge(a.Result, told, now)
	}
	return nil
}

// judge is what is wrong with a verdict.
func (w *witness) judge(r Result, told string, now time.Time) error {
	began := w.began
	switch {
	case told == "wake" && !w.judged && now.Sub(w.began) >= w.cfg.Timeout && errors.Is(r.Err, ErrTimeout):
	case told == "wake" && w.judged && w.probing && errors.Is(r.Err, ErrStuck):
		began = now
	case told == "ok" && !w.judged && r.Err == nil:
	case told == "fail" && !w.judged && errors.Is(r.Err, errProbe):
	default:
		return fmt.Errorf("judged: %w", r.Err)
	}
	w.judged = true
	forgiven := r.Err != nil && !w.ever && began.Sub(w.started) < w.cfg.StartPeriod && w.streak < w.cfg.Retries
	switch {
	case r.Err == nil:
		w.streak, w.ever = 0, true
	case !forgiven:
		w.streak++
	}
	was := w.state
	switch {
	case r.Err == nil:
		w.state = Healthy
	case w.streak >= w.cfg.Retries:
		w.state = Unhealthy
	}
	if want := (Result{r.Err, now.Sub(began), w.streak, forgiven, was, w.state}); r != want {
		return fmt.Errorf("told %+v, not %+v", r, want)
	}
	return nil
}

// What docker's monitor does, told as it would be of one container that is never stopped:
// wait, probe, judge, and again. The Tracker does the same at the same times.
func TestReference(t *testing.T) {
	const scripts, probes = 3000, 25
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	for i := range scripts {
		cfg := Config{
			Interval: time.Duration(1+rnd.IntN(20)) * sec, Timeout: time.Duration(1+rnd.IntN(10)) * sec, Retries: 1 + rnd.IntN(4),
			StartPeriod: time.Duration(rnd.IntN(3)*rnd.IntN(60)) * sec, StartInterval: time.Duration(1+rnd.IntN(8)) * sec,
		}
		script := make([]scripted, probes)
		for j := range script {
			script[j] = scripted{took: time.Duration(rnd.IntN(12000)) * time.Millisecond, fails: rnd.IntN(2) == 0}
		}
		want, got := reference(cfg, script), tracked(cfg, script)
		for j := range want {
			if got[j] != want[j] {
				t.Fatalf("seed %d, script %d, %+v: probe %d is %+v, want %+v", seed, i, cfg, j, got[j], want[j])
			}
		}
	}
}

// scripted is a probe; killed, it is gone at once.
type scripted struct {
	took  time.Duration
	fails bool
}

// seen is what can be seen of one, in times since the start.
type seen struct {
	began, ended time.Duration
	state        State
	streak       int
}

func reference(cfg Config, script []scripted) (trace []seen) {
	now, streak, state := time.Duration(0), 0, Starting
	for _, probe := range script {
		if state == Starting && now < cfg.StartPeriod {
			now += cfg.StartInterval
		} else {
			now += cfg.Interval
		}
		began := now
		now += min(probe.took, cfg.Timeout)
		if probe.fails || probe.took > cfg.Timeout {
			if state != Starting || began >= cfg.StartPeriod {
				streak++
			}
			if streak >= cfg.Retries {
				state = Unhealthy
			}
		} else {
			streak, state = 0, Healthy
		}
		trace = append(trace, seen{began, now, state, streak})
	}
	return trace
}

func tracked(cfg Config, script []scripted) (trace []seen) {
	t, _ := New(cfg).Started(epoch())
	for _, probe := range script {
		began := t.Due()
		t, _ = t.Wake(began)
		ended := began.Add(probe.took)
		if ended.After(t.Due()) {
			ended = t.Due()
			t, _ = t.Wake(ended)
		}
		var err error
		if probe.fails {
			err = errProbe
		}
		t, _ = t.Finished(ended, err)
		trace = append(trace, seen{began.Sub(epoch()), ended.Sub(epoch()), t.State(), t.Failures()})
	}
	return trace
}
