package main

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
	"github.com/reaper-init/reaper/pkg/supervise"
)

// okList is the set that --ok-exit makes of a list.
func okList(t *testing.T, list string) (set supervise.ExitSet) {
	t.Helper()
	if list == "" {
		return set
	}
	if err := (exitsValue{&set}).Set(list); err != nil {
		t.Fatal(err)
	}
	return set
}

func exited(code int) supervise.Result {
	return supervise.Result{PID: 7, Status: reap.ExitStatus(code)}
}

func killed(sig syscall.Signal) supervise.Result {
	return supervise.Result{PID: 7, Status: reap.SignalStatus(sig)}
}

func because(res supervise.Result, cause supervise.Cause) supervise.Result {
	res.Cause = cause
	return res
}

func aborted(sig syscall.Signal) supervise.Result { return supervise.Result{Aborted: sig} }

func notStarted(op string, found bool, err error) error {
	return fmt.Errorf("run: %w", &reap.StartError{Op: op, Path: "x", Found: found, Err: err})
}

func TestExitOf(t *testing.T) {
	const core = reap.Status(0x80)
	dumped := supervise.Result{Status: reap.SignalStatus(unix.SIGABRT) | core}
	for _, test := range []struct {
		name      string
		res       supervise.Result
		err       error
		ok        string
		raise     bool
		code      int
		wantRaise syscall.Signal
	}{
		{"exit 0", exited(0), nil, "", false, 0, 0},
		{"exit 1", exited(1), nil, "", false, 1, 0},
		{"exit 255", exited(255), nil, "", false, 255, 0},
		{"its own 125", exited(125), nil, "", false, 125, 0},
		{"killed", killed(15), nil, "", false, 143, 0},
		{"killed by a real-time signal", killed(64), nil, "", false, 192, 0},
		{"dumped core (pitfall 22)", dumped, nil, "", false, 134, 0},
		{"aborted", aborted(2), nil, "", false, 130, 0},
		{"not ready", because(killed(15), supervise.CauseNotReady), nil, "", true, 124, 0},
		{"no sign of life", because(killed(6), supervise.CauseWatchdog), nil, "", true, 134, 6},
		{"no sign of life, and ended by itself", because(exited(3), supervise.CauseWatchdog), nil, "", false, 3, 0},
		{"no sign of life, and ended well", because(exited(0), supervise.CauseWatchdog), nil, "", false, 1, 0},
		{"not started again", supervise.Result{PID: 7, Err: notStarted("exec", false, unix.ENOENT)}, nil, "", false, 127, 0},
		{"no daemon", supervise.Result{PID: 7, Err: &supervise.FollowError{}}, nil, "", false, 125, 0},
		{"lost", supervise.Result{PID: 7, Lost: true}, nil, "", false, 125, 0},
		{"reaper failed", supervise.Result{}, errors.New("x"), "", false, 125, 0},

		{"raise exit", exited(143), nil, "", true, 143, 0},
		{"raise exit 0", exited(0), nil, "", true, 0, 0},
		{"raise killed", killed(15), nil, "", true, 143, 15},
		{"raise core", dumped, nil, "", true, 134, 6},
		{"raise aborted", aborted(3), nil, "", true, 131, 3},
		{"raise lost", supervise.Result{Lost: true}, nil, "", true, 125, 0},
		{"raise failed", supervise.Result{}, errors.New("x"), "", true, 125, 0},
		{"raise not found", supervise.Result{}, notStarted("find", false, unix.ENOENT), "", true, 127, 0},

		{"ok code", exited(3), nil, "3", false, 0, 0},
		{"ok other code", exited(4), nil, "3", false, 4, 0},
		{"ok 143, chosen", exited(143), nil, "143", false, 0, 0},
		{"ok 143, by TERM", killed(15), nil, "143", false, 0, 0},
		{"ok TERM, by TERM", killed(15), nil, "TERM", false, 0, 0},
		{"ok TERM, chosen", exited(143), nil, "TERM", false, 143, 0},
		{"ok TERM, by INT", killed(2), nil, "TERM", false, 130, 0},
		{"ok aborted, by signal", aborted(15), nil, "TERM", false, 0, 0},
		{"ok aborted, by code", aborted(15), nil, "143", false, 0, 0},
		{"ok comes after raise, by signal", killed(15), nil, "TERM", true, 0, 0},
		{"ok comes after raise, by code", killed(15), nil, "143", true, 0, 0},
		{"ok other, raise", killed(15), nil, "1,INT", true, 143, 15},
		{"ok its own 125", exited(125), nil, "125", false, 0, 0},

		// What reaper itself could not do is never fine.
		{"ok 125, lost", supervise.Result{Lost: true}, nil, "125", false, 125, 0},
		{"ok 125, failed", supervise.Result{}, errors.New("x"), "125", false, 125, 0},
		{"ok 125, fork failed", supervise.Result{}, notStarted("fork for", false, unix.EAGAIN), "125", false, 125, 0},
		{"ok 127, not found", supervise.Result{}, notStarted("find", false, unix.ENOENT), "127", false, 0, 0},
		{"ok 126, not executable", supervise.Result{}, notStarted("exec", true, unix.EACCES), "126", false, 0, 0},

		// As a shell sorts them (pitfall 8).
		{"not in PATH", supervise.Result{}, notStarted("find", false, unix.ENOENT), "", false, 127, 0},
		{"no such file", supervise.Result{}, notStarted("exec", false, unix.ENOENT), "", false, 127, 0},
		{"no such directory", supervise.Result{}, notStarted("exec", false, unix.ENOTDIR), "", false, 127, 0},
		{"no interpreter", supervise.Result{}, notStarted("exec", true, unix.ENOENT), "", false, 126, 0},
		{"the interpreter is below a file", supervise.Result{}, notStarted("exec", true, unix.ENOTDIR), "", false, 126, 0},
		{"not executable", supervise.Result{}, notStarted("exec", true, unix.EACCES), "", false, 126, 0},
		{"not allowed to look", supervise.Result{}, notStarted("exec", false, unix.EACCES), "", false, 126, 0},
		{"no format", supervise.Result{}, notStarted("exec", true, unix.ENOEXEC), "", false, 126, 0},
		{"being written", supervise.Result{}, notStarted("exec", true, unix.ETXTBSY), "", false, 126, 0},
		{"arguments too long", supervise.Result{}, notStarted("exec", true, unix.E2BIG), "", false, 126, 0},
		{"a loop of links", supervise.Result{}, notStarted("exec", false, unix.ELOOP), "", false, 126, 0},
		{"no process (pitfall 14)", supervise.Result{}, notStarted("fork for", false, unix.EAGAIN), "", false, 125, 0},
		{"no group", supervise.Result{}, notStarted("make process group for", true, unix.EPERM), "", false, 125, 0},
		{"no mask", supervise.Result{}, notStarted("set signal mask for", true, unix.EINVAL), "", false, 125, 0},
		{"a NUL in an argument", supervise.Result{}, notStarted("pass arguments to", true, unix.EINVAL), "", false, 125, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := &options{config: supervise.Config{OKExit: okList(t, test.ok)}, raise: test.raise}
			code, raise := exitOf(o, &outcome{result: test.res, err: test.err})
			if code != test.code || raise != test.wantRaise {
				t.Errorf("got code %d, raise %d; want %d, %d", code, raise, test.code, test.wantRaise)
			}
		})
	}
}

