package reap

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A way is one of the two to start a command: exactly, with what was inherited,
// and by Go's own rules.
type way struct {
	name      string
	inherited *Inheritance
}

var ways = []way{{"exact", &Inheritance{}}, {"go", nil}}

// bothWays has the test run alone, once for each way.
func bothWays(t *testing.T) []way {
	t.Helper()
	if !alone(t) {
		return nil
	}
	return ways
}

// output runs a command to its end with a pipe as its stdout. A start that fails
// gives its error.
func output(t *testing.T, c Command) (string, Status, error) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	pid, err := withStdout(t, w, func() (int, error) { return Start(c) })
	if err != nil {
		return "", 0, err
	}
	w.Close()
	var out strings.Builder
	if _, err := r.WriteTo(&out); err != nil {
		t.Error(err)
	}
	return out.String(), awaitReap(t, pid).Status, nil
}

// withStdout has another descriptor 1 while start runs. The test is alone in its
// process, and says nothing meanwhile.
func withStdout(t *testing.T, w *os.File, start func() (int, error)) (int, error) {
	t.Helper()
	saved, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(unix.Dup3(saved, 1, 0), unix.Close(saved)); err != nil {
			t.Fatal(err)
		}
	}()
	if err := unix.Dup3(int(w.Fd()), 1, 0); err != nil {
		t.Fatal(err)
	}
	return start()
}

