package supervise

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
)

// stage is a Supervisor on a fake kernel in a synctest bubble, and what the
// play needs: a test sends signals, lets processes exit and time pass, and looks
// at what was called.
type stage struct {
	t          *testing.T
	kernel     *fakeKernel
	supervisor Supervisor
	chld, sigs chan os.Signal
	ctx        context.Context //nolint:containedctx // the one that Run gets
	cancel     context.CancelFunc
	begin      time.Time
	told       []string // the events, by describeEvent
	toldAt     []time.Time
	running    bool
	done       chan struct{} // closed when Run has returned
	result     Result
	err        error
}

// onStage runs script in a bubble. The script calls run and end; in between time
// stands still but for wait. The bubble fails the test if Run leaves a goroutine
// behind, as everything in it must have ended.
func onStage(t *testing.T, cfg Config, script func(*stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if cfg.Args == nil {
			cfg.Args = []string{"command"}
		}
		s := &stage{
			t: t, chld: make(chan os.Signal, 1), sigs: make(chan os.Signal, 16),
			begin: time.Now(), done: make(chan struct{}),
		}
		s.ctx, s.cancel = context.WithCancel(t.Context())
		defer s.cancel()
		s.kernel = &fakeKernel{stage: s, ends: map[syscall.Signal]bool{syscall.SIGKILL: true}}
		s.supervisor = Supervisor{Config: cfg, Kernel: s.kernel, OnEvent: s.tell}
		s.supervisor.Chance = func() float64 { return 0 }
		defer s.clear()
		script(s)
	})
}

// clear ends a Run that a test which failed has left behind, so that the bubble
// tells what failed and not that it is there.
func (s *stage) clear() {
	if !s.running {
		return
	}
	select {
	case <-s.done:
		return
	default:
	}
	if !s.t.Failed() {
		s.t.Error("the test ends before Run does")
	}
	s.exit(reap.Exit{PID: commandPID})
}

// run starts Run and returns when there is nothing left for it to do.
func (s *stage) run() {
	s.running = true
	go func() {
		defer close(s.done)
		s.result, s.err = s.supervisor.Run(s.ctx, s.chld, s.sigs)
	}()
	synctest.Wait()
}

// end is the result of Run, which must have returned by now without an error.
func (s *stage) end() Result {
	s.t.Helper()
	synctest.Wait()
	select {
	case <-s.done:
	default:
		s.t.Fatalf("Run has not returned; calls %q, events %q", s.kernel.calls, s.told)
	}
	if s.err != nil {
		s.t.Fatalf("Run: %v", s.err)
	}
	return s.result
}

// goesOn fails the test if Run has returned.
func (s *stage) goesOn() {
	s.t.Helper()
	synctest.Wait()
	select {
	case <-s.done:
		s.t.Fatalf("Run has returned %+v, %v; calls %q, events %q", s.result, s.err, s.kernel.calls, s.told)
	default:
	}
}

// signal has signals arrive, and waits until they have been dealt with.
func (s *stage) signal(sigs ...syscall.Signal) {
	for _, sig := range sigs {
		s.sigs <- sig
	}
	synctest.Wait()
}

// wait lets time pass.
func (s *stage) wait(d time.Duration) {
	s.kernel.exit() // for its lock: a timer that wakes Run does not order what the test did before
	<-time.After(d)
	synctest.Wait()
}

// exit has children exit, tells so once, and waits until that has been dealt with.
func (s *stage) exit(exits ...reap.Exit) {
	s.kernel.exit(exits...)
	s.wake()
}

// wake is a SIGCHLD: one that comes before the last was taken merges with it.
func (s *stage) wake() {
	s.notify()
	synctest.Wait()
}

func (s *stage) notify() {
	if s.kernel.silent.Load() {
		return
	}
	select {
	case s.chld <- syscall.SIGCHLD:
	default:
	}
}

func (s *stage) tell(ev Event) {
	s.kernel.mu.Lock()
	defer s.kernel.mu.Unlock()
	s.told, s.toldAt = append(s.told, describeEvent(ev, commandPID)), append(s.toldAt, time.Now())
}

