package output

import (
	"fmt"
	"time"
)

// Stream is one of the two that the command has.
type Stream uint8

// The streams. Their values index the arrays of [Stats].
const (
	Stdout Stream = iota
	Stderr
	streams // how many there are
)

func (s Stream) String() string {
	if s == Stderr {
		return "stderr"
	}
	return "stdout"
}

// Destination is where output goes.
type Destination uint8

// The destinations.
const (
	ToFile Destination = iota
	ToPrefixed
	ToStdout
	ToStderr
	destinations // how many there are
)

func (d Destination) String() string {
	return [destinations]string{"file", "prefixed", "stdout", "stderr"}[d]
}

// Count is an amount of output. A line is counted by its end.
type Count struct{ Lines, Bytes uint64 }

func (c *Count) add(d Count) {
	c.Lines += d.Lines
	c.Bytes += d.Bytes
}

func (c Count) String() string {
	switch c.Lines {
	case 0:
		return fmt.Sprintf("%d bytes", c.Bytes)
	case 1:
		return fmt.Sprintf("1 line (%d bytes)", c.Bytes)
	default:
		return fmt.Sprintf("%d lines (%d bytes)", c.Lines, c.Bytes)
	}
}

// Line is one of the last lines.
type Line struct {
	Stream Stream
	// Time is when its beginning was read.
	Time time.Time
	// Text has no line break at its end. It may be anything, and not UTF-8.
	Text string
	// Cut is true if the line was longer, and Text is its beginning.
	Cut bool
}

// Event tells of a destination in trouble. It is a value and may be kept.
type Event struct {
	To   Destination
	Kind EventKind
	Lost Count // since the last event of that kind
	Err  error // what failed
}

// EventKind tells which fields of the [Event] are set.
type EventKind uint8

// What can be told.
const (
	// Lost: there was no room in the queue. The counts of all such events are the
	// whole loss, but for what is lost after the last.
	Lost EventKind = iota + 1
	// Failed: see Err. Either a write failed, which is tried again, or writing goes on
	// and an old file cannot be put aside, compressed or removed.
	Failed
	// Recovered: what had failed works again.
	Recovered
)

// Stats tells what has become of the output so far.
type Stats struct {
	// Read are the bytes that the command has printed.
	Read [streams]uint64
	// To are the destinations. For each, Read of the streams that go there is what was
	// written, what was lost, and what is still in the queue: after [Capture.Close]
	// nothing is.
	To [destinations]DestinationStats
}

// DestinationStats tells what one destination got.
type DestinationStats struct {
	// Written are bytes of the command; prefixes and remarks are not counted.
	Written uint64
	// Lost is what was not written, by stream.
	Lost [streams]Count
	// Failures is how often something failed. Err is what does now, or nil.
	Failures uint64
	Err      error
}

func (d *DestinationStats) lost() (lost Count) {
	for _, l := range d.Lost {
		lost.add(l)
	}
	return lost
}

// failure tells what has been lost since then, and what does not work.
func (d *DestinationStats) failure(to Destination, since Count) error {
	lost := d.lost()
	lost.Lines -= since.Lines
	lost.Bytes -= since.Bytes
	switch {
	case lost.Bytes == 0 && d.Err == nil:
		return nil
	case lost.Bytes == 0:
		return fmt.Errorf("write %s: %w", to, d.Err)
	case d.Err == nil:
		return fmt.Errorf("write %s: %s lost: %w", to, lost, ErrUnread)
	default:
		return fmt.Errorf("write %s: %s lost: %w", to, lost, d.Err)
	}
}
