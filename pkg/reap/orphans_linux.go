package reap

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

//nolint:gochecknoglobals // it is of the process that there may be one
var orphansRunning = make(chan struct{}, 1)

// Orphans reaps every orphan that the process adopts, and never a child that os/exec
// or os.StartProcess has started and somebody will wait for. It runs until ctx ends,
// looks once more, and returns nil. So a program with children of its own, or one that
// runs other people's programs, calls it in main:
//
//	go func() {
//		if err := reap.Orphans(ctx, reap.OrphanOptions{}); err != nil {
//			log.Print(err)
//		}
//	}()
//
// Nothing has to be registered, no lock be held, and any goroutine may start and wait
// for children meanwhile. What belongs to somebody is told by the descriptor that
// package os has of each child that it started, until Wait. So these are reaped as
// well, as nobody can wait for them any more: a child whose os.Process was released,
// and one whose os.Process (or exec.Cmd) nothing refers to, when the garbage collector
// has found that. If it had exited before, no signal tells of it: then it is found
// when any child exits, or else in about the time that it has been a zombie,
// but a minute at the most.
//
// Orphans makes the process a subreaper, so that it works as PID 1 and not; see
// [BecomeSubreaper]. Who starts children right after the go statement calls that
// before, as an orphan goes to the adopter that there is when its parent ends. When
// Orphans returns it takes the attribute back if it has set it.
//
// # Who has to be named
//
// A child that was started in another way has no such descriptor and would be taken for
// an orphan. These are
//
//   - children of [syscall.ForkExec]: set PidFD in the SysProcAttr, and close
//     that descriptor after the wait; or name them by [OrphanOptions.Mine];
//   - children of [Start], which are for [Drain];
//   - children for which somebody waits by their number, as with [syscall.Wait4], and
//     has let go of the os.Process;
//   - children that C code forks and waits for, as system(3) does. Nothing can be done
//     for them;
//   - children that are started on a thread which has a descriptor table of its own
//     (unshare(2) with CLONE_FILES);
//   - what a child makes a child of its parent (CLONE_PARENT), as runc does, until
//     [os.FindProcess] has opened it.
//
// The reverse is true as well: whoever has a pidfd of an orphan, as by
// [os.FindProcess], keeps it from being reaped until that is closed.
//
// # Errors
//
// If nothing tells whose a child is, Orphans reaps none by guess and returns an error
// that is an [ErrNoOwnership]: package os uses no pidfds here (Linux 5.4; a sandbox may
// forbid them), or there is no /proc of this pid namespace, in which case it is also
// an [ErrNoProc]. Later it returns an error if the kernel refuses what it allowed
// before. A lack of descriptors or memory is waited out. One call may run in a process
// at a time.
//
// It takes SIGCHLD by [signal.Notify], turns that off under load, and gives it back at
// the end; the channels that others have for that signal get it all the same.
// signal.Reset and signal.Ignore of SIGCHLD would leave it without. It must not be used
// in one program with Drain, or anything else that waits for every child.
func Orphans(ctx context.Context, opts OrphanOptions) error {
	select {
	case orphansRunning <- struct{}{}:
		defer func() { <-orphansRunning }()
	default:
		return errors.New("reap orphans: another call is running in this process")
	}
	unowned, err := newUnowned(opts.Mine)
	if err != nil {
		return fmt.Errorf("reap orphans: %w: %w", ErrNoOwnership, err)
	}
	defer unowned.close()
	if !opts.NoSubreaper {
		restore, err := adopt()
		if err != nil {
			return fmt.Errorf("reap orphans: %w", err)
		}
		defer restore()
	}
	chld := make(chan os.Signal, 1) // a signal says no more than that something happened
	loop := orphanLoop{
		reap: unowned.reap, onExit: opts.OnExit, chld: chld,
		notify: func() { signal.Notify(chld, unix.SIGCHLD) },
		stop:   func() { signal.Stop(chld) },
	}
	if err := loop.run(ctx); err != nil {
		return fmt.Errorf("reap orphans: %w", err)
	}
	return nil
}

// adopt makes the process a subreaper; restore makes it what it was.
func adopt() (restore func(), err error) {
	was, err := IsSubreaper()
	if was || err != nil {
		return func() {}, err
	}
	restore = func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) } // it was set
	return restore, BecomeSubreaper()
}

