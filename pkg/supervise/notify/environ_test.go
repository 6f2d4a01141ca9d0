package notify

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

func TestEnviron(t *testing.T) {
	before := []string{
		"A=1", "NOTIFY_SOCKET=/run/systemd/notify", "WATCHDOG_PID=7", "WATCHDOG_USEC=5", "LISTEN_FDS=2", "LISTEN_PID=7",
		"LISTEN_FDNAMES=a:b", "NOTIFY_SOCKET=/again", "NOTIFY_SOCKETS=x", "odd",
	}
	kept := []string{"A=1", "LISTEN_FDS=2", "LISTEN_PID=7", "LISTEN_FDNAMES=a:b", "NOTIFY_SOCKETS=x", "odd"}
	env := slices.Clone(before)
	for _, c := range []struct {
		watchdog time.Duration
		want     []string
	}{
		{0, []string{"NOTIFY_SOCKET=@x"}},
		{time.Nanosecond, []string{"NOTIFY_SOCKET=@x"}}, // 0 microseconds would be an error to a client
		{1500 * time.Millisecond, []string{"NOTIFY_SOCKET=@x", "WATCHDOG_USEC=1500000"}},
	} {
		if got, want := Environ(env, "@x", c.watchdog), append(slices.Clone(kept), c.want...); !slices.Equal(got, want) {
			t.Errorf("%v: got %q, want %q", c.watchdog, got, want)
		}
	}
	if !slices.Equal(env, before) {
		t.Errorf("changed: %q", env)
	}
}

func TestManagerWatchdog(t *testing.T) {
	for _, c := range []struct {
		env  string
		want time.Duration
		err  string
	}{
		{"", 0, ""},
		{"WATCHDOG_PID=7", 0, ""},
		{"WATCHDOG_USEC=3000000", 3 * time.Second, ""},
		{"WATCHDOG_USEC=3000000 WATCHDOG_PID=7", 3 * time.Second, ""},
		{"WATCHDOG_USEC=3000000 WATCHDOG_PID=8", 0, ""},
		{"WATCHDOG_USEC=x WATCHDOG_PID=8", 0, ""},
		{"WATCHDOG_USEC=3000000 WATCHDOG_USEC=4", 3 * time.Second, ""},
		{"WATCHDOG_USEC=18446744073709551614", longest, ""},
		{"WATCHDOG_USEC=18446744073709551615", 0, `read WATCHDOG_USEC: not a positive number: "18446744073709551615"`},
		{"WATCHDOG_USEC=0", 0, `read WATCHDOG_USEC: not a positive number: "0"`},
		{"WATCHDOG_USEC=-1", 0, `read WATCHDOG_USEC: not a positive number: "-1"`},
		{"WATCHDOG_USEC=1 WATCHDOG_PID=", 0, `read WATCHDOG_PID: not a number: ""`},
	} {
		got, err := ManagerWatchdog(strings.Fields(c.env), 7)
		if got != c.want || err != nil && err.Error() != c.err || err == nil && c.err != "" {
			t.Errorf("%s: %v, %v", c.env, got, err)
		}
	}
}

// A client takes a timeout for its own where WATCHDOG_PID is left out, and what this
// process reads is what the client would.
func TestWatchdogOfClient(t *testing.T) {
	own := strconv.Itoa(os.Getpid())
	for _, entries := range [][]string{
		Environ([]string{"WATCHDOG_PID=1"}, "@x", 2*time.Second),
		Environ(nil, "@x", 0),
		{"WATCHDOG_USEC=2000000", "WATCHDOG_PID=" + own},
		{"WATCHDOG_USEC=2000000", "WATCHDOG_PID=1"},
		{"WATCHDOG_USEC=0"},
	} {
		want, wantErr := ManagerWatchdog(entries, os.Getpid())
		for _, name := range []string{"WATCHDOG_USEC", "WATCHDOG_PID"} {
			value, ok := lookUp(entries, name)
			t.Setenv(name, value)
			if !ok {
				if err := os.Unsetenv(name); err != nil {
					t.Fatal(err)
				}
			}
		}
		got, err := daemon.SdWatchdogEnabled(false)
		if got != want || (err == nil) != (wantErr == nil) {
			t.Errorf("%q: the client reads %v, %v, and this package %v, %v", entries, got, err, want, wantErr)
		}
	}
	if got, err := ManagerWatchdog(Environ([]string{"WATCHDOG_PID=1"}, "@x", 2*time.Second), 4711); got != 2*time.Second || err != nil {
		t.Errorf("any process: %v, %v", got, err)
	}
}
