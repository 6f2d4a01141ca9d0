package main

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// The Go runtime changes what it inherits before main runs: the actions and the
// mask of signals, the soft RLIMIT_NOFILE, descriptors 0 to 2 where they are
// closed, duplicate names in the environment. An init must hand all that to its
// command as it was. So the built binary has an entry point of its own (make
// build links with -E main.entry; entry_linux_*.s) that writes it down first.
//
// In a binary from a plain `go build` entered stays 0, and Go's rules hold.

//nolint:gochecknoglobals // written by the entry point, before there is Go
var (
	entered          uint64     // the entry point has run
	inheritedIgnored uint64     // signals whose action was to be ignored
	inheritedBlocked uint64     // the signal mask
	inheritedNoFile  reap.Limit // RLIMIT_NOFILE
	inheritedParent  int        // the parent's pid
	initialStack     *uintptr   // argc, the arguments, nil, the environment, nil: as execve left them
)

// earlySignals are what earlySignal handles: all but KILL and STOP, CHLD, for
// which nothing can be lost as the loop drains at its start, those that a fault
// raises, to which a handler must not return, and PIPE, for which the runtime
// would call it while it writes to a broken pipe.
//
//nolint:unused // see below
const earlySignals = ^(uint64(faultSignals) | 1<<(unix.SIGSTKFLT-1) | 1<<(unix.SIGKILL-1) | 1<<(unix.SIGSTOP-1) | 1<<(unix.SIGCHLD-1) | 1<<(unix.SIGPIPE-1))

// What the entry point reads: constants, as no initializer of Go's has run yet.
//
//nolint:gochecknoglobals,unused // used by entry_linux_*.s
var (
	rootPath = [2]byte{'/'}
	// oneProcessor comes first in the environment that the runtime sees, and it alone.
	// The loop needs one processor; with more of them each wake-up wakes threads that
	// look for work and find none. The runtime also asks the cgroup for its share of
	// the processors, at the start and again and again, if it is not told.
	oneProcessor = [13]byte{'G', 'O', 'M', 'A', 'X', 'P', 'R', 'O', 'C', 'S', '=', '1'}
	// noDebugging comes next: what somebody wants of the runtime of a command in Go is
	// not wanted of this one.
	noDebugging = [9]byte{'G', 'O', 'D', 'E', 'B', 'U', 'G', '='}
	entryAction [4]uint64 // earlySignal as a struct sigaction
	entryBefore [4]uint64
	earlyTaken  uint64 = earlySignals
	// earlyMask stays blocked until it is taken, see receive. Those that cannot be
	// blocked the runtime lets through by itself, a little later.
	earlyMask uint64 = earlySignals&^untakenSignals | 1<<(unix.SIGPIPE-1)
)

// inherited is what the command is to find, or nil if it is not known.
func inherited() *reap.Inheritance {
	if entered == 0 {
		return nil
	}
	return &reap.Inheritance{
		Blocked: reap.SignalSet(inheritedBlocked),
		Ignored: reap.SignalSet(inheritedIgnored),
		NoFile:  inheritedNoFile,
	}
}

// parent is the pid of the parent at the start, as near to it as can be.
func parent() int {
	if entered == 0 {
		return os.Getppid()
	}
	return inheritedParent
}

// environ is the environment as it was given. os.Environ leaves out all but the
// first of the entries that have the same name.
func environ() []string {
	if entered == 0 {
		return os.Environ()
	}
	argc := int(*initialStack)
	entry := (**byte)(unsafe.Add(unsafe.Pointer(initialStack), (1+argc+1)*int(unsafe.Sizeof(initialStack))))
	var env []string
	for *entry != nil {
		env = append(env, unix.BytePtrToString(*entry))
		entry = (**byte)(unsafe.Add(unsafe.Pointer(entry), unsafe.Sizeof(entry)))
	}
	return env
}
