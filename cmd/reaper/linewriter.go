package main

import (
	"errors"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// queuedLines is how many lines wait for a slow reader before some are lost.
	queuedLines = 1024
	// closePatience is how long the end of the program waits for them.
	closePatience = 200 * time.Millisecond
	// printPatience is the same if there is a text that somebody has asked for.
	printPatience = 5 * time.Second
	// pipeBuf is how much one write puts into a pipe in one piece: PIPE_BUF, pipe(7).
	pipeBuf = 4096
)

// lineWriter writes lines to a descriptor without ever blocking its caller.
// Write, room and close belong to one goroutine.
//
// A goroutine of its own makes the writes, from the first line on. It keeps a
// thread to itself on which every signal is blocked. So the SIGPIPE of a pipe
// that nobody reads stays there instead of being forwarded to the command, and
// a terminal that does not want output from the background (stty tostop) does
// not stop it. The descriptor is shared with the command and stays blocking.
type lineWriter struct {
	fd      int
	lines   chan []byte
	ended   chan struct{}
	dropped int // since it was last told

	patience time.Duration // of close
	err      error         // of the last write, once ended is closed
}

func newLineWriter(fd int) *lineWriter { return &lineWriter{fd: fd, patience: closePatience} }

// Write takes a line in, or counts it as dropped.
func (w *lineWriter) Write(line []byte) (int, error) {
	if w.lines == nil {
		w.lines = make(chan []byte, queuedLines)
		w.ended = make(chan struct{})
		go w.drain()
	}
	select {
	case w.lines <- append([]byte(nil), line...): // zapcore uses its buffer again
	default:
		w.dropped++
	}
	return len(line), nil
}

// Sync is for zapcore, which calls it before it gives up; nothing is kept back.
func (w *lineWriter) Sync() error { return nil }

// room reports whether the next line will not be dropped.
func (w *lineWriter) room() bool { return len(w.lines) < cap(w.lines) }

// close waits for the queue to be written, but not for a reader that sleeps. The
// error is that of the last line.
func (w *lineWriter) close() error {
	if w.lines == nil {
		return nil
	}
	close(w.lines)
	patience := time.NewTimer(w.patience)
	defer patience.Stop()
	select {
	case <-w.ended:
		return w.err
	case <-patience.C:
		return errUnread
	}
}

var errUnread = errors.New("nobody reads it")

func (w *lineWriter) drain() {
	defer close(w.ended)
	runtime.LockOSThread() // never unlocked: the thread ends with its mask
	var all unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &all, nil); err != nil {
		w.err = err
		return // no line is written; they are counted once the queue is full
	}
	for line := range w.lines {
		w.write(w.withThoseThatWait(line))
	}
}

// withThoseThatWait puts the lines that wait behind one, as far as one write to a pipe
// has room for them without being mixed with what the command writes there.
func (w *lineWriter) withThoseThatWait(line []byte) []byte {
	for len(line) < pipeBuf {
		select {
		case next := <-w.lines: // nil when it is closed
			if next == nil {
				return line
			}
			if len(line)+len(next) > pipeBuf {
				w.write(line)
				line = next
				continue
			}
			line = append(line, next...)
		default:
			return line
		}
	}
	return line
}

// write keeps the error: there is nobody to tell.
func (w *lineWriter) write(lines []byte) { _, w.err = descriptor(w.fd).Write(lines) }
