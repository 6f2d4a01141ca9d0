package supervise

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/reaper-init/reaper/pkg/reap"
)

// What follows the end of the command, on the fake kernel: who is signalled, when,
// and what the result tells.

// orphanProc is a process whose parent has ended.
func orphanProc(pid int) reap.Proc {
	return reap.Proc{PID: pid, PPID: os.Getpid(), State: 'S', Name: fmt.Sprint("p", pid), Start: 1, Threads: 1}
}

// leave has the command leave processes behind and exit with the code 3.
func (s *stage) leave(procs ...reap.Proc) {
	s.kernel.mu.Lock()
	s.kernel.tree = append(s.kernel.tree, procs...)
	s.kernel.mu.Unlock()
	s.exit(exited(3))
}

// fates is the leftovers of the result, as "50 stopped 0s".
func fates(res Result) string {
	var all []string
	for _, l := range res.Leftovers {
		word := map[Fate]string{
			FateLeft: "left", FateEnded: "ended", FateStopped: "stopped", FateKilled: "killed", FateUnreaped: "unreaped",
		}[l.Fate]
		if l.Late {
			word += " late"
		}
		all = append(all, fmt.Sprintf("%d %s %v", l.PID, word, l.After))
	}
	return strings.Join(all, ", ")
}

func (s *stage) wantFates(want string) {
	s.t.Helper()
	res := s.end()
	if got := fates(res); got != want {
		s.t.Errorf("leftovers: got %q, want %q", got, want)
	}
	if res.Status != reap.ExitStatus(3) || res.PID != commandPID {
		s.t.Errorf("the status of the command was lost: %+v", res)
	}
}

// wantSignals compares the calls that signal, each with its time.
func (s *stage) wantSignals(want ...string) {
	s.t.Helper()
	var got []string
	for _, call := range s.kernel.calls {
		if strings.Contains(call, "signal") || strings.Contains(call, "kill") {
			got = append(got, call)
		}
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("signals:\n got %q\nwant %q", got, want)
	}
}

func leavingConfig(p LeftoverPolicy) Config {
	return Config{Leftovers: p, Grace: 5 * sec, Settle: sec / 10, FindLeftovers: true}
}

// Each gets TERM and CONT once, and KILL when the grace is over.
func TestRunStopsLeftovers(t *testing.T) {
	onStage(t, leavingConfig(StopLeftovers), func(s *stage) {
		s.kernel.deaf = map[int]bool{51: true}
		s.run()
		s.leave(orphanProc(50), orphanProc(51))
		s.goesOn()
		s.wait(sec)
		s.goesOn()
		s.wait(5 * sec)
		s.wantFates("50 stopped 0s, 51 killed 5s")
		s.wantSignals("100ms signal 50 TERM", "100ms signal 50 CONT", "100ms signal 51 TERM", "100ms signal 51 CONT",
			"5.1s kill descendants")
		if got := s.told[2:]; !slices.Equal(got, []string{
			"LeftoversAsked pid 0 5s", "LeftoverEnded pid 50 p50", "OrphanReaped pid 50 signal 15",
			"LeftoversTimeout pid 0 5s", "LeftoverEnded pid 51 p51", "OrphanReaped pid 51 signal 9",
		}) {
			t.Errorf("told %q", got)
		}
	})
}

// The grace begins when all have been asked, however long it took to find them.
func TestRunGraceIsWhole(t *testing.T) {
	onStage(t, leavingConfig(StopLeftovers), func(s *stage) {
		s.kernel.deaf = map[int]bool{50: true}
		s.kernel.lookCost = 3 * sec
		s.run()
		s.leave(orphanProc(50))
		s.wait(20 * sec)
		s.wantFates("50 killed 5s")
		s.wantSignals("3.1s signal 50 TERM", "3.1s signal 50 CONT", "8.1s kill descendants")
	})
}

