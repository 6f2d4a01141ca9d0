package reap

import (
	"errors"
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Drain reaps every child of the process that has exited by now, the adopted
// ones too, and appends them to exits in the order in which the kernel gives
// them. It does not block. more reports whether children are left that have
// not exited.
//
// SIGCHLD coalesces: one signal may stand for many exits. So drain until there
// is nothing left, each time anything wakes the owner, whatever it was.
//
// Only the goroutine that owns the process table may call it. It allocates
// nothing when exits has room.
func Drain(exits []Exit) (_ []Exit, more bool, err error) {
	for {
		exit, errno := wait4(-1)
		switch {
		case errno == unix.ECHILD:
			return exits, false, nil
		case errno != 0:
			return exits, false, fmt.Errorf("wait for any child: %w", errno)
		case exit.PID == 0:
			return exits, true, nil
		}
		exits = append(exits, exit)
	}
}

// wait4 reaps a child if one has exited, and does not block; the PID is 0 if none has.
// Package syscall would tell the scheduler of a call that may block, for a tenth of
// what it costs.
func wait4(pid int) (Exit, syscall.Errno) {
	var ws unix.WaitStatus
	var ru unix.Rusage
	for {
		got, _, errno := unix.RawSyscall6(unix.SYS_WAIT4, uintptr(pid), uintptr(unsafe.Pointer(&ws)),
			unix.WNOHANG, uintptr(unsafe.Pointer(&ru)), 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 || got == 0 {
			return Exit{}, errno
		}
		return Exit{PID: int(got), Status: Status(ws), Usage: usage(&ru)}, 0
	}
}

func usage(ru *unix.Rusage) Usage {
	return Usage{
		User:   time.Duration(ru.Utime.Nano()),
		System: time.Duration(ru.Stime.Nano()),
		MaxRSS: ru.Maxrss * 1024, // Linux counts it in KiB (getrusage(2))
	}
}

// Reap reaps the one child pid if it has exited by now, and does not block. ok
// is false if it has not, or is no child. With [Peek] before it /proc can be
// read while the child still stands there; [Drain] costs half as much.
func Reap(pid int) (exit Exit, ok bool) {
	if !isPID(pid) {
		return Exit{}, false
	}
	exit, errno := wait4(pid)
	return exit, errno == 0 && exit.PID != 0
}

// reapFailed waits for a child that is certain to end at once, as one that
// could not execute its program.
func reapFailed(pid int) {
	for {
		_, err := unix.Wait4(pid, nil, 0, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// siginfo is the part of siginfo_t that waitid fills in. signo, errno and code
// come first on both architectures; pid, uid and status follow at 8-byte
// alignment (asm-generic/siginfo.h).
type siginfo struct {
	signo, errno, code int32
	_                  int32
	pid                int32
	uid                uint32
	status             int32
	_                  [100]byte
}

// si_code of a SIGCHLD, from asm-generic/siginfo.h.
const (
	cldExited    = 1
	cldDumped    = 3
	cldStopped   = 5
	cldContinued = 6
)

// exit is the status that wait4 would have told, of a child that has exited.
func (info *siginfo) exit() Status {
	switch info.code {
	case cldExited:
		return ExitStatus(int(info.status))
	case cldDumped:
		return SignalStatus(syscall.Signal(info.status)) | statusCore
	default:
		return SignalStatus(syscall.Signal(info.status))
	}
}

// waitid asks without blocking and without reaping. ok is false if there is
// nothing to tell or no such child.
func waitid(idType, id, options int) (info siginfo, ok bool) {
	info, errno := rawWaitid(idType, id, options, nil)
	return info, errno == 0 && info.pid != 0
}

// rawWaitid does not block. The kernel tells the usage too, which waitid(2) does not
// say (kernel/exit.c).
func rawWaitid(idType, id, options int, ru *unix.Rusage) (info siginfo, errno syscall.Errno) {
	for {
		_, _, errno = unix.RawSyscall6(unix.SYS_WAITID, uintptr(idType), uintptr(id),
			uintptr(unsafe.Pointer(&info)), uintptr(options|unix.WNOHANG), uintptr(unsafe.Pointer(ru)), 0)
		if errno != unix.EINTR {
			return info, errno
		}
	}
}

// isChild reports whether pid is a child of this process that has not been
// reaped, and whether it has exited. As long as nothing reaps it the number is
// its own.
func isChild(pid int) (child, exited bool) {
	info, errno := rawWaitid(unix.P_PID, pid, unix.WEXITED|unix.WNOWAIT, nil)
	return errno == 0, errno == 0 && info.pid != 0
}

// exitedByHandle is the pid of the child whose pidfd it is, if it has exited and has
// not been reaped, and 0 for every other descriptor (P_PIDFD, Linux 5.4).
func exitedByHandle(fd int) (pid int) {
	info, _ := rawWaitid(unix.P_PIDFD, fd, unix.WEXITED|unix.WNOWAIT, nil)
	return int(info.pid)
}

// reapByHandle reaps the child whose pidfd it is, if it has exited and nobody else
// has reaped it.
func reapByHandle(fd int) (exit Exit, ok bool) {
	var ru unix.Rusage
	info, errno := rawWaitid(unix.P_PIDFD, fd, unix.WEXITED, &ru)
	if errno != 0 || info.pid == 0 {
		return Exit{}, false
	}
	return Exit{PID: int(info.pid), Status: info.exit(), Usage: usage(&ru)}, true
}

// Exited reports whether the child pid has exited and has not been reaped; child,
// whether there is such a child at all.
func Exited(pid int) (exited, child bool) {
	if !isPID(pid) {
		return false, false
	}
	child, exited = isChild(pid)
	return exited, child
}

// Peek tells which child has exited without reaping it, so that its pid stays
// taken and /proc still has its name. It is the same child each time until that
// one is reaped: to see them all, reap between the calls. ok is false if none
// has exited.
func Peek() (pid int, ok bool) {
	info, ok := waitid(unix.P_ALL, 0, unix.WEXITED|unix.WNOWAIT)
	return int(info.pid), ok
}

// JobChange tells whether the child pid was stopped, and then by which signal,
// or continued, since it was last asked. If both happened the latest counts.
// Exits are not touched; a child that exited tells JobUnchanged.
func JobChange(pid int) (JobState, syscall.Signal) {
	if !isPID(pid) {
		return JobUnchanged, 0
	}
	info, ok := waitid(unix.P_PID, pid, unix.WSTOPPED|unix.WCONTINUED)
	switch {
	case ok && info.code == cldStopped:
		return JobStopped, syscall.Signal(info.status)
	case ok && info.code == cldContinued:
		return JobContinued, syscall.SIGCONT
	default:
		return JobUnchanged, 0
	}
}
