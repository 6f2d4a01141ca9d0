package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// What is here are the differences on purpose: each is seen in the model, and is not
// there in reaper. docs/personas.md lists them.

// The first word that is no option ends the options, and what follows is the command's.
func TestPersonaOperands(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		out  string
	}{
		{tini, []string{"-s", "echo", "-n", "hi"}, "hi"},
		{catatonit, []string{"echo", "-n", "hi"}, "hi"},
		{catatonit, []string{"basename", "--", "--version"}, "--version"},
	} {
		theirs, ours := both(t, c.name, func(t *testing.T, program string) string {
			s := launchAs(t, asSubreaper, program, nil, c.args...)
			s.wait()
			return strings.Join(s.stdout.rest(), "")
		})
		if theirs == ours || ours != c.out {
			t.Errorf("%s %q: the model %q, reaper %q", c.name, c.args, theirs, ours)
		}
	}
}

// A SIGCHLD that whoever started it had ignored, and a closed stdin.
func TestPersonaInherits(t *testing.T) {
	needExact(t)
	ignoring := func(program string, args ...string) []string {
		return append([]string{"exec", "-ignore", fmt.Sprint(uint64(reap.Signals(unix.SIGCHLD))), program}, args...)
	}
	closed := func(program string) []string {
		return []string{"exec", "-close", "0", program, "--", "sh", "-c", "exit 3"}
	}
	for _, name := range models {
		program := persona(t, name)
		launchProgram(t, asSubreaper, nil, probeBin, ignoring(program, "--", "sh", "-c", "exit 3")...).wantCode(3)
		launchProgram(t, asSubreaper, nil, probeBin, closed(program)...).wantCode(3)
	}
	if got := launchProgram(t, asSubreaper, nil, probeBin, closed(modelOf(t, tini).binary)...).wait(); got != reap.ExitStatus(1) {
		t.Errorf("tini does not mind: %v", got)
	}
	for _, name := range []string{tini, catatonit} {
		s := launchProgram(t, asSubreaper, nil, probeBin, ignoring(modelOf(t, name).binary, "--", "sh", "-c", "echo ready; read x; exit 3")...)
		s.expect("ready")
		command := s.command().PID
		s.stdin.Close()
		eventually(t, "the command is gone", func() bool { return stateOf(command) == gone })
		// It has lost the status, and goes on as if nothing had been: it takes a signal.
		s.signal(unix.SIGUSR1)
		eventually(t, "the signal was taken", func() bool { return !pending(t, s.pid, unix.SIGUSR1) })
		if state := stateOf(s.pid); state == gone || state == 'Z' {
			t.Errorf("%s ends", name)
		}
	}
}

// Nothing ticks. The clock of this test is tini, which wakes up each second.
func TestPersonaIsIdle(t *testing.T) {
	needExact(t)
	run := func(program string) *session {
		s := launchProgram(t, asSubreaper, nil, program, "-s", "--", "sh", "-c", "echo ready; read x")
		s.expect("ready")
		return s
	}
	theirs, ours := run(modelOf(t, tini).binary), run(persona(t, tini))
	eventually(t, "reaper has come to rest", func() bool { // its start is over when a while has passed without a switch
		before, clock := switches(t, ours.pid), switches(t, theirs.pid)
		eventually(t, "tini ticks", func() bool { return switches(t, theirs.pid) > clock })
		return switches(t, ours.pid) == before
	})
	before, clock := switches(t, ours.pid), switches(t, theirs.pid)
	eventually(t, "tini ticks", func() bool { return switches(t, theirs.pid) >= clock+2 })
	if after := switches(t, ours.pid); after != before {
		t.Errorf("reaper has woken up %d times", after-before)
	}
	for _, s := range []*session{theirs, ours} {
		s.stdin.Close()
		s.wait()
	}
}

// switches is how often the threads of a process have gone to sleep.
func switches(t *testing.T, pid int) (n int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		status, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		for line := range strings.Lines(string(status)) {
			if count, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				k, err := strconv.Atoi(strings.TrimSpace(count))
				if err != nil {
					t.Fatal(err)
				}
				n += k
			}
		}
	}
	return n
}

// Started in the background of a shell it leaves the terminal to the shell.
func TestPersonaInBackground(t *testing.T) {
	theirs, ours := both(t, tini, func(t *testing.T, program string) bool {
		m := startShell(t, program, bash()...)
		// The shell waits: one that wants to read finds its terminal gone, and ends.
		m.enter(`$REAPER -s -- sh -c 'echo ready; exec sleep 1000' & wait`)
		m.expect("ready")
		j := m.jobOf(m.pid)
		return m.foreground() == j.command
	})
	if !theirs || ours {
		t.Errorf("the model takes the terminal: %v, reaper: %v", theirs, ours)
	}
}

// A command that has changed its user cannot be signalled by an init that may not.
// tini ends at that, and leaves the command alone.
func TestPersonaSignalNotPermitted(t *testing.T) {
	if os.Geteuid() != 0 {
		cannot(t, "only root can start a command that changes its user")
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		cannot(t, "setpriv is not installed")
	}
	theirs, ours := both(t, tini, func(t *testing.T, program string) reap.Status {
		s := launchProgram(t, asSubreaper, nil, setpriv, "--bounding-set", "-kill", "--inh-caps", "-kill", "--",
			program, "-s", "--", setpriv, "--reuid", "65534", "--clear-groups", probeBin, "signals")
		s.expect("ready")
		s.signal(unix.SIGUSR1)
		s.stderr.awaitText(t, "permitted") // both say so
		s.stdin.Close()
		return s.wait()
	})
	if theirs != reap.ExitStatus(1) || ours != 0 {
		t.Errorf("the model %v, reaper %v", theirs, ours)
	}
}

// No signal is lost while the command is being started, also where it is for a group.
func TestPersonaSignalDuringStart(t *testing.T) {
	const times = 60
	for _, c := range [][]string{{tini, "-s", "-g"}, {dumbInit}, {dumbInit, "-c"}, {catatonit, "-g"}} {
		for i := range times {
			s := launchProgram(t, asSubreaper, nil, persona(t, c[0]), append(c[1:], "--", "sleep", "1000")...)
			burn(i * 5000 / times) // 0 to 5 ms
			s.signal(unix.SIGTERM)
			if got := s.wait(); got.Code() != 143 && got.Signal() != syscall.SIGTERM {
				t.Fatalf("%v, TERM after about %d us: %v", c, i*5000/times, got)
			}
		}
	}
}
