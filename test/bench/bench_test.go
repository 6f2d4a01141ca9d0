package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// patient is how long a test waits for an event before it gives up.
const patient = time.Minute

// asBench has the test program be the bench.
const asBench = "BENCH_OF_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(asBench) != "" {
		main()
	}
	// What the bench loses comes to this process.
	if err := reap.BecomeSubreaper(); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// startBench starts the bench in a place, with sizes that are as small as can be.
func startBench(t *testing.T, place string, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	if _, err := exec.LookPath("cc"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("may not be skipped in CI: there is no C compiler")
		}
		t.Skip("there is no C compiler")
	}
	program := filepath.Join(t.TempDir(), "reaper")
	if out, err := exec.Command("make", "-s", "-C", "../..", "build", "BIN="+program).CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	small := strings.Fields("-rounds 1 -orphans 20 -idle 10 -growth 5,10 -signals 20 -lone 2 -exits 1 -starts 2 -leftovers 10 -rest 1s")
	cmd = exec.Command(os.Args[0], append(append(small, "-reaper", program, "-place", place), args...)...)
	cmd.Env = append(os.Environ(), asBench+"=1", "TMPDIR="+t.TempDir())
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, stdout, stderr
}

// eventually waits until something holds; the kernel tells nobody of it.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patient); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// wantNobody fails if there are processes below this one, or files in the directory of
// the bench.
func wantNobody(t *testing.T, cmd *exec.Cmd, filesToo bool) {
	t.Helper()
	eventually(t, "nobody is left", func() bool {
		exited, err := reap.ExitedChildren()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range exited {
			reap.Reap(p.PID)
		}
		left, err := reap.Descendants()
		return err == nil && len(left)+len(exited) == 0
	})
	for _, kv := range cmd.Env {
		if dir, ok := strings.CutPrefix(kv, "TMPDIR="); ok && filesToo {
			if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
				t.Errorf("files are left: %v, %v", files, err)
			}
		}
	}
}

func inPlaces(t *testing.T, run func(t *testing.T, place string)) {
	t.Helper()
	for _, place := range []string{"subreaper", "pid1"} {
		t.Run(place, func(t *testing.T) { run(t, place) })
	}
}

// Each scenario measures reaper and what it is compared with, and nothing stays.
func TestBench(t *testing.T) {
	inPlaces(t, func(t *testing.T, place string) {
		file := filepath.Join(t.TempDir(), "bench.json")
		document := filepath.Join(t.TempDir(), "performance.md")
		if err := os.WriteFile(document, []byte(updateBegin+updateEnd), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd, stdout, stderr := startBench(t, place, "-json", file, "-update", document, "-inits", "tini,s6-svscan,minimal Go")
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v\n%s\n%s", err, stdout, stderr)
		}
		wantNobody(t, cmd, true)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var got report
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		told := make(map[string]bool)
		for _, row := range got.Rows {
			told[row.Scenario] = true
			base := row.Base
			if base == tini { // it may not be there
				base = minimal
			}
			for _, name := range []string{reaper, base} {
				if len(row.Figures[name].Rounds) != 1 {
					t.Errorf("%s of %s has the figures %+v", row.Key, name, row.Figures[name])
				}
			}
		}
		for _, name := range scenarioNames() {
			if !told[name] {
				t.Errorf("%s has not been measured", name)
			}
		}
		if updated, err := os.ReadFile(document); err != nil || !strings.Contains(string(updated), stdout.String()) {
			t.Errorf("the document holds %s, %v", updated, err)
		}
	})
}

// Nothing stays of a run that ends too early, whatever it was at.
func TestBenchEndsEarly(t *testing.T) {
	inPlaces(t, func(t *testing.T, place string) {
		for _, c := range []struct {
			name  string
			args  string
			until int // as many processes below the bench
			sig   syscall.Signal
			code  int
		}{
			{"interrupted while it builds", "-scenarios storm", 1, unix.SIGINT, exitInterrupted},
			{"interrupted in a storm", "-scenarios idle -orphans 1000000 -idle 100", 102, unix.SIGINT, exitInterrupted},
			{"ended at rest", "-scenarios rest -rest 1h", 6, unix.SIGTERM, exitInterrupted},
			{"killed with idle orphans", "-scenarios idle -orphans 1000 -idle 100", 102, unix.SIGKILL, -1},
		} {
			t.Run(c.name, func(t *testing.T) {
				cmd, stdout, stderr := startBench(t, place, strings.Fields(c.args)...)
				eventually(t, "the bench is at it", func() bool {
					procs, err := reap.Descendants()
					return err == nil && len(procs)-1 >= c.until
				})
				if err := cmd.Process.Signal(c.sig); err != nil {
					t.Fatal(err)
				}
				_ = cmd.Wait() // the code tells
				if code := cmd.ProcessState.ExitCode(); code != c.code || stdout.Len() > 0 {
					t.Errorf("code %d, want %d\n%s\n%s", code, c.code, stdout, stderr)
				}
				wantNobody(t, cmd, c.sig != unix.SIGKILL)
			})
		}
	})
}

// What cannot be measured is a failure that says why.
func TestBenchFails(t *testing.T) {
	cmd, _, stderr := startBench(t, "subreaper", "-reaper", "/nowhere/reaper")
	_ = cmd.Wait() // the code tells
	if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(stderr.String(), "make build") {
		t.Errorf("code %d: %s", code, stderr)
	}
	cmd, stdout, stderr := startBench(t, "subreaper", "-reaper", "/bin/false", "-inits", minimal, "-scenarios", "memory")
	_ = cmd.Wait() // the code tells
	if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(stdout.String(), "Not measured") {
		t.Errorf("code %d: %s\n%s", code, stdout, stderr)
	}
	wantNobody(t, cmd, true)
}
