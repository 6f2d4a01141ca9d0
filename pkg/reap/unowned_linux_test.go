package reap

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func mustUnowned(t *testing.T) *unowned {
	t.Helper()
	mustAdopt(t)
	u, err := newUnowned(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.close)
	return u
}

// mustZombie is an orphan that has exited.
func mustZombie(t *testing.T) (pid int) {
	t.Helper()
	pid = mustOrphan(t, "exit 5")
	awaitExit(t, pid)
	return pid
}

func mustClose(t *testing.T, fd int) {
	t.Helper()
	if err := unix.Close(fd); err != nil {
		t.Error(err)
	}
}

// mustHold takes steps 1 and 2 for these.
func mustHold(t *testing.T, u *unowned, pids ...int) {
	t.Helper()
	if rest, err := u.hold(pids); len(rest) > 0 || err != nil {
		t.Fatal(rest, err)
	}
}

// mustDecide takes steps 3 and 4, and wants these to be reaped.
func mustDecide(t *testing.T, u *unowned, want ...int) {
	t.Helper()
	exits, err := u.decide(nil)
	if err != nil {
		t.Error(err)
	}
	var pids []int
	for _, exit := range exits {
		pids = append(pids, exit.PID)
	}
	if !slices.Equal(pids, want) {
		t.Errorf("reaped %v, want %v", pids, want)
	}
	clear(u.owned)
}

// take gives the number, which nobody has, to a child of os/exec that exits.
func take(t *testing.T, number int) *exec.Cmd {
	t.Helper()
	for range 100 {
		last := []byte(strconv.Itoa(number - 1))
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", last, 0); err != nil {
			t.Fatal(err)
		}
		cmd := startChild(t, "exit 3")
		if cmd.Process.Pid == number {
			awaitExit(t, number)
			return cmd
		}
		wantCode(t, cmd, 3) // a thread has come first
	}
	t.Fatalf("nobody gets the number %d", number)
	return nil
}

// The number of an orphan is given away, at each step, to a child that somebody will
// wait for. It is never taken for the orphan.
func TestUnownedNumberGivenAway(t *testing.T) {
	if !aloneInContainer(t) {
		return
	}
	u := mustUnowned(t)

	// Somebody else has reaped it before it is opened.
	pid := mustZombie(t)
	awaitReap(t, pid)
	child := take(t, pid)
	mustHold(t, u, pid)
	mustDecide(t, u)
	wantCode(t, child, 3)

	// After it was opened.
	pid = mustZombie(t)
	mustHold(t, u, pid)
	awaitReap(t, pid)
	child = take(t, pid)
	mustDecide(t, u)
	wantCode(t, child, 3)

	// After the descriptors were listed for the last time, so that its own is not asked.
	pid = mustZombie(t)
	mustHold(t, u, pid)
	lists := 0
	u.list = func() ([]int, error) {
		open, err := u.open.list()
		if lists++; lists == 2 {
			awaitReap(t, pid)
			child = take(t, pid)
		}
		return open, err
	}
	mustDecide(t, u)
	if lists != 2 {
		t.Errorf("the descriptors were listed %d times", lists)
	}
	u.list = u.open.list
	wantCode(t, child, 3)

	// Before it is opened, to one that lives. It might not have its descriptor yet.
	r, w := mustPipe(t)
	living := exec.Command("sh", "-c", "read x; exit 3")
	living.Stdin = r
	if err := living.Start(); err != nil {
		t.Fatal(err)
	}
	if err := u.grab(living.Process.Pid); err != nil || len(u.held) > 0 {
		t.Errorf("held: %v, %v", u.held, err)
	}
	w.Close()
	wantCode(t, living, 3)

	// The control: by its number the child is taken away.
	pid = mustZombie(t)
	_, exited := isChild(pid)
	awaitReap(t, pid)
	child = take(t, pid)
	if exit, ok := Reap(pid); !exited || !ok || exit.Status != ExitStatus(3) {
		t.Errorf("%v, %v, %+v", exited, ok, exit)
	}
	if err := child.Wait(); err == nil {
		t.Error("the child has its code all the same")
	}
	_ = child.Process.Release()
}

