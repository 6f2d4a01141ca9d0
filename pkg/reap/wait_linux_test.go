package reap

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Whatever has exited comes out of one call, be it a thousand for one SIGCHLD,
// with its own status each (pitfall 15).
func TestDrain(t *testing.T) {
	if !alone(t) {
		return
	}
	want := make(map[int]Status)
	for code := range 256 {
		want[mustStart(t, "sh", "-c", "exit "+strconv.Itoa(code))] = ExitStatus(code)
	}
	for pid := range want {
		awaitState(t, pid, "Z")
	}
	living := mustStart(t, "sleep", "1000")

	before := Exit{PID: 1, Name: "kept"}
	exits, more, err := Drain([]Exit{before})
	if err != nil || !more {
		t.Errorf("a child lives, but more is %v, %v", more, err)
	}
	if exits[0] != before {
		t.Errorf("what was there was changed to %v", exits[0])
	}
	got := make(map[int]Status)
	for _, exit := range exits[1:] {
		got[exit.PID] = exit.Status
		if exit.Name != "" || exit.Usage.MaxRSS <= 0 {
			t.Errorf("%+v", exit)
		}
	}
	if len(exits)-1 != len(want) || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}

	if exits, more, err := Drain(nil); len(exits) != 0 || !more || err != nil {
		t.Errorf("while one child lives: %v, %v, %v", exits, more, err)
	}
	mustSignal(t, living, unix.SIGKILL)
	awaitState(t, living, "Z")
	exits, more, err = Drain(nil)
	if err != nil || more || len(exits) != 1 || exits[0].PID != living || exits[0].Status != SignalStatus(unix.SIGKILL) {
		t.Errorf("the last one: %v, %v, %v", exits, more, err)
	}
	// No child at all is not an error.
	if exits, more, err := Drain(nil); len(exits) != 0 || more || err != nil {
		t.Errorf("without a child: %v, %v, %v", exits, more, err)
	}
}

// Each signal that can end a process comes out as that signal.
func TestDrainSignals(t *testing.T) {
	if !alone(t) {
		return
	}
	// By Go's rules HUP and INT stay ignored where they were, as in a background job.
	in := &Inheritance{}
	want := make(map[int]syscall.Signal)
	for sig := syscall.Signal(1); sig <= NumSignals; sig++ {
		if !fatal(sig) || !haveVfork && signal.Ignored(sig) {
			continue
		}
		pid, err := Start(Command{Args: []string{"sleep", "1000"}, Env: environment(), Inherited: in})
		if err != nil {
			t.Fatal(err)
		}
		mustSignal(t, pid, sig)
		want[pid] = sig
	}
	for pid, sig := range want {
		exit := awaitReap(t, pid)
		if exit.PID != pid || exit.Status.Signal() != sig {
			t.Errorf("signal %d: %+v", sig, exit)
		}
	}
}

// fatal tells the signals that end a process by default (signal(7)).
func fatal(sig syscall.Signal) bool {
	return !Signals(unix.SIGCHLD, unix.SIGCONT, unix.SIGURG, unix.SIGWINCH,
		unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU).Has(sig)
}

// An orphan comes to the subreaper, and out of Drain, whether it dies before its
// parent or after, and however deep it was. Without the attribute it does not:
// that is the control.
func TestDrainOrphans(t *testing.T) {
	const family = "(exec sh -c 'exit 7') & (sh -c 'exit 8' & exit 9) & exec sleep 1000"
	drain := func(t *testing.T, pid int, want ...Status) {
		t.Helper()
		// The sleep never waits for what the shell before it has started.
		mustSignal(t, pid, unix.SIGKILL)
		var got []Exit
		eventually(t, "no child is left", func() bool {
			var more bool
			var err error
			if got, more, err = Drain(got); err != nil {
				t.Fatal(err)
			}
			return !more
		})
		var statuses []Status
		for _, exit := range got {
			statuses = append(statuses, exit.Status)
		}
		slices.Sort(statuses)
		slices.Sort(want)
		if !slices.Equal(statuses, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	if !alone(t) {
		return
	}
	pid := mustStart(t, "sh", "-c", family)
	awaitName(t, pid, "sleep")
	drain(t, pid, SignalStatus(unix.SIGKILL))

	if err := BecomeSubreaper(); err != nil {
		t.Fatal(err)
	}
	pid = mustStart(t, "sh", "-c", family)
	awaitName(t, pid, "sleep")
	drain(t, pid, SignalStatus(unix.SIGKILL), ExitStatus(7), ExitStatus(8), ExitStatus(9))
}

func awaitName(t *testing.T, pid int, name string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d is %s", pid, name), func() bool {
		p, err := ReadProc(pid)
		if err != nil {
			t.Fatal(err)
		}
		return p.Name == name
	})
}

