package test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// How the built binary takes its signals: cmd/reaper/receive.go.

// caughtSignals are those that the Go runtime blocks in no thread, and so a handler takes.
var caughtSignals = reap.Signals(unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGILL, unix.SIGTRAP, unix.SIGABRT,
	unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV, unix.SIGTERM, unix.SIGSTKFLT, unix.SIGCHLD, unix.SIGPROF, unix.SIGSYS, 32, 33, 34)

// All others are blocked in every thread, but for the one that waits for them. What one
// of the runtime's handlers got would be lost.
func TestSignalsStayBlocked(t *testing.T) {
	needExact(t)
	inPlaces(t, func(t *testing.T, at place) {
		s := launch(t, at, nil, "-vv", "--", probeBin, "signals")
		s.expect("ready")
		rounds := 0
		eventually(t, "each thread was seen at rest", func() bool {
			waiting, tasks := 0, taskIDs(t, s.pid)
			for _, tid := range tasks {
				dir := fmt.Sprintf("/proc/%d/task/%d/", s.pid, tid)
				call, err := os.ReadFile(dir + "syscall")
				status, statusErr := os.ReadFile(dir + "status")
				if err != nil || statusErr != nil {
					return false
				}
				if strings.HasPrefix(string(call), strconv.Itoa(unix.SYS_RT_SIGTIMEDWAIT)+" ") {
					waiting++
					continue // what it waits for is not blocked meanwhile
				}
				blocked := signalField(t, string(status), "SigBlk")
				for sig := syscall.Signal(1); sig <= reap.NumSignals; sig++ {
					if sig != unix.SIGKILL && sig != unix.SIGSTOP && !caughtSignals.Has(sig) && !blocked.Has(sig) {
						if rounds++; rounds > 100 {
							t.Fatalf("thread %d does not block %d: %x", tid, int(sig), blocked)
						}
						return false // it may have been in the wait when its status was read
					}
				}
			}
			return waiting == 1
		})
		s.stdin.Close()
		s.wantCode(0)
	})
}

// A wake-up that is lost between a handler and the wait would leave a signal where it
// is until the next one comes. So nothing comes after one of the handled, until it has
// arrived; just before it come others, which make the waiting thread come and go.
func TestSignalIsNeverLeft(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		s := launch(t, at, nil, "--", probeBin, "signals")
		s.expect("ready")
		others := []unix.Signal{unix.SIGWINCH, unix.SIGCHLD, unix.SIGUSR2, unix.SIGSEGV, 40}
		for i := range 1000 {
			for n := range i % 4 {
				s.signal(others[(i+n)%len(others)])
			}
			burn(i % 50)
			s.signal(unix.SIGHUP)
			for s.expect("got 1") != "" {
				continue // 11 or 12
			}
		}
		s.stdin.Close()
		s.wantCode(0)
	})
}

// A fault of reaper's own is no signal that somebody has sent: it ends in the runtime's
// panic, and is not forwarded.
func TestFaultIsNotForwarded(t *testing.T) {
	needExact(t)
	s := launch(t, asSubreaper, nil, "--", probeBin, "signals")
	s.expect("ready")
	// The thread that has started the command may still have all signals blocked, and the
	// one below would go to another, which is not traced.
	eventually(t, "the first thread takes it", func() bool {
		return asleep(s.pid) && !signalsOf(t, s.pid, "SigBlk").Has(unix.SIGSEGV)
	})
	runtime.LockOSThread() // a tracer is a thread
	defer runtime.UnlockOSThread()
	if err := unix.PtraceAttach(s.pid); err != nil {
		cannot(t, "ptrace: %v", err)
	}
	for {
		var status unix.WaitStatus
		if _, err := unix.Wait4(s.pid, &status, unix.WALL|unix.WUNTRACED, nil); err != nil {
			t.Fatal(err)
		}
		if status.StopSignal() == unix.SIGSTOP {
			break
		}
		if err := unix.PtraceCont(s.pid, int(status.StopSignal())); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.PtraceCont(s.pid, 0); err != nil {
		t.Fatal(err)
	}
	s.signal(unix.SIGSEGV)
	var status unix.WaitStatus
	if _, err := unix.Wait4(s.pid, &status, unix.WALL, nil); err != nil || status.StopSignal() != unix.SIGSEGV {
		t.Fatalf("%v %v", status, err)
	}
	// The kernel's own words for an address that is not mapped: SEGV_MAPERR, at 0.
	info := [32]int32{int32(unix.SIGSEGV), 0, 1}
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SETSIGINFO, uintptr(s.pid), 0, uintptr(unsafe.Pointer(&info)), 0, 0); errno != 0 {
		t.Fatal(errno)
	}
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(s.pid), 0, uintptr(unix.SIGSEGV), 0, 0); errno != 0 {
		t.Fatal(errno)
	}
	s.wantCode(2)
	s.stderr.awaitText(t, "SIGSEGV: segmentation violation")
	if out := s.stdout.String(); strings.Contains(out, "got") {
		t.Errorf("it was forwarded: %s", out)
	}
}

