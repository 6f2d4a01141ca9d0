package output

import (
	"bytes"
	"time"
)

// smallSize is up to where a delivery is copied, so that many share a chunk. A larger
// one is handed on as it is.
const smallSize = pieceSize / 4

// chunk is a buffer with what was read into it. It belongs to a reader; then to the
// hub; and from when a writer has taken it, nobody changes it until all have done.
type chunk struct {
	buf   []byte
	size  int // so much of it is output
	parts []part
	refs  int // the queues that have it; the hub's
}

// part is what came from one stream at one time. It begins where the one before ends.
type part struct {
	stream Stream
	at     time.Time
	end    int
	cont   bool // it goes on with the line of the stream's last part
}

func newChunk(size int) *chunk { return &chunk{buf: make([]byte, size)} }

// fill makes the delivery's own chunk one for the queues.
func (c *chunk) fill(d *delivery) {
	c.size = d.size
	c.parts = append(c.parts[:0], part{d.stream, d.at, d.size, d.cont})
}

func (c *chunk) room() int { return len(c.buf) - c.size }

// lost counts, by stream, what is in it from a byte on.
func (c *chunk) lost(from int) (lost [streams]Count) {
	begin := from
	for _, p := range c.parts {
		if p.end > begin {
			lost[p.stream].add(count(c.buf[begin:p.end]))
			begin = p.end
		}
	}
	return lost
}

func count(data []byte) Count {
	return Count{uint64(bytes.Count(data, []byte{'\n'})), uint64(len(data))}
}

// item is what a writer gets: a remark about what was lost, if anything was, and then
// a chunk from a byte on, or none.
type item struct {
	lost  [streams]Count
	chunk *chunk
	from  int
}

// queue is what waits for one destination. All but the channels is the hub's.
type queue struct {
	to        Destination
	elsewhere [streams]bool // those that do not go there
	limit     int
	items     chan item
	retry     chan bool // true if it is the last time

	waiting []item
	private *chunk // the last that waits, if more can be copied into it
	hand    item   // what the writer has
	weight  int    // of the buffers of all these

	dropping bool           // until half of it is written
	gap      [streams]Count // was lost, and there is no remark yet
	torn     [streams]bool  // the beginning of the line was lost, so its rest is too

	blocked bool // the writer waits for again
	fresh   bool // something has come since it tried
	closed  bool // items is closed
	ended   bool // the writer has ended

	stats                 DestinationStats
	untold                Count // lost, and not told by an event
	toldErr               error
	quietLoss, quietState bool
}

func newQueue(to Destination, limit int) *queue {
	return &queue{to: to, limit: limit, items: make(chan item), retry: make(chan bool)}
}

// room reports whether a delivery can be taken in. What is larger than the limit
// comes alone.
func (q *queue) room(d *delivery) bool {
	if q.elsewhere[d.stream] {
		return true
	}
	need := len(d.chunk.buf)
	if d.small() {
		need = pieceSize
		if q.private != nil && q.private.room() >= d.size {
			need = 0
		}
	}
	return q.weight == 0 || q.weight+need <= q.limit
}

// admits tells from where on a delivery is taken in, and counts what is lost of it:
// all, or the rest of a line whose beginning was.
func (q *queue) admits(d *delivery) (from int, ok bool) {
	if q.elsewhere[d.stream] {
		return 0, false
	}
	if q.torn[d.stream] && d.cont {
		from = bytes.IndexByte(d.data(), '\n') + 1
	}
	torn := q.torn[d.stream] && d.cont && from == 0
	if q.dropping || torn {
		from = d.size
	}
	if from > 0 {
		lost := count(d.data()[:from])
		q.gap[d.stream].add(lost)
		q.stats.Lost[d.stream].add(lost)
		q.untold.add(lost)
	}
	if from == d.size {
		q.torn[d.stream] = d.data()[d.size-1] != '\n'
		return 0, false
	}
	q.torn[d.stream] = false
	return from, true
}

