package supervise

import (
	"os"
	"syscall"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
)

// loop is a running Supervisor: the machine, and what carries out its actions.
type loop struct {
	*Supervisor
	m       machine
	command int   // the pid of the command, kept when it has been reaped: its group may live on
	failure error // why it could not be started
	before  before
	exits   []reap.Exit
	more    bool        // children are left
	alarm   *time.Timer // nil while the machine has no deadline
	armed   time.Time   // what alarm was set for
	storm   storm
	deaf    bool // Messages has failed
	probe   probe

	ended   time.Time // when the command did
	table   leftovers
	lineage lineage
	refused bool // a kill has failed, and it has been told

	poll   *time.Timer   // when the tree is looked at again
	looked bool          // it has been looked at since poll was set
	cost   time.Duration // what that took
}

// step hands one event to the machine and does what it says.
func (l *loop) step(ev event) {
	ev.now, ev.chance = time.Now(), l.Chance()
	var acts []action
	l.m, acts = l.m.step(ev)
	for _, a := range acts {
		if !l.do(a) {
			break
		}
	}
}

func (l *loop) signal(sig os.Signal) {
	s, ok := sig.(syscall.Signal)
	if !ok {
		return
	}
	ev := event{kind: evSignal, sig: s}
	if forTerminal(s) || byTerminal(s) {
		ev.terminal = l.Kernel.Terminal()
	}
	l.step(ev)
}

// start starts the command.
func (l *loop) start() {
	if l.Type == ForkingType {
		l.settle() // as a rule there is nobody then
		l.before = l.readBefore()
	}
	pid, err := l.Kernel.Start(&l.Config)
	if err != nil {
		l.failure = err
		l.step(event{kind: evFailed, err: err})
		return
	}
	l.command = pid
	l.step(event{kind: evStarted, pid: pid})
}

// settle takes in everything that has happened by now. It follows each wake-up,
// whatever that was: a signal that says so may have been merged with another.
//
// A stop is looked at before the exits, so that the pid is still the command's.
func (l *loop) settle() {
	l.attend()
	l.reap()
}

// attend takes in what is no exit.
func (l *loop) attend() {
	if l.m.pid != 0 {
		switch change, sig := l.Kernel.JobChange(l.m.pid); change {
		case reap.JobStopped:
			l.step(event{kind: evStopped, sig: sig, terminal: l.Kernel.Terminal()})
		case reap.JobContinued:
			l.step(event{kind: evContinued})
		case reap.JobUnchanged:
		}
	}
}

// reap takes in the exits.
func (l *loop) reap() {
	begin := time.Now()
	l.exits = l.exits[:0]
	if l.EndSignal == 0 || l.m.pid == 0 {
		l.drain(0)
	} else {
		l.drain(l.m.pid)
		if exited, _ := l.Kernel.Exited(l.m.pid); exited {
			l.step(event{kind: evEnded})
			l.drain(0)
		}
	}
	l.storm.drained(len(l.exits), begin, time.Now())
	l.receive()
	for _, exit := range l.exits {
		if exit.PID == l.probe.pid {
			l.probeExited(exit.Status)
			continue
		}
		if exit.PID == l.m.pid {
			l.step(event{kind: evExited, status: exit.Status, usage: exit.Usage})
			l.commandEnded()
			continue
		}
		l.m.result.Orphans++
		if l.Type == ForkingType && !l.before.has(exit.PID) {
			l.step(event{kind: evStray, pid: exit.PID, status: exit.Status, usage: exit.Usage})
		}
		l.reaped(exit)
		l.tell(Event{Kind: OrphanReaped, PID: exit.PID, Name: exit.Name, Status: exit.Status})
	}
	switch {
	case l.more:
	case l.m.pid != 0:
		l.step(event{kind: evLost})
		l.commandEnded()
		l.step(event{kind: evEmpty})
	default:
		l.step(event{kind: evEmpty})
	}
}

// drain reaps who has exited, but for the child that is held.
func (l *loop) drain(held int) {
	var err error
	l.exits, l.more, err = l.Kernel.Drain(l.exits, held)
	if err != nil {
		l.tell(Event{Kind: CallFailed, Err: err})
		l.more = true // nobody knows; what has been reaped before it counts all the same
	}
}

