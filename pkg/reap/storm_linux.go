package reap

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// ChildSignal switches SIGCHLD off where it comes from, and on again. To a Go
// program a SIGCHLD costs some ten times what the wait costs that it leads to: the
// handler, the thread of os/signal, the goroutine that is told. So who reaps a
// storm switches it off, drains by a timer for as long as there is something to
// drain, and switches it on again, as network drivers do it with interrupts.
//
// Off sets the default action, with which the kernel makes no signal at all
// (sig_ignored in kernel/signal.c). That is not SIG_IGN, with which it would reap
// the children itself: exits are kept and waited for as ever (do_notify_parent).
//
// An exit that comes while it is off is told to nobody, so [Drain] once more when it
// is on again: what had exited before is found then, and what exits later
// makes a signal. The zero value is on. One goroutine may use it, and nobody else in
// the program may change the action of SIGCHLD meanwhile, by os/signal for example.
type ChildSignal struct {
	off   bool
	saved sigactionRaw // while it is off
}

// Off has the kernel make no SIGCHLD from now on. One that was made before may still
// be delivered.
func (c *ChildSignal) Off() error {
	if c.off {
		return nil
	}
	if err := rtSigaction(unix.SIGCHLD, &sigactionRaw{}, &c.saved); err != nil {
		return fmt.Errorf("switch SIGCHLD off: %w", err)
	}
	c.off = true
	return nil
}

// On puts back the action that was there before.
func (c *ChildSignal) On() error {
	if !c.off {
		return nil
	}
	if err := rtSigaction(unix.SIGCHLD, &c.saved, nil); err != nil {
		return fmt.Errorf("switch SIGCHLD on: %w", err)
	}
	c.off = false
	return nil
}
