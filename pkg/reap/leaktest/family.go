package leaktest

import (
	"os"
	"slices"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
)

// family is whom the ancestors of a process are looked up in.
type family map[int]reap.Proc

func newFamily(living []reap.Proc) family {
	f := make(family, len(living))
	for _, p := range living {
		f[p.PID] = p
	}
	return f
}

// ancestors is the path of command names from this process to the parent of p.
func (f family) ancestors(p reap.Proc) []string {
	var names []string
	// No more than there are: a number that was given away may make a circle.
	for range len(f) {
		parent, ok := f[p.PPID]
		if !ok {
			break
		}
		names = append(names, parent.Name)
		p = parent
	}
	if self, err := reap.ReadProc(os.Getpid()); err == nil {
		names = append(names, self.Name)
	}
	slices.Reverse(names)
	return names
}

// age is 0 for a process that is hidden, whose start is not known.
func age(p reap.Proc, uptime time.Duration) time.Duration {
	if p.Start == 0 {
		return 0
	}
	return p.Age(uptime)
}
