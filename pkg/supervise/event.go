package supervise

import (
	"syscall"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
	"github.com/reaper-init/reaper/pkg/supervise/health"
)

// EventKind tells what happened, and which fields of the [Event] are set.
type EventKind uint8

// What can happen. Every event about the command has its PID.
const (
	// CommandStarted: the program has been executed.
	CommandStarted EventKind = iota + 1
	// CommandExited: it ended, with Status.
	CommandExited
	// CommandLost: nothing is left to wait for and its status never came;
	// somebody else in this process has waited for it.
	CommandLost
	// CommandStopped: job control stopped it, by Signal.
	CommandStopped
	// CommandContinued: it goes on.
	CommandContinued
	// SignalSent: Signal came and was sent to the command as To.
	SignalSent
	// SignalDropped: Signal came and is not forwarded.
	SignalDropped
	// SignalMissed: Signal was to be sent as To, and there was no process to get it.
	SignalMissed
	// StopDelayed: a stop request came, Signal; it is passed on After.
	StopDelayed
	// StopAborted: a stop request, Signal, came before there was a command.
	StopAborted
	// KillTimeout: the command outlived the stop signal by After and is killed.
	KillTimeout
	// KillRequested: a second stop request, Signal, has it killed.
	KillRequested
	// Suspended: reaper stops itself, as Signal stopped the command.
	Suspended
	// OrphanReaped: an adopted orphan, PID, ended with Status. Its Name is set
	// if Config.NameOrphans is.
	OrphanReaped
	// LimitReached: the time limit, After, is over, and the command is asked to stop.
	LimitReached
	// LeftoversAsked: the command has ended; Count processes are asked to end, and
	// have After to do so.
	LeftoversAsked
	// LeftoversAwaited: the command has ended; Count processes are waited for.
	LeftoversAwaited
	// LeftoversTimeout: leftovers outlived SIGTERM by After and are killed.
	LeftoversTimeout
	// LeftoverEnded: Leftover has met its fate, or is kept.
	LeftoverEnded
	// LeftoversSurvived: some could not be killed and are left, as they belong to
	// another user or wait for a device that does not answer.
	LeftoversSurvived
	// DaemonFollowed: PID is the daemon that the command has left, or the process that it
	// has named its successor, and from here on the command itself.
	DaemonFollowed
	// DaemonEnded: the daemon, PID, ended with Status before it could be followed.
	DaemonEnded
	// DaemonAwaited: the pid file does not name the daemon yet, see Err.
	DaemonAwaited
	// DaemonNotFound: it is not known which process is the daemon, see Err, a
	// [*FollowError].
	DaemonNotFound
	// Ready: the command is ready. One of which nothing tells that is ready when it is
	// started, and has no such event.
	Ready
	// Reloading: the command says that it reads its configuration again.
	Reloading
	// Reloaded: the command says that it has done so.
	Reloaded
	// Ending: the command says that it is about to end.
	Ending
	// StatusTold: the command says how it is, Text.
	StatusTold
	// MessageRefused: what somebody has sent in the name of the command, or a part of it,
	// was not accepted, see Err.
	MessageRefused
	// WatchdogMissed: the command gave no sign of life for After, and is stopped.
	WatchdogMissed
	// Probed: a health check took After and failed for Err, or did not; Count have failed
	// in a row.
	Probed
	// Unhealthy: Count health checks have failed in a row, the last for Err.
	Unhealthy
	// Healthy: one has succeeded after that.
	Healthy
	// NotReady: the command was not ready After it was started, and is stopped.
	NotReady
	// Restarting: the command ended with Status, or could not be started for Err, and is
	// started again After; Count instances have failed, one after another.
	Restarting
	// StartFailed: it could not be started again, for Err.
	StartFailed
	// GaveUp: Count instances have failed, one after another, and there are no more.
	GaveUp
	// RestartCancelled: a stop request came, Signal, and the command, which has ended, is
	// not started again.
	RestartCancelled
	// CallFailed: something did not work and the loop goes on; see Err.
	CallFailed
)

// Event is something that happened, for a log. It is a value and may be kept.
type Event struct {
	Kind   EventKind
	PID    int
	Name   string
	Signal syscall.Signal
	To     syscall.Signal
	After  time.Duration
	Status reap.Status
	Count  int
	Err    error
	Text   string

	// Background is true of a leftover of a command that has exited with 0 at once: so
	// does one that goes on in the background.
	Background bool

	Leftover *Leftover // not to be written to
}

// Result tells how the command ended. Where it was started again, PID, Status, Usage,
// Lost and Err are of the last time.
type Result struct {
	PID      int
	Status   reap.Status
	Usage    reap.Usage
	Restarts int // how often it was started again
	Orphans  int // adopted and reaped
	// Err is why it could not be started again; then PID is of the time before. Or it is
	// a [*FollowError].
	Err error
	// Health is what the last health check has shown.
	Health health.State
	// Cause is why it was stopped, the last time, though nobody had asked for that.
	Cause Cause
	// Aborted is the stop request that came before there was a command; then
	// none was started and nothing else is set.
	Aborted syscall.Signal
	// Lost is true if the status never came; see [CommandLost].
	Lost bool
	// TimedOut is true if Config.TimeLimit ended it.
	TimedOut bool
	// Leftovers are the processes that were there when it had ended, and zombies that
	// none of its descendants has waited for.
	Leftovers []Leftover
	// Forgotten is how many more there were: of many restarts only the last leftovers
	// are kept.
	Forgotten int
	// Blind is true if /proc could not be read: then of leftovers there are but the
	// pids, and only of those that were, or became, children of this process.
	Blind bool
}
