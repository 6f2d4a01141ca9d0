package test

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// What else is in reaper's group, as a pipeline or a script, or above it.

// The rest of a pipeline, and the script around reaper, stop with the command:
// the terminal cannot stop them, as the foreground group is the command's, and
// the shell would wait for them for ever (pitfall 44).
func TestTerminalStopTogether(t *testing.T) {
	for name, line := range map[string]string{
		"pipeline": `$REAPER -- sh -c "$READING" | cat`,
		"script":   `sh -c '$REAPER -- sh -c "$READING"; true'`,
		"both":     `sh -c 'sh -c "\$REAPER -- sh -c \"\$READING\"; true" | cat' | cat`,
	} {
		t.Run(name, func(t *testing.T) {
			m := startBash(t)
			m.enter(line)
			m.expect("ready")
			var j job
			var others []int
			for _, p := range descendants(m.pid) {
				if p.Name == "reaper" {
					j = job{p.PID, m.onlyChild(p.PID)}
				}
			}
			for _, p := range descendants(m.pid) {
				if p.PID != j.command {
					others = append(others, p.PID)
				}
			}
			for range 3 {
				// Not awaitForeground: in a pipeline the terminal is handed over
				// when the command reads.
				m.enter("one")
				m.expect("got-one\n")
				m.typeKeys(keyStop)
				m.expect(prompt)
				m.awaitStopped(append(others, j.command)...)
				m.enter("fg")
			}
			m.enter("two")
			m.expect("got-two\n")
			m.typeKeys(keyEnd)
			m.expect(prompt)
		})
	}
}

// A pager that follows in the pipeline can read from the terminal, and so can
// the command after it, be it that reaper has handed the terminal over or not.
func TestTerminalPager(t *testing.T) {
	const pager = ` | sh -c 'read a; echo $a pager; for i in 1 2; do read a </dev/tty; echo page-$a; done; cat'`
	for name, line := range map[string]string{
		"not handed over": `$REAPER -- sh -c "$OBEYING"`,
		"handed over":     `$REAPER -- sh -c 'exec >&3; eval "$OBEYING"' 3>&1 >/dev/tty`,
	} {
		t.Run(name, func(t *testing.T) {
			m := startBash(t)
			m.enter(line + pager)
			m.expect("ready pager\n")
			m.enter("one")
			m.expect("page-one\n")
			m.typeKeys(keyStop)
			m.expect(prompt)
			m.enter("fg")
			m.enter("two")
			m.expect("page-two\n")
			m.order("read")
			m.enter("three")
			m.expect("got-three\n")
			m.typeKeys(keyInterrupt)
			m.expect(prompt)
		})
	}
}

// A shell that ends with a stopped job has the kernel hang it up and continue it:
// what was stopped ends.
func TestTerminalShellEnds(t *testing.T) {
	m := startBash(t)
	j := m.start(`$REAPER -- sh -c "$READING"`)
	m.stop(j)
	m.enter("exit") // there are stopped jobs
	m.expect(prompt)
	m.enter("exit")
	m.wait()
	m.awaitEnd(j.reaper, j.command)
}

// A script whose shell has gone, so that its group is orphaned: nobody would
// continue reaper, which must not stop with the command (pitfall 28).
func TestTerminalDisowned(t *testing.T) {
	m := startBash(t)
	m.enter(`(sh -c 'echo $$ script; $REAPER -vv -- sh -c "$OBEYING"; echo code-$?' &)`)
	m.expect("ready")
	var j job
	eventually(t, "the script is an orphan", func() bool {
		for _, p := range children(unix.Getpid()) {
			if p.Session == m.pid && p.PID != m.pid {
				j = m.jobOf(p.PID)
				return true
			}
		}
		return false
	})
	unix.Kill(j.command, unix.SIGSTOP)
	m.expect("command stopped")
	unix.Kill(j.reaper, unix.SIGTERM)
	m.expect("code-143\n")
}

// reaper is PID 1 of a namespace and in the group of a process outside, so that
// its own group has no number: it leaves the terminal to the shell if that has
// it, else the shell would get EIO and end.
func TestTerminalOuterGroup(t *testing.T) {
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		cannot(t, "%v", err)
	}
	asPID1.need(t)
	unshare += " --map-root-user --fork --pid "
	m := startBash(t)
	m.enter(unshare + `$REAPER -- sh -c "$OBEYING" &`)
	m.expect("ready")
	m.order("work")
	m.expect("did-work\n")
	m.awaitForeground(m.pid)
	m.enter("kill %1; wait %1; echo code-$?")
	m.expect("code-")

	m.enter(unshare + `$REAPER -- sh -c "$READING"`)
	m.expect("ready")
	m.enter("one")
	m.expect("got-one\n")
	m.typeKeys(keyStop) // nobody could continue PID 1
	m.enter("two")
	m.expect("got-two\n")
	m.typeKeys(keyEnd)
	m.expect(prompt)
	m.mustNotShow("failed")
}
