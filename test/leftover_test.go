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
// that a second would be told too.
const leaf = `
case $1 in
deaf) trap '' TERM ;;
*) trap 'echo "term $$ $1"; seen=1' TERM ;;
esac
echo "ready $$ $1"
if [ "$1" = stopped ]; then kill -STOP $$; fi
while [ -z "$seen" ]; do read x <&3; done
read x <&4
`

// breeder is a leaf that leaves another behind when it gets its TERM, in a session of its
// own, as often as its second word says. TERM is blocked from one to the next: reaper
// sends it to whomever it finds, in whatever moment.
const breeder = `
use POSIX;
$| = 1;
my $left = $ARGV[1];
my $term;
sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGTERM));
$SIG{TERM} = sub { $term = 1 };
print "ready $$ breeder\n";
for (;;) {
	sigsuspend(POSIX::SigSet->new) until $term;
	print "term $$ breeder\n";
	last if !$left--;
	last if fork;
	setsid();
	$term = 0;
	print "ready $$ breeder\n";
}
$SIG{TERM} = sub { print "term $$ breeder\n" };
sigprocmask(SIG_UNBLOCK, POSIX::SigSet->new(SIGTERM));
open my $stay, "<&=4";
<$stay>;
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
perl -e "$BREEDER" leaf 2 &
read x
exit 7
`

// plant starts reaper with a forest, and waits until all its leaves are there.
// Closing stay lets those leaves go that have got their TERM.
func plant(t *testing.T, at place, n int, options ...string) (s *session, stay *os.File) {
	t.Helper()
	if _, err := exec.LookPath("perl"); err != nil {
		cannot(t, "no perl on this machine: %v", err)
	}
	idleRead, _ := pipe(t) // nobody ever writes
	stayRead, stay := pipe(t)
	s = launch(t, at, func(cmd *exec.Cmd) {
		cmd.ExtraFiles = []*os.File{idleRead, stayRead}
		cmd.Env = append(os.Environ(), "LEAF="+leaf, "BREEDER="+breeder)
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

// awaitTerms waits until so many have got TERM. The last of three breeders was found by
// the third look at the tree: whoever is sent a second TERM by the next looks has got that
// too by then.
func awaitTerms(s *session, n int) {
	s.t.Helper()
	terms := make(map[string]bool)
	for len(terms) < n {
		pid, _, _ := strings.Cut(s.expect("term "), " ")
		terms[pid] = true
	}
}

// wantTerms checks that so many have got TERM by the end, and each of them one.
func wantTerms(s *session, n int) {
	s.t.Helper()
	terms := make(map[string]int)
	for _, line := range s.stdout.rest() {
		if rest, ok := strings.CutPrefix(line, "term "); ok {
			terms[rest]++
			if terms[rest] > 1 {
				s.t.Errorf("%s has got TERM %d times", rest, terms[rest])
			}
		}
	}
	if len(terms) != n {
		s.t.Errorf("%d have got TERM, want %d", len(terms), n)
	}
}

// A thousand of all kinds are gone when reaper is: each that listens has got one
// TERM and no more, the deaf are killed, and the code is the command's own (pitfalls
// 30, 42, 59, 60).
func TestThousandLeftovers(t *testing.T) {
	n := 1000
	if raceEnabled {
		n = 200
	}
	const grace = 8 * time.Second // the third look comes after a second, or several on a slow machine
	inEach(t, realPlaces, func(t *testing.T, at place) {
		s, stay := plant(t, at, n, "--grace", grace.String(), "-q")
		s.stdin.Close()
		begin := time.Now()
		awaitTerms(s, n-n/20+3)
		stay.Close()
		s.wantCode(7)
		took := time.Since(begin)
		if took > 10*(grace+time.Second) {
			t.Errorf("it took %v", took)
		}
		t.Logf("%d ended in %v, of a grace of %v", n, took, grace)
		wantTerms(s, n-n/20+3)
		nobodyIsLeft(t)
	})
}

// Who has had the TERM that --group has sent to all the group gets no second one.
func TestLeftoversOfGroup(t *testing.T) {
	inEach(t, realPlaces, func(t *testing.T, at place) {
		s, stay := plant(t, at, 20, "--group", "--grace", "1h", "-q")
		s.signal(unix.SIGTERM)
		awaitTerms(s, 20-1+3)
		stay.Close()
		s.signal(unix.SIGINT) // the deaf one is killed
		s.wantCode(143)
		wantTerms(s, 20-1+3)
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
		if took > 20*time.Second { // it may take two seconds, and takes some tenths of one
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
	for _, test := range []struct{ name, grace, script, out string }{
		{"by TERM", "1h", `trap 'echo trapped; exit 5' TERM; echo ready; sleep 1000`, "ready\ntrapped"},
		{"by KILL", "0.5", `trap '' TERM; echo ready; read x <&3`, "ready"},
		{"with deaf leftovers", "0.5", `trap 'exit 0' TERM; setsid sh -c "$LEAF" leaf deaf >/dev/null & echo ready; read x <&3`, "ready"},
		{"of a stopped command", "1h", `trap 'echo trapped; exit 5' TERM; echo ready; kill -STOP $$; sleep 1000`, "ready\ntrapped"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inEach(t, realPlaces, func(t *testing.T, at place) {
				r, _ := pipe(t)
				s := launch(t, at, func(cmd *exec.Cmd) {
					cmd.ExtraFiles = []*os.File{r}
					cmd.Env = append(os.Environ(), "LEAF="+leaf)
				}, "--time-limit", "1", "--grace", test.grace, "--", "sh", "-c", test.script)
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
	s = launch(t, asSubreaper, nil, "--time-limit", "1h", "--", probeBin, "obey", "4")
	s.expect("daemon ")
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
	args := append(by[1:len(by):len(by)], reaperBin, "--grace", "4", "--report", "fd:1", "--", "sh", "-c", script)
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
