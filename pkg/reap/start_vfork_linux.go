//go:build linux && (amd64 || arm64)

package reap

import (
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

const haveVfork = true

// A call is one system call that the child makes between vfork and execve. The
// assembly knows this layout: 64 bytes, in this order.
type call struct {
	nr   uintptr
	args [5]uintptr
	need need
	// result is what the kernel returned, written by the child: the two share
	// their memory until the execve. It stays notMade if the call was not made,
	// or never came back, as an execve that succeeds.
	result int
}

// need tells what the child does if the call fails: it ends, or goes on.
type need uintptr

const (
	needNothing need = iota
	needSuccess      // not negative
	needEqual        // exactly args[4]
)

// writeNumber, in the place of a number of a system call, writes a text backwards:
// the number at args[0] in decimal to before args[1], and in front of it the args[3]
// bytes that end at args[2]. Where the text begins is stored at args[4].
const writeNumber = ^uintptr(0)

const notMade = 1 << 32 // no system call here returns that

// vfork makes a child that shares the memory of the caller, and suspends the
// calling thread until the child has ended or executed a program. The child
// makes the n calls in their order and nothing else: it touches no stack and
// runs no Go. If one fails that must not it ends with code 127. The pid is
// negative if there is no child: -errno.
func vfork(calls *call, n int) (pid int)

// sigaction is the kernel's struct, with the same layout on both machines.
type sigaction struct {
	handler, flags, restorer uintptr
	mask                     SignalSet
}

const (
	sigDefault = 0
	sigIgnore  = 1
)

// script is everything that the child reads or writes. It lives on the heap in
// one piece: its fields are handed to the kernel as numbers, which keep nothing
// alive and follow no stack that moves.
type script struct {
	calls  [NumSignals + 10]call
	n      int
	listen [len(listenPID) + 20]byte // the variable that the child writes, and a 0
	image  *image
	prefix []byte       // listenPID, for the child
	act    [2]sigaction // to default, to ignore
	mask   SignalSet
	nofile Limit
}

func (s *script) add(need need, nr uintptr, args ...uintptr) *call {
	c := &s.calls[s.n]
	s.n++
	c.nr, c.need, c.result = nr, need, notMade
	copy(c.args[:], args)
	return c
}

// spawnExact starts the file with exactly the signals and the limit of
// c.Inherited.
//
// Why not syscall.ForkExec: it cannot hand on an ignored signal unless the
// whole process ignores that for a moment (for SIGCHLD this would lose the
// status of a command that ends at once), and it takes a terminal that cannot
// be handed over for a failure of the start.
func spawnExact(c *Command, file string, img *image) (pid int, err error) {
	s := &script{
		image:  img,
		act:    [2]sigaction{{handler: sigDefault}, {handler: sigIgnore}},
		mask:   c.Inherited.Blocked,
		nofile: c.Inherited.NoFile,
	}
	self := s.add(needSuccess, unix.SYS_GETPID)
	if c.ParentDeath != 0 {
		s.add(needSuccess, unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(c.ParentDeath))
		// Is the parent that it was set for still there? (prctl(2))
		s.add(needEqual, unix.SYS_GETPPID, 0, 0, 0, 0, uintptr(os.Getpid()))
	}
	group := s.addGroup(c.Group)
	// Every action is set, the default ones too: execve would reset a handler,
	// but between the mask below and execve no signal may run one of Go's here.
	for sig := unix.Signal(1); sig <= NumSignals; sig++ {
		if sig == unix.SIGKILL || sig == unix.SIGSTOP {
			continue
		}
		act := &s.act[sigDefault]
		if c.Inherited.Ignored.Has(sig) {
			act = &s.act[sigIgnore]
		}
		s.add(needNothing, unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(act)), 0, unsafe.Sizeof(s.mask))
	}
	if s.nofile.Max != 0 {
		s.add(needNothing, unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&s.nofile)), 0)
	}
	if c.Terminal != nil {
		// SIGTTOU is still blocked, so a process in the background may do this
		// (tcsetpgrp(3)). The pid is read where getpid left it: as the kernel
		// reads an int, and both machines are little-endian.
		s.add(needNothing, unix.SYS_IOCTL, uintptr(c.Terminal.fd), unix.TIOCSPGRP, uintptr(unsafe.Pointer(&self.result)))
	}
	if c.ListenPID {
		s.addListenPID(self)
	}
	// The mask comes last: a stop signal that was waiting takes effect as this
	// returns, and would hold the caller until somebody continues the child.
	mask := s.add(needSuccess, unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&s.mask)), 0, unsafe.Sizeof(s.mask))
	exec := s.add(needSuccess, unix.SYS_EXECVE, uintptr(unsafe.Pointer(img.path)),
		uintptr(unsafe.Pointer(&img.argv[0])), uintptr(unsafe.Pointer(&img.envv[0])))

	pid, err = s.run()
	if err != nil {
		return 0, &StartError{Op: "fork for", Path: file, Err: err}
	}
	for _, step := range []struct {
		*call
		op string
	}{{group, "set process group of"}, {mask, "set signal mask for"}, {exec, "exec"}} {
		if step.result < 0 {
			reapFailed(pid)
			return 0, &StartError{Op: step.op, Path: file, Err: unix.Errno(-step.result)}
		}
	}
	// Killed before execve is started and killed: wait tells it.
	return pid, nil
}

// addGroup puts the child where it belongs.
func (s *script) addGroup(g Group) *call {
	switch g {
	case OwnSession:
		made := s.add(needSuccess, unix.SYS_SETSID)
		s.add(needNothing, unix.SYS_IOCTL, 0, unix.TIOCSCTTY, 0)
		return made
	case CallersGroup:
		return s.add(needSuccess, unix.SYS_GETPGID, 0)
	case OwnGroup:
	}
	return s.add(needSuccess, unix.SYS_SETPGID, 0, 0)
}

const listenPID = "LISTEN_PID="

// addListenPID has the child write its pid, which nobody knows before, into its
// environment.
func (s *script) addListenPID(self *call) {
	prefix := []byte(listenPID)
	own := listenPID + strconv.Itoa(os.Getpid())
	for i, entry := range s.image.envv {
		if entry != nil && unix.BytePtrToString(entry) == own {
			s.prefix = prefix
			s.add(needNothing, writeNumber, uintptr(unsafe.Pointer(&self.result)),
				uintptr(unsafe.Pointer(&s.listen[len(s.listen)-1])),
				uintptr(unsafe.Pointer(&prefix[0]))+uintptr(len(prefix)), uintptr(len(prefix)),
				uintptr(unsafe.Pointer(&s.image.envv[i])))
			return // getenv(3) sees the first
		}
	}
}

// run makes the child while every signal is blocked on this thread: a handler
// of Go's that ran in the child would run on memory that is the parent's too.
func (s *script) run() (pid int, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before); err != nil {
		return 0, err
	}
	pid = vfork(&s.calls[0], s.n)
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil); err != nil {
		return 0, err
	}
	runtime.KeepAlive(s)
	if pid < 0 {
		return 0, unix.Errno(-pid)
	}
	return pid, nil
}
