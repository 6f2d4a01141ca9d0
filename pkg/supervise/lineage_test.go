package supervise

import (
	"fmt"
	"slices"
	"testing"

	"github.com/reaper-init/reaper/pkg/reap"
)

func named(pid int) []string { return []string{fmt.Sprint("command", pid)} }

func proc(pid, ppid int, state byte) reap.Proc {
	return reap.Proc{PID: pid, PPID: ppid, State: state, Name: fmt.Sprint("name", pid), Start: uint64(pid), Threads: 1}
}

// Who started a process is known when those who did have ended.
func TestLineage(t *testing.T) {
	var l lineage
	l.look([]reap.Proc{proc(10, 1, 'S'), proc(11, 10, 'S'), proc(12, 11, 'S')}, named)
	l.look([]reap.Proc{proc(10, 1, 'S'), proc(12, 1, 'S')}, named)
	l.look([]reap.Proc{proc(12, 1, 'S')}, named)
	got := fmt.Sprint(l.of(proc(12, 1, 'S')))
	if want := "[{11 name11 [command11]} {10 name10 [command10]}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := l.of(reap.Proc{PID: 12, Start: 99}); got != nil {
		t.Errorf("another process with the number has %v", got)
	}
}

// One reading may miss a process, as its parent ends meanwhile. Who is missing twice is
// gone.
func TestLineageMissed(t *testing.T) {
	for misses, want := range []int{1, 1, 0} {
		var l lineage
		l.look([]reap.Proc{proc(10, 1, 'S'), proc(11, 10, 'S')}, named)
		for range 3 { // each time it is seen it may be missed once more
			for range misses {
				l.look(nil, named)
			}
			l.look([]reap.Proc{proc(11, 1, 'S')}, named)
		}
		if got := l.of(proc(11, 1, 'S')); len(got) != want {
			t.Errorf("missed %d times: %v", misses, got)
		}
	}
}

// A command line is read again when another program has been executed, and not
// when it cannot have changed.
func TestLineageReadsCommandLines(t *testing.T) {
	var l lineage
	reads := 0
	count := func(pid int) []string { reads++; return named(pid) }
	p := proc(10, 1, 'S')
	for range 3 {
		l.look([]reap.Proc{p}, count)
	}
	p.Name = "another"
	l.look([]reap.Proc{p}, count)
	p.State = 'Z'
	l.look([]reap.Proc{p}, count)
	if reads != 2 || l.args(p) == nil {
		t.Errorf("%d reads, %v", reads, l.args(p))
	}
}

// A process that was seen between its fork and its exec has another command line
// afterwards, and perhaps the same name.
func TestLineageOfCopy(t *testing.T) {
	var l lineage
	parent, child := proc(10, 1, 'S'), proc(11, 10, 'S')
	child.Name = parent.Name
	args := map[int][]string{10: {"sh", "-c", "all"}, 11: {"sh", "-c", "all"}}
	read := func(pid int) []string { return args[pid] }
	for range 2 {
		l.look([]reap.Proc{parent, child}, read)
	}
	args[11] = []string{"sh", "-c", "part"}
	l.look([]reap.Proc{parent, child}, read)
	if got := l.args(child); !slices.Equal(got, args[11]) {
		t.Errorf("its command line is %q", got)
	}
}

// A zombie has not been waited for if its parent has left it for a while, also if
// one more look falls between the end of the parent and the reaping.
func TestLineageUnreaped(t *testing.T) {
	parent, child, zombie := proc(10, 1, 'S'), proc(11, 10, 'S'), proc(11, 10, 'Z')
	for _, test := range []struct {
		name     string
		looks    [][]reap.Proc
		unreaped bool
	}{
		{"never seen", nil, false},
		{"alive", [][]reap.Proc{{parent, child}, {parent, child}}, false},
		{"just ended", [][]reap.Proc{{parent, child}, {parent, zombie}}, false},
		{"left", [][]reap.Proc{{parent, zombie}, {parent, zombie}}, true},
		{"left, and its parent has ended", [][]reap.Proc{{parent, zombie}, {parent, zombie}, {}}, true},
		{"long gone", [][]reap.Proc{{parent, zombie}, {parent, zombie}, {}, {}}, false},
		{"somebody else by now", [][]reap.Proc{{parent, zombie}, {parent, zombie}, {{PID: 11, PPID: 1, Start: 99}}}, false},
	} {
		var l lineage
		for _, procs := range test.looks {
			l.look(procs, named)
		}
		if got := l.unreaped(11) != nil; got != test.unreaped {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// Nothing is kept of those who have left no descendant.
func TestLineageForgets(t *testing.T) {
	var l lineage
	for i := range 10_000 {
		pid := 100 + 2*i
		l.look([]reap.Proc{proc(10, 1, 'S'), proc(pid, 10, 'S'), proc(pid+1, pid, 'Z')}, named)
	}
	if n := len(l.alive) + len(l.spare); n > 6 {
		t.Errorf("%d entries for three processes", n)
	}
}
