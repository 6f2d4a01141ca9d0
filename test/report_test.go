package test

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// reportOf runs a command with a report to a file and reads that.
func reportOf(t *testing.T, at place, options []string, command ...string) map[string]any {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	s := launch(t, at, nil, append(append(options, "--report", file, "--"), command...)...)
	s.stdin.Close()
	s.wait()
	return readReport(t, file)
}

func readReport(t *testing.T, file string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report map[string]any
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return report
}

// want compares some of the fields.
func want(t *testing.T, got map[string]any, fields map[string]any) {
	t.Helper()
	for name, value := range fields {
		if got[name] != value {
			t.Errorf("%s is %v, want %v; all of it: %v", name, got[name], value, got)
		}
	}
}

// The report tells how it ended, whichever way that was.
func TestReport(t *testing.T) {
	for _, test := range []struct {
		name    string
		options []string
		command []string
		want    map[string]any
	}{
		{"exit", nil, []string{"sh", "-c", "exit 3"}, map[string]any{
			"exit": 3.0, "ended": "exit", "code": 3.0, "signal": nil, "restarts": 0.0, "orphans_adopted": 0.0,
			"reaped": 1.0, "forced_kills": 0.0, "leaks": 0.0, "leftover_count": 0.0, "complete": true,
		}},
		{"signal", nil, []string{"sh", "-c", "kill -9 $$"}, map[string]any{
			"exit": 137.0, "ended": "signal", "code": nil, "signal": "KILL",
		}},
		{"made OK", []string{"--ok-exit=3"}, []string{"sh", "-c", "exit 3"}, map[string]any{
			"exit": 0.0, "ended": "exit", "code": 3.0,
		}},
		{"time limit", []string{"--time-limit=0.1"}, []string{"sleep", "1000"}, map[string]any{
			"exit": 124.0, "ended": "time limit", "signal": "TERM",
		}},
		{"killed", []string{"--time-limit=1", "--grace=0.1"}, []string{"sh", "-c", "trap '' TERM; while :; do sleep 1000; done"}, map[string]any{
			"exit": 124.0, "ended": "time limit", "signal": "KILL", "forced_kills": 2.0,
		}},
		{"not found", nil, []string{"/no/such"}, map[string]any{
			"exit": 127.0, "ended": "not started", "error": "exec /no/such: no such file or directory", "pid": nil,
		}},
		{"orphans", nil, []string{"sh", "-c", "( : & ); ( : & ); sleep 0.2"}, map[string]any{
			"orphans_adopted": 2.0, "reaped": 3.0, "leaks": 0.0,
		}},
		{"leak", []string{"--leaks=fail"}, []string{"sh", "-c", "( sleep 1000 & ); exit 0"}, map[string]any{
			"exit": 86.0, "ended": "exit", "code": 0.0, "leaks": 1.0, "leftover_count": 1.0, "reaped": 2.0,
		}},
		{"kept", []string{"--leftovers=keep"}, []string{"sh", "-c", "( sleep 1000 & ); exit 0"}, map[string]any{
			"exit": 0.0, "leaks": 1.0, "orphans_adopted": 1.0, "reaped": 1.0,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inEach(t, realPlaces, func(t *testing.T, at place) {
				want(t, reportOf(t, at, test.options, test.command...), test.want)
			})
		})
	}
}

// Every field that docs/report.md names is there, and no other.
func TestReportFieldsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/report.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ := strings.Cut(rest, "`")
			documented[name] = true
		}
	}
	seen := make(map[string]bool)
	var collect func(v any)
	collect = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, inner := range v {
				if !documented[name] {
					t.Errorf("%s is not documented", name)
				}
				seen[name] = true
				collect(inner)
			}
		case []any:
			for _, inner := range v {
				collect(inner)
			}
		}
	}
	dir := t.TempDir()
	collect(reportOf(t, asSubreaper, []string{"--leaks=fail", "--leak-ok=1001", "--grace=0.2"}, "sh", "-c",
		`cd `+dir+`; sh -c 'trap "sh -c \"sleep 0.3\" & sleep 0.1" TERM; sleep 1000; :' >log & `+
			`sleep 1001 & `+probeBin+` listen >/dev/null & `+probeBin+` zombies 1 stay >/dev/null & sleep 0.3`))
	collect(reportOf(t, asSubreaper, nil, "/no/such"))
	collect(reportOf(t, asSubreaper, nil, "sh", "-c", "kill -9 $$"))
	collect(reportOf(t, asSubreaper, []string{"--tail=1"}, "sh", "-c", "printf %9000d 1 >&2"))
	for name := range documented {
		if !seen[name] {
			t.Logf("%s was not seen in the reports of this test", name)
		}
	}
}

