package output

import (
	"errors"
	"io"
	"runtime"
	"syscall"
)

// report is what a writer tells the hub.
type report struct {
	queue   *queue
	kind    reportKind
	lost    [streams]Count // of the item
	err     error
	blocked bool // the writer waits for a retry
}

type reportKind uint8

const (
	itemDone reportKind = iota
	writeFailed
	writeRecovered
	writerEnded
)

// writer brings to one destination what its queue hands out. Its goroutine has a thread
// to itself on which every signal is blocked, so that what a write raises stays there
// instead of being forwarded to the command: SIGPIPE; SIGXFSZ, where the size of files
// is limited; SIGTTOU of a terminal.
type writer struct {
	queue *queue // its channels alone
	hub   *hub   // the same
	dest  io.Writer
	file  *file   // if dest is one
	lines *prefix // nil if they are written as they are
	raw   bool    // no line break is added where one is missing

	mid    int   // one more than the stream whose line has not ended; 0 is none
	failed error // as it was told
	last   bool  // what fails now is not tried again
	over   bool  // nothing is written any more
}

func (w *writer) run() {
	runtime.LockOSThread() // never unlocked: the thread ends with its mask
	blockSignals()
	for it := range w.queue.items {
		w.remarks(&it)
		r := report{queue: w.queue, kind: itemDone}
		if it.chunk != nil {
			if written := w.output(&it); written < it.chunk.size {
				r.lost = it.chunk.lost(written)
			}
		}
		w.tell(r)
	}
	if w.file != nil {
		if err := w.file.close(w.hub.abandon); !w.over { // or it is known why
			w.state(err)
		}
	}
	w.tell(report{queue: w.queue, kind: writerEnded})
}

func (w *writer) tell(r report) {
	select {
	case w.hub.reports <- r:
	case <-w.hub.ended:
	}
}

// remarks tells what was lost before an item.
func (w *writer) remarks(it *item) {
	for s, lost := range it.lost {
		if lost == (Count{}) {
			continue
		}
		text := remark(Stream(s), lost)
		if w.lines != nil {
			text = w.lines.remark(Stream(s), text)
		}
		if w.mid != 0 {
			text = append([]byte{'\n'}, text...)
		}
		w.mid = 0
		w.write(text)
	}
}

func remark(s Stream, lost Count) []byte {
	return []byte("[reaper: " + lost.String() + " of " + s.String() + " lost here]\n")
}

// output writes a chunk and returns how far it came.
func (w *writer) output(it *item) (written int) {
	switch {
	case w.lines != nil:
		return w.prefixed(it)
	case w.raw:
		return w.asItIs(it)
	default:
		return w.plain(it)
	}
}

// goesOn reports whether a part goes on with the line that was written last.
func (w *writer) goesOn(p *part) bool { return p.cont && w.mid == int(p.stream)+1 }

// breaks reports whether there must be a line break before a part. It takes note of
// how the part ends.
func (w *writer) breaks(p *part, last byte) bool {
	missing := w.mid != 0 && !w.goesOn(p)
	w.mid = 0
	if last != '\n' {
		w.mid = int(p.stream) + 1
	}
	return missing
}

// asItIs writes a chunk and nothing else.
func (w *writer) asItIs(it *item) (written int) {
	data := it.chunk.buf[:it.chunk.size]
	last := it.chunk.parts[len(it.chunk.parts)-1]
	w.breaks(&last, data[len(data)-1]) // a remark may need to know
	return it.from + w.write(data[it.from:])
}

// plain writes a chunk in one piece if no line break is missing in it.
func (w *writer) plain(it *item) (written int) {
	data := it.chunk.buf[:it.chunk.size]
	written = it.from
	begin := it.from
	for _, p := range it.chunk.parts {
		p.cont = p.cont && it.from == 0
		if w.breaks(&p, data[p.end-1]) {
			written += w.write(data[written:begin])
			w.write([]byte{'\n'})
		}
		begin = p.end
	}
	return written + w.write(data[written:])
}

// prefixed writes a chunk line by line. More may have been written than it returns,
// but not all of the lines after that.
func (w *writer) prefixed(it *item) (written int) {
	data := it.chunk.buf[:it.chunk.size]
	written = it.from
	begin := it.from
	for _, p := range it.chunk.parts {
		p.cont = p.cont && it.from == 0
		bare := w.goesOn(&p)
		if w.breaks(&p, data[p.end-1]) {
			w.lines.lineBreak()
		}
		w.lines.begin(&p)
		for rest := data[begin:p.end]; len(rest) > 0; bare = false {
			rest = w.lines.add(rest, bare)
			if out := w.lines.take(flushSize); w.write(out) < len(out) {
				return written
			} else if out != nil {
				written = p.end - len(rest)
			}
		}
		begin = p.end
	}
	if out := w.lines.take(0); w.write(out) < len(out) {
		return written
	}
	return len(data)
}

// write writes all, and tries again as often as it must, unless all is over.
func (w *writer) write(data []byte) (written int) {
	for written < len(data) && !w.over {
		n, err := w.dest.Write(data[written:])
		written += max(n, 0) // write(2) has -1
		switch {
		case err != nil:
			w.block(err, n > 0)
		case written < len(data):
			w.block(io.ErrShortWrite, n > 0)
		case w.file != nil:
			w.state(w.file.trouble)
		default:
			w.state(nil)
		}
	}
	return written
}

// block tells of a write that failed, and waits until it is to be tried again.
func (w *writer) block(err error, progress bool) {
	w.failed, w.over = err, w.last && !progress
	w.tell(report{queue: w.queue, kind: writeFailed, err: err, blocked: !w.over})
	if w.over {
		return
	}
	select {
	case w.last = <-w.queue.retry:
	case <-w.hub.ended:
		w.over = true
	}
}

// state tells whether something fails although writing goes on, when that changes.
func (w *writer) state(err error) {
	switch {
	case same(err, w.failed):
		return
	case err == nil:
		w.tell(report{queue: w.queue, kind: writeRecovered})
	default:
		w.tell(report{queue: w.queue, kind: writeFailed, err: err})
	}
	w.failed = err
}

// same reports whether two errors are of one cause, whatever file they name.
func same(a, b error) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return cause(a) == cause(b)
}

func cause(err error) string {
	if errors.Is(err, ErrOldFiles) {
		return ErrOldFiles.Error()
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	return err.Error()
}
