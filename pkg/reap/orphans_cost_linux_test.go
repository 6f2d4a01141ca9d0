package reap

import (
	"context"
	"errors"
	"fmt"
	"math"
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
			reap: func(exits []Exit) ([]Exit, bool, error) {
				exits, _, err := Drain(exits)
				return exits, false, err
			},
			onExit: onExit, chld: chld,
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
			ns, err := strconv.Atoi(out)
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

// looker tells what one look costs, in ns, in a process that has so many descriptors,
// living children, and children that have exited and have owners.
var looker = newRole("looker", func(args []string) error {
	var numbers []int
	for _, arg := range args {
		n, err := strconv.Atoi(arg)
		if err != nil {
			return err
		}
		numbers = append(numbers, n)
	}
	if err := BecomeSubreaper(); err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	crowd := exec.Command("sh", "-c", fmt.Sprintf("i=0; while [ $i -lt %d ]; do ( read x <&3 & ); i=$((i+1)); done", numbers[1]))
	crowd.ExtraFiles = []*os.File{r}
	if err := crowd.Run(); err != nil {
		return err
	}
	var owned []*exec.Cmd
	for range numbers[2] {
		cmd := exec.Command("true")
		if err := cmd.Start(); err != nil {
			return err
		}
		owned = append(owned, cmd)
	}
	for _, cmd := range owned {
		for exited := false; !exited; {
			_, exited = isChild(cmd.Process.Pid)
		}
	}
	copies := make([]int, numbers[0])
	for i := range copies {
		if copies[i], err = unix.FcntlInt(w.Fd(), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			return err
		}
	}
	u, err := newUnowned(nil)
	if err != nil {
		return err
	}
	defer u.close()
	const looks = 20
	begin := cpuTime()
	for range looks {
		if exits, left, err := u.reap(nil); len(exits) > 0 || !left || err != nil {
			return fmt.Errorf("reaped %v, %v, %w", exits, left, err)
		}
	}
	fmt.Print((cpuTime() - begin).Nanoseconds() / looks)
	for _, cmd := range owned {
		if err := cmd.Wait(); err != nil {
			return err
		}
	}
	for _, fd := range append(copies, int(w.Fd())) {
		_ = unix.Close(fd) // the crowd ends
	}
	for more := true; more && err == nil; {
		_, more, err = Drain(nil)
	}
	return err
})

// A look leaves everybody alone, be there more who have owners than are held at a time.
func TestOrphansLook(t *testing.T) {
	looker.run(t, "100", "100", "100")
}

// What it costs to look where children of others have exited, in programs of several
// kinds.
func BenchmarkOrphansLook(b *testing.B) {
	for _, kind := range []struct{ descriptors, living, owned int }{
		{0, 0, 1}, {1000, 0, 1}, {10_000, 0, 1}, {0, 3000, 1}, {0, 0, 100},
	} {
		b.Run(fmt.Sprintf("descriptors=%d,living=%d,owned=%d", kind.descriptors, kind.living, kind.owned), func(b *testing.B) {
			lowest := math.MaxInt
			for b.Loop() {
				out := looker.run(b, strconv.Itoa(kind.descriptors), strconv.Itoa(kind.living), strconv.Itoa(kind.owned))
				ns, err := strconv.Atoi(out)
				if err != nil {
					b.Fatal(err)
				}
				lowest = min(lowest, ns)
			}
			b.ReportMetric(float64(lowest)/1000, "µs/look")
			b.ReportMetric(0, "ns/op")
		})
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
