package reap

import (
	"errors"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// spawnByGo starts the file with what the standard library has: on machines
// for which there is no vfork in assembly here, and where it is not known what
// the caller inherited, as long as there are no attributes. Go's own rules for
// signals and limits apply. A new session
// gets no terminal: SysProcAttr.Setctty would take that of another session.
func spawnByGo(c *Command, file string, args []string) (pid int, err error) {
	attr := &syscall.ProcAttr{
		Env:   c.Env,
		Files: []uintptr{0, 1, 2}, // those from 3 are passed on in any case
		Sys: &syscall.SysProcAttr{
			Setpgid: c.Group == OwnGroup, Setsid: c.Group == OwnSession, Pdeathsig: c.ParentDeath,
		},
	}
	for fd, stream := range c.streams() {
		if stream == nil {
			continue
		}
		attr.Files[fd] = stream.Fd()
		if int(attr.Files[fd]) < 0 { // ForkExec would take that for one to be closed
			return 0, &StartError{Op: streamOp(fd), Path: file, Err: unix.EBADF}
		}
	}
	if c.Terminal != nil {
		attr.Sys.Foreground = true
		attr.Sys.Ctty = c.Terminal.fd
	}
	pid, err = syscall.ForkExec(file, args, attr)
	if attr.Sys.Foreground && terminalError(err) {
		attr.Sys.Foreground = false
		pid, err = syscall.ForkExec(file, args, attr)
	}
	runtime.KeepAlive(c) // a file that is collected is closed
	switch {
	case err == nil:
		return pid, nil
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOMEM):
		return 0, &StartError{Op: "fork for", Path: file, Err: err}
	default:
		return 0, &StartError{Op: "exec", Path: file, Err: err}
	}
}

// terminalError reports whether an error of ForkExec is one that TIOCSPGRP can
// give and execve cannot: it does not tell which of the two failed. EIO and
// EPERM both can give; then the second try settles it.
func terminalError(err error) bool {
	for _, errno := range []error{unix.ENOTTY, unix.ENXIO, unix.EBADF, unix.EIO, unix.EPERM, unix.EINVAL} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
