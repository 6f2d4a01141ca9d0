package test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// ^C reaches the command once, though reaper forwards what it gets (pitfall 43).
func TestTerminalInterrupt(t *testing.T) {
	m := startBash(t)
	j := m.start("$REAPER -- $PROBE signals")
	m.awaitForeground(j.command)
	m.typeKeys(keyInterrupt)
	m.expect("got 2\n")
	unix.Kill(j.reaper, unix.SIGUSR1) // it comes after anything that was forwarded before
	m.expect("got 10\n")
	if n := strings.Count(m.shown(), "got 2\n"); n != 1 {
		t.Errorf("SIGINT came %d times:\n%s", n, m.shown())
	}
	m.typeKeys(keyEnd)
	m.expect(prompt)
}

// ^Z stops the command and reaper, and the shell has its terminal back; fg and
// bg continue both; a read in the background stops both again (pitfalls 41, 44,
// 58). Under bash and dash, and with the binary of a plain go build.
func TestTerminalStop(t *testing.T) {
	for _, test := range []struct {
		name, reaper string
		shell        []string
	}{
		{"bash", reaperBin, bash()},
		{"dash", reaperBin, []string{"dash", "-i"}},
		{"plain", plainBin, bash()},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := exec.LookPath(test.shell[0]); err != nil {
				cannot(t, "%v", err)
			}
			m := startShell(t, test.reaper, test.shell...)
			j := m.start(`$REAPER -- sh -c "$OBEYING"`)
			m.stop(j)
			m.awaitJob("Stopped")
			m.resume(j)
			m.order("read")
			m.enter("one")
			m.expect("got-one\n")

			m.stop(j)
			m.enter("bg")
			m.expect(prompt)
			m.order("work")
			m.expect("did-work\n")
			m.awaitForeground(m.pid)
			m.order("read")
			m.awaitStopped(j.reaper, j.command)
			m.awaitJob("tty input")
			m.resume(j)
			m.enter("two")
			m.expect("got-two\n")
			m.typeKeys(keyInterrupt)
			m.expect(prompt)
			m.enter("echo code-$?")
			m.expect("code-130\n")
		})
	}
}

// fg while the command runs: bash gives the terminal to reaper's group and sends
// no signal. What is typed then reaches all of the command's group, and the
// command gets the terminal when it reads.
func TestTerminalForegroundWhileRunning(t *testing.T) {
	m := startBash(t)
	j := m.start(`$REAPER -- sh -c "$OBEYING" &`)
	m.awaitForeground(m.pid)
	m.enter("fg")
	m.awaitForegroundOf(j)
	m.order("read")
	m.enter("one")
	m.expect("got-one\n")
	m.stop(j)
	m.resume(j)
	m.typeKeys(keyInterrupt)
	m.expect(prompt)

	// sh ends by ^C when the sleep that it waits for does.
	j = m.start(`$REAPER -- sh -c 'echo ready; sleep 1000; echo never' &`)
	m.enter("fg")
	m.awaitForegroundOf(j)
	eventually(t, "sleep runs", func() bool {
		below := children(j.command)
		return len(below) == 1 && below[0].Name == "sleep"
	})
	m.typeKeys(keyStop)
	m.expect(prompt)
	m.awaitStopped(j.reaper, j.command, m.onlyChild(j.command))
	m.resume(j)
	m.typeKeys(keyInterrupt)
	m.expect(prompt)
}

// A shell with job control inside: it has the terminal and can hand it on, its
// suspend stops reaper too, and the shell outside gets its terminal back.
func TestTerminalShellInside(t *testing.T) {
	m := startBash(t)
	m.enter("PS1='inside> ' $REAPER -- " + strings.Join(bash(), " "))
	m.expect("inside> ")
	j := m.jobOf(m.pid)
	m.awaitForeground(j.command)
	m.enter("sleep 1000")
	var sleep int
	eventually(t, "sleep has the terminal", func() bool {
		sleep = m.foreground()
		p, err := reap.ReadProc(sleep)
		return err == nil && p.Name == "sleep"
	})
	m.typeKeys(keyStop)
	m.expect("inside> ")
	m.awaitStopped(sleep)
	m.enter("fg")
	m.awaitForeground(sleep)
	m.typeKeys(keyInterrupt)
	m.expect("inside> ")
	m.awaitForeground(j.command)
	m.enter("suspend")
	m.expect(prompt)
	m.awaitStopped(j.reaper, j.command)
	m.enter("fg")
	m.expect("inside> ")
	m.enter("exit 7")
	m.expect(prompt)
	m.enter("echo code-$?")
	m.expect("code-7\n")
	m.mustNotShow("job control")
	m.mustNotShow("terminal process group")
}

