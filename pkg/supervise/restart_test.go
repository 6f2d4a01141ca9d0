package supervise

import (
	"fmt"
	"math"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
)

// The table of the policies, cell by cell: how the command ended, and which policies
// start it again.
func TestRestartPolicies(t *testing.T) {
	const core = reap.Status(0x80)
	policies := []RestartPolicy{RestartNever, RestartOnSuccess, RestartOnFailure, RestartOnAbnormal, RestartAlways}
	success, failure, abnormal := "-s--a", "--f-a", "--fba"
	ok := ExitSet{}.WithCode(3).WithCode(128 + int(syscall.SIGUSR1)).WithSignal(syscall.SIGKILL)
	never := ExitSet{}.WithCode(4).WithCode(128 + int(syscall.SIGUSR2)).WithSignal(syscall.SIGILL)
	for _, test := range []struct {
		name string
		ev   event
		want string
	}{
		{"exit 0", exit(0), success},
		{"exit 1", exit(1), failure},
		{"exit 143", exit(143), failure}, // a code, whatever a shell means by it
		{"exit 255", exit(255), failure},
		{"HUP", killedBy(syscall.SIGHUP), success},
		{"INT", killedBy(syscall.SIGINT), success},
		{"TERM", killedBy(syscall.SIGTERM), success},
		{"PIPE", killedBy(syscall.SIGPIPE), success},
		{"QUIT", killedBy(syscall.SIGQUIT), abnormal},
		{"KILL, which is OK", killedBy(syscall.SIGKILL), success},
		{"SEGV", killedBy(syscall.SIGSEGV), abnormal},
		{"ABRT with core", event{kind: evExited, status: reap.SignalStatus(syscall.SIGABRT) | core}, abnormal},
		{"a real-time signal", killedBy(64), abnormal},
		{"exit 3, which is OK", exit(3), success},
		{"USR1, whose code is OK", killedBy(syscall.SIGUSR1), success},
		{"exit 4, never", exit(4), "-----"},
		{"USR2, whose code is never", killedBy(syscall.SIGUSR2), "-----"},
		{"ILL, never", killedBy(syscall.SIGILL), "-----"},
		{"lost", event{kind: evLost}, failure},
		{"not started", event{kind: evFailed}, failure},
	} {
		got := ""
		for i, policy := range policies {
			m := machineIn(up, &Config{Restart: policy, OKExit: ok, NoRestartExit: never})
			if test.ev.kind == evFailed {
				m.state, m.pid = starting, 0
			}
			next, _ := m.step(test.ev)
			switch next.state { //nolint:exhaustive // no other can be
			case backoff:
				got += string("nsfba"[i])
			case done:
				got += "-"
			default:
				t.Errorf("%s: state %s", test.name, stateName(next.state))
			}
		}
		if got != test.want {
			t.Errorf("%s: started again by %q, want %q", test.name, got, test.want)
		}
	}
}

func exit(code int) event { return event{kind: evExited, status: reap.ExitStatus(code)} }

func killedBy(sig syscall.Signal) event { return event{kind: evExited, status: reap.SignalStatus(sig)} }

