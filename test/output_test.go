package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// leaves is the end of a script that leaves a process behind. It exits when that one has
// done something and is ready to be asked to end.
func leaves(t *testing.T, something string) string {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "ready")
	return `rm -f ` + ready + `; ( trap "echo asked to end; exit" TERM; ` + something + `; : >` + ready +
		`; while :; do sleep 0.01; done ) & until test -e ` + ready + `; do sleep 0.01; done; exit 3`
}

// Both streams go into the file, all that was printed, and nowhere else; also what a
// leftover prints when the command has ended.
func TestOutputFile(t *testing.T) {
	inEach(t, realPlaces, func(t *testing.T, at place) {
		file := filepath.Join(t.TempDir(), "log")
		script := `echo out; echo err >&2; printf "\000\377 no end"; ` + leaves(t, "echo left")
		s := launch(t, at, nil, "-q", "--output", file, "--", "sh", "-c", script)
		s.wantCode(3)
		got := readFile(t, file)
		for _, want := range []string{"out\n", "err\n", "\000\377 no end", "left\n", "asked to end\n"} {
			if !strings.Contains(got, want) {
				t.Errorf("the file lacks %q, it has %q", want, got)
			}
		}
		if out := strings.Join(append(s.stdout.rest(), s.stderr.rest()...), "\n"); out != "" {
			t.Errorf("printed %q", out)
		}
		nobodyIsLeft(t)
	})
}

// A file is put aside when it is full; old ones are compressed, and no more kept than
// asked. Every line is in one of them.
func TestOutputRotates(t *testing.T) {
	file := filepath.Join(t.TempDir(), "app.log")
	s := launch(t, asSubreaper, nil, "--output", file, "--output-max-size", "100k", "--output-keep", "50", "--output-compress",
		"--", "sh", "-c", "seq 100000")
	s.wantCode(0)
	files, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*"))
	if err != nil || len(files) < 5 {
		t.Fatalf("files %q, %v", files, err)
	}
	lines := make(map[string]int)
	for _, name := range files {
		text := []byte(readFile(t, name))
		if strings.HasSuffix(name, ".gz") {
			if text, err = exec.Command("gzip", "-dc", name).Output(); err != nil {
				t.Fatal(err)
			}
		}
		if len(text) > 100<<10 {
			t.Errorf("%s has %d bytes", name, len(text))
		}
		for line := range bytes.Lines(text) {
			lines[string(line)]++
		}
	}
	for n := range 100_000 {
		if line := fmt.Sprintf("%d\n", n+1); lines[line] != 1 {
			t.Fatalf("line %q is there %d times", line, lines[line])
		}
	}
}

