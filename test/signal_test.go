package test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// Every signal that can be caught is forwarded, real-time ones too, as
// subreaper and as PID 1 (pitfalls 33, 46, 47).
func TestForwardEverySignal(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		s := launch(t, at, nil, "--", probeBin, "signals")
		s.expect("ready")
		for sig := syscall.Signal(1); sig <= reap.NumSignals; sig++ {
			if forwardable(sig) && takenByGo(sig) {
				s.signal(sig)
				s.expect(fmt.Sprintf("got %d", int(sig)))
			}
		}
		s.stdin.Close()
		s.wantCode(0)
	})
}

// The signals that a Go program cannot take, or sends to itself, need another
// program to see them: a shell.
func TestForwardSignalsOfTheRuntime(t *testing.T) {
	needExact(t)
	inPlaces(t, func(t *testing.T, at place) {
		for _, sig := range []syscall.Signal{unix.SIGURG, unix.SIGPROF, 34} {
			script := fmt.Sprintf(`trap 'echo got; kill $!; exit 0' %d; sleep 1000 & echo ready; wait`, int(sig))
			s := launch(t, at, nil, "--", "sh", "-c", script)
			s.expect("ready")
			s.signal(sig)
			s.expect("got")
			s.wantCode(0)
		}
		// The C library lets nobody handle these two. They end a program.
		for _, sig := range []syscall.Signal{32, 33} {
			s := launch(t, at, nil, "--", "sleep", "1000")
			s.command()
			s.signal(sig)
			s.wantCode(128 + int(sig))
		}
	})
}

// takenByGo tells what probe can tell of.
func takenByGo(sig syscall.Signal) bool {
	return sig != unix.SIGURG && sig != unix.SIGPROF && (sig < 32 || sig > 34)
}

// forwardable tells what the binary under test forwards without being asked to
// stop: TERM, INT and QUIT have tests of their own.
func forwardable(sig syscall.Signal) bool {
	switch sig {
	case unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT:
		return false
	case unix.SIGURG, unix.SIGPROF, 32, 33, 34: // these need the build of make
		return exact()
	default:
		return true
	}
}

// Each of the signals that ask for the end reaches the command as itself.
func TestStopSignalsAreForwarded(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGQUIT} {
			s := launch(t, at, nil, "--", probeBin, "signals")
			s.expect("ready")
			s.signal(sig)
			s.expect(fmt.Sprintf("got %d", int(sig)))
			s.stdin.Close()
			s.wantCode(0)
		}
	})
}

// A CHLD from outside wakes the loop and is not forwarded.
func TestSIGCHLDIsNotForwarded(t *testing.T) {
	s := launch(t, asSubreaper, nil, "--", probeBin, "signals")
	s.expect("ready")
	s.signal(unix.SIGCHLD)
	s.signal(unix.SIGUSR1)
	s.expect("got 10")
	s.stdin.Close()
	s.wantCode(0)
	if out := s.stdout.String(); strings.Contains(out, "got 17") {
		t.Errorf("SIGCHLD was forwarded: %s", out)
	}
}

// fatalSignals end a process by default.
var fatalSignals = []syscall.Signal{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 24, 25, 26, 27, 29, 30, 31, 34, 64}

// A command that dies by a signal makes 128+n, or with --raise the same death
// (pitfall 22: and no core dump of reaper's own).
func TestFatalSignals(t *testing.T) {
	noCore := func(cmd *exec.Cmd) { cmd.Dir = t.TempDir() }
	inPlaces(t, func(t *testing.T, at place) {
		for _, sig := range fatalSignals {
			// A program of its own, as the shell says on stderr who killed its child.
			kill := fmt.Sprintf("ulimit -c 0; exec env kill -%d $$", int(sig))
			if _, err := exec.LookPath("/usr/bin/kill"); err != nil {
				kill = fmt.Sprintf("ulimit -c 0; kill -%d $$", int(sig))
			}
			launch(t, at, noCore, "--", "sh", "-c", kill).wantCode(128 + int(sig))
			s := launch(t, at, noCore, "--raise", "--", "sh", "-c", kill)
			switch got := s.wait(); {
			case at.pid1: // its own signals cannot end it
				s.wantCode(128 + int(sig))
			case got != reap.SignalStatus(sig):
				t.Errorf("--raise after signal %d: %v\n%s", int(sig), got, s.stderr)
			}
			launch(t, at, noCore, "--raise", "--ok-exit", strconv.Itoa(128+int(sig)), "--", "sh", "-c", kill).wantCode(0)
		}
	})
}

