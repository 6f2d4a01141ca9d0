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
// makes it hang: it ends reaper, or aborts the start, or reaches the command.
func TestStopDuringStart(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		if at.pid1 {
			needExact(t)
		}
		for i := range 200 {
			s := launch(t, at, nil, "--", "sleep", "1000")
			if at.pid1 {
				// Until its first instruction the kernel drops what PID 1 has no
				// handler for (pitfall 62): no program can change that.
				s.awaitHandler(unix.SIGTERM)
			}
			burn(i * 25) // 0 to 5 ms
			s.signal(unix.SIGTERM)
			if got := s.wait(); got.Code() != 143 && got.Signal() != unix.SIGTERM {
				t.Fatalf("TERM after about %d us: %v", i*25, got)
			}
		}
	})
}

// awaitHandler waits until the process has a handler for sig.
func (s *session) awaitHandler(sig syscall.Signal) {
	s.t.Helper()
	eventually(s.t, "a handler is there", func() bool {
		return signalsOf(s.t, s.pid, "SigCgt").Has(sig)
	})
}

// signalsOf reads one of the signal sets of /proc/PID/status.
func signalsOf(t *testing.T, pid int, field string) reap.SignalSet {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	return signalField(t, string(status), field)
}

// signalField finds one signal set in the text of a /proc/PID/status.
func signalField(t *testing.T, status, field string) reap.SignalSet {
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
