package main

import (
	"fmt"
	"strconv"
)

// row is one line of the tables.
type row struct {
	key    string // of the figures
	what   string
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
		{"storm", fmt.Sprintf("CPU of the init per orphan, storm of %d", o.orphans), "µs", tini, &target{factor: 0.8}},
		{"storm pace", "that storm: time that passed per orphan", "µs", tini, nil},
	}
}

func idleRows(o *options) []row {
	return []row{
		{"idle", fmt.Sprintf("CPU per orphan, with %d idle children present", o.idle), "µs", tini, &target{factor: 0.8}},
		{"idle pace", "that storm: time that passed per orphan", "µs", tini, nil},
	}
}

func growthRows(o *options) []row {
	var rows []row
	for _, n := range o.growth {
		rows = append(rows, row{growthRow(n), fmt.Sprintf("CPU per orphan, storm of %d", n), "µs", tini, nil})
	}
	if len(o.growth) > 1 {
		what := fmt.Sprintf("the most of these, where the storm of %d is 1", o.growth[0])
		rows = append(rows, row{"growth", what, "", tini, &target{limit: 1.2}})
	}
	return rows
}

func ageRows(o *options) []row {
	return []row{
		{"age oldest", fmt.Sprintf("oldest zombie in a storm of %d", o.orphans), "ms", tini, &target{limit: 20, under: true}},
		{"age median", "its median zombie", "ms", tini, nil},
	}
}

func signalRows(*options) []row {
	return []row{
		{"signal median", "signal to the command's handler, median", "µs", tini, &target{factor: 2}},
		{"signal p99", "the same, 99th percentile", "µs", tini, &target{factor: 2}},
	}
}

func loneRows(*options) []row {
	return []row{
		{"lone median", "lone orphan, death to reaped, median", "µs", tini, &target{limit: 1000, under: true}},
		{"lone worst", "the same, the slowest of a round", "µs", tini, nil},
	}
}

func startRows(*options) []row {
	return []row{
		{"start", "exec of the init to main of the command", "µs", tini, nil},
		{"start over", "the same, less the command alone", "µs", minimal, &target{factor: 1.25}},
	}
}

func memoryRows(*options) []row {
	return []row{
		{"memory anonymous", "memory at rest, anonymous", "KiB", minimal, &target{factor: 1.25}},
		{"memory rss", "memory at rest, resident", "KiB", minimal, &target{factor: 1.25}},
		{"memory pss", "memory at rest, what is shared only in part", "KiB", minimal, nil},
	}
}

func sizeRows(*options) []row {
	return []row{{"size", "size of the program, stripped", "MB", minimal, &target{limit: 5}}}
}

func restRows(o *options) []row {
	return []row{{"rest", fmt.Sprintf("wake-ups in %v of idleness", o.rest), "", tini, &target{limit: 0}}}
}

func stopRows(o *options) []row {
	what := fmt.Sprintf("stop of %d leftovers that obey TERM", o.leftovers)
	return []row{
		{"stop", what + ", --leaks=ignore", "ms", cLoop, &target{factor: 1.5}},
		{"stop default", what + ", by default", "ms", cLoop, &target{factor: 1.5}},
	}
}
