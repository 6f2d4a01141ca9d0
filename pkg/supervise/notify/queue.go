package notify

// maxQueue is how many messages wait for a service manager that does not read.
const maxQueue = 64

// datagram is a message for the service manager.
type datagram struct {
	text string
	keep bool // it tells of READY, RELOADING or STOPPING
}

// queue holds what could not be sent yet, in order.
type queue struct {
	waiting []datagram
	dropped int
}

// add puts a message behind the others. If there are too many the oldest is dropped
// that the manager can do without: another status or sign of life follows, while a
// service whose READY is lost never starts. If all are of that kind, then it is the
// oldest of all: what counts is what the service is in the end.
func (q *queue) add(d datagram) {
	q.waiting = append(q.waiting, d)
	if len(q.waiting) <= maxQueue {
		return
	}
	oldest := 0
	for i, d := range q.waiting {
		if !d.keep {
			oldest = i
			break
		}
	}
	q.drop(oldest)
}

func (q *queue) drop(i int) {
	q.remove(i)
	q.dropped++
}

// remove keeps the array, which then has what it will ever need.
func (q *queue) remove(i int) {
	copy(q.waiting[i:], q.waiting[i+1:])
	q.waiting[len(q.waiting)-1] = datagram{}
	q.waiting = q.waiting[:len(q.waiting)-1]
}
