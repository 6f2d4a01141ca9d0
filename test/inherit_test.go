package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// look writes what a process finds to a file: its descriptors, environment,
// arguments, directory, file mode mask, limits and signals. It is a shell, and
// leaves its signals as it found them.
const look = `
{
	for fd in /proc/$$/fd/*; do echo "fd ${fd##*/} $(readlink "$fd")"; done
	tr '\0' '\n' </proc/$$/environ
	tr '\0' ' ' </proc/$$/cmdline
	readlink /proc/$$/cwd
	umask
	cat /proc/$$/limits
	cut -d' ' -f19 /proc/$$/stat # nice
	cat /proc/$$/oom_score_adj /proc/$$/timerslack_ns 2>/dev/null
} >"$1" 2>&1
# The shell blocks signals while it starts a program, so that one is asked.
exec grep -E '^(SigBlk|SigIgn|Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:|Cpus_allowed:)' /proc/self/status >>"$1"
`

// seenBy runs look by way of the given words and returns what it wrote.
func seenBy(t *testing.T, prepare func(*exec.Cmd), words ...string) string {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report")
	words = append(words, "sh", "-c", look, "look", report)
	s := launchProgram(t, asSubreaper, prepare, words[0], words[1:]...)
	s.wantCode(0)
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "fd ") && strings.Contains(line, "pipe:") {
			line = strings.SplitN(line, "pipe:", 2)[0] + "a pipe\n"
		}
		kept = append(kept, strings.ReplaceAll(line, report, "REPORT"))
	}
	return strings.Join(kept, "")
}

// A service manager that has started reaper for a socket has named reaper; the command
// is to take the socket, and finds its own pid, and no number of reaper's pidfd.
func TestListenPID(t *testing.T) {
	needExact(t)
	s := launchProgram(t, asSubreaper, nil, "sh", "-c", `LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_PIDFDID=7 exec "$@"`, "sh",
		reaperBin, "--", "sh", "-c", `echo "$LISTEN_FDS$LISTEN_PIDFDID $LISTEN_PID $$"`)
	s.wantCode(0)
	var fds, listen, own int
	if _, err := fmt.Sscan(strings.Join(s.stdout.rest(), " "), &fds, &listen, &own); err != nil || fds != 1 || listen != own {
		t.Errorf("%s, %v", s.stdout, err)
	}
}

// What the command finds is what reaper was given: the same program is started
// in the same way without and with reaper in between, and has to see the same
// (pitfalls 4, 9, 10, 61).
func TestCommandInherits(t *testing.T) {
	needExact(t)
	all := func(sigs ...reap.SignalSet) string { return fmt.Sprint(uint64(sigs[0])) }
	catchable := ^reap.Signals(unix.SIGKILL, unix.SIGSTOP)
	for _, c := range []struct {
		name  string
		words []string
		prep  func(*exec.Cmd)
	}{
		{name: "nothing special"},
		{name: "blocked TERM and USR2", words: []string{"-block", all(reap.Signals(unix.SIGTERM, unix.SIGUSR2))}},
		{name: "blocked all but CHLD", words: []string{"-block", all(catchable &^ reap.Signals(unix.SIGCHLD))}},
		{name: "ignored PIPE QUIT TERM USR1", words: []string{"-ignore", all(reap.Signals(unix.SIGPIPE, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1))}},
		{name: "ignored HUP INT", words: []string{"-ignore", all(reap.Signals(unix.SIGHUP, unix.SIGINT))}},
		{name: "ignored TSTP TTIN TTOU CONT WINCH", words: []string{"-ignore", all(reap.Signals(unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGCONT, unix.SIGWINCH))}},
		{name: "ignored real-time", words: []string{"-ignore", all(reap.Signals(32, 33, 34, 35, 64))}},
		{name: "ignored all but CHLD", words: []string{"-ignore", all(catchable &^ reap.Signals(unix.SIGCHLD))}},
		{name: "stdin closed", words: []string{"-close", "0"}},
		{name: "stdout and stderr closed", words: []string{"-close", "12"}},
		{name: "all closed", words: []string{"-close", "012"}},
		{name: "few files", words: []string{"-nofile", "77"}},
		{name: "a variable twice", words: []string{"-env", "TWICE=1,TWICE=2"}},
		{name: "more descriptors", prep: func(cmd *exec.Cmd) {
			for range 5 {
				null, err := os.Open(os.DevNull)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { null.Close() })
				cmd.ExtraFiles = append(cmd.ExtraFiles, null)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			direct := append([]string{probeBin, "exec"}, c.words...)
			under := append(append([]string{}, direct...), reaperBin, "--")
			want, got := seenBy(t, c.prep, direct...), seenBy(t, c.prep, under...)
			if got != want {
				t.Errorf("under reaper the command finds\n%s\nwithout it\n%s", diff(got, want), diff(want, got))
			}
		})
	}
}

