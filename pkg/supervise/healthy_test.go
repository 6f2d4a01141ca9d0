package supervise

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
	"github.com/reaper-init/reaper/pkg/supervise/health"
)

// healthCases are the part of the specification that is about health checks. Their
// timing is that of package health.
func healthCases() []stepCase {
	timing := health.Config{Interval: 30 * sec, Timeout: 5 * sec, Retries: 2}
	stops := &Config{Health: timing, HealthCommand: "check", StopTimeout: 10 * sec}
	reports := &Config{Health: timing, HealthCommand: "check", HealthReport: true}
	started := func(c *Config) machine {
		m, _ := machineIn(starting, c).step(event{kind: evStarted, pid: commandPID, now: epoch()})
		return m
	}
	then := func(m machine, evs ...event) machine {
		for _, ev := range evs {
			m, _ = m.step(ev)
		}
		return m
	}
	result := func(after time.Duration, err error) event {
		return event{kind: evProbed, now: epoch().Add(after), err: err}
	}
	refused := error(syscall.ECONNREFUSED)
	probing := func(c *Config) machine { return then(started(c), reached(30*sec)) }
	failed := func(c *Config) machine { // one is under way after one failure
		return then(probing(c), result(31*sec, refused), reached(61*sec))
	}
	at := func(after time.Duration, ev event) event {
		ev.now = epoch().Add(after)
		return ev
	}

	cases := []stepCase{
		{started(stops), reached(30*sec - 1), up, 0, ""},
		{started(stops), reached(30 * sec), up, 0, "probe"},
		{probing(stops), result(31*sec, nil), up, 0, "Probed 1s 0 failed; Ready"},
		{probing(stops), result(31*sec, refused), up, 0, "Probed 1s 1 failed: connection refused"},
		{probing(stops), reached(35 * sec), up, 0, "end probe; Probed 5s 1 failed: timed out"},
		{failed(stops), result(62*sec, nil), up, 0, "Probed 1s 0 failed; Ready"},
		{failed(stops), result(62*sec, refused), stopping, 10 * sec, "Probed 1s 2 failed: connection refused; Unhealthy 2 failed: connection refused; send TERM"},
		{failed(reports), result(62*sec, refused), up, 0, "Probed 1s 2 failed: connection refused; Unhealthy 2 failed: connection refused"},
		{then(failed(reports), result(62*sec, refused), reached(92*sec)), result(93*sec, nil), up, 0, "Probed 1s 0 failed; Healthy; Ready"},
		// What is under way when the command is not up any more is ended, and is of no interest.
		{probing(stops), at(31*sec, came(syscall.SIGTERM)), stopping, 10 * sec, "end probe; send TERM"},
		{probing(stops), at(31*sec, exit(3)), done, 0, "end probe; CommandExited exit 3"},
		{then(failed(stops), at(61*sec, came(syscall.SIGTERM))), result(62*sec, refused), stopping, 9 * sec, ""},
		{probing(stops), event{kind: evStopped, sig: syscall.SIGSTOP, now: epoch().Add(31 * sec)}, up, 0, "end probe; CommandStopped STOP"},
		{then(started(stops), event{kind: evStopped, sig: syscall.SIGSTOP, now: epoch()}), reached(30 * sec), up, 0, ""},
	}
	for st := down; stateName(st) != ""; st++ {
		m := machineIn(st, &Config{Leftovers: WaitForLeftovers})
		left := max(0, m.deadline.Sub(epoch()))
		if m.deadline.IsZero() {
			left = 0
		}
		cases = append(cases, stepCase{m, event{kind: evProbed, err: refused}, st, left, ""})
	}
	return cases
}

func healthConfig() Config {
	cfg := leavingConfig(StopLeftovers)
	cfg.Health = health.Config{Interval: 10 * sec, Timeout: 3 * sec, Retries: 2}
	cfg.HealthCommand = "check"
	return cfg
}

