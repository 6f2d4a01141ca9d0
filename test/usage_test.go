package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What is called wrongly, or cannot be started, has one line that says what is
// wrong, perhaps one that says what to do, and a code of its own.
func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plain := file("plain", "#!/bin/sh\n", 0o644)
	broken := file("broken", "#!/no/such/interpreter -x\n", 0o755)
	garbage := file("garbage", "\x7fELF\x00\x01\x02", 0o755)
	for _, c := range []struct {
		args  []string
		env   string
		code  int
		lines int
		want  string // in the first line
	}{
		{nil, "", 125, 2, "no command"},
		{[]string{"-v", "--"}, "", 125, 2, "no command"},
		{[]string{""}, "", 125, 2, "empty word"},
		{[]string{"--", ""}, "", 125, 2, "empty word"},
		{[]string{"--frob", "true"}, "", 125, 2, "unknown option --frob"},
		{[]string{"-Z", "true"}, "", 125, 2, "unknown option -Z"},
		{[]string{"--stop-timeout"}, "", 125, 2, "--stop-timeout needs a value"},
		{[]string{"-r"}, "", 125, 2, "--rewrite needs a value"},
		{[]string{"--stop-timeout", "soon", "true"}, "", 125, 2, "--stop-timeout soon: not a duration"},
		{[]string{"--stop-delay", "-1s", "true"}, "", 125, 2, "--stop-delay -1s: a duration cannot be negative"},
		{[]string{"--stop-signal", "SIGFOO", "true"}, "", 125, 2, "--stop-signal SIGFOO: not a signal"},
		{[]string{"-p", "0", "true"}, "", 125, 2, "--parent-death 0: not a signal"},
		{[]string{"-q", "-v", "true"}, "", 125, 2, "--quiet and --verbose contradict each other"},
		{[]string{"--stop-signal", "KILL", "--stop-timeout", "1", "true"}, "", 125, 2, "--stop-timeout"},
		{[]string{"-r", "TERM:INT", "-r", "TERM:QUIT", "true"}, "", 125, 2, "TERM is rewritten twice"},
		{[]string{"-r", "KILL:TERM", "true"}, "", 125, 2, "KILL cannot be caught"},
		{[]string{"--ok-exit", "256", "true"}, "", 125, 2, "--ok-exit 256: "},
		{[]string{"--log-format", "xml", "true"}, "", 125, 2, "--log-format xml: "},
		{[]string{"true"}, "REAPER_STOP_DELAY=x", 125, 2, "REAPER_STOP_DELAY=x: not a duration"},
		{[]string{"help", "me"}, "", 125, 2, "no help on me"},
		{[]string{"no-such-command"}, "", 127, 1, "cannot run no-such-command: not found in PATH"},
		{[]string{"./no-such-file"}, "", 127, 1, "cannot run ./no-such-file: no such file"},
		{[]string{plain + "/x"}, "", 127, 1, "cannot run " + plain + "/x: not a directory"},
		{[]string{dir}, "", 126, 1, "cannot run " + dir + ": it is a directory"},
		{[]string{plain}, "", 126, 1, "cannot run " + plain + ": it is not executable"},
		{[]string{"plain"}, "PATH=/bin:" + dir, 126, 1, "cannot run plain (" + plain + "): it is not executable"},
		{[]string{broken}, "", 126, 1, "cannot run " + broken + ": its interpreter /no/such/interpreter is not there"},
		{[]string{"broken"}, "PATH=" + dir, 126, 1, "cannot run broken (" + broken + "): its interpreter /no/such/interpreter is not there"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			s := launch(t, asSubreaper, func(cmd *exec.Cmd) {
				cmd.Env = []string{"PATH=" + os.Getenv("PATH"), c.env}
				if strings.HasPrefix(c.env, "PATH=") {
					cmd.Env = []string{c.env}
				}
			}, c.args...)
			s.wantCode(c.code)
			got := s.stderr.rest()
			if len(got) != c.lines || !strings.HasPrefix(got[0], "reaper: ") || !strings.Contains(got[0], c.want) {
				t.Errorf("got %q, want %d lines, in the first of them %q", got, c.lines, c.want)
			}
			if out := s.stdout.rest(); len(out) > 0 {
				t.Errorf("stdout: %q", out)
			}
		})
	}
	// The kernel does not know its format, so the shell gets it, and cannot.
	s := launch(t, asSubreaper, nil, "--", garbage)
	if got := s.wait(); got.Code() != 126 && got.Code() != 127 && got.Code() != 2 {
		t.Errorf("garbage: %v", got)
	}
}

// A script without a first line that names its interpreter is run by /bin/sh,
// with its arguments (pitfall 8).
func TestScriptWithoutInterpreter(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("echo \"$0\" \"$@\"\nexit 9\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := launch(t, asSubreaper, nil, "--", script, "one", "two words")
	s.wantCode(9)
	s.expect(script + " one two words")
}

// The codes of a failed start can be mapped as well, last of all.
func TestOkExitOfFailedStart(t *testing.T) {
	launch(t, asSubreaper, nil, "--ok-exit", "127", "--", "no-such-command").wantCode(0)
}

// Help and version go to stdout.
func TestHelpAndVersion(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--help"}, "reaper runs one command"},
		{[]string{"help"}, "reaper runs one command"},
		{[]string{"help", "exit-codes"}, "Exit codes"},
		{[]string{"help", "environment"}, "Environment"},
		{[]string{"help", "signals"}, "Signals"},
		{[]string{"version"}, "reaper "},
		{[]string{"--version"}, "reaper "},
		{[]string{"run", "--", "echo", "version"}, "version"},
		{[]string{"--", "echo", "help"}, "help"},
	} {
		s := launch(t, asSubreaper, nil, c.args...)
		s.wantCode(0)
		s.expect(c.want)
		if err := s.stderr.rest(); len(err) > 0 {
			t.Errorf("%v: stderr: %q", c.args, err)
		}
	}
}