// mustOutput is output for what has to end well.
func mustOutput(t *testing.T, c Command) string {
	t.Helper()
	out, status, err := output(t, c)
	if err != nil || status != 0 {
		t.Fatalf("%q: %v, %v", c.Args, status, err)
	}
	return out
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// searchCase is one walk along PATH, with the arguments one and two.
type searchCase struct {
	name string
	arg  string // what is started
	path string // PATH; "-" is none at all
	want string // what it prints; or else
	err  *StartError
}

var longName = strings.Repeat("x", 300)

func notFound(name string) *StartError { return &StartError{Op: "find", Path: name, Err: unix.ENOENT} }

func notThere(path string, err error) *StartError {
	return &StartError{Op: "exec", Path: path, Err: err}
}

func refused(path string, err error) *StartError {
	return &StartError{Op: "exec", Path: path, Found: true, Err: err}
}

func noInterpreter(path string) *StartError {
	return &StartError{Op: "exec", Path: path, Found: true, NoInterpreter: true, Err: unix.ENOENT}
}

// searchCases are the rules of execvp(3), one for each errno that matters.
var searchCases = []searchCase{
	{"the first counts", "prog", "good:other", "good/prog", nil},
	{"ENOENT is passed over", "prog", "empty:good", "good/prog", nil},
	{"no such directory is passed over", "prog", "none:none/none:good", "good/prog", nil},
	{"ENOTDIR is passed over", "prog", "file:good", "good/prog", nil},
	{"a dangling link is passed over", "prog", "dangling:good", "good/prog", nil},
	{"EACCES is passed over", "prog", "denied:good", "good/prog", nil},
	{"a directory is passed over", "prog", "dir:good", "good/prog", nil},
	{"a missing interpreter is passed over", "prog", "broken:good", "good/prog", nil},
	{"what has no format is the shell's", "prog", "empty:shell:good", "by shell shell/prog one two", nil},

	{"nowhere", "prog", "empty:none:file:dangling", "", notFound("prog")},
	{"EACCES is told", "prog", "denied", "", refused("denied/prog", unix.EACCES)},
	{"EACCES counts more than ENOENT", "prog", "empty:denied:empty", "", refused("denied/prog", unix.EACCES)},
	{"the first EACCES is told", "prog", "dir:denied", "", refused("dir/prog", unix.EACCES)},
	{"a missing interpreter is told", "prog", "broken:empty", "", noInterpreter("broken/prog")},
	{"EACCES counts more than that", "prog", "broken:denied", "", refused("denied/prog", unix.EACCES)},
	{"any other error ends the search", "prog", "empty:loop:good", "", notThere("loop/prog", unix.ELOOP)},
	{"even after EACCES", "prog", "denied:loop:good", "", notThere("loop/prog", unix.ELOOP)},
	{"too long a name ends it", longName, "empty:good", "", notThere("empty/"+longName, unix.ENAMETOOLONG)},

	{"an empty PATH is the current directory", "here", "", "here", nil},
	{"and an empty element, the first", "here", ":empty", "here", nil},
	{"in the middle", "here", "empty::empty", "here", nil},
	{"the last", "here", "empty:", "here", nil},
	{"and the dot", "here", "empty:.", "./here", nil},
	{"which is not there by itself", "here", "empty", "", notFound("here")},
	{"an empty element, and no format", "plain", "empty:", "by shell plain one two", nil},

	{"without PATH there is a default", "echo", "-", "one two", nil},
	{"without the current directory", "here", "-", "", notFound("here")},

	{"a slash: no search", "good/prog", "other", "good/prog", nil},
	{"a slash at the start", "./here", "other", "./here", nil},
	{"a slash, nothing there", "none/prog", "good", "", notThere("none/prog", unix.ENOENT)},
	{"a slash, below a file", "file/prog", "good", "", notThere("file/prog", unix.ENOTDIR)},
	{"a slash, a dangling link", "dangling/prog", "good", "", notThere("dangling/prog", unix.ENOENT)},
	{"a slash, denied", "denied/prog", "good", "", refused("denied/prog", unix.EACCES)},
	{"a slash, a directory", "dir/", "good", "", refused("dir/", unix.EACCES)},
	{"a slash, a missing interpreter", "broken/prog", "good", "", noInterpreter("broken/prog")},
	{"a slash, a missing loader", "brokenelf/prog", "good", "", noInterpreter("brokenelf/prog")},
	{"a slash, no format", "shell/prog", "good", "by shell shell/prog one two", nil},
	{"a slash, an empty file", "./file", "good", "", nil},
}

func TestStartSearch(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for _, dir := range []string{"empty", "denied", "good", "dir/prog", "dangling", "broken", "brokenelf", "loop", "other", "shell"} {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			const script = "#!/bin/sh\necho $0\n"
			write(t, "here", script, 0o755)
			write(t, "good/prog", script, 0o755)
			write(t, "other/prog", script, 0o755)
			write(t, "denied/prog", script, 0o644)
			write(t, "shell/prog", "echo by shell $0 $@\n", 0o755)
			write(t, "plain", "echo by shell $0 $@\n", 0o755)
			write(t, "broken/prog", "#!/no/such/interpreter\n", 0o755)
			write(t, "brokenelf/prog", withoutLoader(t), 0o755)
			write(t, "file", "", 0o755)
			for link, to := range map[string]string{"dangling/prog": "nowhere", "loop/prog": "prog"} {
				if err := os.Symlink(to, link); err != nil {
					t.Fatal(err)
				}
			}
			for _, test := range searchCases {
				// getenv(3) sees the first PATH.
				env := []string{"X=1", "PATH=" + test.path, "PATH=good"}
				if test.path == "-" {
					env = nil
				}
				got, status, err := output(t, Command{Args: []string{test.arg, "one", "two"}, Env: env, Inherited: way.inherited})
				var failed *StartError
				switch {
				case test.err != nil && !errors.As(err, &failed):
					t.Errorf("%s: got %q, %v, %v; want %+v", test.name, got, status, err, *test.err)
				case test.err != nil && *failed != *test.err:
					t.Errorf("%s: got %+v, want %+v", test.name, *failed, *test.err)
				case test.err == nil && (err != nil || status != 0 || strings.TrimSpace(got) != test.want):
					t.Errorf("%s: got %q, %v, %v; want %q", test.name, got, status, err, test.want)
				}
			}
		})
	}
}

// withoutLoader is a program that was linked for a loader that is not there.
func withoutLoader(t *testing.T) string {
	t.Helper()
	program, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	loader := regexp.MustCompile(`/lib[a-z0-9/_.-]*/ld-[a-z0-9_.-]+\x00`).FindIndex(program)
	if loader == nil {
		t.Skip("/bin/sh has no loader here")
	}
	program[loader[1]-2] = '?'
	return string(program)
}

// What the kernel has no format for goes to the shell as execvp passes it: the
// file, and the arguments from the second on.
func TestStartByShell(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write(t, "script", "for a in \"$0\" \"$@\"; do printf '[%s]' \"$a\"; done; exit 9\n", 0o755)
			for _, test := range []struct {
				args []string
				want string
			}{
				{[]string{"./script"}, "[./script]"},
				{[]string{"./script", "a b", "", "-x", "--"}, "[./script][a b][][-x][--]"},
				{[]string{"script", "1"}, "[script][1]"},
			} {
				got, status, err := output(t, Command{Args: test.args, Env: []string{"PATH="}, Inherited: way.inherited})
				if err != nil || status != ExitStatus(9) || got != test.want {
					t.Errorf("%q: got %q, %v, %v", test.args, got, status, err)
				}
			}
		})
	}
}

