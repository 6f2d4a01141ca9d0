package supervise

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
	"github.com/reaper-init/reaper/pkg/supervise/health"
	"github.com/reaper-init/reaper/pkg/supervise/notify"
)

// The model test drives step through sequences of events that nobody thought
// of. What a step wants done is compared with a reference that was written
// apart from it, from what has happened instead of from states; and a witness
// holds it against rules that are true of any sequence.
//
// A tape of bytes chooses the configuration and the events, also such as the
// loop would never give, so the random test and the fuzzer share everything.

// TestModel plays random tapes.
func TestModel(t *testing.T) {
	const tapes = 5000
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	for i := range tapes {
		tape := randomTape(rnd)
		if err := play(tape); err != nil {
			t.Fatalf("seed %d, tape %d: %v\nto try it again: f.Add(%#v) in FuzzStep", seed, i, err, tape)
		}
	}
}

// FuzzStep plays tapes that the fuzzer makes.
func FuzzStep(f *testing.F) {
	const now, late = 0, 255
	f.Add([]byte{})
	// Stop, stop timeout, exit.
	f.Add([]byte{cfgTimeout, 0, 0, opBegin, now, opStarted, now, opSignal, now, opDeadline, now, opEnd, late})
	// Stop delay, a second request, a third, status lost.
	f.Add([]byte{
		cfgDelay | cfgTimeout, 0, 0, opBegin, now, opStarted, now,
		opSignal, now, opSignal | 3<<4, 1, opSignal, 1, opEnd | 1<<4, now,
	})
	// Signals before the start, of which one is rewritten.
	f.Add([]byte{0, 1, 0, opSignal | 7<<4, now, opBegin, now, opSignal | 8<<4, 1, opStarted, 2, opEnd, 3})
	// Stopped by job control, continued, stopped again and asked to stop.
	f.Add([]byte{
		cfgTimeout, 0, 0, opBegin, now, opStarted, now, opStopped | 1<<4, now, opResumed | 1<<4, 9,
		opContinued, now, opStopped, now, opSignal, now, opEnd, now,
	})
	// The start fails; a stop request before it; a stop request that is none.
	f.Add([]byte{0, 0, 0, opBegin, now, opFailed, now, opSignal, now})
	f.Add([]byte{0, 0, 0, opSignal, now, opBegin, now, opStarted, now})
	f.Add([]byte{cfgDelay, 2, 0, opBegin, now, opStarted, now, opSignal, now, opCancelled, now, opDeadline, now})
	// Started again, twice; the third time the start fails, and then a stop request comes.
	f.Add([]byte{
		0, 0, cfgRestart, opBegin, now, opStarted, now, opEnd, 1, opDeadline, now, opStarted, now, opEnd, late,
		opDeadline, now, opStarted, now, opEnd | 1<<4, now, opDeadline, now, opFailed, now, opSignal, now,
	})
	// A daemon that is followed, stopped, and started again.
	f.Add([]byte{
		cfgTimeout, 0, cfgForking | cfgRestart, opBegin, now, opStarted, now, opEnd, 0, opLeft, now, opLeft, 7, opEnd, 1,
		opDeadline, now, opStarted, now, opEnd, 0, opSignal, now, opLeft, now, opDeadline, now, opEnd, 9,
	})
	// Signals while the launcher runs and while its daemon is looked for; it fails, and the
	// next one leaves a daemon.
	f.Add([]byte{
		0, 0, cfgLeaving | cfgRestart, opSignal | 8<<4, now, opBegin, now, opStarted, now, opSignal | 7<<4, now, opEnd, 1,
		opDeadline, now, opStarted, now, opSignal | 9<<4, now, opEnd, now, opSignal | 7<<4, now, opLeft, now, opLeft, 7, opSignal, now,
	})
	f.Fuzz(func(t *testing.T, tape []byte) {
		if err := play(tape); err != nil {
			t.Fatal(err)
		}
	})
}

// The tape: three bytes for the configuration, then two for each event. The low
// half of its first byte is one of these, the high half the choice that this one
// has; the second byte is the time that has passed, in tenths of a second.
const (
	opBegin = iota
	opStarted
	opFailed
	opSignal     // the numbers up to opCancelled are signals too
	opCancelled  = 8
	opDeadline   = 9  // at the deadline, if there is one
	opEarly      = 10 // a timer that fires whenever it likes
	opStopped    = 11
	opContinued  = 12
	opResumed    = 13
	opEnd        = 14 // opEnd+1 too
	cfgDelay     = 1
	cfgTimeout   = 2
	cfgStopShift = 2
	cfgOther     = 224
	cfgRestart   = 4   // RestartAlways
	cfgForking   = 160 // and all above
	cfgLeaving   = 224 // of these, what the reference knows too
	cfgNotify    = 64  // and all with this bit below that
	opTold       = opEnd | 10<<4
	opChecked    = opEnd | 13<<4
	opLeft       = opEnd | 7<<4
	tapeHead     = 3
)

