package supervise

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
	"github.com/reaper-init/reaper/pkg/supervise/notify"
)

// notifyCases are the part of the specification that is about what the command tells.
func notifyCases() []stepCase {
	cfg := &Config{Type: NotifyType, Watchdog: 5 * sec, StartTimeout: 8 * sec, StopTimeout: 10 * sec, StopDelay: 3 * sec}
	plain := &Config{Watchdog: 5 * sec, Grace: 4 * sec}
	failing := &Config{Type: NotifyType, Restart: RestartOnAbnormal, RestartDelay: sec}

	starts := func(s state, c *Config) machine {
		m := machineIn(s, c)
		m.waits, m.watchdog = c.waits(), c.Watchdog
		if c.StartTimeout > 0 {
			m.startBy = epoch().Add(c.StartTimeout)
		}
		return m
	}
	ready := func(s state, c *Config) machine {
		m := starts(s, c)
		m.waits, m.startBy, m.born = 0, time.Time{}, epoch()
		return m.guard(epoch())
	}
	quit := func(c *Config, how ending) machine {
		m := ready(stopping, c)
		m.cause, m.request, m.wantDown = how, event{}, false
		m.deadline = epoch().Add(c.limitPatience())
		return m
	}
	heir := func(m machine) machine {
		m.heir = 60
		return m
	}
	says := func(set func(*notify.Message)) event {
		msg := &notify.Message{}
		set(msg)
		return event{kind: evNotify, msg: msg}
	}
	isReady := says(func(m *notify.Message) { m.Ready = true })
	alive := says(func(m *notify.Message) { m.Watchdog = true })
	more := says(func(m *notify.Message) { m.ExtendTimeout = 20 * sec })
	trigger := says(func(m *notify.Message) { m.WatchdogTrigger = true })
	status := says(func(m *notify.Message) { text := "on"; m.Status = &text })
	reloading := says(func(m *notify.Message) { m.Reloading = true })
	ending := says(func(m *notify.Message) { m.Stopping = true })
	mainPID := func(child bool) event {
		ev := says(func(m *notify.Message) { m.MainPID = 60 })
		ev.pid, ev.child = 60, child
		return ev
	}
	reloads := ready(up, cfg)
	reloads.says = notify.Reloading

	cases := []stepCase{
		{starts(up, cfg), isReady, up, 0, "Ready"},
		{starts(up, cfg), alive, up, 0, ""},
		{starts(up, cfg), reached(5 * sec), up, 0, ""}, // the watchdog sleeps until then
		{starts(up, cfg), reached(8 * sec), stopping, 10 * sec, "NotReady 8s; send TERM"},
		{starts(stopping, cfg), isReady, stopping, 10 * sec, "Ready"},
		{ready(up, cfg), isReady, up, 0, ""},
		{ready(up, cfg), status, up, 0, `StatusTold "on"`},
		{ready(up, cfg), reloading, up, 0, ""}, // it never said that it was ready
		{reloads, isReady, up, 0, "Reloaded"},
		{ready(up, cfg), ending, up, 0, "Ending"},

		{ready(up, cfg), reached(5*sec - 1), up, 0, ""},
		{ready(up, cfg), reached(5 * sec), stopping, 10 * sec, "WatchdogMissed 5s; send ABRT"},
		{ready(up, plain), reached(5 * sec), stopping, 4 * sec, "WatchdogMissed 5s; send ABRT"},
		{ready(up, cfg), trigger, stopping, 10 * sec, "WatchdogMissed 5s; send ABRT"},
		{ready(delaying, cfg), trigger, delaying, 3 * sec, ""},
		{ready(stopping, cfg), trigger, stopping, 10 * sec, ""},
		{quit(plain, endWatchdog), reached(4 * sec), killing, 0, "KillTimeout 4s; send KILL"},
		{quit(plain, endWatchdog), exit(0), done, 0, "CommandExited exit 0"},
		{quit(failing, endWatchdog), exit(0), backoff, sec, "CommandExited exit 0; conclude; Restarting 1s 1 failed"},
		// The first request to stop meanwhile takes the restart back, the second kills.
		{quit(cfg, endWatchdog), came(syscall.SIGTERM), stopping, 10 * sec, "RestartCancelled TERM"},

		{ready(stopping, cfg), more, stopping, 20 * sec, ""},
		{ready(killing, cfg), more, killing, 0, ""},

		// Another process is the command: at once, or when the one that names it has ended.
		{ready(up, cfg), mainPID(true), up, 0, "DaemonFollowed"},
		{ready(stopping, cfg), mainPID(true), stopping, 10 * sec, "DaemonFollowed; send TERM"}, // which the other had
		{ready(killing, cfg), mainPID(true), killing, 0, "DaemonFollowed; send KILL"},
		{ready(up, cfg), mainPID(false), up, 0, ""},
		{heir(ready(up, cfg)), exit(3), seeking, guessPatience, "CommandExited exit 3; seek"},
		{heir(ready(killing, cfg)), exit(3), done, 0, "CommandExited exit 3"},
		{heir(starts(seeking, cfg)), event{kind: evSought, pid: 60, count: 1}, up, 0, "DaemonFollowed"},
		{starts(seeking, cfg), mainPID(true), up, 0, "DaemonFollowed"},
	}
	for st := down; stateName(st) != ""; st++ {
		if st == seeking {
			continue
		}
		m := machineIn(st, &Config{Leftovers: WaitForLeftovers})
		left := max(0, m.deadline.Sub(epoch()))
		if m.deadline.IsZero() {
			left = 0
		}
		cases = append(cases, stepCase{m, alive, st, left, ""})
	}
	return cases
}