// What would end a Go program that is PID 1 does not: it is an ordinary signal
// (pitfall 33).
func TestPID1OutlivesItsContainer(t *testing.T) {
	script := `trap "" QUIT ILL TRAP ABRT BUS FPE SEGV SYS PIPE HUP INT
for s in QUIT ILL TRAP ABRT BUS FPE SEGV SYS KILL STOP PIPE HUP; do kill -$s 1; done; echo alive; exit 5`
	s := launch(t, asPID1, nil, "--", "sh", "-c", script)
	s.expect("alive")
	s.wantCode(5)
}

// --group reaches the other processes of the command's group as well.
func TestGroup(t *testing.T) {
	// Two processes in one group; each tells the signal that it gets.
	const two = `"$0" signals <&3 3<&- & exec "$0" signals`
	for _, c := range []struct {
		name    string
		options []string
		env     string
		both    bool
	}{
		{"option", []string{"-g", "--"}, "", true},
		{"variable", []string{"--"}, "REAPER_GROUP=1", true},
		{"neither", []string{"--"}, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := launch(t, asSubreaper, func(cmd *exec.Cmd) {
				cmd.Env = append(os.Environ(), c.env)
				cmd.ExtraFiles = []*os.File{cmd.Stdin.(*os.File)}
			}, append(c.options, "sh", "-c", two, probeBin)...)
			s.expect("ready")
			s.expect("ready")
			s.signal(unix.SIGUSR1)
			s.expect("got 10")
			if c.both {
				s.expect("got 10")
			}
			s.stdin.Close()
			s.wantCode(0)
			want := 1
			if c.both {
				want = 2
			}
			if got := strings.Count(strings.Join(s.stdout.rest(), "\n"), "got 10"); got != want {
				t.Errorf("USR1 came %d times, want %d", got, want)
			}
		})
	}
}

// --rewrite replaces signals and drops them, and what comes out is what counts.
func TestRewrite(t *testing.T) {
	s := launch(t, asSubreaper, func(cmd *exec.Cmd) { cmd.Env = append(os.Environ(), "REAPER_REWRITE=USR1:INT") },
		"-r", "HUP:USR2", "--rewrite", "15:rtmin+3", "-r", "INT:none", "--", probeBin, "signals")
	s.expect("ready")
	for _, step := range []struct {
		sig  syscall.Signal
		want string
	}{
		{unix.SIGHUP, "got 12"}, {unix.SIGTERM, "got 37"}, {unix.SIGUSR1, "got 10"}, {unix.SIGTERM, "got 37"},
	} {
		s.signal(step.sig)
		s.expect(step.want)
	}
	s.signal(unix.SIGINT)
	s.signal(unix.SIGUSR2)
	s.expect("got 12")
	s.stdin.Close()
	s.wantCode(0)
	if strings.Contains(s.stdout.String(), "got 2\n") {
		t.Errorf("INT came through: %s", s.stdout)
	}
}

// The ladder: the stop signal, the timeout, the kill.
func TestStop(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		t.Run("stop-signal", func(t *testing.T) {
			s := launch(t, at, nil, "--stop-signal", "quit", "--", probeBin, "signals")
			s.expect("ready")
			s.signal(unix.SIGTERM)
			s.expect("got 3")
			s.stdin.Close()
			s.wantCode(0)
		})
		t.Run("stop-timeout", func(t *testing.T) {
			s := launch(t, at, nil, "--stop-timeout", "50ms", "--", probeBin, "signals")
			s.expect("ready")
			s.signal(unix.SIGTERM)
			s.stderr.awaitText(t, "did not stop in time")
			s.wantCode(137)
		})
		t.Run("second TERM", func(t *testing.T) {
			s := launch(t, at, nil, "--", probeBin, "signals")
			s.expect("ready")
			s.signal(unix.SIGINT)
			s.expect("got 2")
			s.signal(unix.SIGTERM)
			s.wantCode(137)
		})
		t.Run("stop-delay is ended by a second request", func(t *testing.T) {
			s := launch(t, at, nil, "-v", "--stop-delay", "1h", "--", probeBin, "signals")
			s.expect("ready")
			s.signal(unix.SIGTERM)
			s.stderr.awaitText(t, "waiting before passing it on")
			s.signal(unix.SIGINT)
			s.expect("got 2")
			s.stdin.Close()
			s.wantCode(0)
		})
		t.Run("stop-delay passes", func(t *testing.T) {
			s := launch(t, at, nil, "--stop-delay", "30ms", "--", probeBin, "signals")
			s.expect("ready")
			s.signal(unix.SIGTERM)
			s.expect("got 15")
			s.stdin.Close()
			s.wantCode(0)
		})
		t.Run("a stopped command", func(t *testing.T) { // pitfall 42
			s := launch(t, at, nil, "--stop-signal", "KILL", "--", probeBin, "signals")
			s.expect("ready")
			unix.Kill(s.command().PID, unix.SIGSTOP)
			s.signal(unix.SIGTERM)
			s.wantCode(137)
		})
	})
}

