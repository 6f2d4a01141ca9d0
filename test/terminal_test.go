package test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// What is typed.
const (
	keyInterrupt = "\x03"
	keyEnd       = "\x04"
	keyStop      = "\x1a"
)

// The scripts of $READING, which tells what it reads from the terminal, and of
// $OBEYING, which does so when it is ordered to.
const (
	reading = `echo ready; while read line; do echo got-$line; done`
	obeying = `exec 3<>"$ORDERS"; echo ready
		while read order <&3; do
			case $order in read) read line; echo got-$line;; *) echo did-$order;; esac
		done`
)

// A terminal is a program as the leader of a session on a pty of its own, and
// what it and its descendants print there. What is typed is not echoed.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	pid    int
	master *os.File
	orders *os.File
	waited bool
	ended  chan struct{} // nothing more can be printed

	mu   sync.Mutex
	more *sync.Cond
	out  []byte
	next int  // what expect has not looked at
	late bool // nothing more is waited for
}

// startTerminal starts the program with $REAPER, $PROBE and the scripts in its
// environment. prepare, if not nil, changes the command before.
func startTerminal(t *testing.T, at place, prepare func(*exec.Cmd), program string, args ...string) *terminal {
	t.Helper()
	at.need(t)
	pipe(t) // the runtime makes the descriptors of its poller now, before they are counted
	before := openFiles(t)
	m := &terminal{t: t, cmd: exec.Command(program, args...), ended: make(chan struct{})}
	m.more = sync.NewCond(&m.mu)
	fifo := filepath.Join(t.TempDir(), "orders")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	orders, err := os.OpenFile(fifo, os.O_RDWR, 0) // so that no open waits for the other end
	if err != nil {
		t.Fatal(err)
	}
	m.orders = orders
	slave := m.open()
	m.cmd.Stdin, m.cmd.Stdout, m.cmd.Stderr = slave, slave, slave
	m.cmd.Env = append(os.Environ(), "PS1="+prompt, "TERM=dumb", "HISTFILE=", "ENV=",
		"REAPER="+reaperBin, "PROBE="+probeBin, "READING="+reading, "OBEYING="+obeying, "ORDERS="+fifo)
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	at.set(m.cmd.SysProcAttr)
	if prepare != nil {
		prepare(m.cmd)
	}
	err = m.cmd.Start()
	slave.Close()
	if err != nil {
		m.master.Close()
		orders.Close()
		t.Fatalf("start %s: %v", program, err)
	}
	m.pid = m.cmd.Process.Pid
	running[m.pid] = true
	go m.collect()
	t.Cleanup(func() {
		m.cleanUp()
		if after := openFiles(t); after > before {
			t.Errorf("%d descriptors are open, there were %d", after, before)
		}
	})
	return m
}

func openFiles(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// open makes the pty.
func (m *terminal) open() (slave *os.File) {
	m.t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		m.t.Fatal(err)
	}
	// Package pty leaves it blocking: then Close would not hang up while collect
	// is in Read.
	fd, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err = errors.Join(err, unix.SetNonblock(fd, true), master.Close()); err != nil {
		m.t.Fatal(err)
	}
	m.master = os.NewFile(uintptr(fd), "pty")
	tio, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		m.t.Fatal(err)
	}
	tio.Lflag &^= unix.ECHO
	tio.Oflag &^= unix.ONLCR
	if err := unix.IoctlSetTermios(int(slave.Fd()), unix.TCSETS, tio); err != nil {
		m.t.Fatal(err)
	}
	return slave
}

func (m *terminal) collect() {
	buf := make([]byte, 4096)
	for again := true; ; {
		n, err := m.master.Read(buf)
		m.mu.Lock()
		m.out = append(m.out, buf[:n]...)
		m.more.Broadcast()
		m.mu.Unlock()
		again = again || n > 0
		if again && errors.Is(err, unix.EIO) {
			// Nobody has the other side open any more. What was written last may be there
			// all the same: n_tty_read of the kernel looks for it before it looks for that.
			again = false
			continue
		}
		if err != nil {
			close(m.ended)
			m.giveUp()
			return
		}
	}
}