// A descriptor that is moved while the descriptors are read may be missed once, and
// is not the second time.
func TestUnownedDescriptorMoves(t *testing.T) {
	if !alone(t) {
		return
	}
	u := mustUnowned(t)
	pidfd := -1
	pid, err := syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{PidFD: &pidfd}})
	if err != nil {
		t.Fatal(err)
	}
	awaitExit(t, pid)
	moved := -1
	lists := 0
	u.list = func() ([]int, error) {
		open, err := u.open.list()
		if lists++; lists > 1 {
			return open, err
		}
		if moved, err = unix.FcntlInt(uintptr(pidfd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
		mustClose(t, pidfd)
		u.readOwned(open)
		if u.owned[pid] {
			t.Error("it is seen, so that this proves nothing")
		}
		return open, err
	}
	mustHold(t, u, pid)
	mustDecide(t, u)
	mustHold(t, u, pid)
	mustClose(t, moved)
	mustDecide(t, u, pid)
}

// Many children of os.StartProcess whose caller has asked for the descriptor, and
// closes it at once: package os goes on with a copy.
func TestUnownedBesideCopies(t *testing.T) {
	if !alone(t) {
		return
	}
	u := mustUnowned(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 500 {
			pidfd := -1
			process, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{
				Sys: &syscall.SysProcAttr{PidFD: &pidfd},
			})
			if err != nil {
				t.Error(err)
				return
			}
			mustClose(t, pidfd)
			if state, err := process.Wait(); err != nil || !state.Success() {
				t.Errorf("%v, %v", state, err)
			}
		}
	}()
	for over := false; !over; {
		if exits, _, err := u.reap(nil); len(exits) > 0 || err != nil {
			t.Fatalf("reaped %v, %v", exits, err)
		}
		select {
		case <-done:
			over = true
		default:
		}
	}
}

// What waitid and wait4 tell is the same.
func TestReapByHandle(t *testing.T) {
	if !alone(t) {
		return
	}
	u := mustUnowned(t)
	scripts := []string{"ulimit -c $(ulimit -H -c); kill -ABRT $$"}
	for code := range 256 {
		scripts = append(scripts, "exit "+strconv.Itoa(code))
	}
	for sig := syscall.Signal(1); sig <= NumSignals; sig++ {
		if fatal(sig) && !slices.Contains([]syscall.Signal{32, 33}, sig) {
			scripts = append(scripts, fmt.Sprintf("kill -%d $$", sig))
		}
	}
	for _, script := range scripts {
		cmd := exec.Command("sh", "-c", script)
		cmd.Dir = t.TempDir() // for the core
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pid := cmd.Process.Pid
		awaitExit(t, pid)
		mustHold(t, u, pid)
		// The last of its time may be added when it is a zombie already.
		var ru, before unix.Rusage
		info, errno := rawWaitid(unix.P_PIDFD, u.held[0].fd, unix.WEXITED|unix.WNOWAIT, &ru)
		for before != ru && errno == 0 {
			before = ru
			<-time.After(time.Millisecond)
			info, errno = rawWaitid(unix.P_PIDFD, u.held[0].fd, unix.WEXITED|unix.WNOWAIT, &ru)
		}
		u.letGo()
		err := cmd.Wait()
		state := cmd.ProcessState
		if errno != 0 || state == nil || info.exit() != Status(state.Sys().(syscall.WaitStatus)) {
			t.Errorf("%s: %v, %v and %v, %v", script, errno, info.exit(), state, err)
		}
		if u := usage(&ru); state != nil && (u.User != state.UserTime() || u.System != state.SystemTime()) {
			t.Errorf("%s: %+v and %v, %v", script, u, state.UserTime(), state.SystemTime())
		}
	}
}

