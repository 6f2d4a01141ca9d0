// Package notify speaks the protocol of sd_notify(3), on both sides: a [Listener]
// takes in what the command tells about itself, and a [Manager] tells it to the service
// manager that has started this process.
//
// Both belong to one goroutine, and no call of theirs waits for another process. A
// goroutine of its own waits for the kernel and puts a value into a channel that has
// one place: so a wake-up says no more than "something happened", as SIGCHLD does.
// The messages are then received by whoever owns the process table. This is what makes
// the order exact. A process that has sent a message and ended, as one that hands over
// to its successor with MAINPID=, has its message in the socket before its exit can be
// waited for; messages that a goroutine receives and passes on could come after it.
//
//	reap what has exited; receive until there is no more; act on the messages; act on the exits
//
// Nothing here knows the time: when a watchdog barks and when a start has taken too
// long is for others to say.
package notify
