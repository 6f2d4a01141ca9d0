package reap

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// OpenTerminal finds the controlling terminal: /dev/tty, and where there is no
// such file, as in an empty container, one of the standard streams. It returns
// nil if the process has none: no terminal, or one of another session.
func OpenTerminal() *Terminal {
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err == nil {
		return &Terminal{fd}
	}
	for fd := range 3 {
		// ENOTTY also for a terminal that is not ours (tty_ioctl(4)).
		if _, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err == nil {
			return &Terminal{fd}
		}
	}
	return nil
}

// Foreground is the process group that the terminal's keys send signals to and
// that may read from it. It is 0 if the terminal has hung up.
func (t *Terminal) Foreground() int {
	pgid, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	if err != nil {
		return 0
	}
	return pgid
}

// SetForeground gives the terminal to a process group of the same session. The
// caller may be in the background: SIGTTOU, which the kernel has for this, is
// blocked meanwhile on the calling thread alone.
func (t *Terminal) SetForeground(pgid int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var ttou, before unix.Sigset_t
	ttou.Val[0] = uint64(Signals(unix.SIGTTOU))
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &ttou, &before); err != nil {
		return fmt.Errorf("block SIGTTOU: %w", err)
	}
	err := unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, pgid)
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil); err != nil {
		return fmt.Errorf("restore signal mask: %w", err)
	}
	if err != nil {
		return fmt.Errorf("give terminal to group %d: %w", pgid, err)
	}
	return nil
}

// StopGroup stops the process group of the caller as sig, one of the terminal's
// stop signals, does by default, and returns when the caller is continued. For
// SIGSTOP it takes SIGTSTP. The kernel stops nobody whom nobody could continue,
// that is if the group is orphaned, and no PID 1 (signal(7), setpgid(2)): then it
// returns at once.
//
// Why the group: a shell takes a job for stopped when each of its processes is,
// and the caller may be one of a pipeline, or the child of a script.
func StopGroup(sig syscall.Signal) error {
	if sig == unix.SIGSTOP {
		sig = unix.SIGTSTP
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ignore, dfl, before := sigactionRaw{[4]uint64{1}}, sigactionRaw{}, sigactionRaw{}
	if err := rtSigaction(sig, &ignore, &before); err != nil {
		return fmt.Errorf("ignore signal %d: %w", int(sig), err)
	}
	defer rtSigaction(sig, &before, nil) //nolint:errcheck // it could be read, so it can be written
	groupErr := unix.Kill(0, sig)
	if err := rtSigaction(sig, &dfl, nil); err != nil {
		return fmt.Errorf("reset signal %d: %w", int(sig), err)
	}
	// To this thread, which so stops before the call returns: were it to the
	// process, another thread could take it later, when the handler is back.
	if err := unix.Tgkill(os.Getpid(), unix.Gettid(), sig); err != nil {
		return fmt.Errorf("stop by signal %d: %w", int(sig), err)
	}
	if groupErr != nil {
		return fmt.Errorf("stop own group by signal %d: %w", int(sig), groupErr)
	}
	return nil
}

// ContinueGroup continues the process group of the caller. The caller gets the
// SIGCONT as well.
func ContinueGroup() error {
	if err := unix.Kill(0, unix.SIGCONT); err != nil {
		return fmt.Errorf("continue own group: %w", err)
	}
	return nil
}

// GroupOrphaned reports whether nobody is there to continue the calling process
// after a stop: its parent is of another session, or the leader of the session
// is in its own group, or it is PID 1. The kernel's own rule looks at the parent
// of every member of the group (setpgid(2)).
func GroupOrphaned() bool {
	session, err := unix.Getsid(0)
	if err != nil || os.Getpid() == 1 || session == unix.Getpgrp() {
		return true
	}
	of, err := unix.Getsid(os.Getppid())
	return err != nil || of != session
}

// sigactionRaw is the kernel's struct sigaction on the machines where SA_RESTORER
// has a field, and large enough for the others.
type sigactionRaw struct {
	words [4]uint64 // the first is the action
}

func rtSigaction(sig syscall.Signal, act, old *sigactionRaw) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(act)), uintptr(unsafe.Pointer(old)), unsafe.Sizeof(SignalSet(0)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