// What is wrong with the call itself, or comes before the execution.
func TestStartRefuses(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write(t, "prog", "#!/bin/sh\n", 0o755)
			long := strings.Repeat("x", 1<<20)
			for _, test := range []struct {
				args, env []string
				want      StartError
				text      string
			}{
				{nil, nil, StartError{Op: "find", Path: `""`, Err: unix.ENOENT}, `find "": no such file or directory`},
				{[]string{""}, nil, StartError{Op: "find", Path: `""`, Err: unix.ENOENT}, `find "": no such file or directory`},
				{[]string{"none"}, nil, StartError{Op: "find", Path: "none", Err: unix.ENOENT}, "find none: no such file or directory"},
				{[]string{"./none"}, nil, *notThere("./none", unix.ENOENT), "exec ./none: no such file or directory"},
				{[]string{"./prog", "a\x00b"}, nil, StartError{Op: "pass arguments to", Path: "./prog", Err: unix.EINVAL}, "pass arguments to ./prog: invalid argument"},
				{[]string{"./prog"}, []string{"A=\x00"}, StartError{Op: "pass environment to", Path: "./prog", Err: unix.EINVAL}, "pass environment to ./prog: invalid argument"},
				{[]string{"./prog", long}, nil, *refused("./prog", unix.E2BIG), "exec ./prog: argument list too long"},
				{[]string{"./prog"}, []string{"A=" + long}, *refused("./prog", unix.E2BIG), "exec ./prog: argument list too long"},
			} {
				pid, err := Start(Command{Args: test.args, Env: test.env, Inherited: way.inherited})
				var failed *StartError
				if !errors.As(err, &failed) || *failed != test.want || pid != 0 {
					t.Errorf("%.30q: got %d, %+v; want %+v", test.args, pid, err, test.want)
					continue
				}
				if err.Error() != test.text || !errors.Is(err, test.want.Err) {
					t.Errorf("got %q, want %q", err, test.text)
				}
			}
		})
	}
}

// A file that is open for writing cannot be executed (pitfall 8).
func TestStartBusyFile(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write(t, "prog", "#!/bin/sh\n", 0o755)
			f, err := os.OpenFile("prog", os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			pid, err := Start(Command{Args: []string{"prog"}, Env: []string{"PATH=:/bin"}, Inherited: way.inherited})
			var failed *StartError
			switch {
			case err == nil: // Linux 6.11 and 6.12 allow it
				awaitReap(t, pid)
				t.Skip("this kernel executes a file that is open for writing")
			case !errors.As(err, &failed) || *failed != *refused("prog", unix.ETXTBSY):
				t.Errorf("got %+v", err)
			}
		})
	}
}

// Start comes back when the program is there: a signal to the pid meets it, and
// not a copy of the caller (pitfalls 1, 2 and 57). It has a group of its own.
func TestStartReturnsAfterExec(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			for range 50 {
				pid, err := Start(Command{Args: []string{"sleep", "1000"}, Env: environment(), Inherited: way.inherited})
				if err != nil {
					t.Fatal(err)
				}
				p, err := ReadProc(pid)
				if err != nil || p.Name != "sleep" || p.PGID != pid || p.PPID != os.Getpid() {
					t.Errorf("%+v, %v", p, err)
				}
				if session, err := unix.Getsid(0); err != nil || p.Session != session {
					t.Errorf("session %d, ours %d, %v", p.Session, session, err)
				}
				mustSignal(t, pid, unix.SIGTERM)
				if exit := awaitReap(t, pid); exit.Status != SignalStatus(unix.SIGTERM) {
					t.Errorf("%+v", exit)
				}
			}
		})
	}
}

// Arguments and environment arrive as they are, in their order, and doubled
// where they are doubled (pitfall 61).
func TestStartPassesOn(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			env := []string{"PATH=/usr/bin:/bin", "B=2", "A=1", "B=3", "novalue", "", "=", "U=\xff\n"}
			args := []string{"cat", "/proc/self/environ", "/proc/self/cmdline"}
			want := strings.Join(env, "\x00") + "\x00" + strings.Join(args, "\x00") + "\x00"
			if got := mustOutput(t, Command{Args: args, Env: env, Inherited: way.inherited}); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if got := mustOutput(t, Command{Args: []string{"/bin/cat", "/proc/self/environ"}, Inherited: way.inherited}); got != "" {
				t.Errorf("no environment: %q", got)
			}
		})
	}
}

