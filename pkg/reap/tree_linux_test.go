package reap

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// family is a tree with all that is awkward. The top becomes a sleep that waits
// for nobody; label tells the others apart.
const family = `
	sh -c 'sh -c "sleep 1001; :"; :' &          # deep
	(setsid sh -c "setsid sleep 1002 & exit" &) # has left everything
	sh -c ': & exec sleep 1003' &               # beside a zombie that it never reaps
	sh -c 'kill -STOP $$' &
	sh -c 'printf ") R 1 (" > /proc/$$/comm; sleep 1005; :' &
	exec sleep 1000`

// label names a process of a test: a sleep by its time, which is its own, and
// others by their state and name.
func label(p Proc) string {
	if args, _ := CommandLine(p.PID); p.Name == "sleep" && len(args) == 2 {
		return args[1]
	}
	return string(p.State) + " " + p.Name
}

// awaitFamily waits until the labels of the processes below this one are those,
// in any order, and returns them in the order of the tree.
func awaitFamily(t *testing.T, want ...string) (procs []Proc, byLabel map[string]Proc) {
	t.Helper()
	slices.Sort(want)
	var labels []string
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the last labels are %q", labels)
		}
	})
	eventually(t, fmt.Sprintf("below are %q", want), func() bool {
		var err error
		if procs, err = Descendants(); err != nil {
			t.Fatal(err)
		}
		labels, byLabel = nil, make(map[string]Proc)
		for _, p := range procs {
			l := label(p)
			byLabel[l], labels = p, append(labels, l)
		}
		slices.Sort(labels)
		return slices.Equal(labels, want)
	})
	return procs, byLabel
}

func mustAdopt(t *testing.T) {
	t.Helper()
	if err := BecomeSubreaper(); err != nil {
		t.Fatal(err)
	}
}

// endFamily kills and reaps whatever is below this process.
func endFamily(t *testing.T) (exits []Exit, rounds int) {
	t.Helper()
	eventually(t, "no process is left", func() bool {
		rounds++
		if _, err := KillDescendants(numbered()); err != nil {
			t.Fatal(err)
		}
		var more bool
		var err error
		if exits, more, err = Drain(exits); err != nil {
			t.Fatal(err)
		}
		return !more
	})
	return exits, rounds
}

func TestDescendants(t *testing.T) {
	if !alone(t) {
		return
	}
	mustAdopt(t)
	if procs, err := Descendants(); err != nil || len(procs) != 0 || !ownProc() {
		t.Errorf("of nobody: %v, %v", procs, err)
	}
	ended := mustStart(t, "true")
	awaitState(t, ended, "Z")
	top := mustStart(t, "sh", "-c", family)
	procs, byLabel := awaitFamily(t, "1000", "1001", "1002", "1003", "1005", "S sh", "S sh", "T sh", "Z sh", "S ) R 1 (")

	known := map[int]bool{os.Getpid(): true}
	for _, p := range procs {
		if !known[p.PPID] || known[p.PID] {
			t.Errorf("before its parent, or twice: %+v of %+v", p, procs)
		}
		known[p.PID] = true
	}
	for child, parent := range map[string]int{
		"1000": os.Getpid(), "1002": os.Getpid(), "1003": top, "T sh": top, "S ) R 1 (": top,
		"Z sh": byLabel["1003"].PID, "1005": byLabel["S ) R 1 ("].PID,
	} {
		if p := byLabel[child]; p.PPID != parent {
			t.Errorf("the parent of %s is %d: %+v", child, parent, p)
		}
	}
	if p := byLabel["T sh"]; p.Threads != 1 {
		t.Errorf("stopped: %+v", p)
	}
	if p := byLabel["1002"]; p.Session != p.PID {
		t.Errorf("it has a session of its own: %+v", p)
	}
	sameBothWays(t, procs)
	awaitReap(t, ended) // it is there still
	endFamily(t)
}

// sameBothWays reads the tree by walk and by scan, and wants these.
func sameBothWays(t *testing.T, want []Proc) {
	t.Helper()
	for name, read := range map[string]func() ([]Proc, error){"walk": walk, "scan": scan} {
		got, err := read()
		if err != nil {
			t.Fatal(err)
		}
		byPID := func(a, b Proc) int { return a.PID - b.PID }
		slices.SortFunc(got, byPID)
		want := slices.SortedFunc(slices.Values(want), byPID)
		same := func(a, b Proc) bool {
			return a.Same(b) && a.PPID == b.PPID && a.Name == b.Name && a.Session == b.Session
		}
		if !slices.EqualFunc(got, want, same) {
			t.Errorf("%s: got %+v\nwant %+v", name, got, want)
		}
	}
}

