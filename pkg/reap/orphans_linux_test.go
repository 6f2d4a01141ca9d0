package reap

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// orphanage is a call of Orphans that runs.
type orphanage struct {
	exits chan Exit
	stop  func() // waits until it has returned
}

func runOrphans(t *testing.T, opts OrphanOptions) *orphanage {
	t.Helper()
	mustAdopt(t) // so that nothing is orphaned too early
	o := &orphanage{exits: make(chan Exit, 1<<16)}
	opts.OnExit = func(exit Exit) { o.exits <- exit }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Orphans(ctx, opts) }()
	o.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(o.stop)
	return o
}

// want waits until exactly these have been reaped, each once.
func (o *orphanage) want(t *testing.T, want map[int]Status) {
	t.Helper()
	got := make(map[int]Status)
	eventually(t, "all are reaped", func() bool {
		select {
		case exit := <-o.exits:
			if status, ok := want[exit.PID]; !ok || status != exit.Status || exit.Name != "" {
				t.Errorf("%+v", exit)
			}
			if _, twice := got[exit.PID]; twice {
				t.Errorf("%d was reaped twice", exit.PID)
			}
			got[exit.PID] = exit.Status
		default:
		}
		return len(got) == len(want)
	})
	o.wantNone(t)
}

// wantNone wants nobody else to have been reaped.
func (o *orphanage) wantNone(t *testing.T) {
	t.Helper()
	for {
		select {
		case exit := <-o.exits:
			t.Errorf("reaped: %+v", exit)
		default:
			return
		}
	}
}

