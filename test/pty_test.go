package test

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// keys of a terminal.
const (
	ctrlC = "\x03"
	ctrlZ = "\x1a"
)

// A terminal is a real one, with a program that leads its session.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	pid    int
	master *os.File

	mu     sync.Mutex
	more   *sync.Cond
	screen strings.Builder // all that was ever printed
	looked int             // what expect has passed
	ended  bool
}

// onTerminal starts a program as the leader of a new session on a new terminal.
func onTerminal(t *testing.T, at place, program string, args ...string) *terminal {
	t.Helper()
	at.need(t)
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "PS1=prompt> ", "PS2=", "HISTFILE=", "ENV=", "TERM=dumb", "REAPER="+reaperBin, "PROBE="+probeBin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	at.set(cmd.SysProcAttr)
	master, err := pty.StartWithAttrs(cmd, &pty.Winsize{Rows: 24, Cols: 200}, cmd.SysProcAttr)
	if err != nil {
		t.Fatalf("start %s on a terminal: %v", program, err)
	}
	master = closable(t, master)
	tty := &terminal{t: t, cmd: cmd, pid: cmd.Process.Pid, master: master}
	tty.more = sync.NewCond(&tty.mu)
	running[tty.pid] = true
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		tty.copy()
	}()
	t.Cleanup(func() {
		for _, p := range append(descendants(tty.pid), reap.Proc{PID: tty.pid}) {
			unix.Kill(p.PID, unix.SIGKILL)
		}
		tty.wait()
		master.Close()
		<-copied
		reapOrphans(t)
	})
	return tty
}

// closable makes a file whose Close ends a Read that waits: the hang-up of a
// terminal is the close of its master.
func closable(t *testing.T, f *os.File) *os.File {
	t.Helper()
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), f.Name())
}

// copy collects what is printed, until nobody is left to print.
func (tty *terminal) copy() {
	buf := make([]byte, 4096)
	for {
		n, err := tty.master.Read(buf)
		tty.mu.Lock()
		tty.screen.Write(buf[:n])
		tty.ended = err != nil
		tty.more.Broadcast()
		tty.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// keys types.
func (tty *terminal) keys(text string) {
	tty.t.Helper()
	if _, err := tty.master.WriteString(text); err != nil {
		tty.t.Fatalf("type %q: %v", text, err)
	}
}

// expect waits until the text is printed, after what was expected before.
func (tty *terminal) expect(text string) {
	tty.t.Helper()
	var late bool
	alarm := time.AfterFunc(patience, func() {
		tty.mu.Lock()
		late = true
		tty.more.Broadcast()
		tty.mu.Unlock()
	})
	defer alarm.Stop()
	tty.mu.Lock()
	defer tty.mu.Unlock()
	for {
		if i := strings.Index(tty.screen.String()[tty.looked:], text); i >= 0 {
			tty.looked += i + len(text)
			return
		}
		if late || tty.ended {
			tty.t.Fatalf("never printed %q; all there is:\n%s\nthe tree:\n%s", text, tty.screen.String(), table(tty.pid))
		}
		tty.more.Wait()
	}
}

// printed is all that was ever printed.
func (tty *terminal) printed() string {
	tty.mu.Lock()
	defer tty.mu.Unlock()
	return tty.screen.String()
}

// foreground is the process group that has the terminal, as seen from here.
func (tty *terminal) foreground() int {
	raw, err := tty.master.SyscallConn() // Fd would make it blocking, and Close wait for ever
	if err != nil {
		return 0
	}
	var pgid int
	raw.Control(func(fd uintptr) { pgid, err = unix.IoctlGetInt(int(fd), unix.TIOCGPGRP) })
	if err != nil {
		return 0
	}
	return pgid
}

// find waits for a process below the terminal's program whose first arguments
// are these, and returns it.
func (tty *terminal) find(args ...string) reap.Proc {
	tty.t.Helper()
	var found reap.Proc
	eventually(tty.t, "there is a process "+strings.Join(args, " "), func() bool {
		for _, p := range append(descendants(tty.pid), self(tty.pid)...) {
			got, _ := reap.CommandLine(p.PID)
			if len(got) >= len(args) && strings.Join(got[:len(args)], " ") == strings.Join(args, " ") {
				found = p
				return true
			}
		}
		return false
	})
	return found
}

func self(pid int) []reap.Proc {
	p, err := reap.ReadProc(pid)
	if err != nil {
		return nil
	}
	return []reap.Proc{p}
}

// hasTerminal waits until the group of pid is in the foreground.
func (tty *terminal) hasTerminal(pid int) {
	tty.t.Helper()
	eventually(tty.t, "the group is in the foreground", func() bool {
		p, err := reap.ReadProc(pid)
		return err == nil && tty.foreground() == p.PGID
	})
}

// inState waits until the process is in the state.
func (tty *terminal) inState(pid int, state byte) {
	tty.t.Helper()
	eventually(tty.t, "state "+string(state), func() bool {
		p, err := reap.ReadProc(pid)
		return err == nil && p.State == state
	})
}

// wait waits for the end of the program.
func (tty *terminal) wait() reap.Status {
	if running[tty.pid] {
		tty.cmd.Wait()
		delete(running, tty.pid)
	}
	return reap.Status(tty.cmd.ProcessState.Sys().(syscall.WaitStatus))
}
