package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// withAccounts has a program find other users and groups in /etc, in a mount namespace
// of its own.
func withAccounts(t *testing.T, bin string, options string, command ...string) *session {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"passwd": "root:x:0:0::/root:/bin/sh\napp:x:4242:4343::/srv/app:/bin/false\n",
		"group":  "root:x:0:\nstaff:x:50:root,app\napp:x:4343:\nother:x:51:root\nlate:x:52:app\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := append([]string{"-c", `mount --bind "$0/passwd" /etc/passwd && mount --bind "$0/group" /etc/group && exec "$@"`, dir, bin}, strings.Fields(options)...)
	return launchProgram(t, asSubreaper, func(cmd *exec.Cmd) {
		cmd.SysProcAttr.Unshareflags |= unix.CLONE_NEWNS // the kernel makes it private
	}, "/bin/sh", append(append(args, "--"), command...)...)
}

// The command has the IDs, groups and home of the user, as the files say (pitfall 54).
func TestUser(t *testing.T) {
	needRoot(t)
	eachBuild(t, func(t *testing.T, bin string) {
		for _, c := range []struct{ options, uid, gid, groups, home string }{
			{"-u app", "4242", "4343", "50 52 4343", "/srv/app"},
			{"--user 4242", "4242", "4343", "50 52 4343", "/srv/app"},
			{"-u app:other", "4242", "51", "51", "/srv/app"},
			{"-u 4242:7", "4242", "7", "7", "/srv/app"},
			{"-u 5000", "5000", "0", "0", "/"},
			{"-u 5000:5001", "5000", "5001", "5001", "/"},
			{"-u 4294967294:4294967294", "4294967294", "4294967294", "4294967294", "/"},
			{"-u :app", "0", "4343", "4343", "/of/reaper"},
			{"-u root", "0", "0", "0 50 51", "/root"},
			{"-u app -e HOME=/mine", "4242", "4343", "50 52 4343", "/mine"},
			{"-u app -e HOME", "4242", "4343", "50 52 4343", "/of/reaper"},
			{"-u app --clear-env", "4242", "4343", "50 52 4343", "/srv/app"},
			{"", "0", "0", "", "/of/reaper"},
		} {
			t.Setenv("HOME", "/of/reaper")
			s := withAccounts(t, bin, c.options, "/bin/sh", "-c", `grep -E '^(Uid|Gid|Groups)' /proc/self/status; echo "HOME $HOME"`)
			s.wantCode(0)
			four := func(id string) string { return strings.TrimSuffix(strings.Repeat(id+"\t", 4), "\t") }
			if uid, gid := s.expect("Uid:\t"), s.expect("Gid:\t"); uid != four(c.uid) || gid != four(c.gid) {
				t.Errorf("%s: Uid %q, Gid %q", c.options, uid, gid)
			}
			if groups := strings.TrimSpace(s.expect("Groups:\t")); groups != c.groups && c.options != "" {
				t.Errorf("%s: groups %q, want %q", c.options, groups, c.groups)
			}
			if home := s.expect("HOME "); home != c.home {
				t.Errorf("%s: home %q, want %q", c.options, home, c.home)
			}
		}
		s := withAccounts(t, bin, "-u nobody", "true")
		s.wantCode(125)
	})
}

// A reaper that is not root can be asked to be what it is: an image need not know.
func TestUserIsOwn(t *testing.T) {
	needRoot(t)
	eachBuild(t, func(t *testing.T, bin string) {
		got := tells(t, bin, asUser(54321), "-u 54321:54321", "sh", "-c", `id -u; id -g; id -G; echo "$HOME"`)
		if got != "54321\n54321\n54321\n/" {
			t.Errorf("got %q", got)
		}
	})
}

// capabilitiesOf are those that a /proc/PID/status shows, in the order of
// reap.Capabilities.
func capabilitiesOf(t *testing.T, status string) reap.Capabilities {
	t.Helper()
	field := func(name string) reap.CapabilitySet { return reap.CapabilitySet(signalField(t, status, name)) }
	return reap.Capabilities{
		Permitted: field("CapPrm"), Effective: field("CapEff"), Inheritable: field("CapInh"),
		Bounding: field("CapBnd"), Ambient: field("CapAmb"),
	}
}

// The capabilities of root and of another user, with both options and without; and of a
// user who has some, which reaper hands on as they are.
func TestUserCapabilities(t *testing.T) {
	needRoot(t)
	own, err := reap.ReadCapabilities()
	if err != nil {
		t.Fatal(err)
	}
	const bind, kill, pcap reap.CapabilitySet = 1 << unix.CAP_NET_BIND_SERVICE, 1 << unix.CAP_KILL, 1 << unix.CAP_SETPCAP
	rootWith := func(set reap.CapabilitySet) reap.Capabilities {
		return reap.Capabilities{Permitted: set, Effective: set, Bounding: set}
	}
	userWith := func(set, bounding reap.CapabilitySet) reap.Capabilities {
		return reap.Capabilities{Permitted: set, Effective: set, Inheritable: set, Ambient: set, Bounding: bounding}
	}
	ordinary := asUser(54321, unix.CAP_NET_BIND_SERVICE, unix.CAP_KILL, unix.CAP_SETPCAP)
	eachBuild(t, func(t *testing.T, bin string) {
		for _, c := range []struct {
			prepare func(*exec.Cmd)
			options string
			want    reap.Capabilities
		}{
			{nil, "", rootWith(own.Bounding)},
			{nil, "--cap-drop KILL,net_bind_service", rootWith(own.Bounding &^ (bind | kill))},
			{nil, "--cap-drop ALL --cap-add NET_BIND_SERVICE", rootWith(bind)},
			{nil, "--cap-drop ALL", rootWith(0)},
			{nil, "--cap-add ALL --cap-drop KILL", rootWith(own.Bounding &^ kill)},
			{nil, "-u 54321", userWith(0, own.Bounding)},
			{nil, "-u 54321 --cap-drop ALL", userWith(0, 0)},
			{nil, "-u 54321 --cap-add CAP_NET_BIND_SERVICE", userWith(bind, own.Bounding)},
			{nil, "-u 54321 --cap-drop ALL --cap-add NET_BIND_SERVICE --no-new-privileges", userWith(bind, bind)},
			{ordinary, "", userWith(bind|kill|pcap, own.Bounding)},
			{ordinary, "-u 54321:54321", userWith(bind|kill|pcap, own.Bounding)},
			{ordinary, "--cap-drop KILL", userWith(bind|pcap, own.Bounding&^kill)},
			{ordinary, "--cap-drop ALL --cap-add NET_BIND_SERVICE", userWith(bind, bind)},
		} {
			status := tells(t, bin, c.prepare, c.options, "cat", "/proc/self/status")
			if got := capabilitiesOf(t, status); got != c.want {
				t.Errorf("%s: got %x, want %x", c.options, got, c.want)
			}
		}
	})
}

