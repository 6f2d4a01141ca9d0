package test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// leaf is a shell script that is left behind. It tells when it is ready, and each
// TERM that it gets; after the first it stays until descriptor 4 is closed, so
// that a second would be told too. A breeder leaves another behind when it gets
// its TERM, in a session of its own, as often as its second word says.
const leaf = `
case $1 in
deaf) trap '' TERM ;;
*) trap 'echo "term $$ $1"; seen=1' TERM ;;
esac
echo "ready $$ $1"
if [ "$1" = stopped ]; then kill -STOP $$; fi
while [ -z "$seen" ]; do read x <&3; done
if [ "$1" = breeder ] && [ "$2" -gt 0 ]; then
	setsid sh -c "$LEAF" leaf breeder $(($2 - 1)) &
fi
read x <&4
`

// forest is a command that leaves n leaves behind, in every way in which a process
// gets out of reach, and ends with the code 7 when its input ends.
const forest = `
i=0
while [ $i -lt "$1" ]; do
	kind=plain
	case $((i % 20)) in 3) kind=deaf ;; 4) kind=stopped ;; esac
	case $((i % 4)) in
	0) sh -c "$LEAF" leaf $kind & ;;
	1) setsid sh -c "$LEAF" leaf $kind & ;;
	2) ( ( sh -c "$LEAF" leaf $kind & ) & ) ;;
	3) ( setsid sh -c 'sh -c "$LEAF" leaf "$0" & wait' $kind & ) ;;
	esac
	i=$((i + 1))
done
sh -c "$LEAF" leaf breeder 2 &
read x
exit 7
`

// plant starts reaper with a forest, and waits until all its leaves are there.
// Closing stay lets those leaves go that have got their TERM.
func plant(t *testing.T, at place, n int, options ...string) (s *session, stay *os.File) {
	t.Helper()
	idleRead, _ := pipe(t) // nobody ever writes
	stayRead, stay := pipe(t)
	s = launch(t, at, func(cmd *exec.Cmd) {
		cmd.ExtraFiles = []*os.File{idleRead, stayRead}
		cmd.Env = append(os.Environ(), "LEAF="+leaf)
	}, append(options, "--", "sh", "-c", forest, "forest", strconv.Itoa(n))...)
	idleRead.Close()
	stayRead.Close()
	for range n + 1 {
		s.expect("ready ")
	}
	eventually(t, "those that stop themselves have", func() bool {
		stopped := 0
		for _, p := range descendants(s.pid) {
			if p.State == 'T' {
				stopped++
			}
		}
		return stopped == n/20
	})
	return s, stay
}

// breed waits until all three of the breeders have got TERM, and returns who has got
// it by then, and how often. The last of them was found by the third look at the tree:
// whoever is sent a second TERM by the next looks has got that too.
func breed(s *session) map[string]int {
	s.t.Helper()
	terms := make(map[string]int)
	for bred := 0; bred < 3; {
		pid, kind, _ := strings.Cut(s.expect("term "), " ")
		if terms[pid]++; kind == "breeder" {
			bred++
		}
	}
	return terms
}

// A thousand of all kinds are gone when reaper is: each that listens has got one
// TERM and no more, the deaf are killed, and the code is the command's own (pitfalls
// 30, 42, 59, 60).
func TestThousandLeftovers(t *testing.T) {
	n := 1000
	if raceEnabled {
		n = 200
	}
	const grace = 3 * time.Second
	inEach(t, realPlaces, func(t *testing.T, at place) {
		s, stay := plant(t, at, n, "--grace", grace.String(), "-q")
		s.stdin.Close()
		begin := time.Now()
		terms := breed(s)
		stay.Close()
		s.wantCode(7)
		if took := time.Since(begin); took > grace+time.Second {
			t.Errorf("it took %v", took)
		}
		for _, line := range s.stdout.rest() {
			if rest, ok := strings.CutPrefix(line, "term "); ok {
				pid, _, _ := strings.Cut(rest, " ")
				terms[pid] = 1
			}
		}
		if want := n - n/20 + 3; len(terms) != want {
			t.Errorf("%d have got TERM, want %d", len(terms), want)
		}
		if all := strings.Count(strings.Join(s.stdout.rest(), "\n"), "term "); all != len(terms) {
			t.Errorf("%d have got %d TERM", len(terms), all)
		}
		nobodyIsLeft(t)
	})
}

