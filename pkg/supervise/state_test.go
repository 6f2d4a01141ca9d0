package supervise

import (
	"fmt"
	"reflect"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
)

const (
	commandPID = 42
	ownGroup   = 7
	shellGroup = 5
)

// stepCase is a machine, an event, and what comes of it.
type stepCase struct {
	from machine
	ev   event
	to   state
	left time.Duration // until the deadline, 0 if there is none
	acts string
}

// TestStep is the specification of the machine: what each event does in each
// state. The machine in state s is what at(s) makes of patient; an action is
// written as describe writes it.
func TestStep(t *testing.T) {
	const sec = time.Second
	patient := &Config{StopDelay: 3 * sec, StopTimeout: 10 * sec}
	hasty := &Config{}
	pause := &Config{NoCommand: true}
	apart := &Config{Placement: reap.OwnSession}
	plainly := &Config{
		ForwardOnly: true, EndSignal: syscall.SIGTERM, StopSelf: reap.Signals(syscall.SIGTSTP, syscall.SIGTTIN),
		Rewrite: map[syscall.Signal]syscall.Signal{syscall.SIGTSTP: syscall.SIGSTOP, syscall.SIGTTIN: 0},
	}
	deaf := &Config{Inherited: &reap.Inheritance{Ignored: reap.Signals(syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)}}
	at := func(s state) machine { return machineIn(s, patient) }
	with := func(s state, c *Config) machine { return machineIn(s, c) }
	rewriting := func(from, to syscall.Signal) *Config {
		return &Config{Rewrite: map[syscall.Signal]syscall.Signal{from: to}}
	}
	held := func(s state) machine { // pitfall 42: stopped by job control
		m := at(s)
		m.jobStopped = true
		return m
	}
	suspended := func(s state) machine {
		m := at(s)
		m.jobStopped, m.suspended = true, true
		return m
	}
	echoing := func(c *Config) machine {
		m := machineIn(up, c)
		m.echo = true
		return m
	}

	leaving := func(p LeftoverPolicy) *Config {
		c := &Config{Leftovers: p, Grace: 5 * sec, Settle: sec / 10, FindLeftovers: true, TimeLimit: 9 * sec}
		if p == KillLeftovers {
			c.Settle = 0
		}
		return c
	}
	stop, wait, kill, keep := leaving(StopLeftovers), leaving(WaitForLeftovers), leaving(KillLeftovers), leaving(KeepLeftovers)
	hurried := func(s state, c *Config) machine {
		m := machineIn(s, c)
		m.hurry = true
		if s == settling {
			m.deadline = epoch()
		}
		return m
	}
	asked := func(s state, c *Config) machine { // the command was, by TERM
		m := machineIn(s, c)
		m.request = event{sig: syscall.SIGTERM, from: syscall.SIGTERM}
		return m
	}
	limiting := func(s state, c *Config) machine { // the limit is still to come
		m := machineIn(s, c)
		m.limit = epoch().Add(9 * sec)
		return m
	}
	limited := func(s state, c *Config) machine { // it is over, and two seconds are left
		m := asked(s, c)
		m.until = epoch().Add(2 * sec)
		m.deadline = m.until
		if s == settling {
			m.deadline = epoch()
		}
		return m
	}

	restarting := func(p LeftoverPolicy) *Config {
		c := leaving(p)
		c.Restart, c.RestartDelay = RestartAlways, sec
		return c
	}
	again := &Config{Restart: RestartAlways, RestartDelay: sec, TimeLimit: 9 * sec}
	andStop, andWait, andKeep := restarting(StopLeftovers), restarting(WaitForLeftovers), restarting(KeepLeftovers)
	next := func(s state, c *Config) machine { // the command is to be started again
		m := machineIn(s, c)
		m.again, m.result.PID = s != starting, commandPID
		return m
	}
	late := func(s state, c *Config) machine { // and the limit is over before anything else
		m := next(s, c)
		m.limit = epoch().Add(9 * sec)
		if !m.deadline.IsZero() {
			m.deadline = m.limit.Add(m.deadline.Sub(epoch()))
		}
		return m
	}

	empty, poll := event{kind: evEmpty}, event{kind: evPoll}
	begin, failed := event{kind: evBegin}, event{kind: evFailed}
	started := event{kind: evStarted, pid: commandPID}
	cancelled := event{kind: evCancelled}
	continued := event{kind: evContinued}
	ended := event{kind: evEnded}
	exited := event{kind: evExited, status: reap.ExitStatus(3)}
	lost := event{kind: evLost}
	stopped := func(sig syscall.Signal, tty Terminal) event {
		return event{kind: evStopped, sig: sig, terminal: tty}
	}
	resumed := func(tty Terminal) event { return event{kind: evResumed, terminal: tty} }
	wants := func(sig syscall.Signal, tty Terminal) event {
		ev := came(sig)
		ev.terminal = tty
		return ev
	}

	none := Terminal{}
	theirs := Terminal{Present: true, Foreground: commandPID, Own: ownGroup} // the command has it
	ours := Terminal{Present: true, Foreground: ownGroup, Own: ownGroup}
	away := Terminal{Present: true, Foreground: shellGroup, Own: ownGroup} // the shell has it
	orphaned := Terminal{Present: true, Foreground: commandPID, Own: ownGroup, Orphaned: true}

	tests := []stepCase{
		{at(down), begin, starting, 0, "start"},
		{at(starting), begin, starting, 0, ""},
		{at(up), begin, up, 0, ""},
		{at(delaying), begin, delaying, 3 * sec, ""},
		{at(stopping), begin, stopping, 10 * sec, ""},
		{at(killing), begin, killing, 0, ""},
		{at(done), begin, done, 0, ""},

		// Nothing but a request to stop ends a pause.
		{with(down, pause), begin, pausing, 0, ""},
		{with(pausing, pause), begin, pausing, 0, ""},
		{with(pausing, pause), started, pausing, 0, ""},
		{with(pausing, pause), failed, pausing, 0, ""},
		{with(pausing, pause), came(syscall.SIGTERM), done, 0, ""},
		{with(pausing, pause), came(syscall.SIGINT), done, 0, ""},
		{with(pausing, pause), came(syscall.SIGQUIT), pausing, 0, "SignalDropped QUIT"},
		{with(pausing, pause), came(syscall.SIGHUP), pausing, 0, "SignalDropped HUP"},
		{with(pausing, &Config{NoCommand: true, Leftovers: StopLeftovers, Settle: sec}), came(syscall.SIGTERM), settling, sec, ""},
		{with(pausing, pause), cancelled, done, 0, ""},
		{with(pausing, pause), reached(sec), pausing, 0, ""},
		{with(pausing, pause), stopped(syscall.SIGTSTP, theirs), pausing, 0, ""},
		{with(pausing, pause), continued, pausing, 0, ""},
		{with(pausing, pause), resumed(ours), pausing, 0, ""},
		{with(pausing, pause), ended, pausing, 0, ""},
		{with(pausing, pause), exited, pausing, 0, ""},
		{with(pausing, pause), lost, pausing, 0, ""},
		{with(pausing, pause), empty, pausing, 0, ""},
		{with(pausing, pause), poll, pausing, 0, ""},

		// Where signals are forwarded and no more, none is a request, until the command
		// is gone.
		{with(starting, plainly), came(syscall.SIGTERM), starting, 0, ""},
		{with(up, plainly), came(syscall.SIGTERM), up, 0, "send TERM"},
		{with(up, plainly), came(syscall.SIGQUIT), up, 0, "send QUIT"},
		{with(up, plainly), cancelled, up, 0, "send TERM"},
		{with(draining, &Config{ForwardOnly: true, Leftovers: WaitForLeftovers, Grace: sec}), came(syscall.SIGTERM), draining, sec, "ask; LeftoversAsked 1s"},
		// Some signals stop reaper too, and not the stop of the command.
		{with(up, plainly), came(syscall.SIGTSTP), up, 0, "send STOP for TSTP; stop self"},
		{with(up, plainly), came(syscall.SIGTTIN), up, 0, "SignalDropped TTIN; stop self"},
		{with(up, plainly), came(syscall.SIGTTOU), up, 0, "send TTOU"},
		{with(up, plainly), wants(syscall.SIGTTIN, ours), up, 0, "SignalDropped TTIN"}, // it is undone
		{with(up, plainly), wants(syscall.SIGTSTP, ours), up, 0, "group STOP for TSTP; stop self"},
		{with(starting, plainly), came(syscall.SIGTSTP), starting, 0, ""},
		{with(up, plainly), stopped(syscall.SIGTSTP, theirs), up, 0, "CommandStopped TSTP"},
		// The group is told of the end before the command is reaped.
		{with(up, plainly), ended, up, 0, "group TERM"},
		{with(delaying, plainly), ended, delaying, 0, "group TERM"},
		{with(stopping, plainly), ended, stopping, 0, "group TERM"},
		{with(killing, plainly), ended, killing, 0, "group TERM"},
		{at(up), ended, up, 0, ""},
		{with(down, plainly), ended, down, 0, ""},
		{with(starting, plainly), ended, starting, 0, ""},
		{with(settling, stop), ended, settling, sec / 10, ""},
		{with(draining, stop), ended, draining, 5 * sec, ""},
		{with(sweeping, stop), ended, sweeping, sweepPatience, ""},
		{with(done, plainly), ended, done, 0, ""},

		{at(down), started, down, 0, ""},
		{at(starting), started, up, 0, "CommandStarted"},
		{at(up), started, up, 0, ""},
		{at(delaying), started, delaying, 3 * sec, ""},
		{at(stopping), started, stopping, 10 * sec, ""},
		{at(killing), started, killing, 0, ""},
		{at(done), started, done, 0, ""},

		{at(down), failed, down, 0, ""},
		{at(starting), failed, done, 0, ""},
		{at(up), failed, up, 0, ""},
		{at(delaying), failed, delaying, 3 * sec, ""},
		{at(stopping), failed, stopping, 10 * sec, ""},
		{at(killing), failed, killing, 0, ""},
		{at(done), failed, done, 0, ""},

		// A signal that asks for nothing special.
		{at(down), came(syscall.SIGHUP), down, 0, ""},
		{at(starting), came(syscall.SIGHUP), starting, 0, ""},
		{at(up), came(syscall.SIGHUP), up, 0, "send HUP"},
		{at(delaying), came(syscall.SIGHUP), delaying, 3 * sec, "send HUP"},
		{at(stopping), came(syscall.SIGHUP), stopping, 10 * sec, "send HUP"},
		{at(killing), came(syscall.SIGHUP), killing, 0, "send HUP"},
		{at(done), came(syscall.SIGHUP), done, 0, ""},
		{at(up), came(syscall.SIGCONT), up, 0, "send CONT"},
		{at(up), came(syscall.SIGURG), up, 0, "send URG"},
		{at(up), came(34), up, 0, "send 34"},
		{at(up), came(64), up, 0, "send 64"},

		// A stop request, before there is a command (pitfall 3).
		{at(down), came(syscall.SIGTERM), done, 0, "StopAborted TERM"},
		{at(starting), came(syscall.SIGTERM), done, 0, "StopAborted TERM"},
		{at(starting), came(syscall.SIGINT), done, 0, "StopAborted INT"},
		{at(starting), came(syscall.SIGQUIT), done, 0, "StopAborted QUIT"},
		{with(starting, rewriting(syscall.SIGHUP, syscall.SIGTERM)), came(syscall.SIGHUP), done, 0, "StopAborted HUP"},
		{with(starting, rewriting(syscall.SIGTERM, syscall.SIGHUP)), came(syscall.SIGTERM), starting, 0, ""},
		{with(starting, rewriting(syscall.SIGTERM, 0)), came(syscall.SIGTERM), starting, 0, "SignalDropped TERM"},

		// A stop request, the first.
		{at(up), came(syscall.SIGTERM), delaying, 3 * sec, "StopDelayed TERM 3s"},
		{at(up), came(syscall.SIGQUIT), delaying, 3 * sec, "StopDelayed QUIT 3s"},
		{with(up, hasty), came(syscall.SIGTERM), stopping, 0, "send TERM"},
		{with(up, hasty), came(syscall.SIGINT), stopping, 0, "send INT"},
		{with(up, hasty), came(syscall.SIGQUIT), stopping, 0, "send QUIT"},
		{with(up, &Config{StopTimeout: 9 * sec}), came(syscall.SIGINT), stopping, 9 * sec, "send INT"},
		{with(up, &Config{StopSignal: syscall.SIGQUIT}), came(syscall.SIGTERM), stopping, 0, "send QUIT for TERM"},

		// The second, and those after it.
		{at(delaying), came(syscall.SIGINT), stopping, 10 * sec, "send INT"},
		{at(delaying), came(syscall.SIGQUIT), stopping, 10 * sec, "send QUIT"},
		{with(delaying, &Config{StopDelay: sec}), came(syscall.SIGTERM), stopping, 0, "send TERM"},
		{at(stopping), came(syscall.SIGTERM), killing, 0, "KillRequested TERM; send KILL for TERM"},
		{at(stopping), came(syscall.SIGINT), killing, 0, "KillRequested INT; send KILL for INT"},
		{at(stopping), came(syscall.SIGQUIT), stopping, 10 * sec, "send QUIT"},
		{at(killing), came(syscall.SIGTERM), killing, 0, "send KILL for TERM"}, // the first may have failed
		{at(killing), came(syscall.SIGQUIT), killing, 0, "send KILL for QUIT"},
		{at(done), came(syscall.SIGTERM), done, 0, ""},

		// Rewriting comes first; what is told is the signal that came.
		{with(up, rewriting(syscall.SIGHUP, syscall.SIGUSR1)), came(syscall.SIGHUP), up, 0, "send USR1 for HUP"},
		{with(up, rewriting(syscall.SIGHUP, 0)), came(syscall.SIGHUP), up, 0, "SignalDropped HUP"},
		{with(done, rewriting(syscall.SIGHUP, 0)), came(syscall.SIGHUP), done, 0, ""},
		{with(up, rewriting(syscall.SIGTERM, syscall.SIGHUP)), came(syscall.SIGTERM), up, 0, "send HUP for TERM"},
		{with(up, rewriting(syscall.SIGTERM, 0)), came(syscall.SIGTERM), up, 0, "SignalDropped TERM"},
		{with(up, rewriting(syscall.SIGTERM, syscall.SIGQUIT)), came(syscall.SIGTERM), stopping, 0, "send QUIT for TERM"},
		{with(up, rewriting(syscall.SIGHUP, syscall.SIGTERM)), came(syscall.SIGHUP), stopping, 0, "send TERM for HUP"},
		{with(stopping, rewriting(syscall.SIGHUP, syscall.SIGTERM)), came(syscall.SIGHUP), killing, 0, "KillRequested HUP; send KILL for HUP"},
		{with(killing, rewriting(syscall.SIGHUP, syscall.SIGTERM)), came(syscall.SIGHUP), killing, 0, "send KILL for HUP"},

		// The end of the context is a stop request that no rewriting can take away.
		{at(down), cancelled, done, 0, "StopAborted TERM"},
		{at(starting), cancelled, done, 0, "StopAborted TERM"},
		{at(up), cancelled, delaying, 3 * sec, "StopDelayed TERM 3s"},
		{at(delaying), cancelled, stopping, 10 * sec, "send TERM"},
		{at(stopping), cancelled, killing, 0, "KillRequested TERM; send KILL for TERM"},
		{at(killing), cancelled, killing, 0, "send KILL for TERM"},
		{at(done), cancelled, done, 0, ""},
		{with(up, rewriting(syscall.SIGTERM, 0)), cancelled, stopping, 0, "send TERM"},
		{with(up, rewriting(syscall.SIGTERM, syscall.SIGHUP)), cancelled, stopping, 0, "send TERM"},

		{at(down), reached(99 * sec), down, 0, ""},
		{at(starting), reached(99 * sec), starting, 0, ""},
		{at(up), reached(99 * sec), up, 0, ""},
		{at(delaying), reached(3 * sec), stopping, 10 * sec, "send TERM"},
		{at(delaying), reached(3*sec - 1), delaying, 1, ""},
		{at(stopping), reached(10 * sec), killing, 0, "KillTimeout 10s; send KILL"},
		{at(stopping), reached(10*sec - 1), stopping, 1, ""},
		{with(stopping, hasty), reached(99 * sec), stopping, 0, ""},
		{at(killing), reached(99 * sec), killing, 0, ""},
		{at(done), reached(99 * sec), done, 0, ""},

		{at(down), stopped(syscall.SIGTSTP, theirs), down, 0, ""},
		{at(starting), stopped(syscall.SIGTSTP, theirs), starting, 0, ""},
		{at(up), stopped(syscall.SIGTSTP, theirs), up, 0, "CommandStopped TSTP; take; Suspended TSTP; suspend TSTP"},
		{at(delaying), stopped(syscall.SIGTSTP, theirs), delaying, 3 * sec, "CommandStopped TSTP; take; Suspended TSTP; suspend TSTP"},
		{at(stopping), stopped(syscall.SIGTSTP, theirs), stopping, 10 * sec, "CommandStopped TSTP; take; Suspended TSTP; suspend TSTP"},
		{at(killing), stopped(syscall.SIGTSTP, theirs), killing, 0, "CommandStopped TSTP; take; Suspended TSTP; suspend TSTP"},
		{at(done), stopped(syscall.SIGTSTP, theirs), done, 0, ""},
		{at(up), stopped(syscall.SIGSTOP, none), up, 0, "CommandStopped STOP"},
		{at(up), stopped(syscall.SIGSTOP, theirs), up, 0, "CommandStopped STOP; take; Suspended STOP; suspend STOP"},
		{at(up), stopped(syscall.SIGTTIN, ours), up, 0, "CommandStopped TTIN; give; group CONT for TTIN"},
		{at(up), stopped(syscall.SIGTTOU, ours), up, 0, "CommandStopped TTOU; give; group CONT for TTOU"},
		{at(up), stopped(syscall.SIGTTIN, theirs), up, 0, "CommandStopped TTIN; group CONT for TTIN"},        // before it got the terminal
		{at(up), stopped(syscall.SIGTTIN, away), up, 0, "CommandStopped TTIN; Suspended TTIN; suspend TTIN"}, // pitfall 58
		{at(up), stopped(syscall.SIGTSTP, ours), up, 0, "CommandStopped TSTP; Suspended TSTP; suspend TSTP"}, // pitfall 44
		{at(up), stopped(syscall.SIGTSTP, orphaned), up, 0, "CommandStopped TSTP; group CONT for TSTP"},      // pitfall 28
		{at(up), stopped(syscall.SIGSTOP, orphaned), up, 0, "CommandStopped STOP"},
		// In a session of its own it shares no job control with reaper.
		{with(up, apart), stopped(syscall.SIGSTOP, ours), up, 0, "CommandStopped STOP"},
		{with(up, apart), stopped(syscall.SIGTTIN, ours), up, 0, "CommandStopped TTIN"},
		{with(up, apart), stopped(syscall.SIGTSTP, away), up, 0, "CommandStopped TSTP"},
		{with(up, apart), wants(syscall.SIGINT, ours), stopping, 0, "group INT"},
		{with(stopping, apart), stopped(syscall.SIGSTOP, ours), stopping, 0, "CommandStopped STOP; group CONT for STOP"},
		// Stopped before it could act on the stop signal (pitfall 42).
		{at(stopping), stopped(syscall.SIGSTOP, none), stopping, 10 * sec, "CommandStopped STOP; group CONT for STOP"},
		{at(stopping), stopped(syscall.SIGSTOP, orphaned), stopping, 10 * sec, "CommandStopped STOP; group CONT for STOP"},
		{at(killing), stopped(syscall.SIGSTOP, none), killing, 0, "CommandStopped STOP"},
		// Ignored by who started reaper, as a shell does for a background job.
		{with(up, deaf), came(syscall.SIGINT), up, 0, "send INT"},
		{with(up, deaf), came(syscall.SIGQUIT), up, 0, "send QUIT"},
		{with(up, deaf), came(syscall.SIGTERM), stopping, 0, "send TERM"},
		// Typed while reaper's own group has the terminal: for the whole group.
		{at(delaying), wants(syscall.SIGINT, ours), stopping, 10 * sec, "group INT"},
		{at(stopping), wants(syscall.SIGQUIT, ours), stopping, 10 * sec, "group QUIT"},
		{at(up), wants(syscall.SIGTSTP, ours), up, 0, "group TSTP"},
		{at(up), wants(syscall.SIGTSTP, theirs), up, 0, "send TSTP"},
		// Asked to end, it stops for want of the terminal: once it is continued, as
		// it may not have got the stop signal yet.
		{at(stopping), stopped(syscall.SIGTTIN, away), stopping, 10 * sec, "group CONT for TTIN"},
		{with(stopping, hasty), stopped(syscall.SIGTTOU, none), stopping, 0, "group CONT for TTOU"},
		// A pager beside reaper wants the terminal that the command has (pitfall 41).
		{at(up), wants(syscall.SIGTTIN, theirs), up, 0, "take; continue own"},
		{at(stopping), wants(syscall.SIGTTOU, theirs), stopping, 10 * sec, "take; continue own"},
		{at(up), wants(syscall.SIGTTIN, ours), up, 0, "send TTIN"},
		{at(up), wants(syscall.SIGTTIN, away), up, 0, "send TTIN"},
		{at(up), wants(syscall.SIGTTIN, none), up, 0, "send TTIN"},
		{at(up), wants(syscall.SIGTTIN, orphaned), up, 0, "send TTIN"},

		{at(down), continued, down, 0, ""},
		{at(starting), continued, starting, 0, ""},
		{held(up), continued, up, 0, "CommandContinued"},
		{held(delaying), continued, delaying, 3 * sec, "CommandContinued"},
		{held(stopping), continued, stopping, 10 * sec, "CommandContinued"},
		{held(killing), continued, killing, 0, "CommandContinued"},
		{at(done), continued, done, 0, ""},

		// What a stopped command gets, it cannot act on (pitfall 42).
		{held(delaying), came(syscall.SIGTERM), stopping, 10 * sec, "send TERM; group CONT for TERM"},
		{held(delaying), reached(3 * sec), stopping, 10 * sec, "send TERM; group CONT for TERM"},
		{held(stopping), reached(10 * sec), killing, 0, "KillTimeout 10s; send KILL"},
		{held(up), came(syscall.SIGHUP), up, 0, "send HUP"},

		{at(down), resumed(ours), down, 0, ""},
		{at(starting), resumed(ours), starting, 0, ""},
		{suspended(up), resumed(ours), up, 0, "give; group CONT"}, // after fg
		{suspended(up), resumed(away), up, 0, "group CONT"},       // after bg
		{suspended(up), resumed(none), up, 0, "group CONT"},
		{suspended(delaying), resumed(ours), delaying, 3 * sec, "give; group CONT"},
		{suspended(stopping), resumed(ours), stopping, 10 * sec, "give; group CONT"},
		{suspended(killing), resumed(ours), killing, 0, "give; group CONT"},
		{at(up), resumed(ours), up, 0, ""},
		{at(done), resumed(ours), done, 0, ""},
		{echoing(hasty), came(syscall.SIGCONT), up, 0, ""},
		{echoing(rewriting(syscall.SIGCONT, syscall.SIGHUP)), came(syscall.SIGCONT), up, 0, ""},
		{echoing(rewriting(syscall.SIGUSR1, syscall.SIGCONT)), came(syscall.SIGUSR1), up, 0, "send CONT for USR1"},

		{at(down), exited, down, 0, ""},
		{at(starting), exited, starting, 0, ""},
		{at(up), exited, done, 0, "CommandExited exit 3"},
		{at(delaying), exited, done, 0, "CommandExited exit 3"},
		{at(stopping), exited, done, 0, "CommandExited exit 3"},
		{at(killing), exited, done, 0, "CommandExited exit 3"},
		{suspended(up), exited, done, 0, "CommandExited exit 3"},
		{at(done), exited, done, 0, ""},

		{at(down), lost, down, 0, ""},
		{at(starting), lost, starting, 0, ""},
		{at(up), lost, done, 0, "CommandLost"},
		{at(delaying), lost, done, 0, "CommandLost"},
		{at(stopping), lost, done, 0, "CommandLost"},
		{at(killing), lost, done, 0, "CommandLost"},
		{at(done), lost, done, 0, ""},

		// Where leftovers are dealt with, the end of the command is not the end.
		{with(up, stop), exited, settling, sec / 10, "CommandExited exit 3"},
		{with(up, wait), lost, settling, sec / 10, "CommandLost"},
		{with(up, kill), exited, settling, 0, "CommandExited exit 3"},
		{with(up, keep), exited, settling, sec / 10, "CommandExited exit 3"},
		{with(stopping, stop), exited, settling, sec / 10, "CommandExited exit 3"},
		{with(killing, stop), exited, settling, sec / 10, "CommandExited exit 3"},
		{hurried(killing, stop), exited, settling, 0, "CommandExited exit 3"},

		// Who has not ended by the end of the moment is asked, waited for or killed.
		{with(settling, stop), reached(sec / 10), draining, 5 * sec, "ask; LeftoversAsked 5s"},
		{with(settling, wait), reached(sec / 10), draining, 0, "find; LeftoversAwaited"},
		{with(settling, kill), reached(0), sweeping, sweepPatience, "sweep"},
		{with(settling, keep), reached(sec / 10), done, 0, "find"},
		{hurried(settling, stop), reached(0), sweeping, sweepPatience, "sweep"},
		{hurried(settling, wait), reached(0), sweeping, sweepPatience, "sweep"},
		{asked(settling, wait), reached(sec / 10), draining, 5 * sec, "ask; LeftoversAsked 5s"},
		{limited(settling, stop), reached(0), draining, 2 * sec, "ask; LeftoversAsked 5s"},
		{with(settling, stop), reached(sec/10 - 1), settling, 1, ""},
		{with(draining, stop), reached(5 * sec), sweeping, sweepPatience, "LeftoversTimeout 5s; sweep"},
		{with(draining, stop), reached(5*sec - 1), draining, 1, ""},
		{with(draining, wait), reached(99 * sec), draining, 0, ""},
		{limited(draining, stop), reached(2 * sec), sweeping, sweepPatience, "LeftoversTimeout 5s; sweep"},
		{with(sweeping, stop), reached(sweepPatience), done, 0, "LeftoversSurvived"},
		{with(sweeping, stop), reached(sweepPatience - 1), sweeping, 1, ""},

		{with(settling, stop), empty, done, 0, ""},
		{with(draining, stop), empty, done, 0, ""},
		{with(draining, wait), empty, done, 0, ""},
		{with(sweeping, stop), empty, done, 0, ""},
		{at(down), empty, down, 0, ""},
		{at(starting), empty, starting, 0, ""},
		{at(up), empty, up, 0, ""},
		{at(delaying), empty, delaying, 3 * sec, ""},
		{at(stopping), empty, stopping, 10 * sec, ""},
		{at(killing), empty, killing, 0, ""},
		{at(done), empty, done, 0, ""},

		// Newcomers are looked for while others are being ended.
		{with(draining, stop), poll, draining, 5 * sec, "ask"},
		{with(draining, wait), poll, draining, 0, ""},
		{with(sweeping, stop), poll, sweeping, sweepPatience, "sweep"},
		{with(settling, stop), poll, settling, sec / 10, ""},
		{at(down), poll, down, 0, ""},
		{at(starting), poll, starting, 0, ""},
		{at(up), poll, up, 0, ""},
		{at(delaying), poll, delaying, 3 * sec, ""},
		{at(stopping), poll, stopping, 10 * sec, ""},
		{at(killing), poll, killing, 0, ""},
		{at(done), poll, done, 0, ""},

		// A stop request: the first ends the waiting, the second kills, and nothing cuts
		// the killing short.
		{with(settling, stop), came(syscall.SIGTERM), draining, 5 * sec, "ask; LeftoversAsked 5s"},
		{with(settling, wait), came(syscall.SIGINT), draining, 5 * sec, "ask; LeftoversAsked 5s"},
		{with(settling, kill), came(syscall.SIGTERM), sweeping, sweepPatience, "sweep"},
		{with(settling, keep), came(syscall.SIGTERM), settling, sec / 10, "SignalDropped TERM"},
		{asked(settling, stop), came(syscall.SIGTERM), sweeping, sweepPatience, "KillRequested TERM; sweep"},
		{asked(settling, stop), came(syscall.SIGQUIT), draining, 5 * sec, "ask; LeftoversAsked 5s"},
		{with(draining, stop), came(syscall.SIGTERM), draining, 5 * sec, "SignalDropped TERM"},
		{with(draining, wait), came(syscall.SIGTERM), draining, 5 * sec, "ask; LeftoversAsked 5s"},
		{with(draining, wait), came(syscall.SIGQUIT), draining, 5 * sec, "ask; LeftoversAsked 5s"},
		{asked(draining, stop), came(syscall.SIGINT), sweeping, sweepPatience, "KillRequested INT; sweep"},
		{asked(draining, stop), came(syscall.SIGQUIT), draining, 5 * sec, "SignalDropped QUIT"},
		{asked(draining, stop), cancelled, sweeping, sweepPatience, "KillRequested TERM; sweep"},
		{asked(sweeping, stop), came(syscall.SIGTERM), sweeping, sweepPatience, "SignalDropped TERM"},
		{with(sweeping, stop), came(syscall.SIGTERM), sweeping, sweepPatience, "SignalDropped TERM"},
		{with(settling, stop), cancelled, draining, 5 * sec, "ask; LeftoversAsked 5s"},
		{with(sweeping, stop), cancelled, sweeping, sweepPatience, "SignalDropped TERM"},
		// Others are for nobody, and ^Z is for reaper itself.
		{with(draining, stop), came(syscall.SIGHUP), draining, 5 * sec, "SignalDropped HUP"},
		{with(draining, wait), wants(syscall.SIGTSTP, ours), draining, 0, "suspend TSTP"},
		{with(draining, wait), wants(syscall.SIGTSTP, away), draining, 0, "SignalDropped TSTP"},
		{with(draining, wait), wants(syscall.SIGTSTP, Terminal{Present: true, Foreground: ownGroup, Own: ownGroup, Orphaned: true}), draining, 0, "SignalDropped TSTP"},
		{with(draining, wait), resumed(ours), draining, 0, ""},
		{with(settling, stop), resumed(ours), settling, sec / 10, ""},
		{with(sweeping, stop), resumed(ours), sweeping, sweepPatience, ""},

		// What belongs to a command means nothing any more.
		{with(settling, stop), begin, settling, sec / 10, ""},
		{with(draining, stop), begin, draining, 5 * sec, ""},
		{with(sweeping, stop), begin, sweeping, sweepPatience, ""},
		{with(settling, stop), started, settling, sec / 10, ""},
		{with(draining, stop), started, draining, 5 * sec, ""},
		{with(sweeping, stop), started, sweeping, sweepPatience, ""},
		{with(settling, stop), failed, settling, sec / 10, ""},
		{with(draining, stop), failed, draining, 5 * sec, ""},
		{with(sweeping, stop), failed, sweeping, sweepPatience, ""},
		{with(settling, stop), stopped(syscall.SIGTSTP, theirs), settling, sec / 10, ""},
		{with(draining, stop), stopped(syscall.SIGTSTP, theirs), draining, 5 * sec, ""},
		{with(sweeping, stop), stopped(syscall.SIGTSTP, theirs), sweeping, sweepPatience, ""},
		{with(settling, stop), continued, settling, sec / 10, ""},
		{with(draining, stop), continued, draining, 5 * sec, ""},
		{with(sweeping, stop), continued, sweeping, sweepPatience, ""},
		{with(settling, stop), exited, settling, sec / 10, ""},
		{with(draining, stop), exited, draining, 5 * sec, ""},
		{with(sweeping, stop), exited, sweeping, sweepPatience, ""},
		{with(settling, stop), lost, settling, sec / 10, ""},
		{with(draining, stop), lost, draining, 5 * sec, ""},
		{with(sweeping, stop), lost, sweeping, sweepPatience, ""},

		// The time limit asks everybody, and kills by one deadline.
		{limiting(up, stop), reached(9 * sec), stopping, 5 * sec, "LimitReached 9s; send TERM; ask"},
		{limiting(up, wait), reached(9 * sec), stopping, 5 * sec, "LimitReached 9s; send TERM; ask"},
		{limiting(up, kill), reached(9 * sec), stopping, 5 * sec, "LimitReached 9s; send TERM"},
		{limiting(up, keep), reached(9 * sec), stopping, 5 * sec, "LimitReached 9s; send TERM"},
		{limiting(up, stop), reached(9*sec - 1), up, 0, ""},
		{limiting(delaying, patient), reached(9 * sec), stopping, 10 * sec, "LimitReached; send TERM"},
		{limiting(stopping, stop), reached(9 * sec), stopping, 5 * sec, "LimitReached 9s; ask"},
		{limiting(killing, stop), reached(9 * sec), killing, 0, ""},
		{limiting(draining, wait), reached(9 * sec), draining, 5 * sec, "LimitReached 9s; ask; LeftoversAsked 5s"},
		{limiting(settling, wait), reached(9 * sec), draining, 5 * sec, "LimitReached 9s; ask; LeftoversAsked 5s"},
		{limited(stopping, stop), reached(2 * sec), killing, 0, "KillTimeout 5s; send KILL"},
		{limited(stopping, stop), exited, settling, 0, "CommandExited exit 3"}, // they have been asked

		// Between two instances of the command there is nobody: what comes is for nobody, a
		// request to stop ends it, and only the time leads on.
		{with(backoff, again), begin, backoff, sec, ""},
		{with(backoff, again), started, backoff, sec, ""},
		{with(backoff, again), failed, backoff, sec, ""},
		{with(backoff, again), ended, backoff, sec, ""},
		{with(backoff, again), exited, backoff, sec, ""},
		{with(backoff, again), lost, backoff, sec, ""},
		{with(backoff, again), empty, backoff, sec, ""},
		{with(backoff, again), poll, backoff, sec, ""},
		{with(backoff, again), continued, backoff, sec, ""},
		{with(backoff, again), stopped(syscall.SIGTSTP, theirs), backoff, sec, ""},
		{with(backoff, again), resumed(ours), backoff, sec, ""},
		{with(backoff, again), came(syscall.SIGHUP), backoff, sec, "SignalDropped HUP"},
		{with(backoff, again), wants(syscall.SIGTSTP, ours), backoff, sec, "suspend TSTP"},
		{with(backoff, again), came(syscall.SIGTERM), done, 0, "RestartCancelled pid 42 TERM"},
		{with(backoff, again), came(syscall.SIGINT), done, 0, "RestartCancelled pid 42 INT"},
		{with(backoff, again), came(syscall.SIGQUIT), done, 0, "RestartCancelled pid 42 QUIT"},
		{with(backoff, again), cancelled, done, 0, "RestartCancelled pid 42 TERM"},
		{with(backoff, again), reached(sec - 1), backoff, 1, ""},
		{with(backoff, again), reached(sec), starting, 0, "start"},
		{limiting(backoff, again), reached(9 * sec), done, 0, "LimitReached 9s"},

		// The end of the command leads there, and not before what it left has been dealt with.
		{with(up, again), exited, backoff, sec, "CommandExited exit 3; conclude; Restarting 1s 1 failed"},
		{with(up, again), lost, backoff, sec, "CommandLost; conclude; Restarting 1s 1 failed"},
		{with(stopping, again), exited, done, 0, "CommandExited exit 3"},
		{with(delaying, again), exited, done, 0, "CommandExited exit 3"},
		{with(up, andStop), exited, settling, sec / 10, "CommandExited exit 3"},
		{next(settling, andStop), empty, backoff, sec, "conclude; Restarting pid 42 1s 0 failed"},
		{next(settling, andStop), reached(sec / 10), draining, 5 * sec, "ask; LeftoversAsked 5s"},
		{next(draining, andStop), empty, backoff, sec, "conclude; Restarting pid 42 1s 0 failed"},
		{next(sweeping, andStop), empty, backoff, sec, "conclude; Restarting pid 42 1s 0 failed"},
		{next(sweeping, andStop), reached(sweepPatience), backoff, sec, "LeftoversSurvived; conclude; Restarting pid 42 1s 0 failed"},
		{next(settling, andKeep), reached(sec / 10), backoff, sec, "find; conclude; Restarting pid 42 1s 0 failed"},
		// A request to stop meanwhile, the first, ends the waiting and takes the restart back.
		{next(settling, andStop), came(syscall.SIGTERM), draining, 5 * sec, "RestartCancelled pid 42 TERM; ask; LeftoversAsked 5s"},
		{next(draining, andStop), came(syscall.SIGTERM), draining, 5 * sec, "RestartCancelled pid 42 TERM"},
		{next(draining, andStop), cancelled, draining, 5 * sec, "RestartCancelled pid 42 TERM"},
		{next(draining, andWait), came(syscall.SIGTERM), draining, 5 * sec, "RestartCancelled pid 42 TERM; ask; LeftoversAsked 5s"},
		{next(sweeping, andStop), came(syscall.SIGTERM), sweeping, sweepPatience, "RestartCancelled pid 42 TERM"},
		{next(settling, andKeep), came(syscall.SIGTERM), settling, sec / 10, "RestartCancelled pid 42 TERM"},
		// So does the time limit, which is that of the whole run.
		{late(settling, andStop), reached(9 * sec), settling, sec / 10, "LimitReached 9s"},
		{late(draining, andStop), reached(9 * sec), draining, 5 * sec, "LimitReached 9s"},
		{late(sweeping, andStop), reached(9 * sec), sweeping, sweepPatience, "LimitReached 9s"},
		{late(draining, andWait), reached(9 * sec), draining, 5 * sec, "LimitReached 9s; ask; LeftoversAsked 5s"},
		// A start that fails is fatal the first time.
		{next(starting, again), failed, backoff, sec, "StartFailed pid 42; conclude; Restarting pid 42 1s 1 failed"},
		{next(starting, again), started, up, 0, "CommandStarted"},
	}

	seen := make(map[string]bool)
	for _, tt := range slices.Concat(tests, forkingCases(), notifyCases(), healthCases()) {
		name := stateName(tt.from.state) + " " + eventName(tt.ev.kind)
		seen[name] = true
		if tt.ev.now.IsZero() {
			tt.ev.now = epoch()
		}
		m, acts := tt.from.step(tt.ev)
		var left time.Duration
		if !m.deadline.IsZero() {
			left = m.deadline.Sub(tt.ev.now)
		}
		got := fmt.Sprintf("%s, %v left, do %q", stateName(m.state), left, describe(acts, max(tt.from.pid, m.pid)))
		want := fmt.Sprintf("%s, %v left, do %q", stateName(tt.to), tt.left, tt.acts)
		if got != want {
			t.Errorf("%s %s:\n got %s\nwant %s", name, signalName(tt.ev.sig), got, want)
		}
	}
	for s := down; stateName(s) != ""; s++ {
		for k := evBegin; eventName(k) != ""; k++ {
			if name := stateName(s) + " " + eventName(k); !seen[name] {
				t.Errorf("no case for %s", name)
			}
		}
	}
}

