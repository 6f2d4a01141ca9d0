package test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// demoProgram is the demonstration, built when the first test asks for it. Its
// roles are the Go programs of the tests here: `parent NAME [COUNT]` starts
// children, does not wait for them until SIGUSR1, and ends with its stdin;
// `service NAME [COUNT]` starts such a parent and waits for it.
func demoProgram(t *testing.T) string {
	t.Helper()
	bin, err := buildDemo()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

var buildDemo = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(filepath.Dir(reaperBin), "demo")
	args := []string{"build", "-buildvcs=false", "-o", bin}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "./demo")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build demo: %w\n%s", err, out)
	}
	return bin, nil
})

// A guard is what stands above a command: reaper, or in a control something
// else or nothing.
type guard struct {
	name string
	argv func() []string // before the command
}

var (
	guardReaper    = guard{"reaper", func() []string { return []string{reaperBin, "--"} }}
	guardNegligent = guard{"negligent", func() []string { return []string{probeBin, "negligent"} }}
	guardNone      = guard{"nothing", func() []string { return nil }}
)

// run starts the command below the guard.
func (g guard) run(t *testing.T, at place, command ...string) *session {
	t.Helper()
	argv := append(g.argv(), command...)
	return launchProgram(t, at, nil, argv[0], argv[1:]...)
}

// depth is how far below the session its command is.
func (g guard) depth() int { return min(1, len(g.argv())) }

// chainToCat waits until below pid there is one process on each of so many
// levels, the last a sleeping cat, and returns them.
func chainToCat(t *testing.T, pid, levels int) []reap.Proc {
	t.Helper()
	var chain []reap.Proc
	eventually(t, "cat sleeps at the end of the chain", func() bool {
		chain = chain[:0]
		for parent := pid; len(chain) < levels; parent = chain[len(chain)-1].PID {
			level := children(parent)
			if len(level) != 1 {
				return false
			}
			chain = append(chain, level[0])
		}
		last := chain[levels-1]
		return last.Name == "cat" && last.State == 'S'
	})
	return chain
}

// now reads a process again; there is none if it has ended and has been waited
// for, whatever has its pid since.
func now(t *testing.T, p reap.Proc) (reap.Proc, bool) {
	t.Helper()
	again, err := reap.ReadProc(p.PID)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH):
		return reap.Proc{}, false
	case err != nil:
		t.Fatal(err)
	}
	return again, again.Start == p.Start
}

func kill(t *testing.T, p reap.Proc, sig syscall.Signal) {
	t.Helper()
	if err := unix.Kill(p.PID, sig); err != nil {
		t.Fatalf("send %v to %d: %v", sig, p.PID, err)
	}
}

func awaitGone(t *testing.T, p reap.Proc) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s %d is gone", p.Name, p.PID), func() bool {
		_, there := now(t, p)
		return !there
	})
}

// awaitZombie waits until the process is a zombie of that parent.
func awaitZombie(t *testing.T, p reap.Proc, parent int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s %d is a zombie of %d", p.Name, p.PID, parent), func() bool {
		again, there := now(t, p)
		return there && again.Zombie() && again.PPID == parent
	})
}

// A child sleeps; when it has ended it is a zombie; after its parent's Wait it
// is gone. reaper above them changes nothing of this (pitfall 32).
func TestChildIsZombieUntilWait(t *testing.T) {
	demo := demoProgram(t)
	inPlaces(t, func(t *testing.T, at place) {
		for _, g := range []guard{guardReaper, guardNone} {
			t.Run(g.name, func(t *testing.T) {
				s := g.run(t, at, demo, "parent", "cat")
				chain := chainToCat(t, s.pid, g.depth()+1)
				child := chain[len(chain)-1]
				parent, err := reap.ReadProc(child.PPID)
				if err != nil {
					t.Fatal(err)
				}
				kill(t, child, unix.SIGTERM)
				awaitZombie(t, child, parent.PID)
				eventually(t, "the parent sleeps", func() bool {
					p, there := now(t, parent)
					return there && p.State == 'S'
				})
				awaitZombie(t, child, parent.PID) // it still is

				kill(t, parent, unix.SIGUSR1) // asks it to call Wait
				awaitGone(t, child)
				if p, there := now(t, parent); !there || p.Zombie() {
					t.Errorf("the parent has ended too: %+v", p)
				}
				s.stdin.Close()
				s.wantCode(0)
			})
		}
	})
}

