package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
)

// asReaper has the test binary be reaper itself. No test may run a command in
// its own process: it would reap the children of the other tests.
const asReaper = "BE_REAPER"

// raceOptions spares the second for which a program with the race detector
// otherwise sleeps at its end.
const raceOptions = "GORACE"

// coverDirectory is where a program that counts its coverage leaves it at its end.
const coverDirectory = "GOCOVERDIR="

func TestMain(m *testing.M) {
	if os.Getenv(asReaper) != "" {
		for _, name := range []string{asReaper, raceOptions} {
			if err := os.Unsetenv(name); err != nil {
				panic(err)
			}
		}
		main()
	}
	os.Exit(m.Run())
}

// fakeProcess is a program call with streams that can be read. It can do
// everything but run a command.
func fakeProcess(args ...string) (p *process, stdout, stderr *bytes.Buffer) {
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	return &process{args: append([]string{"reaper"}, args...), stdout: stdout, stderr: stderr}, stdout, stderr
}

// patience is how long a test waits for what happens at once on an idle machine.
const patience = 60 * time.Second

// ran is a call of reaper that has ended.
type ran struct {
	stdout, stderr string
	status         reap.Status
}

// runReaper calls reaper in a process of its own.
func runReaper(t *testing.T, env []string, args ...string) ran {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), asReaper + "=1", raceOptions + "=" + os.Getenv(raceOptions) + " atexit_sleep_ms=0",
	}, env...)
	if testing.CoverMode() != "" {
		dir := flag.Lookup("test.gocoverdir").Value.String()
		if dir == "" {
			dir = t.TempDir()
		}
		cmd.Env = append(cmd.Env, coverDirectory+dir)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hung := time.AfterFunc(patience, func() { _ = cmd.Process.Signal(syscall.SIGABRT) }) // it tells where it hangs
	err = cmd.Wait()
	if !hung.Stop() {
		t.Errorf("%q hung", args)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ran{stdout.String(), stderr.String(), reap.Status(cmd.ProcessState.Sys().(syscall.WaitStatus))}
}

func TestHelpAndVersionGoToStdout(t *testing.T) {
	for _, args := range [][]string{
		{"--help"},
		{"-h"},
		{"help"},
		{"help", ""},
		{"run", "--help"},
		{"run", "-h", "cmd"},
		{"-g", "run", "-h"},
		{"-h", "run", "cmd"},
		{"-h", "cmd"},
		{"--help", "--version"},
		{"-g", "help"},
	} {
		p, stdout, stderr := fakeProcess(args...)
		if code, raise := p.main(); code != 0 || raise != 0 || stdout.String() != usage || stderr.Len() != 0 {
			t.Errorf("%q: code %d, raise %d, stderr %q, stdout\n%s", args, code, raise, stderr, stdout)
		}
	}
	for _, args := range [][]string{
		{"--version"}, {"version"}, {"run", "--version"}, {"--version", "run", "cmd"}, {"-g", "version"}, {"--version", "cmd"},
	} {
		p, stdout, stderr := fakeProcess(args...)
		if code, raise := p.main(); code != 0 || raise != 0 || !strings.HasPrefix(stdout.String(), "reaper ") || stderr.Len() != 0 {
			t.Errorf("%q: code %d, raise %d, stderr %q, stdout %q", args, code, raise, stderr, stdout)
		}
	}
}

// execve takes an empty argument vector: then there is not even a name.
func TestNoArguments(t *testing.T) {
	p, _, stderr := fakeProcess()
	p.args = nil
	if code, _ := p.main(); code != exitFailed || !strings.HasPrefix(stderr.String(), "reaper: no command\n") {
		t.Errorf("code %d, stderr %q", code, stderr)
	}
}

// refusing is a stream that takes nothing.
type refusing struct{}

func (refusing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestStdoutRefuses(t *testing.T) {
	p, _, stderr := fakeProcess("--help")
	p.stdout = refusing{}
	if code, _ := p.main(); code != exitFailed || stderr.String() != "reaper: "+io.ErrClosedPipe.Error()+"\n" {
		t.Errorf("code %d, stderr %q", code, stderr)
	}
}

// The command runs the same whatever form the call has. It prints its arguments
// in brackets.
func TestRunForms(t *testing.T) {
	show := []string{"sh", "-c", `for a; do printf "[%s]" "$a"; done`, "show", "-v", "--", "a b", "", "--help"}
	const shown = "[-v][--][a b][][--help]"
	for _, before := range []string{
		"", "--", "run", "run --", "-g", "-g --", "-g run", "run -g", "-g run -g --", "--stop-timeout 5 run --stop-timeout=6",
	} {
		got := runReaper(t, nil, append(strings.Fields(before), show...)...)
		if got != (ran{shown, "", reap.ExitStatus(0)}) {
			t.Errorf("%q: %+v", before, got)
		}
	}
	// -v before or after run speaks.
	for _, before := range []string{"-v", "-v run", "run -v", "-g run -v"} {
		got := runReaper(t, nil, append(strings.Fields(before), show...)...)
		if got.stdout != shown || got.status != 0 || !strings.Contains(got.stderr, `"command started"`) {
			t.Errorf("%q: %+v", before, got)
		}
	}
}

// A command that has the name of a subcommand is run after --, and after run.
func TestCommandNamedLikeSubcommand(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"run", "help", "version"} {
		writeFile(t, filepath.Join(dir, name), "#!/bin/sh\necho the command "+name+" \"$@\"\n", 0o755)
		for _, args := range [][]string{{"--", name, "x"}, {"-g", "--", name, "x"}, {"run", name, "x"}, {"run", "--", name, "x"}} {
			got := runReaper(t, []string{"PATH=" + dir}, args...)
			if got != (ran{"the command " + name + " x\n", "", 0}) {
				t.Errorf("%q: %+v", args, got)
			}
		}
	}
}

func writeFile(t *testing.T, file, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// The command's end is what reaper ends with.
func TestRunEnds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plain")
	writeFile(t, file, "#!/bin/sh\n", 0o644)
	const killed = "kill -TERM $$"
	for _, test := range []struct {
		env    string
		args   []string
		stderr string
		status reap.Status
	}{
		{"", []string{"sh", "-c", "exit 0"}, "", reap.ExitStatus(0)},
		{"", []string{"sh", "-c", "exit 3"}, "", reap.ExitStatus(3)},
		{"", []string{"sh", "-c", "exit 255"}, "", reap.ExitStatus(255)},
		{"", []string{"sh", "-c", killed}, "", reap.ExitStatus(143)},
		{"", []string{"--raise", "sh", "-c", killed}, "", reap.SignalStatus(syscall.SIGTERM)},
		{"", []string{"--raise", "sh", "-c", "exit 143"}, "", reap.ExitStatus(143)},
		{"", []string{"--ok-exit", "TERM", "sh", "-c", killed}, "", reap.ExitStatus(0)},
		{"", []string{"--ok-exit", "TERM", "sh", "-c", "exit 143"}, "", reap.ExitStatus(143)},
		{"", []string{"--ok-exit=3", "sh", "-c", "exit 3"}, "", reap.ExitStatus(0)},
		{"REAPER_OK_EXIT=3", []string{"sh", "-c", "exit 3"}, "", reap.ExitStatus(0)},
		{"REAPER_OK_EXIT=3", []string{"--ok-exit=4", "sh", "-c", "exit 3"}, "", reap.ExitStatus(3)},
		{"REAPER_RAISE=1", []string{"sh", "-c", killed}, "", reap.SignalStatus(syscall.SIGTERM)},
		{"", []string{"no-such-command"}, "reaper: cannot run no-such-command: not found in PATH\n", reap.ExitStatus(127)},
		{"", []string{"/no/such command"}, "reaper: cannot run \"/no/such command\": no such file\n", reap.ExitStatus(127)},
		{"", []string{file}, "reaper: cannot run " + file + ": it is not executable; chmod +x is missing\n", reap.ExitStatus(126)},
		{"", []string{"/"}, "reaper: cannot run /: it is a directory\n", reap.ExitStatus(126)},
	} {
		var env []string
		if test.env != "" {
			env = append(env, test.env)
		}
		if got := runReaper(t, env, test.args...); got != (ran{"", test.stderr, test.status}) {
			t.Errorf("%q with %q: %+v", test.args, test.env, got)
		}
	}
}

// What the command sees of the environment: order and all, but not what was
// meant for reaper.
func TestEnvironmentOfCommand(t *testing.T) {
	env := []string{"B=2", "REAPER_GROUP=true", "A=1", "REAPER_PORT=80"}
	for args, want := range map[string]string{
		"env":            "B=2\nA=1\nREAPER_PORT=80\n",
		"--keep-env env": "B=2\nREAPER_GROUP=true\nA=1\nREAPER_PORT=80\n",
	} {
		got := runReaper(t, env, strings.Fields(args)...)
		var seen strings.Builder
		for line := range strings.Lines(got.stdout) {
			if !strings.HasPrefix(line, "PATH=") && !strings.HasPrefix(line, coverDirectory) {
				seen.WriteString(line)
			}
		}
		if seen.String() != want || got.stderr != "" || got.status != 0 {
			t.Errorf("%s: %+v", args, got)
		}
	}
}
