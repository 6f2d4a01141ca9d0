// Package supervise is the policy of an init: what to do with a signal, when
// the command is asked to stop and when it is killed, what becomes of the processes
// that it leaves behind, and when the work is done.
//
// One goroutine, the caller of [Supervisor.Run], owns the process table. What
// comes from outside reaches it as values: signals, deadlines, the end of a
// context. What it tells leaves it as [Event] values. All decisions are made by
// one pure function, step: from a state and an event to a new state and a list
// of actions. It makes no system call and reads no clock, so a test can drive
// it through any sequence of events.
//
//	Down ── begin ──> Starting ── started ──> Up
//	                     │                     │ stop request
//	        stop request │        ┌────────────┴───────────┐
//	        or failure   │   with a stop delay        without one
//	                     │        v                        │
//	                     │     Delaying ── it is over, ──> │
//	                     │        │       or a second      v
//	                     │        │       request       Stopping
//	                     │        │                        │ the stop timeout is over,
//	                     │        │                        │ or a second TERM or INT
//	                     v        v                        v
//	                    Done <── the command exited ──  Killing
//
// Where there is no command, begin leads to Pausing, and TERM or INT from there on
// as the exit of a command does. With ForwardOnly no signal is a stop request before
// the command has ended.
//
// From every state but Down and Starting the exit of the command leads to Done, if
// leftovers are of no interest; else to these, and from each of them to Done as
// soon as nobody is left:
//
//	Settling ── the moment is over ──> Draining ── the grace is over, ──> Sweeping
//	   │                                            or a second request      │
//	   └── with haste, or if leftovers are to be killed ──>──────────────────┤
//	   └── if they are to be kept ──> Done <── the patience is over ─────────┘
//
// Where Config.Restart wants the command to be started again, all of that leads to
// Backoff instead of Done:
//
//	Starting <── the delay is over ── Backoff ── stop request, or time limit ──> Done
//
// With ForkingType the exit of the command with 0 leads from Up, Delaying and Stopping to
// Seeking, and from there to where it was with the daemon as the command; or, if there
// is none, to where the end of a command leads:
//
//	Up ── exit 0 ──> Seeking ── the daemon is found ──> Up
//
// A command that is not ready in time, gives no sign of life or is unhealthy is Stopping
// too, without anybody having asked for that: what follows is decided by Config.Restart.
//
// Apart from the states there is what is wanted: from the first stop request, or the
// time limit, nothing is started any more, whatever the state is.
//
// The time limit leads from Up and Delaying to Stopping, and gives Stopping a
// deadline.
//
// Before the command exists every failure is an error of Run. After, none is: a start
// that fails is the end of one life of the command, any other system call that fails is an event, and the loop goes on.
package supervise