// The time limit gives no more time than a stop request before it has left.
func TestStepLimitWhileStopping(t *testing.T) {
	cfg := &Config{Leftovers: StopLeftovers, StopTimeout: 4 * time.Second, TimeLimit: 9 * time.Second}
	m := machineIn(stopping, cfg)
	m.limit = epoch().Add(3 * time.Second)
	for _, ev := range []event{reached(3 * time.Second), {kind: evExited, now: epoch().Add(3 * time.Second)}, reached(3 * time.Second)} {
		m, _ = m.step(ev)
	}
	if want := epoch().Add(4 * time.Second); m.state != draining || !m.deadline.Equal(want) {
		t.Errorf("%s until %v, want draining until %v", stateName(m.state), m.deadline, want)
	}
}

// What came before the command existed is sent when it does, in its order.
func TestStepQueue(t *testing.T) {
	cfg := &Config{Rewrite: map[syscall.Signal]syscall.Signal{syscall.SIGUSR1: syscall.SIGUSR2, syscall.SIGWINCH: 0}}
	m := machine{cfg: cfg}
	var acts []action
	for _, ev := range []event{
		came(syscall.SIGHUP),
		{kind: evBegin},
		came(syscall.SIGUSR1),
		came(syscall.SIGWINCH),
		came(syscall.SIGALRM),
		{kind: evStarted, pid: commandPID},
	} {
		m, acts = m.step(ev)
	}
	if got, want := describe(acts, commandPID), "CommandStarted; send HUP; send USR2 for USR1; send ALRM"; got != want {
		t.Errorf("started with signals waiting: %q, want %q", got, want)
	}
}

