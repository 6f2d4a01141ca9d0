package test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// Every exit code comes out as it went in.
func TestExitCodes(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		for code := range 256 {
			launch(t, at, nil, "--", "sh", "-c", fmt.Sprintf("exit %d", code)).wantCode(code)
		}
	})
}

// A signal that arrives at any moment of the start is never lost and never
// makes it hang: it ends reaper, or aborts the start, or reaches the command
// (pitfalls 1, 2, 3, 57, 62).
func TestSignalDuringStart(t *testing.T) {
	sigs := []syscall.Signal{unix.SIGTERM}
	if exact() { // the Go runtime drops some of these until they are asked for
		sigs = append(sigs, unix.SIGINT, unix.SIGHUP, unix.SIGUSR1, unix.SIGALRM, 40)
	}
	inPlaces(t, func(t *testing.T, at place) {
		if at.pid1 {
			needExact(t)
		}
		for _, sig := range sigs {
			times := 50
			if sig == unix.SIGTERM {
				times = 200
			}
			for i := range times {
				s := launch(t, at, nil, "--", "sleep", "1000")
				if at.pid1 {
					// Until its first instruction the kernel drops what PID 1 has no
					// handler for (pitfall 62): no program can change that.
					s.awaitHandler(unix.SIGTERM)
				}
				burn(i * 5000 / times) // 0 to 5 ms
				s.signal(sig)
				if got := s.wait(); got.Code() != 128+int(sig) && got.Signal() != sig {
					t.Fatalf("signal %d after about %d us: %v", int(sig), i*5000/times, got)
				}
			}
		}
	})
}

// A request to stop is not lost in a burst of other signals.
func TestStopInBurst(t *testing.T) {
	deaf := fmt.Sprint(uint64(^reap.Signals(unix.SIGTERM, unix.SIGCHLD, unix.SIGKILL, unix.SIGSTOP)))
	for range 5 {
		s := launch(t, asSubreaper, nil, "--", probeBin, "exec", "-ignore", deaf, "sleep", "1000")
		eventually(t, "the command is there", func() bool { return len(children(s.pid)) == 1 && s.command().Name == "sleep" })
		const burst = 20_000
		for i := range burst {
			unix.Kill(s.pid, 35+syscall.Signal(i%25))
			if i == burst/2 {
				s.signal(unix.SIGTERM)
			}
		}
		s.wantCode(143)
	}
}

// With too few descriptors reaper says so before the command runs. It never ends in the
// middle, in the runtime's words, because a timer needs some.
func TestFewDescriptors(t *testing.T) {
	needExact(t) // syscall.ForkExec needs some more
	// A burst of orphans needs a timer.
	const burst = `i=0; while [ $i -lt 100 ]; do (: &); i=$((i+1)); done; echo ran; exit 3`
	for _, options := range [][]string{
		nil,
		{"-vv"},
		{"--tail", "5"},
		{"--restart", "on-failure:2", "--restart-delay", "0.01"},
		{"--health-tcp", "127.0.0.1:1"},
		{"--notify"},
		{"--report", filepath.Join(t.TempDir(), "report")},
	} {
		t.Run(strings.Join(options[:min(1, len(options))], ""), func(t *testing.T) {
			refused, ran := 0, 0
			for limit := 3; limit < 14; limit++ {
				script := fmt.Sprintf(`ulimit -n %d && exec "$@"`, limit)
				args := slices.Concat([]string{"-c", script, "sh", reaperBin}, options, []string{"--", "sh", "-c", burst})
				s := launchProgram(t, asSubreaper, nil, "sh", args...)
				status := s.wait()
				out, complaint := s.stdout.rest(), strings.Join(s.stderr.rest(), "\n")
				switch {
				case status.Code() == 3 && len(out) > 0:
					ran++
				case status.Code() == 125 && len(out) == 0 && strings.Contains(complaint, "too many open files"):
					refused++
				default:
					t.Errorf("%d descriptors: %v, stdout %q, stderr:\n%s", limit, status, out, complaint)
				}
			}
			if refused == 0 || ran == 0 {
				t.Errorf("refused %d times, ran %d times", refused, ran)
			}
		})
	}
	nobodyIsLeft(t)
}

// awaitHandler waits until the process has a handler for sig.
func (s *session) awaitHandler(sig syscall.Signal) {
	s.t.Helper()
	eventually(s.t, "a handler is there", func() bool {
		return signalsOf(s.t, s.pid, "SigCgt").Has(sig)
	})
}

// signalsOf reads one of the signal sets of /proc/PID/status.
func signalsOf(t testing.TB, pid int, field string) reap.SignalSet {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	return signalField(t, string(status), field)
}

// signalField finds one signal set in the text of a /proc/PID/status.
func signalField(t testing.TB, status, field string) reap.SignalSet {
	t.Helper()
	for line := range strings.Lines(status) {
		if hex, ok := strings.CutPrefix(line, field+":"); ok {
			set, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			return reap.SignalSet(set)
		}
	}
	t.Fatalf("no %s in\n%s", field, status)
	return 0
}
