package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// fakeProbe takes some time and then succeeds or fails, or ends with its context.
type fakeProbe struct {
	takes time.Duration
	err   error
}

func (p fakeProbe) start(ctx context.Context) <-chan error {
	result := make(chan error, 1)
	go func() {
		select {
		case <-time.After(p.takes):
			result <- p.err
		case <-ctx.Done():
			result <- ctx.Err()
		}
	}()
	return result
}

// watch is a loop around a Tracker, as a supervisor has one: it returns what happened at
// which second, and ends at the time given.
func watch(cfg Config, length time.Duration, probes []fakeProbe) (trace []string) {
	start := time.Now()
	end := time.NewTimer(length)
	tracker, _ := New(cfg).Started(start)
	var result <-chan error
	cancel := context.CancelFunc(func() {})
	begun := 0
	act := func(acts []Action) {
		for _, a := range acts {
			switch a.Kind {
			case Begin:
				var ctx context.Context
				ctx, cancel = context.WithDeadline(context.Background(), tracker.Due())
				result = probes[begun].start(ctx)
				begun++
			case End:
				cancel()
			case Tell:
			}
		}
		if len(acts) > 0 {
			trace = append(trace, fmt.Sprintf("%v: %s", time.Since(start), describe(acts)))
		}
	}
	for {
		var due <-chan time.Time
		if !tracker.Due().IsZero() {
			due = time.After(time.Until(tracker.Due()))
		}
		var acts []Action
		select {
		case err := <-result:
			result = nil
			cancel()
			tracker, acts = tracker.Finished(time.Now(), err)
		case <-due:
			tracker, acts = tracker.Wake(time.Now())
		case <-end.C:
			tracker, acts = tracker.Paused()
			act(acts)
			if result != nil {
				<-result //nolint:errcheck // it is of no interest any more
			}
			return trace
		}
		act(acts)
	}
}

// Driven by timers the Tracker keeps its times, and a probe is ended with its loop.
func TestLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("down")
		got := watch(Config{Interval: 10 * sec, Timeout: 3 * sec, Retries: 2, StartPeriod: 4 * sec, StartInterval: sec}, 59*sec, []fakeProbe{
			{sec, down}, {sec, nil}, {0, down}, {2 * sec, down}, {sec, nil}, {time.Hour, nil},
		})
		want := []string{
			"1s: begin", "2s: forgiven down in 1s",
			"3s: begin", "4s: success in 1s; starting -> healthy",
			"14s: begin", "14s: failure 1 down in 0s",
			"24s: begin", "26s: failure 2 down in 2s; healthy -> unhealthy",
			"36s: begin", "37s: success in 1s; unhealthy -> healthy",
			"47s: begin",
		}
		// The context of the last one and its timer fire at once; either has it fail.
		if len(got) <= len(want) || !slices.Equal(got[:len(want)], want) {
			t.Errorf("got %q,\nwant %q and a failure", got, want)
		}
		if tail := got[len(want):]; !slices.Equal(tail, []string{"50s: end; failure 1 timed out in 3s"}) &&
			!slices.Equal(tail, []string{"50s: failure 1 context deadline exceeded in 3s"}) {
			t.Errorf("at the end %q", tail)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		got := watch(Config{Interval: 10 * sec, Timeout: 3 * sec, Retries: 2}, 12*sec, []fakeProbe{{time.Hour, nil}})
		if want := []string{"10s: begin", "12s: end"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
