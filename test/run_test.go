package test

import (
	"fmt"
	"os"
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