// An orphan becomes reaper's child, and is reaped when it ends (pitfall 26: the
// nearest subreaper gets it). In the controls it goes elsewhere, or to an init
// that waits for its command alone, and stays a zombie.
func TestOrphanGoesToReaper(t *testing.T) {
	demo := demoProgram(t)
	inPlaces(t, func(t *testing.T, at place) {
		for _, g := range []guard{guardReaper, guardNegligent, guardNone} {
			t.Run(g.name, func(t *testing.T) {
				s := g.run(t, at, demo, "service", "cat")
				chain := chainToCat(t, s.pid, g.depth()+2)
				parent, orphan := chain[len(chain)-2], chain[len(chain)-1]
				adopter := s.pid
				if g.depth() == 0 && !at.pid1 {
					adopter = os.Getpid() // TestMain made the test a subreaper
				}

				kill(t, parent, unix.SIGKILL)
				eventually(t, "the orphan has its new parent", func() bool {
					p, there := now(t, orphan)
					return there && p.PPID == adopter
				})
				awaitGone(t, parent) // its own parent waits for it
				if p, _ := now(t, orphan); p.State != 'S' {
					t.Errorf("the orphan is %c", p.State)
				}

				kill(t, orphan, unix.SIGTERM)
				if g.name == guardReaper.name {
					awaitGone(t, orphan)
					if n := zombies(s.pid); n != 0 {
						t.Errorf("reaper has %d zombies", n)
					}
					s.stdin.Close()
					s.wantCode(0)
					return
				}
				awaitZombie(t, orphan, adopter)
				if g.name == guardNegligent.name {
					// It does wait, but not for this one.
					kill(t, chain[0], unix.SIGKILL)
					s.expect("neglected")
					awaitZombie(t, orphan, adopter)
				}
			})
		}
	})
}

// Zombies whose parent lives are not reaper's (pitfall 32): it reaps what it
// can and these stay. When their parent is killed they are orphans that have
// ended already, and reaper has them all at once (pitfall 15: fifty exits, one
// SIGCHLD). In the controls they stay.
func TestZombiesOfLivingParent(t *testing.T) {
	const many = 50
	demo := demoProgram(t)
	inPlaces(t, func(t *testing.T, at place) {
		for _, g := range []guard{guardReaper, guardNegligent, guardNone} {
			t.Run(g.name, func(t *testing.T) {
				command := []string{demo, "service", "true", fmt.Sprint(many)}
				if g.name == guardReaper.name {
					// And one orphan, which shows that reaper is at work.
					command = append([]string{"/bin/sh", "-c", `( sleep 1000 & ); exec "$@"`, "sh"}, command...)
				}
				s := g.run(t, at, command...)
				service, parent := awaitZombies(t, s, g, many)
				adopter := s.pid
				if g.depth() == 0 && !at.pid1 {
					adopter = os.Getpid()
				}
				dead := children(parent.PID)

				if g.name == guardReaper.name {
					orphan := childNamed(t, s.pid, "sleep")
					kill(t, orphan, unix.SIGTERM)
					awaitGone(t, orphan)
					if n := zombies(parent.PID); n != many {
						t.Errorf("the living parent has %d zombies, want %d", n, many)
					}
					if n := zombies(s.pid); n != 0 {
						t.Errorf("reaper has %d zombies of its own", n)
					}
				}

				kill(t, parent, unix.SIGKILL)
				awaitGone(t, parent)
				if g.name == guardReaper.name {
					for _, p := range dead {
						awaitGone(t, p)
					}
					if got := children(s.pid); len(got) != 1 || got[0].PID != service.PID {
						t.Errorf("reaper has other children than its command: %+v", got)
					}
					s.stdin.Close()
					s.wantCode(0)
					return
				}
				for _, p := range dead {
					awaitZombie(t, p, adopter)
				}
				if g.name == guardNegligent.name {
					kill(t, service, unix.SIGKILL)
					s.expect("neglected")
					for _, p := range dead {
						awaitZombie(t, p, adopter)
					}
				}
			})
		}
	})
}