func TestUnownedAllocatesNothing(t *testing.T) {
	if !alone(t) {
		return
	}
	u := mustUnowned(t)
	exits := make([]Exit, 0, 300)
	check := func(what string) {
		t.Helper()
		for _, u.children.byPPID = range []bool{true, false} {
			var err error
			if exits, _, err = u.reap(exits[:0]); err != nil || len(exits) > 0 {
				t.Errorf("%s: %v, %v", what, exits, err)
			}
		}
		if n := testing.AllocsPerRun(100, func() { exits, _, _ = u.reap(exits[:0]) }); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	check("without a child")
	child := startChild(t, "exit 3")
	awaitExit(t, child.Process.Pid)
	check("with a child that has exited")
	for range cap(exits) {
		mustZombie(t)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	exits, _, _ = u.reap(exits[:0])
	runtime.ReadMemStats(&after)
	if len(exits) != cap(exits) {
		t.Fatalf("%d exits", len(exits))
	}
	// The runtime may do something of its own meanwhile, but not for each.
	if n := after.Mallocs - before.Mallocs; n > uint64(len(exits))/10 {
		t.Errorf("%d allocations for %d exits", n, len(exits))
	}
	wantCode(t, child, 3)
}

// However many orphans come to the first thread, the others get their turn.
func TestUnownedTurns(t *testing.T) {
	if !alone(t) {
		return
	}
	u := mustUnowned(t)
	released := make(chan int)
	done := make(chan struct{})
	defer close(done)
	var start func()
	start = func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			defer runtime.UnlockOSThread()
			go start() // while this one is held
			<-done
			return
		}
		cmd := startChild(t, "exit 3")
		pid := cmd.Process.Pid
		mustRelease(t, cmd)
		released <- pid
		<-done
	}
	go start()
	pid := <-released
	awaitExit(t, pid)
	for look := 1; ; look++ {
		orphan := mustZombie(t)
		exits, left, err := u.reap(nil)
		if err != nil || len(exits) == 0 || exits[0].PID != orphan {
			t.Fatal(exits, left, err)
		}
		if len(exits) == 2 {
			if exits[1].PID != pid || left {
				t.Error(exits, left)
			}
			return
		}
		if !left || look > othersEach {
			t.Fatalf("look %d: %v", look, left)
		}
	}
}

// Where the kernel has no list of children all of /proc is read.
func TestUnownedByPPID(t *testing.T) {
	if !alone(t) {
		return
	}
	u := mustUnowned(t)
	u.children.byPPID = true
	child := startChild(t, "exit 3")
	awaitExit(t, child.Process.Pid)
	pid := mustZombie(t)
	exits, left, err := u.reap(nil)
	if len(exits) != 1 || exits[0].PID != pid || !left || err != nil {
		t.Errorf("%v, %v, %v", exits, left, err)
	}
	wantCode(t, child, 3)
	if exits, left, err := u.reap(nil); len(exits) > 0 || left || err != nil {
		t.Errorf("nobody is left: %v, %v, %v", exits, left, err)
	}
}

// Without a free descriptor orphans wait, and that is no error. With one they are
// reaped, though there is no room to hold those before them.
func TestUnownedWithoutDescriptors(t *testing.T) {
	if !alone(t) {
		return
	}
	u := mustUnowned(t)
	r, w := mustPipe(t)
	var owned []*os.Process
	for range 5 {
		process, err := os.FindProcess(mustOrphan(t, "read x <&3", r))
		if err != nil {
			t.Fatal(err)
		}
		owned = append(owned, process)
	}
	w.Close()
	for _, process := range owned {
		awaitExit(t, process.Pid)
	}
	for free := range 4 {
		orphan := mustZombie(t)
		restore := leaveDescriptors(t, free)
		exits, left, err := u.reap(nil)
		restore()
		if free == 0 {
			if len(exits) > 0 || !left || err != nil {
				t.Errorf("none is free: %v, %v, %v", exits, left, err)
			}
			exits, left, err = u.reap(nil)
		}
		if len(exits) != 1 || exits[0].PID != orphan || !left || err != nil {
			t.Errorf("%d are free: %v, %v, %v", free, exits, left, err)
		}
	}
	for _, process := range owned {
		awaitReap(t, process.Pid)
		if err := process.Release(); err != nil {
			t.Error(err)
		}
	}
}

// leaveDescriptors takes all descriptors below a limit but so many.
func leaveDescriptors(t *testing.T, free int) (restore func()) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	var taken []int
	for range 10 {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, fd)
	}
	few := unix.Rlimit{Cur: uint64(slices.Max(taken) + 1), Max: before.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	for range free {
		mustClose(t, taken[0])
		taken = taken[1:]
	}
	return func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
		for _, fd := range taken {
			mustClose(t, fd)
		}
	}
}
