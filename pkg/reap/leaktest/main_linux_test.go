package leaktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// A test that leaks runs in a process of its own, the test binary once more. The
// variable has its name.
const aloneVariable = "LEAKTEST_TEST_ALONE"

// mainVariable makes the TestMain of that process a VerifyTestMain.
const mainVariable = "LEAKTEST_TEST_MAIN"

// patience is how long a test waits for what happens at once on an idle machine.
const patience = 60 * time.Second

// The tests of this package leave nothing behind, by their own measure.
func TestMain(m *testing.M) {
	if os.Getenv(aloneVariable) != "" && os.Getenv(mainVariable) == "" {
		os.Exit(m.Run())
	}
	VerifyTestMain(m)
}

// inside reports that this is the process in which the test is alone.
func inside(t *testing.T) bool { //nolint:thelper // it tells nothing
	return os.Getenv(aloneVariable) == t.Name()
}

// again is the test binary as a command that runs this test alone.
func again(t *testing.T, environ ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), aloneVariable+"="+t.Name(),
		"GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0") // it sleeps for a second otherwise
	cmd.Env = append(cmd.Env, environ...)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGABRT) } // it tells where it hangs
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// output runs a command of again, whose test must have begun, and which must leave
// nothing that runs.
func output(t *testing.T, cmd *exec.Cmd) (out string, code int) {
	t.Helper()
	raw, err := cmd.CombinedOutput()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatalf("%v\n%s", err, raw)
	}
	if !bytes.Contains(raw, []byte("=== RUN   "+t.Name())) {
		t.Fatalf("it did not run:\n%s", raw)
	}
	if procs, err := reap.Descendants(); err != nil || len(procs) != 0 {
		t.Errorf("it has left %+v, %v", procs, err)
	}
	return string(raw), cmd.ProcessState.ExitCode()
}

// alone runs the test in a process of its own, where it is true. It must pass there.
func alone(t *testing.T, environ ...string) bool {
	t.Helper()
	if inside(t) {
		return true
	}
	if out, code := output(t, again(t, environ...)); code != 0 {
		t.Errorf("exit %d\n%s", code, out)
	}
	return false
}

// failsAlone runs the test in a process of its own, where it is true. It must fail
// there and print, in any order, a line for each of the patterns and no other leak.
func failsAlone(t *testing.T, patterns ...string) bool {
	t.Helper()
	if inside(t) {
		return true
	}
	out, code := output(t, again(t))
	if code != 1 {
		t.Errorf("exit %d", code)
	}
	wantLeaks(t, out, patterns...)
	return false
}

// wantLeaks wants the text to have a line for each pattern and no other leak.
func wantLeaks(t *testing.T, text string, patterns ...string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, "(pid ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	ok := len(lines) == len(patterns)
	for _, pattern := range patterns {
		ok = ok && slices.ContainsFunc(lines, regexp.MustCompile("^"+pattern+"$").MatchString)
	}
	if !ok {
		t.Errorf("want %q\ngot\n%s", patterns, text)
	}
}

// recorder is a TestingT that stands for a test that is to fail.
type recorder struct {
	errs  []string
	helps int
}

func (r *recorder) Error(args ...any) { r.errs = append(r.errs, fmt.Sprint(args...)) }
func (r *recorder) Helper()           { r.helps++ }

// verifyNone is what VerifyNone reports.
func verifyNone(opts ...Option) string {
	r := new(recorder)
	VerifyNone(r, opts...)
	return strings.Join(r.errs, "\n")
}

// start starts a command and does not wait for it. The Cmd must be kept: the
// collector closes its pidfd otherwise.
func start(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kept = append(kept, cmd)
	return cmd
}

// kept are the commands of start.
var kept []*exec.Cmd

// orphan starts a shell command in the background of a shell that ends.
func orphan(t *testing.T, script string) {
	t.Helper()
	if err := exec.Command("sh", "-c", script+" &").Run(); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// awaitState waits until the process is in that state.
func awaitState(t *testing.T, pid int, state byte) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d is %c", pid, state), func() bool {
		p, err := reap.ReadProc(pid)
		if err != nil {
			t.Fatal(err)
		}
		return p.State == state
	})
}

// found are the leaks that Find sees now.
func found(t *testing.T, opts ...Option) []Leak {
	t.Helper()
	err := Find(append(opts, MaxWait(0))...)
	if leak := new(LeakError); errors.As(err, &leak) {
		return leak.Leaks
	}
	if err != nil {
		t.Fatal(err)
	}
	return nil
}

// kinds tells the leaks by their command and kind.
func kinds(leaks []Leak) []string {
	var all []string
	for _, l := range leaks {
		all = append(all, fmt.Sprintf("%s: %v", l.command(), l.Kind))
	}
	slices.Sort(all)
	return all
}

// await waits until Find sees exactly these, as kinds tells them, and returns them.
func await(t *testing.T, want ...string) (leaks []Leak) {
	t.Helper()
	slices.Sort(want)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the last were %v", leaks)
		}
	})
	eventually(t, fmt.Sprintf("there are %q", want), func() bool {
		leaks = found(t)
		return slices.Equal(kinds(leaks), want)
	})
	// Where an exec came between, that look has the arguments of after and the name
	// of before.
	leaks = found(t)
	return leaks
}

// wantNothingRuns wants no descendant but zombies.
func wantNothingRuns(t *testing.T) {
	t.Helper()
	if procs, err := reap.Descendants(); err != nil || len(procs) != 0 {
		t.Errorf("there are still %+v, %v", procs, err)
	}
}

// cannot skips a test that this machine has no means for, but in CI, where there
// must be every means.
func cannot(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("may not be skipped in CI: "+format, args...)
	}
	t.Skipf(format, args...)
}
