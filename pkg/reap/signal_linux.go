package reap

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Signal sends sig to the process pid, which the caller must not have reaped
// yet. sent is false if there is no such process; a zombie counts as one, and
// nothing happens to it. EPERM comes back for a process that changed its user.
func Signal(pid int, sig syscall.Signal) (sent bool, err error) {
	if !isPID(pid) {
		return false, fmt.Errorf("signal process %d: not a process", pid)
	}
	return kill(pid, sig)
}

// SignalGroup sends sig to each member of the process group pgid. sent is
// false if the group is empty. The number is safe to use as long as the group
// has a member or its leader has not been reaped (kill(2); a pid is not given
// away while it is in use as a group).
func SignalGroup(pgid int, sig syscall.Signal) (sent bool, err error) {
	if !isPID(pgid) || pgid == 1 { // kill(-1) is everybody
		return false, fmt.Errorf("signal group %d: not a group", pgid)
	}
	return kill(-pgid, sig)
}

// GroupOf is the process group of a process, 0 if there is no such process, or its group
// has no number here. Of a child that has not been reaped it is its own by now; when it
// moves, the number can become somebody else's.
func GroupOf(pid int) int {
	if !isPID(pid) {
		return 0
	}
	pgid, err := unix.Getpgid(pid)
	if err != nil {
		return 0
	}
	return pgid
}

// StopSelf stops the calling process, by SIGSTOP, and returns when it has been
// continued. It has no effect on PID 1.
func StopSelf() error {
	// A signal for the process could be taken by another thread, and this one run on.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGSTOP); err != nil {
		return fmt.Errorf("stop own process: %w", err)
	}
	return nil
}

// isPID tells what can be a pid. To kill(2) and wait4(2) 0 is the caller's own
// group and -1 everybody; and the kernel looks at the lower 32 bits alone, in
// which a number that is too large may be one of these.
func isPID(pid int) bool { return pid >= 1 && pid <= math.MaxInt32 }

func kill(target int, sig syscall.Signal) (sent bool, err error) {
	err = unix.Kill(target, sig)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.ESRCH):
		return false, nil
	default:
		return false, fmt.Errorf("send signal %d to %d: %w", int(sig), target, err)
	}
}

// DieBySignal ends the process by sig as if it had no handler for it, without a
// core dump. It returns only if that cannot be: for a signal that ends nothing
// by default, and for PID 1, which its own signals cannot end.
func DieBySignal(sig syscall.Signal) error {
	runtime.LockOSThread() // for good: what follows is the end, or should be
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dump: %w", err)
	}
	// A core_pattern that is a pipe is not bound by the limit (core(5)).
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid core dump: %w", err)
	}
	if sig != unix.SIGKILL && sig != unix.SIGSTOP {
		var dfl sigactionRaw
		if err := rtSigaction(sig, &dfl, nil); err != nil {
			return fmt.Errorf("reset signal %d: %w", int(sig), err)
		}
	}
	var none unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &none, nil); err != nil {
		return fmt.Errorf("unblock signal %d: %w", int(sig), err)
	}
	if err := unix.Tgkill(os.Getpid(), unix.Gettid(), sig); err != nil {
		return fmt.Errorf("die by signal %d: %w", int(sig), err)
	}
	return nil
}
