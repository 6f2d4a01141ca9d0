package test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// found is what the command of an init finds, and what the init itself is like then.
type found struct {
	leadsGroup, leadsSession bool
	sharesGroup              bool // with the init
	blocked, ignored         reap.SignalSet
	extra                    string // the descriptors from 3 on of the command
	listen                   string // LISTEN_PID, by its meaning
	dir                      string // of the command
	initDir                  string
	initExtra                bool // the init holds the descriptor that it was given
	adopts                   bool
}

// lookAround has the command of an init tell what it finds.
func lookAround(t *testing.T, program string, args []string) found {
	t.Helper()
	dir := t.TempDir()
	_, extra := pipe(t)
	const script = `echo "pid $$"; echo "listen $LISTEN_PID"; (sleep 1000 & echo "orphan $!"); echo ready; read line`
	s := launchProgram(t, asSubreaper, func(cmd *exec.Cmd) {
		cmd.Dir = dir
		cmd.ExtraFiles = []*os.File{extra}
	}, "sh", append(append([]string{"-c", `export LISTEN_PID=$$; exec "$@"`, "sh", program}, args...), "--", "sh", "-c", script)...)
	extra.Close()
	number := func(prefix string) int {
		n, err := strconv.Atoi(s.expect(prefix))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	command := number("pid ")
	var f found
	switch s.expect("listen ") {
	case fmt.Sprint(s.pid):
		f.listen = "the init"
	case fmt.Sprint(command):
		f.listen = "the command"
	}
	f.blocked, f.ignored = masksUnder(t, program, args)
	orphan := number("orphan ")
	s.expect("ready")
	p, err := reap.ReadProc(command)
	if err != nil {
		t.Fatal(err)
	}
	own, err := reap.ReadProc(s.pid)
	if err != nil {
		t.Fatal(err)
	}
	f.leadsGroup, f.leadsSession, f.sharesGroup = p.PGID == p.PID, p.Session == p.PID, p.PGID == own.PGID
	f.dir, f.initDir = relative(dir, linkOf(command, "cwd")), relative(dir, linkOf(s.pid, "cwd"))
	f.extra = strings.SplitN(linkOf(command, "fd/3"), ":", 2)[0]
	// What an init does with its own directory and descriptors it does when the
	// command has been started, and so perhaps a little later.
	initial := linkOf(command, "fd/3")
	holds := func() bool {
		fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid))
		for _, fd := range fds {
			if linkOf(s.pid, "fd/"+fd.Name()) == initial {
				return true
			}
		}
		return false
	}
	base := filepath.Base(program)
	if base == dumbInit || base == catatonit {
		eventually(t, "the init has left its directory", func() bool { return linkOf(s.pid, "cwd") == "/" || initVersionIsOld(base, program) })
		f.initDir = "/"
	}
	if base == catatonit {
		eventually(t, "the init has closed what was not for it", func() bool { return !holds() })
	}
	f.initExtra = holds()
	adopter, err := reap.ReadProc(orphan)
	if err != nil {
		t.Fatal(err)
	}
	f.adopts = adopter.PPID == s.pid
	unix.Kill(orphan, unix.SIGKILL)
	s.stdin.Close()
	s.wantCode(1)
	return f
}

// masksUnder is what the command finds of signals that whoever started the init has
// blocked and ignored.
func masksUnder(t *testing.T, program string, args []string) (blocked, ignored reap.SignalSet) {
	t.Helper()
	given := []string{
		"exec", "-block", fmt.Sprint(uint64(reap.Signals(unix.SIGTERM))),
		"-ignore", fmt.Sprint(uint64(reap.Signals(unix.SIGHUP, unix.SIGINT, unix.SIGPIPE, unix.SIGTERM))), program,
	}
	s := launchProgram(t, asSubreaper, nil, probeBin, append(append(given, args...), "--", "cat", "/proc/self/status")...)
	s.wantCode(0)
	status := strings.Join(s.stdout.rest(), "\n")
	return signalField(t, status, "SigBlk"), signalField(t, status, "SigIgn")
}

