// Package output carries what a command prints to a file that is rotated, to a
// writer line by line with a prefix, to two writers as it is, and into a memory of
// the last lines.
//
// [Open] makes two pipes. Their write ends become descriptors 1 and 2 of the
// command, each time that it is started; so one [Capture] lives as long as the
// command is restarted, and also takes what a process that the command has left
// behind still prints.
//
//	                                ┌── queue ── writer ── File
//	stdout ── reader ──┐            ├── queue ── writer ── Prefixed
//	                   ├── the hub ─┼── queue ── writer ── Stdout
//	stderr ── reader ──┘            ├── queue ── writer ── Stderr
//	                                └── the last lines
//
// Each box is a goroutine, and the hub owns the queues, the last lines and all
// counts. Nothing is shared, and the hub never blocks.
//
// # Who waits for whom
//
// A reader reads whatever becomes of it, so a full disk, or somebody who has Prefixed
// or Stdout to read and sleeps, does not block the command. What does not fit into a
// queue is lost, by whole lines, for that destination alone. It is counted and told: in the
// output itself, by a line at the place of the loss, in [Stats], and as an [Event].
//
// There is one short wait. A command that prints as fast as it can would lose lines on
// any disk, as to read costs less than to write. So a reader whose queue is full waits
// up to 50 ms for room. A destination that takes a piece of a quarter of a MiB in that
// time, 5 MB a second, loses nothing, and the command is slowed down to it. One that
// does not loses lines, and nobody waits for it again until it has taken half of its
// queue.
//
// A write that fails is tried again when the next data comes, from the byte at
// which it failed, and meanwhile the queue takes in what it can. No line is torn by
// that.
//
// # Lines
//
// Bytes are bytes: there is no character set, and NUL is one of them. Within a
// stream nothing changes its place. Lines of the two streams go into File whole, one
// after the other, in the order in which they were read.
//
// A line is passed on when it ends. One that is longer than 1 MiB, or that has not
// ended 100 ms after the last of it came (a prompt, dots of progress), is passed
// on in pieces. If another line comes in between, a line break is put before it. With
// a prefix, the rest of such a line has a prefix of its own with + behind the name of
// the stream; what follows at once has none and stands where it belongs.
//
// Stdout and Stderr get each byte, in the order of the stream, and no other but those
// of the line that tells of a loss. Without File and Prefixed the beginning of a line
// waits for 10 ms from when it came, so that what is lost is whole lines; or for 100 ms
// where both streams share a writer, so that their lines do not mix.
package output
