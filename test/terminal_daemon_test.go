package test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A daemon has nothing to do with the terminal: ^Z stops reaper alone, so that the shell
// is back, the size of the terminal is not told, and ^C asks it to stop.
func TestTerminalDaemon(t *testing.T) {
	m := startBash(t)
	m.enter(`$REAPER -v --type forking -- sh -c '( setsid $PROBE signals <>"$ORDERS" & )'`)
	m.expect("command is ready")
	ready := regexp.MustCompile(`ready \d+\n`) // the daemon says so itself, before that or after
	eventually(t, "the daemon is ready", func() bool { return ready.MatchString(m.shown()) })
	reaper := os.Getpid()
	for _, p := range descendants(m.pid) {
		if p.PPID == m.pid {
			reaper = p.PID
		}
	}
	m.awaitForeground(reaper)
	m.typeKeys(keyStop)
	m.awaitJob("Stopped")
	m.enter("fg")
	m.awaitForeground(reaper)
	unix.Kill(reaper, unix.SIGUSR1)
	m.expect("got 10\n")
	m.typeKeys(keyInterrupt)
	m.expect("got 2\n")
	if shown := m.shown(); strings.Contains(shown, "got 20\n") || strings.Contains(shown, "got 28\n") || strings.Contains(shown, "got 18\n") {
		t.Errorf("the daemon got a signal of the terminal:\n%s", shown)
	}
	m.typeKeys(keyInterrupt) // the second kills
	m.expect(prompt)
	m.enter("echo code-$?")
	m.expect("code-137\n")
}

// As long as the program runs that leaves the daemon it is a job as any other.
func TestTerminalLauncher(t *testing.T) {
	m := startBash(t)
	j := m.start(`$REAPER --type forking -- sh -c 'echo ready; read x <>"$ORDERS"; exec sleep 1000'`)
	m.stop(j)
	m.resume(j)
	m.typeKeys(keyInterrupt)
	m.expect(prompt)
	m.enter("echo code-$?")
	m.expect("code-130\n")
}
