package main

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// urgent is "forward" in a binary whose runtime was linked not to send SIGURG
// to itself (make build: runtime.godebugDefault=asyncpreemptoff=1). Otherwise a
// SIGURG is most likely the runtime's own and is never forwarded.
//
//nolint:gochecknoglobals // set by the linker
var urgent string

// signalBacklog is how many signals may wait for the loop. Standard signals
// merge while they wait in the kernel; what is beyond this is lost.
const signalBacklog = 128

// requestBacklog is how many requests to stop may wait; more ask for no more.
const requestBacklog = 16

// takeSignals has every signal that can be caught delivered from now on: SIGCHLD
// to chld, which is level-triggered, so one place is enough, and the others to
// sigs.
//
// It comes before anything else in main. As PID 1 the kernel drops a signal that
// has no handler; and the runtime's own handlers make PID 1 mortal: a SIGSEGV
// or SIGQUIT sent from inside the container would end it unless it is taken.
func takeSignals() (chld, requests, sigs chan os.Signal) {
	chld = make(chan os.Signal, 1)
	requests = make(chan os.Signal, requestBacklog)
	sigs = make(chan os.Signal, signalBacklog)
	r := receiver{chld: chld, requests: requests, sigs: sigs}
	if entered == 0 || !r.start() {
		r.notify()
	}
	return chld, requests, sigs
}

// notify takes the signals by os/signal.
func (r *receiver) notify() {
	all := make([]os.Signal, 0, reap.NumSignals)
	for sig := unix.Signal(1); sig <= reap.NumSignals; sig++ {
		switch sig {
		case unix.SIGKILL, unix.SIGSTOP: // cannot be caught
		case unix.SIGCHLD, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT: // their channels are their own
		case unix.SIGURG:
			if urgent == "forward" {
				all = append(all, sig)
			}
		case unix.SIGPROF, 32, 33, 34: // os/signal does not deliver them
		default:
			all = append(all, sig)
		}
	}
	signal.Notify(r.requests, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT)
	signal.Notify(r.sigs, all...)
	signal.Notify(r.chld, unix.SIGCHLD)
}
