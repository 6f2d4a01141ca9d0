package reap

import "time"

// Exit is one child that was taken off the process table. From then on its
// PID may belong to another process.
type Exit struct {
	PID    int
	Name   string // the command name, if the caller of Peek read it before; Drain and Orphans leave it empty
	Status Status
	Usage  Usage
}

// Usage is what a process, and the descendants that it waited for, have used.
type Usage struct {
	User   time.Duration // CPU time in user mode
	System time.Duration // CPU time in the kernel
	MaxRSS int64         // the largest resident set of any one of them, in bytes
}
