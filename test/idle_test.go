package test

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// At rest, also after work, no thread waits for a time to come, but for the runtime's monitor thread, and
// that one for longer than anybody looks. What the threads are in says it at once, where
// to count their wake-ups takes minutes (make bench does).
func TestNothingTicks(t *testing.T) {
	needExact(t)
	inPlaces(t, func(t *testing.T, at place) {
		s := launch(t, at, nil, "-vv", "--", "sh", "-c", "for i in $(seq 500); do (true &); done; echo ready; read x; :")
		s.expect("ready")
		var seen []string
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("the threads were in %q", seen)
			}
		})
		eventually(t, "each thread sleeps for good", func() bool {
			seen = nil
			monitors, others := 0, 0
			for _, tid := range taskIDs(t, s.pid) {
				seconds, text := sleepsFor(s.pid, tid)
				seen = append(seen, text)
				switch {
				case seconds > 365*24*60*60:
					monitors++
				case seconds != 0:
					others++
				}
			}
			return monitors == 1 && others == 0
		})
		s.stdin.Close()
		s.wantCode(0)
		if log := strings.Join(s.stderr.rest(), "\n"); !strings.Contains(log, "orphan reaped") {
			t.Errorf("nothing has been reaped:\n%s", log)
		}
	})
}

// sleepsFor is how long the wait of a thread lasts at the most, 0 if it has no end. It is
// -1 for one that does not wait, or for what this test does not know.
func sleepsFor(pid, tid int) (seconds int64, text string) {
	call, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/syscall", pid, tid))
	text = strings.TrimSpace(string(call))
	if err != nil {
		return -1, err.Error()
	}
	var number int64
	var args [6]uint64
	if _, err := fmt.Sscanf(text, "%d 0x%x 0x%x 0x%x 0x%x", &number, &args[0], &args[1], &args[2], &args[3]); err != nil {
		return -1, text // it is running
	}
	timeout := args[3]
	switch number {
	case unix.SYS_FUTEX:
	case unix.SYS_RT_SIGTIMEDWAIT:
		timeout = args[2]
	case unix.SYS_EPOLL_PWAIT:
		if int32(timeout) < 0 { // in milliseconds
			return 0, text
		}
		return -1, text
	default:
		return -1, text
	}
	if timeout == 0 {
		return 0, text
	}
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return -1, err.Error()
	}
	defer memory.Close()
	var timespec [16]byte // seconds and nanoseconds
	if _, err := memory.ReadAt(timespec[:], int64(timeout)); err != nil {
		return -1, err.Error()
	}
	seconds = int64(binary.NativeEndian.Uint64(timespec[:]))
	return max(seconds, 1), fmt.Sprintf("%s: %d s", text, seconds)
}
