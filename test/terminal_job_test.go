package test

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/reaper-init/reaper/pkg/reap"
)

const prompt = "shell> "

// A job is reaper under a shell, and its command.
type job struct{ reaper, command int }

// startShell starts an interactive shell, with that program as $REAPER.
func startShell(t *testing.T, reaper string, shell ...string) *terminal {
	t.Helper()
	m := startTerminal(t, asSubreaper, func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "REAPER="+reaper)
	}, shell[0], shell[1:]...)
	m.expect(prompt)
	return m
}

func bash() []string { return []string{"bash", "--norc", "--noprofile", "--noediting", "-i"} }

func startBash(t *testing.T) *terminal {
	t.Helper()
	return startShell(t, reaperBin, bash()...)
}

// enter types a line.
func (m *terminal) enter(line string) {
	m.t.Helper()
	m.typeKeys(line + "\n")
}

// start types a line that starts a job, whose command says that it is ready.
func (m *terminal) start(line string) job {
	m.t.Helper()
	m.enter(line)
	m.expect("ready")
	return m.jobOf(m.pid)
}

// jobOf is the reaper that is the only child of pid.
func (m *terminal) jobOf(pid int) job {
	m.t.Helper()
	reaper := m.onlyChild(pid)
	return job{reaper, m.onlyChild(reaper)}
}

// stop types ^Z, and waits until the shell has the terminal back.
func (m *terminal) stop(j job) {
	m.t.Helper()
	m.awaitForeground(j.command)
	m.typeKeys(keyStop)
	m.expect(prompt)
	m.awaitStopped(j.reaper, j.command)
	m.awaitForeground(m.pid)
}

// resume types fg, and sees that the command has the terminal.
func (m *terminal) resume(j job) {
	m.t.Helper()
	m.enter("fg")
	m.awaitForeground(j.command)
}

// awaitJob asks the shell for its jobs until one of them is what it should be:
// the shell learns of it a little later than we do.
func (m *terminal) awaitJob(text string) {
	m.t.Helper()
	n := 0
	eventually(m.t, "the shell has a job: "+text, func() bool {
		n++
		m.enter(fmt.Sprintf("jobs -l; echo listed-%d", n))
		jobs := m.expect(fmt.Sprintf("listed-%d\n", n))
		m.expect(prompt)
		return strings.Contains(jobs, text)
	})
}

// onlyChild is the child of pid.
func (m *terminal) onlyChild(pid int) int {
	m.t.Helper()
	below := children(pid)
	if len(below) != 1 {
		m.t.Fatalf("not one child of %d:\n%s", pid, table(pid))
	}
	return below[0].PID
}

// gone is what await takes for a process that has been waited for.
const gone = 0

// await waits until all the processes are in one of the states of proc(5).
func (m *terminal) await(states []byte, pids ...int) {
	m.t.Helper()
	eventually(m.t, fmt.Sprintf("%d are in state %q", pids, states), func() bool {
		return !slices.ContainsFunc(pids, func(pid int) bool { return !slices.Contains(states, stateOf(pid)) })
	})
}

func (m *terminal) awaitStopped(pids ...int) {
	m.t.Helper()
	m.await([]byte{'T'}, pids...)
}

func (m *terminal) awaitEnd(pids ...int) {
	m.t.Helper()
	m.await([]byte{'Z', gone}, pids...)
}

func stateOf(pid int) byte {
	p, err := reap.ReadProc(pid)
	if err != nil {
		return gone
	}
	return p.State
}