// initVersionIsOld tells the catatonit of before 0.2.1, which kept its directory.
func initVersionIsOld(base, program string) bool {
	out, _ := exec.Command(program, "--version").Output()
	return base == catatonit && strings.HasPrefix(string(out), "tini version 0.1.")
}

func linkOf(pid int, name string) string {
	target, _ := os.Readlink(fmt.Sprintf("/proc/%d/%s", pid, name))
	return target
}

func relative(dir, path string) string {
	if path == dir {
		return "DIR"
	}
	return path
}

// Groups, sessions, masks, ignored signals, descriptors, directories, LISTEN_PID and
// the adoption of orphans, each with and without its option.
func TestPersonaEffects(t *testing.T) {
	needExact(t)
	stops := reap.Signals(unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)
	for _, c := range []struct {
		name string
		args []string
		fix  func(*found) // the model's defects, mended
	}{
		{tini, nil, nil},
		{tini, []string{"-s"}, nil},
		{tini, []string{"-g"}, nil},
		{dumbInit, nil, nil},
		{dumbInit, []string{"-c"}, nil},
		{catatonit, nil, func(f *found) { f.blocked &^= stops }},
		{catatonit, []string{"-g"}, func(f *found) { f.blocked &^= stops }},
	} {
		t.Run(c.name+" "+strings.Join(c.args, " "), func(t *testing.T) {
			theirs, ours := both(t, c.name, func(t *testing.T, program string) found { return lookAround(t, program, c.args) })
			if c.fix != nil {
				before := theirs
				c.fix(&theirs)
				if before == theirs {
					t.Errorf("the model has no such defect: %+v", before)
				}
			}
			if theirs != ours {
				t.Errorf("the model: %+v\nreaper:    %+v", theirs, ours)
			}
		})
	}
}

// What the command leaves behind is left alone, but for the TERM of dumb-init to its
// group, which comes once, and as --rewrite has it.
func TestPersonaLeftovers(t *testing.T) {
	// The one in the group, and the one that has left it, tell what they got.
	const script = `
		"$0" signals <&3 3<&- &
		setsid "$0" signals <&3 3<&- &
		exec 3<&-
		read line; exit 4`
	for _, c := range []struct {
		name string
		args []string
	}{
		{tini, nil},
		{tini, []string{"-s"}},
		{tini, []string{"-sg"}},
		{dumbInit, nil},
		{dumbInit, []string{"-c"}},
		{dumbInit, []string{"-r", "15:10"}},
		{dumbInit, []string{"-r", "15:0"}},
		{catatonit, nil},
	} {
		theirs, ours := both(t, c.name, func(t *testing.T, program string) string {
			hold, release := pipe(t)
			s := launchProgram(t, asSubreaper, func(cmd *exec.Cmd) {
				cmd.ExtraFiles = []*os.File{hold}
			}, program, append(c.args, "--", "sh", "-c", script, probeBin)...)
			hold.Close()
			s.expect("ready")
			s.expect("ready")
			s.stdin.Write([]byte("\n"))
			s.wantCode(4)
			// Both are there still. Each gets two marks, after which nothing is to come.
			for _, mark := range []syscall.Signal{unix.SIGUSR2, unix.SIGWINCH} {
				marked := 0
				for _, p := range descendants(os.Getpid()) {
					if p.Name == "probe" && unix.Kill(p.PID, mark) == nil {
						marked++
					}
				}
				if marked != 2 {
					t.Fatalf("%d are left", marked)
				}
				eventually(t, "both have got the mark", func() bool { return s.count(fmt.Sprintf("got %d", int(mark))) == 2 })
			}
			release.Close()
			var got []string
			for _, line := range s.stdout.rest() {
				if strings.HasPrefix(line, "got ") && line != "got 12" && line != "got 28" {
					got = append(got, line)
				}
			}
			return strings.Join(got, " ")
		})
		if theirs != ours {
			t.Errorf("%s %v: the model: %q, reaper: %q", c.name, c.args, theirs, ours)
		}
	}
}

