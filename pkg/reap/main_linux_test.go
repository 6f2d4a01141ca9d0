package reap

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Nothing that waits for any child, or changes the process, may happen in the
// process of the tests: it would take the children of other tests away. So the
// test binary runs itself again, in one of two ways: alone runs one test in a
// process of its own, and a role is another program that a test needs.
const (
	aloneVariable = "REAP_TEST_ALONE" // the name of the test
	roleVariable  = "REAP_TEST_ROLE"  // the name of the role
)

// patience is how long a test waits for what happens at once on an idle machine.
const patience = 60 * time.Second

// onMainThread keeps main, and so a role, on the main thread: it has to be done
// while packages are initialized.
var onMainThread = func() bool {
	if os.Getenv(roleVariable) == "" {
		return false
	}
	runtime.LockOSThread()
	return true
}()

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if name := os.Getenv(roleVariable); name != "" {
		return playRole(name)
	}
	if os.Getenv(aloneVariable) != "" {
		return m.Run()
	}
	// What the tests lose comes here, where it is seen.
	if err := BecomeSubreaper(); err != nil {
		return complain("%v", err)
	}
	code := m.Run()
	if left := endLeftovers(); left != "" && code == 0 {
		return complain("the tests left behind:%s", left)
	}
	if code != 0 || flag.Lookup("test.fuzz").Value.String() != "" {
		return code
	}
	for _, filter := range []string{"test.run", "test.skip", "test.list"} {
		if flag.Lookup(filter).Value.String() != "" {
			return 0 // some roles had no chance
		}
	}
	for name, r := range roles {
		if !r.used {
			return complain("no test uses the role %s", name)
		}
	}
	return 0
}

func complain(format string, args ...any) int {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	return 1
}

// endLeftovers ends every process that the tests have left, and describes those
// that still ran, a while later. No test runs any more, so every child may be waited for.
func endLeftovers() (left string) {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); <-time.After(time.Millisecond) {
		if _, more, err := Drain(nil); err != nil || !more {
			return ""
		}
	}
	for {
		if _, more, err := Drain(nil); err != nil || !more {
			return left
		}
		procs, err := Procs()
		if err != nil {
			return left + " " + err.Error()
		}
		for _, p := range procs {
			if p.PPID == os.Getpid() && !p.Zombie() {
				args, _ := CommandLine(p.PID)
				left += fmt.Sprintf("\n%d %c %s %q", p.PID, p.State, p.Name, args)
				_ = unix.Kill(p.PID, unix.SIGKILL) // it is a child
			}
		}
		_, _ = unix.Wait4(-1, nil, 0, nil) // until one of them has ended
	}
}

// spareRaceExit spares the second for which a program with the race detector
// otherwise sleeps at its end.
func spareRaceExit() string { return "GORACE=" + os.Getenv("GORACE") + " atexit_sleep_ms=0" }

// itself is the test binary as a command.
func itself(tb testing.TB, variable, value string, args ...string) *exec.Cmd {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	tb.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), variable+"="+value, spareRaceExit())
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGABRT) } // it tells where it hangs
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// alone gives the test a process that has no other child and no other test: it
// is false in the process of the tests, once the other has done the work. The
// test must leave no child there and no descriptor.
func alone(t *testing.T) bool {
	t.Helper()
	return aloneIn(t, func(*exec.Cmd) {})
}

// aloneIn is alone in a process that set prepares.
func aloneIn(t *testing.T, set func(cmd *exec.Cmd)) bool {
	t.Helper()
	if os.Getenv(aloneVariable) == t.Name() {
		before := descriptors(t)
		t.Cleanup(func() {
			wantNoChildren(t)
			if after := descriptors(t); !slices.Equal(before, after) {
				t.Errorf("descriptors before %v and after %v", before, after)
			}
		})
		return true
	}
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.count=1"}
	if dir := flag.Lookup("test.gocoverdir").Value.String(); dir != "" {
		args = append(args, "-test.gocoverdir="+dir)
	}
	cmd := itself(t, aloneVariable, t.Name(), args...)
	set(cmd)
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	case bytes.Contains(out, []byte("--- SKIP: "+t.Name())): // a part of it, too
		t.Skipf("%s", out)
	case !bytes.Contains(out, []byte("--- PASS: "+t.Name()+" ")):
		t.Errorf("it did not run:\n%s", out)
	}
	return false
}

