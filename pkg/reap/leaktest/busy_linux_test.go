package leaktest

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"sync"
	"testing"
)

// scale is the work where there is time for less.
func scale(n int) int {
	if testing.Short() {
		return max(1, n/10)
	}
	return n
}

// No exit code is taken from who waits for it.
func TestNothingStolen(t *testing.T) {
	if !alone(t) {
		return
	}
	var running sync.WaitGroup
	const workers = 10
	for range workers {
		running.Go(func() {
			for range scale(1000) / workers {
				want := rand.IntN(256)
				cmd := exec.Command("sh", "-c", fmt.Sprintf("exit %d", want))
				if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != want {
					t.Errorf("want exit %d: %v", want, err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	looks := 0
	for over := false; !over; looks++ {
		found(t)
		select {
		case <-done:
			over = true
		default:
		}
	}
	t.Logf("%d looks", looks)
	VerifyNone(t)
}

// Children that are waited for, and orphans that end, are never leaks.
func TestClean(t *testing.T) {
	for _, environ := range []string{"GOMAXPROCS=1", "GOMAXPROCS=4"} {
		if !alone(t, environ) {
			continue
		}
		for range scale(100) {
			clean(t)
		}
		return
	}
}

// clean is a test that leaves nothing.
func clean(t *testing.T) {
	t.Helper()
	defer VerifyNone(t)
	orphan(t, ":")
	var waits sync.WaitGroup
	for range 50 {
		cmd := exec.Command("true")
		if err := cmd.Start(); err != nil {
			t.Error(err)
			return
		}
		waits.Go(func() {
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
	waits.Wait()
}
