package main

import (
	"fmt"
	"strconv"
	"strings"
)

// row is one figure: a line in the table of what is to be reached, a column in the one of
// its scenario.
type row struct {
	key    string // of the figures
	head   string // of its column; none: the figure stands in the one before
	what   string // the same in full, where there is a target
	unit   string
	base   string // whose figure is 1
	target *target
}

// target is what reaper has to reach: at most factor times the figure of base, or a limit.
type target struct {
	factor float64
	limit  float64
	under  bool // the limit, and not at most it
}

func (r row) targetWords() string {
	switch t := r.target; {
	case t == nil:
		return ""
	case t.factor > 0:
		return fmt.Sprintf("at most %s of %s", strconv.FormatFloat(t.factor, 'g', -1, 64), r.base)
	case t.under:
		return "under " + withUnit(t.limit, r.unit)
	default:
		return "at most " + withUnit(t.limit, r.unit)
	}
}

// met tells whether the target is reached; known is false if it cannot be told.
func (r row) met(value, ratio *spread) (met, known bool) {
	switch t := r.target; {
	case t == nil:
		return false, false
	case t.factor > 0:
		return ratio != nil && ratio.Median <= t.factor, ratio != nil
	case t.under:
		return value != nil && value.Median < t.limit, value != nil
	default:
		return value != nil && value.Median <= t.limit, value != nil
	}
}

func stormRows(o *options) []row {
	return []row{
		{
			key: "storm", head: "CPU per orphan", unit: "µs", base: tini, target: &target{factor: 0.8},
			what: fmt.Sprintf("CPU of the init per orphan, storm of %d", o.orphans),
		},
		{key: "storm pace", head: "time per orphan", unit: "µs", base: tini},
	}
}

func idleRows(o *options) []row {
	return []row{
		{
			key: "idle", head: "CPU per orphan", unit: "µs", base: tini, target: &target{factor: 0.8},
			what: fmt.Sprintf("CPU of the init per orphan, storm of %d, with %d idle children present", o.orphans, o.idle),
		},
		{key: "idle pace", head: "time per orphan", unit: "µs", base: tini},
	}
}

func growthRows(o *options) []row {
	var rows []row
	for _, n := range o.growth {
		rows = append(rows, row{key: growthRow(n), head: fmt.Sprintf("%d orphans", n), unit: "µs", base: tini})
	}
	if len(o.growth) < 2 {
		return rows
	}
	return append(rows, row{
		key: "growth", head: fmt.Sprintf("most, %d is 1", o.growth[0]), base: tini, target: &target{limit: 1.2},
		what: fmt.Sprintf("growth: the most CPU per orphan of %s, where that of %d is 1", words(o.growth[1:]), o.growth[0]),
	})
}

// words lists numbers as one writes them.
func words(numbers []int) string {
	text := strings.Trim(fmt.Sprint(numbers), "[]")
	return strings.ReplaceAll(text, " ", " and ")
}

func ageRows(o *options) []row {
	return []row{
		{
			key: "age oldest", head: "oldest", unit: "ms", base: tini, target: &target{limit: 20, under: true},
			what: fmt.Sprintf("oldest zombie in a storm of %d", o.orphans),
		},
		{key: "age median", head: "median", unit: "ms", base: tini},
	}
}

func exitRows(o *options) []row {
	return []row{
		{
			key: "exit worst", head: "slowest of a round", unit: "ms", base: tini, target: &target{limit: 5},
			what: fmt.Sprintf("the command's own exit in a storm, to reaped, slowest of %d", o.exits),
		},
		{key: "exit median", head: "median", unit: "ms", base: tini},
	}
}

func signalRows(*options) []row {
	return []row{
		{
			key: "signal median", head: "median", unit: "µs", base: tini, target: &target{factor: 2},
			what: "signal from outside to the command's handler, median",
		},
		{
			key: "signal p99", head: "99th percentile", unit: "µs", base: tini, target: &target{factor: 2},
			what: "signal from outside to the command's handler, 99th percentile",
		},
	}
}

func loneRows(*options) []row {
	return []row{
		{
			key: "lone median", head: "median", unit: "µs", base: tini, target: &target{limit: 1000, under: true},
			what: "lone orphan, death to reaped, median",
		},
		{key: "lone p90", head: "90th percentile", unit: "µs", base: tini},
	}
}

func startRows(*options) []row {
	return []row{
		{
			key: "start over", head: "less the command alone", unit: "µs", base: minimal, target: &target{factor: 1.25},
			what: "start: exec of the init to main of the command, less the command alone",
		},
		{key: "start over", unit: "µs", base: tini},
		{key: "start", head: "all of it", unit: "µs", base: tini},
	}
}

func memoryRows(*options) []row {
	return []row{
		{
			key: "memory anonymous", head: "anonymous", unit: "KiB", base: minimal, target: &target{factor: 1.25},
			what: "memory at rest, anonymous",
		},
		{
			key: "memory rss", head: "resident (RSS)", unit: "KiB", base: minimal, target: &target{factor: 1.25},
			what: "memory at rest, resident",
		},
		{key: "memory pss", head: "its share (PSS)", unit: "KiB", base: minimal},
	}
}

func sizeRows(*options) []row {
	return []row{{
		key: "size", head: "file", unit: "MB", base: minimal, target: &target{limit: 5},
		what: "size of the program, stripped",
	}}
}

func restRows(o *options) []row {
	return []row{{
		key: "rest", head: "wake-ups", base: tini, target: &target{},
		what: fmt.Sprintf("wake-ups in %v of idleness", o.rest),
	}}
}

func stopRows(o *options) []row {
	what := fmt.Sprintf("stop of %d leftovers that obey TERM", o.leftovers)
	return []row{
		{
			key: "stop", head: "--leaks=ignore", unit: "ms", base: cLoop, target: &target{factor: 1.5},
			what: what + ", --leaks=ignore",
		},
		{
			key: "stop default", head: "by default", unit: "ms", base: cLoop, target: &target{factor: 1.5},
			what: what + ", by default (which gives them 100 ms to end by themselves)",
		},
	}
}