// The result tells how it ended, and only that.
func TestStepResult(t *testing.T) {
	usage := reap.Usage{User: time.Second, MaxRSS: 4096}
	begin, started := event{kind: evBegin}, event{kind: evStarted, pid: commandPID}
	exited := event{kind: evExited, status: reap.ExitStatus(3), usage: usage}
	for _, tt := range []struct {
		name   string
		events []event
		want   Result
	}{
		{"exited", []event{begin, started, exited}, Result{PID: commandPID, Status: reap.ExitStatus(3), Usage: usage}},
		{"stopped and exited", []event{begin, started, came(syscall.SIGTERM), exited}, Result{PID: commandPID, Status: reap.ExitStatus(3), Usage: usage}},
		{"lost", []event{begin, started, {kind: evLost}}, Result{PID: commandPID, Lost: true}},
		{"aborted", []event{begin, came(syscall.SIGINT), started, exited}, Result{Aborted: syscall.SIGINT}},
		{"failed", []event{begin, {kind: evFailed}, exited}, Result{}},
		{"ended twice", []event{begin, started, {kind: evLost}, exited}, Result{PID: commandPID, Lost: true}},
	} {
		m := machine{cfg: &Config{}}
		for _, ev := range tt.events {
			m, _ = m.step(ev)
		}
		if m.state != done || !reflect.DeepEqual(m.result, tt.want) {
			t.Errorf("%s: %s with %+v, want %+v", tt.name, stateName(m.state), m.result, tt.want)
		}
	}
}