// wantCalls compares what has been asked of the kernel, each with its time.
func (s *stage) wantCalls(want ...string) {
	s.t.Helper()
	if !slices.Equal(s.kernel.calls, want) {
		s.t.Errorf("calls:\n got %q\nwant %q", s.kernel.calls, want)
	}
}

// wantTold compares the events.
func (s *stage) wantTold(want ...string) {
	s.t.Helper()
	if !slices.Equal(s.told, want) {
		s.t.Errorf("events:\n got %q\nwant %q", s.told, want)
	}
}

// fakeKernel is a system with one command, commandPID, in a group of its own,
// and other children that exit when the test says so. The lock is there because
// the test changes the process table while Run goes on, as a real one changes.
type fakeKernel struct {
	stage *stage

	mu      sync.Mutex
	calls   []string    // all but Drain, JobChange and Terminal
	command bool        // it runs, or waits to be reaped
	others  int         // children that live on
	zombies []reap.Exit // in the order in which they exited
	changes []jobChange // what JobChange has still to tell
	asked   []string    // Drain and JobChange, if not nil
	silent  atomic.Bool // SIGCHLD is switched off

	tty       Terminal
	startErr  error
	atStart   func()                  // while the command is being executed
	atExited  func()                  // just after it was asked who has exited
	atSuspend func()                  // while this process is stopped
	around    func()                  // before and after each look for exits, and each switch of SIGCHLD
	ends      map[syscall.Signal]bool // the signals that end the command
	refused   error                   // what sending to the command fails with
	leftGroup bool                    // the command's group is empty
	unhanded  error                   // what SetForeground fails with
	drainErr  error                   // what Drain fails with, once
	drainCost time.Duration           // how long Drain takes
	killCost  time.Duration           // how long KillDescendants takes
	lookCost  time.Duration           // how long the next look takes
	named     int                     // how often CommandLine was asked
	switchErr error                   // what SetChildSignal fails with
	lenient   bool                    // the command was taken away, and Run cannot know

	tree     []reap.Proc    // the descendants, but for the command
	hidden   map[int]bool   // who is left out of the next reading, as its parent has just died
	grand    map[int]bool   // who is reaped by another parent
	onTerm   map[int]func() // what else they do when they get TERM
	looks    int            // how often the tree was read
	noProc   bool           // /proc cannot be read
	deaf     map[int]bool   // who does not end by TERM
	immortal map[int]bool   // who does not end by KILL

	probe     bool  // a health check runs
	probeErr  error // what StartProbe fails with
	probeDeaf bool  // it does not end by KILL

	pidFile    reap.PIDFile
	pidFileErr error
}

// child reports whether a process is a child that has not been reaped; k is locked.
func (k *fakeKernel) child(pid int) bool {
	return pid == commandPID && k.command ||
		slices.ContainsFunc(k.zombies, func(e reap.Exit) bool { return e.PID == pid }) ||
		slices.ContainsFunc(k.tree, func(p reap.Proc) bool { return p.PID == pid && p.PPID == os.Getpid() })
}

const probePID = 77

func (k *fakeKernel) StartProbe(c *Config) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.call("probe %s", c.HealthCommand)
	if k.probeErr == nil {
		k.probe = true
	}
	return probePID, k.probeErr
}

// probeEnds has the health check end.
func (s *stage) probeEnds(status reap.Status) {
	s.kernel.mu.Lock()
	s.kernel.probe = false
	s.kernel.mu.Unlock()
	s.exit(reap.Exit{PID: probePID, Status: status})
}

func (k *fakeKernel) GroupOf(pid int) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.tree {
		if p.PID == pid {
			return p.PGID
		}
	}
	return 0
}

func (k *fakeKernel) ReadPIDFile(string) (reap.PIDFile, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.pidFile, k.pidFileErr
}

type jobChange struct {
	state reap.JobState
	sig   syscall.Signal
}

func (k *fakeKernel) exit(exits ...reap.Exit) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.zombies = append(k.zombies, exits...)
}