// A REAPER_ variable has a persona deal with what is left.
func TestPersonaWithVariables(t *testing.T) {
	inEach(t, realPlaces, func(t *testing.T, at place) {
		for _, name := range models {
			s := launchProgram(t, at, func(cmd *exec.Cmd) {
				cmd.Env = append(os.Environ(), "REAPER_LEFTOVERS=stop", "REAPER_LEAKS=fail", "TINI_SUBREAPER=")
			}, persona(t, name), "--", "sh", "-c", `env | grep REAPER; setsid sleep 1000 & exit 0`)
			s.wantCode(86)
			if text := strings.Join(append(s.stderr.rest(), s.stdout.rest()...), "\n"); !strings.Contains(text, "sleep 1000") || strings.Contains(text, "REAPER_") {
				t.Errorf("%s: %s", name, text)
			}
		}
		// A wrong one is said by reaper.
		s := launchProgram(t, at, func(cmd *exec.Cmd) { cmd.Env = append(os.Environ(), "REAPER_LEFTOVERS=junk") }, persona(t, tini), "true")
		s.wantCode(125)
		if text := s.stderr.rest(); len(text) != 2 || !strings.HasPrefix(text[0], "reaper: REAPER_LEFTOVERS=junk") {
			t.Errorf("%q", text)
		}
		// The ladder of stopping is there if it is asked for.
		s = launchProgram(t, at, func(cmd *exec.Cmd) { cmd.Env = append(os.Environ(), "REAPER_STOP_TIMEOUT=50ms") },
			persona(t, dumbInit), probeBin, "signals")
		s.expect("ready")
		s.signal(unix.SIGTERM)
		s.wantCode(137)
	})
}

// Pausing: it reaps who comes, and ends with 0 on TERM or INT alone.
func TestPersonaPause(t *testing.T) {
	run := func(program string, args ...string) func(t *testing.T, sig syscall.Signal) {
		return func(t *testing.T, sig syscall.Signal) {
			for _, at := range bothPlaces {
				// It is up when it has reaped the child that it has inherited.
				s := launchProgram(t, at, nil, "sh", append([]string{"-c", `sleep 1000 & echo ready; exec "$@"`, "sh", program}, args...)...)
				s.expect("ready")
				child := s.command().PID
				// catatonit itself never reaps who has exited before it blocks signals.
				eventually(t, "it is no shell any more, and takes signals", func() bool {
					return commandOf(s.pid) != "sh" && (signalsOf(t, s.pid, "SigBlk") | signalsOf(t, s.pid, "SigCgt")).Has(unix.SIGCHLD)
				})
				unix.Kill(child, unix.SIGKILL)
				eventually(t, "the child is reaped", func() bool { return stateOf(child) == gone })
				s.signal(unix.SIGHUP)
				s.signal(unix.SIGUSR1)
				s.signal(sig)
				s.wantCode(0)
				if out := s.stdout.rest(); len(out) > 1 {
					t.Errorf("%q", out)
				}
			}
		}
	}
	for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGINT} {
		both(t, catatonit, func(t *testing.T, program string) bool { run(program, "-P")(t, sig); return true })
		run(persona(t, catatonit), "-P", "--", "no-such-command")(t, sig)
		run(persona(t, "pause"))(t, sig)
		run(reaperBin, "--as", "pause")(t, sig)
		run(reaperBin, "--as=catatonit", "-P")(t, sig)
	}
	if s := launchProgram(t, asSubreaper, nil, persona(t, "pause"), "-v"); s.wait() != 0 || len(s.stdout.rest()) != 1 {
		t.Error("the version of pause")
	}
}

