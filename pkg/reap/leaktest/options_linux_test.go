package leaktest

import (
	"strings"
	"testing"
)

func TestIgnoreCurrent(t *testing.T) {
	if !alone(t) {
		return
	}
	start(t, "sh", "-c", "sleep 1002; :")
	orphan(t, "exec sleep 1003")
	start(t, "true")
	await(t, "sh -c sleep 1002; :: child still running", "sleep 1002: descendant still running",
		"sleep 1003: orphan still running", "true: child exited, never waited for: a Wait is missing")
	ignore := IgnoreCurrent()
	if leaks := found(t, ignore); len(leaks) != 0 {
		t.Errorf("got %v", leaks)
	}
	start(t, "sleep", "1004")
	if leaks := found(t, IgnoreCurrent(), ignore); len(leaks) != 0 {
		t.Errorf("both: %v", leaks)
	}
	wantLeaks(t, verifyNone(ignore, MaxWait(0)), `child still running .*: "sleep 1004", .*`)
	// What is excluded lives on.
	await(t, "sh -c sleep 1002; :: child still running", "sleep 1002: descendant still running",
		"sleep 1003: orphan still running", "true: child exited, never waited for: a Wait is missing")
	_ = verifyNone(MaxWait(0))
	wantNothingRuns(t)
}

func TestIgnoreCommand(t *testing.T) {
	if !alone(t) {
		return
	}
	start(t, "sleep", "1001")
	start(t, "sh", "-c", "sleep 1002; :")
	start(t, "true")
	const (
		sleep = "sleep 1001: child still running"
		shell = "sh -c sleep 1002; :: child still running"
		below = "sleep 1002: descendant still running"
		over  = "true: child exited, never waited for: a Wait is missing"
	)
	await(t, sleep, shell, below, over)
	for pattern, want := range map[string][]string{
		"^sleep 1001$":       {shell, below, over},
		"1002":               {sleep, over},
		"^sh -c":             {below, sleep, over},
		"^true$":             {shell, below, sleep},
		"nobody has it":      {shell, below, sleep, over},
		`^(sleep|true)\b`:    {shell},
		"(?s)^.*$":           nil,
		"^sh$|^sleep$|1001;": {shell, below, sleep, over},
	} {
		got := kinds(found(t, IgnoreCommand(pattern)))
		if len(got) != len(want) {
			t.Errorf("%s: got %q, want %q", pattern, got, want)
		}
		for _, one := range want {
			if !strings.Contains(strings.Join(got, "\n"), one) {
				t.Errorf("%s: got %q, want %q", pattern, got, want)
			}
		}
	}
	if leaks := found(t, IgnoreCommand("^sleep"), IgnoreCommand("^sh"), IgnoreCommand("true")); len(leaks) != 0 {
		t.Errorf("all: %v", leaks)
	}
	wantLeaks(t, verifyNone(IgnoreCommand("^sleep 1001$"), MaxWait(0)),
		`child still running .*: "sh .*`, `descendant still running .*: "sleep 1002", .*`, `child exited, .*`)
	await(t, sleep) // it lives on
	_ = verifyNone(MaxWait(0))
}

// A mistake in the test is not taken for a pattern that matches nothing.
func TestBadPattern(t *testing.T) {
	defer func() {
		got, _ := recover().(string)
		if !strings.HasPrefix(got, `leaktest: IgnoreCommand("a("): error parsing regexp: missing closing )`) {
			t.Errorf("got %q", got)
		}
	}()
	IgnoreCommand("a(")
	t.Error("no panic")
}