func configOf(a, b, r byte) *Config {
	c := restartConfigOf(r)
	if a&cfgDelay != 0 {
		c.StopDelay = 3 * time.Second
	}
	if a&cfgTimeout != 0 {
		c.StopTimeout = 10 * time.Second
	}
	c.StopSignal = choose(a>>cfgStopShift, []syscall.Signal{0, 0, 0, syscall.SIGINT, syscall.SIGKILL, syscall.SIGUSR1})
	c.Rewrite = choose(b, []map[syscall.Signal]syscall.Signal{
		nil,
		{syscall.SIGHUP: 0, syscall.SIGUSR1: syscall.SIGUSR2},
		{syscall.SIGTERM: 0},
		{syscall.SIGHUP: syscall.SIGTERM, syscall.SIGUSR1: syscall.SIGKILL},
		{syscall.SIGTERM: syscall.SIGQUIT, syscall.SIGINT: 0},
		{syscall.SIGTERM: syscall.SIGHUP, syscall.SIGHUP: syscall.SIGINT},
		{syscall.SIGCONT: syscall.SIGHUP, syscall.SIGUSR2: syscall.SIGCONT},
		{syscall.SIGCONT: 0, syscall.SIGQUIT: syscall.SIGTERM},
	})
	// With leftovers the rules of the witness hold alone; half of the tapes have none.
	if b>>3&1 != 0 {
		c.Leftovers = choose(b>>4, []LeftoverPolicy{KeepLeftovers, StopLeftovers, WaitForLeftovers, KillLeftovers})
		c.FindLeftovers = true
		c.Grace, c.Settle = 5*time.Second, time.Second
		if b>>6&1 != 0 {
			c.TimeLimit = 8 * time.Second
		}
		if b>>7 != 0 {
			c.Grace, c.Settle = 0, 0
		}
	}
	// So it is with what other inits do.
	if a >= cfgOther {
		switch a & 3 {
		case 0:
			c.NoCommand = true
		case 1:
			c.StopSelf = reap.Signals(syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU)
		default:
			c.EndSignal = syscall.SIGTERM
		}
		c.ForwardOnly = true
	}
	return c
}

// restartConfigOf has a policy in all tapes but a quarter.
func restartConfigOf(r byte) *Config {
	c := &Config{Restart: RestartPolicy(r & 7), RestartReset: 6 * time.Second}
	if c.Restart > RestartAlways {
		c.Restart = choose(r>>3, []RestartPolicy{RestartNever, RestartNever, RestartAlways})
	}
	if r>>3&1 != 0 {
		c.RestartDelay, c.RestartFactor, c.RestartMaxDelay = 2*time.Second, 2, 5*time.Second
	}
	if r>>4&1 != 0 {
		c.RestartFailures = 3
	}
	if r>>5&1 != 0 {
		c.OKExit, c.NoRestartExit = ExitSet{}.WithCode(1).WithSignal(syscall.SIGUSR1), ExitSet{}.WithCode(2)
	}
	// What is left is looked for, and what is told taken in, by rules alone.
	if r&cfgNotify == cfgNotify && r < cfgForking {
		c.Type, c.Watchdog = choose(r>>3, []CommandType{NotifyType, ExecType}), 5*time.Second
		if r&1 != 0 {
			c.StartTimeout, c.Grace = 4*time.Second, 3*time.Second
		}
	}
	if r >= cfgForking {
		c.Type = ForkingType
		if r >= cfgLeaving {
			return c
		}
		if r&2 != 0 {
			c.PIDFile = "x"
		}
		if r&8 != 0 {
			c.Watchdog = 5 * time.Second
		}
		if r&4 != 0 {
			c.StartTimeout, c.Grace = 4*time.Second, 3*time.Second
		}
	}
	if (c.Type != ExecType || c.Watchdog > 0) && r&2 != 0 {
		c.Health = health.Config{Interval: 3 * time.Second, Timeout: 2 * time.Second, Retries: 1 + int(r>>3&1)}
		c.HealthReport = r&16 != 0
	}
	return c
}

