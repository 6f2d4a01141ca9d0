package test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// startAlone starts reaper as the leader of the session, and the command, whose
// pid it returns.
func startAlone(t *testing.T, at place, options string, command ...string) (m *terminal, pid int) {
	t.Helper()
	args := append(strings.Fields(options), "--")
	m = startTerminal(t, at, nil, reaperBin, append(args, command...)...)
	m.expect("ready")
	return m, m.onlyChild(m.pid)
}

// ^Z where there is no shell to come back to, as in a container: the command
// goes on (pitfall 44).
func TestTerminalStopAlone(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		m, command := startAlone(t, at, "-vv", "sh", "-c", reading)
		m.awaitForeground(command)
		m.typeKeys(keyStop)
		m.expect("command stopped")
		m.enter("one")
		m.expect("got-one\n")
		m.typeKeys(keyInterrupt)
		m.wantCode(130)
	})
}

// A command that somebody has stopped where there is no shell stays so until
// somebody continues it.
func TestTerminalStoppedAlone(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		m, command := startAlone(t, at, "-vv", "sh", "-c", reading)
		unix.Kill(command, unix.SIGSTOP)
		m.expect("command stopped")
		unix.Kill(m.pid, unix.SIGWINCH)
		m.expect("WINCH") // so whatever the stop led to has been done
		m.awaitStopped(command)
		unix.Kill(m.pid, unix.SIGCONT)
		m.expect("command continued")
		m.enter("one")
		m.expect("got-one\n")
	})
}

// A stop request continues a command that is stopped, so that it can end, no
// matter which of the two reaper learns first (pitfall 42).
func TestTerminalTermWhileStopped(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		for range 20 {
			m, command := startAlone(t, at, "", "sh", "-c", reading)
			unix.Kill(command, unix.SIGSTOP)
			m.awaitStopped(command)
			unix.Kill(m.pid, unix.SIGTERM)
			m.wantCode(143)
		}
	})
}

// The same where there is no terminal.
func TestNoTerminalTermWhileStopped(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		for range 20 {
			s := launch(t, at, nil, "--", "sh", "-c", reading)
			s.expect("ready")
			command := s.command().PID
			unix.Kill(command, unix.SIGSTOP)
			eventually(t, "the command is stopped", func() bool { return stateOf(command) == 'T' })
			s.signal(unix.SIGTERM)
			s.wantCode(143)
		}
	})
}

// A new size of the terminal is told to the command.
func TestTerminalSize(t *testing.T) {
	m, command := startAlone(t, asSubreaper, "", probeBin, "signals")
	m.awaitForeground(command)
	m.resize(50, 132)
	m.expect("got 28\n")
	m.typeKeys(keyEnd)
	m.wantCode(0)
}

// What comes after reaper in a script can read from the terminal: reaper takes
// it back, also if the command could not be executed.
func TestTerminalGivenBack(t *testing.T) {
	for _, test := range []struct{ command, code string }{
		{"true", "0"},
		{"/nonexistent", "127"},
		{"/etc/passwd", "126"},
		{"sh -c 'kill -9 $$'", "137"},
		// The inner shell takes the terminal and is killed before it gives it back.
		{"sh -c '" + strings.Join(bash(), " ") + ` -c "kill -9 \$\$"; exit 9'`, "9"},
	} {
		for _, reaper := range []string{reaperBin, plainBin} {
			m := startTerminal(t, asSubreaper, nil, "sh", "-c",
				reaper+" -- "+test.command+"; echo code-$?; read line; echo got-$line")
			m.expect("code-" + test.code + "\n")
			m.enter("one")
			m.expect("got-one\n")
			m.wantCode(0)
		}
	}
}

// A descendant of the command had the terminal and was killed: the command gets
// it where no shell would take it.
func TestTerminalDeserted(t *testing.T) {
	m, _ := startAlone(t, asSubreaper, "", "sh", "-c",
		"echo ready; "+strings.Join(bash(), " ")+"; read line; echo got-$line")
	m.expect(prompt)
	m.enter("kill -9 $$")
	m.enter("one")
	m.expect("got-one\n")
	m.wantCode(0)
}

// A script starts reaper in the background and reads from the terminal itself:
// it can. The kernel would answer it with EIO, as nobody could continue it
// (pitfall 28), so reaper must not have taken the terminal.
func TestTerminalScriptReads(t *testing.T) {
	for _, redirect := range []string{"", "<$ORDERS"} {
		t.Run("reaper "+redirect, func(t *testing.T) {
			m := startTerminal(t, asSubreaper, nil, "sh", "-c",
				`$REAPER -- sh -c "$OBEYING" `+redirect+` & read line; echo script-$line`)
			m.expect("ready")
			m.enter("one")
			m.expect("script-one\n")
		})
	}
}

// Streams and sessions that are not what one would expect are never fatal, and
// nothing is said about them (pitfalls 9, 40).
func TestTerminalOdd(t *testing.T) {
	const seven = `$REAPER -- sh -c 'exit 7'`
	for name, script := range map[string]string{
		"stdin closed":     seven + ` 0<&-; echo code-$?`,
		"all closed":       seven + ` 0<&- 1<&- 2<&-; echo code-$?`,
		"no input":         seven + ` </dev/null; echo code-$?`,
		"in background":    seven + ` & wait $!; echo code-$?`,
		"another session":  `setsid -w ` + seven + `; echo code-$?`,
		"without terminal": `setsid -w ` + seven + ` </dev/null >/dev/null 2>&1; echo code-$?`,
	} {
		t.Run(name, func(t *testing.T) {
			m := startTerminal(t, asSubreaper, nil, "sh", "-c", script)
			m.expect("code-7\n")
			m.wantCode(0)
			m.mustNotShow("failed")
		})
	}
}

// stdin is the terminal of another session, and there is one of our own.
func TestTerminalOther(t *testing.T) {
	other := startTerminal(t, asSubreaper, nil, "sh", "-c", reading)
	other.expect("ready")
	m := startTerminal(t, asSubreaper, func(cmd *exec.Cmd) {
		stdin, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/0", other.pid), os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stdin.Close() })
		cmd.Stdin, cmd.SysProcAttr.Ctty = stdin, 1
	}, reaperBin, "--", "sh", "-c", "read line </dev/tty; echo got-$line; exit 7")
	m.enter("one")
	m.expect("got-one\n")
	m.wantCode(7)
	m.mustNotShow("failed")
	other.typeKeys(keyEnd)
	other.wantCode(0)
}

// The terminal goes away, whoever leads the session: reaper ends with the command
// (pitfall 39).
func TestTerminalHangup(t *testing.T) {
	leader := []string{reaperBin, "-vv", "--", "sh", "-c"}
	for _, test := range []struct {
		name    string
		program []string
	}{
		{"leader", append(leader, reading)},
		{"deaf", append(leader, `trap "" HUP; `+reading)},
		{"script", []string{"sh", "-c", `$REAPER -vv -- sh -c "$READING"; true`}},
		{"shell", append(bash(), "-c", `$REAPER -vv -- sh -c "$READING"; true`)},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := startTerminal(t, asSubreaper, nil, test.program[0], test.program[1:]...)
			m.expect("ready")
			below := descendants(m.pid)
			m.master.Close()
			m.wait()
			for _, p := range below {
				m.awaitEnd(p.PID)
			}
		})
	}
}
