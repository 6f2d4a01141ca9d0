package reap

import (
	"errors"
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
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
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
// that may read from it. It is 0 if that is the caller's own and belongs to an
// outer pid namespace, so that it has no number here: Getpgrp tells 0 as well.
// It is negative if it is another one of these, or the terminal has hung up.
func (t *Terminal) Foreground() int {
	pgid, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	if err != nil || pgid == 0 && !t.readable() {
		return -1
	}
	return pgid
}

// readable reports whether the calling process may read from the terminal, as
// the foreground group alone may. Reading nothing from the background fails
// with EIO if SIGTTIN is blocked (n_tty_read of the kernel).
func (t *Terminal) readable() bool {
	flags, err := unix.FcntlInt(uintptr(t.fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK == 0 {
		return true // a standard stream, where this could wait for a reader
	}
	err = withBlocked(unix.SIGTTIN, func() error {
		_, err := unix.Read(t.fd, nil)
		return err
	})
	return !errors.Is(err, unix.EIO)
}

// SetForeground gives the terminal to a process group of the same session. The
// caller may be in the background: SIGTTOU, which the kernel has for this, is
// blocked meanwhile on the calling thread alone.
func (t *Terminal) SetForeground(pgid int) error {
	err := withBlocked(unix.SIGTTOU, func() error {
		return unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, pgid)
	})
	if err != nil {
		return fmt.Errorf("give terminal to group %d: %w", pgid, err)
	}
	return nil
}

// LeaveTerminal gives up the controlling terminal, if it is on descriptor 0
// (TIOCNOTTY): the leader of a session can then start another session that gets it.
// Where there is none nothing happens.
//
// From the leader the kernel takes it for a hang-up, and sends SIGHUP and SIGCONT to
// the foreground group (tty_ioctl(4)). The caller gets neither, but for the SIGCONT if it
// waits for that by sigtimedwait(2), to which it does not matter that a signal is ignored.
func LeaveTerminal() {
	for _, sig := range []syscall.Signal{unix.SIGHUP, unix.SIGCONT} {
		var before sigactionRaw
		if err := rtSigaction(sig, &sigactionRaw{action: sigIgnored}, &before); err != nil {
			continue
		}
		defer func() {
			// One that waits, as a thread has it blocked, is dropped by this, unless
			// somebody has taken it by now.
			_ = rtSigaction(sig, &sigactionRaw{action: sigIgnored}, nil)
			_ = rtSigaction(sig, &before, nil)
		}()
	}
	_ = unix.IoctlSetInt(0, unix.TIOCNOTTY, 0) // ENOTTY: it has none
}

// withBlocked calls f while sig is blocked on the calling thread.
func withBlocked(sig syscall.Signal, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	set, before := sigset(sig), unix.Sigset_t{}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, &before); err != nil {
		return fmt.Errorf("block signal %d: %w", int(sig), err)
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) //nolint:errcheck // it could be read, so it can be written
	return f()
}

func sigset(sig syscall.Signal) (set unix.Sigset_t) {
	set.Val[0] = uint64(Signals(sig))
	return set
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
	err := withBlocked(sig, func() error {
		var dfl, before sigactionRaw
		if err := rtSigaction(sig, &dfl, &before); err != nil {
			return err
		}
		// Any thread may take the copy that the group's signal makes for this
		// process, and this thread run on until it has. So it has a copy of its
		// own, which waits. If the group has been continued by the time that it
		// is let through, SIGCONT has taken back both copies (signal(7)): no stop
		// comes after it.
		err := unix.Tgkill(os.Getpid(), unix.Gettid(), sig)
		if err == nil {
			err = unix.Kill(0, sig)
		}
		set := sigset(sig)
		_ = unix.PthreadSigmask(unix.SIG_UNBLOCK, &set, nil) // here it stops
		// A copy that the kernel has not acted on must not reach the handler: to
		// ignore the signal is to drop it (sigaction(2)).
		_ = rtSigaction(sig, &sigactionRaw{action: sigIgnored}, nil)
		_ = rtSigaction(sig, &before, nil)
		return err
	})
	if err != nil {
		return fmt.Errorf("stop own group by signal %d: %w", int(sig), err)
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
// after a stop: it is PID 1, or the leader of the session is in its group, or
// the first of its ancestors that is not in its group is of another session. The
// kernel's own rule looks at the parent of every member of the group (setpgid(2)).
func GroupOrphaned() bool {
	session, err := unix.Getsid(0)
	group := unix.Getpgrp()
	if err != nil || os.Getpid() == 1 || session == group {
		return true
	}
	for parent := os.Getppid(); parent != 0; {
		if of, err := unix.Getsid(parent); err != nil || of != session {
			return true
		}
		if of, err := unix.Getpgid(parent); err != nil || of != group {
			return err != nil
		}
		p, err := ReadProc(parent)
		if err != nil {
			return false // no /proc; most likely a shell is further up
		}
		parent = p.PPID
	}
	return true // the parent is in an outer pid namespace
}

// sigactionRaw is the kernel's struct sigaction on the machines where SA_RESTORER
// has a field, and large enough for the others.
type sigactionRaw struct {
	action uintptr
	_      [3]uint64
}

const sigIgnored = 1 // SIG_IGN

func rtSigaction(sig syscall.Signal, act, old *sigactionRaw) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(act)), uintptr(unsafe.Pointer(old)), unsafe.Sizeof(SignalSet(0)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
