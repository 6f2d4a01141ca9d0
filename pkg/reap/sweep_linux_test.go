package reap

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// wantSent sends to a descendant, and wants it to have been sent or not.
func wantSent(t *testing.T, want bool, p Proc, sigs ...syscall.Signal) {
	t.Helper()
	if sent, err := SignalDescendant(p, sigs...); sent != want || err != nil {
		t.Errorf("%v to %+v: sent %v, %v", sigs, p, sent, err)
	}
}

func TestSignalDescendant(t *testing.T) {
	if !alone(t) {
		return
	}
	mustStart(t, "sh", "-c", "sleep 1002; exec sleep 1003")
	_, tree := awaitFamily(t, "1002", "S sh")
	grandchild := tree["1002"]
	wantSent(t, true, grandchild, 0)
	wantSent(t, true, grandchild, unix.SIGSTOP)
	awaitState(t, grandchild.PID, "T")
	// In their order: it would not end as long as it is stopped.
	wantSent(t, true, grandchild, unix.SIGTERM, unix.SIGCONT)
	_, tree = awaitFamily(t, "1003") // its parent has reaped it and gone on
	wantSent(t, false, grandchild, unix.SIGKILL)

	child := tree["1003"]
	wantSent(t, true, child, unix.SIGSTOP)
	awaitState(t, child.PID, "T")
	wantSent(t, true, child, unix.SIGTERM, unix.SIGCONT)
	awaitState(t, child.PID, "Z")
	wantSent(t, true, child, unix.SIGKILL) // a zombie is there
	if exit := awaitReap(t, child.PID); exit.Status != SignalStatus(unix.SIGTERM) {
		t.Errorf("%+v", exit)
	}
	wantSent(t, false, child, unix.SIGKILL)
}

// A number that has been given to somebody else, which the other start tells, is
// nobody, be it now a descendant or a child of the caller (pitfall 23).
func TestSignalDescendantReplaced(t *testing.T) {
	if !alone(t) {
		return
	}
	mustAdopt(t)
	mustStart(t, "sh", "-c", "sleep 1001; :")
	_, tree := awaitFamily(t, "1001", "S sh")
	for _, p := range tree {
		before := p
		before.Start--
		wantSent(t, false, before, unix.SIGKILL)
		wantSent(t, true, p, 0)
	}
	awaitFamily(t, "1001", "S sh")
	// Of a child that /proc hides the number is all that is known.
	child := Proc{PID: tree["S sh"].PID, PPID: os.Getpid()}
	wantSent(t, true, child, unix.SIGKILL)
	endFamily(t)
}

