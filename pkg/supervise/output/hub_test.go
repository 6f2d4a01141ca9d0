package output

import (
	"bytes"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// stage is a hub without pipes and without a destination: the test reads and writes.
type stage struct {
	*hub
	back chan *chunk
	own  *chunk // that of the reader
	size int    // of the last that was written
}

// newStage must be called in a bubble. At the end of the test everything is lost.
func newStage(t *testing.T, limits ...int) *stage {
	t.Helper()
	s := &stage{hub: newHub(0), back: make(chan *chunk), own: newChunk(pieceSize)}
	for i, limit := range limits {
		s.queues = append(s.queues, newQueue(Destination(i), limit))
	}
	go s.run()
	t.Cleanup(func() {
		close(s.abandon)
		<-s.ended
	})
	return s
}

// deliver hands a piece to the hub and returns how long that took.
func (s *stage) deliver(size int) time.Duration {
	data := bytes.Repeat([]byte("1234567\n"), size/8)
	copy(s.own.buf, data)
	begin := time.Now()
	s.in <- delivery{at: begin, chunk: s.own, size: len(data), have: len(data), back: s.back}
	s.own = <-s.back
	return time.Since(begin)
}

// write takes the next item of a queue and writes it.
func (s *stage) write(to Destination) item {
	q := s.queues[to]
	it := <-q.items
	if it.chunk != nil {
		s.size = it.chunk.size // it is used again
	}
	s.reports <- report{queue: q, kind: itemDone}
	return it
}

// A destination that takes nothing is waited for once, and no longer than that. When it
// has taken half of its queue, it is again.
func TestHubWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 4*pieceSize, 100*pieceSize)
		deliver := func(n int, want time.Duration) {
			t.Helper()
			for range n {
				if took := s.deliver(pieceSize); took != want {
					t.Errorf("took %v, want %v", took, want)
				}
			}
		}
		deliver(4, 0)
		deliver(1, roomPatience)
		deliver(10, 0)
		if it := s.write(ToFile); it.lost != [streams]Count{} || s.size != pieceSize {
			t.Errorf("%+v", it)
		}
		deliver(1, 0) // a quarter is not enough
		s.write(ToFile)
		deliver(1, 0)
		s.write(ToFile)
		s.write(ToFile)
		lost := Count{Bytes: 12 * pieceSize, Lines: 12 * pieceSize / 8}
		if it := s.write(ToFile); it.lost[Stdout] != lost || it.chunk != nil {
			t.Errorf("remark %+v, want %+v", it, lost)
		}
		if it := s.write(ToFile); it.lost != [streams]Count{} || it.chunk == nil {
			t.Errorf("%+v", it)
		}
		deliver(4, 0)
		deliver(1, roomPatience)
		for n := range 22 {
			if it := s.write(ToPrefixed); it.chunk == nil || it.lost != [streams]Count{} {
				t.Errorf("the other destination has item %d: %+v", n, it)
			}
		}
	})
}

// Who waits gets room as soon as there is some.
func TestHubGivesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, pieceSize)
		s.deliver(pieceSize)
		go func() {
			<-time.After(roomPatience / 2)
			s.write(ToFile)
		}()
		if took := s.deliver(pieceSize); took != roomPatience/2 {
			t.Errorf("took %v", took)
		}
		synctest.Wait()
		if stats := s.queues[0].stats; stats.lost() != (Count{}) || stats.Written != pieceSize {
			t.Errorf("%+v", stats)
		}
	})
}

// Small pieces share a buffer, so that the queue holds what it says.
func TestHubGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 4*pieceSize)
		const size = 800
		n := 0
		for s.deliver(size) == 0 {
			n++
		}
		if n*size < 4*(pieceSize-size) {
			t.Errorf("no room after %d bytes", n*size)
		}
		if s.write(ToFile); s.size < pieceSize-size {
			t.Errorf("%d bytes together", s.size)
		}
	})
}

// Of a loss that lasts it is told at once, and then now and then. What is told is all.
func TestHubTellsSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 1)
		s.deliver(8)
		var told Count
		events := 0
		begin := time.Now()
		end := time.After(10 * time.Second)
		stop := make(chan struct{})
		go func() {
			for time.Since(begin) < 9*time.Second {
				s.deliver(8)
				<-time.After(time.Millisecond)
			}
			close(stop)
		}()
		for running := true; running; {
			select {
			case e := <-s.events:
				if e.Kind != Lost || e.Lost.Bytes == 0 {
					t.Errorf("%+v", e)
				}
				if events == 0 && time.Since(begin) > roomPatience {
					t.Errorf("told after %v", time.Since(begin))
				}
				told.add(e.Lost)
				events++
			case <-end:
				running = false
			}
		}
		<-stop
		if lost := s.queues[0].stats.Lost[Stdout]; told != lost || events > 11 || events < 9 {
			t.Errorf("lost %+v, told %+v in %d events", lost, told, events)
		}
	})
}

// A failure that comes and goes is told as seldom, and in the end as it is.
func TestHubTellsStateSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, pieceSize)
		q := s.queues[0]
		fail := func(err error) {
			kind := writeFailed
			if err == nil {
				kind = writeRecovered
			}
			s.reports <- report{queue: q, kind: kind, err: err}
		}
		fail(syscall.EIO)
		if e := <-s.events; e.Kind != Failed {
			t.Errorf("%+v", e)
		}
		begin := time.Now()
		for range 100 {
			fail(nil)
			fail(syscall.EIO)
		}
		fail(nil)
		if e := <-s.events; e.Kind != Recovered || time.Since(begin) != quietTime {
			t.Errorf("%+v after %v", e, time.Since(begin))
		}
		select {
		case e := <-s.events:
			t.Errorf("%+v", e)
		case <-time.After(time.Hour):
		}
	})
}
