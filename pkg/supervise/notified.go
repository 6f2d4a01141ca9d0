package supervise

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/reaper-init/reaper/pkg/supervise/notify"
)

// Messages is where the command tells of itself: a [*notify.Listener].
type Messages interface {
	// Wake brings a value when there may be something to receive.
	Wake() <-chan struct{}
	// Receive returns the next message, if there is one, and does not wait.
	Receive() (msg notify.Message, ok bool, err error)
}

// Manager is the service manager above this process: a [*notify.Manager].
type Manager interface {
	// Send tells it what is for it in a message, now or when it can.
	Send(*notify.Message) error
	// Writable brings a value when Flush should be called.
	Writable() <-chan struct{}
	// Flush sends what waits.
	Flush() error
}

// messages is the channel that tells of messages, nil if there can be none.
func (l *loop) messages() <-chan struct{} {
	if l.Messages == nil || l.deaf {
		return nil
	}
	return l.Messages.Wake()
}

// writable is the channel that tells of room at the service manager's.
func (l *loop) writable() <-chan struct{} {
	if l.Manager == nil {
		return nil
	}
	return l.Manager.Writable()
}

// receive takes in the messages. It comes after what has exited was reaped, and before
// that is acted on: what a process has sent before its end counts.
func (l *loop) receive() {
	for l.Messages != nil && !l.deaf {
		msg, ok, err := l.Messages.Receive()
		if err != nil {
			l.check(err)
			l.deaf = true
		}
		if err != nil || !ok {
			return
		}
		l.heard(&msg)
	}
}

// heard takes in one message, and passes it on.
func (l *loop) heard(msg *notify.Message) {
	if !l.trusts(msg) {
		l.tell(Event{Kind: MessageRefused, PID: l.m.pid, Err: fmt.Errorf("from process %d of user %d", msg.PID, msg.UID)})
		return
	}
	if msg.Err != nil {
		l.tell(Event{Kind: MessageRefused, PID: l.m.pid, Err: msg.Err})
	}
	if msg.Declined() {
		l.tell(Event{Kind: MessageRefused, PID: l.m.pid, Err: errNoStore})
	}
	ev := event{kind: evNotify, msg: msg}
	if msg.MainPID != 0 && msg.MainPID != l.m.pid {
		ev.pid = msg.MainPID
		_, ev.child = l.Kernel.Exited(ev.pid)
	}
	l.step(ev)
	if l.Manager == nil {
		return
	}
	up := *msg
	if l.Restart != RestartNever && !l.m.wantDown {
		up.Stopping = false // it may be started again, and the manager would end this process
	}
	l.check(l.Manager.Send(&up))
}

var errNoStore = errors.New("descriptors to be kept: there is no store for them")

// trusts reports whether a message is from the command: from a user that it runs as, or
// from root, or, for one that has changed its user, from a process below this one. Who
// has sent may have ended by now, so that the tree alone cannot tell.
func (l *loop) trusts(msg *notify.Message) bool {
	if msg.UID == os.Geteuid() || msg.UID == 0 || l.Attributes.User != nil && msg.UID == int(l.Attributes.User.UID) {
		return true
	}
	for _, p := range l.below() {
		if p.PID == msg.PID {
			return true
		}
	}
	return false
}

// notified acts on what the command tells of itself.
func (m machine) notified(ev event) (machine, []action) {
	switch m.state {
	case up, delaying, stopping, killing, seeking:
	case down, starting, pausing, settling, draining, sweeping, backoff, done:
		return m, nil // from a leftover
	}
	msg := ev.msg
	var acts, more []action
	if ev.pid != 0 {
		m, acts = m.succeed(ev)
	}
	was := m.says
	m.says = m.says.After(msg)
	if msg.Ready {
		m, more = m.arrived(waitNotify, ev.now)
		acts = append(acts, more...)
	}
	if m.says != was {
		switch m.says {
		case notify.Reloading:
			acts = append(acts, tell(Event{Kind: Reloading, PID: m.result.PID})...)
		case notify.Stopping:
			m.barkAt = time.Time{}
			acts = append(acts, tell(Event{Kind: Ending, PID: m.result.PID})...)
		case notify.Ready:
			if was == notify.Reloading {
				acts = append(acts, tell(Event{Kind: Reloaded, PID: m.result.PID})...)
			}
		case notify.Starting: // it begins so
		}
	}
	if msg.Status != nil {
		acts = append(acts, tell(Event{Kind: StatusTold, PID: m.result.PID, Text: *msg.Status})...)
	}
	m = m.extend(ev.now, msg.ExtendTimeout)
	if msg.WatchdogTimeout != nil {
		m.watchdog = *msg.WatchdogTimeout
		m = m.guard(ev.now)
	}
	switch {
	case msg.WatchdogTrigger:
		m, more = m.bark(ev)
		acts = append(acts, more...)
	case msg.Watchdog && !m.barkAt.IsZero():
		m = m.guard(ev.now)
	}
	return m, acts
}

// extend gives more time for what goes on: the start, or the stop. What the time limit
// has left is not more.
func (m machine) extend(now time.Time, more time.Duration) machine {
	if more <= 0 {
		return m
	}
	later := func(t time.Time) time.Time {
		if until := now.Add(more); until.After(t) {
			return until
		}
		return t
	}
	if !m.startBy.IsZero() {
		m.startBy = later(m.startBy)
	}
	if m.state == stopping && !m.deadline.IsZero() && m.until.IsZero() {
		m.deadline = later(m.deadline)
	}
	return m
}

// succeed makes another process the command, as MAINPID tells: now if it is a child, and
// else when the process that it is the child of has ended.
func (m machine) succeed(ev event) (machine, []action) {
	if !ev.child {
		m.heir = ev.pid
		return m, nil
	}
	m.heir = 0
	if m.state == seeking {
		return m.follow(ev)
	}
	m.pid, m.result.PID, m.followed = ev.pid, ev.pid, true
	m.jobStopped, m.heldStop, m.nudged = false, 0, false
	acts := tell(Event{Kind: DaemonFollowed, PID: m.pid})
	m, more := m.arrived(waitFollow, ev.now)
	acts = append(acts, more...)
	m, more = m.replay()
	acts = append(acts, more...)
	switch { // the one that had it is not the command any more
	case m.state == stopping && m.request.sig != 0:
		acts = append(acts, m.stopAction())
	case m.state == killing:
		acts = append(acts, action{kind: actSend, sig: syscall.SIGKILL})
	}
	return m, acts
}
