package leaktest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
)

// process is what holds for the whole process, whoever makes a check.
//
//nolint:gochecknoglobals // there is one process, which is or is not a subreaper, and whose zombies stay
var process struct {
	orphansLost error // why it is no subreaper

	sync.Mutex
	told map[identity]bool // what a check has reported and tried to end
}

//nolint:gochecknoinits // before the first test starts a process: who is orphaned earlier is not seen
func init() { process.orphansLost = reap.BecomeSubreaper() }

// Find looks for processes below this one and returns a [*LeakError] if there are any
// that do not end in time; see [MaxWait]. It changes nothing: what it has found it
// finds again, but for what [VerifyNone] or [VerifyTestMain] has told already. If it
// cannot know, the error is an [ErrUnknown], beside the leaks that it can see.
func Find(opts ...Option) error {
	leaks, err := find(newSettings(opts))
	return report(leaks, err)
}

func report(leaks []Leak, err error) error {
	if len(leaks) == 0 {
		return err
	}
	if err == nil {
		return &LeakError{leaks}
	}
	return errors.Join(&LeakError{leaks}, err)
}

// settledLooks is how many looks in a row must show nothing, as one may miss what
// the next will see; see look.
const settledLooks = 2

// Between two looks there is a pause, which doubles up to the longest.
const (
	firstPause   = time.Millisecond
	longestPause = 100 * time.Millisecond
)

// find looks until it sees nothing or the time is over.
func find(s *settings) ([]Leak, error) {
	if s.err != nil {
		return nil, s.err
	}
	var lost error
	if process.orphansLost != nil {
		lost = unknown(fmt.Errorf("orphans are not seen: %w", process.orphansLost))
	}
	deadline := time.Now().Add(s.maxWait)
	pause, clean := firstPause, 0
	for {
		leaks, err := look()
		if err != nil {
			return nil, err
		}
		leaks = untold(s.filter(leaks))
		left := time.Until(deadline)
		switch {
		case len(leaks) == 0:
			if clean++; clean == settledLooks {
				return nil, lost
			}
			continue
		case left <= 0:
			return leaks, lost
		}
		clean = 0
		<-time.After(min(pause, left))
		pause = min(2*pause, longestPause)
	}
}

// filter leaves out what the options exclude.
func (s *settings) filter(leaks []Leak) []Leak {
	var kept []Leak
	for _, l := range leaks {
		if !s.ignores(l) {
			kept = append(kept, l)
		}
	}
	return kept
}

// untold leaves out what has been told.
func untold(leaks []Leak) []Leak {
	process.Lock()
	defer process.Unlock()
	var kept []Leak
	for _, l := range leaks {
		if !process.told[identify(l.Proc)] {
			kept = append(kept, l)
		}
	}
	return kept
}

// tell remembers that the processes have been told.
func tell(leaks []Leak) {
	process.Lock()
	defer process.Unlock()
	if process.told == nil {
		process.told = make(map[identity]bool)
	}
	for _, l := range leaks {
		process.told[identify(l.Proc)] = true
	}
}
