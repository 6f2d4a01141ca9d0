package output

import (
	"slices"
	"time"
)

const (
	// roomPatience is how long a reader waits for room in a queue, see the package's doc.
	roomPatience = 50 * time.Millisecond
	// quietTime is how long an event keeps others of its kind back.
	quietTime = time.Second
	// spareChunks is how many wait to be used again.
	spareChunks = 8
)

// hub is where output goes from the readers to the writers. One goroutine has it, and
// others ask through its channels. It never waits for one of them alone.
type hub struct {
	in      chan delivery
	reports chan report
	asks    chan func(*hub)
	events  chan Event
	abandon chan struct{} // closed when what is left is to be lost
	ended   chan struct{} // closed at the end

	queues []*queue // of destinations that are wanted
	tail   tail
	read   [streams]uint64

	waiting  []delivery // for room, the first first
	patience *time.Timer
	quiet    *time.Timer
	spare    []*chunk
	closing  bool // nothing comes in any more
}

func newHub(tailLines int) *hub {
	return &hub{
		in: make(chan delivery), reports: make(chan report), asks: make(chan func(*hub)), events: make(chan Event),
		abandon: make(chan struct{}), ended: make(chan struct{}),
		tail: newTail(tailLines), patience: stoppedTimer(), quiet: stoppedTimer(),
	}
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// run ends when in is closed and every writer has ended, or with abandon.
func (h *hub) run() {
	defer close(h.ended)
	defer h.patience.Stop()
	defer h.quiet.Stop()
	q := [destinations]*queue{h.queue(0), h.queue(1), h.queue(2), h.queue(3)}
	for !h.over() {
		events, event := h.event()
		select {
		case d, ok := <-h.in:
			h.take(d, ok)
		case r := <-h.reports:
			h.report(r)
		case q[0].out() <- q[0].head():
			q[0].taken()
		case q[1].out() <- q[1].head():
			q[1].taken()
		case q[2].out() <- q[2].head():
			q[2].taken()
		case q[3].out() <- q[3].head():
			q[3].taken()
		case q[0].again(h.closing) <- h.closing:
			q[0].fresh = false
		case q[1].again(h.closing) <- h.closing:
			q[1].fresh = false
		case q[2].again(h.closing) <- h.closing:
			q[2].fresh = false
		case q[3].again(h.closing) <- h.closing:
			q[3].fresh = false
		case <-h.patience.C:
			h.impatient()
		case events <- event:
			h.told(event)
		case <-h.quiet.C:
			for _, q := range h.queues {
				q.quietLoss, q.quietState = false, false
			}
		case ask := <-h.asks:
			ask(h)
		case <-h.abandon:
			for _, q := range h.queues {
				q.lose()
			}
			return
		}
	}
}

// queue is the i-th, or one that never has anything to hand out.
func (h *hub) queue(i int) *queue {
	if i < len(h.queues) {
		return h.queues[i]
	}
	return &queue{}
}

// over reports whether all is done. When nothing comes in any more, it tells the
// writers that have all.
func (h *hub) over() bool {
	if !h.closing {
		return false
	}
	for _, q := range h.queues {
		q.finish()
	}
	return !slices.ContainsFunc(h.queues, func(q *queue) bool { return !q.ended })
}

// take takes a delivery in, or the news that there will be none any more.
func (h *hub) take(d delivery, ok bool) {
	if !ok {
		h.in, h.closing = nil, true
		return
	}
	h.read[d.stream] += uint64(d.size)
	h.tail.add(d.stream, d.at, d.data(), d.cont)
	if len(h.waiting) == 0 && !h.full(&d) {
		h.place(&d)
		return
	}
	h.waiting = append(h.waiting, d)
	if len(h.waiting) == 1 {
		h.patience.Reset(roomPatience)
	}
}

// full reports whether a queue that is waited for has no room.
func (h *hub) full(d *delivery) bool {
	return slices.ContainsFunc(h.queues, func(q *queue) bool { return !q.dropping && !q.room(d) })
}

// impatient gives up the queues that have no room for whoever has waited longest.
func (h *hub) impatient() {
	if len(h.waiting) == 0 {
		return // there was room, just before
	}
	for _, q := range h.queues {
		q.dropping = q.dropping || !q.room(&h.waiting[0])
	}
	h.admit()
}

// admit places who has been waiting, as far as there is room.
func (h *hub) admit() {
	n := len(h.waiting)
	for len(h.waiting) > 0 && !h.full(&h.waiting[0]) {
		h.place(&h.waiting[0])
		h.waiting = slices.Delete(h.waiting, 0, 1)
	}
	switch {
	case len(h.waiting) == 0:
		h.patience.Stop()
	case len(h.waiting) < n:
		h.patience.Reset(roomPatience)
	}
}

// place puts a delivery into each queue that takes it, and gives the reader a chunk
// back: the same if it was copied, as it was small, or if nobody wanted it.
func (h *hub) place(d *delivery) {
	full, back := d.chunk, d.chunk
	for _, q := range h.queues {
		switch from, ok := q.admits(d); {
		case !ok:
		case d.small():
			q.copy(d, from, h.chunk)
		default:
			if full.refs == 0 {
				full.fill(d)
				back = h.chunkFor(d.have - d.size)
			}
			q.share(full, from)
		}
	}
	copy(back.buf, d.chunk.buf[d.size:d.have])
	d.back <- back
}

// chunk is an empty one.
func (h *hub) chunk() *chunk {
	if n := len(h.spare); n > 0 {
		c := h.spare[n-1]
		h.spare = h.spare[:n-1]
		return c
	}
	return newChunk(pieceSize)
}

// chunkFor is an empty one that has room for more than the beginning of a line.
func (h *hub) chunkFor(begun int) *chunk {
	size := pieceSize
	for size <= begun {
		size *= 2
	}
	if size == pieceSize {
		return h.chunk()
	}
	return newChunk(size)
}

// release takes a chunk back from a queue that has done with it.
func (h *hub) release(c *chunk) {
	if c == nil {
		return
	}
	c.refs--
	if c.refs == 0 && len(c.buf) == pieceSize && len(h.spare) < spareChunks {
		c.size, c.parts = 0, c.parts[:0]
		h.spare = append(h.spare, c)
	}
}

// report takes in what a writer says.
func (h *hub) report(r report) {
	switch r.kind {
	case itemDone:
		h.release(r.queue.done(r.lost))
		h.admit()
	case writeFailed:
		r.queue.failed(r.err, r.blocked)
	case writeRecovered:
		r.queue.recovered()
	case writerEnded:
		r.queue.ended = true
	}
}

// event is the next that is to be told, and the channel for it, or nil if there is none.
func (h *hub) event() (chan<- Event, Event) {
	for _, q := range h.queues {
		if e, ok := q.event(); ok {
			return h.events, e
		}
	}
	return nil, Event{}
}

// told is called when somebody has received an event.
func (h *hub) told(e Event) {
	for _, q := range h.queues {
		if q.to == e.To {
			q.told(e)
		}
	}
	h.quiet.Reset(quietTime) // later than asked for, if one has just been told
}

func (h *hub) stats() Stats {
	stats := Stats{Read: h.read}
	for _, q := range h.queues {
		stats.To[q.to] = q.stats
	}
	return stats
}

// ask runs f where the hub's fields may be read, also after its end.
func (h *hub) ask(f func(*hub)) {
	done := make(chan struct{})
	select {
	case h.asks <- func(h *hub) { f(h); close(done) }:
		<-done
	case <-h.ended:
		f(h)
	}
}