// plain reports a configuration that the reference knows all about.
func plain(c *Config) bool {
	return !c.FindLeftovers && c.TimeLimit == 0 && !c.ForwardOnly && c.Type != NotifyType && c.Watchdog == 0 &&
		c.PIDFile == "" && c.StartTimeout == 0
}

func choose[T any](b byte, list []T) T { return list[int(b)%len(list)] }

// eventOf makes an event of two bytes of the tape. now is when the last one was.
func eventOf(a, b byte, now, deadline time.Time) event {
	choice := a >> 4
	ev := event{now: now.Add(time.Duration(b) * 100 * time.Millisecond), chance: float64(b) / 256}
	switch op := a & 15; op {
	case opBegin:
		ev.kind = evBegin
	case opStarted:
		ev.kind, ev.pid = evStarted, 100+int(choice)
	case opFailed:
		ev.kind, ev.err = evFailed, syscall.ENOENT
	case opCancelled:
		ev.kind = evCancelled
	case opDeadline, opEarly:
		ev.kind, ev.terminal = evDeadline, terminalOf(b)
		if op == opDeadline && deadline.After(now) {
			ev.now = deadline
		}
	case opStopped:
		ev.kind = evStopped
		ev.sig = choose(choice, []syscall.Signal{syscall.SIGTSTP, syscall.SIGSTOP, syscall.SIGTTIN, syscall.SIGTTOU})
		ev.terminal = terminalOf(b)
	case opContinued:
		ev.kind = evContinued
	case opResumed:
		ev.kind, ev.terminal = evResumed, terminalOf(b)
	case opEnd, opEnd + 1:
		ev.kind, ev.status = evExited, reap.ExitStatus(int(b))
		if b&4 != 0 {
			ev.status = reap.SignalStatus(choose(b>>3, []syscall.Signal{
				syscall.SIGTERM, syscall.SIGKILL, syscall.SIGSEGV, syscall.SIGPIPE, syscall.SIGUSR1,
			}))
		}
		ev.usage.User = time.Duration(b)
		switch choice {
		case 1:
			ev.kind = evLost
		case 2:
			ev.kind = evEmpty
		case 3, 4:
			ev.kind = evPoll
		case 5:
			ev.kind = evEnded
		case 6:
			ev.kind, ev.pid = evStray, 200
		case 13, 14:
			ev = event{kind: evProbed, now: now.Add(time.Duration(b&3) * time.Second)}
			if b&4 != 0 {
				ev.err = syscall.ECONNREFUSED
			}
		case 10, 11, 12:
			ev = event{kind: evNotify, now: now.Add(time.Duration(b&3) * time.Second), msg: messageOf(b)}
			if ev.msg.MainPID != 0 {
				ev.pid, ev.child = ev.msg.MainPID, b&1 != 0
			}
		case 7, 8, 9:
			ev = event{kind: evSought, now: now.Add(time.Duration(b&7) * 50 * time.Millisecond), pid: 103, count: 1}
			if choice == 9 {
				ev.pid, ev.count, ev.err, ev.final = 0, int(b>>3&3), &FollowError{Err: syscall.EAGAIN}, b>>6 == 3
			}
		}
	default: // opSignal and what follows
		ev.kind = evSignal
		ev.sig = choose(choice, []syscall.Signal{
			syscall.SIGTERM, syscall.SIGTERM, syscall.SIGTERM, syscall.SIGINT, syscall.SIGINT,
			syscall.SIGQUIT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2,
			syscall.SIGCONT, syscall.SIGCONT, syscall.SIGTSTP, syscall.SIGWINCH, 34, 64,
			syscall.SIGTTIN, syscall.SIGTTOU,
		})
		if forTerminal(ev.sig) || byTerminal(ev.sig) {
			ev.terminal = terminalOf(b)
		}
	}
	return ev
}

// messageOf is READY, WATCHDOG, STOPPING or another, as b says.
func messageOf(b byte) *notify.Message {
	m := &notify.Message{}
	switch b >> 4 {
	case 0, 1, 2, 3:
		m.Ready = true
	case 4, 5, 6:
		m.Watchdog = true
	case 7:
		m.WatchdogTrigger = true
	case 8:
		m.Stopping = true
	case 9:
		m.Reloading = true
	case 10:
		m.ExtendTimeout = time.Duration(b&15) * time.Second
	case 11:
		timeout := time.Duration(b&7) * time.Second
		m.WatchdogTimeout = &timeout
	case 12:
		status := "x"
		m.Status = &status
	default:
		m.MainPID = 104
	}
	return m
}

