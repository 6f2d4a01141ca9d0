package reap

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// unowned finds the children that nobody in this process will wait for, and reaps
// them when they have exited.
//
// Package os keeps a pidfd of each child that it starts, from the clone, before the
// child's first instruction (kernel/fork.c installs it before it wakes the child),
// until Wait has reaped it, or Release or the garbage collector lets it go
// (os/exec.go). So who has exited and is the process of no descriptor here is nobody's.
// It stays so: nobody can get to wait for a process that was not its own. But what is
// known of a number holds only for the process that had it when it was asked, and
// others reap meanwhile: each Wait in the program, and os.StartProcess itself, where
// the exec has failed (syscall/exec_unix.go, forkExec: by number, and the descriptor is
// closed after that). Hence the order of the steps:
//
//  1. List the children, and ask each by number whether it has exited. The answer is
//     a hint: the number may be given away at once.
//  2. Open a pidfd of each that has (pidfd_open takes zombies) and ask it again, by
//     this. From here on it is a process that is meant, and no number: one that is our
//     child, has exited and had not been reaped.
//  3. Only then read the descriptors. Earlier it could be a child of package os that
//     was started after the reading; and one that has not exited may not have its
//     descriptor yet, as the kernel shows a child some instructions before.
//  4. Reap by the own descriptor, which meets this process or, if somebody else was
//     faster, none.
//
// The thread whose clone made it may not have returned yet in step 3, nor anybody
// have an os.Process. The descriptor is there all the same.
type unowned struct {
	mine     func(pid int) bool // or nil
	children *childList
	open     numberedDir
	list     func() ([]int, error) // the descriptors; what happens just then is up to a test
	owned    map[int]bool          // in one call of reap: children that have exited, and have a descriptor
	held     []held
	looks    int
}

// held is a child that has exited, by a descriptor of our own.
type held struct{ pid, fd int }

// maxHeld is how many are held at a time: enough that the reading of the descriptors
// costs little for each, and few enough not to be missed by a program that has nearly
// as many open as it may.
const maxHeld = 32

// othersEach is which look reads the children of all threads, also where orphans come
// all the time.
const othersEach = 16

func newUnowned(mine func(pid int) bool) (*unowned, error) {
	if !ownProc() {
		return nil, ErrNoProc
	}
	if err := checkPidfds(); err != nil {
		return nil, err
	}
	children, err := openChildList()
	if err != nil {
		return nil, err
	}
	open, err := openNumbered("/proc/self/fd")
	if err != nil {
		children.close()
		return nil, err
	}
	u := &unowned{
		mine: mine, children: children, open: open,
		owned: make(map[int]bool), held: make([]held, 0, maxHeld),
	}
	u.list = u.open.list
	return u, nil
}

func (u *unowned) close() {
	u.children.close()
	u.open.close()
}

// checkPidfds asks package os whether it uses pidfds here: it does if everything
// that is needed for that works (os/pidfd_linux.go, Linux 5.4).
func checkPidfds() error {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	defer self.Release() //nolint:errcheck // it cannot fail
	if err := self.WithHandle(func(uintptr) {}); err != nil {
		return fmt.Errorf("no pidfds, for which Linux 5.4 is needed: %w", err)
	}
	return nil
}

// reap reaps each child that has exited and has no owner, and appends it to exits.
// left reports that others have exited. It may miss one; then left is true. Whether all
// are reaped never depends on what /proc shows: it is the kernel who is asked, first
// and last, whether anybody has exited.
func (u *unowned) reap(exits []Exit) (_ []Exit, left bool, err error) {
	if _, ok := Peek(); !ok {
		return exits, false, nil // as a rule; and /proc is not read
	}
	clear(u.owned)
	u.looks++
	before := len(exits)
	exits, err = u.reapOf(u.children.adopted, exits)
	if err == nil && (len(exits) == before || u.looks%othersEach == 0) {
		exits, err = u.reapOf(u.children.others, exits)
	}
	if lacking(err) {
		err = nil // another time
	}
	_, left = Peek()
	return exits, left, err
}

func (u *unowned) reapOf(list func() ([]int, error), exits []Exit) ([]Exit, error) {
	pids, err := list()
	for err == nil && len(pids) > 0 {
		if pids, err = u.hold(pids); err == nil {
			exits, err = u.decide(exits)
		}
	}
	return exits, err
}

// lacking reports that the machine or the process has too much open, or too little
// memory, for now.
func lacking(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM)
}

// hold opens those of the children that have exited, until there are enough, and
// returns the rest of them.
func (u *unowned) hold(pids []int) (rest []int, err error) {
	for i, pid := range pids {
		if len(u.held) == maxHeld {
			return pids[i:], nil
		}
		if _, exited := isChild(pid); !exited || u.owned[pid] {
			continue
		}
		err := u.grab(pid)
		if lacking(err) && len(u.held) > 0 {
			return pids[i:], nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// grab opens the process that has the number now, and keeps it if it is a child that
// has exited.
func (u *unowned) grab(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT):
		return nil // reaped meanwhile; the number may be a thread's by now
	case err != nil:
		return fmt.Errorf("open child %d: %w", pid, err)
	case exitedByHandle(fd) != pid:
		unix.Close(fd) //nolint:errcheck // nothing was written
		return nil
	}
	u.held = append(u.held, held{pid, fd})
	return nil
}

// decide reaps those held that have no owner, and lets go of all.
func (u *unowned) decide(exits []Exit) ([]Exit, error) {
	defer u.letGo()
	// Twice, as the descriptors are read one after the other: one that is moved from a
	// number that comes later to one that has been read is missed. Package os does that
	// once in the life of a process, if the caller's SysProcAttr has a PidFD: it makes a
	// copy (os/pidfd_linux.go, getPidfd), and the caller may close the original.
	for range 2 {
		if !u.anyUnowned() {
			return exits, nil
		}
		open, err := u.list()
		if err != nil {
			return exits, fmt.Errorf("list descriptors: %w", err)
		}
		u.readOwned(open)
	}
	for _, h := range u.held {
		if u.owned[h.pid] || u.mine != nil && u.mine(h.pid) {
			continue
		}
		if exit, ok := reapByHandle(h.fd); ok {
			exits = append(exits, exit)
		}
	}
	return exits, nil
}

// readOwned asks each descriptor whether it is a pidfd of a child that has exited. The
// kernel tells by one call which costs a fiftieth of reading /proc/self/fdinfo, and has
// nothing to do with files, of which some could take long to answer.
func (u *unowned) readOwned(open []int) {
	for _, fd := range open {
		if u.holds(fd) {
			continue
		}
		if pid := exitedByHandle(fd); pid != 0 {
			u.owned[pid] = true
		}
	}
}

func (u *unowned) holds(fd int) bool {
	return slices.ContainsFunc(u.held, func(h held) bool { return h.fd == fd })
}

func (u *unowned) anyUnowned() bool {
	return slices.ContainsFunc(u.held, func(h held) bool { return !u.owned[h.pid] })
}

func (u *unowned) letGo() {
	for _, h := range u.held {
		unix.Close(h.fd) //nolint:errcheck // nothing was written
	}
	u.held = u.held[:0]
}