// What is there is replaced in one step, with its mode, and through a link.
func TestReportReplaces(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "report"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("report", link); err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	s := launch(t, asSubreaper, func(cmd *exec.Cmd) { cmd.Dir = dir }, "--report", "link", "--", "sh", "-c", "cat report; cd /; exit 3")
	s.expect("old") // while the command runs the old one is there
	s.wantCode(3)
	want(t, readReport(t, file), map[string]any{"exit": 3.0})
	if info, _ := os.Lstat(link); info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link is none any more")
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if text, _ := io.ReadAll(old); string(text) != "old" {
		t.Errorf("who had it open sees %q", text)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 2 {
		t.Errorf("something is left: %v", entries)
	}
}

// A descriptor gets it too, and is not handed to the command.
func TestReportDescriptor(t *testing.T) {
	r, w := pipe(t)
	s := launch(t, asSubreaper, func(cmd *exec.Cmd) { cmd.ExtraFiles = []*os.File{w} },
		"--report", "fd:3", "--", "sh", "-c", "[ -e /proc/self/fd/3 ] && exit 1; exit 4")
	w.Close()
	var report map[string]any
	if err := json.NewDecoder(r).Decode(&report); err != nil {
		t.Fatal(err)
	}
	s.wantCode(4)
	want(t, report, map[string]any{"exit": 4.0})
}

// Where a report cannot be written is said before the command runs.
func TestReportBadTarget(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	readOnly := filepath.Join(dir, "ro")
	if err := os.Mkdir(readOnly, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ to, what string }{
		{"/no/such/dir/report", "no such file or directory"},
		{dir, "is a directory"},
		{"fd:9", "is not open"},
		{"fd:0", "is open for reading only"},
		{"fd:x", "not a descriptor"},
		{"fd:-1", "not a descriptor"},
		{"fd:", "not a descriptor"},
		{"-", "the command's own output goes there; fd:1 if that is meant"},
		{fifo, "nobody reads from that pipe"},
		{"/proc/report", "no such file or directory"},
	} {
		t.Run(test.to, func(t *testing.T) {
			s := launch(t, asSubreaper, nil, "--report", test.to, "--", "sh", "-c", "echo ran")
			s.wantCode(125)
			first := "reaper: --report " + test.to + ": " + test.what
			if out := s.stderr.rest(); len(out) != 2 || out[0] != first || !strings.HasPrefix(out[1], "reaper: use a file") {
				t.Errorf("stderr %q, want %q and a hint", out, first)
			}
			if out := s.stdout.rest(); len(out) > 0 {
				t.Errorf("the command ran: %q", out)
			}
		})
	}
	t.Run("closed", func(t *testing.T) {
		needExact(t) // without an entry point of its own Go has opened it by then
		s := launchProgram(t, asSubreaper, nil, probeBin, "exec", "-close", "1", reaperBin, "--report", "fd:1", "--", "true")
		s.wantCode(125)
		if text := strings.Join(s.stderr.rest(), "\n"); !strings.Contains(text, "--report fd:1: is not open") {
			t.Errorf("stderr %q", text)
		}
	})
	t.Run("not permitted", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("the others have their own directories")
		}
		s := launchProgram(t, asSubreaper, nil, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
			reaperBin, "--report", filepath.Join(readOnly, "report"), "--", "true")
		s.wantCode(125)
		if text := strings.Join(s.stderr.rest(), "\n"); !strings.Contains(text, "permission denied") {
			t.Errorf("stderr %q", text)
		}
	})
}

// A report that cannot be written at the end costs neither the code nor much time.
func TestReportFailsAtTheEnd(t *testing.T) {
	t.Run("full", func(t *testing.T) {
		s := launch(t, asSubreaper, nil, "--report", "/dev/full", "--", "sh", "-c", "exit 3")
		s.wantCode(3)
		s.stderr.awaitText(t, "no space left on device")
	})
	t.Run("gone", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "dir")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		s := launch(t, asSubreaper, nil, "--report", dir+"/report", "--", "sh", "-c", `rmdir "$0"; exit 3`, dir)
		s.wantCode(3)
		s.stderr.awaitText(t, "report could not be written")
	})
	t.Run("nobody reads", func(t *testing.T) {
		_, w := pipe(t)
		if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, 4096)); err != nil {
			t.Fatal(err)
		}
		s := launch(t, asSubreaper, func(cmd *exec.Cmd) { cmd.ExtraFiles = []*os.File{w} },
			"--report", "fd:3", "--", "sh", "-c", "exit 3")
		s.wantCode(3)
		s.stderr.awaitText(t, "nobody reads it")
	})
	// A file that was mounted by itself cannot be replaced; it is written over.
	t.Run("mounted", func(t *testing.T) {
		if os.Geteuid() != 0 {
			cannot(t, "only root can mount")
		}
		dir := t.TempDir()
		file, target := filepath.Join(dir, "file"), filepath.Join(dir, "target")
		for _, name := range []string{file, target} {
			if err := os.WriteFile(name, []byte("old and longer"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		prepare := func(cmd *exec.Cmd) { cmd.SysProcAttr.Unshareflags = unix.CLONE_NEWNS }
		s := launchProgram(t, asSubreaper, prepare, "sh", "-c", `mount --bind "$1" "$2" && exec "$0" --report "$2" -- sh -c "exit 3"`,
			reaperBin, file, target)
		s.wantCode(3)
		want(t, readReport(t, file), map[string]any{"exit": 3.0})
	})
}
