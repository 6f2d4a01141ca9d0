package leaktest

import (
	"fmt"
	"os"

	"github.com/reaper-init/reaper/pkg/reap"
)

// identity names a process for good, see [reap.Proc.Same].
type identity struct {
	pid   int
	start uint64
}

func identify(p reap.Proc) identity { return identity{p.PID, p.Start} }

// look reads once what would be a leak if it stayed, each parent before its
// children. Others may start, end and wait for processes meanwhile, so one look can
// name a process that has gone, and miss one: the kernel skips a child in its list if
// one before that is waited for while the list is read.
func look() ([]Leak, error) {
	// In this order: a child that exits in between is in both lists.
	living, err := reap.Descendants()
	if err != nil {
		return nil, unknown(err)
	}
	exited, err := reap.ExitedChildren()
	if err != nil {
		return nil, unknown(err)
	}
	if len(living)+len(exited) == 0 {
		return nil, nil
	}
	owned, err := owned()
	if err != nil {
		return nil, unknown(err)
	}
	over := make(map[int]bool)
	for _, p := range exited {
		over[p.PID] = true
	}
	self, uptime := os.Getpid(), reap.Uptime()
	family := newFamily(living)
	var leaks []Leak
	add := func(kind Kind, p reap.Proc) {
		args, _ := reap.CommandLine(p.PID) // if it has gone it has none
		leaks = append(leaks, Leak{
			Proc: p, Kind: kind, Args: args, Age: age(p, uptime), Ancestors: family.ancestors(p),
		})
	}
	for _, p := range living {
		switch {
		case p.PPID == self && over[p.PID]:
		case p.PPID == self && owned[p.PID]:
			add(Child, p)
		case p.PPID == self:
			add(Orphan, p)
		case !p.Zombie() || p.Threads > 1: // else it is up to its parent
			add(Descendant, p)
		}
	}
	for _, p := range exited {
		if owned[p.PID] {
			add(Unwaited, p)
		}
	}
	return leaks, nil
}

func unknown(err error) error { return fmt.Errorf("%w: %w", ErrUnknown, err) }