// descriptors are the open ones, but for the one that reads them and those of
// the runtime's poller, which opens them when it is first used.
func descriptors(t *testing.T) []string {
	t.Helper()
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, entry := range dir {
		file, err := os.Readlink("/proc/self/fd/" + entry.Name())
		if err != nil || strings.HasPrefix(file, "anon_inode:[event") {
			continue
		}
		open = append(open, entry.Name()+" "+file)
	}
	return open
}

func wantNoChildren(t *testing.T) {
	t.Helper()
	exits, more, err := Drain(nil)
	if err != nil || more || len(exits) > 0 {
		t.Errorf("children are left: %v, more: %v, %v", exits, more, err)
	}
}

// A role is a program that the test binary can be, registered beside the test
// that uses it.
type role struct {
	name string
	main func(args []string) error
	used bool
}

var roles = make(map[string]*role)

func newRole(name string, main func(args []string) error) *role {
	r := &role{name: name, main: main}
	roles[name] = r
	return r
}

// command is the role as a program.
func (r *role) command(tb testing.TB, args ...string) *exec.Cmd {
	tb.Helper()
	r.used = true
	return itself(tb, roleVariable, r.name, args...)
}

// run runs the role to its end and returns its stdout.
func (r *role) run(tb testing.TB, args ...string) string {
	tb.Helper()
	cmd := r.command(tb, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("%s %q: %v", r.name, args, err)
	}
	return string(out)
}

func playRole(name string) int {
	r, ok := roles[name]
	if !ok {
		return complain("no role %s", name)
	}
	if err := r.main(os.Args[1:]); err != nil {
		return complain("role %s %q: %v", name, os.Args[1:], err)
	}
	return 0
}

// eventually waits until the condition holds. It looks again and again: the
// kernel tells nobody when the state of a process changes.
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

// awaitState waits until the process is in one of the states.
func awaitState(t *testing.T, pid int, states string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d is in one of the states %s", pid, states), func() bool {
		p, err := ReadProc(pid)
		if err != nil {
			t.Fatal(err)
		}
		return strings.IndexByte(states, p.State) >= 0
	})
}

// awaitReap waits until the child has ended, and reaps it.
func awaitReap(t *testing.T, pid int) Exit {
	t.Helper()
	var exit Exit
	eventually(t, fmt.Sprintf("%d has ended", pid), func() (ok bool) {
		exit, ok = Reap(pid)
		return ok
	})
	return exit
}

// environment is what a command of the tests gets.
func environment() []string { return []string{"PATH=/usr/bin:/bin"} }

// mustStart starts a command as the tests' own Go program would.
func mustStart(t *testing.T, args ...string) (pid int) {
	t.Helper()
	pid, err := Start(Command{Args: args, Env: environment()})
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// mustSignal sends a signal to a child that is there.
func mustSignal(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if sent, err := Signal(pid, sig); !sent || err != nil {
		t.Fatalf("signal %d to %d: sent %v, %v", sig, pid, sent, err)
	}
}

// statusField is one line of a /proc/PID/status.
func statusField(t *testing.T, status, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + name + `:\t(.*)$`).FindStringSubmatch(status)
	if m == nil {
		t.Fatalf("no %s in\n%s", name, status)
	}
	return m[1]
}

// signalField is one signal set of a /proc/PID/status.
func signalField(t *testing.T, status, name string) SignalSet {
	t.Helper()
	set, err := strconv.ParseUint(statusField(t, status, name), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return SignalSet(set)
}