func (m *terminal) giveUp() {
	m.mu.Lock()
	m.late = true
	m.more.Broadcast()
	m.mu.Unlock()
}

func (m *terminal) typeKeys(keys string) {
	m.t.Helper()
	if _, err := m.master.WriteString(keys); err != nil {
		m.t.Fatalf("type %q: %v", keys, err)
	}
}

// order tells $OBEYING what to do.
func (m *terminal) order(line string) {
	m.t.Helper()
	if _, err := m.orders.WriteString(line + "\n"); err != nil {
		m.t.Fatal(err)
	}
}

// expect waits until text stands on the terminal after what was expected last,
// and returns what stands between.
func (m *terminal) expect(text string) (before string) {
	m.t.Helper()
	alarm := time.AfterFunc(patience, m.giveUp)
	defer alarm.Stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		if at := bytes.Index(m.out[m.next:], []byte(text)); at >= 0 {
			before = string(m.out[m.next : m.next+at])
			m.next += at + len(text)
			return before
		}
		if m.late {
			m.t.Fatalf("waited in vain for %q; the terminal, of group %d:\n%s\nthe tree:\n%s",
				text, m.foreground(), m.out, table(m.pid))
		}
		m.more.Wait()
	}
}

// shown is all that stands on the terminal.
func (m *terminal) shown() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return string(m.out)
}

func (m *terminal) mustNotShow(text string) {
	m.t.Helper()
	if shown := m.shown(); strings.Contains(shown, text) {
		m.t.Errorf("the terminal shows %q:\n%s", text, shown)
	}
}

// ioctl calls f with the descriptor of the pty, which stays non-blocking.
func (m *terminal) ioctl(f func(fd int) error) error {
	conn, err := m.master.SyscallConn()
	if err != nil {
		return err
	}
	return errors.Join(conn.Control(func(fd uintptr) { err = f(int(fd)) }), err)
}

// foreground is the group that the keys go to, 0 when it is over.
func (m *terminal) foreground() (pgid int) {
	_ = m.ioctl(func(fd int) (err error) {
		pgid, err = unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		return err
	})
	return pgid
}

// resize is what a window does when it gets another size.
func (m *terminal) resize(rows, columns uint16) {
	m.t.Helper()
	if err := m.ioctl(func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns})
	}); err != nil {
		m.t.Fatal(err)
	}
}

func (m *terminal) awaitForeground(pgid int) {
	m.t.Helper()
	eventually(m.t, fmt.Sprintf("group %d has the terminal", pgid), func() bool { return m.foreground() == pgid })
}

// wait waits for the end of the program.
func (m *terminal) wait() reap.Status {
	m.t.Helper()
	if !m.waited {
		m.waited = true
		alarm := time.AfterFunc(patience, func() {
			m.t.Errorf("%s did not end; its tree:\n%s\nthe terminal:\n%s", m.cmd, table(m.pid), m.shown())
			m.kill()
		})
		defer alarm.Stop()
		var exit *exec.ExitError
		if err := m.cmd.Wait(); err != nil && !errors.As(err, &exit) {
			m.t.Fatalf("wait for %d: %v", m.pid, err)
		}
		delete(running, m.pid)
	}
	return reap.Status(m.cmd.ProcessState.Sys().(syscall.WaitStatus))
}

// wantCode waits for the end and checks the exit code.
func (m *terminal) wantCode(code int) {
	m.t.Helper()
	if got := m.wait(); got != reap.ExitStatus(code) {
		m.t.Errorf("%s: got %v, want exit %d; the terminal:\n%s", m.cmd, got, code, m.shown())
	}
}

func (m *terminal) kill() {
	for _, p := range append(descendants(m.pid), reap.Proc{PID: m.pid}) {
		unix.Kill(p.PID, unix.SIGKILL)
	}
}

func (m *terminal) cleanUp() {
	if !m.waited {
		m.kill()
		m.wait()
	}
	reapOrphans(m.t)
	m.master.Close()
	m.orders.Close()
	<-m.ended
}