// awaitZombies waits until the parent below the service below the guard has so
// many zombies, and returns those two.
func awaitZombies(t *testing.T, s *session, g guard, many int) (service, parent reap.Proc) {
	t.Helper()
	eventually(t, "the children are zombies", func() bool {
		services := []reap.Proc{{PID: s.pid}}
		if g.depth() > 0 {
			services = children(s.pid)
		}
		for _, service = range services {
			for _, parent = range children(service.PID) {
				if zombies(parent.PID) == many {
					return true
				}
			}
		}
		return false
	})
	return service, parent
}

// childNamed waits for a child with that command name.
func childNamed(t *testing.T, pid int, name string) reap.Proc {
	t.Helper()
	var child reap.Proc
	eventually(t, fmt.Sprintf("%d has a child %s", pid, name), func() bool {
		for _, child = range children(pid) {
			if child.Name == name {
				return true
			}
		}
		return false
	})
	return child
}

// story is what the demonstration prints, in this order, with other lines in
// between. A word in angle brackets is a number: the same wherever it stands.
var story = []string{
	`1\. .*`,
	`STAT +PPID +PID CMD`,
	`S\S* +<demo> +<parent> demo parent bash`,
	`S\S* +<parent> +<child> bash -c sleep 2 && echo .*`,
	`S\S* +<child> +<sleep> sleep 2`,
	`2\. .*`,
	`bash: my work is done`,
	`STAT +PPID +PID CMD`,
	`S\S* +<demo> +<parent> demo parent bash`,
	`Z\S* +<parent> +<child> \[bash\] <defunct>`,
	`3\. .*`,
	`STAT +PPID +PID CMD`,
	`S\S* +<demo> +<parent> demo parent bash`,
	``,
	`4\. .*`,
	`STAT +PPID +PID CMD`,
	`S\S* +<demo> +<parent4> demo parent cat`,
	`S\S* +<parent4> +<orphan4> cat`,
	`STAT +PPID +PID CMD`,
	`S\S* +<adopter> +<orphan4> cat`,
	`5\. .*`,
	`STAT +PPID +PID CMD`,
	`S\S* +<demo> +<reaper> reaper -- demo service cat`,
	`S\S* +<reaper> +<service> demo service cat`,
	`S\S* +<service> +<parent5> demo parent cat`,
	`S\S* +<parent5> +<orphan> cat`,
	`STAT +PPID +PID CMD`,
	`S\S* +<demo> +<reaper> reaper -- demo service cat`,
	`S\S* +<reaper> +<service> demo service cat`,
	`S\S* +<reaper> +<orphan> cat`,
	``,
	`STAT +PPID +PID CMD`,
	`S\S* +<demo> +<reaper> reaper -- demo service cat`,
	`S\S* +<reaper> +<service> demo service cat`,
	``,
	`6\. .*`,
	`STAT +PPID +PID CMD`,
	`S\S* +<demo> +<reaper6> reaper -- demo service true 50`,
	`S\S* +<reaper6> +<service6> demo service true 50`,
	`S\S* +<service6> +<parent6> demo parent true 50`,
	`Z\S* +<parent6> +<zombie1> \[true\] <defunct>`,
	`Z\S* +<parent6> +<zombie2> \[true\] <defunct>`,
	`Z\S* +<parent6> +<zombie3> \[true\] <defunct>`,
	`\.\.\. and 47 more zombies whose parent is <parent6>`,
	`Zombies of the parent \(<parent6>\): 50\. Zombies of reaper \(<reaper6>\): 0\.`,
	`STAT +PPID +PID CMD`,
	`S\S* +<demo> +<reaper6> reaper -- demo service true 50`,
	`S\S* +<reaper6> +<service6> demo service true 50`,
	``,
	`Of the 50 zombies, 0 are left\. Zombies of reaper \(<reaper6>\): 0\.`,
}

var placeholder = regexp.MustCompile(`<(\w+)>`)

