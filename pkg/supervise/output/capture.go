package output

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// flushPatience is how long Close waits at least for what is in the queues.
const flushPatience = 200 * time.Millisecond

var (
	// ErrHeld tells that a stream was given up although a process could still print to
	// it. That process gets SIGPIPE from now on.
	ErrHeld = errors.New("a process still has it open")
	// ErrUnread tells that a destination did not take the output in time.
	ErrUnread = errors.New("nobody takes it")
)

// Capture carries the output of a command, from [Open] to Close. Its methods are for
// any goroutine, but CloseWriters and Close for one, and at the end.
type Capture struct {
	ends    [streams]*os.File // for the command
	readers [streams]*reader
	hub     *hub
}

// Open makes the pipes and opens File. It tells now what would otherwise fail with the
// first line: that File is a directory, is not there and cannot be made, cannot be
// written to or, if it has a MaxSize, is in a directory in which nothing can be
// renamed. Nothing is written yet.
func Open(c Config) (*Capture, error) { return open(c, c.idle()) }

func open(c Config, idle time.Duration) (*Capture, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("check configuration: %w", err)
	}
	if !c.Wanted() {
		return nil, errors.New("check configuration: nothing is wanted")
	}
	var writers []*writer
	if c.File != "" {
		f, err := openFile(&c)
		if err != nil {
			return nil, err
		}
		writers = append(writers, &writer{queue: newQueue(ToFile, c.queue()), dest: f, file: f})
	}
	if c.Prefixed != nil {
		writers = append(writers, &writer{queue: newQueue(ToPrefixed, c.queue()), dest: c.Prefixed, lines: newPrefix(c.Name)})
	}
	writers = append(writers, rawWriters(&c)...)
	capture := &Capture{hub: newHub(c.Tail)}
	if err := capture.openPipes(idle, !c.ofLines()); err != nil {
		for _, w := range writers {
			if w.file != nil {
				_ = w.file.Close() // nothing has been written
			}
		}
		return nil, err
	}
	capture.start(writers)
	return capture, nil
}

// rawWriters are those of Stdout and Stderr.
func rawWriters(c *Config) (writers []*writer) {
	shared := c.shared()
	for s, dest := range [streams]io.Writer{c.Stdout, c.Stderr} {
		if dest == nil || shared && Stream(s) == Stderr {
			continue
		}
		q := newQueue(ToStdout+Destination(s), c.queue())
		q.elsewhere[Stdout+Stderr-Stream(s)] = !shared
		writers = append(writers, &writer{queue: q, dest: dest, raw: true})
	}
	return writers
}

func (c *Capture) openPipes(idle time.Duration, hasty bool) error {
	for s := range streams {
		r, w, err := newPipe(s.String())
		if err != nil {
			c.closePipes()
			return err
		}
		c.ends[s], c.readers[s] = w, newReader(s, r, idle, hasty, c.hub.in)
	}
	return nil
}

func (c *Capture) closePipes() {
	c.CloseWriters()
	for _, r := range c.readers {
		if r != nil {
			r.file.Close()
		}
	}
}

func (c *Capture) start(writers []*writer) {
	for _, w := range writers {
		w.hub = c.hub
		c.hub.queues = append(c.hub.queues, w.queue)
	}
	for _, w := range writers {
		go w.run()
	}
	for _, r := range c.readers {
		go r.run()
	}
	go c.hub.run()
}

// FD is the descriptor that the command is to have as descriptor 1 or 2. It is
// close-on-exec and blocks. It stays this process's until CloseWriters.
func (c *Capture) FD(s Stream) int { return int(c.ends[s].Fd()) }

// CloseWriters closes the ends for the command here. After it the command cannot be
// started again. It may be called twice.
func (c *Capture) CloseWriters() {
	for _, w := range c.ends {
		if w != nil {
			w.Close() // an error means that it is closed
		}
	}
}

// Settle takes in what is in the pipes. When it returns, whatever the command had
// printed when it was called is among the last lines; and a line that has not ended has
// ended, so that the next that is started does not go on with it. It is for the moment
// in which the command has ended. It takes some microseconds, but some tenths of a second
// if a destination has just run out of room.
func (c *Capture) Settle() {
	for _, r := range c.readers {
		r.notify(false)
	}
}

// Tail is the last lines, the oldest first. See also [Capture.Settle].
func (c *Capture) Tail() (lines []Line) {
	c.hub.ask(func(h *hub) { lines = h.tail.copy() })
	return lines
}

// Stats tells what has become of the output so far.
func (c *Capture) Stats() (stats Stats) {
	c.hub.ask(func(h *hub) { stats = h.stats() })
	return stats
}

// Events brings what is to be told about destinations in trouble. Nobody need receive
// from it: what is not received is added up. Of a kind there are at most two in a
// second. It is never closed, and brings nothing more after Close.
func (c *Capture) Events() <-chan Event { return c.hub.events }

// Close reads until no process can print any more, or until the end of ctx; then what
// is in the pipes by then. Then it waits until all is written, and old files are
// compressed, also until the end of ctx, or for 200 ms if that is longer. It closes File
// and ends all goroutines, but for one that is in the midst of a Write that blocks, and
// one of package lumberjack that waits for nothing.
//
// The error tells what was cut short, by [ErrHeld], and for which destination something
// was lost meanwhile, or still fails, and why. It is called once.
func (c *Capture) Close(ctx context.Context) error {
	c.CloseWriters()
	var errs []error
	for _, r := range c.readers {
		select {
		case <-r.ended:
		case <-ctx.Done():
			r.notify(true)
			<-r.ended
		}
		if r.held {
			errs = append(errs, fmt.Errorf("read %s: %w", r.stream, ErrHeld))
		}
	}
	before := c.Stats()
	close(c.hub.in)
	c.flush(ctx)
	after := c.Stats()
	for to := range destinations {
		errs = append(errs, after.To[to].failure(to, before.To[to].lost()))
	}
	return errors.Join(errs...)
}

// flush waits for the hub and the writers.
func (c *Capture) flush(ctx context.Context) {
	least := time.NewTimer(flushPatience)
	defer least.Stop()
	select {
	case <-c.hub.ended:
		return
	case <-ctx.Done():
	}
	select {
	case <-c.hub.ended:
		return
	case <-least.C:
	}
	close(c.hub.abandon)
	<-c.hub.ended
}
