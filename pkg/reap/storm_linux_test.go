package reap

import (
	"os"
	"os/exec"
	"os/signal"
	"testing"

	"golang.org/x/sys/unix"
)

// An exit while SIGCHLD is off makes no signal, and is there to be waited for; one
// after it is on again makes one.
func TestChildSignal(t *testing.T) {
	if !alone(t) {
		return
	}
	chld := make(chan os.Signal, 1)
	signal.Notify(chld, unix.SIGCHLD)
	taken := func() bool {
		// A signal of ours comes after the one of the exit, which has been made by now.
		marks := make(chan os.Signal, 1)
		signal.Notify(marks, unix.SIGUSR1)
		defer signal.Stop(marks)
		if err := unix.Kill(os.Getpid(), unix.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		<-marks
		select {
		case <-chld:
			return true
		default:
			return false
		}
	}
	exit := func() int {
		t.Helper()
		cmd := exec.Command("/bin/true")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pid := cmd.Process.Pid
		if err := cmd.Process.Release(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it has exited", func() bool { exited, _ := Exited(pid); return exited })
		return pid
	}
	reaped := func(pid int) {
		t.Helper()
		if exit, ok := Reap(pid); !ok || exit.Status != 0 {
			t.Errorf("Reap tells %+v, %v", exit, ok)
		}
	}
	var c ChildSignal
	for range 3 {
		for range 2 { // the second changes nothing
			if err := c.Off(); err != nil {
				t.Fatal(err)
			}
		}
		taken() // one that was made before
		pid := exit()
		if taken() {
			t.Error("a SIGCHLD came while it was off")
		}
		reaped(pid)
		for range 2 {
			if err := c.On(); err != nil {
				t.Fatal(err)
			}
		}
		pid = exit()
		<-chld
		reaped(pid)
	}
}
