package test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// reaper test fails what leaves a process behind, and says who that was.
func TestLeaksFail(t *testing.T) {
	for _, test := range []struct {
		name    string
		options string
		script  string
		code    int
		text    []string // regular expressions for stderr
		not     string   // what must not be there
	}{
		{
			"orphan", "", `( sleep 1000 & ); exit 0`, 86,
			[]string{
				`(?m)^reaper: 1 process left behind by sh -c "\( sleep 1000 & \); exit 0"$`,
				`(?m)^  pid \d+  sleep 1000$`, `(?m)^    state +sleeping, [\d.]+m?s old$`,
				`(?m)^    escape +orphan, the command's process group$`,
				`(?m)^    fate +ended on TERM after [\d.]+m?s$`,
			},
			"zombie",
		},
		{
			"own session", "", `setsid sleep 1000 & while ! pgrep -s $! >/dev/null; do :; done`, 86,
			[]string{`(?m)^    escape +orphan, a session of its own$`},
			"",
		},
		{
			"child of a leftover", "", `sh -c 'sleep 1000; :' & while ! pgrep -P $! >/dev/null; do :; done`, 86,
			[]string{
				`2 processes left behind`, `(?m)^  pid \d+  sh -c "sleep 1000; :"$`,
				`(?m)^    escape +child of \d+, the command's process group$`,
				`(?m)^    started by +sh -c "sleep 1000; :" \(\d+\)`,
			},
			"",
		},
		{
			"stopped", "", `sh -c 'kill -STOP $$; :' & while ! grep -q "^State:.T" /proc/$!/status; do :; done`, 86,
			[]string{`(?m)^    state +stopped, `, `fate +ended on TERM`},
			"",
		},
		{
			"deaf", "--grace=0.2", `sh -c 'trap "" TERM; echo ready; read x <&3' & read x; exit 0`, 86,
			[]string{`(?m)^    fate +killed after ([2-9]\d\dms|[\d.]+s)$`},
			"",
		},
		{
			"killed", "--leftovers=kill", `( sleep 1000 & )`, 86,
			[]string{`(?m)^    fate +killed after [\d.]+m?s$`},
			"",
		},
		{"its own code", "", `( sleep 1000 & ); exit 3`, 3, []string{`left behind`}, ""},
		{"clean", "", `for i in 1 2 3; do sleep 0.01 & done; wait`, 0, nil, "."},
		{"just ending", "", `sleep 0.02 & exit 0`, 0, nil, "."},
		{"excused", "--leak-ok=^sleep\\s1", `( sleep 1000 & )`, 0, []string{`excused by --leak-ok: 1 process`}, "left behind"},
		{"another excused", "--leak-ok=^sleep\\s2", `( sleep 1000 & )`, 86, []string{`1 process left behind`}, "excused"},
		{"one of two excused", "--leak-ok=1001", `( sleep 1000 & sleep 1001 & )`, 86, []string{`1 process left behind`, `excused by --leak-ok: 1 process`}, ""},
		{"kept", "--leftovers=keep", `( sleep 1000 & )`, 0, []string{`(?m)^    fate +still there$`}, ""},
		{"waited for", "--leftovers=wait", `( sleep 4 & )`, 86, []string{`(?m)^    fate +ended by itself after [\d.]+m?s$`}, ""},
		{"reported", "--leaks=report", `( sleep 1000 & ); exit 0`, 0, []string{
			`"msg":"command left a process behind","pid":\d+,"name":"sleep","age":[\d.]+,"command":"sleep 1000","fate":"stopped","after":[\d.]+`,
		}, "left behind by"},
		{"ignored", "--leaks=ignore", `( sleep 1000 & ); exit 0`, 0, nil, "."},
		{"time limit", "--time-limit=0.3", `( setsid sleep 1000 & ); sleep 1000`, 124, []string{`time limit reached`}, ""},
		{
			"a name that writes to the terminal", "", `( bash -c 'exec -a $(printf "a\033[31m") sleep 1000' & ); exit 0`, 86,
			[]string{`(?m)^  pid \d+  "a\\x1b\[31m" 1000$`},
			"\x1b",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			inEach(t, realPlaces, func(t *testing.T, at place) {
				r, _ := pipe(t)
				s := launch(t, at, func(cmd *exec.Cmd) { cmd.ExtraFiles = []*os.File{r} },
					append(append([]string{"test"}, strings.Fields(test.options)...), "--", "sh", "-c", test.script)...)
				if strings.Contains(test.script, "echo ready") {
					s.expect("ready")
				}
				s.stdin.Close()
				s.wantCode(test.code)
				if !strings.Contains(test.options, "keep") {
					nobodyIsLeft(t)
				}
				reapOrphans(t)
				text := strings.Join(s.stderr.rest(), "\n")
				for _, pattern := range test.text {
					if !regexp.MustCompile(pattern).MatchString(text) {
						t.Errorf("stderr lacks %q:\n%s", pattern, text)
					}
				}
				if test.not != "" && regexp.MustCompile(test.not).MatchString(text) {
					t.Errorf("stderr has %q:\n%s", test.not, text)
				}
			})
		})
	}
}