// Command lines are read where somebody wants them, and only there.
func TestRunNamesLeftovers(t *testing.T) {
	for want, c := range map[bool][]Config{
		false: {{}},
		true:  {{FindLeftovers: true}, {InspectLeftovers: true}, {NameOrphans: true}},
	} {
		for _, c := range c {
			c.Leftovers, c.Grace = StopLeftovers, 5*sec
			onStage(t, c, func(s *stage) {
				s.run()
				s.leave(orphanProc(50))
				s.wait(sec)
				s.wantFates("50 stopped 0s")
				if got := s.kernel.named > 0; got != want {
					t.Errorf("%+v: %d command lines were read", c, s.kernel.named)
				}
			})
		}
	}
}

// Who ends within the moment is no leftover, and the tree is not read.
func TestRunLeftoversSettle(t *testing.T) {
	onStage(t, leavingConfig(StopLeftovers), func(s *stage) {
		s.run()
		s.leave(orphanProc(50))
		s.wait(sec / 20)
		s.goesOn()
		s.kernel.mu.Lock()
		s.kernel.leave(50, 0)
		s.kernel.mu.Unlock()
		s.wake()
		s.wantFates("")
		s.wantSignals()
		if s.kernel.looks != 0 {
			t.Errorf("%d looks", s.kernel.looks)
		}
	})
}

// A command that leaves nobody costs nothing, whatever is asked for.
func TestRunCleanCommandIsNotLookedAt(t *testing.T) {
	for p := KeepLeftovers; p <= KillLeftovers; p++ {
		onStage(t, leavingConfig(p), func(s *stage) {
			s.run()
			s.wait(sec)
			s.exit(exited(3))
			s.wantFates("")
			if s.kernel.looks != 0 {
				t.Errorf("policy %d: %d looks", p, s.kernel.looks)
			}
		})
	}
}

// Who comes later is asked when he is found, and so is who was missed once; who is
// missed once is not written off.
func TestRunLeftoversThatComeLater(t *testing.T) {
	onStage(t, leavingConfig(StopLeftovers), func(s *stage) {
		s.kernel.deaf = map[int]bool{50: true}
		s.kernel.grand = map[int]bool{51: true}
		late := orphanProc(60)
		late.Start = 360_010 // in ticks: the command ends 0.1 s before
		s.kernel.onTerm = map[int]func(){50: func() {
			s.kernel.tree = append(s.kernel.tree, late)
			s.kernel.hidden = map[int]bool{50: true}
		}}
		grandchild := orphanProc(51)
		grandchild.PPID = 50
		s.run()
		s.leave(orphanProc(50), grandchild)
		s.wait(sec)
		s.kernel.mu.Lock()
		s.kernel.deaf = nil
		s.kernel.leave(50, 0)
		s.kernel.mu.Unlock()
		s.wake()
		s.wantFates("50 stopped 900ms, 51 stopped 10ms, 60 stopped late 0s")
		s.wantSignals("100ms signal 50 TERM", "100ms signal 50 CONT", "100ms signal 51 TERM", "100ms signal 51 CONT",
			"110ms signal 60 TERM", "110ms signal 60 CONT")
	})
}

// While they are being stopped the tree is not read all the time.
func TestRunDrainingIsNoBusyLoop(t *testing.T) {
	onStage(t, leavingConfig(StopLeftovers), func(s *stage) {
		s.kernel.deaf = map[int]bool{50: true}
		s.run()
		s.leave(orphanProc(50))
		s.wait(sec/10 + sec)
		if n := s.kernel.looks; n < 2 || n > 1+int(sec/drainSoonest) {
			t.Errorf("%d looks in a second", n)
		}
		s.signal(syscall.SIGTERM, syscall.SIGTERM)
		s.wantFates("50 killed 1s")
	})
}

// A request to stop asks who is waited for; the second, or the first if the command
// had been asked, kills; and none has an effect on the killing.
func TestRunStopRequestsAmongLeftovers(t *testing.T) {
	onStage(t, leavingConfig(WaitForLeftovers), func(s *stage) {
		s.kernel.deaf = map[int]bool{50: true}
		s.run()
		s.leave(orphanProc(50))
		s.wait(100 * sec)
		s.wantSignals()
		s.signal(syscall.SIGTERM)
		s.goesOn()
		s.signal(syscall.SIGQUIT)
		s.goesOn()
		s.signal(syscall.SIGINT)
		s.wantFates("50 killed 0s")
		s.wantSignals("1m40s signal 50 TERM", "1m40s signal 50 CONT", "1m40s kill descendants")
	})
	onStage(t, leavingConfig(StopLeftovers), func(s *stage) {
		s.kernel.deaf = map[int]bool{50: true}
		s.run()
		s.signal(syscall.SIGTERM)
		s.leave(orphanProc(50))
		s.wait(sec)
		s.signal(syscall.SIGTERM)
		s.wantFates("50 killed 900ms")
		s.wantSignals("0s signal 42 TERM", "100ms signal 50 TERM", "100ms signal 50 CONT", "1s kill descendants")
	})
}