// Each line on stdout says when, who and where.
func TestOutputPrefix(t *testing.T) {
	s := launch(t, asSubreaper, nil, "--output-prefix", "--", "/bin/sh", "-c", "echo one; echo two >&2")
	s.wantCode(0)
	out := s.stdout.rest()
	line := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S* sh (stdout|stderr): (one|two)$`)
	if len(out) != 2 || !line.MatchString(out[0]) || !line.MatchString(out[1]) {
		t.Errorf("stdout %q", out)
	}
	if err := s.stderr.rest(); len(err) != 0 {
		t.Errorf("stderr %q", err)
	}
}

// The last lines of a command that fails stand in the log and in the report; of one
// that does not, in the report.
func TestOutputTail(t *testing.T) {
	for code := range 2 {
		file, report := filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "report")
		s := launch(t, asSubreaper, nil, "--output", file, "--tail", "2", "--report", report, "--",
			"sh", "-c", fmt.Sprintf("echo first; echo second; echo third; exit %d", code))
		s.wantCode(code)
		var told struct {
			Output struct {
				Lines []struct{ Stream, Text string }
			}
		}
		if err := json.Unmarshal([]byte(readFile(t, report)), &told); err != nil {
			t.Fatal(err)
		}
		texts := ""
		for _, line := range told.Output.Lines {
			texts += line.Stream + " " + line.Text + ";"
		}
		if texts != "stdout second;stdout third;" {
			t.Errorf("the report has %q", texts)
		}
		log := strings.Join(s.stderr.rest(), "\n")
		if got, want := strings.Count(log, "last output"), 2*code; got != want {
			t.Errorf("%d lines in the log, want %d:\n%s", got, want, log)
		}
	}
}

// A full disk, or a reader that sleeps, blocks nobody; what is lost is told.
func TestOutputOfNoUse(t *testing.T) {
	const flood = `i=0; while [ $i -lt 200 ]; do printf "%100000d\n" $i; i=$((i+1)); done; exit 3`
	t.Run("full", func(t *testing.T) {
		s := launch(t, asSubreaper, nil, "--output", "/dev/full", "--", "sh", "-c", flood)
		s.wantCode(3)
		s.stderr.awaitText(t, "output cannot be written")
	})
	for _, option := range []string{"--output-prefix", "--tail=5"} {
		t.Run("asleep, "+option, func(t *testing.T) {
			// Nobody reads stdout until reaper has ended.
			r, w := pipe(t)
			s := launch(t, asSubreaper, func(cmd *exec.Cmd) { cmd.Stdout = w }, option, "--", "sh", "-c", flood)
			w.Close()
			if got := s.wait(); got != reap.ExitStatus(3) {
				t.Errorf("got %v", got)
			}
			r.Close()
			s.stderr.awaitText(t, "output lost")
		})
	}
	nobodyIsLeft(t)
}

// What cannot be opened is said before the command runs.
func TestOutputBadTarget(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{dir, filepath.Join(dir, "missing", "log"), "/dev/null/log"} {
		s := launch(t, asSubreaper, nil, "--output", file, "--", "sh", "-c", "echo ran >&2")
		s.wantCode(125)
		if text := strings.Join(s.stderr.rest(), "\n"); strings.Contains(text, "ran") || !strings.Contains(text, "--output "+file) {
			t.Errorf("stderr %q", text)
		}
	}
}

// The command finds descriptors that block, and no others of reaper's.
func TestOutputDescriptors(t *testing.T) {
	const script = "cd /proc/self/fd && echo *; exec grep flags /proc/self/fdinfo/1"
	file := filepath.Join(t.TempDir(), "log")
	launch(t, asSubreaper, nil, "--output", file, "--", "sh", "-c", script).wantCode(0)
	alone := launchProgram(t, asSubreaper, nil, "sh", "-c", script)
	alone.wantCode(0)
	fds, flags, _ := strings.Cut(readFile(t, file), "flags:")
	if want := alone.stdout.rest()[0] + "\n"; fds != want {
		t.Errorf("descriptors %q, want %q", fds, want)
	}
	var bits int
	if _, err := fmt.Sscanf(strings.TrimSpace(flags), "%o", &bits); err != nil || bits&unix.O_NONBLOCK != 0 {
		t.Errorf("flags %q, %v", flags, err)
	}
}

// With --tail alone the output goes to reaper's own streams, byte for byte: each to its
// own, in any life of the command, and also what a leftover prints.
func TestOutputTailAlone(t *testing.T) {
	script := `cat "$NOISE"; printf "out, no end"; printf "err, no end" >&2; ` + leaves(t, ":")
	noise := filepath.Join(t.TempDir(), "noise")
	line := append(bytes.Repeat([]byte("long "), 1<<20), "\000\377\r\n\n"...) // less than a queue, so that none is lost
	if err := os.WriteFile(noise, line, 0o600); err != nil {
		t.Fatal(err)
	}
	inEach(t, realPlaces, func(t *testing.T, at place) {
		dir := t.TempDir()
		report := filepath.Join(dir, "report")
		streams := func(cmd *exec.Cmd) {
			cmd.Env = append(os.Environ(), "NOISE="+noise)
			cmd.Stdout, cmd.Stderr = create(t, filepath.Join(dir, "stdout")), create(t, filepath.Join(dir, "stderr"))
		}
		s := launch(t, at, streams, "--tail", "2", "--report", report, "--restart", "on-failure:2", "--restart-delay", "1ms",
			"--leaks", "ignore", "--", "sh", "-c", script)
		s.wantCode(3)
		once := string(line) + "out, no endasked to end\n"
		if got := readFile(t, filepath.Join(dir, "stdout")); got != once+once {
			t.Errorf("stdout has %d bytes, want %d; its end is %q", len(got), 2*len(once), got[max(len(got)-100, 0):])
		}
		log := readFile(t, filepath.Join(dir, "stderr"))
		if strings.Count(log, "err, no end") < 2 || !strings.HasPrefix(log, "err, no end") || strings.Count(log, "last output") != 2 {
			t.Errorf("stderr %q", log)
		}
		output, ok := readReport(t, report)["output"].(map[string]any)
		if lines, _ := output["lines"].([]any); !ok || len(lines) != 2 || output["lost_bytes"] != 0.0 {
			t.Errorf("the report has %.200v", output)
		}
		nobodyIsLeft(t)
	})
}

func create(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// One pipe for both streams: no line gets into another, however full the pipe is.
func TestOutputTailShared(t *testing.T) {
	r, w := pipe(t)
	both := func(cmd *exec.Cmd) { cmd.Stdout, cmd.Stderr = w, w }
	const script = `i=0; while [ $i -lt 50000 ]; do echo out; i=$((i+1)); done &
		i=0; while [ $i -lt 50000 ]; do echo err >&2; i=$((i+1)); done; wait`
	s := launch(t, asSubreaper, both, "--tail", "3", "--", "sh", "-c", script)
	w.Close()
	lines := readLines(r)
	s.wantCode(0)
	count := make(map[string]int)
	for _, line := range lines.rest() {
		count[line]++
	}
	if len(count) != 2 || count["out"] != 50_000 || count["err"] != 50_000 {
		t.Errorf("lines %v", count)
	}
}

// A stdout that is closed, or has lost its reader, ends nothing; what the command has
// printed is told all the same. 0 lines are none, and then nothing is copied.
func TestOutputTailNowhere(t *testing.T) {
	const script = "echo one; echo two; exit 3"
	t.Run("closed", func(t *testing.T) {
		s := launchProgram(t, asSubreaper, nil, "sh", "-c", `exec "$0" "$@" >&-`, reaperBin, "--tail", "1", "--", "sh", "-c", script)
		s.wantCode(3)
		s.stderr.awaitText(t, `"text":"two"`)
	})
	t.Run("broken", func(t *testing.T) {
		inPlaces(t, func(t *testing.T, at place) {
			r, w := pipe(t)
			r.Close()
			s := launch(t, at, func(cmd *exec.Cmd) { cmd.Stdout = w }, "--tail", "1", "--", "sh", "-c", script)
			s.wantCode(3)
			s.stderr.awaitText(t, "write stdout: 2 lines (8 bytes) lost: broken pipe")
			s.stderr.awaitText(t, `"text":"two"`)
		})
	})
	t.Run("none", func(t *testing.T) {
		r, w := pipe(t)
		s := launch(t, asSubreaper, func(cmd *exec.Cmd) { cmd.Stdout = w }, "--tail", "0", "--", "readlink", "/proc/self/fd/1")
		w.Close()
		lines := readLines(r)
		s.wantCode(0)
		var stat unix.Stat_t
		if err := unix.Fstat(int(r.Fd()), &stat); err != nil {
			t.Fatal(err)
		}
		if got, want := lines.rest(), fmt.Sprintf("pipe:[%d]", stat.Ino); len(got) != 1 || got[0] != want {
			t.Errorf("stdout is %q, want %s", got, want)
		}
	})
	nobodyIsLeft(t)
}

// On a terminal the command reads from it as ever, and what it prints is shown, although
// it writes to pipes: also where the terminal does not want output from the background.
func TestOutputTailTerminal(t *testing.T) {
	m := startTerminal(t, asSubreaper, nil, "sh", "-c", `stty tostop; exec "$REAPER" --tail 1 -- sh -c '
		trap "echo bye; exit 3" INT
		test -t 0 && test ! -t 1 && test ! -t 2 && printf "name? " && read name && echo "hello $name" >&2
		while :; do sleep 0.01; done'`)
	m.expect("name? ")
	m.typeKeys("you\n")
	m.expect("hello you\n")
	m.typeKeys(keyInterrupt)
	m.expect("bye\n")
	m.expect("last output")
	if got := m.wait(); got != reap.ExitStatus(3) {
		t.Errorf("got %v", got)
	}
}
