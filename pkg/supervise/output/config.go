package output

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// DefaultQueue is how much may wait for each destination. It is used only if something
// has to wait, and is no more than a small container can spare.
const DefaultQueue = 8 << 20

// minMaxSize is the least size of a file. One is put aside at most 500 times a second.
const minMaxSize = 4096

// Config tells where the output goes: to any of File, Prefixed, Stdout and Stderr, and
// the last lines.
// Zero means nothing, see [Config.Wanted].
type Config struct {
	// File is appended to, and gets both streams. It is made with mode 0644 if it is
	// not there. A symbolic link is followed once, when it is opened.
	File string
	// MaxSize is how many bytes File may have. The line that would make it larger goes
	// into a new File; the old one gets the time of that moment into its name, before
	// the extension: app.log becomes app-2026-11-24T18-38-00.000.log (UTC). A line that
	// is longer than MaxSize makes a file of up to twice MaxSize, and only there is it
	// split. 0 is no limit. It is not heeded where File is no regular file, as /dev/null
	// or a named pipe.
	MaxSize int64
	// Keep is how many old files are kept. The oldest by their names are removed. 0
	// keeps all.
	Keep int
	// Compress has old files compressed by gzip, and named so.
	Compress bool

	// Prefixed, if not nil, gets each line with its time, Name and stream before it.
	// It is written to as Stdout and Stderr are.
	Prefixed io.Writer
	// Name is what the prefix calls the command. It may be empty.
	Name string

	// Stdout and Stderr, if not nil, get what the command prints there, byte for byte.
	// If they are the same, and can be compared by ==, that is one destination, ToStdout,
	// in which the lines of the two stay whole.
	//
	// Each is written to by one goroutine, which has a thread to itself on which every
	// signal is blocked: so the SIGPIPE of a write that nobody reads stays there.
	// os.Stdout would raise one all the same, see package os/signal; a file that is
	// not descriptor 1 or 2 to package os, or plain write(2), does not. Write may
	// block. If it writes less than all it must say how much, and why.
	Stdout, Stderr io.Writer

	// Tail is how many of the last lines are remembered.
	Tail int

	// Queue is how many bytes may wait for each destination. 0 is [DefaultQueue].
	Queue int
}

// Wanted reports whether anything is to be done with the output. If not, let the
// command have the streams of its starter.
func (c *Config) Wanted() bool {
	return c.ofLines() || c.Stdout != nil || c.Stderr != nil || c.Tail > 0
}

// ofLines reports whether there is a destination in which the beginning of a line stays
// apart from its end if they do not come together.
func (c *Config) ofLines() bool { return c.File != "" || c.Prefixed != nil }

// idle is how long the beginning of a line waits for its end.
func (c *Config) idle() time.Duration {
	if c.ofLines() || c.shared() {
		return idleTime
	}
	return shortIdleTime
}

// shared reports whether Stdout and Stderr are one destination. Those that cannot be
// compared are not.
func (c *Config) shared() bool {
	defer func() { _ = recover() }()
	return c.Stdout != nil && c.Stdout == c.Stderr
}

// Validate tells everything that is wrong with the configuration. Each error starts
// with the name of the field.
func (c *Config) Validate() error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf(field+": "+format, args...))
	}
	switch {
	case c.MaxSize < 0:
		bad("MaxSize", "negative size %d", c.MaxSize)
	case c.MaxSize > 0 && c.MaxSize < minMaxSize:
		bad("MaxSize", "%d bytes are too few, %d is the least", c.MaxSize, minMaxSize)
	}
	if c.Keep < 0 {
		bad("Keep", "negative count %d", c.Keep)
	}
	if c.Tail < 0 {
		bad("Tail", "negative count %d", c.Tail)
	}
	if c.Queue < 0 {
		bad("Queue", "negative size %d", c.Queue)
	}
	return errors.Join(errs...)
}

func (c *Config) queue() int {
	if c.Queue == 0 {
		return DefaultQueue
	}
	return c.Queue
}