func TestDrainAllocatesNothing(t *testing.T) {
	if !alone(t) {
		return
	}
	exits := make([]Exit, 0, 300)
	check := func(what string) {
		t.Helper()
		if n := testing.AllocsPerRun(100, func() { exits, _, _ = Drain(exits[:0]) }); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	check("without a child")
	living := mustStart(t, "sleep", "1000")
	check("while a child lives")
	var pids []int
	for range cap(exits) {
		pids = append(pids, mustStart(t, "true"))
	}
	for _, pid := range pids {
		awaitState(t, pid, "Z")
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	exits, _, _ = Drain(exits[:0])
	runtime.ReadMemStats(&after)
	if len(exits) != len(pids) {
		t.Fatalf("%d exits", len(exits))
	}
	// The runtime may do something of its own meanwhile, but not for each.
	if n := after.Mallocs - before.Mallocs; n > uint64(len(pids))/10 {
		t.Errorf("%d allocations for %d exits", n, len(pids))
	}
	mustSignal(t, living, unix.SIGKILL)
	awaitReap(t, living)
}

func TestUsage(t *testing.T) {
	if !alone(t) {
		return
	}
	// A shell that counts, and one that waits for such a shell.
	const count = "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done"
	for _, script := range []string{count, "sh -c '" + count + "'; true"} {
		exit := awaitReap(t, mustStart(t, "sh", "-c", script))
		u := exit.Usage
		if u.User+u.System <= 0 || u.MaxRSS < 100<<10 || u.MaxRSS > 1<<30 {
			t.Errorf("%q: %+v", script, exit)
		}
	}
}

func TestReap(t *testing.T) {
	if !alone(t) {
		return
	}
	first, second := mustStart(t, "sh", "-c", "exit 3"), mustStart(t, "sh", "-c", "exit 4")
	living := mustStart(t, "sleep", "1000")
	awaitState(t, first, "Z")
	awaitState(t, second, "Z")
	if exit, ok := Reap(living); ok {
		t.Errorf("of one that lives: %+v", exit)
	}
	for _, pid := range []int{os.Getppid(), os.Getpid(), math.MaxInt32} {
		if exit, ok := Reap(pid); ok {
			t.Errorf("of %d, which is no child: %+v", pid, exit)
		}
	}
	// wait4 has its own meaning for these; and it looks at 32 bits, in which
	// some are -1, 0 or a child.
	for _, pid := range []int64{0, -1, -int64(syscall.Getpgrp()), -int64(first), math.MinInt64, 1<<32 - 1, 1 << 32, 1<<32 + int64(first)} {
		if exit, ok := Reap(int(pid)); ok {
			t.Errorf("of %d: %+v", pid, exit)
		}
	}
	for pid, code := range map[int]int{first: 3, second: 4} {
		exit, ok := Reap(pid)
		if !ok || exit.PID != pid || exit.Status != ExitStatus(code) || exit.Usage.MaxRSS <= 0 {
			t.Errorf("of %d: %+v, %v", pid, exit, ok)
		}
		if exit, ok := Reap(pid); ok {
			t.Errorf("of %d again: %+v", pid, exit)
		}
	}
	mustSignal(t, living, unix.SIGKILL)
	awaitReap(t, living)
}

// Peek leaves the zombie where it is, pid, name and all, and tells the same one
// until it is reaped.
func TestPeek(t *testing.T) {
	if !alone(t) {
		return
	}
	if pid, ok := Peek(); ok {
		t.Errorf("without a child: %d", pid)
	}
	living := mustStart(t, "sleep", "1000")
	stopped := mustStart(t, "sleep", "1000")
	mustSignal(t, stopped, unix.SIGSTOP)
	awaitState(t, stopped, "T")
	if pid, ok := Peek(); ok {
		t.Errorf("while all live: %d", pid)
	}
	left := map[int]bool{mustStart(t, "true"): true, mustStart(t, "false"): true, mustStart(t, "true"): true}
	for pid := range left {
		awaitState(t, pid, "Z")
	}
	for len(left) > 0 {
		pid, ok := Peek()
		if !ok || !left[pid] {
			t.Fatalf("got %d, %v; want one of %v", pid, ok, left)
		}
		if again, ok := Peek(); !ok || again != pid {
			t.Errorf("then %d, %v; want %d again", again, ok, pid)
		}
		if p, err := ReadProc(pid); err != nil || !p.Zombie() || p.Name != "true" && p.Name != "false" || p.PPID != os.Getpid() {
			t.Errorf("%+v, %v", p, err)
		}
		if args, err := CommandLine(pid); err != nil || args != nil {
			t.Errorf("the command line of a zombie: %q, %v", args, err)
		}
		// A signal to it goes to nobody else, and does nothing (pitfall 23).
		mustSignal(t, pid, unix.SIGKILL)
		if exit, ok := Reap(pid); !ok || !exit.Status.Exited() {
			t.Errorf("reaped: %+v, %v", exit, ok)
		}
		if sent, err := Signal(pid, 0); sent || err != nil {
			t.Errorf("after that it is there: %v, %v", sent, err)
		}
		delete(left, pid)
	}
	if pid, ok := Peek(); ok {
		t.Errorf("after all: %d", pid)
	}
	for _, pid := range []int{living, stopped} {
		mustSignal(t, pid, unix.SIGKILL)
		awaitReap(t, pid)
	}
}

// A child that job control stops, and lets go on, is told once each; and that
// has nothing to do with exits.
func TestJobChange(t *testing.T) {
	if !alone(t) {
		return
	}
	want := func(pid int, state JobState, sig syscall.Signal) {
		t.Helper()
		if gotState, gotSig := JobChange(pid); gotState != state || gotSig != sig {
			t.Errorf("got %d by %d, want %d by %d", gotState, gotSig, state, sig)
		}
	}
	pid := mustStart(t, "sleep", "1000")
	want(pid, JobUnchanged, 0)
	for _, sig := range []syscall.Signal{unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU} {
		mustSignal(t, pid, sig)
		awaitState(t, pid, "T")
		if exits, more, err := Drain(nil); len(exits) != 0 || !more || err != nil {
			t.Errorf("a stop came out of Drain (pitfall 21): %v, %v, %v", exits, more, err)
		}
		want(pid, JobStopped, sig)
		want(pid, JobUnchanged, 0)
		mustSignal(t, pid, unix.SIGCONT)
		awaitState(t, pid, "S")
		if exit, ok := Reap(pid); ok {
			t.Errorf("that it goes on came out of Reap: %+v", exit)
		}
		want(pid, JobContinued, unix.SIGCONT)
		want(pid, JobUnchanged, 0)
	}
	// Both, and the latest counts.
	mustSignal(t, pid, unix.SIGSTOP)
	awaitState(t, pid, "T")
	mustSignal(t, pid, unix.SIGCONT)
	awaitState(t, pid, "S")
	want(pid, JobContinued, unix.SIGCONT)
	want(pid, JobUnchanged, 0)

	// The end is no change, and is still there to be waited for.
	mustSignal(t, pid, unix.SIGSTOP)
	awaitState(t, pid, "T")
	mustSignal(t, pid, unix.SIGKILL)
	awaitState(t, pid, "Z")
	want(pid, JobUnchanged, 0)
	if exit, ok := Reap(pid); !ok || exit.Status != SignalStatus(unix.SIGKILL) {
		t.Errorf("%+v, %v", exit, ok)
	}
	for _, pid := range []int64{int64(pid), 0, -1, 1, int64(os.Getppid()), 1<<32 - 1} {
		want(int(pid), JobUnchanged, 0)
	}
}

// leaderless is a process whose first thread has ended. It goes on until its
// input ends, and exits with 5.
var leaderless = newRole("leaderless", func([]string) error {
	if !onMainThread || unix.Gettid() != os.Getpid() {
		return fmt.Errorf("main is on the thread %d of %d", unix.Gettid(), os.Getpid())
	}
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1)) // its end is all that is of interest
		os.Exit(5)
	}()
	_, _, errno := unix.Syscall(unix.SYS_EXIT, 0, 0, 0) // the thread alone
	return errno
})

