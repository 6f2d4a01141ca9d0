package reap

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// freezeRounds is how often [KillDescendants] looks for newcomers. A thread that
// has been sent SIGSTOP forks no more (copy_process in kernel/fork.c looks for
// signals), so two are mostly enough. But it is one thread that is sent it, and
// the others learn of it when that one stops.
const freezeRounds = 16

// KillDescendants kills every process below the calling one, and returns whom
// it has killed. None is reaped: a zombie keeps its number, so that no kill
// can meet somebody else. What was missed, because its parent died meanwhile, has
// become a child of the caller. So kill and [Drain], until Drain says that there
// are no more.
//
// All are stopped before the first is killed, so that nobody can replace those
// who die; and children are killed before their parents, as the kernel continues
// a stopped process group that is orphaned (kill_orphaned_pgrp in kernel/exit.c).
// PID 1 kills all processes of its pid namespace in one stroke that no
// fork can escape (kill(2) with -1 holds tasklist_lock), those that have joined
// the namespace too.
//
// Without /proc it is known that are killed, as a rule the children that
// [ChildPIDs] has found. The error is the first that a kill has met, as a rule EPERM
// for a process that has changed its user; the others have been killed all the same.
//
// Only the goroutine that owns the process table may call it.
func KillDescendants(known []Proc) (killed []Proc, err error) {
	if os.Getpid() == 1 {
		return killEverybody(known)
	}
	procs, err := freeze()
	if err != nil {
		procs = known
	}
	err = nil
	for _, p := range slices.Backward(procs) {
		sent, kerr := SignalDescendant(p, unix.SIGKILL)
		if sent && !reallyZombie(p) {
			killed = append(killed, p)
		}
		if err == nil {
			err = kerr
		}
	}
	slices.Reverse(killed)
	return killed, err
}

func killEverybody(known []Proc) (killed []Proc, err error) {
	procs, err := Descendants()
	if err != nil {
		procs = known
	}
	if err := unix.Kill(-1, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return nil, err
	}
	for _, p := range procs {
		if !reallyZombie(p) {
			killed = append(killed, p)
		}
	}
	return killed, nil
}

// reallyZombie tells a zombie from a process whose first thread alone has ended.
func reallyZombie(p Proc) bool { return p.Zombie() && p.Threads <= 1 }

// freeze stops all descendants, until no new one appears.
func freeze() ([]Proc, error) {
	type name struct {
		pid   int
		start uint64
	}
	stopped := make(map[name]bool) // whether it was sent
	for range freezeRounds {
		procs, err := Descendants()
		if err != nil {
			return nil, err
		}
		settled := true
		for _, p := range procs {
			key := name{p.PID, p.Start}
			sent, known := stopped[key]
			if !known {
				sent, _ = SignalDescendant(p, syscall.SIGSTOP) // the kill that follows tells what is wrong
				stopped[key] = sent
			}
			if !known || sent && p.Threads > 1 && !strings.ContainsRune("TtZ", rune(p.State)) {
				settled = false
			}
		}
		if settled {
			return procs, nil
		}
	}
	return Descendants()
}