// The command finds exactly the signals and the limit that are handed to it,
// whatever this program does with its own (pitfalls 4 and 5).
func TestStartExactSignals(t *testing.T) {
	if !haveVfork {
		t.Skip("no vfork on this machine")
	}
	if !alone(t) {
		return
	}
	signal.Notify(make(chan os.Signal, 1))
	signal.Ignore(unix.SIGUSR1, unix.SIGHUP)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own := Signals(unix.SIGUSR2, unix.SIGWINCH)
	setMask(t, own)
	defer setMask(t, 0)

	random := rand.New(rand.NewPCG(1, 2))
	sets := []Inheritance{{}, {Blocked: math.MaxUint64}, {Ignored: math.MaxUint64}, {Blocked: math.MaxUint64, Ignored: math.MaxUint64}}
	for sig := syscall.Signal(1); sig <= NumSignals; sig++ {
		sets = append(sets, Inheritance{Blocked: Signals(sig)}, Inheritance{Ignored: Signals(sig)})
	}
	for range 50 {
		sets = append(sets, Inheritance{Blocked: SignalSet(random.Uint64()), Ignored: SignalSet(random.Uint64())})
	}
	never := Signals(unix.SIGKILL, unix.SIGSTOP)
	for _, in := range sets {
		status := mustOutput(t, Command{Args: []string{"cat", "/proc/self/status"}, Env: environment(), Inherited: &in})
		if got, want := signalField(t, status, "SigBlk"), in.Blocked&^never; got != want {
			t.Errorf("%x: blocked %x, want %x", in, got, want)
		}
		if got, want := signalField(t, status, "SigIgn"), in.Ignored&^never; got != want {
			t.Errorf("%x: ignored %x, want %x", in, got, want)
		}
		for _, field := range []string{"SigCgt", "SigPnd", "ShdPnd"} {
			if got := signalField(t, status, field); got != 0 {
				t.Errorf("%x: %s %x", in, field, got)
			}
		}
		if got := mask(t); got != own {
			t.Fatalf("%x: the start changed the caller's mask to %x", in, got)
		}
	}
}

// setMask sets the signal mask of this thread.
func setMask(t *testing.T, set SignalSet) {
	t.Helper()
	var raw unix.Sigset_t
	raw.Val[0] = uint64(set)
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &raw, nil); err != nil {
		t.Fatal(err)
	}
}

// mask is the signal mask of this thread.
func mask(t *testing.T) SignalSet {
	t.Helper()
	var raw unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, nil, &raw); err != nil {
		t.Fatal(err)
	}
	return SignalSet(raw.Val[0])
}

// By Go's own rules the command has the mask of the thread that starts it, and
// default actions but for what Go itself leaves ignored.
func TestStartByGoSignals(t *testing.T) {
	if !alone(t) {
		return
	}
	signal.Notify(make(chan os.Signal, 1))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own := Signals(unix.SIGUSR2, unix.SIGWINCH)
	setMask(t, own)
	defer setMask(t, 0)
	status := mustOutput(t, Command{Args: []string{"cat", "/proc/self/status"}, Env: environment()})
	if got := signalField(t, status, "SigBlk"); got != own {
		t.Errorf("blocked %x, want %x", got, own)
	}
	if got := signalField(t, status, "SigIgn"); got != 0 {
		t.Errorf("ignored %x", got)
	}
	if got := mask(t); got != own {
		t.Errorf("the start changed the caller's mask to %x", got)
	}
}

// The soft limit of descriptors is the one that was inherited: Go raises its own
// (pitfall 61).
func TestStartLimit(t *testing.T) {
	if !alone(t) {
		return
	}
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err != nil {
		t.Fatal(err)
	}
	limit := func(in *Inheritance) string {
		t.Helper()
		out := mustOutput(t, Command{
			Args: []string{"sh", "-c", "echo $(ulimit -S -n) $(ulimit -H -n)"}, Env: environment(), Inherited: in,
		})
		return strings.TrimSpace(out)
	}
	if haveVfork {
		for _, want := range []Limit{{123, own.Max}, {100, 100}, {own.Max, own.Max}} {
			if got := limit(&Inheritance{NoFile: want}); got != fmt.Sprint(want.Cur, want.Max) {
				t.Errorf("got %s, want %d", got, want)
			}
		}
		// Not known: that of this program.
		if got := limit(&Inheritance{}); got != fmt.Sprint(own.Cur, own.Max) {
			t.Errorf("got %s, want %d", got, own)
		}
	}
	var after unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &after); err != nil || after != own {
		t.Errorf("this program's own limit was %d and is %d, %v", own, after, err)
	}
}