// Who has had the TERM that --group has sent to all the group gets no second one.
func TestLeftoversOfGroup(t *testing.T) {
	inEach(t, realPlaces, func(t *testing.T, at place) {
		s, stay := plant(t, at, 20, "--group", "--grace", "1", "-q")
		s.signal(unix.SIGTERM)
		breed(s)
		stay.Close()
		s.wantCode(143)
		if all := strings.Count(strings.Join(s.stdout.rest(), "\n"), "term "); all != 20-1+3 {
			t.Errorf("19 and 3 of a breed have got %d TERM:\n%s", all, s.stdout)
		}
	})
}

// nobodyIsLeft checks that no orphan has come to the test: reaper has left none.
func nobodyIsLeft(t testing.TB) {
	t.Helper()
	for _, p := range descendants(os.Getpid()) {
		if !running[p.PID] {
			args, _ := reap.CommandLine(p.PID)
			t.Errorf("left behind: %d %c %q", p.PID, p.State, args)
		}
	}
}

// The control: without --leftovers they live on.
func TestLeftoversKeep(t *testing.T) {
	s, _ := plant(t, asSubreaper, 4, "--leftovers", "keep", "--leaks", "ignore")
	s.stdin.Close()
	s.wantCode(7)
	left := 0
	for _, p := range descendants(os.Getpid()) {
		if args, _ := reap.CommandLine(p.PID); len(args) > 3 && args[3] == "leaf" {
			left++
		}
	}
	if left != 5 {
		t.Errorf("%d leaves are left, want 5", left)
	}
	reapOrphans(t) // they hold the stream
	if out := s.stderr.rest(); len(out) > 0 {
		t.Errorf("it says %q", out)
	}
}

// bomb is a command that starts pairs of processes, of which each replaces the
// other when that one dies.
const bomb = `
for (1 .. $ARGV[0]) { my $pid = fork; pair() if defined $pid && !$pid }
<STDIN>;
exit 7;

sub pair {
	for (;;) {
		pipe(my $r, my $w);
		my $pid = fork;
		if (defined $pid && !$pid) { close $w; <$r>; next }
		close $r;
		waitpid($pid, 0);
		close $w;
	}
}
`

// A fork bomb that is bounded, but replaces whoever dies, ends all the same (pitfall 30).
func TestForkBomb(t *testing.T) {
	if _, err := exec.LookPath("perl"); err != nil {
		cannot(t, "no perl on this machine: %v", err)
	}
	const pairs = 250
	inEach(t, realPlaces, func(t *testing.T, at place) {
		s := launch(t, at, nil, "--leftovers", "kill", "--leaks", "ignore", "--", "perl", "-e", bomb, strconv.Itoa(pairs))
		eventually(t, "all of them are there", func() bool { return len(descendants(s.pid)) == 1+2*pairs })
		begin := time.Now()
		s.stdin.Close()
		s.wantCode(7)
		took := time.Since(begin)
		if took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		t.Logf("%d processes ended in %v", 2*pairs, took)
		nobodyIsLeft(t)
	})
}

// Requests to stop that come while leftovers are being killed change nothing.
func TestSignalsDuringSweep(t *testing.T) {
	if _, err := exec.LookPath("perl"); err != nil {
		cannot(t, "no perl on this machine: %v", err)
	}
	inEach(t, realPlaces, func(t *testing.T, at place) {
		s := launch(t, at, nil, "--leftovers", "kill", "--leaks", "ignore", "--", "perl", "-e", bomb, "50")
		eventually(t, "all of them are there", func() bool { return len(descendants(s.pid)) == 101 })
		s.stdin.Close()
		stop := make(chan struct{})
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
					// As long as it is not waited for the pid is its own.
					unix.Kill(s.pid, unix.SIGTERM)
					burn(200)
				}
			}
		}()
		eventually(t, "reaper has ended", func() bool {
			p, err := reap.ReadProc(s.pid)
			return err != nil || p.Zombie()
		})
		close(stop)
		<-stopped
		nobodyIsLeft(t)
		// The first may have come while the command ran.
		if got := s.wait(); got != reap.ExitStatus(7) && got != reap.ExitStatus(128+15) && got != reap.ExitStatus(128+9) {
			t.Errorf("ended with %v", got)
		}
	})
}

