package main

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// What is said before there is a command, to whoever called: plain lines on
// stderr that start with the name of the program. Afterwards log.go speaks.

// speaker writes to a descriptor while every signal is blocked on its thread. Package
// os would end the program by SIGPIPE when nobody reads; and a terminal that does
// not want output from the background (stty tostop) would have the write begun
// again and again, by a SIGTTOU each time.
type speaker int

func (fd speaker) Write(text []byte) (n int, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &all, &before); err != nil {
		return 0, err
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) //nolint:errcheck // it could be read, so it can be written
	return descriptor(fd).Write(text)
}

// complain says one line.
func (p *process) complain(format string, args ...any) {
	fmt.Fprintf(p.stderr, "reaper: "+format+"\n", args...) //nolint:errcheck // there is nobody else to tell
}

// fail says why reaper itself could not do its work.
func (p *process) fail(format string, args ...any) int {
	p.complain(format, args...)
	return exitFailed
}

// failAs says it as the persona that this is.
func (p *process) failAs(o *options, err error) int {
	if o.as == nil {
		return p.fail("%v", err)
	}
	fmt.Fprintln(p.stderr, o.as.log.fatal(err.Error())) //nolint:errcheck // there is nobody else to tell
	return o.as.failed
}

// misused says what is wrong with the call, and what to do.
func (p *process) misused(err error) int {
	p.complain("%v", err)
	var usage *usageError
	if errors.As(err, &usage) && usage.hint != "" {
		p.complain("%s", usage.hint)
	}
	return exitFailed
}
