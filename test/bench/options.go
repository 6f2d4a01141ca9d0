package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options is what can be chosen on the command line.
type options struct {
	reaper    string
	scenarios []string // none: all
	inits     []string // none: all
	place     string
	rounds    int
	setup     bool
	quick     bool
	json      string
	update    string

	orphans   int
	idle      int
	growth    []int
	signals   int
	lone      int
	exits     int
	starts    int
	leftovers int
	rest      time.Duration
}

var errHelp = errors.New("help is wanted")

func usage() string {
	var text strings.Builder
	text.WriteString(`usage: bench [OPTION...]

Measures reaper and other inits side by side, and prints the tables as Markdown.

Which:
  -scenarios LIST   of those below, with commas between (default: all)
  -inits LIST       reaper is always among them (default: all)
                    ` + strings.Join(peerNames(), ", ") + `
  -reaper FILE      the reaper to measure (default: bin/reaper)
  -place WHERE      pid1: as PID 1 of a new pid namespace; subreaper: beside others;
                    auto (default): pid1 where the machine can
  -setup            as root, install the inits that are missing, with apt-get

How much:
  -rounds N         each init once in each round (default: 5)
  -orphans N        of a storm (default: 10000)
  -idle N           children that sleep meanwhile (default: 10000)
  -growth LIST      sizes of storms (default: 1000,10000,30000)
  -signals N        a round (default: 2000)
  -lone N           orphans a round that die one at a time (default: 50)
  -exits N          of the command in a storm, a round (default: 10)
  -starts N         a round (default: 50)
  -leftovers N      to be stopped (default: 1000)
  -rest D           how long idleness is watched (default: 60s)
  -quick            other defaults: 3 rounds, about a fifth of the sizes, 10 s of rest

What is written:
  -json FILE        all figures, each round's too
  -update FILE      puts the tables into a document, between its marks

Scenarios:
`)
	for _, s := range scenarios() {
		fmt.Fprintf(&text, "  %-17s %s\n", s.name, s.about)
	}
	return text.String()
}

// parse reads the command line.
func parse(args []string) (*options, error) {
	o := &options{}
	var chosen, inits, growth string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.reaper, "reaper", "bin/reaper", "")
	f.StringVar(&chosen, "scenarios", "", "")
	f.StringVar(&inits, "inits", "", "")
	f.StringVar(&o.place, "place", "auto", "")
	f.BoolVar(&o.setup, "setup", false, "")
	f.BoolVar(&o.quick, "quick", false, "")
	f.StringVar(&o.json, "json", "", "")
	f.StringVar(&o.update, "update", "", "")
	f.StringVar(&growth, "growth", "", "")
	f.DurationVar(&o.rest, "rest", 0, "")
	sizes := []struct {
		to          *int
		name        string
		full, quick int
	}{
		{&o.rounds, "rounds", 5, 3},
		{&o.orphans, "orphans", 10000, 2000},
		{&o.idle, "idle", 10000, 2000},
		{&o.signals, "signals", 2000, 400},
		{&o.lone, "lone", 50, 20},
		{&o.exits, "exits", 10, 5},
		{&o.starts, "starts", 50, 20},
		{&o.leftovers, "leftovers", 1000, 1000},
	}
	for _, s := range sizes {
		f.IntVar(s.to, s.name, 0, "")
	}
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil, errHelp
	case err != nil:
		return nil, err
	case f.NArg() > 0:
		return nil, fmt.Errorf("no operand is taken: %q", f.Arg(0))
	}
	given := make(map[string]bool)
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, s := range sizes {
		switch {
		case given[s.name] && *s.to < 1:
			return nil, fmt.Errorf("-%s: at least 1, not %d", s.name, *s.to)
		case !given[s.name] && o.quick:
			*s.to = s.quick
		case !given[s.name]:
			*s.to = s.full
		}
	}
	if growth == "" {
		growth = "1000,10000,30000"
		if o.quick {
			growth = "500,2000,5000"
		}
	}
	if !given["rest"] {
		o.rest = 60 * time.Second
		if o.quick {
			o.rest = 10 * time.Second
		}
	}
	return o, errors.Join(o.choose(chosen, inits), o.grow(growth), o.check())
}

// choose reads the lists of names.
func (o *options) choose(chosen, inits string) error {
	var err error
	o.scenarios, err = names("-scenarios", chosen, scenarioNames())
	if err != nil {
		return err
	}
	o.inits, err = names("-inits", inits, peerNames())
	return err
}

// names splits a list of names, each of which has to be known.
func names(option, list string, known []string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	chosen := strings.Split(list, ",")
	for _, name := range chosen {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%s: no such name: %q; there are %s", option, name, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}

func (o *options) grow(list string) error {
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-growth: not a number of orphans: %q", text)
		}
		o.growth = append(o.growth, n)
	}
	return nil
}

func (o *options) check() error {
	if !slices.Contains([]string{"auto", "pid1", "subreaper"}, o.place) {
		return fmt.Errorf("-place: pid1, subreaper or auto, not %q", o.place)
	}
	if o.rest < time.Second {
		return fmt.Errorf("-rest: at least 1s, not %v", o.rest)
	}
	return nil
}
