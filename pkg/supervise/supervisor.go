package supervise

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
)

// Supervisor runs one command. It is used once.
type Supervisor struct {
	Config

	// Kernel is the system; nil means the real one.
	Kernel Kernel
	// OnEvent, if not nil, is told what happens, on the goroutine of Run. While
	// it blocks nothing is reaped and no signal is forwarded: it must not.
	OnEvent func(Event)
	// Requests, if not nil, brings signals apart from sigs, where a burst of others
	// could crowd them out: SIGTERM, SIGINT and SIGQUIT.
	Requests <-chan os.Signal
	// Chance gives the numbers, from 0 to 1, that restarts are spread by; nil means those
	// of math/rand.
	Chance func() float64
	// Messages, if not nil, is where the command tells of itself. Config.Env has to say
	// where that is ([notify.Environ]), and the caller closes it after Run.
	Messages Messages
	// Manager, if not nil, is told what the command tells, but for what a service manager
	// would take for the end of this process while the command is to be started again.
	Manager Manager
}

// Run starts the command, waits for it and for every orphan that comes to this
// process meanwhile, forwards what arrives on sigs, starts the command again where
// Config.Restart wants that, and returns when it has ended for good and its leftovers
// have been dealt with. The process must be able to adopt: see [reap.BecomeSubreaper].
//
// chld tells that something happened to a child; a capacity of 1 is enough, as
// everything is drained whatever woke the loop. sigs should have room for a
// burst. Neither may be closed. The end of ctx is a stop request by SIGTERM,
// whatever Config.Rewrite makes of that; a caller who has SIGTERM both end ctx and
// come by sigs asks twice, and so kills. An error means that no command was
// started; it is that of [Config.Validate] or a [*reap.StartError].
func (s *Supervisor) Run(ctx context.Context, chld, sigs <-chan os.Signal) (Result, error) {
	if err := s.Validate(); err != nil {
		return Result{}, fmt.Errorf("check configuration: %w", err)
	}
	if s.Messages == nil && (s.Type == NotifyType || s.Watchdog > 0) {
		return Result{}, errors.New("check configuration: Messages: there is nothing to hear the command by")
	}
	if s.Kernel == nil {
		s.Kernel = NewKernel()
	}
	if s.Chance == nil {
		s.Chance = rand.Float64
	}
	l := &loop{Supervisor: s, m: machine{cfg: &s.Config}, poll: stoppedTimer(), looked: true}
	defer l.poll.Stop()
	defer l.calm()
	defer l.abandonProbe()
	l.begin(ctx, sigs)
	if l.m.result.PID == 0 && l.failure != nil {
		return Result{}, l.failure
	}
	cancelled := ctx.Done()
	for l.m.state != done {
		select {
		case <-chld:
			l.settle()
			l.woken()
			continue
		case <-l.storm.ticks():
			l.ticked()
			continue
		case <-l.messages():
		case err := <-l.probe.result:
			l.answered(err)
		case <-l.writable():
			l.check(s.Manager.Flush())
		case sig := <-sigs:
			l.signal(sig)
		case sig := <-s.Requests:
			l.signal(sig)
		case <-l.timer():
			l.settle() // it may have ended in time
			l.deadline()
		case <-l.poller():
			l.settle() // who has ended need not be looked at
			l.polled()
		case <-cancelled:
			cancelled = nil
			l.step(event{kind: evCancelled})
		}
		l.settle()
	}
	l.conclude()
	return l.m.result, nil
}

// begin takes in the signals that came before and then starts the command, unless
// one of them was a stop request.
func (l *loop) begin(ctx context.Context, sigs <-chan os.Signal) {
	if l.NoCommand {
		l.step(event{kind: evBegin}) // what came before is for the pause
	}
	if ctx.Err() != nil {
		l.step(event{kind: evCancelled})
	}
	for pending := true; pending; {
		select {
		case sig := <-sigs:
			l.signal(sig)
		case sig := <-l.Requests:
			l.signal(sig)
		default:
			pending = false
		}
	}
	l.step(event{kind: evBegin})
	if l.m.state != done {
		l.settle() // some may have exited before there was a chld to tell it
	}
}
