package notify

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// needSystemdNotify is systemd-notify(1), as Debian's package systemd has it.
func needSystemdNotify(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("systemd-notify")
	if err != nil {
		cannot(t, "systemd-notify is not installed")
	}
	return path
}

// systemd-notify waits for a barrier unless it is told not to: so it ends only if its
// message and the barrier are received, and the descriptor is closed.
func TestSystemdNotify(t *testing.T) {
	path := needSystemdNotify(t)
	for place, config := range places {
		for _, c := range []struct {
			args []string
			want string // what is passed on
		}{
			{[]string{"--ready"}, "READY=1"},
			{[]string{"--ready", "--status=serving, at last"}, "READY=1\nSTATUS=serving, at last"},
			{[]string{"--pid=" + strconv.Itoa(os.Getpid())}, "MAINPID=1"},
			{[]string{"--pid", "WATCHDOG=1"}, "WATCHDOG=1\nMAINPID=1"},
			{[]string{"RELOADING=1", "MONOTONIC_USEC=5"}, "RELOADING=1\nMONOTONIC_USEC=5"},
			{[]string{"STOPPING=1", "ERRNO=2", "X_REASON=none"}, "STOPPING=1\nERRNO=2\nX_REASON=none"},
		} {
			for _, block := range []bool{true, false} {
				args := c.args
				if !block {
					args = append([]string{"--no-block"}, args...)
				}
				t.Run(fmt.Sprintf("%s %s", place, strings.Join(args, " ")), func(t *testing.T) {
					l := listening(t, config)
					cmd := program(t, l.Address(), path, args...)
					if err := cmd.Start(); err != nil {
						t.Fatal(err)
					}
					m := next(t, l)
					if got := m.upward(1); got != c.want || m.Err != nil || m.Descriptors != 0 {
						t.Errorf("got %q, want %q: %v", got, c.want, m.Err)
					}
					// As root it names its parent, which is the tests.
					if m.UID != os.Getuid() || m.PID != os.Getpid() && m.PID != cmd.Process.Pid {
						t.Errorf("from process %d of user %d", m.PID, m.UID)
					}
					if block {
						if m := next(t, l); !m.Barrier || m.Err != nil || m.Descriptors != 1 || m.Declined() {
							t.Errorf("no barrier: %+v", m)
						}
					}
					if err := cmd.Wait(); err != nil {
						t.Error(err)
					}
					none(t, l)
				})
			}
		}
	}
}

// What it says of the machine needs no listener, and a message for nobody is its error.
func TestSystemdNotifyAlone(t *testing.T) {
	path := needSystemdNotify(t)
	l := listening(t, ListenConfig{})
	_ = program(t, l.Address(), path, "--booted").Run() // true or false, as the machine is
	none(t, l)
	address := l.Address()
	l.Close()
	cmd := program(t, address, path, "--ready")
	cmd.Stderr = nil
	if err := cmd.Run(); err == nil {
		t.Error("it was satisfied with a socket that is gone")
	}
}

// A shell script that keeps its place as the command, and tells of itself by
// systemd-notify: as its child has waited for the barrier, the script goes on only after
// the loop has taken that in.
func TestSystemdNotifyFromScript(t *testing.T) {
	needSystemdNotify(t)
	l := listening(t, ListenConfig{})
	cmd := program(t, l.Address(), "/bin/sh", "-c", `systemd-notify --ready --pid=$$ && systemd-notify --status=on`)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if m := next(t, l); !m.Ready || m.MainPID != cmd.Process.Pid {
		t.Errorf("got %+v", m)
	}
	next(t, l)
	if m := next(t, l); m.Status == nil || *m.Status != "on" {
		t.Errorf("got %+v", m)
	}
	next(t, l)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

var sender = newRole("sender", func(args []string) error {
	for _, text := range args {
		if sent, err := daemon.SdNotify(false, text); err != nil || !sent {
			return fmt.Errorf("sent %v: %w", sent, err)
		}
	}
	return nil
})

// The client of Go programs.
func TestSdNotify(t *testing.T) {
	for place, config := range places {
		t.Run(place, func(t *testing.T) {
			l := listening(t, config)
			cmd := command(t, sender, l.Address(), daemon.SdNotifyReady, daemon.SdNotifyReloading, daemon.SdNotifyStopping, daemon.SdNotifyWatchdog)
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"READY=1", "RELOADING=1", "STOPPING=1", "WATCHDOG=1"} {
				m := next(t, l)
				if got := m.upward(0); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
				if m.PID != cmd.Process.Pid || m.UID != os.Getuid() || m.GID != os.Getgid() {
					t.Errorf("from process %d of user %d and group %d", m.PID, m.UID, m.GID)
				}
			}
			none(t, l)
		})
	}
}

// The descriptor of a barrier is closed when the caller comes back for more, and not
// before: so what had been received before is taken in.
func TestBarrierIsExact(t *testing.T) {
	l := listening(t, ListenConfig{})
	r, w := pipe(t)
	send(t, l.Address(), "READY=1")
	send(t, l.Address(), "BARRIER=1", w)
	closeFD(t, w)
	if m := next(t, l); !m.Ready {
		t.Fatalf("got %+v", m)
	}
	if hungUp(t, r) {
		t.Error("the barrier has passed what was not taken in")
	}
	if m := next(t, l); !m.Barrier || m.Descriptors != 1 || m.Err != nil {
		t.Fatalf("got %+v", m)
	}
	eventually(t, "the barrier is gone", func() bool { return hungUp(t, r) })
}

func TestBarrierOdd(t *testing.T) {
	l := listening(t, ListenConfig{})
	r, w := pipe(t)
	for text, fds := range map[string][]int{"BARRIER=1": {w, w}, "BARRIER=1\nREADY=1": {w}} {
		send(t, l.Address(), text, fds...)
		if m := next(t, l); !m.Barrier || m.Ready || m.Err == nil || m.Descriptors != len(fds) {
			t.Errorf("%q: got %+v", text, m)
		}
	}
	send(t, l.Address(), "BARRIER=1")
	if m := next(t, l); !m.Barrier || m.Err == nil || m.Err.Error() != "parse BARRIER: 0 descriptors with it" {
		t.Errorf("got %+v", m)
	}
	closeFD(t, w)
	eventually(t, "all are closed", func() bool { return hungUp(t, r) })
}

// A store for descriptors is declined, and says so.
func TestDescriptorsAreDeclined(t *testing.T) {
	l := listening(t, ListenConfig{})
	r, w := pipe(t)
	send(t, l.Address(), "FDSTORE=1\nFDNAME=pipe\nREADY=1", w, w, w)
	send(t, l.Address(), "STATUS=x", w)
	closeFD(t, w)
	if m := next(t, l); !m.Declined() || !m.Store || m.Descriptors != 3 || !m.Ready || m.Err != nil {
		t.Errorf("got %+v", m)
	}
	if m := next(t, l); !m.Declined() || m.Store || m.Descriptors != 1 || m.Err != nil {
		t.Errorf("got %+v", m)
	}
	eventually(t, "all are closed", func() bool { return hungUp(t, r) })
}

// pipe is one whose reading end is closed at the end of the test.
func pipe(t *testing.T) (r, w int) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeFD(t, fds[0]) })
	return fds[0], fds[1]
}

// hungUp tells whether nobody has the writing end of a pipe any more.
func hungUp(t *testing.T, r int) bool {
	t.Helper()
	poll := []unix.PollFd{{Fd: int32(r)}}
	if _, err := unix.Poll(poll, 0); err != nil {
		t.Fatal(err)
	}
	return poll[0].Revents&unix.POLLHUP != 0
}
