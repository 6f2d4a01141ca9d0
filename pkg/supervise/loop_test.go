package supervise

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
)

const sec = time.Second

func exited(code int) reap.Exit {
	return reap.Exit{PID: commandPID, Status: reap.ExitStatus(code)}
}

func orphan(pid int) reap.Exit { return reap.Exit{PID: pid} }

// What the command ended with comes out, whatever it was (pitfall 22).
func TestRunPassesStatusOn(t *testing.T) {
	usage := reap.Usage{User: 3 * sec, System: sec, MaxRSS: 1 << 20}
	for _, status := range []reap.Status{
		reap.ExitStatus(0), reap.ExitStatus(1), reap.ExitStatus(130), reap.ExitStatus(255),
		reap.SignalStatus(syscall.SIGINT), reap.SignalStatus(syscall.SIGABRT) | 0x80, reap.SignalStatus(64),
	} {
		onStage(t, Config{}, func(s *stage) {
			s.run()
			s.goesOn()
			s.exit(reap.Exit{PID: commandPID, Status: status, Usage: usage})
			if got, want := s.end(), (Result{PID: commandPID, Status: status, Usage: usage}); !reflect.DeepEqual(got, want) {
				t.Errorf("result %+v, want %+v", got, want)
			}
			s.wantTold("CommandStarted", "CommandExited "+status.String())
			s.wantCalls("0s start command")
		})
	}
}

// Orphans are counted and told, those too that come with the command's end, and
// one that has been given the command's pid after it was reaped (pitfall 24).
func TestRunCountsOrphans(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.run()
		s.exit(reap.Exit{PID: 50, Name: "daemon", Status: reap.ExitStatus(1)})
		s.goesOn()
		s.exit(orphan(51), exited(3), orphan(52), reap.Exit{PID: commandPID, Status: reap.ExitStatus(9)})
		if got, want := s.end(), (Result{PID: commandPID, Status: reap.ExitStatus(3), Orphans: 4}); !reflect.DeepEqual(got, want) {
			t.Errorf("result %+v, want %+v", got, want)
		}
		s.wantTold("CommandStarted", "OrphanReaped pid 50 daemon exit 1", "OrphanReaped pid 51 exit 0",
			"CommandExited exit 3", "OrphanReaped pid 52 exit 0", "OrphanReaped exit 9")
	})
}

// Children that were there before Run may have exited before anybody could be
// told (pitfall 7): they do not wait for the next signal.
func TestRunReapsWhatWasThereBefore(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.kernel.exit(orphan(50), orphan(51))
		s.run()
		s.wantTold("CommandStarted", "OrphanReaped pid 50 exit 0", "OrphanReaped pid 51 exit 0")
		s.exit(exited(0))
		s.end()
	})
}

// A command that has ended before Run could look is not waited for (pitfall 57).
func TestRunCommandEndsAtOnce(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.kernel.atStart = func() { s.kernel.zombies = append(s.kernel.zombies, exited(4)) }
		s.run()
		if got := s.end(); got.Status != reap.ExitStatus(4) {
			t.Errorf("result %+v", got)
		}
	})
}

// One SIGCHLD stands for any number of exits (pitfall 15).
func TestRunCoalescedExits(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.run()
		const many = 1000
		for pid := range many {
			s.kernel.exit(orphan(1000 + pid))
		}
		s.exit(exited(0))
		if got := s.end(); got.Orphans != many {
			t.Errorf("%d orphans, want %d", got.Orphans, many)
		}
	})
}

// Whatever wakes the loop, it drains: a SIGCHLD may have been merged with one
// whose drain came too early (pitfalls 15 and 17).
func TestRunDrainsAtEachWake(t *testing.T) {
	for name, wake := range map[string]func(*stage){
		"a child": func(s *stage) { s.wake() },
		"a signal": func(s *stage) {
			s.signal(syscall.SIGHUP)
		},
		"a signal that is dropped": func(s *stage) { s.signal(syscall.SIGWINCH) },
		"a deadline": func(s *stage) {
			s.signal(syscall.SIGTERM)
			s.kernel.exit(orphan(51))
			s.wait(5 * sec)
		},
		"the end of the context": func(s *stage) { s.cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{StopDelay: 5 * sec, Rewrite: map[syscall.Signal]syscall.Signal{syscall.SIGWINCH: 0}}
			onStage(t, cfg, func(s *stage) {
				s.run()
				s.kernel.exit(orphan(50))
				wake(s)
				s.goesOn()
				if len(s.kernel.zombies) > 0 {
					t.Errorf("not reaped: %+v", s.kernel.zombies)
				}
				s.exit(exited(0))
				s.end()
			})
		})
	}
}