// More time that the command asks for moves the end of its start, and never brings it
// nearer.
func TestStepExtends(t *testing.T) {
	cfg := &Config{Type: NotifyType, StartTimeout: 8 * sec}
	m := machineIn(up, cfg).launched(epoch())
	for _, step := range []struct{ more, want time.Duration }{{sec, 8 * sec}, {20 * sec, 20 * sec}, {9 * sec, 20 * sec}, {0, 20 * sec}} {
		m, _ = m.step(event{kind: evNotify, now: epoch(), msg: &notify.Message{ExtendTimeout: step.more}})
		if got := m.startBy.Sub(epoch()); got != step.want {
			t.Errorf("after %v more: %v, want %v", step.more, got, step.want)
		}
	}
}

// fakeMessages are what the command has sent.
type fakeMessages struct {
	wake    chan struct{}
	waiting []notify.Message
	err     error
}

func (f *fakeMessages) Wake() <-chan struct{} { return f.wake }

func (f *fakeMessages) Receive() (notify.Message, bool, error) {
	if f.err != nil || len(f.waiting) == 0 {
		return notify.Message{}, false, f.err
	}
	m := f.waiting[0]
	f.waiting = f.waiting[1:]
	return m, true, nil
}

// fakeManager writes down what it is told.
type fakeManager struct {
	told     []notify.Message
	writable chan struct{}
	flushed  int
}

func (f *fakeManager) Send(m *notify.Message) error {
	f.told = append(f.told, *m)
	return nil
}
func (f *fakeManager) Writable() <-chan struct{} { return f.writable }

func (f *fakeManager) Flush() error {
	f.flushed++
	return errors.New("no room")
}

// says has the command send messages, and waits until they have been dealt with.
func (s *stage) says(msgs ...notify.Message) {
	s.kernel.mu.Lock()
	f := s.supervisor.Messages.(*fakeMessages)
	f.waiting = append(f.waiting, msgs...)
	s.kernel.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
	synctest.Wait()
}

// onNotifyStage is onStage with messages and a manager.
func onNotifyStage(t *testing.T, cfg Config, script func(*stage, *fakeManager)) {
	t.Helper()
	onStage(t, cfg, func(s *stage) {
		manager := &fakeManager{writable: make(chan struct{}, 1)}
		s.supervisor.Messages = &fakeMessages{wake: make(chan struct{}, 1)}
		s.supervisor.Manager = manager
		script(s, manager)
	})
}

