package reap

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSignal(t *testing.T) {
	if !alone(t) {
		return
	}
	pid := mustStart(t, "sleep", "1000")
	mustSignal(t, pid, 0)
	mustSignal(t, pid, unix.SIGUSR1)
	awaitState(t, pid, "Z")
	mustSignal(t, pid, unix.SIGTERM) // to a zombie: nothing happens (pitfall 23)
	if exit, ok := Reap(pid); !ok || exit.Status != SignalStatus(unix.SIGUSR1) {
		t.Errorf("%+v, %v", exit, ok)
	}
	if sent, err := Signal(pid, unix.SIGTERM); sent || err != nil {
		t.Errorf("to nobody: sent %v, %v", sent, err)
	}
	if sent, err := SignalGroup(pid, unix.SIGTERM); sent || err != nil {
		t.Errorf("to no group: sent %v, %v", sent, err)
	}
	if sent, err := Signal(os.Getpid(), 65); sent || !errors.Is(err, unix.EINVAL) {
		t.Errorf("no signal: sent %v, %v", sent, err)
	} else if want := fmt.Sprintf("send signal 65 to %d: invalid argument", os.Getpid()); err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

// What kill(2) takes for a group, for the caller's own, or for everybody, is
// refused (pitfall 35); also what becomes that in 32 bits. Signal 0 is sent to
// nobody: should this fail, nothing is killed.
func TestSignalRefuses(t *testing.T) {
	numbers := []int64{0, -1, -2, -int64(os.Getpid()), math.MinInt32, math.MinInt64, 1 << 31, 1<<32 - 1, 1 << 32, 1<<32 + 1, 1<<32 + int64(os.Getpid()), math.MaxInt64}
	for _, n := range numbers {
		if sent, err := Signal(int(n), 0); sent || err == nil || errors.Is(err, unix.ESRCH) {
			t.Errorf("Signal(%d): %v, %v", n, sent, err)
		} else if want := fmt.Sprintf("signal process %d: not a process", n); err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
	for _, n := range append(numbers, 1) {
		if sent, err := SignalGroup(int(n), 0); sent || err == nil {
			t.Errorf("SignalGroup(%d): %v, %v", n, sent, err)
		} else if want := fmt.Sprintf("signal group %d: not a group", n); err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}

// A process that changed its user may not be signalled; that is told and is no
// more than an error (pitfall 48).
func TestSignalNotPermitted(t *testing.T) {
	if !alone(t) {
		return
	}
	if os.Getuid() != 0 {
		cannot(t, "only root can become somebody else")
	}
	const nobody = 65534
	parent := os.Getppid() // root's
	if err := syscall.Setresuid(nobody, nobody, 0); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setresuid(0, 0, 0); err != nil {
			t.Fatal(err)
		}
	}()
	if sent, err := Signal(parent, 0); sent || !errors.Is(err, unix.EPERM) {
		t.Errorf("sent %v, %v", sent, err)
	}
}

// A signal to a group reaches each member, and no other process. The number
// stays good when the leader is a zombie (pitfall 25).
func TestSignalGroup(t *testing.T) {
	if !alone(t) {
		return
	}
	if err := BecomeSubreaper(); err != nil {
		t.Fatal(err)
	}
	other := mustStart(t, "sleep", "1000")
	leader := mustStart(t, "sh", "-c", "sleep 1000 & sleep 1000 & exit 0")
	awaitState(t, leader, "Z")
	if sent, err := SignalGroup(leader, unix.SIGTERM); !sent || err != nil {
		t.Fatalf("sent %v, %v", sent, err)
	}
	var exits []Exit
	eventually(t, "the leader and both sleeps have ended", func() bool {
		var err error
		if exits, _, err = Drain(exits); err != nil {
			t.Fatal(err)
		}
		return len(exits) == 3
	})
	terminated := 0
	for _, exit := range exits {
		switch {
		case exit.PID == leader && exit.Status == ExitStatus(0):
		case exit.Status == SignalStatus(unix.SIGTERM):
			terminated++
		}
	}
	if terminated != 2 {
		t.Errorf("%v", exits)
	}
	mustSignal(t, other, 0) // it is there
	mustSignal(t, other, unix.SIGKILL)
	awaitReap(t, other)
}

// suicide takes every signal and blocks one, and dies by that.
var suicide = newRole("suicide", func(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil {
		return err
	}
	core.Cur = core.Max
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &core); err != nil {
		return err
	}
	signal.Notify(make(chan os.Signal, 1))
	runtime.LockOSThread()
	var blocked unix.Sigset_t
	blocked.Val[0] = uint64(Signals(syscall.Signal(n)))
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &blocked, nil); err != nil {
		return err
	}
	err = DieBySignal(syscall.Signal(n))
	fmt.Printf("survived: %v", err)
	// Both ways to a core dump are barred: the file, and the program that
	// /proc/sys/kernel/core_pattern may name.
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil {
		return err
	}
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil {
		return err
	}
	if core != (unix.Rlimit{}) || dumpable != 0 {
		return fmt.Errorf("the limit is %d, dumpable %d", core, dumpable)
	}
	return nil
})

