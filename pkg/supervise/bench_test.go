package supervise

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/reaper-init/reaper/pkg/reap"
)

// orphanage is a kernel on which the same orphans exit again for each drain.
type orphanage struct {
	Kernel  // nothing else is called
	orphans []reap.Exit
}

func (o *orphanage) Drain(exits []reap.Exit, _ int) ([]reap.Exit, bool, error) {
	return append(exits, o.orphans...), true, nil
}

func (o *orphanage) JobChange(int) (reap.JobState, syscall.Signal) { return reap.JobUnchanged, 0 }

// settled is a loop whose command runs and that settles n orphans each time.
// told counts the events.
func settled(n int, told *int) *loop {
	o := &orphanage{}
	for i := range n {
		o.orphans = append(o.orphans, orphan(1000+i))
	}
	s := &Supervisor{Kernel: o, OnEvent: func(Event) { *told++ }}
	l := &loop{Supervisor: s, m: machineIn(up, &s.Config)}
	l.settle() // the first makes room for the exits
	return l
}

// Reaping allocates nothing, however many orphans come: there is no garbage to
// collect in an init that does nothing else for weeks.
func TestSettleAllocatesNothing(t *testing.T) {
	for _, n := range []int{0, 1, 1000} {
		told := 0
		l := settled(n, &told)
		if got := testing.AllocsPerRun(100, l.settle); got != 0 {
			t.Errorf("%v allocations for %d orphans", got, n)
		}
		if want := n * 102; told != want || l.m.result.Orphans != want { // AllocsPerRun runs once more
			t.Errorf("told %d, counted %d orphans, want %d", told, l.m.result.Orphans, want)
		}
	}
}

func BenchmarkSettle(b *testing.B) {
	for _, n := range []int{0, 1, 1000} {
		b.Run(fmt.Sprintf("orphans=%d", n), func(b *testing.B) {
			told := 0
			l := settled(n, &told)
			b.ReportAllocs()
			for b.Loop() {
				l.settle()
			}
			if n > 0 {
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/orphan")
			}
		})
	}
}
