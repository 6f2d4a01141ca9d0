package main

import (
	"slices"
)

// scenario is one thing that is measured.
type scenario struct {
	name  string
	about string
	once  bool                                                // in the first round only
	takes func(p *peer, at place) bool                        // whether it can be played with an init
	round func(*bench, *scenario, []*peer) map[string]figures // with all of them; oneByOne if it is nil
	play  func(*bench, *peer) (figures, error)                // with one
	rows  func(*options) []row
}

// scenarios are all of them, in the order of the tables.
func scenarios() []*scenario {
	all := []*scenario{
		{name: "storm", about: "CPU per orphan, when they come one after another", takes: adopts, play: storm, rows: stormRows},
		{name: "idle", about: "CPU per orphan, with many children that sleep", takes: adopts, play: crowdedStorm, rows: idleRows},
		{name: "growth", about: "CPU per orphan, in storms of several sizes", takes: few, play: growth, rows: growthRows},
		{name: "age", about: "how old a zombie gets in a storm", takes: adopts, play: age, rows: ageRows},
		{name: "exit", about: "how long the command's own end takes to be seen in a storm", takes: reapsCommand, play: exit, rows: exitRows},
		{name: "signal", about: "how long a signal takes to the command", takes: runsCommand, play: signals, rows: signalRows},
		{name: "lone", about: "how long a single orphan stays a zombie", takes: adopts, play: lone, rows: loneRows},
		{name: "start", about: "how long it takes until the command runs", takes: runsCommand, round: starts, rows: startRows},
		{name: "memory", about: "memory at rest", takes: isInit, play: memory, rows: memoryRows},
		{name: "size", about: "size of the program", once: true, takes: isInit, play: size, rows: sizeRows},
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

func isInit(p *peer, _ place) bool        { return !p.bare }
func adopts(p *peer, at place) bool       { return !p.bare && (at.pid1 || p.adopts) }
func stops(p *peer, _ place) bool         { return p.stops }
func runsCommand(p *peer, _ place) bool   { return p.name == alone || !p.bare && !p.services }
func reapsCommand(p *peer, at place) bool { return adopts(p, at) && !p.services }
func few(p *peer, _ place) bool           { return slices.Contains([]string{reaper, tini, minimal}, p.name) }