// A stop request waits for the delay, and is passed on then to the nanosecond.
func TestRunStopDelay(t *testing.T) {
	onStage(t, Config{StopDelay: 3 * sec}, func(s *stage) {
		s.run()
		s.wait(sec)
		s.signal(syscall.SIGTERM, syscall.SIGHUP)
		s.wait(3*sec - 1)
		s.wantCalls("0s start command", "1s signal 42 HUP")
		s.wait(1)
		s.wantCalls("0s start command", "1s signal 42 HUP", "4s signal 42 TERM")
		s.wait(24 * time.Hour) // without a timeout it may take for ever
		s.goesOn()
		s.exit(exited(0))
		s.end()
		s.wantTold("CommandStarted", "StopDelayed TERM 3s", "SignalSent HUP", "SignalSent TERM", "CommandExited exit 0")
	})
}

// The command is killed when the timeout is over, and not before.
func TestRunStopTimeout(t *testing.T) {
	onStage(t, Config{StopTimeout: 10 * sec, StopSignal: syscall.SIGINT}, func(s *stage) {
		s.run()
		s.wait(sec)
		s.signal(syscall.SIGTERM)
		s.wait(10*sec - 1)
		s.goesOn()
		s.wantCalls("0s start command", "1s signal 42 INT")
		s.wait(1)
		if got := s.end(); got.Status != reap.SignalStatus(syscall.SIGKILL) {
			t.Errorf("result %+v", got)
		}
		s.wantCalls("0s start command", "1s signal 42 INT", "11s signal 42 KILL")
		s.wantTold("CommandStarted", "SignalSent TERM as INT", "KillTimeout 10s", "SignalSent as KILL", "CommandExited signal 9")
	})
}

// The timeout begins when the delay is over.
func TestRunStopDelayThenTimeout(t *testing.T) {
	onStage(t, Config{StopDelay: 3 * sec, StopTimeout: 10 * sec}, func(s *stage) {
		s.run()
		s.signal(syscall.SIGINT)
		s.wait(time.Hour)
		s.end()
		s.wantCalls("0s start command", "3s signal 42 INT", "13s signal 42 KILL")
	})
}

// A command that ends in time is not killed, and nothing happens after Run.
func TestRunStopInTime(t *testing.T) {
	onStage(t, Config{StopTimeout: 10 * sec}, func(s *stage) {
		s.kernel.ends[syscall.SIGTERM] = true
		s.run()
		s.signal(syscall.SIGTERM)
		if got := s.end(); got.Status != reap.SignalStatus(syscall.SIGTERM) {
			t.Errorf("result %+v", got)
		}
		s.wait(time.Hour)
		s.wantCalls("0s start command", "0s signal 42 TERM")
	})
}

// A duration so long that no clock reaches it does not come round to the past.
func TestRunStopTimeoutForEver(t *testing.T) {
	onStage(t, Config{StopTimeout: math.MaxInt64, StopDelay: math.MaxInt64}, func(s *stage) {
		s.run()
		s.signal(syscall.SIGTERM)
		s.wait(24 * time.Hour)
		s.wantCalls("0s start command")
		s.signal(syscall.SIGTERM)
		s.wait(24 * time.Hour)
		s.goesOn()
		s.wantCalls("0s start command", "24h0m0s signal 42 TERM")
		s.exit(exited(0))
		s.end()
	})
}