// machineIn is a machine that has come to a state by the usual way, asked to
// stop by TERM at the epoch where it has been asked.
func machineIn(s state, cfg *Config) machine {
	m := machine{cfg: cfg, state: s}
	switch s {
	case down, starting, pausing, done:
		return m
	case up, killing:
	case seeking:
		m.deadline, m.result.PID = epoch().Add(guessPatience), commandPID
		m.waits = waitFollow
		return m
	case backoff:
		m.deadline, m.result.PID = epoch().Add(cfg.RestartDelay), commandPID
		return m
	case delaying:
		m.wantDown = true
		m.deadline = epoch().Add(cfg.StopDelay)
		m.request = event{sig: syscall.SIGTERM, from: syscall.SIGTERM}
	case stopping:
		m.wantDown = true
		if cfg.StopTimeout > 0 {
			m.deadline = epoch().Add(cfg.StopTimeout)
		}
		m.request = event{sig: syscall.SIGTERM, from: syscall.SIGTERM}
	case settling:
		m.deadline = epoch().Add(cfg.Settle)
		return m
	case draining:
		if cfg.Leftovers == StopLeftovers {
			m.deadline = epoch().Add(cfg.Grace)
		}
		return m
	case sweeping:
		m.deadline = epoch().Add(sweepPatience)
		return m
	}
	m.pid, m.result.PID = commandPID, commandPID
	return m
}

