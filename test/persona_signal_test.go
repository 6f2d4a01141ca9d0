package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// fate is what becomes of a signal that is sent to an init.
type fate struct {
	got     string // the signals that the command got for it
	ended   reap.Status
	stopped bool // the init
	held    bool // the command
}

// count counts the lines of a stream that are the same.
func (s *session) count(line string) int {
	n := 0
	for l := range strings.SplitSeq(s.stdout.String(), "\n") {
		if l == line {
			n++
		}
	}
	return n
}

// flush has two signals other than sig go all the way, so often that whatever came
// before has come out too: both the init and the command may take several that wait
// in any order. It is over as well if one of them has stopped, or the init has ended.
func (s *session) flush(command int, sig syscall.Signal) (stopped, held, ended bool) {
	s.t.Helper()
	marks := slices.DeleteFunc([]syscall.Signal{unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH},
		func(mark syscall.Signal) bool { return mark == sig })
	for _, mark := range []syscall.Signal{marks[0], marks[1], marks[0]} {
		line := fmt.Sprintf("got %d", int(mark))
		before := s.count(line)
		if unix.Kill(s.pid, mark) != nil {
			return false, false, true
		}
		eventually(s.t, fmt.Sprintf("signal %d of the flush is there", mark), func() bool {
			stopped, held = stateOf(s.pid) == 'T', stateOf(command) == 'T'
			ended = stateOf(s.pid) == 'Z' || stateOf(s.pid) == gone
			return stopped || held || ended || s.count(line) > before
		})
		if stopped || held || ended {
			break
		}
	}
	return stopped, held, ended
}

// stopping reports whether a thread of the process has stopped: the one that takes
// the signal is the first, in the same moment.
func stopping(pid int) bool {
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return slices.ContainsFunc(tasks, func(task os.DirEntry) bool {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/stat", pid, task.Name()))
		_, fields, _ := strings.Cut(string(stat), ") ")
		return strings.HasPrefix(fields, "T")
	})
}

func (s *session) awaitState(state byte, pid int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%d is %c", pid, state), func() bool { return stateOf(pid) == state })
}

// asleep reports whether no thread of the process has anything to do: in two readings
// none was awake, or ran in between. Who is about to handle a signal is awake.
func asleep(pid int) bool {
	ran := func() (all string) {
		tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		for _, task := range tasks {
			dir := fmt.Sprintf("/proc/%d/task/%s/", pid, task.Name())
			stat, _ := os.ReadFile(dir + "stat")
			schedstat, _ := os.ReadFile(dir + "schedstat")
			if _, fields, _ := strings.Cut(string(stat), ") "); !strings.HasPrefix(fields, "S") {
				return ""
			}
			all += task.Name() + ":" + string(schedstat)
		}
		return all
	}
	before := ran()
	return before != "" && ran() == before
}

// pending reports whether a signal waits for the process.
func pending(t testing.TB, pid int, sig syscall.Signal) bool {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err == nil && signalField(t, string(status), "ShdPnd").Has(sig)
}

// fateOf sends the signal to an init whose command tells what it gets.
func fateOf(t *testing.T, at place, program string, args []string, sig syscall.Signal) fate {
	t.Helper()
	s := launchProgram(t, at, func(cmd *exec.Cmd) {
		cmd.Dir = t.TempDir() // for a core dump
		cmd.Args[0] = filepath.Base(program)
	}, program, append(args, "--", probeBin, "signals")...)
	s.expect("ready")
	command := s.command().PID
	s.signal(sig)
	eventually(t, "the signal was taken", func() bool { return !pending(t, s.pid, sig) })
	var f fate
	stopped, held, ended := s.flush(command, sig)
	if ended {
		return fate{ended: s.wait()}
	}
	if stopped || held {
		// One follows the other, or does not: PID 1 cannot be stopped.
		if at.pid1 {
			// Who sends itself a SIGSTOP takes back a SIGCONT that waits, as PID 1 too.
			eventually(t, "the init has done what there was to do", func() bool { return asleep(s.pid) })
		} else {
			s.awaitState('T', s.pid)
		}
		// A SIGCONT takes back the stop signals that wait.
		eventually(t, "what was sent to the command was taken", func() bool {
			return !pending(t, command, unix.SIGSTOP) && !pending(t, command, sig)
		})
		f.stopped, f.held = stateOf(s.pid) == 'T', stopping(command)
		s.signal(unix.SIGCONT)
		eventually(t, "both go on", func() bool { return stateOf(s.pid) != 'T' && stateOf(command) != 'T' })
	}
	// Of two signals the later may have been handled first, by another thread.
	eventually(t, "both have done what there was to do", func() bool { return asleep(s.pid) && asleep(command) })
	s.flush(command, sig)
	var got []string
	for line := range strings.SplitSeq(s.stdout.String(), "\n") {
		n, ok := strings.CutPrefix(line, "got ")
		if mark := n == "10" || n == "12" || n == "28" || n == "18"; ok && (!mark || n == fmt.Sprint(int(sig))) {
			got = append(got, n)
		}
	}
	f.got = strings.Join(slices.Compact(got), " ")
	s.stdin.Close()
	s.wantCode(0)
	return f
}