// What is no process is refused, and a thread is none either.
func TestSignalDescendantRefuses(t *testing.T) {
	for _, n := range []int64{0, -1, -int64(os.Getpid()), math.MinInt32, 1 << 31, 1<<32 - 1, 1<<32 + int64(os.Getpid())} {
		if sent, err := SignalDescendant(Proc{PID: int(n)}, 0); sent || err == nil {
			t.Errorf("to %d: sent %v, %v", n, sent, err)
		}
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil || len(tasks) < 2 {
		t.Fatalf("threads: %v, %v", tasks, err)
	}
	for _, task := range tasks {
		p := Proc{PID: -1}
		if _, err := fmt.Sscan(task.Name(), &p.PID); err == nil && p.PID != os.Getpid() {
			wantSent(t, false, p, 0)
		}
	}
	wantSent(t, false, Proc{PID: math.MaxInt32}, 0)
}

// Who has changed its user may not be signalled; that is told, and the others are
// killed (pitfall 48).
func TestSweepNotPermitted(t *testing.T) {
	if !alone(t) {
		return
	}
	if os.Getuid() != 0 {
		cannot(t, "only root can become somebody else")
	}
	mustAdopt(t)
	mustStart(t, "sh", "-c", "sleep 1001; :")
	_, tree := awaitFamily(t, "1001", "S sh")
	const nobody = 65534
	if err := syscall.Setresuid(nobody, nobody, 0); err != nil {
		t.Fatal(err)
	}
	own := mustStart(t, "sleep", "1002")
	for _, p := range tree {
		if sent, err := SignalDescendant(p, unix.SIGKILL); sent || !errors.Is(err, unix.EPERM) {
			t.Errorf("to %+v: sent %v, %v", p, sent, err)
		}
	}
	killed, err := KillDescendants(numbered())
	if len(killed) != 1 || killed[0].PID != own || !errors.Is(err, unix.EPERM) {
		t.Errorf("killed %+v, %v", killed, err)
	}
	if exit := awaitReap(t, own); exit.Status != SignalStatus(unix.SIGKILL) {
		t.Errorf("%+v", exit)
	}
	if err := syscall.Setresuid(0, 0, 0); err != nil {
		t.Fatal(err)
	}
	awaitFamily(t, "1001", "S sh")
	endFamily(t)
}

func TestKillDescendants(t *testing.T) {
	if !alone(t) {
		return
	}
	if killed, err := KillDescendants(numbered()); len(killed) != 0 || err != nil {
		t.Errorf("without a child: %+v, %v", killed, err)
	}
	mustAdopt(t)
	ended := mustStart(t, "true")
	awaitState(t, ended, "Z")
	mustStart(t, "sh", "-c", family)
	procs, byLabel := awaitFamily(t, "1000", "1001", "1002", "1003", "1005", "S sh", "S sh", "T sh", "Z sh", "S ) R 1 (")
	killed, err := KillDescendants(numbered())
	if err != nil {
		t.Error(err)
	}
	zombie := byLabel["Z sh"]
	procs = slices.DeleteFunc(procs, zombie.Same)
	if !slices.EqualFunc(killed, procs, Proc.Same) {
		t.Errorf("killed %+v\nwant %+v", killed, procs)
	}
	statuses := reapAll(t)
	for _, p := range procs {
		// A parent that is in wait(2) when the signal comes may take its child along
		// before it stops.
		if status, ok := statuses[p.PID]; status != SignalStatus(unix.SIGKILL) && (ok || p.PPID == os.Getpid()) || still(p) {
			t.Errorf("%+v: %v, %v", p, status, ok)
		}
	}
	for _, pid := range []int{ended, zombie.PID} {
		if status, ok := statuses[pid]; !ok || status != ExitStatus(0) {
			t.Errorf("it had ended before: %v, %v", status, ok)
		}
	}
}

// reapAll waits until no child is left.
func reapAll(t *testing.T) map[int]Status {
	t.Helper()
	statuses := make(map[int]Status)
	eventually(t, "no child is left", func() bool {
		exits, more, err := Drain(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, exit := range exits {
			statuses[exit.PID] = exit.Status
		}
		return !more
	})
	return statuses
}

// chain is a shell below a shell and so on, with a sleep at the end. Each starts
// what is below it again when that dies.
const chain = `n=$1; while :; do if [ "$n" -gt 0 ]; then sh -c "$0" "$0" $((n-1)); else sleep 1000; fi; done`

// Nobody replaces those who die: what was there is killed in one round, and no
// newcomer is left.
func TestKillDescendantsThatRespawn(t *testing.T) {
	if !alone(t) {
		return
	}
	mustAdopt(t)
	const depth = 50
	mustStart(t, "sh", "-c", chain, chain, fmt.Sprint(depth-1))
	whole := slices.Repeat([]string{"S sh"}, depth)
	whole = append(whole, "1000")
	_, before := awaitFamily(t, slices.Clone(whole)...)
	// The control: one that is killed while its parent goes on is replaced.
	wantSent(t, true, before["1000"], unix.SIGKILL)
	eventually(t, "the sleep is replaced", func() bool {
		_, after := awaitFamily(t, slices.Clone(whole)...)
		return !after["1000"].Same(before["1000"])
	})
	killed, err := KillDescendants(numbered())
	if len(killed) != depth+1 || err != nil {
		t.Errorf("killed %d, %v", len(killed), err)
	}
	statuses := reapAll(t) // it would not end if there were a newcomer
	for _, p := range killed {
		delete(statuses, p.PID)
	}
	if len(statuses) != 0 {
		t.Errorf("they have been replaced: %v", statuses)
	}
}

// Those who start orphans without end, and one that is never long the same process,
// are caught, in few rounds.
func TestKillDescendantsThatRun(t *testing.T) {
	if !alone(t) {
		return
	}
	mustAdopt(t)
	// It ends at some time: a test that does not get to run must not use up all numbers.
	const spring = "i=0; while [ $i -lt 3000 ]; do (sleep 1000 &); i=$((i+1)); done; sleep 1000"
	const comet = `sh -c "$0" "$0" & exit`
	for _, args := range [][]string{{spring}, {comet, comet}, {comet, comet}, {spring}} {
		mustStart(t, append([]string{"sh", "-c"}, args...)...)
	}
	eventually(t, "there are many", func() bool {
		procs, err := Descendants()
		return err == nil && len(procs) > 100
	})
	exits, rounds := endFamily(t)
	if len(exits) < 100 || rounds > 1000 {
		t.Errorf("%d reaped in %d rounds", len(exits), rounds)
	}
	t.Logf("%d reaped in %d rounds", len(exits), rounds)
}

// session is the leader of a session, with many sleeps and, as the last, a process
// group that says so when it wakes up. It becomes a sleep, which dies faster.
var session = newRole("session", func([]string) error {
	for range 200 {
		if err := exec.Command("sleep", "1000").Start(); err != nil {
			return err
		}
	}
	job := exec.Command("sh", "-c", "trap 'echo woken' HUP; sleep 1001 & echo ready; while :; do wait; done")
	job.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	job.Stdout = os.Stdout
	if err := job.Start(); err != nil {
		return err
	}
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		return err
	}
	return syscall.Exec(sleep, []string{"sleep", "1002"}, nil)
})

// A stopped process group that loses the last parent in its session is sent SIGHUP
// and SIGCONT by the kernel. It does not get to run with that.
func TestKillDescendantsThatWake(t *testing.T) {
	session.used = true
	if !alone(t) {
		return
	}
	mustAdopt(t)
	cmd := session.command(t)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(out, ready); err != nil {
		t.Fatal(err)
	}
	awaitName(t, cmd.Process.Pid, "sleep")
	if killed, err := KillDescendants(numbered()); len(killed) != 203 || err != nil {
		t.Errorf("killed %d, %v", len(killed), err)
	}
	reapAll(t)
	if said, err := io.ReadAll(out); err != nil || strings.Contains(string(said), "woken") {
		t.Errorf("it woke up: %q, %v", said, err)
	}
	_ = out.Close()
	if err := cmd.Process.Release(); err != nil {
		t.Error(err)
	}
}

// numbered is what there is to kill where /proc does not tell; elsewhere it does
// not matter.
func numbered() (procs []Proc) {
	if ownProc() {
		return nil
	}
	for _, pid := range ChildPIDs() {
		procs = append(procs, Proc{PID: pid, PPID: os.Getpid()})
	}
	return procs
}
