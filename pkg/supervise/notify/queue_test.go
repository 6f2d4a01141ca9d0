package notify

import (
	"slices"
	"strconv"
	"testing"
)

func (q *queue) texts() []string {
	var all []string
	for _, d := range q.waiting {
		all = append(all, d.text)
	}
	return all
}

// What the manager can do without goes first, the oldest before the others.
func TestQueueKeepsReady(t *testing.T) {
	var q queue
	q.add(datagram{text: "STATUS=starting"})
	q.add(datagram{text: "READY=1", keep: true})
	for i := range 1000 {
		q.add(datagram{text: strconv.Itoa(i)})
	}
	q.add(datagram{text: "STOPPING=1", keep: true})
	got := q.texts()
	if len(got) != maxQueue || q.dropped != 1003-maxQueue {
		t.Errorf("%d wait and %d are dropped", len(got), q.dropped)
	}
	if got[0] != "READY=1" || got[1] != strconv.Itoa(1000-maxQueue+2) || got[maxQueue-2] != "999" || got[maxQueue-1] != "STOPPING=1" {
		t.Errorf("got %q", got)
	}
}

// Where everything counts it is the end that counts.
func TestQueueKeepsTheLast(t *testing.T) {
	var q queue
	var want []string
	for i := range 2 * maxQueue {
		q.add(datagram{text: strconv.Itoa(i), keep: true})
		if i >= maxQueue {
			want = append(want, strconv.Itoa(i))
		}
	}
	if got := q.texts(); !slices.Equal(got, want) || q.dropped != maxQueue {
		t.Errorf("%d dropped, got %q", q.dropped, got)
	}
}

func TestQueueRemove(t *testing.T) {
	var q queue
	for i := range 3 {
		q.add(datagram{text: strconv.Itoa(i)})
	}
	q.remove(0)
	q.drop(1)
	if got := q.texts(); !slices.Equal(got, []string{"1"}) || q.dropped != 1 {
		t.Errorf("%d dropped, got %q", q.dropped, got)
	}
	q.remove(0)
	q.add(datagram{text: "3"})
	if got := q.texts(); !slices.Equal(got, []string{"3"}) {
		t.Errorf("got %q", got)
	}
}
