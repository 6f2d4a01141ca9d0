package reap

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

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
	commands := []Command{{Args: []string{"cat", "/proc/self/status"}, Env: environment()}}
	if haveVfork {
		commands = append(commands, commands[0])
		commands[1].Attributes.Dir = "/" // so that it is not package syscall that starts it
	}
	signal.Notify(make(chan os.Signal, 1))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own := Signals(unix.SIGUSR2, unix.SIGWINCH)
	setMask(t, own)
	defer setMask(t, 0)
	signal.Ignore(unix.SIGUSR1)
	for _, command := range commands {
		status := mustOutput(t, command)
		if got := signalField(t, status, "SigBlk"); got != own {
			t.Errorf("blocked %x, want %x", got, own)
		}
		// Go takes no 32 to 34, so these stay what whoever runs the test made them.
		if got := signalField(t, status, "SigIgn"); got&^Signals(32, 33, 34) != Signals(unix.SIGUSR1) {
			t.Errorf("ignored %x", got)
		}
		if got := signalField(t, status, "SigCgt"); got != 0 {
			t.Errorf("handled %x", got)
		}
		if got := mask(t); got != own {
			t.Errorf("the start changed the caller's mask to %x", got)
		}
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
		if strings.Count(got, "limit: 200\n") != 2 || !strings.Contains(got, "limit: 150\n") {
			t.Errorf("got %s", got)
		}
		return
	}
	command := Command{Args: []string{"sh", "-c", "ulimit -S -n"}, Env: environment()}
	fmt.Printf("limit: %s", mustOutput(t, command))
	if haveVfork {
		command.Attributes.Dir = "/"
	}
	fmt.Printf("limit: %s", mustOutput(t, command))
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = 150
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("limit: %s", mustOutput(t, command))
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
