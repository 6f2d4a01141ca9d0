package supervise

import (
	"syscall"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
)

// Terminal is what step needs to know of the controlling terminal. Both groups
// are 0 where reaper's own has no number, as it is of an outer pid namespace.
type Terminal struct {
	Present    bool
	Foreground int  // the process group that has it
	Own        int  // reaper's process group
	Orphaned   bool // nobody could continue reaper if it stopped
}

// restlessness is how long reaper stays awake after a stop of its own, whatever
// the command does but for a key. What was sent to reaper during the stop comes
// by several threads, in any order, and nothing tells which was the last.
const restlessness = 100 * time.Millisecond

// holdStop puts off a stop for want of the terminal. The kill of a shell sends
// TERM and then CONT to a job that is stopped, and a command that reads from the
// background stops again at once, on its way from the one to the other.
func (m machine) holdStop(ev event) (_ machine, acts []action, held bool) {
	switch {
	case !forTerminal(ev.sig):
		return m, nil, false
	case m.state == stopping && !m.nudged:
		// It may have stopped before it got the stop signal, which waits.
		m.nudged = true
		return m, []action{{kind: actSendGroup, sig: syscall.SIGCONT, from: ev.sig}}, true
	case ev.now.Before(m.restless):
		m.jobStopped, m.heldStop = true, ev.sig
		return m, nil, true
	}
	return m, nil, false
}

// releaseStop deals with the stop that was held, if its time has come.
func (m machine) releaseStop(ev event) (machine, []action) {
	if m.heldStop == 0 || ev.now.Before(m.restless) {
		return m, nil
	}
	ev.sig, m.heldStop = m.heldStop, 0
	return m.jobStop(ev)
}

// jobStop decides what a stop of the command by job control means for reaper.
//
// The command has a process group of its own, so the shell that started reaper
// sees nothing of it: unless reaper stops too, the shell waits for ever and the
// terminal is dead.
func (m machine) jobStop(ev event) (machine, []action) {
	switch m.state {
	case down, starting, pausing, seeking, settling, draining, sweeping, backoff, done:
		return m, nil // no command
	case up, delaying, stopping, killing:
	}
	m.barkAt = time.Time{} // it cannot tell
	if m.cfg.StopSelf != 0 || m.followed {
		m.jobStopped = true
		return m, tell(Event{Kind: CommandStopped, PID: m.pid, Signal: ev.sig})
	}
	if m.cfg.Placement == reap.OwnSession {
		// Of the keys none has stopped it, as its session is orphaned, and the terminal
		// of another session cannot be given to it.
		ev.terminal = Terminal{}
	}
	if m, acts, held := m.holdStop(ev); held {
		return m, acts
	}
	m.jobStopped, m.heldStop = true, 0
	acts := tell(Event{Kind: CommandStopped, PID: m.pid, Signal: ev.sig})
	goOn := action{kind: actSendGroup, sig: syscall.SIGCONT, from: ev.sig}
	tty, waiting := ev.terminal, forTerminal(ev.sig)
	switch {
	case waiting && tty.Present && tty.Foreground == tty.Own:
		// A shell has brought a job that was running to the foreground: it gives
		// the terminal to the group that it knows, and sends no signal.
		return m, append(acts, action{kind: actGiveTerminal}, goOn)
	case waiting && tty.Present && tty.Foreground == m.pid:
		// It was stopped just before it got the terminal.
		return m, append(acts, goOn)
	case tty.Present && tty.Orphaned && ev.sig == syscall.SIGTSTP:
		// ^Z where there is no shell to come back to, as in a container. Without
		// reaper the kernel would have dropped the signal (signal(7)).
		return m, append(acts, goOn)
	case m.state == stopping && !waiting && (!tty.Present || tty.Orphaned):
		// It was stopped before it could act on the stop signal, and nobody is
		// there who would continue it.
		return m, append(acts, goOn)
	case !tty.Present, tty.Orphaned:
		// No shell is waiting. Somebody stopped the command on purpose; or it
		// waits for a terminal that somebody else has, and would stop again.
		return m, acts
	case waiting && !m.deadline.IsZero():
		// It has been asked to end. What is to come at the deadline cannot wait
		// for a shell to continue reaper.
		return m, acts
	}
	if tty.Foreground == m.pid {
		acts = append(acts, action{kind: actTakeTerminal})
	}
	m.suspended, m.echo = true, false
	return m, append(acts,
		action{kind: actTell, tell: Event{Kind: Suspended, PID: m.pid, Signal: ev.sig}},
		action{kind: actSuspend, sig: ev.sig})
}

// resume is what follows when the shell has continued reaper: with the terminal
// after fg, without it after bg. It follows as well where the kernel would not
// stop reaper because its group has been orphaned: as nobody will continue the
// command then, reaper does.
func (m machine) resume(ev event) (machine, []action) {
	if !m.suspended {
		m.echo = m.echo || m.followed && m.pid != 0 // reaper has stopped alone
		return m, nil
	}
	m.suspended, m.echo, m.restless = false, true, ev.now.Add(restlessness)
	var acts []action
	if ev.terminal.Present && ev.terminal.Foreground == ev.terminal.Own {
		acts = append(acts, action{kind: actGiveTerminal})
	}
	return m, append(acts, action{kind: actSendGroup, sig: syscall.SIGCONT, from: syscall.SIGCONT})
}

// wantedByOwn tells a SIGTTIN or SIGTTOU that the kernel has sent to reaper's own
// group because one of it, a pager at the end of a pipe for example, uses the
// terminal while the command has it. An orphaned group is sent none.
func (m machine) wantedByOwn(ev event) bool {
	tty := ev.terminal
	return forTerminal(ev.sig) && tty.Present && !tty.Orphaned && m.pid != 0 && tty.Foreground == m.pid
}

// lend gives the terminal to reaper's own group, and has those of it go on whom
// the signal has stopped. When the command wants it, jobStop gives it back.
func (m machine) lend() (machine, []action) {
	m.echo = true
	return m, []action{{kind: actTakeTerminal}, {kind: actContinueOwn}}
}

// sendAs is how a signal goes to the command. What the terminal has sent to
// reaper's own group, as that has it, goes to the command's whole group: there
// it would have gone without reaper.
func (m machine) sendAs(ev event) actionKind {
	if typed(ev) && !m.followed {
		return actSendGroup
	}
	return actSend
}

// typed tells what the terminal has most likely sent, to reaper's own group.
func typed(ev event) bool {
	tty := ev.terminal
	return byTerminal(ev.from) && tty.Present && tty.Foreground == tty.Own
}

// forJob tells what a terminal sends to a job of a shell, and means nothing to a daemon.
// Some would do what nobody wants: WINCH stops the workers of a web server.
func forJob(ev event) bool {
	return typed(ev) && (ev.from == syscall.SIGTSTP || ev.from == syscall.SIGWINCH)
}

// forTerminal tells the signals that the kernel sends to a group that uses the
// terminal from the background.
func forTerminal(sig syscall.Signal) bool {
	return sig == syscall.SIGTTIN || sig == syscall.SIGTTOU
}

// byTerminal tells the signals that the kernel sends to the foreground group:
// for a key, or as the size of the terminal has changed.
func byTerminal(sig syscall.Signal) bool {
	return sig == syscall.SIGINT || sig == syscall.SIGQUIT || sig == syscall.SIGTSTP || sig == syscall.SIGWINCH
}
