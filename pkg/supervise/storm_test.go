package supervise

import (
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
)

const ms = time.Millisecond

// beginStorm has two orphans exit in quick succession, after which SIGCHLD is off.
func (s *stage) beginStorm() {
	s.t.Helper()
	s.run()
	s.exit(orphan(50))
	s.exit(orphan(51))
	if !s.kernel.silent.Load() {
		s.t.Fatal("SIGCHLD is on")
	}
}

// Two exits in quick succession switch SIGCHLD off; a tick that finds nothing
// switches it on.
func TestRunStorm(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.run()
		s.exit(orphan(50))
		s.wait(ms)
		s.exit(orphan(51))
		s.exit(orphan(52)) // nothing tells of it
		s.wantTold("CommandStarted", "OrphanReaped pid 50 exit 0", "OrphanReaped pid 51 exit 0")
		s.wait(stormTick)
		s.wantTold("CommandStarted", "OrphanReaped pid 50 exit 0", "OrphanReaped pid 51 exit 0", "OrphanReaped pid 52 exit 0")
		s.wait(stormTick)
		s.wait(time.Hour)
		s.exit(orphan(53)) // at once again
		s.exit(exited(0))
		if got := s.end(); got.Orphans != 4 {
			t.Errorf("%d orphans", got.Orphans)
		}
		// The command has come close after 53, but is no load.
		s.wantCalls("0s start command", "1ms SIGCHLD false", "9ms SIGCHLD true")
	})
}

// What comes seldom is left to SIGCHLD, or in one burst, and so is a SIGCHLD without
// an exit, as those of stops are.
func TestRunNoStorm(t *testing.T) {
	for name, script := range map[string]func(*stage){
		"seldom": func(s *stage) {
			for pid := range 100 {
				s.exit(orphan(1000 + pid))
				s.wait(stormGap)
			}
		},
		"nothing": func(s *stage) {
			for range 100 {
				s.wake()
			}
		},
		"all at once": func(s *stage) {
			for pid := range 100 {
				s.kernel.exit(orphan(1000 + pid))
			}
			s.wake()
			s.wait(stormGap)
		},
	} {
		t.Run(name, func(t *testing.T) {
			onStage(t, Config{}, func(s *stage) {
				s.run()
				script(s)
				s.exit(exited(0))
				s.end()
				s.wantCalls("0s start command")
			})
		})
	}
}

// Whenever an orphan exits, at any step of what the loop does
// about the others, it is reaped in time without any other event.
func TestRunStormMissesNothing(t *testing.T) {
	const late = 77
	for step := 0; ; step++ {
		over := false
		onStage(t, Config{}, func(s *stage) {
			steps := 0
			var exited time.Time
			s.kernel.around = func() {
				if steps == step {
					exited = time.Now()
					s.kernel.zombies = append(s.kernel.zombies, orphan(late))
					s.notify()
				}
				steps++
			}
			s.beginStorm()
			s.wait(2 * stormTick) // it has switched on again
			s.exit(orphan(52))
			if over = steps <= step; !over {
				s.wait(stormTick)
				if took := s.when("OrphanReaped pid 77 exit 0").Sub(exited); took > stormTick {
					t.Errorf("at step %d: reaped after %v", step, took)
				}
			}
			s.kernel.mu.Lock()
			s.kernel.around = nil
			s.kernel.mu.Unlock()
			s.exit(reap.Exit{PID: commandPID})
			s.wait(stormTick)
			if got, want := s.end().Orphans, 4; !over && got != want {
				t.Errorf("at step %d: %d orphans, want %d", step, got, want)
			}
		})
		if over {
			if step < 16 { // as many as there are calls in that storm, before and after
				t.Errorf("only %d steps", step)
			}
			return
		}
	}
}

// when is the time at which the event was told, which it must have been by now.
func (s *stage) when(event string) time.Time {
	s.t.Helper()
	s.kernel.mu.Lock()
	defer s.kernel.mu.Unlock()
	at := slices.Index(s.told, event)
	if at < 0 {
		s.t.Fatalf("%s was never told, but %q", event, s.told)
	}
	return s.toldAt[at]
}

// The end of the command and a stop of it wait for no more than a tick.
func TestRunStormAttends(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(*stage)
		told    string
	}{
		"exit": {func(s *stage) { s.exit(exited(3)) }, "CommandExited exit 3"},
		"stop": {func(s *stage) {
			s.kernel.changes = append(s.kernel.changes, jobChange{reap.JobStopped, syscall.SIGSTOP})
		}, "CommandStopped STOP"},
	} {
		t.Run(name, func(t *testing.T) {
			onStage(t, Config{}, func(s *stage) {
				s.beginStorm()
				begin := time.Now()
				c.happens(s)
				s.wait(stormTick)
				if took := s.when(c.told).Sub(begin); took > stormTick {
					t.Errorf("told after %v", took)
				}
				if name != "exit" {
					s.exit(exited(0))
					s.wait(stormTick)
				}
				s.end()
				if s.kernel.silent.Load() {
					t.Error("SIGCHLD is off when Run has returned")
				}
			})
		})
	}
}

// A signal is forwarded at once, storm or not.
func TestRunStormForwards(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.beginStorm()
		s.signal(syscall.SIGHUP)
		s.wantCalls("0s start command", "0s SIGCHLD false", "0s signal 42 HUP")
		s.exit(exited(0))
		s.wait(stormTick)
		s.end()
	})
}

// With many children each walk past them costs, and orphans wait to share it; the
// command does not.
func TestRunStormOfManyChildren(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		const cost = 4 * ms // of one with up to four exits, and so of at most five walks
		s.kernel.drainCost = cost
		s.run()
		s.wait(cost)
		s.exit(orphan(50))
		s.wait(cost)
		s.exit(orphan(51))
		s.wait(cost)
		s.kernel.mu.Lock()
		s.kernel.asked = []string{}
		s.kernel.mu.Unlock()
		const ticks = 32
		for pid := range ticks {
			s.kernel.exit(orphan(1000 + pid))
			s.wait(stormTick)
		}
		drains := 0
		for _, asked := range s.kernel.asked {
			if asked == "drain" {
				drains++
			}
		}
		if most := int(ticks*stormTick/stormLatest) + 2; drains < ticks/8 || drains > most {
			t.Errorf("%d drains in %d ticks, want no more than %d", drains, ticks, most)
		}
		begin := time.Now()
		s.exit(exited(3))
		s.wait(stormTick + cost)
		if took := s.when("CommandExited exit 3").Sub(begin); took > stormTick+cost {
			t.Errorf("the command's exit was told after %v", took)
		}
		s.end()
	})
}

// Where SIGCHLD cannot be switched off all goes on as without, and that is told once.
func TestRunStormSwitchFails(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.kernel.switchErr = errors.New("no")
		s.run()
		for pid := range 10 {
			s.exit(orphan(1000 + pid))
		}
		s.exit(exited(0))
		if got := s.end(); got.Orphans != 10 {
			t.Errorf("%d orphans", got.Orphans)
		}
		s.wantCalls("0s start command", "0s SIGCHLD false")
	})
	onStage(t, Config{}, func(s *stage) {
		s.beginStorm()
		s.kernel.switchErr = errors.New("no")
		s.wait(time.Second) // it goes on looking
		s.exit(orphan(52))
		s.wait(stormTick)
		s.exit(exited(0))
		s.wait(stormTick)
		if got := s.end(); got.Orphans != 3 {
			t.Errorf("%d orphans", got.Orphans)
		}
	})
}