// checkStory finds the story in the output, which is plain text that fits a
// terminal, and returns the numbers.
func checkStory(t *testing.T, output []string) map[string]string {
	t.Helper()
	numbers := make(map[string]string)
	next := 0
	for _, want := range story {
		var unknown []string
		pattern := placeholder.ReplaceAllStringFunc(want, func(word string) string {
			name := strings.Trim(word, "<>")
			switch number, known := numbers[name]; {
			case name == "defunct":
				return word
			case known:
				return number
			default:
				unknown = append(unknown, name)
				return `(\d+)`
			}
		})
		line := regexp.MustCompile(`^` + pattern + `$`)
		at := slices.IndexFunc(output[next:], line.MatchString)
		if at < 0 {
			t.Fatalf("no line %s after line %d of\n%s", pattern, next, strings.Join(output, "\n"))
		}
		for i, number := range line.FindStringSubmatch(output[next+at])[1:] {
			numbers[unknown[i]] = number
		}
		next += at + 1
	}
	for _, line := range output {
		if utf8.RuneCountInString(line) > 80 || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("not plain, or wider than a terminal: %q", line)
		}
	}
	return numbers
}

// prose is the output as one line, to look for sentences.
func prose(output []string) string { return strings.Join(output, " ") }

func needBash(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		cannot(t, "the demonstration starts bash: %v", err)
	}
}

// nothingLeft checks that nothing is below the test, which is a subreaper that
// waits for no orphan: not even a zombie.
func nothingLeft(t *testing.T) {
	t.Helper()
	if left := descendants(os.Getpid()); len(left) > 0 {
		t.Errorf("it left\n%s", table(os.Getpid()))
	}
}

