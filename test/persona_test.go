package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// A model is a program that reaper stands in for, as it is installed here, and a
// link to reaper of the same name. Each scenario is run with both, and what is
// observed is compared; the differences that docs/personas.md lists are asserted.
type model struct {
	name   string // by which both are called
	binary string // of the model
	link   string // to reaper
}

const (
	tini      = "tini"
	dumbInit  = "dumb-init"
	catatonit = "catatonit"
)

var models = []string{tini, dumbInit, catatonit}

// modelOf finds the model, and makes the link.
func modelOf(t testing.TB, name string) model {
	t.Helper()
	binary, err := exec.LookPath(name)
	if err != nil {
		cannot(t, "%s is not installed, to be compared with", name)
	}
	return model{name, binary, persona(t, name)}
}

// persona is a link to reaper of that name.
func persona(t testing.TB, name string) string {
	t.Helper()
	link := filepath.Join(filepath.Dir(reaperBin), name)
	if err := os.Symlink(reaperBin, link); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	return link
}

// both runs a scenario with the model and with reaper in its place.
func both[T any](t *testing.T, name string, run func(t *testing.T, program string) T) (theirs, ours T) {
	t.Helper()
	m := modelOf(t, name)
	t.Run("model", func(t *testing.T) { theirs = run(t, m.binary) })
	t.Run("reaper", func(t *testing.T) { ours = run(t, m.link) })
	return theirs, ours
}

// launchAs starts a program under the name by which both are called, so that what
// they print has the same name in it.
func launchAs(t testing.TB, at place, program string, env []string, args ...string) *session {
	t.Helper()
	return launchProgram(t, at, func(cmd *exec.Cmd) {
		cmd.Args[0] = filepath.Base(program)
		cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "GORACE=" + os.Getenv("GORACE")}, env...)
	}, program, args...)
}

// outcome is how a call has ended, and on which streams it has said what.
type outcome struct {
	status         reap.Status
	stdout, stderr bool
	said           string
}

var (
	pidInLine = regexp.MustCompile(`\b(tini \(|catatonit:)\d+`)
	// What scripts look for, or a person compares: the line of the C library, the
	// phrases that have a meaning, the version. Help and usage are worded anew.
	telling = regexp.MustCompile(`^(tini|dumb-init|catatonit): (invalid|option|unrecognized)|^\[FATAL tini|^ERROR \(catatonit` +
		`|^\[dumb-init\] .*: |^usage: catatonit|^tini version 0\.19\.0|^tini version [0-9.]+_catatonit|^dumb-init v1\.2\.5`)
	versionTail = regexp.MustCompile(`_reaper-\S+$`)
	catVersion  = regexp.MustCompile(`version [0-9.]+_catatonit`)
)

func outcomeOf(s *session) outcome {
	out := outcome{status: s.wait()}
	stdout, stderr := s.stdout.rest(), s.stderr.rest()
	out.stdout, out.stderr = len(stdout) > 0, len(stderr) > 0
	var said []string
	for _, line := range append(stdout, stderr...) {
		if !telling.MatchString(line) {
			continue
		}
		line = pidInLine.ReplaceAllString(line, "${1}PID")
		line = versionTail.ReplaceAllString(line, "")
		line = catVersion.ReplaceAllString(line, "version N_catatonit")
		if text, _, ok := strings.Cut(line, ", by reaper"); ok {
			line = text
		}
		said = append(said, line)
	}
	out.said = strings.Join(said, "\n")
	return out
}