// The deaf are killed at once by a second request to stop, which is the first of
// them if the command itself had been asked.
func TestSecondTermKillsLeftovers(t *testing.T) {
	const script = `trap 'exit 3' TERM; sh -c "$LEAF" leaf deaf & sh -c "$LEAF" leaf plain & read x; exit 0`
	for _, test := range []struct {
		name string
		code int
		end  func(s *session)
	}{
		{"the command ended by itself", 0, func(s *session) {
			s.stdin.Close()
			s.expect("term ")
			s.signal(unix.SIGTERM)
			s.stderr.awaitText(s.t, `"signal not forwarded"`)
			s.signal(unix.SIGTERM)
		}},
		{"the command was asked", 3, func(s *session) {
			s.signal(unix.SIGTERM)
			s.stderr.awaitText(s.t, `"command ended"`)
			s.signal(unix.SIGINT)
		}},
		{"the command was killed", 137, func(s *session) {
			s.signal(unix.SIGSTOP) // both come at once
			s.signal(unix.SIGTERM)
			s.signal(unix.SIGINT)
			s.signal(unix.SIGCONT)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inEach(t, allPlaces, func(t *testing.T, at place) {
				r, _ := pipe(t)
				s := launch(t, at, func(cmd *exec.Cmd) {
					cmd.ExtraFiles = []*os.File{r, r}
					cmd.Env = append(os.Environ(), "LEAF="+leaf)
				}, "-vv", "--grace", "1h", "--", "sh", "-c", strings.ReplaceAll(script, "trap 'exit 3' TERM", trapOf(test.code)))
				s.expect("ready ")
				s.expect("ready ")
				test.end(s)
				s.wantCode(test.code)
				s.stderr.awaitText(t, `"fate":"killed"`)
				nobodyIsLeft(t)
			})
		})
	}
}

// trapOf is what the command does about TERM: if it is to be killed, nothing.
func trapOf(code int) string {
	if code > 128 {
		return "trap '' TERM INT"
	}
	return "trap 'exit 3' TERM"
}

// With wait reaper stays until they end by themselves, or are asked to.
func TestLeftoversWait(t *testing.T) {
	const script = `sh -c "$LEAF" leaf plain & read x; exit 7`
	for name, end := range map[string]func(s *session, idle *os.File, stay *os.File){
		"by themselves": func(s *session, _, _ *os.File) {
			for _, p := range descendants(s.pid) {
				unix.Kill(p.PID, unix.SIGKILL)
			}
		},
		"by a request": func(s *session, _, stay *os.File) {
			s.signal(unix.SIGTERM)
			s.expect("term ")
			stay.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inEach(t, allPlaces, func(t *testing.T, at place) {
				idleRead, idle := pipe(t)
				stayRead, stay := pipe(t)
				s := launch(t, at, func(cmd *exec.Cmd) {
					cmd.ExtraFiles = []*os.File{idleRead, stayRead}
					cmd.Env = append(os.Environ(), "LEAF="+leaf)
				}, "-v", "--leftovers", "wait", "--grace", "1h", "--", "sh", "-c", script)
				idleRead.Close()
				stayRead.Close()
				s.expect("ready ")
				s.stdin.Close()
				s.stderr.awaitText(t, "waiting for what it has left")
				end(s, idle, stay)
				s.wantCode(7)
			})
		})
	}
}