// make demo ends with 0, tells the story, and leaves no process. It runs below
// reaper, so that what becomes of the orphan of step 4 is known.
func TestMakeDemo(t *testing.T) {
	needExact(t) // the demonstration itself is the same in both runs
	needBash(t)
	bin := filepath.Join(t.TempDir(), "reaper")
	// Compiling for the first time takes as long as it takes.
	for _, warm := range [][]string{{"make", "-s", "-C", "..", "build", "BIN=" + bin}, {"go", "build", "-o", os.DevNull, "./demo"}} {
		if out, err := exec.Command(warm[0], warm[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", warm, err, out)
		}
	}
	s := launch(t, asSubreaper, nil, "--", "make", "-s", "-C", "..", "demo", "BIN="+bin)
	s.wantCode(0)
	output := s.stdout.rest()
	numbers := checkStory(t, output)
	if numbers["adopter"] != fmt.Sprint(s.pid) {
		t.Errorf("the orphan of step 4 went to %s, not to the reaper above the demonstration, %d", numbers["adopter"], s.pid)
	}
	for _, sentence := range []string{"That is reaper, a subreaper above this demo.", "none of its processes is left."} {
		if !strings.Contains(prose(output), sentence) {
			t.Errorf("it does not say %q\n%s", sentence, s.stdout)
		}
	}
	if errs := prose(s.stderr.rest()); errs != "" {
		t.Errorf("stderr: %s", s.stderr)
	}
	nothingLeft(t)
}

// Who adopts the orphan of step 4 is told as it is (pitfall 26).
func TestDemoTellsWhoAdopts(t *testing.T) {
	needExact(t) // the demonstration itself is the same in both runs
	needBash(t)
	demo := demoProgram(t)
	for _, c := range []struct {
		name      string
		init      []string // PID 1 of the namespace, before the demonstration
		adopter   string   // its pid
		sentences []string
	}{
		{"shell", []string{"sh", "-c", `"$@"; exit $?`, "sh"}, "1", []string{
			"That is pid 1, sh.", "sh has waited for it.", "none of its processes is left.",
		}},
		{"reaper", []string{reaperBin, "--"}, "1", []string{
			"That is pid 1, reaper.", "reaper has waited for it.", "none of its processes is left.",
		}},
		{"negligent", []string{probeBin, "negligent"}, "1", []string{
			"That is pid 1, probe.", "but probe has not waited for it: 3s later it is still a zombie.",
			"Of all its processes one is left: the zombie of step 4",
		}},
		{"itself", nil, "1", []string{
			"That is this demo itself: it runs as pid 1 here.", "That has now been done.", "none of its processes is left.",
		}},
		{"nested", []string{"sh", "-c", `"$@"; exit $?`, "sh", reaperBin, "--"}, "2", []string{
			"That is reaper, a subreaper above this demo.", "none of its processes is left.",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			argv := append(withOwnProc(t), append(c.init, demo, reaperBin)...)
			s := launchProgram(t, asSubreaper, nil, argv[0], argv[1:]...)
			s.stdin.Close()
			s.wantCode(0)
			output := s.stdout.rest()
			if got := checkStory(t, output)["adopter"]; got != c.adopter {
				t.Errorf("the adopter is %s, want %s", got, c.adopter)
			}
			for _, sentence := range c.sentences {
				if !strings.Contains(prose(output), sentence) {
					t.Errorf("it does not say %q\n%s", sentence, s.stdout)
				}
			}
		})
	}
}

// withOwnProc is the command line that runs the rest of it as PID 1 of a pid
// namespace with a /proc of its own.
func withOwnProc(t *testing.T) []string {
	t.Helper()
	argv := []string{"unshare", "--pid", "--fork", "--mount-proc"}
	if os.Geteuid() != 0 {
		argv = append(argv, "--user", "--map-root-user")
	}
	if out, err := exec.Command(argv[0], append(argv[1:], "true")...).CombinedOutput(); err != nil {
		cannot(t, "no pid namespace with its own /proc on this machine: %v %s", err, out)
	}
	return argv
}

// Whoever ends the demonstration, and wherever, none of its processes lives on.
// The zombie of step 4, if it is there already, is the test's: the adopter.
func TestDemoInterrupted(t *testing.T) {
	needExact(t) // the demonstration itself is the same in both runs
	needBash(t)
	demo := demoProgram(t)
	const group = true // as ^C does it
	for _, c := range []struct {
		step  int
		sig   syscall.Signal
		group bool
	}{
		{1, unix.SIGINT, !group},
		{2, unix.SIGINT, group},
		{2, unix.SIGKILL, !group},
		{3, unix.SIGHUP, !group},
		{4, unix.SIGKILL, !group},
		{5, unix.SIGINT, group},
		{6, unix.SIGTERM, !group},
		{6, unix.SIGKILL, !group},
	} {
		t.Run(fmt.Sprintf("step %d %s group %v", c.step, unix.SignalName(c.sig), c.group), func(t *testing.T) {
			s := launchProgram(t, asSubreaper, nil, demo, stuckReaper(t, c.step))
			s.expect(fmt.Sprintf("%d. ", c.step))
			if c.step > 4 {
				s.expect("stuck")
			}
			to := s.pid
			if c.group {
				to = -s.pid // it leads its session
			}
			if err := unix.Kill(to, c.sig); err != nil {
				t.Fatal(err)
			}
			status := s.wait()
			if c.sig == unix.SIGKILL {
				// Its pipes are closed, and all that read from them end.
				eventually(t, "nothing is left that lives", func() bool { return alive() == 0 })
				return
			}
			if status != reap.ExitStatus(128+int(c.sig)) {
				t.Errorf("it ended with %v\n%s", status, s.stderr)
			}
			if !strings.Contains(prose(s.stderr.rest()), "interrupted by "+unix.SignalName(c.sig)) {
				t.Errorf("stderr: %s", s.stderr)
			}
			if alive() > 0 {
				t.Errorf("it left\n%s", table(os.Getpid()))
			}
		})
	}
}

// stuckReaper is a reaper that in step 5 or 6 runs something else that never
// makes the scene complete, so that the demonstration does not get further.
func stuckReaper(t *testing.T, step int) string {
	t.Helper()
	stuckAt := map[int]string{5: "service cat", 6: "service true"}[step]
	if stuckAt == "" {
		return reaperBin
	}
	return script(t, fmt.Sprintf(`case "$*" in *%q*) exec %s -- sh -c 'echo stuck; cat' ;; esac; exec %[2]s "$@"`, stuckAt, reaperBin))
}

// script is a shell script that stands in the place of reaper.
func script(t *testing.T, body string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "reaper")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// ^C ends it wherever it is: also while reaper runs, which would hand the
// terminal to its command if it were in the foreground.
func TestDemoOnTerminal(t *testing.T) {
	needExact(t) // the demonstration itself is the same in both runs
	needBash(t)
	demo := demoProgram(t)
	for _, c := range []struct {
		step  int
		until string // what is on the screen when the key is pressed
	}{
		{1, " sleep 2\n"},
		{5, "stuck"},
		{6, "stuck"},
	} {
		t.Run(fmt.Sprintf("step %d", c.step), func(t *testing.T) {
			tty := startTerminal(t, asSubreaper, nil, demo, stuckReaper(t, c.step))
			tty.expect(c.until)
			tty.typeKeys(keyInterrupt)
			if status := tty.wait(); status != reap.ExitStatus(128+int(unix.SIGINT)) {
				t.Errorf("it ended with %v", status)
			}
			if alive() > 0 {
				t.Errorf("it left\n%s", table(os.Getpid()))
			}
			if row := regexp.MustCompile(`\nS[N<]?\+ +\d+ +\d+ sleep 2\n`); !row.MatchString(tty.shown()) {
				t.Errorf("sleep is not in the foreground:\n%s", tty.shown())
			}
		})
	}
}

// alive counts the processes below the test that are no zombies.
func alive() int {
	n := 0
	for _, p := range descendants(os.Getpid()) {
		if !p.Zombie() {
			n++
		}
	}
	return n
}

// What does not come is told, with what was there instead: the control for all
// that the demonstration says about reaper. It runs below reaper, to which go
// what it loses.
func TestDemoFails(t *testing.T) {
	needExact(t) // the demonstration itself is the same in both runs
	needBash(t)
	demo := demoProgram(t)
	for _, c := range []struct {
		name   string
		reaper string
		want   []string // regular expressions, of lines of stderr in this order
	}{
		{"it adopts nothing", script(t, `shift; "$@"; exit $?`), []string{
			`demo: step 5: expected reaper to have two children, .* but saw`,
			`STAT +PPID +PID CMD`,
			`S\S* +\d+ +\d+ .*reaper -- .*`, // the one above, which got it
			`S\S* +\d+ +\d+ cat`,
		}},
		{"it does not reap", script(t, `shift; file=$(command -v "$1"); shift; exec `+probeBin+` negligent "$file" "$@"`), []string{
			`demo: step 5: expected reaper and the service alone, but saw`,
			`STAT +PPID +PID CMD`,
			`S\S* +\d+ +\d+ .*probe negligent .*`,
			`S\S* +\d+ +\d+ .*demo service cat`,
			`Z\S* +\d+ +\d+ \[cat\] <defunct>`,
		}},
		{"it is not there", "/nonexistent/reaper", []string{
			`demo: find reaper: stat /nonexistent/reaper: no such file or directory`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := launch(t, asSubreaper, nil, "--", demo, "-patience", "15s", c.reaper)
			s.wantCode(1)
			errs := s.stderr.rest()
			for next, i := 0, 0; i < len(c.want); i++ {
				at := slices.IndexFunc(errs[next:], regexp.MustCompile(`^`+c.want[i]+`$`).MatchString)
				if at < 0 {
					t.Fatalf("no line %s in\n%s", c.want[i], s.stderr)
				}
				next += at + 1
			}
			nothingLeft(t)
		})
	}
}

// Called wrongly, or where nothing could be shown, it says so and starts nothing.
func TestDemoRefuses(t *testing.T) {
	demo := demoProgram(t)
	for _, args := range [][]string{{}, {"one", "two", "three"}, {"-x", "reaper"}} {
		s := launchProgram(t, asSubreaper, nil, demo, args...)
		s.wantCode(2)
		if !strings.Contains(prose(s.stderr.rest()), "usage: demo ") {
			t.Errorf("%q: %s", args, s.stderr)
		}
	}
	t.Run("proc of another namespace", func(t *testing.T) { // pitfall 38
		s := launchProgram(t, asPID1, nil, demo, reaperBin)
		s.wantCode(1)
		if !strings.Contains(prose(s.stderr.rest()), "/proc does not show this pid namespace") {
			t.Errorf("stderr: %s", s.stderr)
		}
	})
	t.Run("nobody reads", func(t *testing.T) {
		needBash(t)
		r, w := pipe(t)
		r.Close()
		s := launchProgram(t, asSubreaper, func(cmd *exec.Cmd) { cmd.Stdout = w }, demo, reaperBin)
		s.wantCode(1)
		if !strings.Contains(prose(s.stderr.rest()), "broken pipe") {
			t.Errorf("stderr: %s", s.stderr)
		}
		nothingLeft(t)
	})
}