// call writes down a call; k is locked.
func (k *fakeKernel) call(format string, args ...any) {
	k.calls = append(k.calls, fmt.Sprintf("%v ", time.Since(k.stage.begin))+fmt.Sprintf(format, args...))
}

func (k *fakeKernel) Start(c *Config) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.call("start %s", c.Args[0])
	if k.startErr != nil {
		return 0, k.startErr
	}
	k.command = true
	if k.atStart != nil {
		k.atStart()
	}
	return commandPID, nil
}

func (k *fakeKernel) Drain(exits []reap.Exit, held int) ([]reap.Exit, bool, error) {
	<-time.After(k.drainCost)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ask("drain")
	k.step()
	defer k.step()
	at := slices.IndexFunc(k.zombies, func(e reap.Exit) bool { return e.PID == held })
	if at >= 0 {
		exits = append(exits, k.zombies[:at]...)
		k.zombies = k.zombies[at:]
		return exits, true, nil
	}
	for _, exit := range k.zombies {
		if exit.PID == commandPID {
			k.command = false
		}
	}
	exits = append(exits, k.zombies...)
	k.zombies = nil
	err := k.drainErr
	k.drainErr = nil
	return exits, err == nil && (k.command || k.probe || k.others+len(k.tree) > 0), err
}

// step is a moment in which something may happen; k is locked.
func (k *fakeKernel) step() {
	if k.around != nil {
		k.around()
	}
}

func (k *fakeKernel) SetChildSignal(on bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.step()
	defer k.step()
	k.call("SIGCHLD %v", on)
	if k.switchErr != nil {
		return k.switchErr
	}
	k.silent.Store(!on)
	return nil
}

func (k *fakeKernel) Exited(pid int) (exited, child bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.step()
	defer k.step()
	exited = slices.ContainsFunc(k.zombies, func(e reap.Exit) bool { return e.PID == pid })
	if k.atExited != nil {
		k.atExited()
	}
	return exited, k.child(pid)
}

func (k *fakeKernel) StopSelf() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.call("stop self")
	return nil
}

func (k *fakeKernel) Signal(pid int, sig syscall.Signal) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if pid != commandPID && (slices.ContainsFunc(k.tree, func(p reap.Proc) bool { return p.PID == pid }) ||
		slices.ContainsFunc(k.zombies, func(e reap.Exit) bool { return e.PID == pid })) {
		k.toDescendant(pid, sig)
		return true, nil
	}
	k.call("signal %d %s", pid, signalName(sig))
	if !k.mayGet(pid, sig) {
		return false, nil
	}
	return k.deliver(pid, sig)
}

func (k *fakeKernel) SignalGroup(pgid int, sig syscall.Signal) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.call("group %d %s", pgid, signalName(sig))
	if pgid == probePID {
		if k.probe && !k.probeDeaf {
			k.probe = false
			k.zombies = append(k.zombies, reap.Exit{PID: probePID, Status: reap.SignalStatus(sig)})
			k.stage.notify()
		}
		return true, nil
	}
	if slices.ContainsFunc(k.tree, func(p reap.Proc) bool { return p.PGID == pgid }) {
		return true, nil
	}
	if !k.mayGet(pgid, sig) || k.leftGroup {
		return false, nil
	}
	return k.deliver(pgid, sig)
}

// mayGet fails the test if what is signalled is not the command, or has been
// reaped: the number may be somebody else's by then (pitfall 24).
func (k *fakeKernel) mayGet(pid int, sig syscall.Signal) bool {
	if k.lenient {
		return false
	}
	if !k.child(pid) {
		k.stage.t.Errorf("signal %d to %d, which is not a child or has been reaped", sig, pid)
		return false
	}
	return true
}

// deliver ends the command if it is to end by sig. A zombie gets nothing and
// counts as a process (pitfall 23).
func (k *fakeKernel) deliver(pid int, sig syscall.Signal) (bool, error) {
	if k.refused != nil {
		return false, k.refused
	}
	switch ended := slices.ContainsFunc(k.zombies, func(e reap.Exit) bool { return e.PID == pid }); {
	case !k.ends[sig] || ended:
	case pid != commandPID:
		k.leave(pid, sig)
	default:
		k.zombies = append(k.zombies, reap.Exit{PID: pid, Status: reap.SignalStatus(sig)})
		k.stage.notify()
	}
	return true, nil
}