// forker starts a sleep by a thread that is not the first, and lives until its
// input ends; with a second argument its first thread does not.
var forker = newRole("forker", func(args []string) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		started <- exec.Command("sleep", args[0]).Start()
		select {} // the thread has to stay
	}()
	if err := <-started; err != nil {
		return err
	}
	if len(args) > 1 {
		_, _, errno := unix.Syscall(unix.SYS_EXIT, 0, 0, 0) // the thread alone
		return errno
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
})

// Each thread has children of its own; and a process whose first thread has ended
// lives, whatever its state says (pitfall 20).
func TestDescendantsOfThreads(t *testing.T) {
	forker.used = true
	if !alone(t) {
		return
	}
	mustAdopt(t)
	for _, args := range [][]string{{"1001"}, {"1001", "headless"}} {
		cmd := forker.command(t, args...)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pid := cmd.Process.Pid
		var procs []Proc
		eventually(t, "it and its child are there", func() bool {
			if procs, err = Descendants(); err != nil {
				t.Fatal(err)
			}
			return len(procs) == 2 && label(procs[1]) == "1001" && (len(args) == 1 || procs[0].Zombie())
		})
		if p := procs[0]; p.PID != pid || p.Threads < 2 || procs[1].PPID != pid || reallyZombie(p) {
			t.Errorf("%+v", procs)
		}
		first, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		if len(args) == 1 && len(first) > 0 { // no such file without CONFIG_PROC_CHILDREN
			t.Errorf("it is a child of the first thread: %q, %v", first, err)
		}
		sameBothWays(t, procs)
		killed, err := KillDescendants(numbered())
		if len(killed) != 2 || err != nil {
			t.Errorf("killed %+v, %v", killed, err)
		}
		endFamily(t)
		_ = stdin.Close()
		if err := cmd.Process.Release(); err != nil { // it has been reaped
			t.Error(err)
		}
	}
}

func TestChildPIDs(t *testing.T) {
	if !alone(t) {
		return
	}
	mustAdopt(t)
	ended := mustStart(t, "true")
	awaitState(t, ended, "Z")
	want := []int{mustStart(t, "sh", "-c", "sleep 1001; :"), mustStart(t, "sleep", "1002")}
	awaitFamily(t, "1001", "1002", "S sh")
	slices.Sort(want)
	if got := ChildPIDs(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	awaitReap(t, ended)
	endFamily(t)
	if got := ChildPIDs(); len(got) != 0 {
		t.Errorf("of nobody: %v", got)
	}
}

// A pid namespace whose /proc is that of another has none, and neither has one
// that is not mounted. What must be done is done without.
func TestWithoutProc(t *testing.T) {
	needNamespaces(t)
	for _, c := range []struct {
		name, script string
		unshare      uintptr
		pid1         bool
		want         string
	}{
		{"PID 1, another /proc", `exec "$@"`, 0, true, "no /proc of this pid namespace; killed 3, <nil>; reaped 5"},
		{"another /proc", `"$@"; :`, 0, true, "no /proc of this pid namespace; killed 3, <nil>; reaped 5"},
		{"no /proc", `umount -l /proc && exec "$@"`, unix.CLONE_NEWNS, false, "no /proc of this pid namespace; killed 3, <nil>; reaped 5"},
		{"PID 1, no /proc", `umount -l /proc && exec "$@"`, unix.CLONE_NEWNS, true, "no /proc of this pid namespace; killed 3, <nil>; reaped 5"},
		{"PID 1, its own /proc", `mount -t proc proc /proc && exec "$@"`, unix.CLONE_NEWNS, true, "<nil>; killed 4, <nil>; reaped 5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.unshare != 0 && os.Getuid() != 0 {
				cannot(t, "only root can mount and unmount /proc")
			}
			cmd := parricide.command(t)
			cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", c.script, "sh"}, cmd.Path)
			stderr := new(strings.Builder) // without /proc the race detector complains, and goes on
			cmd.Stderr = stderr
			inNamespace(cmd)
			if !c.pid1 {
				cmd.SysProcAttr.Cloneflags = 0
			}
			cmd.SysProcAttr.Unshareflags = c.unshare
			if out, err := cmd.Output(); err != nil || string(out) != c.want {
				t.Errorf("%v\ngot  %q\nwant %q\n%s", err, out, c.want, stderr)
			}
		})
	}
}

