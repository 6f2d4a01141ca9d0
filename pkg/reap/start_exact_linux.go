//go:build linux && (amd64 || arm64)

package reap

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sigaction is the kernel's struct, with the same layout on both machines.
type sigaction struct {
	handler, flags, restorer uintptr
	mask                     SignalSet
}

const (
	sigDefault = 0
	sigIgnore  = 1
)

// spawnExact starts the file with exactly the signals and the limit of
// c.Inherited, and with c.Attributes.
//
// Why not syscall.ForkExec: it cannot hand on an ignored signal unless the
// whole process ignores that for a moment (for SIGCHLD this would lose the
// status of a command that ends at once), it takes a terminal that cannot
// be handed over for a failure of the start, and it knows few attributes.
func spawnExact(c *Command, file string, img *image) (pid int, err error) {
	in := c.Inherited
	if in == nil {
		if in, err = inheritedByGo(); err != nil {
			return 0, &StartError{Op: "read signals for", Path: file, Err: err}
		}
	}
	s := &script{
		image:  img,
		act:    [2]sigaction{{handler: sigDefault}, {handler: sigIgnore}},
		mask:   in.Blocked,
		nofile: in.NoFile,
	}
	defer s.close()
	if op, err := s.write(c, in); err != nil {
		return 0, &StartError{Op: op, Path: file, Err: err}
	}
	restore := keepDumpable(c.Attributes.User)
	pid, err = s.run()
	restore()
	if err != nil {
		return 0, &StartError{Op: "fork for", Path: file, Err: err}
	}
	if op, errno := s.failed(); errno != 0 {
		reapFailed(pid)
		return 0, &StartError{Op: op, Path: file, Err: errno}
	}
	// Killed before execve is started and killed: wait tells it.
	return pid, nil
}

// write writes the whole script. The order is explained in docs/design.md.
func (s *script) write(c *Command, in *Inheritance) (op string, err error) {
	self := s.add(needSuccess, unix.SYS_GETPID)
	if op, err := s.addStreams(c); err != nil {
		return op, err
	}
	s.addGroup(c.Group)
	s.addActions(in.Ignored)
	if s.nofile.Max != 0 {
		s.add(needNothing, unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&s.nofile)), 0)
	}
	if op, err := s.addAttributes(&c.Attributes); err != nil {
		return op, err
	}
	if c.ParentDeath != 0 { // a change of the user would have cleared it (prctl(2))
		s.add(needSuccess, unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(c.ParentDeath))
		// Is the parent that it was set for still there? (prctl(2))
		s.add(needEqual, unix.SYS_GETPPID, 0, 0, 0, 0, uintptr(os.Getpid()))
	}
	if c.Attributes.NoNewPrivileges {
		s.must("set no-new-privileges of", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1)
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
	s.must("set signal mask for", unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&s.mask)), 0, unsafe.Sizeof(s.mask))
	s.must("exec", unix.SYS_EXECVE, uintptr(unsafe.Pointer(s.image.path)),
		uintptr(unsafe.Pointer(&s.image.argv[0])), uintptr(unsafe.Pointer(&s.image.envv[0])))
	return "", nil
}

// addGroup puts the child where it belongs.
func (s *script) addGroup(g Group) {
	const op = "set process group of"
	switch g {
	case OwnSession:
		s.must(op, unix.SYS_SETSID)
		s.add(needNothing, unix.SYS_IOCTL, 0, unix.TIOCSCTTY, 0)
	case OwnGroup:
		s.must(op, unix.SYS_SETPGID, 0, 0)
	case CallersGroup:
	}
}

// addActions sets every action, the default ones too: execve would reset a handler,
// but between the mask and execve no signal may run one of Go's here.
func (s *script) addActions(ignored SignalSet) {
	for sig := unix.Signal(1); sig <= NumSignals; sig++ {
		if sig == unix.SIGKILL || sig == unix.SIGSTOP {
			continue
		}
		act := &s.act[sigDefault]
		if ignored.Has(sig) {
			act = &s.act[sigIgnore]
		}
		s.add(needNothing, unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(act)), 0, unsafe.Sizeof(s.mask))
	}
}

const (
	listenPID     = "LISTEN_PID="
	listenPIDFDID = "LISTEN_PIDFDID=" // of the same process; since systemd 257
)

// addListenPID has the child write its pid, which nobody knows before, into its
// environment. The number of a pidfd that stands beside it is the caller's, and whoever
// compares it with its own would not take the sockets: it is left out, as it may be.
func (s *script) addListenPID(self *call) {
	prefix := []byte(listenPID)
	own := listenPID + strconv.Itoa(os.Getpid())
	isOwn := func(entry *byte) bool { return entry != nil && unix.BytePtrToString(entry) == own }
	if !slices.ContainsFunc(s.image.envv, isOwn) {
		return
	}
	s.image.envv = slices.DeleteFunc(s.image.envv, func(entry *byte) bool {
		return entry != nil && strings.HasPrefix(unix.BytePtrToString(entry), listenPIDFDID)
	})
	for i, entry := range s.image.envv {
		if isOwn(entry) {
			s.prefix = prefix
			s.add(needNothing, writeNumber, uintptr(unsafe.Pointer(&self.result)),
				uintptr(unsafe.Pointer(&s.listen[len(s.listen)-1])),
				uintptr(unsafe.Pointer(&prefix[0]))+uintptr(len(prefix)), uintptr(len(prefix)),
				uintptr(unsafe.Pointer(&s.image.envv[i])))
			return // getenv(3) sees the first
		}
	}
}
