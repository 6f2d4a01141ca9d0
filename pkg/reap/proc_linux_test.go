package reap

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What stat says about this process is what the system calls say, and what
// /proc/self/status says, which is another format of the same.
func TestReadProcSelf(t *testing.T) {
	p, err := ReadProc(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	session, err := unix.Getsid(0)
	if err != nil {
		t.Fatal(err)
	}
	if p.PID != os.Getpid() || p.PPID != os.Getppid() || p.PGID != unix.Getpgrp() || p.Session != session || p.Zombie() {
		t.Errorf("%+v", p)
	}
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	status := string(raw)
	for field, want := range map[string]string{
		"Name": p.Name, "Pid": strconv.Itoa(p.PID), "PPid": strconv.Itoa(p.PPID),
	} {
		if got := statusField(t, status, field); got != want {
			t.Errorf("status has %s %q, stat has %q", field, got, want)
		}
	}
	for field, want := range map[string]int{"NSpgid": p.PGID, "NSsid": p.Session} {
		ids := strings.Fields(statusField(t, status, field)) // one for each namespace, the innermost last
		if got := ids[len(ids)-1]; got != strconv.Itoa(want) {
			t.Errorf("status has %s %q, stat has %d", field, got, want)
		}
	}
}

// With its start a pid names one process for good: it does not change, and comes
// later for a later process.
func TestReadProcStart(t *testing.T) {
	if !alone(t) {
		return
	}
	self, err := ReadProc(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	pid := mustStart(t, "sleep", "1000")
	child, err := ReadProc(pid)
	if err != nil || child.Start < self.Start {
		t.Errorf("%+v, and its parent %+v, %v", child, self, err)
	}
	var boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		t.Fatal(err)
	}
	const ticks = 100 // a second: USER_HZ, on every machine that Go knows
	if age := time.Duration(boot.Nano()) - time.Duration(child.Start)*time.Second/ticks; age < 0 || age > patience {
		t.Errorf("it started %v ago", age)
	}
	mustSignal(t, pid, unix.SIGKILL)
	awaitState(t, pid, "Z")
	if zombie, err := ReadProc(pid); err != nil || zombie.Start != child.Start || !zombie.Zombie() || zombie.Name != "sleep" {
		t.Errorf("the zombie: %+v, %v", zombie, err)
	}
	awaitReap(t, pid)
	if p, err := ReadProc(pid); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nobody: %+v, %v", p, err)
	}
}

// A process can give itself any name.
func TestReadProcOddNames(t *testing.T) {
	if !alone(t) {
		return
	}
	for _, name := range oddNames {
		if name == "" {
			continue // to write nothing is no write
		}
		if err := os.WriteFile("/proc/self/comm", []byte(name), 0); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		want := name[:min(len(name), 15)]
		if p, err := ReadProc(os.Getpid()); err != nil || p.Name != want || p.PPID != os.Getppid() {
			t.Errorf("%q: %+v, %v", name, p, err)
		}
	}
}

func TestReadProcOfNobody(t *testing.T) {
	for _, pid := range []int{0, -1, math.MaxInt32} {
		if p, err := ReadProc(pid); !errors.Is(err, fs.ErrNotExist) || p != (Proc{}) {
			t.Errorf("%d: %+v, %v", pid, p, err)
		}
		if args, err := CommandLine(pid); !errors.Is(err, fs.ErrNotExist) || args != nil {
			t.Errorf("%d: %q, %v", pid, args, err)
		}
	}
}

func TestProcs(t *testing.T) {
	procs, err := Procs()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(procs, func(a, b Proc) int { return a.PID - b.PID }) {
		t.Error("they are not in the order of their pids")
	}
	byPID := make(map[int]Proc)
	for _, p := range procs {
		if _, twice := byPID[p.PID]; twice || p.PID < 1 || p.State == 0 {
			t.Errorf("%+v", p)
		}
		byPID[p.PID] = p
	}
	for _, pid := range []int{os.Getpid(), os.Getppid()} {
		p, err := ReadProc(pid)
		if got := byPID[pid]; err != nil || got.Start != p.Start || got.Name != p.Name {
			t.Errorf("%d: %+v, by itself %+v, %v", pid, got, p, err)
		}
	}
}

func TestCommandLine(t *testing.T) {
	if !alone(t) {
		return
	}
	if args, err := CommandLine(os.Getpid()); err != nil || !slices.Equal(args, os.Args) {
		t.Errorf("own: %q, %v", args, err)
	}
	for _, want := range [][]string{
		{"sh", "-c", "kill -STOP $$"},
		{"sh", "-c", "kill -STOP $$", "", "a b", "\n", "\xff", ""},
		{"sh", "-c", "kill -STOP $$", "", ""},
	} {
		pid := mustStart(t, want...)
		awaitState(t, pid, "T")
		if args, err := CommandLine(pid); err != nil || !slices.Equal(args, want) {
			t.Errorf("%q: %q, %v", want, args, err)
		}
		mustSignal(t, pid, unix.SIGKILL)
		awaitReap(t, pid)
	}
}