// A second request ends the delay; the timer of the delay must not count as the
// timeout's. While stopping, a second TERM or INT kills, QUIT is passed on.
func TestRunSecondRequest(t *testing.T) {
	onStage(t, Config{StopDelay: 3 * sec, StopTimeout: 10 * sec}, func(s *stage) {
		s.run()
		s.signal(syscall.SIGTERM)
		s.wait(sec)
		s.signal(syscall.SIGINT)
		s.wait(8 * sec)
		s.signal(syscall.SIGQUIT)
		s.goesOn()
		s.wait(2*sec - 1)
		s.wantCalls("0s start command", "1s signal 42 INT", "9s signal 42 QUIT")
		s.wait(1)
		s.end()
		s.wantCalls("0s start command", "1s signal 42 INT", "9s signal 42 QUIT", "11s signal 42 KILL")
	})
	onStage(t, Config{StopTimeout: 10 * sec}, func(s *stage) {
		s.run()
		s.signal(syscall.SIGINT)
		s.wait(sec)
		s.signal(syscall.SIGINT)
		s.end()
		s.wantCalls("0s start command", "0s signal 42 INT", "1s signal 42 KILL")
		s.wantTold("CommandStarted", "SignalSent INT", "KillRequested INT", "SignalSent INT as KILL", "CommandExited signal 9")
	})
}

// The end of the context asks for a stop, once, whatever TERM is rewritten to.
func TestRunContext(t *testing.T) {
	for _, rewrite := range []map[syscall.Signal]syscall.Signal{
		nil, {syscall.SIGTERM: 0}, {syscall.SIGTERM: syscall.SIGHUP},
	} {
		cfg := Config{StopTimeout: 10 * sec, Rewrite: rewrite}
		onStage(t, cfg, func(s *stage) {
			s.run()
			s.cancel()
			s.wait(time.Hour)
			s.end()
			s.wantCalls("0s start command", "0s signal 42 TERM", "10s signal 42 KILL")
		})
		onStage(t, cfg, func(s *stage) {
			s.cancel()
			s.run()
			if got, want := s.end(), (Result{Aborted: syscall.SIGTERM}); !reflect.DeepEqual(got, want) {
				t.Errorf("result %+v, want %+v", got, want)
			}
			s.wantCalls()
		})
	}
}

// A signal that came before the command existed waits for it (pitfall 3).
func TestRunEarlySignals(t *testing.T) {
	onStage(t, Config{Rewrite: map[syscall.Signal]syscall.Signal{syscall.SIGUSR1: syscall.SIGUSR2}}, func(s *stage) {
		s.signal(syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGHUP, syscall.Signal(34))
		s.run()
		s.wantCalls("0s start command", "0s signal 42 HUP", "0s signal 42 USR2", "0s signal 42 HUP", "0s signal 42 34")
		s.exit(exited(0))
		s.end()
	})
}

// A stop request that came before aborts the start (pitfall 3); what came with
// it is for nobody.
func TestRunEarlyStop(t *testing.T) {
	onStage(t, Config{StopDelay: sec}, func(s *stage) {
		s.signal(syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1)
		s.run()
		if got, want := s.end(), (Result{Aborted: syscall.SIGINT}); !reflect.DeepEqual(got, want) {
			t.Errorf("result %+v, want %+v", got, want)
		}
		s.wantCalls()
		s.wantTold("StopAborted pid 0 INT")
	})
}

// A signal that comes while the program is being executed meets the program
// (pitfalls 1, 2 and 57).
func TestRunSignalDuringStart(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.kernel.atStart = func() {
			s.sigs <- syscall.SIGHUP
			s.sigs <- syscall.SIGTERM
		}
		s.run()
		s.wantCalls("0s start command", "0s signal 42 HUP", "0s signal 42 TERM")
		s.exit(exited(0))
		s.end()
	})
}

// A failed start is an error, as it came; there is nobody to signal (pitfalls 3 and 8).
func TestRunStartFails(t *testing.T) {
	onStage(t, Config{StopTimeout: sec}, func(s *stage) {
		s.kernel.startErr = &reap.StartError{Op: "find", Path: "command", Err: syscall.ENOENT}
		s.signal(syscall.SIGHUP)
		s.run()
		<-s.done
		if !errors.Is(s.err, s.kernel.startErr) || !reflect.DeepEqual(s.result, Result{}) {
			t.Errorf("Run = %+v, %v; want the error of the start", s.result, s.err)
		}
		s.signal(syscall.SIGTERM)
		s.wait(time.Hour)
		s.wantCalls("0s start command")
		s.wantTold()
	})
}