// kill %1 ends a stopped job: its signal waits until the shell continues reaper,
// and the command must be continued to get it (pitfall 42).
func TestTerminalKillStopped(t *testing.T) {
	m := startBash(t)
	j := m.start(`$REAPER -- sh -c "$READING"`)
	m.stop(j)
	m.enter("kill %1")
	m.awaitEnd(j.reaper, j.command)
}

// TSTP sent to reaper is forwarded, and stops reaper only if it stops the command.
func TestTerminalStopFromOutside(t *testing.T) {
	m := startBash(t)
	j := m.start("$REAPER -- $PROBE signals")
	unix.Kill(j.reaper, unix.SIGTSTP)
	m.expect("got 20\n") // and that is all that it does
	unix.Kill(j.reaper, unix.SIGUSR1)
	m.expect("got 10\n")
	m.typeKeys(keyEnd)
	m.expect(prompt)

	j = m.start(`$REAPER -- sh -c "$READING"`)
	unix.Kill(j.reaper, unix.SIGTSTP)
	m.expect(prompt)
	m.awaitStopped(j.reaper, j.command)
	m.resume(j)
	m.enter("one")
	m.expect("got-one\n")
	m.typeKeys(keyEnd)
	m.expect(prompt)
}

// stty tostop: what reaper logs from the background neither stops it nor makes
// it spin; what the command prints there stops both (pitfalls 40, 41).
func TestTerminalToStop(t *testing.T) {
	m := startBash(t)
	m.enter("stty tostop")
	m.expect(prompt)
	m.enter("$REAPER -vv -- sh -c 'exit 3' & wait $!; echo code-$?")
	m.expect("command ended")
	m.expect("code-3\n")
	m.enter("$REAPER -- sh -c 'echo ready; exit 4' &")
	m.awaitJob("tty output")
	m.enter("fg")
	m.expect("ready\n")
	m.expect(prompt)
}

// awaitForegroundOf waits until the job has the terminal: reaper's group, to
// which the shell gives it, or the command's if reaper was quick to hand it on.
func (m *terminal) awaitForegroundOf(j job) {
	m.t.Helper()
	eventually(m.t, "the job has the terminal", func() bool {
		pgid := m.foreground()
		return pgid == j.reaper || pgid == j.command
	})
}

// What is printed without a log neither: it would be begun again for ever.
func TestTerminalToStopPlain(t *testing.T) {
	m := startBash(t)
	m.enter("stty tostop; $REAPER -- /nonexistent & wait $!; echo code-$?")
	m.expect("code-127\n")
	m.enter("$REAPER help & wait $!; echo code-$?")
	m.expect("code-0\n")
}

// A job that a shell without job control has started in the background is not
// asked to stop by a ^C that is for others, however often it comes.
func TestTerminalDeafJob(t *testing.T) {
	needExact(t)
	m := startBash(t)
	m.enter(`stty noflsh; sh -c 'trap "" INT; $REAPER -vv -- sh -c "$OBEYING" & echo started; wait; wait'`)
	m.expect("ready")
	for range 3 {
		m.typeKeys(keyInterrupt)
		m.expect("signal forwarded")
	}
	m.order("one")
	m.expect("did-one")
}

// A stop that must wait for the shell does not put off the kill.
func TestTerminalStopTimeout(t *testing.T) {
	m := startBash(t)
	m.enter(`$REAPER --stop-timeout 100ms -- sh -c 'trap "read line" TERM; eval "$OBEYING"' & wait $!; echo code-$?`)
	m.expect("ready")
	j := m.jobOf(m.pid)
	unix.Kill(j.reaper, unix.SIGTERM)
	m.awaitEnd(j.reaper, j.command)
	m.expect("code-137\n")
}

// The negative control: tini in the place of reaper. The command is stopped, and
// still has the terminal; the shell, which was not told, waits (pitfall 44).
func TestTerminalWedgeOfTini(t *testing.T) {
	tini, err := exec.LookPath("tini")
	if err != nil {
		cannot(t, "%v", err)
	}
	m := startShell(t, tini, bash()...)
	j := m.start(`$REAPER -s -- sh -c "$READING"`)
	m.awaitForeground(j.command)
	m.typeKeys(keyStop)
	m.awaitStopped(j.command)
	eventually(t, "tini has taken the SIGCHLD and waits again", func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", j.reaper))
		if err != nil {
			t.Fatal(err)
		}
		return stateOf(j.reaper) == 'S' && !signalField(t, string(status), "ShdPnd").Has(unix.SIGCHLD)
	})
	m.await([]byte{'S'}, m.pid)
	if got := m.foreground(); got != j.command {
		t.Errorf("group %d has the terminal, not the stopped command, %d", got, j.command)
	}
	if n := strings.Count(m.shown(), prompt); n != 1 {
		t.Errorf("the shell has its terminal back:\n%s", m.shown())
	}
}
