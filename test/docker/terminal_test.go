package docker

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

const (
	keyInterrupt = "\x03"
	keyStop      = "\x1a"
	keyDetach    = "\x10\x11" // ctrl-p ctrl-q
	prompt       = "shell> "
)

// terminal is a docker command on a pty, and what stands on it.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File
	ended  chan struct{}

	mu   sync.Mutex
	out  string
	next int
}

func openTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	m := &terminal{t: t, cmd: engineCommand(args...), ended: make(chan struct{})}
	var err error
	if m.master, err = pty.StartWithSize(m.cmd, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(m.ended)
		buf := make([]byte, 4096)
		for {
			n, err := m.master.Read(buf)
			m.mu.Lock()
			m.out += string(buf[:n])
			m.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		if m.cmd.ProcessState == nil {
			m.cmd.Process.Kill()
			m.cmd.Wait()
		}
		<-m.ended
		m.master.Close()
	})
	return m
}

func (m *terminal) shown() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.out
}

func (m *terminal) typeKeys(keys string) {
	m.t.Helper()
	if _, err := m.master.WriteString(keys); err != nil {
		m.t.Fatal(err)
	}
}

// enter types a line.
func (m *terminal) enter(line string) {
	m.t.Helper()
	m.typeKeys(line + "\n")
}

// expect waits until the text stands on the terminal after what was expected last.
func (m *terminal) expect(text string) {
	m.t.Helper()
	eventually(m.t, fmt.Sprintf("the terminal shows %q", text), func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		at := strings.Index(m.out[m.next:], text)
		if at >= 0 {
			m.next += at + len(text)
		}
		return at >= 0
	}, m.shown)
}

func (m *terminal) wantCode(code int) {
	m.t.Helper()
	alarm := time.AfterFunc(patience, func() { m.cmd.Process.Kill() })
	defer alarm.Stop()
	m.cmd.Wait()
	if got := m.cmd.ProcessState.ExitCode(); got != code {
		m.t.Errorf("exit code %d, want %d:\n%s", got, code, m.shown())
	}
}

// A shell in a container has job control, the size of the terminal, and its keys.
func TestShell(t *testing.T) {
	inWays(t, func(t *testing.T, w way) {
		// The shell prints a mark in two parts, so that the echo of the line is not it.
		m := openTerminal(t, w.command("run", []string{"--rm", "-it", "-e", "PS1=" + prompt}, "sh")...)
		m.expect(prompt)
		m.enter("stty size")
		m.expect("24 80")
		m.expect(prompt)

		m.enter("sleep 1000")
		m.expect("\n")
		m.awaitRunning("sleep")
		m.typeKeys(keyInterrupt)
		m.expect(prompt)
		m.enter("echo code-$?-")
		m.expect("code-130-")
		m.expect(prompt)

		m.enter("sleep 1001")
		m.awaitRunning("sleep")
		m.typeKeys(keyStop)
		m.expect("Stopped")
		m.expect(prompt)
		m.enter("bg; jobs")
		m.expect("Running")
		m.expect(prompt)
		m.enter("fg")
		m.expect("sleep 1001")
		m.awaitRunning("sleep")
		m.typeKeys(keyInterrupt)
		m.expect(prompt)

		// ^Z at the prompt does no harm, and neither does it to a command alone.
		m.typeKeys(keyStop)
		m.enter("echo still-$((1+1))-")
		m.expect("still-2-")
		m.expect(prompt)

		if err := pty.Setsize(m.master, &pty.Winsize{Rows: 33, Cols: 77}); err != nil {
			t.Fatal(err)
		}
		// The client is told by a signal, and tells the engine.
		for range 1000 {
			m.enter("stty size; echo end-$((1+1))-")
			before := m.next
			m.expect("end-2-")
			if strings.Contains(m.shown()[before:], "33 77") {
				break
			}
		}
		m.enter("stty size")
		m.expect("33 77")
		m.expect(prompt)
		m.enter("exit 7")
		m.wantCode(7)
	})
}

// awaitRunning waits until a process of that name is there, below this engine.
func (m *terminal) awaitRunning(name string) {
	m.t.Helper()
	eventually(m.t, name+" runs in the foreground", func() bool {
		out, err := docker("ps", "-q")
		if err != nil || out == "" {
			return false
		}
		out, err = docker("top", strings.Fields(out)[0], "-o", "pid,stat,comm")
		for line := range strings.Lines(out) {
			if f := strings.Fields(line); err == nil && len(f) == 3 && f[2] == name && strings.Contains(f[1], "S") && strings.Contains(f[1], "+") {
				return true
			}
		}
		return false
	}, m.shown)
}

// Where there is no shell to come back to ^Z does nothing; and who has detached can
// attach again.
func TestDetach(t *testing.T) {
	inWays(t, func(t *testing.T, w way) {
		name := "detach-" + w.name
		m := openTerminal(t, w.command("run", []string{"-it", "--name", name}, "sh", "-c", `while read line; do echo "got-$line-"; done; exit 6`)...)
		t.Cleanup(func() { mustDocker(t, "rm", "-f", name) })
		m.typeKeys("one\n")
		m.expect("got-one-")
		m.typeKeys(keyStop)
		m.typeKeys("two\n")
		m.expect("got-two-")
		m.typeKeys(keyDetach)
		m.wantCode(0)
		again := openTerminal(t, "attach", name)
		again.typeKeys("three\n")
		again.expect("got-three-")
		again.typeKeys("\x04")
		again.wantCode(6)
	})
}
