package leaktest

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// The four kinds, and what is none: a zombie below a child, and one of an orphan.
func TestKinds(t *testing.T) {
	if !alone(t) {
		return
	}
	running := start(t, "sleep", "1001")
	over := start(t, "sh", "-c", "exit 3")
	start(t, "sh", "-c", "sleep 1003; :")
	start(t, "sh", "-c", ": & exec sleep 1004") // beside a zombie that it never reaps
	orphan(t, "setsid sh -c 'setsid sleep 1002 &'")
	orphan(t, ":")
	leaks := await(t, "sleep 1001: child still running",
		"sh: child exited, never waited for: a Wait is missing",
		"sh -c sleep 1003; :: child still running", "sleep 1003: descendant still running",
		"sleep 1004: child still running", "sleep 1002: orphan still running")
	self, err := reap.ReadProc(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range leaks {
		ancestors := []string{self.Name}
		if l.Kind == Descendant {
			ancestors = append(ancestors, "sh")
		}
		if !slices.Equal(l.Ancestors, ancestors) || l.Age < 0 || l.Start == 0 {
			t.Errorf("%+v", l)
		}
	}
	// Find changes nothing.
	again := found(t)
	for i := range again {
		again[i].Age, again[i].State = leaks[i].Age, leaks[i].State
	}
	if !reflect.DeepEqual(again, leaks) {
		t.Errorf("got %v, before %v", again, leaks)
	}

	wantLeaks(t, verifyNone(MaxWait(0)),
		`child still running .*: "sleep 1001", under `+self.Name,
		`child exited, never waited for: a Wait is missing .* state Z, .*: \[sh\], under `+self.Name,
		`child still running .*: "sh -c sleep 1003; :", under `+self.Name,
		`descendant still running .*: "sleep 1003", under `+self.Name+" > sh",
		`child still running .*: "sleep 1004", under `+self.Name,
		`orphan still running .*: "sleep 1002", under `+self.Name)
	wantNothingRuns(t)
	if err := verifyNone(); err != "" {
		t.Errorf("told again: %s", err)
	}
	if leaks := found(t); len(leaks) != 0 {
		t.Errorf("told again: %v", leaks)
	}
	// Nothing has been taken from who waits late.
	if err := over.Wait(); over.ProcessState.ExitCode() != 3 {
		t.Error(err)
	}
	if err := running.Wait(); running.ProcessState.Sys().(syscall.WaitStatus).Signal() != unix.SIGKILL {
		t.Error(err)
	}
}

// What package os has let go of, and what it has not started, is found as long as
// it runs.
func TestNotOwned(t *testing.T) {
	if !alone(t) {
		return
	}
	cmd := start(t, "sleep", "1001")
	released := cmd.Process.Pid
	if err := cmd.Process.Release(); err != nil {
		t.Fatal(err)
	}
	await(t, "sleep 1001: orphan still running")
	forked, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "read x; exit 7"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	awaitState(t, forked, 'Z') // its input is /dev/null or closed
	await(t, "sleep 1001: orphan still running")
	wantLeaks(t, verifyNone(MaxWait(0)), `orphan still running .*: "sleep 1001", under .*`)
	awaitState(t, released, 'Z')
	for pid, want := range map[int]int{released: -1, forked: 7} {
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil || status.ExitStatus() != want {
			t.Errorf("%d: %v, %v", pid, status, err)
		}
	}
}

// It is named though its file has gone, and though it has no command line.
func TestOddCommands(t *testing.T) {
	if !alone(t) {
		return
	}
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "sleep")
	if err := os.WriteFile(path, program, 0o700); err != nil {
		t.Fatal(err)
	}
	start(t, path, "1001")
	nameless := exec.Command("cat")
	nameless.Args = []string{""}
	stdin, err := nameless.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close() //nolint:errcheck // nothing is written
	if err := nameless.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, path+" 1001: child still running", "cat: child still running")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wantLeaks(t, verifyNone(MaxWait(0)),
		`child still running .*: "`+path+` 1001", under .*`, `child still running .*: \[cat\], under .*`)
	_ = nameless.Wait() // it was killed
}

// headless ends the first thread alone, where that is asked for. It has to be done
// while packages are initialized, which the first thread does.
var _ = func() bool {
	if os.Getenv(headlessVariable) != "" {
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0) // the thread alone
	}
	return false
}()

const headlessVariable = "LEAKTEST_TEST_HEADLESS"

// A process with no first thread is no zombie, and is killed like any other, as a
// child and below one.
func TestHeadless(t *testing.T) {
	if !alone(t) {
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range []*exec.Cmd{exec.Command(self, "1001"), exec.Command("sh", "-c", `"$0" 1002; :`, self)} {
		cmd.Env = append(os.Environ(), headlessVariable+"=1")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, cmd)
	}
	var procs []reap.Proc
	eventually(t, "their first threads have ended", func() bool {
		procs, err = reap.Descendants()
		headless := 0
		for _, p := range procs {
			if p.Zombie() && p.Threads > 1 {
				headless++
			}
		}
		return err == nil && len(procs) == 3 && headless == 2
	})
	wantLeaks(t, verifyNone(MaxWait(0)), `child still running .* state Z, .*`,
		`child still running .* state S, .*: "sh -c .*`, `descendant still running .* state Z, .* > sh`)
	eventually(t, "they have ended", func() bool {
		procs, err = reap.Descendants()
		return err == nil && len(procs) == 0
	})
}
