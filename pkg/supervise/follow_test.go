package supervise

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
	"github.com/reaper-init/reaper/pkg/supervise/notify"
)

const daemonPID = 50

// forkingCases are the part of the specification that is about a daemon.
func forkingCases() []stepCase {
	const ms = time.Millisecond
	forking := &Config{Type: ForkingType, StopTimeout: 10 * sec, StopDelay: 3 * sec}
	byFile := &Config{Type: ForkingType, PIDFile: "x", StopTimeout: 10 * sec}
	timed := &Config{Type: ForkingType, PIDFile: "x", StartTimeout: 5 * sec, StopTimeout: 10 * sec, Grace: 4 * sec, Leftovers: StopLeftovers}
	again := &Config{Type: ForkingType, Restart: RestartAlways, RestartDelay: sec}
	ending := &Config{Type: ForkingType, StopSignal: syscall.SIGUSR1, Rewrite: map[syscall.Signal]syscall.Signal{syscall.SIGUSR2: syscall.SIGKILL}}
	failing := &Config{Type: ForkingType, Restart: RestartOnFailure, RestartDelay: sec}

	launcher := func(s state, c *Config) machine {
		m := machineIn(s, c)
		m.waits = waitFollow
		if c.StartTimeout > 0 {
			m.startBy = epoch().Add(c.StartTimeout)
		}
		return m
	}
	looking := func(c *Config, s search) machine {
		m := launcher(seeking, c)
		m.search = s
		return m
	}
	daemon := func(s state, c *Config) machine {
		m := machineIn(s, c)
		m.pid, m.result.PID, m.followed = daemonPID, daemonPID, true
		m.born = epoch()
		return m
	}
	wantsDown := func(m machine) machine {
		m.request, m.wantDown = event{sig: syscall.SIGTERM, from: syscall.SIGTERM}, true
		return m
	}
	after := func(d time.Duration, ev event) event {
		ev.now = epoch().Add(d)
		return ev
	}
	found := event{kind: evSought, pid: daemonPID, count: 1}
	several := event{kind: evSought, count: 3, err: &FollowError{Candidates: []reap.Proc{{PID: 50}, {PID: 51}}}}
	notYet := event{kind: evSought, count: 1, err: &FollowError{Err: errors.New("late")}}
	hostile := event{kind: evSought, count: 1, final: true, err: &FollowError{Err: errors.New("hostile")}}
	nobody := event{kind: evSought}
	stray := event{kind: evStray, pid: 51, status: reap.ExitStatus(7)}
	typing := func(sig syscall.Signal) event {
		ev := came(sig)
		ev.terminal = Terminal{Present: true, Foreground: ownGroup, Own: ownGroup}
		return ev
	}
	s := looking(forking, search{})
	withStray := looking(forking, search{})
	withStray.stray = stray.asStray()
	waiting := s.wait(came(syscall.SIGHUP)).wait(came(syscall.SIGUSR1)).wait(came(syscall.SIGHUP))
	wait := func(m machine, delay time.Duration) machine {
		m.search.stopAt = epoch().Add(delay)
		return m
	}

	cases := []stepCase{
		// The launcher's exit with 0 begins the search; any other end is the end.
		{launcher(up, forking), exit(0), seeking, guessPatience, "CommandExited exit 0; seek"},
		{launcher(up, byFile), exit(0), seeking, filePatience, "CommandExited exit 0; seek"},
		{launcher(up, timed), exit(0), seeking, 5 * sec, "CommandExited exit 0; seek"},
		{launcher(up, forking), exit(3), done, 0, "CommandExited exit 3"},
		{launcher(up, forking), killedBy(syscall.SIGTERM), done, 0, "CommandExited signal 15"},
		{launcher(stopping, forking), exit(0), seeking, guessPatience, "CommandExited exit 0; seek"},
		{launcher(delaying, forking), exit(0), seeking, guessPatience, "CommandExited exit 0; seek"},
		{launcher(killing, forking), exit(0), done, 0, "CommandExited exit 0"},
		{launcher(up, again), exit(3), backoff, sec, "CommandExited exit 3; conclude; Restarting 1s 1 failed"},

		// One process is the daemon when it has been the only one for a moment.
		{s, found, seeking, guessPatience, ""},
		{looking(forking, search{guess: daemonPID, since: epoch()}), after(stillness-1, found), seeking, guessPatience - stillness + 1, ""},
		{looking(forking, search{guess: daemonPID, since: epoch()}), after(stillness, found), up, 0, "DaemonFollowed; Ready"},
		{looking(forking, search{guess: 49, since: epoch()}), after(stillness, found), seeking, guessPatience - stillness, ""},
		{s, several, seeking, guessPatience, ""},
		{s, reached(guessPatience), seeking, 0, "seek"},
		{s, event{kind: evPoll}, seeking, guessPatience, "seek"},
		{looking(forking, search{last: true}), several, done, 0, "DaemonNotFound pid 42: follow daemon: one of 2 processes, and no pid file tells which: 50, 51"},
		// Nobody is left: once may be a mistake.
		{s, nobody, seeking, guessPatience, ""},
		{looking(forking, search{nobody: 1}), nobody, done, 0, "DaemonNotFound pid 42: follow daemon: the command left no process"},
		{looking(forking, search{nobody: 1}), several, seeking, guessPatience, ""},
		{s, event{kind: evEmpty}, done, 0, "DaemonNotFound pid 42: follow daemon: the command left no process"},
		{
			looking(failing, search{}),
			event{kind: evEmpty},
			backoff, sec,
			"DaemonNotFound pid 42: follow daemon: the command left no process; conclude; Restarting pid 42 1s 1 failed: follow daemon: the command left no process",
		},
		// Who has ended meanwhile was the daemon if nobody else is left.
		{withStray, event{kind: evEmpty}, done, 0, "DaemonEnded pid 51 exit 7"},
		{withStray, found, seeking, guessPatience, ""},

		// A pid file needs no moment, and is waited for.
		{looking(byFile, search{}), found, up, 0, "DaemonFollowed; Ready"},
		{looking(byFile, search{}), notYet, seeking, guessPatience, "DaemonAwaited pid 42: follow daemon: late"},
		{looking(byFile, search{told: true}), notYet, seeking, guessPatience, ""},
		{looking(byFile, search{told: true, last: true}), notYet, done, 0, "DaemonNotFound pid 42: follow daemon: late"},
		{looking(byFile, search{}), hostile, done, 0, "DaemonNotFound pid 42: follow daemon: hostile"},

		// Who is asked to stop while the daemon is not known looks once more, and stops what
		// there is.
		{s, came(syscall.SIGTERM), seeking, guessPatience, "seek"},
		{s, event{kind: evCancelled}, seeking, guessPatience, "seek"},
		{wantsDown(s), found, stopping, 10 * sec, "DaemonFollowed; Ready; send TERM"},
		{wait(wantsDown(s), 2*sec), found, delaying, 2 * sec, "DaemonFollowed; Ready"},
		{wantsDown(looking(forking, search{last: true})), several, done, 0, ""},
		// Other signals wait for it, each once, but for those that a terminal sends.
		{s, came(syscall.SIGHUP), seeking, guessPatience, ""},
		{waiting, after(0, found), seeking, guessPatience, ""},
		{s, typing(syscall.SIGTSTP), seeking, guessPatience, "suspend TSTP"},
		{s, typing(syscall.SIGWINCH), seeking, guessPatience, "SignalDropped WINCH"},

		// So they do while the launcher runs, which most of them would kill; but not what asks
		// for its end, nor job control.
		{launcher(up, forking), came(syscall.SIGHUP), up, 0, ""},
		{launcher(up, forking), came(syscall.SIGWINCH), up, 0, ""},
		{launcher(up, forking), came(34), up, 0, ""},
		{launcher(delaying, forking), came(syscall.SIGUSR1), delaying, 3 * sec, ""},
		{launcher(stopping, forking), came(syscall.SIGUSR2), stopping, 10 * sec, ""},
		{launcher(killing, forking), came(syscall.SIGHUP), killing, 0, ""},
		{launcher(up, byFile), came(syscall.SIGTERM), stopping, 10 * sec, "send TERM"},
		{launcher(up, byFile), typing(syscall.SIGINT), stopping, 10 * sec, "group INT"},
		{launcher(up, byFile), came(syscall.SIGQUIT), stopping, 10 * sec, "send QUIT"},
		{launcher(up, ending), came(syscall.SIGUSR1), up, 0, "send USR1"},
		{launcher(up, ending), came(syscall.SIGUSR2), up, 0, "send KILL for USR2"},
		{launcher(up, ending), came(syscall.SIGTERM), stopping, 0, "send USR1 for TERM"},
		{launcher(up, forking), typing(syscall.SIGTSTP), up, 0, "group TSTP"},
		{launcher(up, forking), typing(syscall.SIGWINCH), up, 0, "group WINCH"},
		{launcher(up, forking), came(syscall.SIGTTIN), up, 0, "send TTIN"},
		{launcher(up, forking), came(syscall.SIGTTOU), up, 0, "send TTOU"},
		{launcher(up, forking), came(syscall.SIGCONT), up, 0, "send CONT"},

		// From there on it is the command.
		{daemon(up, forking), came(syscall.SIGHUP), up, 0, "send HUP"},
		{daemon(up, forking), came(syscall.SIGTERM), delaying, 3 * sec, "StopDelayed TERM 3s"},
		{daemon(up, byFile), came(syscall.SIGTERM), stopping, 10 * sec, "send TERM"},
		{daemon(stopping, byFile), reached(10 * sec), killing, 0, "KillTimeout 10s; send KILL"},
		{daemon(up, forking), exit(3), done, 0, "CommandExited exit 3"},
		{daemon(up, forking), after(quick, exit(0)), done, 0, "CommandExited exit 0"},
		{daemon(up, again), killedBy(syscall.SIGKILL), backoff, sec, "CommandExited signal 9; conclude; Restarting 1s 1 failed"},
		// The terminal is nothing to it, and its stop none of reaper.
		{daemon(up, byFile), typing(syscall.SIGINT), stopping, 10 * sec, "send INT"},
		{daemon(up, byFile), typing(syscall.SIGTSTP), up, 0, "suspend TSTP"},
		{daemon(up, byFile), typing(syscall.SIGWINCH), up, 0, "SignalDropped WINCH"},
		{daemon(up, byFile), came(syscall.SIGTSTP), up, 0, "send TSTP"},
		{daemon(up, byFile), event{kind: evStopped, sig: syscall.SIGTSTP, terminal: typing(syscall.SIGTSTP).terminal}, up, 0, "CommandStopped TSTP"},
		// One that has exited with 0 at once, or has written another pid file, may have left
		// another; if not, it was the end.
		{daemon(up, forking), after(quick-1, exit(0)), seeking, guessPatience, "CommandExited exit 0; seek"},
		{daemon(up, byFile), after(time.Hour, exit(0)), seeking, guessPatience, "CommandExited exit 0; seek"},
		{wantsDown(daemon(stopping, byFile)), exit(0), done, 0, "CommandExited exit 0"},

		// The start timeout stops what is not ready, whoever that is, and kills it later.
		{launcher(up, timed), reached(5*sec - 1), up, 0, ""},
		{launcher(up, timed), reached(5 * sec), stopping, 10 * sec, "NotReady 5s; send TERM"},
		{launcher(seeking, timed), reached(5 * sec), settling, 0, "NotReady pid 42 5s"},
		{launcher(stopping, timed), reached(5 * sec), stopping, 5 * sec, ""},
	}
	for st := down; stateName(st) != ""; st++ {
		m := machineIn(st, &Config{Leftovers: WaitForLeftovers})
		left := max(0, m.deadline.Sub(epoch()))
		if m.deadline.IsZero() {
			left = 0
		}
		cases = append(cases, stepCase{m, stray, st, left, ""})
		if st != seeking {
			cases = append(cases, stepCase{m, found, st, left, ""})
		}
	}
	for _, ev := range []event{
		{kind: evBegin},
		{kind: evStarted, pid: 9},
		{kind: evFailed},
		{kind: evStopped},
		{kind: evContinued},
		{kind: evResumed},
		{kind: evEnded},
		exit(3),
		{kind: evLost},
		after(guessPatience-ms, event{kind: evDeadline}),
	} {
		left := guessPatience
		if ev.kind == evDeadline {
			left = ms
		}
		cases = append(cases, stepCase{s, ev, seeking, left, ""})
	}
	return cases
}

