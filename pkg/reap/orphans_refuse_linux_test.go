package reap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// guesser calls Orphans where it cannot work, with an orphan that has exited, and tells
// what comes of that. It is done as the arguments say first: "seal" forbids pidfd_open.
var guesser = newRole("guesser", func(args []string) error {
	if len(args) > 0 {
		if err := seal(); err != nil {
			return err
		}
	}
	if err := BecomeSubreaper(); err != nil {
		return err
	}
	// By Start, as package os has none of its descriptors here.
	pid, err := Start(Command{Args: []string{"sh", "-c", "( exit 5 & )"}, Env: environment()})
	if err != nil {
		return err
	}
	if _, err := unix.Wait4(pid, nil, 0, nil); err != nil {
		return err
	}
	for ok := false; !ok; { // the orphan may still be about to exit
		_, ok = Peek()
	}
	err = Orphans(context.Background(), OrphanOptions{OnExit: func(exit Exit) { fmt.Printf("reaped %+v ", exit) }})
	exits, _, _ := Drain(nil)
	fmt.Print(errors.Is(err, ErrNoOwnership), " ", errors.Is(err, ErrNoProc), " left ", len(exits), ": ", err)
	return nil
})

// seal makes pidfd_open fail with ENOSYS in all threads, as an old kernel does, or a
// sandbox that does not know it.
func seal() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	const dataNr = 0 // offset of nr in struct seccomp_data
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: dataNr},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_PIDFD_OPEN, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}

// Where nobody can tell whose a child is, it says so and reaps none.
func TestOrphansCannotTell(t *testing.T) {
	for _, test := range []struct {
		name, want string
		args       []string
		set        func(cmd *exec.Cmd)
	}{
		{"no pidfds", "true false left 1: reap orphans: cannot tell orphans from other children: no pidfds, for which Linux 5.4 is needed: ", []string{"seal"}, nil},
		{"no /proc", "true true left 1: reap orphans: cannot tell orphans from other children: no /proc of this pid namespace", nil, func(cmd *exec.Cmd) {
			cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
			byShell(cmd, "umount -l /proc")
		}},
		{"another /proc", "true true left 1: reap orphans: cannot tell orphans from other children: no /proc of this pid namespace", nil, inNamespace},
		{"the control", "", nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd := guesser.command(t, test.args...)
			if test.set != nil {
				if os.Getuid() != 0 {
					cannot(t, "only root can do without /proc")
				}
				test.set(cmd)
			}
			if test.want == "" { // it runs on
				stopAtLine(t, cmd, "reaped {PID:")
				return
			}
			out, err := cmd.Output() // the race detector warns on stderr without /proc
			if err != nil || !strings.HasPrefix(string(out), test.want) {
				t.Errorf("%v, %q, want %q", err, out, test.want)
			}
		})
	}
}

// byShell runs the line before the command, in its process.
func byShell(cmd *exec.Cmd, line string) {
	cmd.Args = append([]string{"sh", "-c", line + ` && exec "$@"`, "sh", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
}

// stopAtLine wants the command to print that, and kills it.
func stopAtLine(t *testing.T, cmd *exec.Cmd, want string) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(out, got); err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
}

// What was allowed can be forbidden later. Then it ends with an error, and reaps none.
func TestOrphansForbiddenLater(t *testing.T) {
	if !alone(t) {
		return
	}
	mustAdopt(t)
	ended := make(chan error, 1)
	reaped := make(chan Exit, 10)
	go func() {
		ended <- Orphans(t.Context(), OrphanOptions{OnExit: func(exit Exit) { reaped <- exit }})
	}()
	pid := mustOrphan(t, "exit 5")
	if exit := <-reaped; exit.PID != pid {
		t.Errorf("%+v", exit)
	}
	if err := seal(); err != nil {
		t.Fatal(err)
	}
	pid = mustOrphan(t, "exit 5")
	if err := <-ended; !errors.Is(err, unix.ENOSYS) {
		t.Error(err)
	}
	if exit := awaitReap(t, pid); exit.Status != ExitStatus(5) || len(reaped) > 0 {
		t.Errorf("%+v, and %d reaped", exit, len(reaped))
	}
}

// It has what it needs of /proc open, so that this may be unmounted later.
func TestOrphansProcUnmountedLater(t *testing.T) {
	if !aloneInContainer(t) {
		return
	}
	o := runOrphans(t, OrphanOptions{})
	o.want(t, map[int]Status{mustOrphan(t, "exit 5"): ExitStatus(5)}) // so it is running
	if err := unix.Unmount("/proc", unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
			t.Error(err)
		}
	}()
	child := startChild(t, "exit 3")
	awaitExit(t, child.Process.Pid)
	o.want(t, map[int]Status{mustOrphan(t, "exit 5"): ExitStatus(5)})
	wantCode(t, child, 3)
}
