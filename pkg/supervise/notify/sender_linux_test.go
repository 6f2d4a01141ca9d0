package notify

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

var parent = newRole("parent", func(args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	child := exec.Command(self, args...)
	child.Env = append(os.Environ(), roleVariable+"="+sender)
	if err := child.Run(); err != nil {
		return err
	}
	_, err = fmt.Println(child.Process.Pid)
	return err
})

// Pitfall 55: who has ended, and has even been waited for, is still the one who sent. His
// number names nobody by now.
func TestSenderHasExited(t *testing.T) {
	for place, config := range places {
		t.Run(place, func(t *testing.T) {
			l := listening(t, config)
			cmd := command(t, parent, l.Address(), "STATUS=from a grandchild")
			pid, err := strconv.Atoi(output(t, cmd))
			if err != nil {
				t.Fatal(err)
			}
			if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
				t.Fatalf("the sender is still there: %v", err)
			}
			if m := next(t, l); m.PID != pid || m.UID != os.Getuid() {
				t.Errorf("from process %d of user %d, and not %d", m.PID, m.UID, pid)
			}
			none(t, l)
		})
	}
}

// A message of a process whose exit can be waited for can be received, at once.
func TestMessageComesBeforeExit(t *testing.T) {
	l := listening(t, ListenConfig{})
	for range 50 {
		cmd := command(t, sender, l.Address(), "MAINPID=1")
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		if m, ok, err := l.Receive(); !ok || err != nil || m.MainPID != 1 || m.PID != cmd.Process.Pid {
			t.Fatalf("received %v: %+v, %v", ok, m, err)
		}
		none(t, l)
	}
}

var changed = newRole("changed", func(args []string) error {
	switch args[0] {
	case "user": // as a daemon does that drops its privileges
		if err := syscall.Setgroups(nil); err != nil {
			return err
		}
		if err := syscall.Setresgid(65534, 65534, 65534); err != nil {
			return err
		}
		if err := syscall.Setresuid(65534, 65534, 65534); err != nil {
			return err
		}
	case "root":
		if err := syscall.Chroot(args[1]); err != nil {
			return err
		}
	}
	_, err := daemon.SdNotify(false, "READY=1")
	fmt.Println(err == nil) // why not is in the tests of the other kind of socket
	return nil
})

// What each kind of socket can and cannot do: the reasons for the choice of Listen.
func TestReach(t *testing.T) {
	needRoot(t)
	for _, c := range []struct {
		what                        string
		path, pathAnyUser, abstract string
	}{
		{"user", "false", "true", "true"},
		{"root", "false", "false", "true"},
		{"network", "true", "true", "false"},
	} {
		for _, s := range []struct {
			config ListenConfig
			want   string
		}{{ListenConfig{}, c.path}, {ListenConfig{AnyUser: true}, c.pathAnyUser}, {ListenConfig{Abstract: true}, c.abstract}} {
			t.Run(fmt.Sprintf("%s %+v", c.what, s.config), func(t *testing.T) {
				l := listening(t, s.config)
				cmd := command(t, changed, l.Address(), c.what, t.TempDir())
				if c.what == "network" {
					inNamespaces(t, cmd, unix.CLONE_NEWNET)
				}
				if got := output(t, cmd); got != s.want {
					t.Errorf("sent %s, want %s", got, s.want)
				}
				if s.want == "false" {
					none(t, l)
					return
				}
				m := next(t, l)
				if uid := map[bool]int{true: 65534, false: 0}[c.what == "user"]; !m.Ready || m.UID != uid || m.GID != uid {
					t.Errorf("got %+v", m)
				}
			})
		}
	}
}

var inner = newRole("inner", func([]string) error {
	l, err := Listen(ListenConfig{})
	if err != nil {
		return err
	}
	defer l.Close()
	fmt.Println(l.Address())
	for {
		m, ok, err := l.Receive()
		if ok || err != nil {
			fmt.Println(m.PID, ownPID())
			return err
		}
		<-l.Wake()
	}
})

// A process outside has no number here; one inside has, and not the one that it knows
// itself by. What this process calls itself means nothing to a manager outside.
func TestSenderInAnotherPIDNamespace(t *testing.T) {
	keepDescriptors(t)
	cmd := command(t, inner, "", "")
	inNamespaces(t, cmd, unix.CLONE_NEWPID)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var address string
	if _, err := fmt.Fscan(out, &address); err != nil {
		t.Fatal(err)
	}
	send(t, address, "READY=1")
	var pid, own int
	if _, err := fmt.Fscan(out, &pid, &own); err != nil || pid != 0 || own != 0 {
		t.Errorf("sent by process %d to process %d, %v", pid, own, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}

	l := listening(t, ListenConfig{})
	cmd = command(t, sender, l.Address(), "READY=1")
	inNamespaces(t, cmd, unix.CLONE_NEWPID)
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if m := next(t, l); m.PID != cmd.Process.Pid {
		t.Errorf("sent by process %d, not %d", m.PID, cmd.Process.Pid)
	}
}