// Whoever started an orphan is told though it has ended, if it lived long enough
// to be seen.
func TestLeakLineage(t *testing.T) {
	inEach(t, realPlaces, func(t *testing.T, at place) {
		// The middle one waits until the test has seen it for a while.
		s := launch(t, at, nil, "test", "--", "sh", "-c",
			`sh -c 'sleep 1000 & echo ready; read x; : middle'; read x; exit 0`)
		s.expect("ready")
		looks(t, s)
		fmt.Fprintln(s.stdin)
		s.stdin.Close()
		s.wantCode(86)
		text := strings.Join(s.stderr.rest(), "\n")
		if !regexp.MustCompile(`(?m)^    started by +sh -c "sleep 1000 & echo ready; read x; : middle" \(\d+\), by sh -c `).MatchString(text) {
			t.Errorf("the table does not tell who started it:\n%s", text)
		}
	})
}

// looks waits until reaper has looked at the tree again, and all of it: each look is
// a burst of reads, and between them it reads nothing. On a busy machine one look may
// be several bursts, so there have to be many.
func looks(t *testing.T, s *session) {
	t.Helper()
	const enough = 12
	reads := func() int {
		io, _ := os.ReadFile(fmt.Sprintf("/proc/%d/io", s.pid))
		for line := range strings.Lines(string(io)) {
			if count, ok := strings.CutPrefix(line, "syscr: "); ok {
				k, _ := strconv.Atoi(strings.TrimSpace(count))
				return k
			}
		}
		t.Fatalf("no count of reads in %q", io)
		return 0
	}
	before, idle, bursts := reads(), false, 0
	eventually(t, "reaper has looked at the tree", func() bool {
		now := reads()
		if now == before {
			idle = true
		} else if idle {
			idle = false
			bursts++
		}
		before = now
		return bursts > enough
	})
}

// A zombie is listed under the parent that did not wait for it: one that is left
// itself, and one that has ended.
func TestLeakedZombies(t *testing.T) {
	inEach(t, realPlaces, func(t *testing.T, at place) {
		t.Run("of a leftover", func(t *testing.T) {
			s := launch(t, at, nil, "test", "--", "sh", "-c", `"$0" zombies 2 stay & read x; exit 0`, probeBin)
			s.expect("ready ")
			eventually(t, "both are zombies", func() bool { return len(descendants(s.pid)) == 4 })
			s.stdin.Close()
			s.wantCode(86)
			text := strings.Join(s.stderr.rest(), "\n")
			if n := len(zombieLine.FindAllString(text, -1)); n != 2 || !strings.Contains(text, "1 process left behind") {
				t.Errorf("%d zombies in\n%s", n, text)
			}
		})
		t.Run("of the command", func(t *testing.T) {
			s := launch(t, at, nil, "test", "--", probeBin, "zombies", "2")
			s.expect("ready ")
			eventually(t, "both are zombies", func() bool { return len(descendants(s.pid)) == 3 })
			looks(t, s)
			s.stdin.Close()
			s.wantCode(0)
			text := strings.Join(s.stderr.rest(), "\n")
			if n := len(zombieLine.FindAllString(text, -1)); n != 2 {
				t.Errorf("%d zombies in\n%s", n, text)
			}
		})
	})
}

var zombieLine = regexp.MustCompile(`(?m)^  zombie \d+  true, which pid \d+ \S+probe zombies 2\S* ?(stay )?never waited for$`)

// What a leftover holds open is named: the port, the log, and the pipe that keeps
// whoever reads from it waiting.
func TestLeakHoldsOpen(t *testing.T) {
	dir := t.TempDir()
	s := launch(t, asSubreaper, nil, "test", "--", "sh", "-c", `cd "$1" && ( "$0" listen >>log & ) && read x; exit 0`, probeBin, dir)
	eventually(t, "it listens", func() bool {
		log, _ := os.ReadFile(dir + "/log")
		return strings.HasPrefix(string(log), "listening ")
	})
	log, _ := os.ReadFile(dir + "/log")
	s.stdin.Close()
	s.wantCode(86)
	text := strings.Join(s.stderr.rest(), "\n")
	address := strings.TrimSpace(strings.TrimPrefix(string(log), "listening "))
	for _, pattern := range []string{
		`(?m)^    listens on +tcp ` + regexp.QuoteMeta(address) + `$`,
		`(?m)^    directory +` + dir + `$`,
		`(?m)^    files .*\b1 ` + dir + `/log \(writes\)`,
		`(?m)^    files .*\b2 pipe:\[\d+\] \(shared with reaper\)`,
	} {
		if !regexp.MustCompile(pattern).MatchString(text) {
			t.Errorf("stderr lacks %q:\n%s", pattern, text)
		}
	}
}

// Two hundred runs of a command that leaks, and of one that does not, on a machine
// that is busy: no survivor, and no false leak.
func TestLeakRunsUnderLoad(t *testing.T) {
	const runs, atOnce = 200, 20
	stop := make(chan struct{})
	defer close(stop)
	for range runtime.NumCPU() {
		go func() {
			for {
				select {
				case <-stop:
					return
				default:
					burn(100)
				}
			}
		}()
	}
	for _, test := range []struct {
		name, script string
		code         int
	}{
		{"leaking", `( setsid sleep 1000 & ); ( sleep 1001 & ); exit 0`, 86},
		{"clean", `i=0; while [ $i -lt 50 ]; do ( : ) & i=$((i+1)); done; wait`, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range runs / atOnce {
				sessions := make([]*session, atOnce)
				for i := range sessions {
					sessions[i] = launch(t, asSubreaper, nil, "test", "--", "sh", "-c", test.script)
				}
				for _, s := range sessions {
					s.wantCode(test.code)
				}
				nobodyIsLeft(t)
			}
		})
	}
}