// The time limit ends everybody: those who listen by TERM, the deaf by KILL, and
// a shell that waits for its child before it does what its trap says.
func TestTimeLimit(t *testing.T) {
	for _, test := range []struct{ name, script, out string }{
		{"by TERM", `trap 'echo trapped; exit 5' TERM; echo ready; sleep 1000`, "ready\ntrapped"},
		{"by KILL", `trap '' TERM; echo ready; read x <&3`, "ready"},
		{"with deaf leftovers", `trap 'exit 0' TERM; setsid sh -c "$LEAF" leaf deaf >/dev/null & echo ready; read x <&3`, "ready"},
		{"of a stopped command", `trap 'echo trapped; exit 5' TERM; echo ready; kill -STOP $$; sleep 1000`, "ready\ntrapped"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inEach(t, realPlaces, func(t *testing.T, at place) {
				r, _ := pipe(t)
				s := launch(t, at, func(cmd *exec.Cmd) {
					cmd.ExtraFiles = []*os.File{r}
					cmd.Env = append(os.Environ(), "LEAF="+leaf)
				}, "--time-limit", "0.5", "--grace", "0.5", "--", "sh", "-c", test.script)
				s.wantCode(124)
				if got := strings.Join(s.stdout.rest(), "\n"); got != test.out {
					t.Errorf("stdout %q, want %q", got, test.out)
				}
				s.stderr.awaitText(t, "time limit reached")
				nobodyIsLeft(t)
			})
		})
	}
}

// A command that ends in time keeps its code, and so does one that was asked to
// stop before.
func TestTimeLimitInTime(t *testing.T) {
	s := launch(t, asSubreaper, nil, "--time-limit", "1h", "--", "sh", "-c", "exit 3")
	s.wantCode(3)
	s = launch(t, asSubreaper, nil, "--time-limit", "1h", "--", "sh", "-c", "trap 'exit 4' TERM; echo ready; read x")
	s.expect("ready")
	s.signal(unix.SIGTERM)
	s.wantCode(4)
}

// Without privileges leftovers are stopped as well, and without /proc too.
func TestLeftoversWithoutMeans(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		t.Run("unprivileged", func(t *testing.T) {
			if os.Geteuid() != 0 {
				t.Skip("every other test does this already")
			}
			s, stay := plantAs(t, at, []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"})
			s.stdin.Close()
			endPlanted(s, stay)
		})
		t.Run("no proc", func(t *testing.T) {
			if os.Geteuid() != 0 {
				cannot(t, "only root can unmount /proc in a namespace")
			}
			s, stay := plantAs(t, at, []string{"sh", "-c", `umount -l /proc && exec "$@"`, "sh"})
			s.stdin.Close()
			endPlanted(s, stay)
			if !strings.Contains(s.stdout.String(), `"complete":false`) {
				t.Errorf("the report hides that there is no /proc: %s", s.stdout)
			}
		})
	})
}

// plantAs leaves one leaf that listens and one that is deaf, both out of reach, by
// way of another program.
func plantAs(t *testing.T, at place, by []string) (s *session, stay *os.File) {
	t.Helper()
	idleRead, _ := pipe(t)
	stayRead, stay := pipe(t)
	const script = `( setsid sh -c "$LEAF" leaf deaf & ); ( setsid sh -c "$LEAF" leaf plain & ); read x; exit 7`
	args := append(by[1:len(by):len(by)], reaperBin, "--grace", "1", "--report", "fd:1", "--", "sh", "-c", script)
	s = launchProgram(t, at, func(cmd *exec.Cmd) {
		cmd.SysProcAttr.Unshareflags = unix.CLONE_NEWNS
		cmd.ExtraFiles = []*os.File{idleRead, stayRead}
		cmd.Env = append(os.Environ(), "LEAF="+leaf)
	}, by[0], args...)
	idleRead.Close()
	stayRead.Close()
	s.expect("ready ")
	s.expect("ready ")
	return s, stay
}

func endPlanted(s *session, stay *os.File) {
	s.t.Helper()
	s.expect("term ")
	stay.Close()
	s.wantCode(7)
	s.stdout.rest()
	for _, fate := range []string{`"fate":"killed"`, `"fate":"stopped"`} {
		if !strings.Contains(s.stdout.String(), fate) {
			s.t.Errorf("the report lacks %s: %s", fate, s.stdout)
		}
	}
	nobodyIsLeft(s.t)
}
