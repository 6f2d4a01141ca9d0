package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// scenario is one thing that is measured.
type scenario struct {
	name   string
	about  string
	once   bool                         // in the first round only
	takes  func(p *peer, at place) bool // whether it can be played with an init
	round  func(*bench, *scenario, []*peer) map[string]figures
	play   func(*bench, *peer) (figures, error) // with one init
	derive func(got map[string]figures)         // what follows from a whole round
	rows   func(*options) []row
}

// scenarios are all of them, in the order of the tables.
func scenarios() []*scenario {
	all := []*scenario{
		{name: "storm", about: "CPU per orphan, when they come one after another", takes: adopts, play: storm, rows: stormRows},
		{name: "idle", about: "the same, with many children that sleep", takes: adopts, play: crowdedStorm, rows: idleRows},
		{name: "growth", about: "the same, with storms of several sizes", takes: few, play: growth, rows: growthRows},
		{name: "age", about: "how old a zombie gets in a storm", takes: adopts, play: age, rows: ageRows},
		{name: "signal", about: "how long a signal takes to the command", takes: runsCommand, play: signals, rows: signalRows},
		{name: "lone", about: "how long a single orphan stays a zombie", takes: adopts, play: lone, rows: loneRows},
		{name: "start", about: "how long it takes until the command runs", takes: runsCommand, round: starts, derive: overAlone, rows: startRows},
		{name: "memory", about: "at rest", takes: isInit, play: memory, rows: memoryRows},
		{name: "size", about: "of the program", once: true, takes: isInit, play: size, rows: sizeRows},
		{name: "rest", about: "wake-ups while nothing happens", once: true, takes: isInit, round: rest, rows: restRows},
		{name: "stop", about: "how long it takes to stop what the command has left", takes: stops, play: stop, rows: stopRows},
	}
	for _, s := range all {
		if s.round == nil {
			s.round = oneByOne
		}
	}
	return all
}

func scenarioNames() []string {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	return names
}

// Which inits a scenario takes.
func isInit(p *peer, _ place) bool      { return !p.bare }
func adopts(p *peer, at place) bool     { return !p.bare && (at.pid1 || p.adopts) }
func stops(p *peer, _ place) bool       { return p.stops }
func runsCommand(p *peer, _ place) bool { return p.name == alone || !p.bare && !p.services }
func few(p *peer, _ place) bool         { return slices.Contains([]string{reaper, tini, minimal}, p.name) }

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

func age(b *bench, p *peer) (figures, error) {
	times, err := b.times(p, "storm", strconv.Itoa(b.orphans), "0", "1")
	if err != nil {
		return nil, err
	}
	return figures{"age oldest": slices.Max(times) / ms, "age median": median(times) / ms}, nil
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
	return figures{"lone median": median(times) / us, "lone worst": slices.Max(times) / us}, nil
}

// starts has each init start once, and again, so that the medians are of the same
// moments.
func starts(b *bench, s *scenario, peers []*peer) map[string]figures {
	times := make(map[*peer][]float64)
	for range b.starts {
		for _, p := range peers {
			if p == nil {
				continue
			}
			took, err := b.startOnce(p)
			switch {
			case b.ctx.Err() != nil:
				return nil
			case err != nil:
				b.miss(s, p, err)
				peers[slices.Index(peers, p)] = nil
			}
			times[p] = append(times[p], took)
		}
	}
	got := make(map[string]figures)
	for _, p := range peers {
		if p != nil {
			got[p.name] = figures{"start": median(times[p]) / us}
		}
	}
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

func memory(b *bench, p *peer) (figures, error) {
	s, err := b.start(p, "rest")
	if err != nil {
		return nil, err
	}
	defer s.end()
	if err := s.ready(); err != nil {
		return nil, err
	}
	if _, err := settle(s.Pid, atRest); err != nil {
		return nil, err
	}
	return readMemory(s.Pid)
}

func size(_ *bench, p *peer) (figures, error) {
	file, err := os.Stat(p.program)
	if err != nil {
		return nil, err
	}
	return figures{"size": float64(file.Size()) / 1e6}, nil
}

// rest watches all inits at the same time.
func rest(b *bench, s *scenario, peers []*peer) map[string]figures {
	got := make(map[string]figures)
	before := make(map[*session]uint64)
	for _, p := range peers {
		session, n, err := b.startRest(p)
		if err != nil {
			b.miss(s, p, err)
			continue
		}
		defer session.end()
		before[session] = n
	}
	select {
	case <-time.After(b.rest):
	case <-b.ctx.Done():
		return nil
	}
	for session, n := range before {
		after, err := switches(session.Pid)
		if err != nil {
			b.miss(s, session.peer, err)
			continue
		}
		got[session.peer.name] = figures{"rest": float64(after - n)}
	}
	return got
}

// startRest starts an init, lets it come to rest, and counts its wake-ups until then.
func (b *bench) startRest(p *peer) (*session, uint64, error) {
	s, err := b.start(p, "rest")
	if err != nil {
		return nil, 0, err
	}
	err = s.ready()
	if err == nil {
		_, err = settle(s.Pid, atRest)
	}
	n := uint64(0)
	if err == nil {
		n, err = switches(s.Pid)
	}
	if err != nil {
		s.end()
		return nil, 0, err
	}
	return s, n, nil
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