// With a configuration that is wrong nothing is tried.
func TestRunChecksConfig(t *testing.T) {
	onStage(t, Config{StopDelay: -1}, func(s *stage) {
		_, err := s.supervisor.Run(context.Background(), s.chld, s.sigs)
		if err == nil || err.Error() != "check configuration: StopDelay: negative duration -1ns" {
			t.Errorf("Run: %v", err)
		}
		s.wantCalls()
	})
}

// Somebody else has waited for the command (pitfall 18): as long as there are
// other children nobody knows; when there are none, Run does not wait for ever.
func TestRunCommandLost(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.run()
		s.kernel.command, s.kernel.others, s.kernel.lenient = false, 1, true
		s.wake()
		s.goesOn()
		s.kernel.others = 0
		s.exit(orphan(50))
		if got, want := s.end(), (Result{PID: commandPID, Lost: true, Orphans: 1}); !reflect.DeepEqual(got, want) {
			t.Errorf("result %+v, want %+v", got, want)
		}
		s.wantTold("CommandStarted", "OrphanReaped pid 50 exit 0", "CommandLost")
	})
}

// A command that may not be signalled any more, as it has changed its user,
// does not end the loop (pitfall 48).
func TestRunSignalRefused(t *testing.T) {
	for _, group := range []bool{false, true} {
		onStage(t, Config{Group: group, StopTimeout: 10 * sec}, func(s *stage) {
			s.kernel.refused = syscall.EPERM
			s.run()
			s.signal(syscall.SIGHUP)
			s.signal(syscall.SIGTERM)
			s.wait(time.Hour)
			s.goesOn()
			s.exit(orphan(50), exited(6))
			if got := s.end(); got.Status != reap.ExitStatus(6) || got.Orphans != 1 {
				t.Errorf("result %+v", got)
			}
			s.wantTold("CommandStarted",
				"CallFailed: operation not permitted", "CallFailed: operation not permitted",
				"KillTimeout 10s", "CallFailed: operation not permitted",
				"OrphanReaped pid 50 exit 0", "CommandExited exit 6")
		})
	}
}

// A wait that fails does not end the loop, and takes no exit with it that came
// before: the kernel would not tell it again.
func TestRunDrainFails(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.run()
		s.kernel.drainErr = syscall.EINVAL
		s.wake()
		s.goesOn() // and the command does not count as lost
		s.kernel.drainErr = syscall.EINVAL
		s.exit(orphan(50), exited(7))
		if got := s.end(); got.Status != reap.ExitStatus(7) || got.Orphans != 1 {
			t.Errorf("result %+v", got)
		}
		s.wantTold("CommandStarted", "CallFailed pid 0: invalid argument", "CallFailed pid 0: invalid argument",
			"OrphanReaped pid 50 exit 0", "CommandExited exit 7")
	})
}

// With Group the group gets it, the kill too; a command that has left its group
// gets it alone (pitfall 29).
func TestRunGroup(t *testing.T) {
	onStage(t, Config{Group: true}, func(s *stage) {
		s.run()
		s.signal(syscall.SIGHUP)
		s.kernel.leftGroup = true
		s.signal(syscall.SIGTERM, syscall.SIGTERM)
		s.end()
		s.wantCalls("0s start command", "0s group 42 HUP", "0s group 42 TERM", "0s signal 42 TERM",
			"0s group 42 KILL", "0s signal 42 KILL")
		s.wantTold("CommandStarted", "SignalSent HUP", "SignalSent TERM",
			"KillRequested TERM", "SignalSent TERM as KILL", "CommandExited signal 9")
	})
}

// A signal that nobody got is told.
func TestRunSignalMissed(t *testing.T) {
	onStage(t, Config{Group: true}, func(s *stage) {
		s.run()
		s.kernel.command, s.kernel.others, s.kernel.lenient = false, 1, true
		s.signal(syscall.SIGHUP)
		s.wantTold("CommandStarted", "SignalMissed HUP")
		s.kernel.others = 0
		s.wake()
		s.end()
	})
}