// All codes and all signals, by themselves.
func TestExitOfEach(t *testing.T) {
	for code := range 256 {
		if got, raise := exitOf(&options{raise: true}, &outcome{result: exited(code)}); got != code || raise != 0 {
			t.Errorf("exit %d: got %d, raise %d", code, got, raise)
		}
	}
	for sig := syscall.Signal(1); sig <= reap.NumSignals; sig++ {
		if got, raise := exitOf(&options{raise: true}, &outcome{result: killed(sig)}); got != 128+int(sig) || raise != sig {
			t.Errorf("signal %d: got %d, raise %d", sig, got, raise)
		}
	}
}

// Leaks fail what would be 0, and the time limit is told before anything else.
func TestExitOfLeaks(t *testing.T) {
	leak := &supervise.Leftover{Fate: supervise.FateStopped}
	timedOut := killed(15)
	timedOut.TimedOut = true
	for _, test := range []struct {
		name  string
		o     options
		res   supervise.Result
		leaks int
		ok    string
		code  int
	}{
		{"leak", options{leaks: leaksFail, config: stopping}, exited(0), 1, "", 86},
		{"none", options{leaks: leaksFail, config: stopping}, exited(0), 0, "", 0},
		{"its own code", options{leaks: leaksFail, config: stopping}, exited(3), 1, "", 3},
		{"killed", options{leaks: leaksFail, config: stopping, raise: true}, killed(9), 1, "", 137},
		{"its own code is fine", options{leaks: leaksFail, config: stopping}, exited(3), 1, "3", 86},
		{"leaks are fine", options{leaks: leaksFail, config: stopping}, exited(0), 1, "86", 0},
		{"both are fine", options{leaks: leaksFail, config: stopping}, exited(3), 1, "3,86", 0},
		{"report", options{leaks: leaksReport, config: stopping}, exited(0), 1, "", 0},
		{"ignore", options{leaks: leaksIgnore, config: stopping}, exited(0), 1, "", 0},
		{"keep", options{leaks: leaksFail}, exited(0), 1, "", 0},
		{"lost", options{leaks: leaksFail, config: stopping}, supervise.Result{Lost: true}, 1, "", 125},
		{"time limit", options{leaks: leaksFail, config: stopping}, timedOut, 1, "", 124},
		{"time limit is fine", options{leaks: leaksFail, config: stopping}, timedOut, 1, "124", 0},
		{"time limit is no signal", options{leaks: leaksReport, config: stopping, raise: true}, timedOut, 0, "TERM", 124},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := outcome{result: test.res}
			for range test.leaks {
				out.leaks = append(out.leaks, leak)
			}
			test.o.config.OKExit = okList(t, test.ok)
			if code, raise := exitOf(&test.o, &out); code != test.code || raise != 0 && test.code < 128 {
				t.Errorf("got code %d, raise %d; want %d", code, raise, test.code)
			}
		})
	}
}

var stopping = supervise.Config{Leftovers: supervise.StopLeftovers}
