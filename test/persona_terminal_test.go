package test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// As the leader of a session dumb-init gives its terminal to that of its command, and
// the hang-up that the kernel makes of it reaches nobody; one from outside does.
func TestPersonaLeavesTerminal(t *testing.T) {
	needExact(t)
	both(t, dumbInit, func(t *testing.T, program string) bool {
		m := startTerminal(t, asSubreaper, nil, program, probeBin, "signals")
		m.expect("ready")
		command := m.onlyChild(m.pid)
		m.awaitForeground(command)
		unix.Kill(m.pid, unix.SIGUSR1)
		m.expect("got 10")
		m.mustNotShow("got 1\n")
		m.mustNotShow("got 18\n")
		m.typeKeys(keyInterrupt)
		m.expect("got 2")
		m.resize(33, 77)
		m.expect("got 28")
		unix.Kill(m.pid, unix.SIGHUP)
		m.expect("got 1\n")
		m.typeKeys(keyEnd)
		m.wantCode(0)
		return true
	})
}

// ^Z, fg, bg and ^C under a shell, for each persona. Two of the models wedge the
// terminal there: see TestTerminalWedgeOfTini.
func TestPersonaJobControl(t *testing.T) {
	for _, c := range []struct {
		name, args string
		apart      bool // in a session of its own, where it may read at any time
	}{
		{tini, "-s", false},
		{tini, "", false},
		{"docker-init", "", false},
		{catatonit, "", false},
		{dumbInit, "", true},
		{dumbInit, "-c", false},
	} {
		t.Run(c.name+" "+c.args, func(t *testing.T) {
			m := startShell(t, persona(t, c.name), bash()...)
			j := m.start(`$REAPER ` + c.args + ` -- sh -c "$READING"`)
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("the terminal:\n%s", m.shown())
				}
			})
			toFront := func() {
				m.enter("fg")
				eventually(t, "it has the terminal", func() bool { return m.foreground() != m.pid })
				m.await([]byte{'S'}, j.reaper, j.command)
			}
			m.typeKeys("one\n")
			m.expect("got-one")
			m.typeKeys(keyStop)
			m.expect(prompt)
			m.awaitStopped(j.reaper, j.command)
			toFront()
			m.typeKeys("two\n")
			m.expect("got-two")
			m.typeKeys(keyStop)
			m.expect(prompt)
			m.awaitStopped(j.reaper, j.command)
			if !c.apart { // there it would read what is meant for the shell
				m.enter("bg; echo did")
				m.expect("did\n")
				m.expect(prompt)
				m.awaitStopped(j.reaper, j.command) // as it reads from the background
				m.awaitJob("Stopped")               // else fg would not continue it
			}
			toFront()
			m.typeKeys("three\n")
			m.expect("got-three")
			m.typeKeys(keyInterrupt)
			m.expect(prompt)
			m.enter("echo code-$?; exit")
			m.expect("code-130")
			m.wantCode(0)
		})
	}
}

// What is typed, a new size, and the hang-up reach the command as they do under the
// model: on a terminal of its own, as a container has it.
func TestPersonaTerminal(t *testing.T) {
	needExact(t)
	for _, c := range []struct {
		name string
		args []string
	}{
		{tini, []string{"-s"}},
		{tini, []string{"-s", "-g"}},
		{catatonit, nil},
		{dumbInit, nil},
		{dumbInit, []string{"-c"}},
	} {
		theirs, ours := both(t, c.name, func(t *testing.T, program string) string {
			hangup := filepath.Join(t.TempDir(), "hangup")
			m := startTerminal(t, asSubreaper, nil, program, append(c.args, "--", probeBin, "screen", hangup)...)
			m.expect("ready")
			m.typeKeys(keyInterrupt)
			m.expect("interrupted")
			m.resize(33, 77)
			m.expect("size 33 77")
			m.master.Close()
			status := m.wait()
			text, err := os.ReadFile(hangup)
			return fmt.Sprint(status, string(text), err)
		})
		if theirs != ours {
			t.Errorf("%s %v: the model %q, reaper %q", c.name, c.args, theirs, ours)
		}
	}
}