// The command ends and a signal arrives at once. Whichever is seen first, a pid
// is never signalled after it was reaped (pitfalls 24 and 49).
func TestRunSignalMeetsExit(t *testing.T) {
	first := make(map[int]bool)
	for range 50 {
		onStage(t, Config{}, func(s *stage) {
			s.supervisor.OnEvent = func(ev Event) { // while the loop is busy, so that it finds both
				if ev.Kind == OrphanReaped {
					s.kernel.exit(exited(5))
					s.notify()
					s.sigs <- syscall.SIGHUP
					s.sigs <- syscall.SIGTERM
				}
			}
			s.run()
			s.exit(orphan(50))
			if got := s.end(); got.Status != reap.ExitStatus(5) {
				t.Errorf("result %+v", got)
			}
			first[len(s.kernel.calls)] = true
		})
	}
	if len(first) < 2 {
		t.Errorf("only one order was tried: %v", first)
	}
}

// The signals of the C library are forwarded as any other.
func TestRunSignalsOfTheLibrary(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.run()
		s.signal(syscall.Signal(32), syscall.Signal(33))
		s.wantCalls("0s start command", "0s signal 42 32", "0s signal 42 33")
		s.kernel.ends[34] = true
		s.signal(syscall.Signal(34))
		if got := s.end(); got.Status.Signal() != 34 {
			t.Errorf("result %+v", got)
		}
	})
}

// Neither OnEvent nor a context that can end has to be there.
func TestRunBare(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.supervisor.OnEvent = nil
		s.ctx = context.Background()
		s.run()
		s.signal(syscall.SIGHUP)
		s.exit(orphan(50), exited(0))
		s.end()
	})
}

// A stop is looked at before the exits, while the pid is the command's for sure;
// after its end it is not looked for any more.
func TestRunJobBeforeExits(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.run()
		s.kernel.asked = []string{}
		s.kernel.changes = []jobChange{{reap.JobStopped, syscall.SIGSTOP}}
		s.wake()
		s.kernel.changes = []jobChange{{reap.JobContinued, syscall.SIGCONT}}
		s.exit(orphan(50), exited(0))
		s.end()
		if want := []string{"job", "drain", "job", "drain"}; !slices.Equal(s.kernel.asked, want) {
			t.Errorf("asked %q, want %q", s.kernel.asked, want)
		}
		s.wantTold("CommandStarted", "CommandStopped STOP", "CommandContinued",
			"OrphanReaped pid 50 exit 0", "CommandExited exit 0")
	})
}

// ^Z stops the command; reaper gives the terminal back to the shell's job, stops
// too, and after fg hands the terminal on and continues the command (pitfall 44).
// The shell's own SIGCONT is not forwarded on top of that. At the end the
// terminal is the job's again.
func TestRunSuspend(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.kernel.tty = Terminal{Present: true, Foreground: commandPID, Own: ownGroup}
		s.kernel.changes = []jobChange{{}, {reap.JobStopped, syscall.SIGTSTP}, {reap.JobContinued, syscall.SIGCONT}}
		s.kernel.atSuspend = func() {
			if s.kernel.tty.Foreground != ownGroup {
				t.Errorf("stopped while group %d has the terminal", s.kernel.tty.Foreground)
			}
			s.sigs <- syscall.SIGCONT
		}
		s.run()
		s.wake()
		s.signal(syscall.SIGCONT)
		s.exit(exited(0))
		s.end()
		s.wantCalls("0s start command", "0s foreground 7", "0s stop own group TSTP",
			"0s foreground 42", "0s group 42 CONT", "0s signal 42 CONT", "0s foreground 7")
		s.wantTold("CommandStarted", "CommandStopped TSTP", "Suspended TSTP", "SignalSent CONT",
			"CommandContinued", "SignalSent CONT", "CommandExited exit 0")
	})
}

// A terminal that cannot be handed over is no reason to end (pitfall 40).
func TestRunTerminalRefused(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.kernel.tty = Terminal{Present: true, Foreground: commandPID, Own: ownGroup}
		s.kernel.changes = []jobChange{{}, {reap.JobStopped, syscall.SIGTSTP}}
		s.kernel.unhanded = syscall.EPERM
		s.run()
		s.wake()
		s.goesOn()
		s.exit(exited(2))
		if got := s.end(); got.Status != reap.ExitStatus(2) {
			t.Errorf("result %+v", got)
		}
		s.wantTold("CommandStarted", "CommandStopped TSTP", "CallFailed: operation not permitted", "Suspended TSTP",
			"SignalSent CONT", "CommandExited exit 2", "CallFailed pid 0: operation not permitted")
	})
}

