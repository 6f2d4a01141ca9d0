package health

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

var errProbe = errors.New("no")

func epoch() time.Time { return time.Unix(1_000_000_000, 0) }

// describe puts what is to be done into words.
func describe(acts []Action) string {
	var words []string
	for _, a := range acts {
		switch r := a.Result; a.Kind {
		case Begin:
			words = append(words, "begin")
		case End:
			words = append(words, "end")
		case Tell:
			what := "success"
			switch {
			case r.Forgiven:
				what = fmt.Sprintf("forgiven %v", r.Err)
			case r.Err != nil:
				what = fmt.Sprintf("failure %d %v", r.Failures, r.Err)
			case r.Failures != 0:
				what = "success after failures"
			}
			words = append(words, fmt.Sprintf("%s in %v", what, r.Took))
			if r.Changed() {
				words = append(words, r.Was.String()+" -> "+r.Is.String())
			}
		default:
			words = append(words, "nonsense")
		}
	}
	return strings.Join(words, "; ")
}

// moment is one thing that a Tracker is told, at a time, and what must follow.
type moment struct {
	at   time.Duration
	told string        // a method, "ok" or "fail" of the probe
	acts string        // what it wants done
	due  time.Duration // when it wants to be woken next; 0 is never
}

// tell calls the method.
func tell(t Tracker, told string, now time.Time) (Tracker, []Action) {
	switch told {
	case "started":
		return t.Started(now)
	case "paused":
		return t.Paused()
	case "resumed":
		return t.Resumed(now), nil
	case "wake":
		return t.Wake(now)
	case "ok":
		return t.Finished(now, nil)
	case "fail":
		return t.Finished(now, errProbe)
	}
	panic(told)
}

const sec = time.Second