// own is a message of the command's own user.
func own(m notify.Message) notify.Message {
	m.UID, m.PID = os.Geteuid(), commandPID
	return m
}

// The command is ready when it says so, has to give signs of life from there on, and is
// started again when it does not.
func TestRunNotify(t *testing.T) {
	cfg := Config{
		Type: NotifyType, StartTimeout: 10 * sec, Watchdog: 4 * sec, StopTimeout: 6 * sec,
		Restart: RestartOnFailure, RestartDelay: sec, RestartFailures: 2,
	}
	onNotifyStage(t, cfg, func(s *stage, manager *fakeManager) {
		s.run()
		s.wait(9 * sec)
		status := "hello"
		s.says(own(notify.Message{Ready: true, Status: &status}))
		for range 5 {
			s.wait(3 * sec)
			s.says(own(notify.Message{Watchdog: true}))
		}
		s.wait(time.Hour)
		if res := s.end(); res.Cause != CauseNotReady || res.Restarts != 1 {
			t.Errorf("result %+v", res)
		}
		s.wantCalls("0s start command", "28s signal 42 ABRT", "34s signal 42 KILL", "35s start command",
			"45s signal 42 TERM", "51s signal 42 KILL")
		if got := s.told[1:5]; !slices.Equal(got, []string{"Ready", `StatusTold "hello"`, "WatchdogMissed 4s", "SignalSent as ABRT"}) {
			t.Errorf("told %q", got)
		}
		if len(manager.told) != 6 || !manager.told[0].Ready {
			t.Errorf("the manager was told %+v", manager.told)
		}
	})
}

// What the command has sent before its end counts, also if both are seen at once.
func TestRunNotifyBeforeEnd(t *testing.T) {
	onNotifyStage(t, Config{Type: NotifyType}, func(s *stage, manager *fakeManager) {
		s.run()
		f := s.supervisor.Messages.(*fakeMessages)
		f.waiting = []notify.Message{own(notify.Message{Ready: true}), own(notify.Message{Stopping: true})}
		s.exit(exited(3))
		s.end()
		s.wantTold("CommandStarted", "Ready", "Ending", "CommandExited exit 3")
		if !manager.told[1].Stopping {
			t.Errorf("the manager was told %+v", manager.told)
		}
	})
	// The successor that it names is its child until it ends.
	onNotifyStage(t, Config{Type: NotifyType}, func(s *stage, _ *fakeManager) {
		s.run()
		heir := orphanProc(60)
		heir.PPID = commandPID
		s.kernel.tree = []reap.Proc{heir}
		s.says(own(notify.Message{Ready: true, MainPID: 60}))
		s.signal(syscall.SIGHUP)
		s.kernel.mu.Lock()
		s.kernel.tree[0].PPID = os.Getpid()
		s.kernel.mu.Unlock()
		s.exit(exited(0))
		s.goesOn()
		s.signal(syscall.SIGHUP)
		s.kernel.mu.Lock()
		s.kernel.tree = nil
		s.kernel.mu.Unlock()
		s.exit(reap.Exit{PID: 60, Status: reap.ExitStatus(5)})
		if res := s.end(); res.PID != 60 || res.Status != reap.ExitStatus(5) {
			t.Errorf("result %+v", res)
		}
		s.wantCalls("0s start command", "0s signal 42 HUP", "0s signal 60 HUP")
	})
}

// As long as it may be started again, that the command ends is nothing for the manager,
// which would end reaper.
func TestRunNotifyManager(t *testing.T) {
	onNotifyStage(t, Config{Type: NotifyType, Restart: RestartAlways}, func(s *stage, manager *fakeManager) {
		s.run()
		s.says(own(notify.Message{Stopping: true}))
		s.signal(syscall.SIGTERM)
		s.says(own(notify.Message{Stopping: true}))
		manager.writable <- struct{}{}
		synctest.Wait()
		s.exit(exited(0))
		s.end()
		if len(manager.told) != 2 || manager.told[0].Stopping || !manager.told[1].Stopping || manager.flushed != 1 {
			t.Errorf("the manager was told %+v, flushed %d times", manager.told, manager.flushed)
		}
		if !slices.Contains(s.told, "CallFailed: no room") {
			t.Errorf("told %q", s.told)
		}
	})
}

