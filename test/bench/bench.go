package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
)

// bench is one run. One goroutine does it all.
type bench struct {
	*options
	ctx    context.Context //nolint:containedctx // a bench is a call that has many parts
	began  time.Time
	dir    string // for all that is built and written
	load   string // the program that the inits run
	at     place
	peers  []*peer
	before map[int]uint64 // what was below this process at the start, by pid: when it had started
	values values
	notes  []string // what could not be measured
	failed error    // what could not be measured of reaper
}

// newBench finds and builds what is measured.
func newBench(ctx context.Context, o *options) (*bench, error) {
	b := &bench{options: o, ctx: ctx, began: time.Now(), before: make(map[int]uint64), values: make(values)}
	before, err := b.left()
	if err != nil {
		return nil, err
	}
	for _, p := range before {
		b.before[p.PID] = p.Start
	}
	if err := reap.BecomeSubreaper(); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "reaper-bench-"); err != nil {
		return nil, err
	}
	err = os.Chmod(b.dir, 0o755) // in a user namespace another may look
	if err == nil {
		err = b.prepare()
	}
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// close leaves nothing behind.
func (b *bench) close() error {
	return errors.Join(b.sweep(), os.RemoveAll(b.dir))
}

// play measures everything. A round has each scenario once and in it each init once,
// so that what the machine does besides meets all.
func (b *bench) play() error {
	for round := range b.rounds {
		for _, s := range b.chosen() {
			if s.once && round > 0 {
				continue
			}
			fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, b.rounds, s.name)
			got := s.round(b, s, rotated(b.takers(s), round))
			if err := b.ctx.Err(); err != nil {
				return err
			}
			b.values.add(round, got)
			if err := b.sweep(); err != nil {
				return err
			}
		}
	}
	return nil
}

// chosen are the scenarios of this run.
func (b *bench) chosen() []*scenario {
	return slices.DeleteFunc(scenarios(), func(s *scenario) bool {
		return len(b.scenarios) > 0 && !slices.Contains(b.scenarios, s.name)
	})
}

// takers are the inits with which a scenario can be played.
func (b *bench) takers(s *scenario) []*peer {
	return slices.DeleteFunc(slices.Clone(b.peers), func(p *peer) bool {
		return p.missing != "" || !s.takes(p, b.at)
	})
}

// rotated begins the list with another element each round, so that no init always comes
// after the same one.
func rotated(peers []*peer, round int) []*peer {
	if len(peers) == 0 {
		return nil
	}
	first := round % len(peers)
	return slices.Concat(peers[first:], peers[:first])
}

// figures is what was measured of one init, by the names of the rows.
type figures map[string]float64

// oneByOne plays a scenario with each init in its turn.
func oneByOne(b *bench, s *scenario, peers []*peer) map[string]figures {
	got := make(map[string]figures)
	for _, p := range peers {
		if b.ctx.Err() != nil {
			return nil
		}
		f, err := s.play(b, p)
		if err := errors.Join(err, b.sweep()); err != nil {
			b.miss(s, p, err)
			continue
		}
		got[p.name] = f
	}
	return got
}

// miss notes what could not be measured.
func (b *bench) miss(s *scenario, p *peer, err error) {
	if b.ctx.Err() != nil {
		return // what else fails is no news
	}
	err = fmt.Errorf("%s: %w", s.name, err)
	fmt.Fprintln(os.Stderr, "bench:", err)
	if !slices.Contains(b.notes, err.Error()) {
		b.notes = append(b.notes, err.Error())
	}
	if p.name == reaper {
		b.failed = errors.Join(b.failed, err)
	}
}