// diff is the lines of a that b has not.
func diff(a, b string) string {
	var only []string
	for line := range strings.Lines(a) {
		if !strings.Contains(b, line) {
			only = append(only, line)
		}
	}
	return strings.Join(only, "")
}

// A reaper that was started with SIGCHLD ignored would never see an exit, if it
// did not take the signal; and the command finds it ignored as reaper did
// (pitfall 6; tini and catatonit hang).
func TestIgnoredSIGCHLD(t *testing.T) {
	ignored := fmt.Sprint(uint64(reap.Signals(unix.SIGCHLD)))
	inPlaces(t, func(t *testing.T, at place) {
		for range 20 {
			launchProgram(t, at, nil, probeBin, "exec", "-ignore", ignored, reaperBin, "--", "sh", "-c", "exit 41").wantCode(41)
		}
		s := launchProgram(t, at, nil, probeBin, "exec", "-ignore", ignored, reaperBin, "--", "grep", "SigIgn", "/proc/self/status")
		s.wantCode(0)
		if status := strings.Join(s.stdout.rest(), "\n"); exact() && !signalField(t, status, "SigIgn").Has(unix.SIGCHLD) {
			t.Errorf("the command does not ignore SIGCHLD: %s", status)
		}
	})
}

// A signal that was blocked when reaper started is forwarded all the same.
func TestBlockedSignalIsForwarded(t *testing.T) {
	needExact(t)
	blocked := fmt.Sprint(uint64(reap.Signals(unix.SIGUSR1, unix.SIGTERM)))
	s := launchProgram(t, asSubreaper, nil, probeBin, "exec", "-block", blocked, reaperBin, "--",
		probeBin, "exec", "-block", "0", probeBin, "signals")
	s.expect("ready")
	s.signal(unix.SIGUSR1)
	s.expect("got 10")
}

// A plain build hands on what Go keeps: HUP and INT stay ignored, and the soft
// limit of open files is what it was.
func TestPlainBuildInherits(t *testing.T) {
	ignored := fmt.Sprint(uint64(reap.Signals(unix.SIGHUP, unix.SIGINT)))
	words := []string{probeBin, "exec", "-nofile", "77", "-ignore", ignored}
	want := seenBy(t, nil, words...)
	got := seenBy(t, nil, append(words, plainBin, "--")...)
	limit := func(text string) string {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "Max open files") {
				return line
			}
		}
		return ""
	}
	if limit(got) != limit(want) {
		t.Errorf("got %q, want %q", limit(got), limit(want))
	}
}

// PATH, the directory and the environment that reaper was given are looked at
// when the command is found, not its own (pitfall 61).
func TestCommandIsFoundFromHere(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "hello")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho hello from \"$0\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, name, want string }{
		{"PATH=/nonexistent:" + dir, "hello", dir + "/hello"},
		{"PATH=", "hello", "hello"},
		{"PATH=/bin:.", "hello", "./hello"},
		{"PATH=/bin", "./hello", "./hello"},
	} {
		s := launch(t, asSubreaper, func(cmd *exec.Cmd) {
			cmd.Dir, cmd.Env = dir, []string{c.path}
		}, "--", c.name)
		s.wantCode(0)
		if got := s.expect("hello from "); got != c.want {
			t.Errorf("%s %s: ran as %q, want %q", c.path, c.name, got, c.want)
		}
	}
	// The directory may be gone.
	gone := filepath.Join(dir, "gone")
	if err := os.Mkdir(gone, 0o755); err != nil {
		t.Fatal(err)
	}
	s := launchProgram(t, asSubreaper, func(cmd *exec.Cmd) { cmd.Dir = gone }, "/bin/sh", "-c", `rmdir "$PWD"; exec "$@"`, "sh", reaperBin, "--", "/bin/echo", "still here")
	s.wantCode(0)
	s.expect("still here")
}