// What --as takes, and where.
func TestAs(t *testing.T) {
	launch(t, asSubreaper, nil, "--as", "tini", "-s", "-e", "3", "--", "sh", "-c", "exit 3").wantCode(0)
	launch(t, asSubreaper, nil, "--as=dumb-init", "/nonexistent").wantCode(2)
	launch(t, asSubreaper, nil, "--as", "docker-init", "--version").wantCode(0)
	for _, args := range [][]string{{"--as"}, {"--as", "systemd", "true"}, {"--as="}, {"-v", "--as", "tini", "true"}, {"run", "--as", "tini", "true"}} {
		s := launch(t, asSubreaper, nil, args...)
		s.wantCode(125)
		if lines := s.stderr.rest(); len(lines) != 2 || !strings.Contains(lines[0], "--as") {
			t.Errorf("%q: %q", args, lines)
		}
	}
	// A copy of the binary is the same as a link.
	copied := filepath.Join(t.TempDir(), "dumb-init")
	if err := os.Link(reaperBin, copied); err != nil {
		text, readErr := os.ReadFile(reaperBin)
		if err := errors.Join(readErr, os.WriteFile(copied, text, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	launchProgram(t, asSubreaper, nil, copied, "/nonexistent").wantCode(2)
}

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
		if rows := (&pty.Winsize{Rows: 33, Cols: 77}); m.ioctl(func(fd int) error {
			return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows.Rows, Col: rows.Cols})
		}) != nil {
			t.Error("cannot change the size")
		}
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
			const script = `trap 'echo hup >"$0"; exit 5' HUP; trap 'echo got-int' INT
				trap 'echo got-winch $(stty size)' WINCH; echo ready; while :; do sleep 0.01; done`
			m := startTerminal(t, asSubreaper, nil, program, append(c.args, "--", "bash", "-c", script, hangup)...)
			m.expect("ready")
			m.typeKeys(keyInterrupt)
			m.expect("got-int")
			if err := m.ioctl(func(fd int) error {
				return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 77})
			}); err != nil {
				t.Fatal(err)
			}
			m.expect("got-winch 33 77")
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

// The death of its own parent is a signal like any other, and so for the command.
func TestPersonaParentDeath(t *testing.T) {
	needExact(t)
	theirs, ours := both(t, tini, func(t *testing.T, program string) bool {
		// A shell takes away the stdin of what it starts in the background.
		s := launchProgram(t, asSubreaper, nil, "sh", "-c", `exec 3<&0; "$@" <&3 3<&- & exec 3<&-; wait`, "sh",
			program, "-s", "-p", "SIGUSR1", "--", probeBin, "signals")
		s.expect("ready")
		s.signal(unix.SIGKILL) // the shell
		_, ok := s.stdout.await("got 10")
		return ok
	})
	if !theirs || !ours {
		t.Errorf("the model %v, reaper %v", theirs, ours)
	}
}

// As docker-init, where there is no /proc, orphans are adopted and signals forwarded.
func TestPersonaNoProc(t *testing.T) {
	if os.Geteuid() != 0 {
		cannot(t, "only root can unmount /proc in a namespace")
	}
	asPID1.need(t)
	for _, args := range [][]string{{"docker-init", "-vvv", "--"}, {dumbInit, "-v", "--"}, {catatonit, "--"}} {
		s := launchProgram(t, asPID1, func(cmd *exec.Cmd) {
			cmd.SysProcAttr.Unshareflags = unix.CLONE_NEWNS
			cmd.Env = append(os.Environ(), "CATATONIT_DEBUG=1")
		}, "/bin/sh", append([]string{"-c", `umount -l /proc && exec "$@"`, "sh", persona(t, args[0])},
			append(args[1:], "/bin/sh", "-c", `[ -e /proc/1 ] && exit 1; ( : & ); trap 'exit 9' USR1; echo ready; read line; read line`)...)...)
		s.expect("ready")
		eventually(t, "the orphan is reaped", func() bool { return len(children(s.pid)) == 1 })
		s.signal(unix.SIGUSR1)
		s.wantCode(9)
		if text := s.stderr.String(); strings.Contains(text, "system call failed") {
			t.Errorf("%s: %s", args[0], text)
		}
	}
}
