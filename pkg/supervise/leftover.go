package supervise

import (
	"slices"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
)

// Fate is what became of a leftover.
type Fate uint8

// The fates.
const (
	// FateLeft: it is still there.
	FateLeft Fate = iota
	// FateEnded: it ended by itself.
	FateEnded
	// FateStopped: it ended after SIGTERM.
	FateStopped
	// FateKilled: it was killed.
	FateKilled
	// FateUnreaped: it had exited, and its parent has not waited for it.
	FateUnreaped
)

// Leftover is a process that was there when the command had ended.
type Leftover struct {
	reap.Proc // as it was found; without /proc the PID and PPID alone
	Found     time.Time
	Age       time.Duration // when it was found
	Details   reap.Details  // with Config.InspectLeftovers; Args alone with FindLeftovers or NameOrphans
	// Ancestors are those who started it, the nearest first, as far as they have
	// been seen. With Config.InspectLeftovers that goes beyond those who live.
	Ancestors []Ancestor
	// Orphan: its parent has ended, and this process has adopted it.
	Orphan bool
	// Late: it was started when the command had ended, as a rule by another leftover
	// that was cleaning up.
	Late bool

	Fate Fate
	// After is the time until it ended: since SIGTERM, or SIGKILL if there was none,
	// or since it was found.
	After time.Duration
	// Status is how it ended, if Reaped.
	Status reap.Status
	Reaped bool  // by this process; the others by their own parent
	Err    error // what signalling it has met
}

// Unreaped reports a zombie that its parent has not waited for.
func (l *Leftover) Unreaped() bool { return l.Fate == FateUnreaped }

// Ancestor is one of those who started a leftover.
type Ancestor struct {
	PID  int
	Name string
	Args []string // as they were last seen
}

// record is a Leftover and what has been done about it.
type record struct {
	Leftover
	asked, killed time.Time
	missing       time.Time // when it was first not found any more
	grouped       bool      // asked with the command's group, and not continued yet
	over          bool
	told          bool // that it is left; the instance of the command is over
}

// gone writes down that it has ended.
func (r *record) gone(now time.Time) {
	r.over = true
	since := r.Found
	switch {
	case r.Fate == FateUnreaped:
		return
	case !r.killed.IsZero() && (!r.Reaped || r.Status == killedStatus):
		r.Fate, since = FateKilled, r.killed
		if !r.asked.IsZero() {
			since = r.asked
		}
	case !r.asked.IsZero():
		r.Fate, since = FateStopped, r.asked
	default:
		r.Fate = FateEnded
	}
	r.After = now.Sub(since)
}

// leftovers is the table of those who are left.
type leftovers struct {
	list  []*record       // in the order in which they were found
	byPID map[int]*record // those that are not over
	blind bool
}

func (t *leftovers) add(r *record) {
	if t.byPID == nil {
		t.byPID = make(map[int]*record)
	}
	t.list = append(t.list, r)
	t.byPID[r.PID] = r
}

// drop takes out a record that has been ended.
func (t *leftovers) drop(r *record) {
	t.list = slices.DeleteFunc(t.list, func(other *record) bool { return other == r })
}

// of is the record of a process, nil if there is none. A number that has been
// given to another process is another record.
func (t *leftovers) of(p reap.Proc) *record {
	r := t.byPID[p.PID]
	if r == nil || r.Start != 0 && p.Start != 0 && r.Start != p.Start {
		return nil
	}
	return r
}

// count is how many are not over, zombies left out.
func (t *leftovers) count() int {
	n := 0
	for _, r := range t.byPID {
		if !r.Unreaped() {
			n++
		}
	}
	return n
}
