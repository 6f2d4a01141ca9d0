// Package supervise is the policy of an init: what to do with a signal, when
// the command is asked to stop and when it is killed, and when the work is done.
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
// From every state but Down and Starting the exit of the command leads to Done.
// Before the command exists every failure is an error of Run. After, none is: a
// system call that fails is an event, and the loop goes on.
package supervise
