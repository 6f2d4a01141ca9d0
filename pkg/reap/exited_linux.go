package reap

import "os"

// ExitedChildren reads from /proc the children of the calling process that have
// exited and have not been waited for: those that [Descendants] leaves out. They are
// its own and the orphans it has adopted, which nothing tells apart. None is reaped,
// and none loses its exit status: they are asked for by waitid with WNOWAIT.
//
// Unlike Descendants it may be called while others wait for their children, as
// package os does. Then it is a reading: a child named may have been waited for
// since, and one that exited meanwhile may be missing. Who wants both kinds calls
// Descendants first: a child that exits in between is in both lists then, and not in
// neither. The error is [ErrNoProc].
func ExitedChildren() ([]Proc, error) {
	if !ownProc() {
		return nil, ErrNoProc
	}
	self := os.Getpid()
	pids, err := childrenOf(self, 0)
	if err != nil { // as in Descendants
		procs, err := Procs()
		if err != nil {
			return nil, ErrNoProc
		}
		for _, p := range procs {
			if p.PPID == self {
				pids = append(pids, p.PID)
			}
		}
	}
	var found []Proc
	for _, pid := range pids {
		if p, child, exited := askChild(pid, self); child && exited {
			p.State = 'Z' // it may have exited after it was read
			found = append(found, p)
		}
	}
	return found, nil
}