// DieBySignal ends by each signal that ends a process, without a core dump
// (pitfall 22), also from a program that had all of them delivered to it.
func TestDieBySignal(t *testing.T) {
	dir := t.TempDir()
	for sig := syscall.Signal(1); sig <= NumSignals; sig++ {
		if Signals(unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU).Has(sig) {
			continue // nobody would continue it
		}
		cmd := suicide.command(t, strconv.Itoa(int(sig)))
		cmd.Dir = dir
		out, err := cmd.Output()
		status := Status(cmd.ProcessState.Sys().(syscall.WaitStatus))
		switch {
		case fatal(sig) && status != SignalStatus(sig):
			t.Errorf("signal %d: %v, %v, %q", sig, status, err, out)
		case !fatal(sig) && (status != ExitStatus(0) || string(out) != "survived: <nil>"):
			t.Errorf("signal %d, which ends nothing: %v, %v, %q", sig, status, err, out)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the directory: %v, %v", left, err)
	}
	// The control: dying by QUIT does dump core on this machine.
	cmd := exec.Command("sh", "-c", "ulimit -c $(ulimit -H -c) && kill -QUIT $$")
	cmd.Dir = dir
	_ = cmd.Run() // by the signal
	if status := Status(cmd.ProcessState.Sys().(syscall.WaitStatus)); !status.CoreDumped() {
		t.Logf("no core dumps on this machine, so that there is none proves nothing: %v", status)
	}
}

// It says what it cannot do.
func TestDieBySignalRefuses(t *testing.T) {
	for _, n := range []string{"65", "1000", "-1"} {
		if out := suicide.run(t, n); !strings.HasPrefix(out, "survived: ") || strings.HasSuffix(out, "<nil>") {
			t.Errorf("signal %s: %q", n, out)
		}
	}
}

// PID 1 cannot die by a signal of its own: the call returns (pitfall 22).
func TestDieBySignalAsPID1(t *testing.T) {
	needNamespaces(t)
	for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGSEGV, unix.SIGKILL} {
		cmd := suicide.command(t, strconv.Itoa(int(sig)))
		inNamespace(cmd)
		if out, err := cmd.Output(); err != nil || string(out) != "survived: <nil>" {
			t.Errorf("signal %d: %q, %v", sig, out, err)
		}
	}
}

// inNamespace makes the command PID 1 of a pid namespace; without privileges, in
// a user namespace too.
func inNamespace(cmd *exec.Cmd) {
	attr := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	cmd.SysProcAttr = attr
}

func needNamespaces(t *testing.T) {
	t.Helper()
	cmd := exec.Command("true")
	inNamespace(cmd)
	if err := cmd.Run(); err != nil {
		cannot(t, "no pid namespace on this machine: %v", err)
	}
}
