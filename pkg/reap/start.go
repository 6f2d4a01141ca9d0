package reap

import "syscall"

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
	// Terminal, if not nil, is handed to the process: its group becomes the
	// foreground group before it runs its first instruction. Failing that is
	// no error.
	Terminal *Terminal
	// ParentDeath, if not 0, is what the process gets when the thread that
	// started it ends (PR_SET_PDEATHSIG): so it must be a thread that lives as
	// long as the program, see [runtime.LockOSThread].
	ParentDeath syscall.Signal
}

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
	Op    string // what failed: "find", "exec", or a system call before it
	Path  string // the file, or the name that was looked for
	Found bool   // the file was there
	Err   error  // the errno
	// NoInterpreter is true where the file is there, and what is not is the
	// interpreter that its first line or its ELF header names.
	NoInterpreter bool
}

func (e *StartError) Error() string { return e.Op + " " + e.Path + ": " + e.Err.Error() }

func (e *StartError) Unwrap() error { return e.Err }

// Limit is a resource limit, as struct rlimit64 of the kernel.
type Limit struct{ Cur, Max uint64 }
