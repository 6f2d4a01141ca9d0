package reap

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// The process is the leader of a group, or of a session, or neither.
func TestStartGroup(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			session, err := unix.Getsid(0)
			if err != nil {
				t.Fatal(err)
			}
			own := unix.Getpgrp()
			for group, want := range map[Group]func(pid int) (pgid, sid int){
				OwnGroup:     func(pid int) (pgid, sid int) { return pid, session },
				CallersGroup: func(int) (pgid, sid int) { return own, session },
				OwnSession:   func(pid int) (pgid, sid int) { return pid, pid },
			} {
				pid, err := Start(Command{Args: []string{"sleep", "1000"}, Env: environment(), Inherited: way.inherited, Group: group})
				if err != nil {
					t.Fatal(err)
				}
				p, err := ReadProc(pid)
				if err != nil {
					t.Fatal(err)
				}
				if pgid, sid := want(pid); p.PGID != pgid || p.Session != sid {
					t.Errorf("%d: group %d, session %d, want %d, %d", group, p.PGID, p.Session, pgid, sid)
				}
				mustSignal(t, pid, unix.SIGKILL)
				awaitReap(t, pid)
			}
		})
	}
}

// A new session gets the terminal that nobody has as its own. One that is
// another's is not taken from that, not even by root, and is no reason not to start.
func TestStartSessionTerminal(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			if way.inherited == nil || !haveVfork {
				t.Skip("package syscall takes a terminal from whoever has it, so it is not asked to")
			}
			master, slave, err := pty.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer master.Close()
			defer slave.Close()
			stdin, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := unix.Dup3(stdin, 0, 0); err != nil {
					t.Fatal(err)
				}
				unix.Close(stdin) //nolint:errcheck // it is open
			}()
			if err := unix.Dup3(int(slave.Fd()), 0, 0); err != nil {
				t.Fatal(err)
			}
			// The first finds it free; the second, that it is the first one's.
			first := sleepInSession(t, way)
			second := sleepInSession(t, way)
			for _, pid := range []int{first, second} {
				if has, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPGRP); err != nil || has != first {
					t.Errorf("group %d has the terminal, want %d, %v", has, first, err)
				}
				defer awaitReap(t, pid)
				defer mustSignal(t, pid, unix.SIGKILL)
			}
		})
	}
}

func sleepInSession(t *testing.T, way way) (pid int) {
	t.Helper()
	pid, err := Start(Command{Args: []string{"sleep", "1000"}, Env: environment(), Inherited: way.inherited, Group: OwnSession})
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// LISTEN_PID names the command where it named the caller, whose LISTEN_PIDFDID is gone
// then; and is left alone where it is somebody else's, or not asked for.
func TestStartListenPID(t *testing.T) {
	if !haveVfork {
		t.Skip("no vfork on this machine")
	}
	if !alone(t) {
		return
	}
	ours, theirs := fmt.Sprintf("LISTEN_PID=%d", os.Getpid()), "LISTEN_PID=1"
	for _, tt := range []struct {
		asked bool
		env   []string
		want  string
	}{
		{true, []string{"A=1", ours, "B=2"}, "A=1|LISTEN_PID=own|B=2"},
		{true, []string{ours}, "LISTEN_PID=own"},
		{true, []string{"LISTEN_PIDFDID=9", ours, "LISTEN_FDS=1", "LISTEN_PIDFDID=10"}, "LISTEN_PID=own|LISTEN_FDS=1"},
		{true, []string{"LISTEN_PIDFDIDS=9", ours, "LISTEN_PIDFDID"}, "LISTEN_PIDFDIDS=9|LISTEN_PID=own|LISTEN_PIDFDID"},
		{true, []string{"LISTEN_PIDFDID=9", theirs}, "LISTEN_PIDFDID=9|" + theirs},
		{true, []string{"LISTEN_PIDFDID=9"}, "LISTEN_PIDFDID=9"},
		{false, []string{"LISTEN_PIDFDID=9", ours}, "LISTEN_PIDFDID=9|" + ours},
		{true, []string{theirs}, theirs},
		{true, []string{ours + "0"}, ours + "0"},
		{true, []string{"A=1"}, "A=1"},
		{true, nil, ""},
		{false, []string{ours}, ours},
	} {
		out := mustOutput(t, Command{
			Args: []string{"/bin/sh", "-c", `echo $$; tr '\0' '|' < /proc/$$/environ; :`}, Env: tt.env,
			Inherited: &Inheritance{}, ListenPID: tt.asked,
		})
		pid, env, _ := strings.Cut(out, "\n")
		want := strings.ReplaceAll(tt.want, "own", pid)
		if got := strings.TrimSuffix(env, "|"); got != want {
			t.Errorf("%q: got %q, want %q", tt.env, got, want)
		}
	}
}

// Without a terminal there is nothing to leave, and the handlers are where they were.
func TestLeaveTerminal(t *testing.T) {
	if !alone(t) {
		return
	}
	fields := []string{"SigCgt", "SigIgn"} // not empty: nohup has HUP ignored
	var before []SignalSet
	for _, field := range fields {
		before = append(before, signalField(t, ownStatus(t), field))
	}
	LeaveTerminal()
	for i, field := range fields {
		if after := signalField(t, ownStatus(t), field); after != before[i] {
			t.Errorf("%s is %x, and was %x", field, after, before[i])
		}
	}
}

func ownStatus(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