func terminalOf(b byte) Terminal {
	return Terminal{
		Present:    b&7 != 7,
		Foreground: choose(b, []int{ownGroup, 100, 101, 102, shellGroup}),
		Own:        ownGroup,
		Orphaned:   b&8 != 0,
	}
}

// randomTape is one that mostly gets as far as a command that runs.
func randomTape(rnd *rand.Rand) []byte {
	noise := func(tape []byte, events int) []byte {
		for range events {
			advance := rnd.IntN(256)
			if rnd.IntN(2) == 0 {
				advance = 0
			}
			tape = append(tape, byte(rnd.IntN(256)), byte(advance))
		}
		return tape
	}
	early := func() int { return max(0, rnd.IntN(6)-3) }
	tape := noise(nil, 2)[:tapeHead]
	tape[1] = byte(rnd.IntN(256))
	tape = noise(tape, early())
	tape = append(tape, opBegin, 0)
	tape = noise(tape, early())
	tape = append(tape, opStarted|byte(rnd.IntN(3))<<4, 0)
	for range rnd.IntN(4) { // lives, and what is between them
		tape = noise(tape, rnd.IntN(10))
		if tape[2] >= cfgForking && rnd.IntN(4) > 0 { // a daemon
			tape = append(tape, opEnd, 0)
			tape = noise(tape, early())
			tape = append(tape, opLeft, byte(rnd.IntN(8)), opLeft, byte(rnd.IntN(8)))
			tape = noise(tape, early())
		}
		for range early() {
			tape = append(tape, opTold, byte(rnd.IntN(256)), opDeadline, 0, opChecked, byte(rnd.IntN(256)))
			tape = noise(tape, early())
		}
		tape = append(tape, opEnd, byte(rnd.IntN(256)))
		tape = noise(tape, early())
		tape = append(tape, opDeadline, 0)
		tape = noise(tape, early())
		tape = append(tape, opStarted, 0)
	}
	return noise(tape, rnd.IntN(30))
}

// play runs a tape and tells the first thing that is wrong, with all that led to it.
func play(tape []byte) error {
	if len(tape) < tapeHead {
		return nil
	}
	cfg := configOf(tape[0], tape[1], tape[2])
	m := machine{cfg: cfg}
	w := witness{cfg: cfg}
	ref := reference{cfg: cfg}
	now := epoch()
	var history []event
	for tape = tape[tapeHead:]; len(tape) >= 2; tape = tape[2:] {
		ev := eventOf(tape[0], tape[1], now, m.wakeAt())
		if ev.kind == evNotify && plain(cfg) {
			continue // it has nothing to tell
		}
		now = ev.now
		history = append(history, ev)
		next, acts := m.step(ev)
		err := w.check(m, ev, next, acts)
		if want := ref.sees(ev); err == nil && plain(cfg) {
			err = ref.agrees(want, next, acts)
		}
		if err != nil {
			return fmt.Errorf("%w\n%s", err, retell(cfg, history))
		}
		m = next
	}
	return w.ends(m, now)
}

// retell writes down a sequence of events and what the machine made of it.
func retell(cfg *Config, history []event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "with delay %v, timeout %v, stop signal %d, rewrite %v, leftovers %d, grace %v, settle %v, limit %v\n",
		cfg.StopDelay, cfg.StopTimeout, cfg.StopSignal, cfg.Rewrite, cfg.Leftovers, cfg.Grace, cfg.Settle, cfg.TimeLimit)
	if cfg.Type != ExecType || cfg.Watchdog > 0 {
		fmt.Fprintf(&b, "type %d, watchdog %v, health %+v, report only %v, pid file %q, start timeout %v\n", cfg.Type, cfg.Watchdog, cfg.Health, cfg.HealthReport, cfg.PIDFile, cfg.StartTimeout)
	}
	if cfg.Restart != RestartNever {
		fmt.Fprintf(&b, "restart %d after %v by %v up to %v, reset %v, failures %d, ok %v, never after %v\n", cfg.Restart, cfg.RestartDelay,
			cfg.RestartFactor, cfg.RestartMaxDelay, cfg.RestartReset, cfg.RestartFailures, cfg.OKExit, cfg.NoRestartExit)
	}
	m := machine{cfg: cfg}
	for _, ev := range history {
		var acts []action
		pid := m.pid
		m, acts = m.step(ev)
		fmt.Fprintf(&b, "%8v %-9s %-5s -> %-8s %s\n",
			ev.now.Sub(epoch()), eventName(ev.kind), signalName(ev.sig), stateName(m.state), describe(acts, max(pid, m.pid)))
	}
	return b.String()
}
