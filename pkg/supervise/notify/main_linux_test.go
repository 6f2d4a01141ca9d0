package notify

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// A role is another program that a test needs: the test binary runs itself again.
const roleVariable = "NOTIFY_TEST_ROLE"

// patience is how long a test waits for what happens at once on an idle machine.
const patience = 60 * time.Second

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if name := os.Getenv(roleVariable); name != "" {
		if err := roles[name](os.Args[1:]); err != nil {
			return complain("role %s %q: %v", name, os.Args[1:], err)
		}
		return 0
	}
	// What the tests lose comes here, where it is seen.
	if err := reap.BecomeSubreaper(); err != nil {
		return complain("%v", err)
	}
	code := m.Run()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); <-time.After(time.Millisecond) {
		if _, more, err := reap.Drain(nil); !more && err == nil {
			return code
		}
	}
	return complain("the tests left processes behind: %v", reap.ChildPIDs())
}

func complain(format string, args ...any) int {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	return 1
}

// roles are filled by init functions beside the tests that use them.
var roles = make(map[string]func(args []string) error)

func newRole(name string, main func(args []string) error) string {
	roles[name] = main
	return name
}

// command is a role as a program, which finds a listener at the address.
func command(t *testing.T, role, address string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := program(t, address, self, args...)
	cmd.Env = append(cmd.Env, roleVariable+"="+role, "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	return cmd
}

// program is any program, which finds a listener at the address.
func program(t *testing.T, address, name string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = Environ(os.Environ(), address, 0)
	cmd.Stderr = os.Stderr
	return cmd
}

// output runs a program to its end and returns what it has said.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return strings.TrimSpace(string(out))
}

// cannot skips a test that this machine has no means for. In CI there must be every
// means, so that no test is left out for good without anybody seeing it.
func cannot(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("may not be skipped in CI: "+format, args...)
	}
	t.Skipf(format, args...)
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		cannot(t, "only root can do that")
	}
}

// inNamespaces starts a command in new namespaces; without privileges in a new user
// namespace, too.
func inNamespaces(t *testing.T, cmd *exec.Cmd, flags uintptr) {
	t.Helper()
	set := func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
		if os.Geteuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		}
	}
	try := exec.Command("/bin/true")
	set(try)
	if err := try.Run(); err != nil {
		cannot(t, "no such namespaces on this machine: %v", err)
	}
	set(cmd)
}

// descriptors are the open ones, but for the one that reads them and those of the
// runtime's poller, which opens them when it is first used.
func descriptors(t *testing.T) []string {
	t.Helper()
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, entry := range dir {
		file, err := os.Readlink("/proc/self/fd/" + entry.Name())
		if err != nil || strings.HasPrefix(file, "anon_inode:[event") {
			continue
		}
		open = append(open, entry.Name()+" "+file)
	}
	return open
}

// keepDescriptors has the test fail if at its end others are open.
func keepDescriptors(t *testing.T) {
	t.Helper()
	before := descriptors(t)
	t.Cleanup(func() { // a listener waits a moment only for what it closes
		var after []string
		eventually(t, fmt.Sprintf("the descriptors are %v", before), func() bool {
			after = descriptors(t)
			return slices.Equal(before, after)
		})
	})
}

// places are both kinds of socket.
var places = map[string]ListenConfig{"path": {}, "abstract": {Abstract: true}}

// listening is a listener for the test alone.
func listening(t *testing.T, c ListenConfig) *Listener {
	t.Helper()
	keepDescriptors(t)
	l, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// next waits for the next message.
func next(t *testing.T, l *Listener) Message {
	t.Helper()
	deadline := time.After(patience)
	for {
		m, ok, err := l.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			return m
		}
		select {
		case <-l.Wake():
		case <-deadline:
			t.Fatal("no message came")
		}
	}
}

// none tells that there is nothing to receive.
func none(t *testing.T, l *Listener) {
	t.Helper()
	if m, ok, err := l.Receive(); ok || err != nil {
		t.Fatalf("received %+v, %v", m, err)
	}
}

// send sends one datagram, and descriptors with it.
func send(t *testing.T, address, text string, fds ...int) {
	t.Helper()
	if err := trySend(address, text, fds...); err != nil {
		t.Fatal(err)
	}
}

func trySend(address, text string, fds ...int) error {
	conn, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(conn) //nolint:errcheck // it is open
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	return unix.Sendmsg(conn, []byte(text), rights, &unix.SockaddrUnix{Name: address}, 0)
}

func closeFD(t *testing.T, fd int) {
	t.Helper()
	if err := unix.Close(fd); err != nil {
		t.Error(err)
	}
}

// eventually waits until the condition holds: the kernel tells nobody of it.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
