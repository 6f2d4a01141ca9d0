package output

import (
	"bytes"
	"errors"
	"os"
	"syscall"
	"time"
)

const (
	// pieceSize is how much is read, passed on and written at a time: it fits into the
	// cache of a processor, and a system call costs little beside it.
	pieceSize = 256 << 10
	// maxLine is how long a line can be and still stay in one piece.
	maxLine = 1 << 20
	// idleTime is how long the beginning of a line waits for its end.
	idleTime = 100 * time.Millisecond
	// shortIdleTime is the same where a line need not stay in one piece. A person does not
	// see it, and most programs write a line in less.
	shortIdleTime = 10 * time.Millisecond
)

// delivery is what a reader hands to the hub: the first size bytes of a chunk. They end
// with a line, or are a piece of one. The others, up to have, are the beginning of the
// next line; the hub moves them to the beginning of the chunk that it hands back.
type delivery struct {
	stream Stream
	at     time.Time
	chunk  *chunk
	size   int
	have   int
	cont   bool // it goes on with the line of the last delivery
	back   chan<- *chunk
}

func (d *delivery) data() []byte { return d.chunk.buf[:d.size] }

func (d *delivery) small() bool { return d.size <= smallSize }

// notice asks a reader to read all that is in its pipe by now.
type notice struct {
	end  bool // and to end then
	done chan<- struct{}
}

// reader reads one pipe. Nobody else has its fields, but for the channels.
type reader struct {
	stream Stream
	file   *os.File
	conn   syscall.RawConn
	idle   time.Duration
	hasty  bool // idle counts from when the beginning of the line came, not the last of it

	chunk *chunk
	have  int  // so many bytes are in it
	clean int  // so many of them are known to have no line break
	mid   bool // the last that was delivered has no line break at its end

	due   time.Time // when the beginning of a line has waited long enough; zero if there is none
	armed bool      // the file has a deadline
	eof   bool
	held  bool // it ended before the end of file; to be read when it has ended

	fill    func(fd uintptr) bool // made once, as it would be allocated each time
	hub     chan<- delivery
	back    chan *chunk
	notices chan notice
	ended   chan struct{}
}

func newReader(stream Stream, file *os.File, idle time.Duration, hasty bool, hub chan<- delivery) *reader {
	conn, _ := file.SyscallConn() // it fails for a file that is closed
	r := &reader{
		stream: stream, file: file, conn: conn, idle: idle, hasty: hasty, chunk: newChunk(pieceSize),
		hub: hub, back: make(chan *chunk), notices: make(chan notice, 1), ended: make(chan struct{}),
	}
	r.fill = r.read
	return r
}

func (r *reader) run() {
	defer close(r.ended)
	defer r.file.Close()
	for !r.eof {
		r.arm()
		select {
		case n := <-r.notices:
			r.obey(n)
			continue
		default:
		}
		switch err := r.conn.Read(r.fill); {
		case err == nil:
			r.pass()
		case errors.Is(err, os.ErrDeadlineExceeded):
			r.armed = true // and reached, so it must be set anew
			if !r.due.IsZero() && !time.Now().Before(r.due) {
				r.deliver(r.have)
			}
		default:
			r.eof = true
		}
	}
	r.deliver(r.have)
}

// arm has the next wait end when the beginning of a line has waited long enough. A
// notice may set another deadline at any time, but only after it is in its channel.
func (r *reader) arm() {
	switch {
	case r.have == 0:
		r.due = time.Time{}
	case !r.hasty || r.due.IsZero():
		r.due = time.Now().Add(r.idle)
	}
	if r.armed || !r.due.IsZero() {
		_ = r.file.SetReadDeadline(r.due) // a pipe can have one
		r.armed = !r.due.IsZero()
	}
}

// read takes all that is there, as far as there is room. It is false if the pipe is
// empty, and then called again when there is something.
func (r *reader) read(fd uintptr) bool {
	before := r.have
	for r.have < len(r.chunk.buf) {
		n, err := syscall.Read(int(fd), r.chunk.buf[r.have:])
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return r.have > before
		case err != nil || n == 0:
			r.eof = true
			return true
		default:
			r.have += n
		}
	}
	return true
}

// pass delivers the lines that have ended. If none has, the next read needs room.
func (r *reader) pass() {
	end := bytes.LastIndexByte(r.chunk.buf[r.clean:r.have], '\n') + 1
	switch {
	case end > 0:
		r.deliver(r.clean + end)
	case r.have == maxLine:
		r.deliver(r.have)
	case r.have == len(r.chunk.buf):
		larger := newChunk(2 * r.have)
		copy(larger.buf, r.chunk.buf)
		r.chunk, r.clean = larger, r.have
	default:
		r.clean = r.have
	}
}

func (r *reader) deliver(size int) {
	if size == 0 {
		return
	}
	cont := r.mid
	r.mid = r.chunk.buf[size-1] != '\n'
	r.hub <- delivery{
		stream: r.stream, at: time.Now(), chunk: r.chunk, size: size, have: r.have, cont: cont, back: r.back,
	}
	r.chunk = <-r.back
	r.have -= size
	r.due = time.Time{} // what is left has just begun
	r.clean = r.have    // the line break before it was the last
}

// obey reads what is there. That is no more than a pipe can hold: what comes
// meanwhile, from a process that does not stop, is left for later.
func (r *reader) obey(n notice) {
	for taken := 0; taken <= pipeSize && !r.eof; {
		before := r.have
		if err := r.conn.Control(func(fd uintptr) { r.fill(fd) }); err != nil || r.have == before {
			break
		}
		taken += r.have - before
		r.pass()
	}
	r.deliver(r.have)
	r.mid = false
	if n.end && !r.eof {
		r.eof, r.held = true, true
	}
	close(n.done)
}

// notify has all that is in the pipe now read, and waits for it. Any goroutine may
// call it.
func (r *reader) notify(end bool) {
	done := make(chan struct{})
	select {
	case r.notices <- notice{end, done}:
	case <-r.ended:
		return
	}
	_ = r.file.SetReadDeadline(time.Unix(1, 0)) // it wakes; an error means that it has ended
	select {
	case <-done:
	case <-r.ended:
	}
}