// Who may not wait for signals is told of them by os/signal.
func TestForwardWithoutSigtimedwait(t *testing.T) {
	s := launchProgram(t, asSubreaper, nil, probeBin, "exec", "-forbid", strconv.Itoa(unix.SYS_RT_SIGTIMEDWAIT),
		reaperBin, "--", probeBin, "signals")
	s.expect("ready")
	for sig := syscall.Signal(1); sig <= reap.NumSignals; sig++ {
		if forwardable(sig) && takenByGo(sig) {
			s.signal(sig)
			s.expect(fmt.Sprintf("got %d", int(sig)))
		}
	}
	s.signal(unix.SIGTERM)
	s.expect("got 15")
	s.stdin.Close()
	s.wantCode(0)
}

func taskIDs(t testing.TB, pid int) (tids []int) {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		tid, _ := strconv.Atoi(task.Name())
		tids = append(tids, tid)
	}
	return tids
}

// Where the user's signals have used up RLIMIT_SIGPENDING, a signal that can merge comes
// without its sender. What reaper wakes itself by is not taken for somebody else's then.
func TestSignalsWithoutRoom(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		s := launchProgram(t, at, nil, probeBin, "exec", "-no-pending", reaperBin,
			"-vv", "--", "sh", "-c", `trap "" HUP; (sleep 0.1 &); echo ready; read x; exit 7`)
		s.expect("ready")
		for {
			line, ok := s.stderr.await("")
			if !ok {
				t.Fatalf("no orphan was reaped: %s", s.stderr)
			}
			if strings.Contains(line, "orphan reaped") {
				break
			}
		}
		s.signal(unix.SIGHUP)
		s.signal(unix.SIGWINCH)
		s.stdin.Close()
		s.wantCode(7)
	})
}

// A descriptor that is ready sends whatever its owner wants, with a code as the kernel's
// own faults have it (fcntl(2), F_SETSIG). It ends reaper no more than a kill does.
func TestSignalsOfADescriptor(t *testing.T) {
	needExact(t)
	for _, sig := range []syscall.Signal{unix.SIGSTKFLT, unix.SIGSEGV, unix.SIGUSR1} {
		s := launch(t, asSubreaper, nil, "--", probeBin, "signals")
		s.expect("ready")
		r, w := pipe(t)
		for _, call := range [][2]int{{unix.F_SETOWN, s.pid}, {unix.F_SETSIG, int(sig)}, {unix.F_SETFL, unix.O_ASYNC}} {
			if _, err := unix.FcntlInt(r.Fd(), call[0], call[1]); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		s.expect(fmt.Sprintf("got %d", int(sig)))
		s.stdin.Close()
		s.wantCode(0)
	}
}

// The signals that os/signal does not take have a handler from the first instructions on,
// which is replaced in a moment in which it may be running.
func TestHandlerIsReplaced(t *testing.T) {
	needExact(t)
	for i := range 300 {
		s := launch(t, asSubreaper, nil, "--rewrite", "34:none", "--", "true")
		for end := time.Now().Add(time.Duration(i%30) * 100 * time.Microsecond); time.Now().Before(end); {
			if unix.Kill(s.pid, 34) != nil {
				break
			}
		}
		// Before the entry point has run, it is fatal.
		if got := s.wait(); got != reap.ExitStatus(0) && got != reap.SignalStatus(34) {
			t.Fatalf("run %d: %v\n%s", i, got, s.stderr)
		}
	}
}

// What somebody has wanted of the runtime of a command in Go is not wanted of reaper's,
// and comes to the command.
func TestDebuggingIsTheCommands(t *testing.T) {
	needExact(t)
	s := launch(t, asSubreaper, func(cmd *exec.Cmd) {
		cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1", "GOMAXPROCS=3")
	}, "--", "sh", "-c", "echo $GODEBUG $GOMAXPROCS")
	s.expect("inittrace=1 3")
	s.wantCode(0)
	if said := s.stderr.rest(); len(said) > 0 {
		t.Errorf("reaper says %q", said)
	}
}