// By Go's own rules the limit is the one from before Go raised it, unless the
// program sets it itself.
func TestStartByGoLimit(t *testing.T) {
	if !alone(t) {
		return
	}
	// A shell with a soft limit of its own becomes this test once more.
	const inner = "REAP_TEST_LIMIT"
	if os.Getenv(inner) == "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		env := append(os.Environ(), inner+"=1", spareRaceExit())
		got := mustOutput(t, Command{
			Args: []string{"sh", "-c", "ulimit -S -n 200 && exec \"$0\" -test.v -test.run=^TestStartByGoLimit$", self}, Env: env,
		})
		if !strings.Contains(got, "limit: 200\n") {
			t.Errorf("got %s", got)
		}
		return
	}
	fmt.Printf("limit: %s", mustOutput(t, Command{Args: []string{"sh", "-c", "ulimit -S -n"}, Env: environment()}))
}

// Descriptors that are to be inherited are, also from 3 on; those that this
// program has for itself are not (pitfall 10). Standard streams that are closed
// stay closed (pitfall 9).
func TestStartDescriptors(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			const kept, own = 42, 43
			for fd, flags := range map[int]int{kept: 0, own: unix.O_CLOEXEC} {
				if err := unix.Dup3(2, fd, flags); err != nil {
					t.Fatal(err)
				}
				defer unix.Close(fd) //nolint:errcheck // it is open
			}
			var want []string
			for _, entry := range descriptors(t) {
				number, _, _ := strings.Cut(entry, " ")
				fd, err := strconv.Atoi(number)
				if err != nil {
					t.Fatal(err)
				}
				if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
					want = append(want, number)
				}
			}
			if slices.Contains(want, strconv.Itoa(own)) || !slices.Contains(want, strconv.Itoa(kept)) {
				t.Fatalf("to be passed on: %q", want)
			}
			out := mustOutput(t, Command{Args: []string{"ls", "/proc/self/fd"}, Env: environment(), Inherited: way.inherited})
			got := strings.Fields(out)
			slices.Sort(got)
			slices.Sort(want)
			more := slices.DeleteFunc(slices.Clone(got), func(fd string) bool { return slices.Contains(want, fd) })
			if len(got) != len(want)+1 || len(more) != 1 || more[0] == strconv.Itoa(own) { // ls reads the directory with one
				t.Errorf("got %q, want %q and one more", got, want)
			}
		})
	}
}

// A terminal that cannot be handed over is no reason not to start.
func TestStartWithoutItsTerminal(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(null) //nolint:errcheck // it is open
			for _, fd := range []int{null, 500} {
				pid, err := Start(Command{Args: []string{"true"}, Env: environment(), Inherited: way.inherited, Terminal: &Terminal{fd}})
				if err != nil {
					t.Fatalf("descriptor %d: %v", fd, err)
				}
				if exit := awaitReap(t, pid); exit.Status != 0 {
					t.Errorf("descriptor %d: %+v", fd, exit)
				}
			}
		})
	}
}

// Starts leave nothing: no child beside the command, no descriptor, no thread;
// and those that fail leave nothing at all.
func TestStartLeavesNothing(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "denied"), "", 0o644)
			write(t, filepath.Join(dir, "broken"), "#!/no/such/interpreter\n", 0o755)
			start := func() {
				pid, err := Start(Command{Args: []string{"true"}, Env: environment(), Inherited: way.inherited})
				if err != nil {
					t.Fatal(err)
				}
				if exit := awaitReap(t, pid); exit.Status != 0 {
					t.Fatalf("%+v", exit)
				}
			}
			fail := func() {
				for _, name := range []string{"denied", "broken", "none"} {
					if pid, err := Start(Command{Args: []string{name}, Env: []string{"PATH=" + dir}, Inherited: way.inherited}); err == nil {
						t.Fatalf("%s: started as %d", name, pid)
					}
					wantNoChildren(t)
				}
			}
			start()
			fail()
			files, tasks := descriptors(t), threads(t)
			for i := range 500 { // with the other way: a thousand
				start()
				if i%10 == 0 {
					fail()
				}
			}
			if after := descriptors(t); !slices.Equal(files, after) {
				t.Errorf("descriptors before %v and after %v", files, after)
			}
			if after := threads(t); after > tasks+runtime.GOMAXPROCS(0)+8 {
				t.Errorf("threads before %d and after %d", tasks, after)
			}
		})
	}
}

