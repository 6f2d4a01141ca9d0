package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The table is what ps prints, to the byte.
func TestTableIsThatOfPs(t *testing.T) {
	ps, err := exec.LookPath("ps")
	if err != nil {
		cannot(t, "no ps: %v", err)
	}
	if out, err := exec.Command(ps, "--version").CombinedOutput(); err != nil || !strings.Contains(string(out), "procps") {
		cannot(t, "ps is not that of procps")
	}
	sleeper := start(t, "sleep", "1000")
	leader := start(t, "setsid", "sleep", "1000")
	nice := start(t, "nice", "-n", "5", "sleep", "1000")
	zombie := start(t, "true")

	pids := []int{os.Getpid(), sleeper, leader, nice, zombie}
	slices.Sort(pids) // as ps does; the numbers may have begun again
	// This process has several threads and changes its state, and the others
	// have to get to where they stay: the two are compared until they agree.
	const patience = 30 * time.Second
	leading := regexp.MustCompile("S[N<]?s") // these tests may be nice themselves
	deadline := time.Now().Add(patience)
	for {
		ours, theirs := tableOf(pids), psTable(t, ps, pids)
		settled := strings.Contains(ours, "Z") && strings.Count(ours, "] <defunct>") == 1 &&
			strings.Count(ours, "sleep 1000") == 3 && leading.MatchString(ours) && strings.Contains(ours, "SN")
		if settled && ours == theirs {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got\n%swant\n%s", ours, theirs)
		}
	}
}

// cannot skips a test that this machine has no means for, but never in CI.
func cannot(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("may not be skipped in CI: "+format, args...)
	}
	t.Skipf(format, args...)
}

func tableOf(pids []int) string {
	var rows []row
	for _, pid := range pids {
		if r, err := readRow(pid); err == nil {
			rows = append(rows, r)
		}
	}
	return format(rows)
}

func psTable(t *testing.T, ps string, pids []int) string {
	t.Helper()
	list := strings.Trim(fmt.Sprint(pids), "[]")
	cmd := exec.Command(ps, "-o", "stat,ppid,pid,cmd", "-p", strings.ReplaceAll(list, " ", ","))
	cmd.Env = append(os.Environ(), fmt.Sprintf("COLUMNS=%d", columns))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// start starts a program and waits for it only when the test ends.
func start(t *testing.T, argv ...string) (pid int) {
	t.Helper()
	path, err := exec.LookPath(argv[0])
	if err != nil {
		cannot(t, "no %s: %v", argv[0], err)
	}
	p, err := os.StartProcess(path, argv, &os.ProcAttr{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Kill() // it may have ended
		if _, err := p.Wait(); err != nil {
			t.Error(err)
		}
	})
	return p.Pid
}

// The letters stand in the order of ps, and a line that is too wide is moved as
// little as it must be.
func TestFormatLine(t *testing.T) {
	for _, c := range []struct {
		width                int
		stat, ppid, pid, cmd string
		want                 string
	}{
		{5, "STAT", "PPID", "PID", "CMD", "STAT  PPID   PID CMD"},
		{7, "STAT", "PPID", "PID", "CMD", "STAT    PPID     PID CMD"},
		{5, "S", "1", "42", "cat", "S        1    42 cat"},
		{5, "SNsl+", "21921", "21922", "python3", "SNsl+ 21921 21922 python3"},
		{5, "SNsl+", "1", "21922", "python3", "SNsl+    1 21922 python3"},
		{5, "S", "1", "42", strings.Repeat("é", 100), "S        1    42 " + strings.Repeat("é", columns-17)},
	} {
		if got := formatLine(c.width, c.stat, c.ppid, c.pid, c.cmd); got != c.want+"\n" {
			t.Errorf("got  %q\nwant %q", got, c.want+"\n")
		}
	}
}

// No line of a paragraph is wider than a terminal.
func TestSayBreaksLines(t *testing.T) {
	var out strings.Builder
	s := show{out: &out}
	s.say("%s", strings.Repeat("twelve chars ", 40))
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n\n"), "\n")
	if len(lines) < 6 {
		t.Errorf("it was not broken: %q", out.String())
	}
	for _, line := range lines {
		if len(line) >= columns || strings.TrimSpace(line) != line {
			t.Errorf("bad line %q", line)
		}
	}
}

func TestParseFieldsRefusesNonsense(t *testing.T) {
	for _, line := range []string{"", "1 (x) S", "1 (x) S 1 1 1 0 tty 0", "no parenthesis"} {
		if f, err := parseFields([]byte(line)); err == nil {
			t.Errorf("%q: got %+v", line, f)
		}
	}
	// A name may hold anything, so the last parenthesis is the one.
	line := "7 (a) S 9 () S 1 7 7 34816 77 0 0 0 0 0 0 0 0 0 20 5 3 0 100"
	f, err := parseFields([]byte(line))
	if want := (fields{foreground: 77, nice: 5, threads: 3}); err != nil || f != want {
		t.Errorf("got %+v, %v, want %+v", f, err, want)
	}
}