// What has waited is sent to the daemon once it is known, each once and in its order, also
// if that is because the command names it; and is forgotten with an instance that leaves none.
func TestStepWaitsForDaemon(t *testing.T) {
	again := &Config{Type: ForkingType, Restart: RestartAlways}
	begin := func(m machine) machine {
		for _, ev := range []event{
			came(syscall.SIGWINCH),
			{kind: evBegin},
			came(syscall.SIGUSR1),
			came(syscall.SIGWINCH),
			{kind: evStarted, pid: commandPID, now: epoch()},
			came(syscall.SIGHUP),
			came(syscall.SIGUSR1),
		} {
			m, _ = m.step(ev)
		}
		return m
	}
	exit := func(code int) event { return event{kind: evExited, status: reap.ExitStatus(code), now: epoch()} }
	found := event{kind: evSought, pid: daemonPID, count: 1, now: epoch().Add(stillness)}
	named := event{kind: evNotify, msg: &notify.Message{MainPID: daemonPID}, pid: daemonPID, child: true, now: epoch()}
	started := event{kind: evStarted, pid: commandPID, now: epoch()}
	for name, tt := range map[string]struct {
		events []event
		want   string
	}{
		"found": {
			[]event{exit(0), came(syscall.SIGUSR2), came(syscall.SIGHUP), {kind: evSought, pid: daemonPID, count: 1, now: epoch()}, found},
			"DaemonFollowed; Ready; send WINCH; send USR1; send HUP; send USR2",
		},
		"named":             {[]event{named}, "DaemonFollowed; Ready; send WINCH; send USR1; send HUP"},
		"failed, and again": {[]event{exit(3), reached(0), started, named}, "DaemonFollowed; Ready"},
		"lost, and again":   {[]event{{kind: evLost, now: epoch()}, reached(0), started, named}, "DaemonFollowed; Ready"},
		"none is found":     {[]event{exit(0), {kind: evEmpty, now: epoch()}, reached(0), started, named}, "DaemonFollowed; Ready"},
		"while it is started": {
			[]event{exit(3), reached(0), came(syscall.SIGHUP), started, named},
			"DaemonFollowed; Ready; send HUP",
		},
	} {
		m := begin(machine{cfg: again})
		var acts []action
		for _, ev := range tt.events {
			m, acts = m.step(ev)
		}
		if got := describe(acts, m.pid); got != tt.want || len(m.queued) != 0 {
			t.Errorf("%s: %q, want %q; %d wait", name, got, tt.want, len(m.queued))
		}
	}
}