// Whoever else sends is not believed; a descendant that has changed its user is.
func TestRunNotifyTrust(t *testing.T) {
	stranger := notify.Message{Ready: true, UID: os.Geteuid() + 1234, PID: 50}
	onNotifyStage(t, Config{Type: NotifyType}, func(s *stage, manager *fakeManager) {
		s.run()
		s.says(stranger)
		if len(manager.told) != 0 || !strings.HasPrefix(s.told[1], "MessageRefused: from process 50 of user ") {
			t.Errorf("told %q, and the manager %+v", s.told, manager.told)
		}
		s.kernel.mu.Lock()
		s.kernel.tree = []reap.Proc{orphanProc(50)}
		s.kernel.mu.Unlock()
		s.says(stranger)
		if s.told[2] != "Ready" {
			t.Errorf("told %q", s.told)
		}
		s.kernel.mu.Lock()
		s.kernel.tree = nil
		s.kernel.mu.Unlock()
		s.says(own(notify.Message{Store: true, Descriptors: 2}), own(notify.Message{Err: errors.New("odd")}))
		if got := s.told[3:]; !slices.Equal(got, []string{"MessageRefused: " + errNoStore.Error(), "MessageRefused: odd"}) {
			t.Errorf("told %q", got)
		}
		s.exit(exited(0))
		s.end()
	})
	user := Config{Type: NotifyType, Attributes: reap.Attributes{User: &reap.User{UID: uint32(stranger.UID)}}}
	onNotifyStage(t, user, func(s *stage, _ *fakeManager) {
		s.run()
		s.says(stranger)
		if s.told[1] != "Ready" {
			t.Errorf("told %q", s.told)
		}
		s.exit(exited(0))
		s.end()
	})
}

// A socket that fails is told once, and the loop goes on without it.
func TestRunNotifyFails(t *testing.T) {
	onNotifyStage(t, Config{}, func(s *stage, _ *fakeManager) {
		s.supervisor.Messages.(*fakeMessages).err = errors.New("broken")
		s.run()
		s.says()
		s.says()
		s.exit(exited(0))
		s.end()
		s.wantTold("CommandStarted", "CallFailed: broken", "CommandExited exit 0")
	})
}

// Without a place to hear it by, nothing that a command is to say is waited for.
func TestRunNotifyNeedsMessages(t *testing.T) {
	for _, cfg := range []Config{{Type: NotifyType}, {Watchdog: sec}} {
		onStage(t, cfg, func(s *stage) {
			if _, err := s.supervisor.Run(t.Context(), s.chld, s.sigs); err == nil || !strings.Contains(err.Error(), "Messages: ") {
				t.Errorf("Run: %v", err)
			}
			s.wantCalls()
		})
	}
}

// A stopped command gives no sign of life, and is not asked for one (pitfall 42).
func TestRunWatchdogOfStoppedCommand(t *testing.T) {
	onNotifyStage(t, Config{Watchdog: 4 * sec, StopTimeout: sec}, func(s *stage, _ *fakeManager) {
		s.run()
		s.wait(2 * sec)
		s.kernel.changes = []jobChange{{reap.JobStopped, syscall.SIGSTOP}}
		s.wake()
		s.wait(time.Hour)
		s.kernel.changes = []jobChange{{reap.JobContinued, syscall.SIGCONT}}
		s.wake()
		s.wait(4*sec - 1)
		s.wantCalls("0s start command")
		s.wait(1)
		s.wantCalls("0s start command", "1h0m6s signal 42 ABRT")
		s.exit(exited(0))
		s.end()
	})
}