// A process whose first thread has ended looks like a zombie while it lives. It
// is not taken for dead (pitfall 20).
func TestZombieLeaderLives(t *testing.T) {
	cmd := leaderless.command(t)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	awaitState(t, pid, "Z")
	if exit, ok := Reap(pid); ok {
		t.Fatalf("it lives, and was reaped: %+v", exit)
	}
	if tasks, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task"); err != nil || len(tasks) < 2 {
		t.Errorf("its threads: %v, %v", tasks, err)
	}
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	var exit Exit
	eventually(t, "it has ended", func() (ok bool) {
		exit, ok = Reap(pid)
		return ok
	})
	if exit.Status != ExitStatus(5) {
		t.Errorf("%+v", exit)
	}
	if err := cmd.Wait(); !errors.Is(err, unix.ECHILD) {
		t.Errorf("package os waited for it: %v", err)
	}
}

// The layout of siginfo is the kernel's.
func TestSiginfoLayout(t *testing.T) {
	if !alone(t) {
		return
	}
	pid := mustStart(t, "sh", "-c", "exit 42")
	awaitState(t, pid, "Z")
	info, ok := waitid(unix.P_PID, pid, unix.WEXITED|unix.WNOWAIT)
	const exited = 1 // CLD_EXITED
	if !ok || info.signo != int32(unix.SIGCHLD) || info.errno != 0 || info.code != exited ||
		int(info.pid) != pid || int(info.uid) != os.Getuid() || info.status != 42 {
		t.Errorf("%+v, %v", info, ok)
	}
	awaitReap(t, pid)
}

// A child that has exited is told apart from one that runs and from what is none,
// and stays to be reaped.
func TestExited(t *testing.T) {
	if !alone(t) {
		return
	}
	pid := mustStart(t, "sleep", "1000")
	if exited, child := Exited(pid); exited || !child {
		t.Errorf("it runs: %v, %v", exited, child)
	}
	mustSignal(t, pid, unix.SIGKILL)
	eventually(t, "it has exited", func() bool { exited, _ := Exited(pid); return exited })
	if exited, child := Exited(pid); !exited || !child {
		t.Errorf("it has exited: %v, %v", exited, child)
	}
	awaitReap(t, pid)
	for _, pid := range []int{pid, 1, 0, -1, math.MaxInt32 + 1} {
		if exited, child := Exited(pid); exited || child {
			t.Errorf("%d: %v, %v", pid, exited, child)
		}
	}
}
