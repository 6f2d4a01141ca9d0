package notify

import "testing"

func TestReadiness(t *testing.T) {
	for _, c := range []struct {
		text string
		want [4]Readiness // after Starting, Ready, Reloading, Stopping
	}{
		{"STATUS=x", [4]Readiness{Starting, Ready, Reloading, Stopping}},
		{"READY=1", [4]Readiness{Ready, Ready, Ready, Stopping}},
		{"RELOADING=1", [4]Readiness{Starting, Reloading, Reloading, Stopping}},
		{"STOPPING=1", [4]Readiness{Stopping, Stopping, Stopping, Stopping}},
		{"RELOADING=1\nREADY=1", [4]Readiness{Ready, Ready, Ready, Stopping}},
		{"READY=1\nSTOPPING=1", [4]Readiness{Stopping, Stopping, Stopping, Stopping}},
	} {
		m := parse([]byte(c.text))
		for before, want := range c.want {
			if got := Readiness(before).After(&m); got != want {
				t.Errorf("%s after %q: %s, want %s", Readiness(before), c.text, got, want)
			}
		}
	}
}

func TestReadinessString(t *testing.T) {
	for r, want := range map[Readiness]string{
		Starting: "starting", Ready: "ready", Reloading: "reloading", Stopping: "stopping", 9: "unknown",
	} {
		if got := r.String(); got != want {
			t.Errorf("%d: %q", r, got)
		}
	}
}
