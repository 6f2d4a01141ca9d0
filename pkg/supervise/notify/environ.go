package notify

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Environ is env with what the command needs to find its listener: NOTIFY_SOCKET, and
// WATCHDOG_USEC if it is to send WATCHDOG=1, which it should twice in that time. What
// env has of these is meant for this process, and is taken out. env is not changed.
//
// WATCHDOG_PID is left out: its value would be the command's pid, which nobody knows
// before it is started. Without it, every process may take the timeout for its own
// (sd_watchdog_enabled(3)); an empty one is an error.
func Environ(env []string, address string, watchdog time.Duration) []string {
	own := []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}
	env = slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(own, name)
	})
	env = append(env, "NOTIFY_SOCKET="+address)
	if usec := watchdog.Microseconds(); usec > 0 {
		env = append(env, "WATCHDOG_USEC="+strconv.FormatInt(usec, 10))
	}
	return env
}

// ManagerWatchdog is within what time the service manager wants a WATCHDOG=1 from the
// process pid, going by that process's environment: WATCHDOG_USEC and WATCHDOG_PID. 0 is
// never. Half of it is how often to send one.
func ManagerWatchdog(env []string, pid int) (time.Duration, error) {
	usec, ok := lookUp(env, "WATCHDOG_USEC")
	if !ok {
		return 0, nil
	}
	if text, ok := lookUp(env, "WATCHDOG_PID"); ok {
		whose, err := strconv.Atoi(text)
		if err != nil {
			return 0, fmt.Errorf("read WATCHDOG_PID: not a number: %.40q", text)
		}
		if whose != pid {
			return 0, nil
		}
	}
	n, err := strconv.ParseUint(usec, 10, 64)
	if err != nil || n == 0 || n == math.MaxUint64 { // the last is infinity
		return 0, fmt.Errorf("read WATCHDOG_USEC: not a positive number: %.40q", usec)
	}
	return microseconds(n), nil
}

// lookUp finds the first entry, which is the one that getenv(3) sees.
func lookUp(env []string, name string) (value string, ok bool) {
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value, true
		}
	}
	return "", false
}