func epoch() time.Time { return time.Unix(1_000_000_000, 0) }

func came(sig syscall.Signal) event { return event{kind: evSignal, sig: sig, now: epoch()} }

func reached(after time.Duration) event { return event{kind: evDeadline, now: epoch().Add(after)} }

// A stop for want of the terminal that comes just after reaper's own stop is held
// until that is some time ago, and forgotten if the command is continued.
func TestStepHoldsStop(t *testing.T) {
	away := Terminal{Present: true, Foreground: shellGroup, Own: ownGroup}
	m := machine{cfg: &Config{}, state: up, pid: commandPID, suspended: true, jobStopped: true}
	at := func(after time.Duration, kind eventKind, sig syscall.Signal) (did string) {
		var acts []action
		m, acts = m.step(event{kind: kind, sig: sig, terminal: away, now: epoch().Add(after)})
		return describe(acts, commandPID)
	}
	const late = restlessness + time.Millisecond
	for _, step := range []struct {
		after time.Duration
		kind  eventKind
		sig   syscall.Signal
		did   string
		wake  time.Duration // 0 is never
	}{
		{0, evResumed, 0, "group CONT", 0},
		{1, evStopped, syscall.SIGTTIN, "", restlessness},
		{2, evContinued, 0, "CommandContinued", 0},
		{3, evStopped, syscall.SIGTTIN, "", restlessness},
		{4, evDeadline, 0, "", restlessness},
		{late, evDeadline, 0, "CommandStopped TTIN; Suspended TTIN; suspend TTIN", 0},
		{late, evResumed, 0, "group CONT", 0},
		{late, evStopped, syscall.SIGTSTP, "CommandStopped TSTP; Suspended TSTP; suspend TSTP", 0},
	} {
		if did := at(step.after, step.kind, step.sig); did != step.did {
			t.Errorf("after %v: %q, want %q", step.after, did, step.did)
		}
		var want time.Time
		if step.wake != 0 {
			want = epoch().Add(step.wake)
		}
		if !m.wakeAt().Equal(want) {
			t.Errorf("after %v: wakes at %v, want %v", step.after, m.wakeAt(), want)
		}
	}
}
