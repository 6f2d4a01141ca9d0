package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	o, err := parse(nil)
	if err != nil || o.orphans != 10000 || o.rounds != 5 || o.rest != time.Minute || !slices.Equal(o.growth, []int{1000, 10000, 30000}) {
		t.Errorf("by default %+v, %v", o, err)
	}
	o, err = parse([]string{"-quick", "-idle", "7", "-growth", "1,2", "-scenarios", "storm,rest", "-inits", "tini"})
	if err != nil || o.orphans != 2000 || o.idle != 7 || o.rest != 10*time.Second ||
		!slices.Equal(o.growth, []int{1, 2}) || !slices.Equal(o.scenarios, []string{"storm", "rest"}) || !slices.Equal(o.inits, []string{tini}) {
		t.Errorf("quick: %+v, %v", o, err)
	}
	for args, want := range map[string]string{
		"-scenarios=strom": "no such name",
		"-inits=no init":   "no such name",
		"-place=nowhere":   "-place",
		"-growth=1,x":      "-growth",
		"-growth=0":        "-growth",
		"-orphans=0":       "-orphans",
		"-rest=1ms":        "-rest",
		"-nothing":         "-nothing",
		"operand":          "operand",
	} {
		if _, err := parse([]string{args}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
	if _, err := parse([]string{"-help"}); !errors.Is(err, errHelp) {
		t.Errorf("-help: %v", err)
	}
}

// Every option and scenario is in the help, and the help fits the screen.
func TestUsage(t *testing.T) {
	text := usage()
	for _, word := range append(scenarioNames(), peerNames()...) {
		if !strings.Contains(text, word) {
			t.Errorf("%s is not in the help", word)
		}
	}
	for line := range strings.Lines(text) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 90 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// Each scenario can be played with reaper, wherever it is, and has rows whose base takes
// part in it.
func TestScenarios(t *testing.T) {
	o := &options{growth: []int{1, 2}}
	seen := make(map[string]bool)
	for _, s := range scenarios() {
		for _, at := range []place{{}, {pid1: true}} {
			if !s.takes(peerNamed(reaper), at) {
				t.Errorf("%s does not take reaper as %v", s.name, at)
			}
		}
		for _, row := range s.rows(o) {
			name := row.key + " to " + row.base
			if seen[name] || (row.what == "") != (row.target == nil) {
				t.Errorf("%s: %s is there twice, or is not told in full", s.name, name)
			}
			seen[name] = true
			if base := peerNamed(row.base); base == nil || !s.takes(base, place{}) {
				t.Errorf("%s: %s is compared with %q, which takes no part", s.name, row.key, row.base)
			}
		}
	}
}

func peerNamed(name string) *peer {
	for _, p := range peers() {
		if p.name == name {
			return p
		}
	}
	return nil
}
