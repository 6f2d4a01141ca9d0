package main

import (
	"os"
	"time"
)

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