// A command that becomes unhealthy is stopped and started again; the exit of a probe is
// not its own, and none counts as an orphan.
func TestRunHealth(t *testing.T) {
	cfg := healthConfig()
	cfg.Restart, cfg.RestartDelay = RestartOnFailure, sec
	onStage(t, cfg, func(s *stage) {
		s.kernel.ends[syscall.SIGTERM] = true
		s.run()
		s.wait(10 * sec)
		s.probeEnds(0)
		s.wait(10 * sec)
		s.probeEnds(reap.ExitStatus(1))
		s.wait(13 * sec) // at 30 s it begins, and hangs
		s.wait(sec)
		s.wait(10 * sec)
		s.signal(syscall.SIGTERM)
		if res := s.end(); res.Restarts != 1 || res.Orphans != 0 || res.Cause != CauseNone || res.Health != health.Starting {
			t.Errorf("result %+v", res)
		}
		s.wantCalls("0s start command", "10s probe check", "20s probe check", "30s probe check",
			"33s group 77 KILL", "33s signal 42 TERM", "34s start command", "44s probe check", "44s group 77 KILL", "44s signal 42 TERM")
		if got := s.told[1:7]; !slices.Equal(got, []string{
			"Probed 0 failed", "Ready", "Probed 1 failed: probe ended with exit 1",
			"Probed 3s 2 failed: timed out", "Unhealthy 2 failed: timed out", "SignalSent as TERM",
		}) {
			t.Errorf("told %q", s.told)
		}
	})
}

// What a probe has started is ended with it, wherever it is, and is no leftover of the
// command.
func TestRunHealthEndsTree(t *testing.T) {
	onStage(t, healthConfig(), func(s *stage) {
		s.run()
		s.wait(10 * sec)
		child, other := orphanProc(80), orphanProc(90)
		child.PPID = probePID
		s.kernel.mu.Lock()
		s.kernel.tree = []reap.Proc{{PID: probePID, PPID: child.PPID, State: 'S', Start: 1, Threads: 1}, child, other}
		s.kernel.mu.Unlock()
		s.wait(3 * sec)
		if calls := strings.Join(s.kernel.calls, "; "); !strings.HasSuffix(calls, "13s group 77 KILL; 13s signal 77 KILL; 13s signal 80 KILL") {
			t.Errorf("calls %s", calls)
		}
		s.kernel.mu.Lock()
		s.kernel.tree = []reap.Proc{other}
		s.kernel.mu.Unlock()
		s.exit(exited(3))
		s.wait(sec)
		s.wantFates("90 stopped 0s")
	})
}

// A probe that is under way when the command ends is no leftover.
func TestRunHealthIsNoLeftover(t *testing.T) {
	onStage(t, healthConfig(), func(s *stage) {
		s.kernel.probeDeaf = true
		s.run()
		s.wait(10 * sec)
		s.exit(exited(3))
		s.goesOn()
		s.probeEnds(reap.SignalStatus(syscall.SIGKILL))
		s.wantFates("")
	})
}

// A probe that cannot be started has failed.
func TestRunHealthCannotStart(t *testing.T) {
	cfg := healthConfig()
	cfg.HealthReport = true
	onStage(t, cfg, func(s *stage) {
		s.kernel.probeErr = errors.New("fork for probe: no more processes")
		s.run()
		s.wait(20 * sec)
		s.exit(exited(0))
		if res := s.end(); res.Health != health.Unhealthy || res.Cause != CauseNone {
			t.Errorf("result %+v", res)
		}
		s.wantTold("CommandStarted", "Probed 1 failed: fork for probe: no more processes",
			"Probed 2 failed: fork for probe: no more processes", "Unhealthy 2 failed: fork for probe: no more processes", "CommandExited exit 0")
	})
}

// A command that is not healthy in time has not been ready in time.
func TestRunHealthStartTimeout(t *testing.T) {
	cfg := healthConfig()
	cfg.StartTimeout = 5 * sec
	cfg.Health = cfg.Health.AwaitReady(cfg.StartTimeout)
	onStage(t, cfg, func(s *stage) {
		s.kernel.ends[syscall.SIGTERM] = true
		s.run()
		for range 4 {
			s.wait(sec)
			s.probeEnds(reap.ExitStatus(1))
		}
		s.wait(10 * sec)
		if res := s.end(); res.Cause != CauseNotReady {
			t.Errorf("result %+v; told %q", res, s.told)
		}
	})
}