func threads(t *testing.T) int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}

// Signals that arrive in the middle of a start are handled by this program and
// never by the child, which shares its memory (pitfall 2); and the collector
// and the starts do not disturb each other.
func TestStartInAStorm(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			got := make(chan os.Signal, 1)
			signal.Notify(got, unix.SIGUSR1, unix.SIGCHLD)
			defer signal.Stop(got)
			var storm sync.WaitGroup
			quit := make(chan struct{})
			defer storm.Wait()
			defer close(quit)
			for range 2 {
				storm.Go(func() {
					for garbage := [][]byte(nil); ; garbage = garbage[:0] {
						select {
						case <-quit:
							return
						default:
						}
						_ = unix.Kill(os.Getpid(), unix.SIGUSR1) // cannot fail
						for range 10 {
							garbage = append(garbage, make([]byte, 10_000))
						}
						runtime.Gosched()
					}
				})
			}
			for i := range 200 {
				want := ExitStatus(i)
				pid, err := Start(Command{Args: []string{"sh", "-c", "exit " + strconv.Itoa(i)}, Env: environment(), Inherited: way.inherited})
				if err != nil {
					t.Fatal(err)
				}
				if exit := awaitReap(t, pid); exit.Status != want {
					t.Fatalf("start %d: %+v", i, exit)
				}
			}
			<-got // there was a storm
		})
	}
}

// A fork that fails is an error that says so, and no hang (pitfall 14): here
// because the first process of its pid namespace has ended.
func TestStartForkFails(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			done := make(chan error)
			go func() {
				runtime.LockOSThread() // never unlocked: the thread ends with its namespace
				err := unix.Unshare(unix.CLONE_NEWPID)
				defer func() { done <- err }()
				if err != nil {
					return
				}
				command := Command{Args: []string{"true"}, Env: environment(), Inherited: way.inherited}
				pid, startErr := Start(command)
				if startErr != nil {
					t.Error(startErr)
					return
				}
				for reaped := false; !reaped; _, reaped = Reap(pid) {
					runtime.Gosched()
				}
				_, startErr = Start(command)
				var failed *StartError
				if !errors.As(startErr, &failed) || failed.Op != "fork for" || !strings.HasSuffix(failed.Path, "/true") || !errors.Is(failed, unix.ENOMEM) {
					t.Errorf("got %#v", startErr)
				} else if !strings.HasPrefix(startErr.Error(), "fork for /") {
					t.Errorf("got %q", startErr)
				}
			}()
			if err := <-done; err != nil {
				t.Skipf("no pid namespace: %v", err)
			}
		})
	}
}

// starter starts a sleep that gets a signal when the starter dies, and lives on.
var starter = newRole("starter", func(args []string) error {
	sig, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	c := Command{Args: []string{"sleep", "1000"}, Env: environment(), ParentDeath: syscall.Signal(sig)}
	if args[0] == "exact" {
		c.Inherited = &Inheritance{}
	}
	pid, err := Start(c)
	if err != nil {
		return err
	}
	fmt.Println(pid)
	for { // onMainThread holds the thread
		_ = unix.Pause() // it returns for each signal that the runtime handles
	}
})

// The command gets its signal when the program that started it is killed
// (pitfall 45), and nothing if it was not asked for: the control.
func TestStartParentDeath(t *testing.T) {
	for _, way := range ways {
		for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGUSR1, unix.SIGKILL, NumSignals} {
			pid := orphaned(t, starter.command(t, way.name, strconv.Itoa(int(sig))))
			if exit := awaitReap(t, pid); exit.Status != SignalStatus(sig) {
				t.Errorf("%s, signal %d: %+v", way.name, sig, exit)
			}
		}
		pid := orphaned(t, starter.command(t, way.name, "0"))
		mustSignal(t, pid, unix.SIGTERM)
		if exit := awaitReap(t, pid); exit.Status != SignalStatus(unix.SIGTERM) {
			t.Errorf("%s, none: %+v", way.name, exit)
		}
	}
}