func TestTracker(t *testing.T) {
	usual := Defaults()
	patient := Defaults()
	patient.StartPeriod = time.Minute
	twice := Config{Interval: 10 * sec, Timeout: 3 * sec, Retries: 2}
	for _, tt := range []struct {
		name    string
		cfg     Config
		moments []moment
		end     State
	}{
		{"the first probe an interval after the start, the next one after the end of each", usual, []moment{
			{0, "started", "", 30 * sec},
			{30*sec - 1, "wake", "", 30 * sec},
			{30 * sec, "wake", "begin", 35 * sec},
			{32 * sec, "ok", "success in 2s; starting -> healthy", 62 * sec},
			{62 * sec, "wake", "begin", 67 * sec},
			{63 * sec, "ok", "success in 1s", 93 * sec},
			{100 * sec, "wake", "begin", 105 * sec}, // late, and nothing is made up for
			{100 * sec, "ok", "success in 0s", 130 * sec},
		}, Healthy},

		{"unhealthy by as many failures in a row as there are retries, and healthy by one success", usual, []moment{
			{0, "started", "", 30 * sec},
			{30 * sec, "wake", "begin", 35 * sec},
			{30 * sec, "fail", "failure 1 no in 0s", 60 * sec},
			{60 * sec, "wake", "begin", 65 * sec},
			{60 * sec, "fail", "failure 2 no in 0s", 90 * sec},
			{90 * sec, "wake", "begin", 95 * sec},
			{90 * sec, "ok", "success in 0s; starting -> healthy", 120 * sec},
			{120 * sec, "wake", "begin", 125 * sec},
			{120 * sec, "fail", "failure 1 no in 0s", 150 * sec},
			{150 * sec, "wake", "begin", 155 * sec},
			{151 * sec, "fail", "failure 2 no in 1s", 181 * sec},
			{181 * sec, "wake", "begin", 186 * sec},
			{181 * sec, "fail", "failure 3 no in 0s; healthy -> unhealthy", 211 * sec},
			{211 * sec, "wake", "begin", 216 * sec},
			{211 * sec, "fail", "failure 4 no in 0s", 241 * sec},
			{241 * sec, "wake", "begin", 246 * sec},
			{241 * sec, "ok", "success in 0s; unhealthy -> healthy", 271 * sec},
		}, Healthy},

		{"out of time: a failure at once, and the next probe an interval after the killed one is gone", twice, []moment{
			{0, "started", "", 10 * sec},
			{10 * sec, "wake", "begin", 13 * sec},
			{13*sec - 1, "wake", "", 13 * sec},
			{13 * sec, "wake", "end; failure 1 timed out in 3s", 23 * sec},
			{14 * sec, "fail", "", 24 * sec},
			{24 * sec, "wake", "begin", 27 * sec},
			{27 * sec, "wake", "end; failure 2 timed out in 3s; starting -> unhealthy", 37 * sec},
			{28 * sec, "ok", "", 38 * sec}, // it has failed, whatever it says now
		}, Unhealthy},

		{"a probe that ends just in time, or is seen to before anybody asks for the time", twice, []moment{
			{0, "started", "", 10 * sec},
			{10 * sec, "wake", "begin", 13 * sec},
			{13 * sec, "ok", "success in 3s; starting -> healthy", 23 * sec},
			{23 * sec, "wake", "begin", 26 * sec},
			{27 * sec, "ok", "success in 4s", 37 * sec},
		}, Healthy},

		{"a probe that cannot be killed fails each time the next would be due", twice, []moment{
			{0, "started", "", 10 * sec},
			{10 * sec, "wake", "begin", 13 * sec},
			{13 * sec, "wake", "end; failure 1 timed out in 3s", 23 * sec},
			{23 * sec, "wake", "end; failure 2 last probe cannot be killed in 0s; starting -> unhealthy", 33 * sec},
			{33 * sec, "wake", "end; failure 3 last probe cannot be killed in 0s", 43 * sec},
			{40 * sec, "fail", "", 50 * sec},
			{50 * sec, "wake", "begin", 53 * sec},
			{50 * sec, "ok", "success in 0s; unhealthy -> healthy", 60 * sec},
		}, Healthy},

		{"no failure counts that began in the start period, in which the start interval is kept", patient, []moment{
			{0, "started", "", 5 * sec},
			{5 * sec, "wake", "begin", 10 * sec},
			{5 * sec, "fail", "forgiven no in 0s", 10 * sec},
			{10 * sec, "wake", "begin", 15 * sec},
			{15 * sec, "wake", "end; forgiven timed out in 5s", 20 * sec},
			{16 * sec, "fail", "", 21 * sec},
			{60*sec - 1, "wake", "begin", 65*sec - 1},
			{61 * sec, "fail", "forgiven no in 1.000000001s", 91 * sec},
			{91 * sec, "wake", "begin", 96 * sec},
			{91 * sec, "fail", "failure 1 no in 0s", 121 * sec},
		}, Starting},

		{"the start period is over at its last moment", patient, []moment{
			{0, "started", "", 5 * sec},
			{60 * sec, "wake", "begin", 65 * sec},
			{60 * sec, "fail", "failure 1 no in 0s", 90 * sec},
		}, Starting},

		{"the first success ends the start period", patient, []moment{
			{0, "started", "", 5 * sec},
			{5 * sec, "wake", "begin", 10 * sec},
			{5 * sec, "ok", "success in 0s; starting -> healthy", 35 * sec},
			{35 * sec, "wake", "begin", 40 * sec},
			{35 * sec, "fail", "failure 1 no in 0s", 65 * sec},
		}, Healthy},

		{"a restart begins anew", twice, []moment{
			{0, "started", "", 10 * sec},
			{10 * sec, "wake", "begin", 13 * sec},
			{10 * sec, "ok", "success in 0s; starting -> healthy", 20 * sec},
			{20 * sec, "wake", "begin", 23 * sec},
			{20 * sec, "fail", "failure 1 no in 0s", 30 * sec},
			{21 * sec, "paused", "", 0},
			{22 * sec, "wake", "", 0},
			{40 * sec, "started", "", 50 * sec},
			{50 * sec, "wake", "begin", 53 * sec},
			{50 * sec, "fail", "failure 1 no in 0s", 60 * sec},
		}, Starting},

		{"a probe of the instance that has ended says nothing about the next", twice, []moment{
			{0, "started", "", 10 * sec},
			{10 * sec, "wake", "begin", 13 * sec},
			{11 * sec, "paused", "end", 0},
			{12 * sec, "started", "", 22 * sec},
			{13 * sec, "ok", "", 23 * sec},
			{23 * sec, "wake", "begin", 26 * sec},
			{24 * sec, "started", "end", 34 * sec}, // also if nobody has told of the end
			{24 * sec, "fail", "", 34 * sec},
		}, Starting},

		{"one that cannot be killed does", twice, []moment{
			{0, "started", "", 10 * sec},
			{10 * sec, "wake", "begin", 13 * sec},
			{11 * sec, "started", "end", 21 * sec},
			{21 * sec, "wake", "end; failure 1 last probe cannot be killed in 0s", 31 * sec},
			{22 * sec, "paused", "", 0}, // it has been killed
			{23 * sec, "fail", "", 0},
			{24 * sec, "resumed", "", 34 * sec},
		}, Starting},

		{"stopped by job control, and continued", twice, []moment{
			{0, "started", "", 10 * sec},
			{10 * sec, "wake", "begin", 13 * sec},
			{10 * sec, "ok", "success in 0s; starting -> healthy", 20 * sec},
			{15 * sec, "paused", "", 0},
			{16 * sec, "paused", "", 0},
			{60 * sec, "resumed", "", 70 * sec},
			{61 * sec, "resumed", "", 70 * sec},
			{70 * sec, "wake", "begin", 73 * sec},
			{71 * sec, "paused", "end", 0},
			{72 * sec, "resumed", "", 82 * sec},
			{72 * sec, "fail", "", 82 * sec},
		}, Healthy},

		{"what comes when nothing is under way", twice, []moment{
			{0, "wake", "", 0},
			{0, "ok", "", 0},
			{0, "paused", "", 0},
			{0, "resumed", "", 0},
			{1 * sec, "started", "", 11 * sec},
			{2 * sec, "fail", "", 11 * sec},
		}, Starting},

		{"no check", Config{}, []moment{
			{0, "started", "", 0},
			{0, "wake", "", 0},
			{0, "ok", "", 0},
			{0, "resumed", "", 0},
			{0, "paused", "", 0},
		}, None},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tracker := New(tt.cfg)
			for _, m := range tt.moments {
				var acts []Action
				tracker, acts = tell(tracker, m.told, epoch().Add(m.at))
				var due time.Duration
				if !tracker.Due().IsZero() {
					due = tracker.Due().Sub(epoch())
				}
				if got := describe(acts); got != m.acts || due != m.due {
					t.Errorf("%v %s: %q, due at %v; want %q, at %v", m.at, m.told, got, due, m.acts, m.due)
				}
			}
			if tracker.State() != tt.end {
				t.Errorf("%v at the end, want %v", tracker.State(), tt.end)
			}
		})
	}
}

// A method changes nothing but what it returns: the loop may keep the old value.
func TestTrackerIsAValue(t *testing.T) {
	first, _ := New(Defaults()).Started(epoch())
	before := first
	second, _ := first.Wake(epoch().Add(time.Minute))
	second.Finished(epoch().Add(time.Minute), nil)
	if first != before || second == first {
		t.Errorf("%+v has become %+v", before, first)
	}
	if second.Failures() != 0 || second.State() != Starting {
		t.Errorf("%v with %d failures, and no probe has ended", second.State(), second.Failures())
	}
}

func TestStateNames(t *testing.T) {
	for s, want := range map[State]string{None: "none", Starting: "starting", Healthy: "healthy", Unhealthy: "unhealthy", 9: "unknown"} {
		if got := s.String(); got != want {
			t.Errorf("%d is %q, want %q", s, got, want)
		}
	}
}