// mustOrphan starts a shell that is orphaned at once, and has the files as 3 and so on.
// Its parent is a subshell that ends: a shell with one thing more to do may wait for it.
func mustOrphan(t *testing.T, script string, files ...*os.File) (pid int) {
	t.Helper()
	cmd := exec.Command("sh", "-c", "(sh -c 'echo $$; exec >/dev/null 2>&1; "+script+"' &)")
	cmd.ExtraFiles = files
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// startChild starts a command by os/exec. The Cmd must be kept: it owns the child.
func startChild(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func wantCode(t *testing.T, cmd *exec.Cmd, want int) {
	t.Helper()
	if err := cmd.Wait(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != want {
		t.Errorf("want exit %d: %v", want, err)
	}
}

// awaitExit waits until the child has exited, and needs no descriptor for that.
func awaitExit(t *testing.T, pid int) {
	t.Helper()
	eventually(t, strconv.Itoa(pid)+" has exited", func() bool {
		_, exited := isChild(pid)
		return exited
	})
}

// Orphans are reaped with their status, be it that they exit before the first look or
// later; children are not.
func TestOrphans(t *testing.T) {
	if !alone(t) {
		return
	}
	mustAdopt(t)
	want := map[int]Status{mustOrphan(t, "exit 3"): ExitStatus(3)}
	for pid := range want {
		awaitExit(t, pid)
	}
	child := startChild(t, "exit 4")
	awaitExit(t, child.Process.Pid)

	o := runOrphans(t, OrphanOptions{})
	o.want(t, want)
	o.want(t, map[int]Status{mustOrphan(t, "exit 5"): ExitStatus(5)})
	o.want(t, map[int]Status{mustOrphan(t, "kill -9 $$"): SignalStatus(unix.SIGKILL)})
	wantCode(t, child, 4)
	o.wantNone(t)
}

// As PID 1 every orphan comes without an attribute.
func TestOrphansAsPID1(t *testing.T) {
	if !aloneInContainer(t) {
		return
	}
	if os.Getpid() != 1 {
		t.Fatalf("it is %d", os.Getpid())
	}
	o := runOrphans(t, OrphanOptions{NoSubreaper: true})
	child := startChild(t, "exit 4")
	o.want(t, map[int]Status{mustOrphan(t, "exit 5"): ExitStatus(5)})
	wantCode(t, child, 4)
}

// aloneInContainer is alone as PID 1 that has a /proc of its own.
func aloneInContainer(t *testing.T) bool {
	t.Helper()
	if os.Getenv(aloneVariable) == "" {
		if os.Getuid() != 0 {
			cannot(t, "only root can mount /proc")
		}
		needNamespaces(t)
	}
	return aloneIn(t, func(cmd *exec.Cmd) {
		inNamespace(cmd)
		cmd.SysProcAttr.Unshareflags = unix.CLONE_NEWNS
		byShell(cmd, "mount -t proc proc /proc")
	})
}

// The children of Cmds that nobody has waited for stand at the head of the list,
// where wait4(-1) and a peek see them first. They keep their codes.
func TestOrphansBehindChildren(t *testing.T) {
	if !alone(t) {
		return
	}
	var children []*exec.Cmd
	for code := range 40 { // more than are held at a time
		children = append(children, startChild(t, "exit "+strconv.Itoa(code)))
	}
	for _, child := range children {
		awaitExit(t, child.Process.Pid)
	}
	o := runOrphans(t, OrphanOptions{})
	for range 3 {
		want := make(map[int]Status)
		for range 50 {
			want[mustOrphan(t, "exit 7")] = ExitStatus(7)
		}
		o.want(t, want)
	}
	first, _ := Peek()
	if !slices.ContainsFunc(children, func(child *exec.Cmd) bool { return child.Process.Pid == first }) {
		t.Errorf("the first is %d, and no child", first)
	}
	for code, child := range children {
		wantCode(t, child, code)
	}
	o.wantNone(t)
}

// A child that was released belongs to nobody, and it makes no difference whether it
// exits before or after. If before, nothing tells of it.
func TestOrphansReleased(t *testing.T) {
	if !alone(t) {
		return
	}
	o := runOrphans(t, OrphanOptions{})
	r, w := mustPipe(t)
	later := exec.Command("sh", "-c", "read x; exit 3")
	later.Stdin = r
	if err := later.Start(); err != nil {
		t.Fatal(err)
	}
	pid := later.Process.Pid
	mustRelease(t, later)
	w.Close()
	o.want(t, map[int]Status{pid: ExitStatus(3)})

	before := startChild(t, "exit 4")
	pid = before.Process.Pid
	awaitExit(t, pid)
	o.wantNone(t)
	mustRelease(t, before)
	o.want(t, map[int]Status{pid: ExitStatus(4)})
}

func mustRelease(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Release(); err != nil {
		t.Fatal(err)
	}
}

func mustPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// So does a child whose Cmd has been collected.
func TestOrphansCollected(t *testing.T) {
	if !alone(t) {
		return
	}
	o := runOrphans(t, OrphanOptions{})
	kept := startChild(t, "exit 4")
	forgotten := startChild(t, "exit 3").Process.Pid
	awaitExit(t, forgotten)
	var exit Exit
	eventually(t, "it has been collected and reaped", func() bool {
		runtime.GC()
		select {
		case exit = <-o.exits:
			return true
		default:
			return false
		}
	})
	if exit.PID != forgotten || exit.Status != ExitStatus(3) {
		t.Errorf("%+v, not %d", exit, forgotten)
	}
	wantCode(t, kept, 4)
	o.wantNone(t)
}

// Who has a pidfd owns the process: a child of ForkExec with one, and an orphan that
// was opened. When it is closed they are nobody's.
func TestOrphansWithPidfd(t *testing.T) {
	if !alone(t) {
		return
	}
	o := runOrphans(t, OrphanOptions{})
	pidfd := -1
	forked, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "exit 3"}, &syscall.ProcAttr{
		Sys: &syscall.SysProcAttr{PidFD: &pidfd},
	})
	if err != nil || pidfd < 0 {
		t.Fatalf("%d, %v", pidfd, err)
	}
	r, w := mustPipe(t)
	orphan := mustOrphan(t, "read x <&3; exit 4", r)
	found, err := os.FindProcess(orphan)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	awaitExit(t, forked)
	awaitExit(t, orphan)
	// Others are reaped meanwhile.
	for range 10 {
		o.want(t, map[int]Status{mustOrphan(t, "exit 5"): ExitStatus(5)})
	}
	if exit := awaitReap(t, forked); exit.Status != ExitStatus(3) {
		t.Errorf("%+v", exit)
	}
	mustClose(t, pidfd)
	if err := found.Release(); err != nil {
		t.Error(err)
	}
	o.want(t, map[int]Status{orphan: ExitStatus(4)})
}

// Mine, with one lock for both, keeps every child of ForkExec for its Wait4.
func TestOrphansMine(t *testing.T) {
	if !alone(t) {
		return
	}
	var lock sync.Mutex
	mine := make(map[int]bool)
	o := runOrphans(t, OrphanOptions{Mine: func(pid int) bool {
		lock.Lock()
		defer lock.Unlock()
		return mine[pid]
	}})
	forkExec := func(code int) (int, error) {
		lock.Lock()
		defer lock.Unlock()
		pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "exit " + strconv.Itoa(code)}, nil)
		mine[pid] = true
		return pid, err
	}
	var running sync.WaitGroup
	for code := range 4 {
		running.Go(func() {
			for range 100 {
				pid, err := forkExec(code)
				if err != nil {
					t.Error(err)
					return
				}
				var status syscall.WaitStatus
				if got, err := syscall.Wait4(pid, &status, 0, nil); got != pid || status.ExitStatus() != code {
					t.Errorf("%d: %d, %v, %v", pid, got, status, err)
				}
				lock.Lock()
				delete(mine, pid)
				lock.Unlock()
			}
		})
	}
	want := make(map[int]Status)
	for range 100 {
		want[mustOrphan(t, "exit 7")] = ExitStatus(7)
	}
	running.Wait()
	o.want(t, want)
}

