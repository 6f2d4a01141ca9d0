package reap

import (
	"os"
	"strings"
	"syscall"
)

// Command is what [Start] starts.
type Command struct {
	// Args is the argument vector. Args[0] is also what is executed, and is
	// looked up in PATH unless it has a slash.
	Args []string
	// Env is the whole environment, and PATH is taken from it.
	Env []string
	// Inherited is how the process is to find its signals and limits. Nil
	// leaves it to Go's own rules (see package os/signal and
	// go.dev/issue/46279): default actions but for what Go leaves ignored, the
	// mask of the calling thread, and the soft RLIMIT_NOFILE as it was.
	Inherited *Inheritance
	// Attributes are what the process has otherwise than the caller.
	Attributes Attributes
	// Stdin, Stdout and Stderr become descriptors 0, 1 and 2 of the process, which
	// blocks on them. Nil leaves those of the caller. The files stay the caller's to
	// close.
	Stdin, Stdout, Stderr *os.File
	// Group is where the process belongs.
	Group Group
	// Terminal, if not nil, is handed to the process: its group becomes the
	// foreground group before it runs its first instruction. Failing that is
	// no error. It is for OwnGroup alone.
	Terminal *Terminal
	// ListenPID sets the variable LISTEN_PID to the pid of the process, where it
	// has that of the caller: so a service manager tells for whom the sockets are
	// that it passes (sd_listen_fds(3)). LISTEN_PIDFDID, which tells the same in another
	// way, is then left out. It needs Inherited.
	ListenPID bool
	// ParentDeath, if not 0, is what the process gets when the thread that
	// started it ends (PR_SET_PDEATHSIG): so it must be a thread that lives as
	// long as the program, see [runtime.LockOSThread].
	ParentDeath syscall.Signal
}

// Group is the process group and the session that a process starts in.
type Group uint8

const (
	// OwnGroup is a process group of its own, in the session of the caller.
	OwnGroup Group = iota
	// CallersGroup is that of the caller.
	CallersGroup
	// OwnSession is a session of its own. A terminal on descriptor 0 becomes its
	// controlling terminal, unless it is another session's, or Inherited is nil.
	OwnSession
)

// Inheritance is what a process got from the program that executed it, and what
// the Go runtime has changed before main runs. Handed to [Start], the command
// finds it as if nothing had stood between.
type Inheritance struct {
	Blocked SignalSet // the signal mask
	Ignored SignalSet // the signals whose action was to be ignored
	NoFile  Limit     // RLIMIT_NOFILE: the runtime raises the soft limit for itself; none if Max is 0
}

// StartError tells why a command could not be started.
type StartError struct {
	Op    string // what failed: "find", "exec", or a step before it, as "set user of"
	Path  string // the file, or the name that was looked for
	Dir   string // Attributes.Dir, which a relative Path is relative to
	Found bool   // the file was there
	Err   error  // the errno
	// NoInterpreter is true where the file is there, and what is not is the
	// interpreter that its first line or its ELF header names.
	NoInterpreter bool
}

func (e *StartError) Error() string { return e.Op + " " + e.Path + ": " + e.Err.Error() }

func (e *StartError) Unwrap() error { return e.Err }

// File is the path of the file as the caller finds it.
func (e *StartError) File() string { return within(e.Dir, e.Path) }

// within is the name that a file has outside of a directory.
func within(dir, file string) string {
	if dir == "" || strings.HasPrefix(file, "/") {
		return file
	}
	return dir + "/" + file
}

// Limit is a resource limit, as struct rlimit64 of the kernel.
type Limit struct{ Cur, Max uint64 }