// Each delay is a multiple of the one before, up to the longest, and chance adds up to
// a tenth; nothing comes round to the past.
func TestRestartDelays(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		name   string
		cfg    Config
		chance float64
		want   []time.Duration
	}{
		{"the default", Config{RestartDelay: 100 * ms, RestartFactor: 2, RestartMaxDelay: sec}, 0, []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, sec, sec}},
		{"with chance", Config{RestartDelay: 100 * ms, RestartFactor: 2, RestartMaxDelay: 200 * ms}, 0.5, []time.Duration{105 * ms, 210 * ms, 210 * ms}},
		{"none", Config{RestartFactor: 2}, 0.5, []time.Duration{0, 0, 0}},
		{"always the same", Config{RestartDelay: sec}, 0, []time.Duration{sec, sec}},
		{"a factor below 1 is none", Config{RestartDelay: sec, RestartFactor: 0.5}, 0, []time.Duration{sec, sec}},
		{"half of it more", Config{RestartDelay: sec, RestartFactor: 1.5}, 0, []time.Duration{sec, 1500 * ms, 2250 * ms}},
		{"longer than the longest", Config{RestartDelay: 60 * sec, RestartFactor: 2, RestartMaxDelay: 30 * sec}, 0, []time.Duration{60 * sec, 60 * sec}},
		{"for ever", Config{RestartDelay: math.MaxInt64, RestartFactor: 1e300}, 1, []time.Duration{longestDelay, longestDelay}},
		{"without end", Config{RestartDelay: time.Hour, RestartFactor: 1e10}, 0, []time.Duration{time.Hour, longestDelay, longestDelay}},
	} {
		test.cfg.Restart, test.cfg.RestartReset = RestartAlways, sec
		m := machine{cfg: &test.cfg, state: up, pid: commandPID, result: Result{PID: commandPID}}
		var got []time.Duration
		for range test.want {
			now := epoch()
			m, _ = m.step(event{kind: evExited, now: now, chance: test.chance})
			got = append(got, m.deadline.Sub(now))
			m, _ = m.step(event{kind: evDeadline, now: m.deadline})
			m, _ = m.step(event{kind: evStarted, pid: commandPID, now: now})
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// restartingConfig has delays of 1, 2, 4 and 4 seconds.
func restartingConfig(p RestartPolicy) Config {
	return Config{
		Args: []string{"command"}, Restart: p,
		RestartDelay: sec, RestartFactor: 2, RestartMaxDelay: 4 * sec, RestartReset: 10 * sec,
	}
}

// starts is when the command was started.
func (s *stage) wantStarts(want ...string) {
	s.t.Helper()
	for i := range want {
		want[i] += " start command"
	}
	var got []string
	for _, call := range s.kernel.calls {
		if len(call) > 6 && call[len(call)-len("start command"):] == "start command" {
			got = append(got, call)
		}
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("starts:\n got %q\nwant %q", got, want)
	}
}

// The command is started again after the delay, to the nanosecond; after a life that
// was long enough it is the first delay again (pitfalls 51 and 53).
func TestRunRestarts(t *testing.T) {
	onStage(t, restartingConfig(RestartAlways), func(s *stage) {
		s.run()
		s.exit(exited(1))
		s.wait(sec - 1)
		s.wantStarts("0s")
		s.wait(1)
		s.wantStarts("0s", "1s")
		s.exit(exited(2)) // at 1s
		s.wait(2 * sec)
		s.exit(exited(0)) // at 3s: a success does not shorten the delay
		s.wait(4 * sec)
		s.exit(exited(4)) // at 7s
		s.wait(4 * sec)
		s.wait(10*sec - 1)
		s.exit(exited(5)) // at 21s, a moment too early
		s.wait(4 * sec)
		s.wait(10 * sec)
		s.exit(exited(6)) // long enough
		s.wait(sec)
		s.goesOn()
		s.wantStarts("0s", "1s", "3s", "7s", "11s", "24.999999999s", "35.999999999s")
		s.signal(syscall.SIGTERM)
		s.goesOn()
		s.exit(exited(7))
		if res := s.end(); res.Restarts != 6 || res.Status != reap.ExitStatus(7) {
			t.Errorf("result %+v", res)
		}
		if got, want := s.told[1:5], []string{
			"CommandExited exit 1", "Restarting 1s 1 failed", "CommandStarted", "CommandExited exit 2",
		}; !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}

// Chance comes from outside.
func TestRunRestartChance(t *testing.T) {
	onStage(t, restartingConfig(RestartAlways), func(s *stage) {
		s.supervisor.Chance = func() float64 { return 0.5 }
		s.run()
		s.exit(exited(1))
		s.wait(2 * sec)
		s.wantStarts("0s", "1.05s")
		s.signal(syscall.SIGTERM)
		s.exit(exited(0))
		s.end()
	})
}

// A request to stop ends it, and at once if there is no command: nothing is started
// after it. The result is that of the last life.
func TestRunStopRequestsBetweenLives(t *testing.T) {
	stops := map[string]func(*stage){
		"TERM":    func(s *stage) { s.signal(syscall.SIGTERM) },
		"QUIT":    func(s *stage) { s.signal(syscall.SIGQUIT) },
		"context": func(s *stage) { s.cancel() },
	}
	for name, stop := range stops {
		t.Run(name, func(t *testing.T) {
			onStage(t, restartingConfig(RestartAlways), func(s *stage) {
				s.run()
				s.exit(exited(3))
				s.wait(sec / 2)
				s.signal(syscall.SIGHUP) // is for nobody, and the next does not get it
				s.goesOn()
				stop(s)
				if res := s.end(); res.Status != reap.ExitStatus(3) || res.Aborted != 0 || res.Restarts != 0 {
					t.Errorf("result %+v", res)
				}
				s.wait(time.Hour)
				s.wantCalls("0s start command")
			})
			onStage(t, restartingConfig(RestartAlways), func(s *stage) {
				s.kernel.ends[syscall.SIGTERM], s.kernel.ends[syscall.SIGQUIT] = true, true
				s.run()
				stop(s)
				s.end()
				s.wantStarts("0s")
			})
		})
	}
}

// N failures, one after another, are the end; a success or a long life in between
// forgets those before.
func TestRunRestartGivesUp(t *testing.T) {
	cfg := restartingConfig(RestartOnFailure)
	cfg.RestartFailures = 3
	onStage(t, cfg, func(s *stage) {
		s.run()
		s.exit(exited(1))
		s.wait(sec)
		s.exit(exited(1))
		s.wait(2 * sec)
		s.wait(10 * sec)
		s.exit(exited(1))
		s.wait(sec)
		s.exit(exited(1))
		s.wait(2 * sec)
		s.exit(exited(9))
		if res := s.end(); res.Status != reap.ExitStatus(9) || res.Restarts != 4 {
			t.Errorf("result %+v", res)
		}
		if got := s.told[len(s.told)-1]; got != "GaveUp 3 failed" {
			t.Errorf("told %q", got)
		}
	})
}

// A command that cannot be started is an error the first time, and a failure later.
func TestRunRestartStartFails(t *testing.T) {
	missing := &reap.StartError{Op: "find", Path: "command", Err: syscall.ENOENT}
	onStage(t, restartingConfig(RestartAlways), func(s *stage) {
		s.kernel.startErr = missing
		s.run()
		<-s.done
		if s.err == nil {
			t.Error("no error")
		}
		s.wantStarts("0s")
	})
	cfg := restartingConfig(RestartOnFailure)
	cfg.RestartFailures = 3
	onStage(t, cfg, func(s *stage) {
		s.run()
		s.kernel.startErr = missing
		s.exit(exited(1))
		s.wait(time.Hour)
		if res := s.end(); res.Err == nil || res.Restarts != 0 || res.PID != commandPID {
			t.Errorf("result %+v", res)
		}
		s.wantStarts("0s", "1s", "3s")
		s.wantTold("CommandStarted", "CommandExited exit 1", "Restarting 1s 1 failed",
			"StartFailed: find command: no such file or directory", "Restarting 2s 2 failed: find command: no such file or directory",
			"StartFailed: find command: no such file or directory", "GaveUp 3 failed")
	})
	// It can be started again when it is there again.
	onStage(t, cfg, func(s *stage) {
		s.run()
		s.kernel.startErr = missing
		s.exit(exited(1))
		s.wait(sec)
		s.kernel.startErr = nil
		s.wait(2 * sec)
		s.exit(exited(0))
		if res := s.end(); res.Err != nil || res.Restarts != 1 || res.Status != 0 {
			t.Errorf("result %+v", res)
		}
	})
}

// The time limit is that of the whole run, also between two lives.
func TestRunRestartTimeLimit(t *testing.T) {
	cfg := restartingConfig(RestartAlways)
	cfg.TimeLimit = 5 * sec
	onStage(t, cfg, func(s *stage) {
		s.run()
		s.exit(exited(1))
		s.wait(sec)
		s.exit(exited(2))
		s.wait(2 * sec)
		s.exit(exited(3)) // at 3s; the next would come at 7s
		s.wait(time.Hour)
		if res := s.end(); !res.TimedOut || res.Status != reap.ExitStatus(3) || time.Since(s.begin) < 5*sec {
			t.Errorf("result %+v", res)
		}
		s.wantStarts("0s", "1s", "3s")
	})
	onStage(t, cfg, func(s *stage) {
		s.kernel.ends[syscall.SIGTERM] = true
		s.run()
		s.exit(exited(1))
		s.wait(time.Hour)
		if res := s.end(); !res.TimedOut {
			t.Errorf("result %+v", res)
		}
		s.wantCalls("0s start command", "1s start command", "5s signal 42 TERM")
	})
}

// What the dead instance has left is stopped before the next is started; who cannot be
// stopped, or is to be kept, is told once and does not hold up anything.
func TestRunRestartLeftovers(t *testing.T) {
	configure := func(p LeftoverPolicy) Config {
		cfg := leavingConfig(p)
		cfg.Restart, cfg.RestartDelay, cfg.RestartFactor = RestartOnFailure, sec, 1
		return cfg
	}
	onStage(t, configure(StopLeftovers), func(s *stage) {
		s.kernel.deaf = map[int]bool{50: true}
		s.run()
		s.leave(orphanProc(50))
		s.wait(5 * sec)
		s.wantStarts("0s")
		s.wait(sec / 10) // the grace is over
		s.wait(sec)
		s.wantStarts("0s", "6.1s")
		s.leave(orphanProc(51))
		s.wait(2 * sec)
		s.exit(exited(0))
		if res := s.end(); fates(res) != "50 killed 5s, 51 stopped 0s" || res.Restarts != 2 {
			t.Errorf("%s, %+v", fates(res), res)
		}
	})
	onStage(t, configure(WaitForLeftovers), func(s *stage) {
		s.run()
		s.leave(orphanProc(50))
		s.wait(time.Hour)
		s.wantStarts("0s")
		s.kernel.mu.Lock()
		s.kernel.leave(50, 0)
		s.kernel.mu.Unlock()
		s.wake()
		s.wait(sec)
		s.wantStarts("0s", "1h0m1s")
		s.exit(exited(0))
		s.end()
	})
	onStage(t, configure(KeepLeftovers), func(s *stage) {
		s.run()
		s.leave(orphanProc(50))
		s.wait(2 * sec)
		s.leave() // and 50 is there still
		s.wait(2 * sec)
		s.exit(exited(0))
		s.wait(sec)
		if res := s.end(); fates(res) != "50 left 0s" || res.Restarts != 2 {
			t.Errorf("%s, %+v", fates(res), res)
		}
	})
	onStage(t, configure(KillLeftovers), func(s *stage) {
		s.kernel.immortal = map[int]bool{50: true}
		s.run()
		s.leave(orphanProc(50))
		s.wait(12 * sec)
		s.wantStarts("0s", "11.1s")
		s.kernel.mu.Lock()
		s.kernel.leave(50, syscall.SIGKILL)
		s.kernel.mu.Unlock()
		s.wake()
		s.exit(exited(0))
		if res := s.end(); fates(res) != "50 left 0s" {
			t.Errorf("%s, %+v", fates(res), res)
		}
	})
}

// A request to stop while leftovers are being stopped takes the restart back.
func TestRunStopRequestAmongLeftovers(t *testing.T) {
	cfg := leavingConfig(StopLeftovers)
	cfg.Restart = RestartAlways
	onStage(t, cfg, func(s *stage) {
		s.kernel.deaf = map[int]bool{50: true}
		s.run()
		s.leave(orphanProc(50))
		s.wait(sec)
		s.signal(syscall.SIGTERM)
		s.goesOn()
		s.wait(10 * sec)
		s.wantFates("50 killed 5s")
		s.wantStarts("0s")
	})
}

// The result does not grow with the restarts.
func TestRunRestartForgets(t *testing.T) {
	cfg := leavingConfig(KillLeftovers)
	cfg.Settle, cfg.Restart = 0, RestartOnFailure
	const restarts = 2 * mostRemembered
	onStage(t, cfg, func(s *stage) {
		s.run()
		for i := range restarts {
			s.leave(orphanProc(100 + i))
			s.wait(2 * stormTick) // SIGCHLD is off most of the time
		}
		s.exit(exited(0))
		res := s.end()
		if len(res.Leftovers) != mostRemembered || res.Forgotten != restarts-mostRemembered || res.Restarts != restarts {
			t.Errorf("%d leftovers, %d forgotten, %d restarts", len(res.Leftovers), res.Forgotten, res.Restarts)
		}
		if last := res.Leftovers[len(res.Leftovers)-1]; last.PID != 100+restarts-1 {
			t.Errorf("the last is %d", last.PID)
		}
		if n := len(s.supervisor.Kernel.(*fakeKernel).tree); n != 0 {
			t.Errorf("%d are left", n)
		}
	})
}

// An ExitSet has what it was given, and no more.
func TestExitSet(t *testing.T) {
	for n := range 256 {
		set := ExitSet{}.WithCode(n)
		for other := -1; other <= 256; other++ {
			if set.HasCode(other) != (other == n) {
				t.Fatalf("of %d: HasCode(%d) = %v", n, other, set.HasCode(other))
			}
		}
	}
	set := ExitSet{}.WithCode(3).WithCode(128 + 9).WithSignal(15)
	var got []string
	for _, status := range []reap.Status{
		reap.ExitStatus(3), reap.ExitStatus(4), reap.ExitStatus(137), reap.SignalStatus(9), reap.SignalStatus(15),
		reap.ExitStatus(143), reap.ExitStatus(15), reap.SignalStatus(3),
	} {
		if set.Has(status) {
			got = append(got, status.String())
		}
	}
	if want := []string{"exit 3", "exit 137", "signal 9", "signal 15"}; !slices.Equal(got, want) {
		t.Errorf("has %q, want %q", got, want)
	}
	if fmt.Sprint(ExitSet{}.Has(0)) != "false" {
		t.Error("the empty set has code 0")
	}
}