func (k *fakeKernel) JobChange(pid int) (reap.JobState, syscall.Signal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ask("job")
	if !k.child(pid) && !k.lenient {
		k.stage.t.Errorf("JobChange(%d), which is not the command or has been reaped", pid)
	}
	if len(k.changes) == 0 {
		return reap.JobUnchanged, 0
	}
	c := k.changes[0]
	k.changes = k.changes[1:]
	return c.state, c.sig
}

func (k *fakeKernel) ask(what string) {
	if k.asked != nil {
		k.asked = append(k.asked, what)
	}
}

func (k *fakeKernel) Terminal() Terminal {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.tty
}

func (k *fakeKernel) SetForeground(pgid int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.call("foreground %d", pgid)
	if k.unhanded != nil {
		return k.unhanded
	}
	k.tty.Foreground = pgid
	return nil
}

func (k *fakeKernel) ContinueGroup() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.call("continue own group")
	return nil
}

func (k *fakeKernel) StopGroup(sig syscall.Signal) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.call("stop own group %s", signalName(sig))
	if k.atSuspend != nil {
		k.atSuspend()
	}
	return nil
}

func (k *fakeKernel) Descendants() ([]reap.Proc, error) {
	<-time.After(k.lookCost)
	k.mu.Lock()
	k.lookCost = 0
	defer k.mu.Unlock()
	k.looks++
	if k.noProc {
		return nil, reap.ErrNoProc
	}
	procs := slices.DeleteFunc(slices.Clone(k.tree), func(p reap.Proc) bool { return k.hidden[p.PID] })
	k.hidden = nil
	if k.command {
		procs = slices.Insert(procs, 0, reap.Proc{PID: commandPID, PPID: os.Getpid(), State: 'S', Start: 1, Threads: 1})
	}
	return procs, nil
}

func (k *fakeKernel) Children() []reap.Proc {
	k.mu.Lock()
	defer k.mu.Unlock()
	var procs []reap.Proc
	for _, p := range k.tree {
		procs = append(procs, reap.Proc{PID: p.PID})
	}
	return procs
}

func (k *fakeKernel) SignalDescendant(p reap.Proc, sigs ...syscall.Signal) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, sig := range sigs {
		k.toDescendant(p.PID, sig)
	}
	return true, nil
}

// toDescendant is a signal for one of the tree, which is there still as a zombie when it
// has ended; k is locked.
func (k *fakeKernel) toDescendant(pid int, sig syscall.Signal) {
	k.call("signal %d %s", pid, signalName(sig))
	if sig != syscall.SIGTERM {
		return
	}
	if do := k.onTerm[pid]; do != nil {
		do()
	}
	if !k.deaf[pid] {
		k.leave(pid, sig)
	}
}

func (k *fakeKernel) KillDescendants([]reap.Proc) ([]reap.Proc, error) {
	<-time.After(k.killCost)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.call("kill descendants")
	killed := slices.Clone(k.tree)
	for _, p := range killed {
		if !k.immortal[p.PID] {
			k.leave(p.PID, syscall.SIGKILL)
		}
	}
	return killed, nil
}

// leave ends a descendant; k is locked.
func (k *fakeKernel) leave(pid int, sig syscall.Signal) {
	k.tree = slices.DeleteFunc(k.tree, func(p reap.Proc) bool { return p.PID == pid })
	if k.grand[pid] {
		return
	}
	k.zombies = append(k.zombies, reap.Exit{PID: pid, Status: reap.SignalStatus(sig)})
	k.stage.notify()
}

func (k *fakeKernel) CommandLine(int) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.named++
	return nil
}

func (k *fakeKernel) Describe(int) reap.Details { return reap.Details{} }

func (k *fakeKernel) Uptime() time.Duration { return time.Hour + time.Since(k.stage.begin) }