// commandEnded follows the end of the command.
func (l *loop) commandEnded() {
	l.ended = time.Now()
	l.leaveTerminal()
}

// do carries out one action. Nothing that fails here ends the loop. It is false
// if the next must be left out: a command that waits for the terminal and cannot
// get it would stop again as soon as it is continued, and so for ever.
func (l *loop) do(a action) bool {
	switch a.kind {
	case actStart:
		l.start()
	case actTell:
		if a.tell.Kind == LeftoversAsked || a.tell.Kind == LeftoversAwaited || a.tell.Kind == LeftoversTimeout || a.tell.Kind == LeftoversSurvived {
			a.tell.Count = l.table.count()
		}
		l.tell(a.tell)
	case actSend:
		l.send(a, l.Group)
	case actSendGroup:
		l.send(a, true)
	case actTakeTerminal:
		l.check(l.Kernel.SetForeground(l.Kernel.Terminal().Own))
	case actGiveTerminal:
		err := l.Kernel.SetForeground(l.m.pid)
		l.check(err)
		return err == nil
	case actSuspend:
		l.check(l.Kernel.StopGroup(a.sig))
		l.step(event{kind: evResumed, terminal: l.Kernel.Terminal()})
	case actContinueOwn:
		l.check(l.Kernel.ContinueGroup())
	case actStopSelf:
		l.check(l.Kernel.StopSelf())
	case actFind:
		l.find()
	case actAsk:
		l.ask()
		if a.first {
			l.m = l.m.asked(time.Now())
		}
	case actSweep:
		l.sweep()
		l.m = l.m.swept(l.cost)
	case actProbe:
		l.startProbe()
	case actEndProbe:
		l.endProbe()
	case actSeek:
		l.seek()
	case actConclude:
		l.conclude()
	}
	return true
}

// send signals the command, which has not been reaped: its pid is its own. A
// command that has left its group gets it alone.
func (l *loop) send(a action, group bool) {
	ev := Event{Kind: SignalSent, PID: l.m.pid, Signal: a.from, To: a.sig}
	var sent bool
	var err error
	if pgid := l.group(); group && pgid != 0 {
		if a.sig == syscall.SIGTERM {
			l.askGroup(pgid)
		}
		sent, err = l.Kernel.SignalGroup(pgid, a.sig)
	}
	if !sent && err == nil {
		sent, err = l.Kernel.Signal(l.m.pid, a.sig)
	}
	switch {
	case err != nil:
		l.check(err)
		return
	case !sent:
		ev.Kind = SignalMissed
	}
	l.tell(ev)
}

// group is the process group of the command, 0 if that is reaper's own. A daemon belongs
// to that of whoever has forked it.
func (l *loop) group() int {
	if l.m.followed {
		return l.Kernel.GroupOf(l.m.pid)
	}
	return l.m.pid
}

// leaveTerminal takes the terminal back from the command's group once the
// command is gone: the shell script that started reaper could not read from it.
func (l *loop) leaveTerminal() {
	tty := l.Kernel.Terminal()
	if tty.Present && tty.Own != 0 && l.command != 0 && tty.Foreground == l.command {
		l.check(l.Kernel.SetForeground(tty.Own))
	}
	l.command = 0
}

func (l *loop) check(err error) {
	if err != nil {
		l.tell(Event{Kind: CallFailed, PID: l.m.pid, Err: err})
	}
}

func (l *loop) tell(ev Event) {
	if l.OnEvent != nil {
		l.OnEvent(ev)
	}
}

// deadline tells the machine that a time has come that it waits for. The next one
// may be the same, and is then to be waited for again.
func (l *loop) deadline() {
	l.alarm, l.armed = nil, time.Time{}
	ev := event{kind: evDeadline}
	if l.m.heldStop != 0 {
		ev.terminal = l.Kernel.Terminal()
	}
	l.step(ev)
}

// timer is the channel that fires when the machine waits for a time to come, nil
// when it does not.
func (l *loop) timer() <-chan time.Time {
	next := l.m.wakeAt()
	if !next.Equal(l.armed) {
		if l.alarm != nil {
			l.alarm.Stop()
			l.alarm = nil
		}
		l.armed = next
		if !l.armed.IsZero() {
			l.alarm = time.NewTimer(time.Until(l.armed))
		}
	}
	if l.alarm == nil {
		return nil
	}
	return l.alarm.C
}