// Help, version, wrong options, bad values, no command, and what cannot be executed:
// the same streams, codes and lines.
func TestPersonaCommandLine(t *testing.T) {
	dir := t.TempDir()
	script, plain, foreign := filepath.Join(dir, "script"), filepath.Join(dir, "plain"), filepath.Join(dir, "foreign")
	if err := os.WriteFile(foreign, []byte("#!/no/such/interpreter\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, []byte("echo ran \"$@\"; exit 9\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plain, []byte("x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	env := func(entries ...string) []string { return entries }
	for _, c := range []struct {
		name string
		args string
		env  []string
	}{
		{tini, "", nil},
		{tini, "-h", nil},
		{tini, "-l", nil},
		{tini, "--version", nil},
		{tini, "--version x", nil},
		{tini, "--bad", nil},
		{tini, "-x", nil},
		{tini, "-vx -- true", nil},
		{tini, "-vh -x", nil},
		{tini, "-e", nil},
		{tini, "-p", nil},
		{tini, "-s --", nil},
		{tini, "-p BAD -- true", nil},
		{tini, "-p TERM -- true", nil},
		{tini, "-p SIG -- true", nil},
		{tini, "-p 15 -- true", nil},
		{tini, "-p SIGIO -- true", nil},
		{tini, "-s -p SIGKILL -- true", nil},
		{tini, "-spSIGUSR1 -- true", nil},
		{tini, "-e abc -- true", nil},
		{tini, "-e 256 -- true", nil},
		{tini, "-e -1 -- true", nil},
		{tini, "-e 3x -- true", nil},
		{tini, "-s -e ${IFS} -- true", nil},
		{tini, "-s -e ${IFS}3 -- true", nil},
		{tini, "-s -e 3${IFS} -- true", nil},
		{tini, "-s -e -0 -- true", nil},
		{tini, "-s -e 99999999999999999999 -- true", nil},
		{tini, "-s -e ${NONE} -- sh -c exit${IFS}3", nil},
		{tini, "-s ${NONE}", nil},
		{tini, "-s -e +3 -- sh -c exit${IFS}3", nil},
		{tini, "-s -e3 -e 4 -- sh -c exit${IFS}4", nil},
		{tini, "-s -e 143 -- sh -c kill${IFS}$$", nil},
		{tini, "-s -e 127 -- /nonexistent", nil},
		{tini, "-s -- /nonexistent", nil},
		{tini, "-s -- no-such-command", nil},
		{tini, "-s -- " + plain, nil},
		{tini, "-s -- " + dir, nil},
		{tini, "-s -- " + foreign, nil},
		{tini, "-s -- " + plain + "/x", nil},
		{tini, "-s -- " + script + " one", nil},
		{tini, "-s true", nil},
		{tini, "-- true", nil}, // the warning
		{tini, "-- true", env("TINI_SUBREAPER=")},
		{tini, "-- true", env("TINI_SUBREAPER=0")},
		{tini, "-- true", env("TINI_VERBOSITY=0")},
		{tini, "-- true", env("TINI_VERBOSITY=junk")},
		{tini, "-vvv -- true", env("TINI_VERBOSITY=0")},
		{tini, "-s -- true", env("TINI_VERBOSITY=2")},
		{tini, "-s -v -- true", nil},
		{tini, "-s -- /nonexistent", env("TINI_VERBOSITY=0")},
		{tini, "-s -- env", env("TINI_SUBREAPER=1", "TINI_VERBOSITY=1", "TINI_KILL_PROCESS_GROUP=")},

		{dumbInit, "", nil},
		{dumbInit, "-h", nil},
		{dumbInit, "--help", nil},
		{dumbInit, "--he", nil},
		{dumbInit, "-V", nil},
		{dumbInit, "--version", nil},
		{dumbInit, "-V -r bad", nil},
		{dumbInit, "-r bad -V", nil},
		{dumbInit, "--ver", nil},
		{dumbInit, "--vers", nil},
		{dumbInit, "--single true", nil},
		{dumbInit, "--bad true", nil},
		{dumbInit, "--bad=1 true", nil},
		{dumbInit, "-x true", nil},
		{dumbInit, "--help=3", nil},
		{dumbInit, "-r", nil},
		{dumbInit, "--rewrite", nil},
		{dumbInit, "--rewr=15:2 true", nil},
		{dumbInit, "-r 15:2xyz true", nil},
		{dumbInit, "-r 15:0 true", nil},
		{dumbInit, "-r 0:15 true", nil},
		{dumbInit, "-r 32:15 true", nil},
		{dumbInit, "-r 15:32 true", nil},
		{dumbInit, "-r 15:-1 true", nil},
		{dumbInit, "-r 15 true", nil},
		{dumbInit, "-r 15x:2 true", nil},
		{dumbInit, "-r +15:+2 true", nil},
		{dumbInit, "-r 17:2 true", nil},
		{dumbInit, "-r TERM:INT true", nil},
		{dumbInit, "-- sh -c exit${IFS}7", nil},
		{dumbInit, "sh -c kill${IFS}$$", nil},
		{dumbInit, "/nonexistent", nil},
		{dumbInit, "no-such-command", nil},
		{dumbInit, "${NONE}", nil},
		{dumbInit, "- true", nil},
		{dumbInit, "-r ${IFS}15:${IFS}2 true", nil},
		{dumbInit, "-r 15${IFS}:2 true", nil},
		{dumbInit, "-r 15:2:3 true", nil},
		{dumbInit, "-r 15: true", nil},
		{dumbInit, "-r :2 true", nil},
		{dumbInit, "-r 99999999999:2 true", nil},
		{dumbInit, plain, nil},
		{dumbInit, dir, nil},
		{dumbInit, foreign, nil},
		{dumbInit, script + " one", nil},
		{dumbInit, "-v true", nil},
		{dumbInit, "true", env("DUMB_INIT_DEBUG=1")},
		{dumbInit, "true", env("DUMB_INIT_DEBUG=0")},
		{dumbInit, "true", env("DUMB_INIT_DEBUG=yes")},
		{dumbInit, "", env("DUMB_INIT_DEBUG=1")},

		{catatonit, "", nil},
		{catatonit, "--", nil},
		{catatonit, "-h", nil},
		{catatonit, "-L", nil},
		{catatonit, "-V", nil},
		{catatonit, "--version", nil},
		{catatonit, "--vers", nil},
		{catatonit, "--version=1", nil},
		{catatonit, "--bad", nil},
		{catatonit, "-x true", nil},
		{catatonit, "${NONE}", nil},
		{catatonit, "-gx true", nil},
		{catatonit, "-g -- sh -c exit${IFS}7", nil},
		{catatonit, "true", nil},
		{catatonit, "/nonexistent", nil},
		{catatonit, "no-such-command", nil},
		{catatonit, plain, nil},
		{catatonit, dir, nil},
		{catatonit, foreign, nil},
		{catatonit, script + " one", nil},
		{catatonit, "true", env("CATATONIT_LOG=")},
		{catatonit, "-x", env("CATATONIT_LOG=1")},
		{catatonit, "true", env("CATATONIT_DEBUG=")},
	} {
		t.Run(c.name+" "+strings.Join(append(c.env, c.args), " "), func(t *testing.T) {
			theirs, ours := both(t, c.name, func(t *testing.T, program string) outcome {
				return outcomeOf(launchAs(t, asSubreaper, program, c.env, words(c.args)...))
			})
			if theirs != ours {
				t.Errorf("the model: %+v\nreaper:    %+v", theirs, ours)
			}
		})
	}
}

// words splits at blanks; ${IFS} stands for one in a word, ${NONE} for an empty word.
func words(line string) []string {
	list := strings.Fields(line)
	for i := range list {
		list[i] = strings.ReplaceAll(strings.ReplaceAll(list[i], "${IFS}", " "), "${NONE}", "")
	}
	return list
}

// The phrases that scripts look for are there, where the model has them.
func TestPersonaPhrases(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"-s -w -- sh -c", "[WARN  tini (PID)] Reaped zombie process with pid=N"},
		{"-s -vvv -- sh -c", "[DEBUG tini (PID)] Received SIGCHLD"},
		{"-- sh -c", "zombie reaping won't work"},
	} {
		seen := func(t *testing.T, program string) bool {
			s := launchAs(t, asSubreaper, program, nil, append(words(c.args), "(sleep 1000 & echo orphan $!); read line; exit 0")...)
			var pid int
			fmt.Sscan(s.expect("orphan "), &pid)
			adopted := !strings.HasPrefix(c.args, "--")
			eventually(t, "it is an orphan", func() bool {
				p, err := reap.ReadProc(pid)
				return err == nil && (p.PPID == s.pid || !adopted)
			})
			unix.Kill(pid, unix.SIGKILL)
			eventually(t, "the orphan is over", func() bool { return stateOf(pid) == gone || !adopted && stateOf(pid) == 'Z' })
			s.stdin.Close()
			s.wantCode(0)
			text := strings.Join(append(s.stdout.rest(), s.stderr.rest()...), "\n")
			text = regexp.MustCompile(`pid=\d+`).ReplaceAllString(pidInLine.ReplaceAllString(text, "${1}PID"), "pid=N")
			return strings.Contains(text, c.want)
		}
		if theirs, ours := both(t, tini, seen); !theirs || !ours {
			t.Errorf("%s: %q: the model %v, reaper %v", c.args, c.want, theirs, ours)
		}
	}
}

// Every exit code, and the deaths by a signal.
func TestPersonaExitCodes(t *testing.T) {
	for _, name := range models {
		args := []string{"--"}
		if name == tini {
			args = []string{"-s", "--"}
		}
		run := func(t *testing.T, program string) (codes []int) {
			for _, script := range []string{"exit 0", "exit 1", "exit 42", "exit 128", "exit 255", "kill -1 $$", "kill -2 $$", "kill -6 $$", "kill -9 $$", "kill -11 $$", "kill -15 $$", "kill -34 $$"} {
				s := launchProgram(t, asSubreaper, func(cmd *exec.Cmd) { cmd.Dir = t.TempDir() }, program, append(args, "sh", "-c", "ulimit -c 0; "+script)...)
				codes = append(codes, s.wait().Code())
			}
			return codes
		}
		if theirs, ours := both(t, name, run); !slices.Equal(theirs, ours) {
			t.Errorf("%s: the model %v, reaper %v", name, theirs, ours)
		}
	}
}