// What becomes of each signal is the same, but for those that the model dies of, or
// does not hear: they go to the command (docs/personas.md).
func TestPersonaSignals(t *testing.T) {
	needExact(t)
	faults := reap.Signals(unix.SIGILL, unix.SIGTRAP, unix.SIGABRT, unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV, unix.SIGSYS)
	for _, c := range []struct {
		name      string
		args      []string
		otherwise reap.SignalSet // they reach the command, and the model's does not get them
	}{
		{tini, []string{"-s"}, faults},
		{tini, []string{"-s", "-g"}, faults},
		{catatonit, nil, faults.With(unix.SIGTSTP)},
		{catatonit, []string{"-g"}, faults.With(unix.SIGTSTP)},
		{dumbInit, nil, 0},
		{dumbInit, []string{"-c"}, 0},
		{dumbInit, []string{"-r", "1:3", "-r", "15:0", "-r", "20:0", "-r", "21:1"}, 0},
		{dumbInit, []string{"-c", "-r", "20:2", "-r", "22:0"}, 0},
	} {
		inPlaces(t, func(t *testing.T, at place) {
			for sig := syscall.Signal(1); sig <= reap.NumSignals; sig++ {
				if sig == unix.SIGKILL || sig == unix.SIGSTOP || !takenByGo(sig) || sig > 36 && sig < 64 {
					continue
				}
				theirs, ours := both(t, c.name, func(t *testing.T, program string) fate {
					return fateOf(t, at, program, c.args, sig)
				})
				if c.otherwise.Has(sig) {
					if want := (fate{got: fmt.Sprint(int(sig))}); theirs == ours || ours != want {
						t.Errorf("%s %v, signal %d: the model %+v\nreaper %+v, want %+v", c.name, c.args, int(sig), theirs, ours, want)
					}
					continue
				}
				if theirs != ours {
					t.Errorf("%s %v, signal %d: the model %+v\nreaper %+v", c.name, c.args, int(sig), theirs, ours)
				}
			}
		})
	}
}

// The signals that a Go program cannot tell of reach a shell.
func TestPersonaSignalsOfTheRuntime(t *testing.T) {
	needExact(t)
	for _, name := range models {
		for _, sig := range []syscall.Signal{unix.SIGURG, unix.SIGPROF, 34} {
			script := fmt.Sprintf(`trap 'echo got; exit 3' %d; echo ready; while :; do sleep 0.01; done`, int(sig))
			theirs, ours := both(t, name, func(t *testing.T, program string) string {
				s := launchAs(t, asPID1, program, nil, "--", "sh", "-c", script)
				s.expect("ready")
				s.signal(sig)
				return s.wait().String() + " " + strings.Join(s.stdout.rest(), " ")
			})
			if theirs != ours {
				t.Errorf("%s, signal %d: the model %q, reaper %q", name, int(sig), theirs, ours)
			}
		}
	}
}

// A second request to stop is forwarded as the first was, and kills nobody.
func TestPersonaForwardsOnly(t *testing.T) {
	for _, name := range models {
		theirs, ours := both(t, name, func(t *testing.T, program string) int {
			s := launchAs(t, asPID1, program, nil, "--", probeBin, "signals")
			s.expect("ready")
			for i := range 5 {
				s.signal(unix.SIGTERM)
				eventually(t, "it was forwarded", func() bool { return s.count("got 15") > i })
			}
			s.stdin.Close()
			s.wantCode(0)
			return s.count("got 15")
		})
		if theirs != ours {
			t.Errorf("%s: the model forwards %d, reaper %d", name, theirs, ours)
		}
	}
}

// With -g each member of the group gets it, and without the program alone.
func TestPersonaGroup(t *testing.T) {
	const script = `trap 'echo parent; wait' USR1
		sh -c 'trap "echo member" USR1; trap "echo flushed" USR2; echo "ready $$"; while :; do sleep 0.01; done' & wait`
	for _, c := range []struct {
		name string
		args []string
		env  []string
	}{
		{tini, []string{"-s"}, nil},
		{tini, []string{"-sg"}, nil},
		{tini, []string{"-s"}, []string{"TINI_KILL_PROCESS_GROUP="}},
		{tini, []string{"-s"}, []string{"TINI_KILL_PROCESS_GROUP=0"}},
		{dumbInit, nil, nil},
		{dumbInit, []string{"-c"}, nil},
		{dumbInit, nil, []string{"DUMB_INIT_SETSID=0"}},
		{dumbInit, nil, []string{"DUMB_INIT_SETSID=1"}},
		{dumbInit, nil, []string{"DUMB_INIT_SETSID="}},
		{catatonit, nil, nil},
		{catatonit, []string{"-g"}, nil},
	} {
		theirs, ours := both(t, c.name, func(t *testing.T, program string) bool {
			s := launchAs(t, asSubreaper, program, c.env, append(c.args, "--", "sh", "-c", script)...)
			member, err := strconv.Atoi(s.expect("ready "))
			if err != nil {
				t.Fatal(err)
			}
			s.signal(unix.SIGUSR1)
			s.stdout.awaitText(t, "parent")
			// A shell runs the traps of those that wait by their numbers. The first mark may
			// come between two members of the group.
			for i := range 2 {
				unix.Kill(member, unix.SIGUSR2)
				eventually(t, "the mark is there", func() bool { return s.count("flushed") > i })
			}
			return s.count("member") > 0
		})
		if theirs != ours {
			t.Errorf("%s %v %v: the model reaches the group: %v, reaper: %v", c.name, c.args, c.env, theirs, ours)
		}
	}
}