func (ev event) asStray() stray { return stray{ev.pid, ev.status, ev.usage} }

// leaves has the launcher exit with 0 and leave processes behind.
func (s *stage) leaves(procs ...reap.Proc) {
	s.kernel.mu.Lock()
	s.kernel.tree = append(s.kernel.tree, procs...)
	s.kernel.mu.Unlock()
	s.exit(exited(0))
}

// ends has a descendant end.
func (s *stage) ends(pid int, status reap.Status) {
	s.kernel.mu.Lock()
	s.kernel.tree = slices.DeleteFunc(s.kernel.tree, func(p reap.Proc) bool { return p.PID == pid })
	s.kernel.mu.Unlock()
	s.exit(reap.Exit{PID: pid, Status: status})
}

func forkingConfig() Config {
	cfg := leavingConfig(StopLeftovers)
	cfg.Type = ForkingType
	return cfg
}

// The one process that is left is followed after a moment; it gets the signals that have
// waited, in its own group, and its status is that of the command.
func TestRunFollows(t *testing.T) {
	cfg := forkingConfig()
	cfg.Group = true
	onStage(t, cfg, func(s *stage) {
		s.run()
		daemon := orphanProc(daemonPID)
		daemon.PGID = 49
		s.leaves(daemon)
		s.signal(syscall.SIGHUP)
		s.wait(stillness - 1)
		s.wantCalls("0s start command")
		s.wait(sec / 10)
		s.signal(syscall.SIGUSR1)
		s.kernel.mu.Lock()
		s.kernel.tree[0].PGID = 0 // it is in reaper's own group now, which is not to be signalled
		s.kernel.mu.Unlock()
		s.signal(syscall.SIGUSR2)
		s.ends(daemonPID, reap.ExitStatus(3))
		if res := s.end(); res.PID != daemonPID || res.Status != reap.ExitStatus(3) || res.Orphans != 0 {
			t.Errorf("result %+v", res)
		}
		s.wantTold("CommandStarted", "CommandExited exit 0", "DaemonFollowed pid 50", "Ready pid 50",
			"SignalSent pid 50 HUP", "SignalSent pid 50 USR1", "SignalSent pid 50 USR2", "CommandExited pid 50 exit 3")
		if calls := strings.Join(s.kernel.calls, "; "); !strings.Contains(calls, "group 49 HUP") ||
			!strings.Contains(calls, "group 49 USR1") || !strings.HasSuffix(calls, "signal 50 USR2") {
			t.Errorf("calls %s", calls)
		}
	})
}

