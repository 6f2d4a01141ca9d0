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
			for _, p := range descendants(os.Getpid()) {
				if p.Name == "probe" {
					eventually(t, "it has told all", func() bool { return asleep(p.PID) })
				}
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