// Where the exec fails os.StartProcess waits itself, by number. It is not disturbed.
func TestOrphansExecFails(t *testing.T) {
	if !alone(t) {
		return
	}
	o := runOrphans(t, OrphanOptions{})
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for range 500 {
				_, err := os.StartProcess("/no/such/file", []string{"file"}, &os.ProcAttr{})
				if !errors.Is(err, unix.ENOENT) {
					t.Error(err)
				}
			}
		})
		running.Go(func() {
			for range 100 {
				if err := exec.Command("sh", "-c", "exit 3").Run(); exitCode(err) != 3 {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	o.stop()
	o.wantNone(t)
}

// exitCode is what Run tells, -1 if it is no code.
func exitCode(err error) int {
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

// A process whose first thread has ended has not exited; it is reaped when it has.
func TestOrphansHeadless(t *testing.T) {
	forker.used = true
	if !alone(t) {
		return
	}
	o := runOrphans(t, OrphanOptions{})
	cmd := forker.command(t, "1001", "headless")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	mustRelease(t, cmd)
	awaitState(t, pid, "Z")
	o.want(t, map[int]Status{mustOrphan(t, "exit 5"): ExitStatus(5)})
	if child, exited := isChild(pid); !child || exited {
		t.Errorf("child %v, exited %v", child, exited)
	}
	mustSignal(t, pid, unix.SIGKILL)
	o.want(t, map[int]Status{pid: SignalStatus(unix.SIGKILL)})
	o.stop()
	endFamily(t) // its child
}

// A child of another thread is found there, and where it goes when that thread ends.
func TestOrphansOfThreads(t *testing.T) {
	if !alone(t) {
		return
	}
	o := runOrphans(t, OrphanOptions{})
	r, w := mustPipe(t)
	want := make(map[int]Status)
	stay := make(chan struct{})
	started := make(chan *exec.Cmd)
	for n := range 10 {
		go func() {
			runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
			cmd := exec.Command("sh", "-c", "read x; exit 3")
			cmd.Stdin = r
			if err := cmd.Start(); err != nil {
				t.Error(err)
			}
			started <- cmd
			if n%2 == 0 {
				<-stay
			}
		}()
		cmd := <-started
		want[cmd.Process.Pid] = ExitStatus(3)
		mustRelease(t, cmd)
	}
	w.Close()
	o.want(t, want)
	close(stay)
}

// When ctx ends, what has exited is reaped, and the process is as it was before. Its
// own channel for SIGCHLD is not disturbed, under load neither.
func TestOrphansEnds(t *testing.T) {
	if !alone(t) {
		return
	}
	own := make(chan os.Signal, 1)
	signal.Notify(own, unix.SIGCHLD)
	defer signal.Stop(own)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		var reaped []int
		ended := make(chan error, 1)
		go func() {
			ended <- Orphans(ctx, OrphanOptions{OnExit: func(exit Exit) { reaped = append(reaped, exit.PID) }})
		}()
		eventually(t, "it is a subreaper", func() bool { is, err := IsSubreaper(); return is && err == nil })
		if err := Orphans(ctx, OrphanOptions{}); err == nil || errors.Is(err, ErrNoOwnership) {
			t.Errorf("a second one: %v", err)
		}
		var pids []int
		for range 5 {
			select {
			case <-own:
			default:
			}
			pids = append(pids, mustOrphan(t, "exit 5"))
			<-own
		}
		for _, pid := range pids {
			eventually(t, "it has exited", func() bool {
				child, exited := isChild(pid)
				return !child || exited
			})
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if len(reaped) != len(pids) {
			t.Errorf("reaped %v of %v", reaped, pids)
		}
		if is, err := IsSubreaper(); is || err != nil {
			t.Errorf("it still is a subreaper, %v", err)
		}
	}
	// A context that has ended is good for one look.
	mustAdopt(t)
	pid := mustOrphan(t, "exit 5")
	awaitExit(t, pid)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var got []Exit
	err := Orphans(ctx, OrphanOptions{OnExit: func(exit Exit) { got = append(got, exit) }})
	if err != nil || len(got) != 1 || got[0].PID != pid {
		t.Errorf("%v, %v", got, err)
	}
	if is, err := IsSubreaper(); !is || err != nil {
		t.Errorf("it was a subreaper before, %v", err)
	}
}

func TestOrphansNoSubreaper(t *testing.T) {
	if !alone(t) {
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	reaped := make(chan Exit, 1)
	go func() {
		ended <- Orphans(ctx, OrphanOptions{NoSubreaper: true, OnExit: func(exit Exit) { reaped <- exit }})
	}()
	child := startChild(t, "exit 3")
	pid := child.Process.Pid
	mustRelease(t, child)
	if exit := <-reaped; exit.PID != pid || exit.Status != ExitStatus(3) {
		t.Errorf("%+v", exit)
	}
	if is, err := IsSubreaper(); is || err != nil {
		t.Errorf("it is a subreaper, %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