// Who cannot be killed is given up, and told; signals meanwhile change nothing.
func TestRunLeftoversSurvive(t *testing.T) {
	onStage(t, leavingConfig(KillLeftovers), func(s *stage) {
		s.kernel.immortal = map[int]bool{50: true}
		s.run()
		s.leave(orphanProc(50), orphanProc(51))
		s.wait(sec)
		s.signal(syscall.SIGTERM, syscall.SIGINT, syscall.SIGTERM)
		s.goesOn()
		s.wait(sweepPatience)
		s.wantFates("50 left 0s, 51 killed 0s")
		for _, call := range s.kernel.calls {
			if strings.Contains(call, "signal 5") {
				t.Errorf("asked where only KILL was to be sent: %s", call)
			}
		}
		if !slices.Contains(s.told, "LeftoversSurvived pid 0") {
			t.Errorf("told %q", s.told)
		}
	})
}

// What is to be kept is told, and left alone, also by requests to stop.
func TestRunKeepsLeftovers(t *testing.T) {
	onStage(t, leavingConfig(KeepLeftovers), func(s *stage) {
		s.run()
		s.leave(orphanProc(50))
		s.signal(syscall.SIGTERM, syscall.SIGTERM)
		s.goesOn()
		s.wait(sec)
		s.wantFates("50 left 0s")
		s.wantSignals()
	})
	onStage(t, Config{}, func(s *stage) {
		s.run()
		s.leave(orphanProc(50))
		s.wantFates("")
		if s.kernel.looks != 0 {
			t.Errorf("%d looks", s.kernel.looks)
		}
	})
}

// The time limit asks the command and everybody else at once; one deadline holds
// for all of them. Who ends before the command is no leftover.
func TestRunTimeLimit(t *testing.T) {
	cfg := leavingConfig(StopLeftovers)
	cfg.TimeLimit = 9 * sec
	onStage(t, cfg, func(s *stage) {
		s.kernel.deaf = map[int]bool{51: true}
		s.kernel.ends[syscall.SIGTERM] = false
		s.run()
		s.kernel.mu.Lock()
		s.kernel.tree = []reap.Proc{orphanProc(50), orphanProc(51)}
		s.kernel.mu.Unlock()
		s.wait(10 * sec)
		s.wantSignals("9s signal 42 TERM", "9s signal 50 TERM", "9s signal 50 CONT", "9s signal 51 TERM", "9s signal 51 CONT")
		s.wait(10 * sec)
		res := s.end()
		if got := fates(res); got != "51 killed 5s" || !res.TimedOut || res.Status != reap.SignalStatus(syscall.SIGKILL) {
			t.Errorf("%q, %+v", got, res)
		}
		s.wantSignals("9s signal 42 TERM", "9s signal 50 TERM", "9s signal 50 CONT", "9s signal 51 TERM", "9s signal 51 CONT",
			"14s signal 42 KILL", "14s kill descendants")
	})
	onStage(t, cfg, func(s *stage) {
		s.run()
		s.wait(5 * sec)
		s.exit(exited(3))
		if res := s.end(); res.TimedOut {
			t.Errorf("%+v", res)
		}
	})
}

// Where /proc cannot be read the children are asked and killed by their numbers,
// and the result says that there may have been more.
func TestRunLeftoversWithoutProc(t *testing.T) {
	cfg := leavingConfig(StopLeftovers)
	cfg.InspectLeftovers = true
	onStage(t, cfg, func(s *stage) {
		s.kernel.noProc = true
		s.kernel.deaf = map[int]bool{51: true}
		s.run()
		s.wait(sec)
		if s.kernel.looks != 1 {
			t.Errorf("%d looks at what cannot be read", s.kernel.looks)
		}
		s.leave(orphanProc(50), orphanProc(51))
		s.wait(6 * sec)
		s.wantFates("50 stopped 0s, 51 killed 5s")
		if !s.result.Blind {
			t.Error("the result does not say so")
		}
	})
}

