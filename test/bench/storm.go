package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	us = 1e3 // in nanoseconds
	ms = 1e6

	// How long an init has used no CPU when it is taken to have done its work.
	afterStorm = 20 * time.Millisecond
	atRest     = 200 * time.Millisecond
)

func storm(b *bench, p *peer) (figures, error) {
	cpu, took, err := b.storm(p, b.orphans, 0)
	return figures{"storm": cpu, "storm pace": took}, err
}

func crowdedStorm(b *bench, p *peer) (figures, error) {
	cpu, took, err := b.storm(p, b.orphans, b.idle)
	return figures{"idle": cpu, "idle pace": took}, err
}

func growth(b *bench, p *peer) (figures, error) {
	f := make(figures)
	most := 0.0
	for i, n := range b.growth {
		cpu, _, err := b.storm(p, n, 0)
		if err != nil {
			return nil, err
		}
		f[growthRow(n)] = cpu
		if i > 0 {
			most = max(most, cpu/f[growthRow(b.growth[0])])
		}
	}
	f["growth"] = most
	return f, nil
}

func growthRow(n int) string { return "growth " + strconv.Itoa(n) }

// storm is the CPU time of the init, and the time that passes, for each of n orphans, in
// µs, while idle others sleep.
func (b *bench) storm(p *peer, n, idle int) (cpu, took float64, err error) {
	s, err := b.start(p, "storm", strconv.Itoa(n), strconv.Itoa(idle), "0")
	if err != nil {
		return 0, 0, err
	}
	defer s.end()
	if err := s.ready(); err != nil {
		return 0, 0, err
	}
	before, err := settle(s.Pid, afterStorm)
	if err != nil {
		return 0, 0, err
	}
	if err := s.begin(); err != nil {
		return 0, 0, err
	}
	passed, err := s.expect("took")
	if err != nil {
		return 0, 0, err
	}
	after, err := settle(s.Pid, afterStorm)
	if err != nil {
		return 0, 0, err
	}
	return float64(after-before) / us / float64(n), passed[0] / us / float64(n), nil
}

func age(b *bench, p *peer) (figures, error) {
	times, err := b.times(p, "storm", strconv.Itoa(b.orphans), "0", "1")
	if err != nil {
		return nil, err
	}
	return figures{"age oldest": slices.Max(times) / ms, "age median": median(times) / ms}, nil
}

func exit(b *bench, p *peer) (figures, error) {
	var times []float64
	for range b.exits {
		took, err := b.exitOnce(p)
		if err := errors.Join(err, b.sweep()); err != nil { // the storm goes on
			return nil, err
		}
		times = append(times, took)
	}
	return figures{"exit worst": slices.Max(times) / ms, "exit median": median(times) / ms}, nil
}

// exitOnce is the time from the end of the command to when it has been reaped. That is
// seen from outside, as some inits then end, and all that is in their pid namespace.
func (b *bench) exitOnce(p *peer) (float64, error) {
	const orphans = 300 // before the command ends
	s, err := b.start(p, "exit", strconv.Itoa(orphans))
	if err != nil {
		return 0, err
	}
	defer s.end()
	if err := s.ready(); err != nil {
		return 0, err
	}
	command, err := onlyChild(s.Pid)
	if err != nil {
		return 0, s.fail(err)
	}
	handle, err := unix.PidfdOpen(command, 0)
	if err != nil {
		return 0, fmt.Errorf("open the command: %w", err)
	}
	defer unix.Close(handle)
	if err := s.begin(); err != nil {
		return 0, err
	}
	gone, err := untilGone(command, handle)
	if err != nil {
		return 0, s.fail(err)
	}
	began, err := s.expect("ending")
	if err != nil {
		return 0, err
	}
	return gone - began[0], nil
}

// untilGone waits until a process has been reaped, and is the time then. From Linux 6.9 on
// the poll ends in that moment; before that it is looked each millisecond.
func untilGone(pid, handle int) (float64, error) {
	fds := []unix.PollFd{{Fd: int32(handle)}}
	for deadline := time.Now().Add(patience); unix.Kill(pid, 0) != unix.ESRCH; {
		_, _ = unix.Poll(fds, 1) // it is looked again, whatever it says
		if time.Now().After(deadline) {
			return 0, errors.New("the command is not reaped")
		}
	}
	return monotonic(), nil
}
