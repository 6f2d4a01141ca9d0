package reap

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
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

// Signals that arrive in the middle of a start, at this program and at the child
// while it is still of the same group, do not disturb it; nor does the collector.
func TestStartInAStorm(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			if err := unix.Setpgid(0, 0); err != nil {
				t.Fatal(err)
			}
			got := make(chan os.Signal, 1)
			signal.Notify(got, unix.SIGWINCH, unix.SIGCHLD)
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
						_ = unix.Kill(0, unix.SIGWINCH) // to the group; it cannot fail
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
				cannot(t, "no pid namespace: %v", err)
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