// Who started an orphan is told, though that one has ended, and a zombie that the
// command has left to reaper is told with its parent.
func TestRunInspectsLeftovers(t *testing.T) {
	cfg := leavingConfig(StopLeftovers)
	cfg.InspectLeftovers = true
	onStage(t, cfg, func(s *stage) {
		s.run()
		zombie := reap.Proc{PID: 70, PPID: commandPID, State: 'Z', Name: "z", Start: 1, Threads: 1}
		middle, child := orphanProc(50), orphanProc(51)
		middle.PPID, child.PPID = commandPID, 50
		set := func(procs ...reap.Proc) {
			s.kernel.mu.Lock()
			s.kernel.tree = procs
			s.kernel.mu.Unlock()
		}
		set(middle, child, zombie)
		s.wait(sec)
		child.PPID = os.Getpid()
		set(child)
		s.exit(exited(3), reap.Exit{PID: 70, Status: reap.ExitStatus(4)})
		s.wait(sec)
		s.wantFates("70 unreaped 0s, 51 stopped 0s")
		var lines []string
		for _, l := range s.result.Leftovers {
			lines = append(lines, fmt.Sprint(l.PID, l.Orphan, l.Reaped, l.Status, l.Ancestors))
		}
		want := []string{"70 false true exit 4 [{42  []}]", "51 true true signal 15 [{50 p50 []} {42  []}]"}
		if !slices.Equal(lines, want) {
			t.Errorf("got %q, want %q", lines, want)
		}
	})
}

// Who has had the TERM of the whole group gets only CONT when the command is gone.
func TestRunAsksGroupOnce(t *testing.T) {
	cfg := leavingConfig(StopLeftovers)
	cfg.Group = true
	onStage(t, cfg, func(s *stage) {
		s.kernel.deaf = map[int]bool{50: true, 51: true}
		s.run()
		member, other := orphanProc(50), orphanProc(51)
		member.PGID = commandPID
		s.kernel.mu.Lock()
		s.kernel.tree = []reap.Proc{member, other}
		s.kernel.mu.Unlock()
		s.signal(syscall.SIGTERM)
		s.exit(exited(3))
		s.wait(sec)
		s.wantSignals("100ms signal 50 CONT", "100ms signal 51 TERM", "100ms signal 51 CONT")
		s.wait(5 * sec)
		s.wantFates("50 killed 5.1s, 51 killed 5s")
	})
}

// The terminal is taken back when the command has ended, and not only when its
// leftovers have: a shell may be waiting in reaper's group.
func TestRunTakesTerminalFromLeftovers(t *testing.T) {
	onStage(t, leavingConfig(StopLeftovers), func(s *stage) {
		s.kernel.deaf = map[int]bool{50: true}
		s.kernel.tty = Terminal{Present: true, Foreground: commandPID, Own: ownGroup}
		s.run()
		s.leave(orphanProc(50))
		if !slices.Contains(s.kernel.calls, fmt.Sprintf("0s foreground %d", ownGroup)) {
			t.Errorf("calls %q", s.kernel.calls)
		}
		s.wait(6 * sec)
		s.wantFates("50 killed 5s")
	})
}

// However long a sweep takes, who has been killed has the time to end: the next one
// finds nobody.
func TestRunSlowSweep(t *testing.T) {
	onStage(t, leavingConfig(KillLeftovers), func(s *stage) {
		s.kernel.killCost = 2 * sweepPatience
		s.kernel.immortal = map[int]bool{50: true} // for the first
		s.run()
		s.leave(orphanProc(50))
		s.wait(3 * sweepPatience)
		s.kernel.mu.Lock()
		delete(s.kernel.immortal, 50)
		s.kernel.mu.Unlock()
		s.wait(3 * sweepPatience)
		s.wantFates("50 killed 20.25s")
	})
}
