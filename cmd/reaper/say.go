package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// What is said before there is a command, to whoever called: plain lines on
// stderr that start with the name of the program. Afterwards log.go speaks.

// rawStderr writes to descriptor 2 without package os, which ends the program
// by SIGPIPE, or hands that to sigs, when nobody reads.
type rawStderr struct{}

func (rawStderr) Write(line []byte) (int, error) {
	n, err := unix.Write(2, line)
	return max(n, 0), err
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

// misused says what is wrong with the call, and what to do.
func (p *process) misused(err error) int {
	p.complain("%v", err)
	var usage *usageError
	if errors.As(err, &usage) && usage.hint != "" {
		p.complain("%s", usage.hint)
	}
	return exitFailed
}
