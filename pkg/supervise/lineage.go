package supervise

import (
	"slices"

	"github.com/reaper-init/reaper/pkg/reap"
)

// lineage remembers who started whom. The kernel forgets it: the parent of an
// orphan is whoever adopted it.
type lineage struct {
	alive map[int]*ancestor
	spare map[int]*ancestor // the map of the time before, to be filled again
}

// ancestor is a process that has been seen. It is kept as long as a descendant
// of it is, though it may have ended itself.
type ancestor struct {
	proc   reap.Proc
	args   []string
	parent *ancestor
	zombie int  // how often it was seen as a zombie that its parent had left
	missed bool // in the last reading
}

// copies reports whether it has been seen only as the copy of its parent that fork makes:
// what it executes yet may have the same name.
func (a *ancestor) copies() bool { return a.parent != nil && slices.Equal(a.args, a.parent.args) }

// look takes in a reading of the tree, in which parents come before children.
// commandLine reads a command line; it is asked once for each program that a process
// executes, and each time of one that is like its parent.
func (l *lineage) look(procs []reap.Proc, commandLine func(pid int) []string) {
	now := l.spare
	if now == nil {
		now = make(map[int]*ancestor)
	}
	for _, p := range procs {
		a := l.alive[p.PID]
		if a == nil || !a.proc.Same(p) {
			a = &ancestor{parent: now[p.PPID]}
			if a.parent == nil {
				a.parent = l.alive[p.PPID]
			}
		}
		switch {
		case p.Zombie(): // it has no command line any more
			a.zombie++
		case a.args == nil || a.proc.Name != p.Name || a.copies(): // or has it executed nothing since?
			a.args = commandLine(p.PID)
		}
		a.proc, a.missed = p, false
		now[p.PID] = a
	}
	// Who is missing may be there still: a parent that ends while the tree is read hides
	// its children. So may a zombie whose parent has just ended: it is a child of this
	// process, about to be reaped, and then asked for.
	for pid, a := range l.alive {
		if now[pid] == nil && !a.missed {
			a.missed = true
			now[pid] = a
		}
	}
	l.alive, l.spare = now, l.alive
	clear(l.spare)
}

// args is the command line of a process as it was last seen.
func (l *lineage) args(p reap.Proc) []string {
	if a := l.alive[p.PID]; a != nil && a.proc.Same(p) {
		return a.args
	}
	return nil
}

// of is those who started a process, the nearest first.
func (l *lineage) of(p reap.Proc) []Ancestor {
	a := l.alive[p.PID]
	if a == nil || !a.proc.Same(p) {
		return nil
	}
	var all []Ancestor
	for a = a.parent; a != nil; a = a.parent {
		all = append(all, Ancestor{PID: a.proc.PID, Name: a.proc.Name, Args: a.args})
	}
	return all
}

// unreaped is the ancestor record of a child that has now come to this process
// and been reaped, if it had been a zombie of another for some time.
func (l *lineage) unreaped(pid int) *ancestor {
	const sightings = 2 // one may have been the moment before its parent waited
	if a := l.alive[pid]; a != nil && a.zombie >= sightings && a.parent != nil {
		return a
	}
	return nil
}
