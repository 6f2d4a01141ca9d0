package leaktest

import (
	"strings"
	"testing"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
)

func TestLeakError(t *testing.T) {
	sleep := Leak{
		Proc: reap.Proc{PID: 12, PPID: 11, State: 'S', Name: "sleep"}, Kind: Descendant,
		Age: 1500 * time.Millisecond, Args: []string{"sleep", "1 2"}, Ancestors: []string{"a.test", "sh"},
	}
	odd := Leak{
		Proc: reap.Proc{PID: 13, PPID: 10, State: 'Z', Name: "a\nb"}, Kind: Unwaited,
		Ancestors: []string{"a\x80 test"},
	}
	hidden := Leak{Proc: reap.Proc{PID: 14, PPID: 10}, Kind: Child, Args: []string{"", ""}, Ancestors: []string{"a b"}}
	long := Leak{
		Proc: reap.Proc{PID: 15, PPID: 10, State: 'R', Name: "long"}, Kind: Orphan,
		Args: []string{strings.Repeat("é\n", maxCommand)}, Ancestors: []string{"a"},
	}
	const first = `descendant still running (pid 12, age 1.5s, state S, ppid 11): "sleep 1 2", under a.test > sh`
	if got, want := (&LeakError{[]Leak{sleep}}).Error(), "a process has leaked:\n\t"+first; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got := strings.Split((&LeakError{[]Leak{sleep, odd, hidden, long}}).Error(), "\n\t")
	want := []string{
		"4 processes have leaked:", first,
		`child exited, never waited for: a Wait is missing (pid 13, age 0s, state Z, ppid 10): ["a\nb"], under "a\x80 test"`,
		`child still running (pid 14, age 0s, state ?, ppid 10): " ", under a b`,
		`orphan still running (pid 15, age 0s, state R, ppid 10): "` + strings.Repeat(`é\n`, 100) + `"..., under a`,
	}
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
	if got := Kind(7).String(); got != "kind 7" {
		t.Errorf("got %s", got)
	}
}

func TestLeakCommand(t *testing.T) {
	for want, args := range map[string][]string{
		"a b c": {"a", "b c"}, "name": nil, " ": {"", ""}, "a ": {"a", ""},
	} {
		if got := (Leak{Args: args, Proc: reap.Proc{Name: "name"}}).command(); got != want {
			t.Errorf("%q: got %q, want %q", args, got, want)
		}
	}
	if got := (Leak{Args: []string{""}, Proc: reap.Proc{Name: "name"}}).command(); got != "name" {
		t.Errorf("an empty first argument: got %q", got)
	}
}