// --parent-death: reaper is asked to stop when its parent dies, also if that
// was before it could tell the kernel (pitfall 45).
func TestParentDeath(t *testing.T) {
	needExact(t)
	for i := range 50 {
		// The parent is killed at some moment of reaper's start; not before its
		// first instruction, when nobody can know who the parent was.
		s := launchProgram(t, asSubreaper, nil, "sh", "-c", `"$@" & echo reaper $!; wait`, "sh",
			reaperBin, "-p", "TERM", "--", "sleep", "1000")
		pid, err := strconv.Atoi(s.expect("reaper "))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "reaper has started", func() bool {
			return commandOf(pid) == "reaper" && signalsOf(t, pid, "SigCgt").Has(unix.SIGTERM)
		})
		burn(i * 40) // 0 to 2 ms
		s.signal(unix.SIGKILL)
		s.wait()
		eventually(t, "reaper has ended", func() bool {
			p, err := reap.ReadProc(pid)
			return err != nil || p.Zombie()
		})
	}
}

// --child-parent-death: the command is told when reaper is killed, and nothing
// as long as it lives. The kernel tells it once for each thread of reaper that
// ends after the one that started it, so more than one signal may come.
func TestChildParentDeath(t *testing.T) {
	for _, bin := range []string{reaperBin, plainBin} {
		s := launchProgram(t, asSubreaper, nil, bin, "--child-parent-death", "USR1", "--", probeBin, "signals")
		s.expect("ready")
		s.signal(unix.SIGUSR2)
		s.expect("got 12")
		if strings.Contains(s.stdout.String(), "got 10") {
			t.Errorf("USR1 while reaper lives: %s", s.stdout)
		}
		s.signal(unix.SIGKILL)
		s.wait()
		s.expect("got 10")
	}
}

// The REAPER_ variables are reaper's; the command does not see them unless it
// is to.
func TestVariables(t *testing.T) {
	prepare := func(cmd *exec.Cmd) {
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "REAPER_OK_EXIT=3", "REAPER_VERBOSE=1", "REAPER_LOG_FORMAT=json", "REAPER_CASSANDRA=kept"}
	}
	s := launch(t, asSubreaper, prepare, "--", "sh", "-c", "env; exit 3")
	s.wantCode(0)
	out := strings.Join(s.stdout.rest(), "\n")
	if strings.Contains(out, "REAPER_OK_EXIT") || !strings.Contains(out, "REAPER_CASSANDRA=kept") {
		t.Errorf("the command's environment:\n%s", out)
	}
	if err := strings.Join(s.stderr.rest(), "\n"); !strings.Contains(err, `"msg":"command ended"`) {
		t.Errorf("REAPER_VERBOSE=1 and REAPER_LOG_FORMAT=json gave\n%s", err)
	}
	s = launch(t, asSubreaper, prepare, "--keep-env", "--ok-exit", "4", "--", "sh", "-c", "env; exit 3")
	s.wantCode(3) // the command line wins
	if out := strings.Join(s.stdout.rest(), "\n"); !strings.Contains(out, "REAPER_OK_EXIT=3") {
		t.Errorf("with --keep-env:\n%s", out)
	}
}

// A setuid command cannot be signalled by an unprivileged reaper: that is a
// warning and not the end (pitfall 48).
func TestSignalNotPermitted(t *testing.T) {
	if os.Geteuid() != 0 {
		cannot(t, "only root can start a command that changes its user")
	}
	// reaper keeps root here, and the namespace takes its right to signal away.
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		cannot(t, "setpriv is not installed")
	}
	s := launchProgram(t, asSubreaper, nil, setpriv, "--bounding-set", "-kill", "--inh-caps", "-kill", "--",
		reaperBin, "--", setpriv, "--reuid", "65534", "--clear-groups", probeBin, "signals")
	s.expect("ready")
	s.signal(unix.SIGUSR1)
	s.stderr.awaitText(t, "operation not permitted")
	s.stdin.Close()
	s.wantCode(0)
}