// What was added works, and what was not does not.
func TestUserUsesCapability(t *testing.T) {
	needRoot(t)
	file := filepath.Join(everybodysDir(t), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for options, code := range map[string]int{"": 1, "--cap-add CHOWN": 0, "--cap-add KILL": 1} {
		args := append([]string{"-u", "54321"}, strings.Fields(options)...)
		launch(t, asSubreaper, nil, append(args, "--", "chown", "54321", file)...).wantCode(code)
		if err := os.Chown(file, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// A set-user-ID program gives its user's rights, but not with --no-new-privileges.
func TestNoNewPrivileges(t *testing.T) {
	needRoot(t)
	dir := filepath.Dir(reaperBin) // others may enter that
	program := filepath.Join(dir, "setuid")
	text, err := os.ReadFile("/bin/cat")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, text, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(program)
	if err := os.Chmod(program, os.ModeSetuid|0o755); err != nil {
		t.Fatal(err)
	}
	effective := func(options string) string {
		status := tells(t, reaperBin, nil, "-u 54321 "+options, program, "/proc/self/status")
		for line := range strings.Lines(status) {
			if ids, ok := strings.CutPrefix(line, "Uid:\t"); ok {
				return strings.Fields(ids)[1]
			}
		}
		return ""
	}
	if got := effective(""); got != "0" {
		cannot(t, "set-user-ID programs have no effect in %s: user %s", dir, got)
	}
	if got := effective("--no-new-privileges"); got != "54321" {
		t.Errorf("user %s", got)
	}
}

// reaper signals, stops and reaps a command of another user, and what that leaves.
func TestUserIsSupervised(t *testing.T) {
	needRoot(t)
	inEach(t, realPlaces, func(t *testing.T, at place) {
		s := launch(t, at, nil, "-u", "54321:54321", "--", "sh", "-c",
			`trap 'echo got; exit 7' USR1; (sleep 1000 & echo "orphan $!"); echo ready; while :; do sleep 0.01; done`)
		s.expect("ready")
		command := s.command()
		var uid uint32
		if info, err := os.Stat(fmt.Sprintf("/proc/%d", command.PID)); err == nil {
			uid = info.Sys().(*syscall.Stat_t).Uid
		}
		if uid != 54321 {
			t.Errorf("the command is of user %d", uid)
		}
		s.signal(unix.SIGUSR1)
		s.expect("got")
		s.wantCode(7)
		if left := descendants(s.pid); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// The terminal is handed to a command of another user, and job control works.
func TestUserTerminal(t *testing.T) {
	needRoot(t)
	m := startBash(t)
	j := m.start(`$REAPER -u 54321:54321 -- sh -c "$READING"`)
	m.awaitForeground(j.command)
	m.typeKeys("one\n")
	m.expect("got-one")
	m.stop(j)
	m.resume(j)
	m.typeKeys("two\n")
	m.expect("got-two")
	m.typeKeys(keyInterrupt)
	m.expect(prompt)
	m.enter("exit")
	m.wait()
}

// The change of the user would clear what the command gets when reaper dies (prctl(2)).
func TestUserParentDeath(t *testing.T) {
	needRoot(t)
	eachBuild(t, func(t *testing.T, bin string) {
		s := launchProgram(t, asSubreaper, nil, bin, "-u", "54321", "--cap-add", "CHOWN", "--child-parent-death", "KILL", "--",
			"sh", "-c", "echo pid $$; exec sleep 1000")
		pid, err := strconv.Atoi(s.expect("pid "))
		if err != nil {
			t.Fatal(err)
		}
		s.signal(unix.SIGKILL)
		s.wait()
		eventually(t, "the command has ended", func() bool {
			p, err := reap.ReadProc(pid)
			return err != nil || p.Zombie()
		})
	})
}

// The variables work for a persona, whose model has no such option.
func TestUserOfPersona(t *testing.T) {
	needRoot(t)
	s := launchProgram(t, asSubreaper, func(cmd *exec.Cmd) {
		cmd.Env = append(os.Environ(), "REAPER_USER=54321", "REAPER_UMASK=077")
	}, reaperBin, "--as", "tini", "--", "sh", "-c", "echo $(id -u; umask)")
	s.wantCode(0)
	s.expect("54321 0077")
}
