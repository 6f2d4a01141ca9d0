package reap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stormReaper reaps a storm, as the first argument says, and tells what CPU time that
// took in all its threads, in ns for each orphan: "beside" by Orphans, "alone" by the
// loop that may wait for everybody, which is turned on and off in the same way.
var stormReaper = newRole("storm-reaper", func(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	if err := BecomeSubreaper(); err != nil {
		return err
	}
	begin := cpuTime()
	storm := exec.Command("sh", "-c", fmt.Sprintf("i=0; while [ $i -lt %d ]; do ( : & ); i=$((i+1)); done", n))
	if err := storm.Start(); err != nil {
		return err
	}
	left := n
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	onExit := func(exit Exit) {
		if left--; exit.PID == storm.Process.Pid {
			left++
		}
		if left == 0 {
			cancel()
		}
	}
	if args[0] == "beside" {
		err = errors.Join(Orphans(ctx, OrphanOptions{OnExit: onExit}), storm.Wait())
	} else {
		chld := make(chan os.Signal, 1)
		loop := orphanLoop{
			reap: Drain, onExit: onExit, chld: chld,
			notify: func() { signal.Notify(chld, unix.SIGCHLD) }, stop: func() { signal.Stop(chld) },
		}
		err = loop.run(ctx)
	}
	fmt.Print((cpuTime() - begin).Nanoseconds() / int64(n))
	return err
})

// cpuTime is what all threads of the process have used.
func cpuTime() time.Duration {
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// orphanCost measures both, several times in turn, as times wander on a machine that
// does other things; the lowest are compared.
func orphanCost(tb testing.TB, rounds, orphans int) (alone, beside time.Duration) {
	tb.Helper()
	var all [2][]int
	for range rounds {
		for i, way := range []string{"alone", "beside"} {
			out := stormReaper.run(tb, way, strconv.Itoa(orphans))
			ns, err := strconv.Atoi(string(bytes.TrimSpace([]byte(out))))
			if err != nil {
				tb.Fatal(err)
			}
			all[i] = append(all[i], ns)
		}
	}
	return time.Duration(slices.Min(all[0])), time.Duration(slices.Min(all[1]))
}

// What it costs to leave children to others: less than as much again. The limit is
// twice that, so that it holds on any machine.
func TestOrphansCost(t *testing.T) {
	alone, beside := orphanCost(t, 3, 2000)
	t.Logf("CPU time for an orphan: %v, with wait4(-1) %v", beside, alone)
	if beside > 4*alone {
		t.Errorf("an orphan costs %v, with wait4(-1) it is %v", beside, alone)
	}
}

func BenchmarkOrphans(b *testing.B) {
	var alone, beside time.Duration
	for b.Loop() {
		alone, beside = orphanCost(b, 5, 10_000)
	}
	b.ReportMetric(float64(alone.Nanoseconds())/1000, "µs/orphan-alone")
	b.ReportMetric(float64(beside.Nanoseconds())/1000, "µs/orphan-beside")
	b.ReportMetric(float64(beside)/float64(alone), "ratio")
	b.ReportMetric(0, "ns/op")
}