// Who is just ending is waited for, and so is who comes when it has: the middle one of
// a double fork. Its end is not the daemon's.
func TestRunFollowsPastTheMiddle(t *testing.T) {
	onStage(t, forkingConfig(), func(s *stage) {
		s.run()
		middle, daemon := orphanProc(49), orphanProc(daemonPID)
		daemon.PPID = 49
		s.leaves(middle, daemon)
		s.wait(stillness / 2)
		s.kernel.mu.Lock()
		s.kernel.tree[1].PPID = os.Getpid()
		s.kernel.mu.Unlock()
		s.ends(49, 0)
		s.wait(sec)
		s.ends(daemonPID, reap.ExitStatus(4))
		if res := s.end(); res.PID != daemonPID || res.Status != reap.ExitStatus(4) || res.Orphans != 1 {
			t.Errorf("result %+v", res)
		}
	})
}

// A daemon that ends before it is chosen has been the daemon, also if it was reaped
// before the launcher exited, or with it.
func TestRunDaemonEndsEarly(t *testing.T) {
	for name, play := range map[string]func(*stage){
		"after the launcher": func(s *stage) {
			s.leaves(orphanProc(daemonPID))
			s.ends(daemonPID, reap.ExitStatus(9))
		},
		"before": func(s *stage) {
			s.exit(reap.Exit{PID: daemonPID, Status: reap.ExitStatus(9)})
			s.exit(exited(0))
		},
		"with it": func(s *stage) {
			s.exit(exited(0), reap.Exit{PID: daemonPID, Status: reap.ExitStatus(9)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			onStage(t, forkingConfig(), func(s *stage) {
				s.run()
				play(s)
				if res := s.end(); res.PID != daemonPID || res.Status != reap.ExitStatus(9) || res.Err != nil {
					t.Errorf("result %+v", res)
				}
			})
		})
	}
}

// Several are left: some of them may be about to end; if not, it is an error that names
// them, and they are stopped.
func TestRunFollowsNobody(t *testing.T) {
	onStage(t, forkingConfig(), func(s *stage) {
		s.run()
		s.leaves(orphanProc(50), orphanProc(51))
		s.wait(guessPatience - 1)
		s.wantSignals()
		s.wait(sec)
		res := s.end()
		var failed *FollowError
		if !errors.As(res.Err, &failed) || len(failed.Candidates) != 2 {
			t.Errorf("result %+v", res)
		}
		if got := fates(res); got != "50 stopped 0s, 51 stopped 0s" {
			t.Errorf("leftovers %s", got)
		}
	})
	onStage(t, forkingConfig(), func(s *stage) {
		s.run()
		s.leaves(orphanProc(50), orphanProc(51))
		s.wait(sec)
		s.ends(51, 0)
		s.wait(sec / 5)
		s.ends(50, reap.ExitStatus(2))
		if res := s.end(); res.Status != reap.ExitStatus(2) || res.PID != 50 {
			t.Errorf("result %+v", res)
		}
	})
}

// The pid file is waited for, and a process that it names counts when it is a child.
func TestRunFollowsPIDFile(t *testing.T) {
	cfg := forkingConfig()
	cfg.PIDFile = "x"
	written := reap.PIDFile{PID: daemonPID, Made: reap.FileMark{Ino: 1}}
	onStage(t, cfg, func(s *stage) {
		s.kernel.pidFile, s.kernel.pidFileErr = reap.PIDFile{}, fs.ErrNotExist
		s.run()
		middle, daemon := orphanProc(49), orphanProc(daemonPID)
		daemon.PPID = 49
		s.leaves(middle, daemon, orphanProc(51))
		s.wait(60 * sec)
		s.goesOn()
		if n := s.kernel.looks; n > 60*4+40 {
			t.Errorf("%d looks in a minute", n)
		}
		s.kernel.mu.Lock()
		s.kernel.pidFile, s.kernel.pidFileErr = written, nil
		s.kernel.mu.Unlock()
		s.wait(sec)
		s.kernel.mu.Lock()
		s.kernel.tree[1].PPID = os.Getpid()
		s.kernel.mu.Unlock()
		s.ends(49, 0)
		s.wait(sec)
		s.ends(daemonPID, reap.ExitStatus(3))
		s.wait(sec)
		s.wantLeft("51 stopped 0s")
		if got, want := s.told[2], "DaemonAwaited: follow daemon: file does not exist"; got != want {
			t.Errorf("told %q", s.told)
		}
	})
	// The file that was there before is not believed.
	onStage(t, cfg, func(s *stage) {
		s.kernel.pidFile = written
		s.run()
		s.leaves(orphanProc(daemonPID))
		s.wait(filePatience + sec)
		if res := s.end(); res.Err == nil || !strings.Contains(res.Err.Error(), "before the command was started") {
			t.Errorf("result %+v", res)
		}
	})
}

// wantLeft is wantFates for a daemon.
func (s *stage) wantLeft(want string) {
	s.t.Helper()
	if got := fates(s.end()); got != want {
		s.t.Errorf("leftovers: got %q, want %q", got, want)
	}
}

// What is there before the command is not what it has left.
func TestRunFollowsNoneFromBefore(t *testing.T) {
	onStage(t, forkingConfig(), func(s *stage) {
		s.kernel.tree = []reap.Proc{orphanProc(40)}
		s.run()
		s.leaves(orphanProc(daemonPID))
		s.wait(sec)
		s.exit(reap.Exit{PID: 41}) // somebody
		s.ends(daemonPID, reap.ExitStatus(3))
		s.wait(sec)
		if res := s.end(); res.PID != daemonPID || res.Status != reap.ExitStatus(3) {
			t.Errorf("result %+v", res)
		}
	})
	onStage(t, forkingConfig(), func(s *stage) { // and nobody else is
		s.kernel.tree = []reap.Proc{orphanProc(40)}
		s.run()
		s.exit(exited(0))
		s.wait(sec)
		if res := s.end(); res.Err == nil {
			t.Errorf("result %+v", res)
		}
	})
}

// The daemon is started again by its launcher, and what it has left is gone before.
func TestRunFollowsAgain(t *testing.T) {
	cfg := forkingConfig()
	cfg.Restart, cfg.RestartDelay = RestartAlways, sec
	onStage(t, cfg, func(s *stage) {
		s.run()
		for i := range 3 {
			s.leaves(orphanProc(daemonPID + i))
			s.wait(sec)
			s.kernel.mu.Lock()
			s.kernel.tree = append(s.kernel.tree, orphanProc(90))
			s.kernel.mu.Unlock()
			s.ends(daemonPID+i, reap.SignalStatus(syscall.SIGKILL))
			s.wait(sec / 5)
			if len(s.kernel.tree) != 0 {
				t.Errorf("left: %+v", s.kernel.tree)
			}
			s.wait(sec)
		}
		s.signal(syscall.SIGTERM)
		s.exit(reap.Exit{PID: commandPID, Status: reap.SignalStatus(syscall.SIGTERM)})
		if res := s.end(); res.Restarts != 3 {
			t.Errorf("result %+v", res)
		}
	})
}

// What is not ready in time is stopped, and killed if it does not end; that is a failure.
func TestRunStartTimeout(t *testing.T) {
	cfg := forkingConfig()
	cfg.StartTimeout, cfg.Restart, cfg.RestartFailures = 3*sec, RestartOnAbnormal, 2
	cfg.RestartDelay = sec
	onStage(t, cfg, func(s *stage) {
		s.run()
		s.wait(time.Hour)
		if res := s.end(); res.Cause != CauseNotReady || res.Restarts != 1 {
			t.Errorf("result %+v", res)
		}
		s.wantCalls("0s start command", "3s signal 42 TERM", "8s signal 42 KILL",
			"9s start command", "12s signal 42 TERM", "17s signal 42 KILL")
	})
}
