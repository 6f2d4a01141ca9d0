package test

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A reader of the log that has stopped reading costs lines, never a late reap;
// how many is told when it reads again (pitfall 50).
func TestLogReaderSleeps(t *testing.T) {
	const orphans = 10_000
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := launch(t, asSubreaper, func(cmd *exec.Cmd) { cmd.Stderr = w }, "-vv", "--log-format=json", "--", "sh", "-c",
		storm(orphans)+`; ( : & ); kill -USR2 $PPID; read line; exit 5`)
	w.Close()
	s.expect("done")
	// Nobody has read a line. The orphans are reaped all the same.
	eventually(t, "nothing is left but the command", func() bool { return len(children(s.pid)) == 1 })
	// Now somebody reads, and something happens.
	var reaped, dropped float64
	told, seen := make(chan bool), make(chan bool)
	go func() {
		defer close(seen)
		in := bufio.NewScanner(r)
		for in.Scan() {
			var line struct {
				Msg   string
				Count float64
			}
			if json.Unmarshal(in.Bytes(), &line) != nil {
				continue
			}
			if line.Msg == "orphan reaped" {
				reaped++
			}
			if strings.HasPrefix(line.Msg, "log lines dropped") {
				if dropped == 0 {
					close(told)
				}
				dropped += line.Count
			}
		}
	}()
	eventually(t, "how many were dropped is told", func() bool {
		s.signal(unix.SIGCONT) // the first line that there is room for brings it with it
		select {
		case <-told:
			return true
		default:
			return false
		}
	})
	s.stdin.Write([]byte("go on\n"))
	s.wait()
	<-seen
	if reaped == 0 || reaped+dropped < orphans {
		t.Errorf("of %d orphans %v lines came and %v were counted as dropped", orphans, reaped, dropped)
	}
}

// A stderr that is closed, or that nobody will ever read, is no reason to end,
// and its SIGPIPE is not forwarded to the command (pitfalls 46, 56).
func TestLogIsBroken(t *testing.T) {
	verbose := []string{reaperBin, "-vv", "--", probeBin, "signals"}
	for _, words := range [][]string{verbose, append([]string{probeBin, "exec", "-close", "2"}, verbose...)} {
		s := launchProgram(t, asSubreaper, func(cmd *exec.Cmd) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
			t.Cleanup(func() { w.Close() })
			cmd.Stderr = w
		}, words[0], words[1:]...)
		s.expect("ready")
		for range 20 {
			s.signal(unix.SIGUSR1)
			s.expect("got 10")
		}
		s.stdin.Close()
		s.wantCode(0)
		if strings.Contains(s.stdout.String(), "got 13") {
			t.Errorf("SIGPIPE came to the command: %s", s.stdout)
		}
	}
}

// By default reaper says nothing.
func TestQuietByDefault(t *testing.T) {
	s := launch(t, asSubreaper, nil, "--", "sh", "-c", "( : & ); exit 1")
	s.wantCode(1)
	if err := s.stderr.rest(); len(err) > 0 {
		t.Errorf("stderr: %q", err)
	}
}