// copy copies a delivery into the private chunk, or into a new one.
func (q *queue) copy(d *delivery, from int, empty func() *chunk) {
	data := d.data()[from:]
	if q.private == nil || q.private.room() < len(data) || q.gap != [streams]Count{} {
		c := empty()
		q.push(c, 0)
		q.private = c
	}
	c := q.private
	copy(c.buf[c.size:], data)
	c.size += len(data)
	c.parts = append(c.parts, part{d.stream, d.at, c.size, d.cont && from == 0})
	q.fresh = true
}

func (q *queue) share(c *chunk, from int) { q.push(c, from) }

func (q *queue) push(c *chunk, from int) {
	if c != nil {
		c.refs++
		q.weight += len(c.buf)
	}
	q.waiting = append(q.waiting, item{q.gap, c, from})
	q.private, q.gap, q.fresh = nil, [streams]Count{}, true
}

// out is where the next item goes, or nil if there is none.
func (q *queue) out() chan<- item {
	if len(q.waiting) == 0 {
		return nil
	}
	return q.items
}

func (q *queue) head() item {
	if len(q.waiting) == 0 {
		return item{}
	}
	return q.waiting[0]
}

// taken is called when the writer has the first item.
func (q *queue) taken() {
	q.hand = q.waiting[0]
	copy(q.waiting, q.waiting[1:])
	q.waiting[len(q.waiting)-1] = item{} // so that it can be collected
	q.waiting = q.waiting[:len(q.waiting)-1]
	if q.hand.chunk == q.private {
		q.private = nil
	}
}

// again is where a writer waits that could not write, if it is to try again.
func (q *queue) again(closing bool) chan<- bool {
	if q.blocked && (q.fresh || closing) {
		return q.retry
	}
	return nil
}

// done is called when the writer has done with its item, but for what was lost. It
// returns the chunk.
func (q *queue) done(lost [streams]Count) *chunk {
	it := q.hand
	q.hand, q.blocked = item{}, false
	if it.chunk == nil {
		return nil
	}
	q.weight -= len(it.chunk.buf)
	q.stats.Written += uint64(it.chunk.size - it.from)
	for s, l := range lost {
		q.stats.Written -= l.Bytes
		q.stats.Lost[s].add(l)
		q.untold.add(l)
	}
	if q.dropping && q.weight <= q.limit/2 {
		q.remark()
	}
	return it.chunk
}

// remark ends a loss and has it told.
func (q *queue) remark() {
	q.dropping = false
	if q.gap != [streams]Count{} {
		q.push(nil, 0)
	}
}

// finish has the writer end when it has done with all.
func (q *queue) finish() {
	q.remark()
	if len(q.waiting) == 0 && !q.closed {
		close(q.items)
		q.closed = true
	}
}

// lose counts all that waits, and what the writer has, as lost. The writer ends when it
// can.
func (q *queue) lose() {
	for _, it := range append(q.waiting, q.hand) {
		if it.chunk == nil {
			continue
		}
		for s, l := range it.chunk.lost(it.from) {
			q.stats.Lost[s].add(l)
		}
	}
	q.waiting = nil
	q.finish()
}

func (q *queue) failed(err error, blocked bool) {
	q.stats.Failures++
	q.stats.Err, q.blocked = err, blocked
}

func (q *queue) recovered() { q.stats.Err, q.blocked = nil, false }

// event is the next that is to be told.
func (q *queue) event() (Event, bool) {
	if err := q.stats.Err; !q.quietState && !same(err, q.toldErr) {
		if err == nil {
			return Event{To: q.to, Kind: Recovered}, true
		}
		return Event{To: q.to, Kind: Failed, Err: err}, true
	}
	if !q.quietLoss && q.untold.Bytes > 0 {
		return Event{To: q.to, Kind: Lost, Lost: q.untold}, true
	}
	return Event{}, false
}

// told is called when somebody has the event.
func (q *queue) told(e Event) {
	switch e.Kind {
	case Lost:
		q.untold, q.quietLoss = Count{}, true
	case Failed, Recovered:
		q.toldErr, q.quietState = e.Err, true
	}
}
