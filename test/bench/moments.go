package main

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// times has the load play a role that tells how long each of many things took, in
// nanoseconds.
func (b *bench) times(p *peer, role ...string) ([]float64, error) {
	s, err := b.start(p, role...)
	if err != nil {
		return nil, err
	}
	defer s.end()
	if err := s.ready(); err != nil {
		return nil, err
	}
	if _, err := settle(s.Pid, afterStorm); err != nil {
		return nil, err
	}
	if err := s.begin(); err != nil {
		return nil, err
	}
	return s.expect("times")
}

func signals(b *bench, p *peer) (figures, error) {
	const gap = time.Millisecond
	target := "parent"
	if p.name == alone {
		target = "self"
	}
	times, err := b.times(p, "signals", strconv.Itoa(b.signals), strconv.Itoa(int(gap.Microseconds())), target)
	if err != nil {
		return nil, err
	}
	return figures{"signal median": median(times) / us, "signal p99": quantile(times, 0.99) / us}, nil
}

func lone(b *bench, p *peer) (figures, error) {
	const gap = 30 * time.Millisecond
	times, err := b.times(p, "lone", strconv.Itoa(b.lone), strconv.Itoa(int(gap.Microseconds())))
	if err != nil {
		return nil, err
	}
	return figures{"lone median": median(times) / us, "lone p90": quantile(times, 0.9) / us}, nil
}

// starts has each init start once, and again, so that the medians are of the same
// moments.
func starts(b *bench, s *scenario, peers []*peer) map[string]figures {
	times := make(map[*peer][]float64)
	for range b.starts {
		for _, p := range peers {
			took, err := b.startOnce(p)
			if b.ctx.Err() != nil {
				return nil
			}
			if err != nil {
				b.miss(s, p, err)
				continue
			}
			times[p] = append(times[p], took)
		}
	}
	got := make(map[string]figures)
	for p, t := range times {
		got[p.name] = figures{"start": median(t) / us}
	}
	overAlone(got)
	return got
}

func (b *bench) startOnce(p *peer) (float64, error) {
	s, err := b.start(p, "mark")
	if err != nil {
		return 0, err
	}
	defer s.end()
	took, err := s.expect("took")
	if err != nil {
		return 0, err
	}
	return took[0], s.wait()
}

// overAlone is the start less that of the command alone.
func overAlone(got map[string]figures) {
	base, ok := got[alone]["start"]
	for name, f := range got {
		if ok && name != alone {
			f["start over"] = f["start"] - base
		}
	}
}

// stop measures reaper twice: by default it gives leftovers a moment to end by themselves.
func stop(b *bench, p *peer) (figures, error) {
	first, err := b.stopOnce(p, "--leaks=ignore")
	if err != nil {
		return nil, err
	}
	second := first
	if p.name == reaper {
		second, err = b.stopOnce(p)
	}
	return figures{"stop": first, "stop default": second}, err
}

// stopOnce is the time from the end of the command to that of the init, in ms.
func (b *bench) stopOnce(p *peer, options ...string) (float64, error) {
	if p.name == reaper {
		with := *p
		with.args = slices.Concat(options, []string{"-q", "--"})
		with.beside = with.args
		p = &with
	}
	s, err := b.start(p, "leave", strconv.Itoa(b.leftovers))
	if err != nil {
		return 0, err
	}
	defer s.end()
	if err := s.ready(); err != nil {
		return 0, err
	}
	if _, err := settle(s.Pid, afterStorm); err != nil {
		return 0, err
	}
	if err := s.begin(); err != nil {
		return 0, err
	}
	if err := s.wait(); err != nil {
		return 0, err
	}
	end := monotonic()
	began, err := s.expect("ended")
	if err != nil {
		return 0, err
	}
	return (end - began[0]) / ms, nil
}

// monotonic is the clock of the load, in nanoseconds.
func monotonic() float64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(fmt.Errorf("read the clock: %w", err)) // there is always one
	}
	return float64(t.Nano())
}
