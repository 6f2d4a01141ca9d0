package reap

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// Of all who can be a zombie below a process it names its own, and takes none away.
func TestExitedChildren(t *testing.T) {
	if !alone(t) {
		return
	}
	mustAdopt(t)
	if procs, err := ExitedChildren(); err != nil || len(procs) != 0 {
		t.Errorf("of nobody: %v, %v", procs, err)
	}
	living := mustStart(t, "sh", "-c", ": & exec sleep 1001") // beside a zombie that it never reaps
	ended := mustStart(t, "sh", "-c", "exit 3")
	awaitState(t, ended, "Z")
	awaitFamily(t, "1001", "Z sh")
	for range 2 {
		procs, err := ExitedChildren()
		if err != nil || len(procs) != 1 {
			t.Fatalf("got %+v, %v", procs, err)
		}
		now, err := ReadProc(ended)
		if p := procs[0]; err != nil || !p.Same(now) || p != now || p.Name != "sh" {
			t.Errorf("got %+v, it is %+v, %v", p, now, err)
		}
	}
	if exit := awaitReap(t, ended); exit.Status != ExitStatus(3) {
		t.Errorf("the status is %v", exit.Status)
	}
	mustSignal(t, living, unix.SIGKILL)
	awaitState(t, living, "Z")
	eventually(t, "the orphan has been adopted", func() bool {
		procs, err := ExitedChildren()
		return err == nil && len(procs) == 2
	})
	endFamily(t)
	if procs, err := ExitedChildren(); err != nil || len(procs) != 0 {
		t.Errorf("of nobody any more: %v, %v", procs, err)
	}
}

// A process whose first thread has ended has not exited, whatever its state says.
func TestExitedChildrenHeadless(t *testing.T) {
	forker.used = true
	if !alone(t) {
		return
	}
	mustAdopt(t)
	cmd := forker.command(t, "1001", "headless")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitState(t, cmd.Process.Pid, "Z")
	if procs, err := ExitedChildren(); err != nil || len(procs) != 0 {
		t.Errorf("got %+v, %v", procs, err)
	}
	if _, err := KillDescendants(numbered()); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil { // and it may be called beside others' waits
		t.Error("it was not killed")
	}
	endFamily(t)
}

// What package os waits for in other goroutines keeps its status.
func TestExitedChildrenBesideWaits(t *testing.T) {
	if !alone(t) {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 100 {
			cmd := exec.Command("sh", "-c", "exit 7")
			if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 7 {
				t.Errorf("%v", err)
			}
		}
	}()
	for {
		if _, err := ExitedChildren(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}
