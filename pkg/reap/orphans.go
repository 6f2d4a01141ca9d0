package reap

import "errors"

// ErrNoOwnership is what the error of [Orphans] is, beside its cause, where nothing
// tells an orphan from a child that somebody waits for.
var ErrNoOwnership = errors.New("cannot tell orphans from other children")

// OrphanOptions is what [Orphans] is told. The zero value is good for a program that
// starts its children by os/exec and os.StartProcess alone. The functions are called
// on the goroutine that has called Orphans; while one takes its time, nothing is
// reaped.
type OrphanOptions struct {
	// OnExit, if it is set, is told of each process that was reaped, once, and after
	// that. It may start and wait for children. Name is empty.
	OnExit func(Exit)

	// Mine, if it is set, is asked whether the program itself will wait for the child
	// pid, which has exited and is that of no os.Process. What it names is left alone.
	//
	// No child is taken for an orphan before it could be named if one lock is held from
	// before syscall.ForkExec until its pid is noted, and Mine takes that lock as well.
	// The pid must be forgotten only after the wait: until then no other process has
	// it.
	Mine func(pid int) bool

	// NoSubreaper leaves the process without the attribute of a subreaper, if it is
	// without. Then nothing comes to it but what it has started itself, or all, if it
	// is PID 1.
	NoSubreaper bool
}