// orphanLoop decides when to look.
//
// A SIGCHLD costs a Go program several times what a reaping does. So under load it is
// turned off, and the children are looked at every few milliseconds instead, until a
// look reaps nothing, as network drivers do with their interrupts. Otherwise it stays
// on, as turning it off and on costs as much as some signals; but between two looks
// there is the same gap.
//
// No exit is lost. One that comes while the signal is on fills the channel; it was
// emptied before the look, so the look sees what was told before. One that comes while
// it is off is seen by the look that follows each turning on. And as long as the
// kernel says that a child has exited that was not reaped, there is a clock besides, as
// nothing tells when a zombie loses its owner. Its pauses double, so that zombies which
// somebody keeps cost nothing in the long run.
type orphanLoop struct {
	reap         func(exits []Exit) (_ []Exit, left bool, err error) // see unowned
	onExit       func(Exit)                                          // or nil
	chld         <-chan os.Signal
	notify, stop func() // turn chld on and off

	on     bool
	exits  []Exit
	looked time.Time     // when the last look was over
	gap    time.Duration // to be kept until the next
	timer  *time.Timer
}

const (
	// shortestGap is between two looks under load. With less the timer costs more than
	// the reaping, and with more nothing is saved.
	shortestGap = 5 * time.Millisecond
	// load is how many a look reaps under load: about as many signals cost what it
	// costs to turn them off and on.
	load = 4
	// gapFactor times what a look has cost is the gap, so that thousands of children
	// or of descriptors take no more than a small part of a processor.
	gapFactor = 10
	// longestGap is how long an orphan may wait for that.
	longestGap = 250 * time.Millisecond
	// longestRelook is between two looks at zombies that have owners.
	longestRelook = time.Minute
)

func (l *orphanLoop) run(ctx context.Context) error {
	l.timer = time.NewTimer(longestGap)
	defer l.timer.Stop()
	l.turn(true)
	defer l.turn(false)
	relook := shortestGap
	for {
		last := ctx.Err() != nil
		left, err := l.look()
		if len(l.exits) > 0 {
			relook = shortestGap
		}
		switch {
		case err != nil || last:
			return err
		case len(l.exits) >= load, len(l.exits) > 0 && !l.on:
			l.turn(false)
			l.pause(ctx, l.gap, nil)
		case !l.on:
			l.turn(true) // and look
		case !left:
			l.await(ctx, 0)
			relook = shortestGap
		case l.await(ctx, max(relook, l.gap)):
			relook = shortestGap
		default:
			relook = min(2*relook, longestRelook)
		}
	}
}

// look looks once and tells of who was reaped.
func (l *orphanLoop) look() (left bool, err error) {
	if l.on {
		select {
		case <-l.chld:
		default:
		}
	}
	began := time.Now()
	l.exits, left, err = l.reap(l.exits[:0])
	l.looked = time.Now()
	l.gap = min(max(gapFactor*l.looked.Sub(began), shortestGap), longestGap)
	if l.onExit != nil {
		for _, exit := range l.exits {
			l.onExit(exit)
		}
	}
	return left, err
}

func (l *orphanLoop) turn(on bool) {
	switch {
	case on && !l.on:
		l.notify()
	case !on && l.on:
		l.stop()
	}
	l.on = on
}

// await waits until a child exits, which is true, or for d if that is not 0. The gap is
// kept: signals of children that others wait for come as often as they like.
func (l *orphanLoop) await(ctx context.Context, d time.Duration) (exited bool) {
	exited = l.pause(ctx, d, l.chld)
	if rest := l.gap - time.Since(l.looked); exited && rest > 0 {
		l.pause(ctx, rest, nil)
	}
	return exited
}

// pause waits until chld tells of an exit, which is true, or ctx ends, or for d if
// that is not 0.
func (l *orphanLoop) pause(ctx context.Context, d time.Duration, chld <-chan os.Signal) (exited bool) {
	var after <-chan time.Time
	if d > 0 {
		l.timer.Reset(d)
		after = l.timer.C
	}
	select {
	case <-chld:
		return true
	case <-after:
	case <-ctx.Done():
	}
	return false
}