// parricide has three children and one grandchild, and one more child that has
// ended; kills all, and tells what it knew.
var parricide = newRole("parricide", func([]string) error {
	if err := BecomeSubreaper(); err != nil {
		return err
	}
	told, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	keep, err := unix.FcntlInt(tell.Fd(), unix.F_DUPFD, 0) // for the children
	if err != nil {
		return err
	}
	for _, script := range []string{"exec sleep 1000", "exec sleep 1000", fmt.Sprintf("sleep 1000 & echo >&%d; wait", keep), "exit 3"} {
		if _, err := Start(Command{Args: []string{"/bin/sh", "-c", script}, Env: environment()}); err != nil {
			return err
		}
	}
	if _, err := told.Read(make([]byte, 1)); err != nil {
		return err
	}
	for ok := false; !ok; _, ok = Peek() { // exit 3
		runtime.Gosched()
	}
	_, err = Descendants()
	fmt.Printf("%v; ", err)
	killed, err := KillDescendants(numbered())
	fmt.Printf("killed %d, %v; ", len(killed), err)
	for reaped := 0; ; {
		exits, more, err := Drain(nil)
		if err != nil {
			return err
		}
		if reaped += len(exits); !more {
			fmt.Printf("reaped %d", reaped)
			return nil
		}
		if len(exits) > 0 && os.Getpid() != 1 { // a grandchild is a child now
			if _, err := KillDescendants(numbered()); err != nil {
				return err
			}
		}
		runtime.Gosched()
	}
})

func TestAge(t *testing.T) {
	const second = time.Second
	for _, c := range []struct {
		start        uint64
		uptime, want time.Duration
	}{
		{0, 0, 0},
		{100, second, 0},
		{100, 2 * second, second},
		{150, 2 * second, second / 2},
		{100, second + 19*time.Millisecond, 19 * time.Millisecond},
		{100, second / 2, 0}, // the clock was read before the process started
	} {
		if got := (Proc{Start: c.start}).Age(c.uptime); got != c.want {
			t.Errorf("%d at %v: got %v, want %v", c.start, c.uptime, got, c.want)
		}
	}
	self, err := ReadProc(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	before := self.Age(Uptime())
	if before > time.Hour || Uptime() < before {
		t.Errorf("the tests have run for %v of %v", before, Uptime())
	}
	eventually(t, "it grows older", func() bool { return self.Age(Uptime()) > before })

	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		t.Fatal(err)
	}
	seconds, err := strconv.ParseFloat(strings.Fields(string(text))[0], 64)
	if gap := Uptime() - time.Duration(seconds*float64(second)); err != nil || gap < 0 || gap > patience {
		t.Errorf("%s and %v, %v", text, Uptime(), err)
	}
}

func TestSame(t *testing.T) {
	p := Proc{PID: 7, Start: 8, Name: "a", State: 'R'}
	for q, want := range map[Proc]bool{
		{PID: 7, Start: 8, Name: "b", State: 'Z', PPID: 1}: true,
		{PID: 7, Start: 9, Name: "a", State: 'R'}:          false,
		{PID: 8, Start: 8, Name: "a", State: 'R'}:          false,
	} {
		if p.Same(q) != want || q.Same(p) != want {
			t.Errorf("%+v and %+v", p, q)
		}
	}
}

func TestReadFile(t *testing.T) {
	for _, path := range []string{"/proc/self/status", "/proc/mounts", "/proc/kallsyms", "/proc/version"} {
		want, err := os.ReadFile(path)
		if err != nil {
			continue // not everybody may, or has it
		}
		got, err := readFile(path)
		if err != nil || len(want)/2 > len(got) || path == "/proc/version" && string(got) != string(want) {
			t.Errorf("%s: %d and %d bytes, %v", path, len(got), len(want), err)
		}
	}
	if _, err := readFile("/proc/self/task"); !errors.Is(err, unix.EISDIR) {
		t.Errorf("a directory: %v", err)
	}
	if _, err := readFile("/proc/none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