// The terminal is left alone at the end unless the command's group has it.
func TestRunLeavesTerminal(t *testing.T) {
	for foreground, want := range map[int][]string{
		commandPID: {"0s start command", "0s foreground 7"},
		shellGroup: {"0s start command"},
		ownGroup:   {"0s start command"},
		0:          {"0s start command"}, // it has hung up
	} {
		onStage(t, Config{}, func(s *stage) {
			s.kernel.tty = Terminal{Present: true, Foreground: foreground, Own: ownGroup}
			s.run()
			s.exit(exited(0))
			s.end()
			s.wantCalls(want...)
		})
	}
}

// A stopped command is continued after the stop signal, or it could not act on
// it (pitfall 42).
func TestRunStopOfStoppedCommand(t *testing.T) {
	onStage(t, Config{}, func(s *stage) {
		s.kernel.changes = []jobChange{{}, {reap.JobStopped, syscall.SIGSTOP}}
		s.run()
		s.wake()
		s.signal(syscall.SIGTERM)
		s.wantCalls("0s start command", "0s signal 42 TERM", "0s group 42 CONT")
		s.exit(exited(0))
		s.end()
	})
}

// Where the group is to be told of the end, the command is reaped after that, and
// never before, even if it ends between the two looks (pitfall 24).
func TestRunEndSignal(t *testing.T) {
	cfg := Config{EndSignal: syscall.SIGTERM, ForwardOnly: true}
	onStage(t, cfg, func(s *stage) {
		s.kernel.others = 1
		s.run()
		s.exit(reap.Exit{PID: 50}, reap.Exit{PID: commandPID, Status: reap.ExitStatus(3)}, reap.Exit{PID: 51})
		if res := s.end(); res.Status != reap.ExitStatus(3) || res.Orphans != 2 {
			t.Errorf("got %+v", res)
		}
		s.wantCalls("0s start command", "0s group 42 TERM")
		s.wantTold("CommandStarted", "SignalSent TERM", "OrphanReaped pid 50 exit 0", "CommandExited exit 3", "OrphanReaped pid 51 exit 0")
	})
	onStage(t, cfg, func(s *stage) {
		s.kernel.others = 1
		s.kernel.atExited = func() { // it was asked, and now the command exits
			s.kernel.atExited = nil
			s.kernel.zombies = append(s.kernel.zombies, reap.Exit{PID: commandPID, Status: reap.ExitStatus(3)})
			s.notify()
		}
		s.run()
		if res := s.end(); res.Status != reap.ExitStatus(3) {
			t.Errorf("got %+v", res)
		}
		s.wantCalls("0s start command", "0s group 42 TERM")
	})
	// Taken away by somebody else: there is no group that is known to be the command's.
	onStage(t, cfg, func(s *stage) {
		s.run()
		s.kernel.mu.Lock()
		s.kernel.command, s.kernel.lenient = false, true
		s.kernel.mu.Unlock()
		s.wake()
		if res := s.end(); !res.Lost {
			t.Errorf("got %+v", res)
		}
		s.wantCalls("0s start command")
	})
}

// Without a command orphans are reaped until a signal ends it.
func TestRunPause(t *testing.T) {
	onStage(t, Config{NoCommand: true}, func(s *stage) {
		s.kernel.exit(reap.Exit{PID: 49}) // before there was a handler
		s.run()
		if len(s.kernel.zombies) > 0 {
			t.Error("who was there before was not reaped")
		}
		s.exit(reap.Exit{PID: 50})
		s.signal(syscall.SIGHUP)
		s.goesOn()
		s.signal(syscall.SIGTERM)
		if res := s.end(); res.Status != 0 || res.Orphans != 2 {
			t.Errorf("got %+v", res)
		}
		s.wantCalls()
	})
}

// A signal that stops this process too is forwarded before.
func TestRunStopSelf(t *testing.T) {
	cfg := Config{Group: true, ForwardOnly: true, StopSelf: reap.Signals(syscall.SIGTSTP)}
	onStage(t, cfg, func(s *stage) {
		s.run()
		s.signal(syscall.SIGTSTP)
		s.kernel.changes = []jobChange{{reap.JobStopped, syscall.SIGTSTP}}
		s.wake()
		s.exit(reap.Exit{PID: commandPID})
		s.end()
		s.wantCalls("0s start command", "0s group 42 TSTP", "0s stop self")
	})
}
