package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Restarts, with the built binary. Where a test does not wait for a delay it is an
// hour, so that what must not wait for it fails by the patience of the test.

// The policies in action: how often the command runs, and what comes out.
func TestRestart(t *testing.T) {
	for _, test := range []struct {
		name    string
		options string
		script  string // $n is how many runs there have been
		runs    int
		code    int
	}{
		{"no", "", "exit 3", 1, 3},
		{"on failure", "--restart on-failure", "[ $n = 3 ] || exit 3", 3, 0},
		{"three failures", "--restart on-failure:3", "exit $n", 3, 3},
		{"one failure", "--restart on-failure:1", "exit $n", 1, 1},
		{"on success", "--restart on-success", "[ $n != 3 ] || exit 4", 3, 4},
		{"on abnormal", "--restart on-abnormal", "[ $n = 3 ] || kill -KILL $$; exit 5", 3, 5},
		{"TERM asks for the end", "--restart on-failure", "kill -TERM $$", 1, 143},
		{"never after 3", "--restart always --no-restart-exit 3", "[ $n = 3 ] && exit 3; exit $n", 3, 3},
		{"never after KILL", "--restart always --no-restart-exit KILL", "[ $n != 2 ] || kill -KILL $$", 2, 137},
		{"3 is a success", "--restart on-failure --ok-exit 3", "exit 3", 1, 0},
		{"the limit", "--restart always --restart-delay 1h --time-limit 2", "exit 3", 1, 124},
		{"gone after the first run", "--restart on-failure:2", `rm "$0"; exit 3`, 1, 127},
	} {
		t.Run(test.name, func(t *testing.T) {
			inPlaces(t, func(t *testing.T, at place) {
				dir := t.TempDir()
				file := filepath.Join(dir, "script")
				script := "#!/bin/sh\nread n <" + dir + "/n; n=$((n+1)); echo $n >" + dir + "/n; echo run $n\n" + test.script
				writeFile(t, file, script, 0o755)
				writeFile(t, filepath.Join(dir, "n"), "0\n", 0o644)
				options := append(strings.Fields("--restart-delay 0 "+test.options), "--", file)
				s := launch(t, at, nil, options...)
				s.wantCode(test.code)
				if got := len(s.stdout.rest()); got != test.runs {
					t.Errorf("%d runs, want %d\nstderr: %s", got, test.runs, s.stderr)
				}
			})
		})
	}
}

func writeFile(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}

// A request to stop between two lives ends reaper at once, with the code of the last.
func TestRestartStopBetween(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGQUIT} {
		inPlaces(t, func(t *testing.T, at place) {
			s := launch(t, at, nil, "--restart", "always", "--restart-delay", "1h", "--", "sh", "-c", "exit 3")
			s.stderr.awaitText(t, "starting the command again")
			s.signal(unix.SIGHUP)
			s.signal(sig)
			s.wantCode(3)
		})
	}
}

// A command that is asked to stop is not started again.
func TestRestartStopWhileUp(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		s := launch(t, at, nil, "-v", "--restart", "always", "--restart-delay", "0", "--", probeBin, "obey", "5")
		s.expect("daemon ")
		s.signal(unix.SIGTERM)
		s.wantCode(5)
		if out := s.stdout.rest(); len(out) != 2 { // daemon, term
			t.Errorf("stdout %q", out)
		}
		nobodyIsLeft(t)
	})
}

// What the dead instance has left has been stopped when the next is started, however it
// forked away.
func TestRestartAfterLeftovers(t *testing.T) {
	inEach(t, realPlaces, func(t *testing.T, at place) {
		dir := t.TempDir()
		file := filepath.Join(dir, "pid")
		const script = `if [ -f "$1" ]; then kill -0 $(cat "$1") && echo alive; rm "$1"; fi
			setsid sh -c 'trap "" TERM; echo left; sleep 1000 & echo $$ >"$1.new"; mv "$1.new" "$1"; wait' sh "$1" &
			while ! [ -f "$1" ]; do sleep 0.01; done; exit 3`
		s := launch(t, at, nil, "--restart", "on-failure:3", "--restart-delay", "0", "--grace", "0.2",
			"--report", "fd:1", "--", "sh", "-c", script, "sh", file)
		s.wantCode(3)
		lines := s.stdout.rest()
		out := lines[len(lines)-1]
		if got := strings.Join(lines[:len(lines)-1], " "); got != "left left left" {
			t.Errorf("stdout %q", got)
		}
		for _, part := range []string{`"restarts":2`, `"forced_kills":6`, `"leftover_count":6`} {
			if !strings.Contains(out, part) {
				t.Errorf("the report lacks %s: %s", part, out)
			}
		}
		nobodyIsLeft(t)
	})
}

// A crash loop without a delay: each exit is seen, and neither memory nor descriptors
// grow.
func TestRestartTenThousandTimes(t *testing.T) {
	restarts := 10_000
	if raceEnabled {
		restarts = 1000 // each is ten times as slow
	}
	file := filepath.Join(t.TempDir(), "report")
	s := launch(t, asSubreaper, nil, "-q", "--restart", "always", "--restart-delay", "0", "--report", file, "--", "echo", "again")
	runs := 0
	until := func(n int) {
		for ; runs < n; runs++ {
			s.expect("again")
		}
	}
	until(restarts / 5)
	memory, fds := residentKiB(t, s.pid), descriptors(t, s.pid)
	// A start that is under way can have descriptors of its own: the least of some counts.
	for range 20 {
		until(runs + 1)
		fds = min(fds, descriptors(t, s.pid))
	}
	until(restarts)
	// The race detector remembers more and more. Without it the heap has what the collector
	// lets it have, and no more.
	if got := residentKiB(t, s.pid); !raceEnabled && got > memory+4096 {
		t.Errorf("%d KiB after %d restarts, %d KiB after %d", memory, restarts/5, got, restarts)
	}
	now := descriptors(t, s.pid)
	for last := restarts + restarts/10; now > fds && runs < last; now = descriptors(t, s.pid) {
		until(runs + 1)
	}
	if now > fds {
		t.Errorf("%d descriptors, and at the end always more, such as %d", fds, now)
	}
	s.signal(unix.SIGTERM)
	s.wait()
	runs = len(s.stdout.rest())
	report := readReport(t, file)
	// One that was stopped before it could write has run as well.
	if got := report["restarts"].(float64) + 1; got < float64(runs) || got > float64(runs+1) || report["reaped"] != got {
		t.Errorf("%d lines, and the report: %v", runs, report)
	}
}

func residentKiB(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func descriptors(t *testing.T, pid int) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
