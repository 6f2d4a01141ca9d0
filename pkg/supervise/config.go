package supervise

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
	"github.com/reaper-init/reaper/pkg/supervise/health"
)

// Config tells what to run and how. Only Args must be set, or NoCommand.
type Config struct {
	// Args is the command: what is executed, looked up as execvp(3) does, and
	// its arguments.
	Args []string
	// Env is the command's environment. Nil means an empty one.
	Env []string
	// Inherited is how the command finds its signals and limits; see
	// [reap.Command].
	Inherited *reap.Inheritance

	// Stdout and Stderr are what it has as its descriptors 1 and 2; nil is what this
	// process has.
	Stdout, Stderr *os.File
	// Attributes are what the command has otherwise than this process.
	Attributes reap.Attributes

	// Type tells what becomes of the process that is started.
	Type CommandType
	// PIDFile names the file into which a command of ForkingType writes the pid of the
	// daemon. Without it that must be the one process that is left.
	PIDFile string
	// StartTimeout is how long it may take until the command is ready: for ForkingType,
	// until the daemon is known, for NotifyType until it says so. Then it is stopped, StopTimeout after that, or Grace if
	// there is none, killed, and counts as failed. 0 is for ever, but for a PIDFile
	// when the command has exited: that has 90 seconds.
	StartTimeout time.Duration

	// Watchdog is how often a command that is ready has to send WATCHDOG=1 at least, as
	// long as it runs. If it does not it gets SIGABRT, is killed as after a StartTimeout,
	// and counts as failed. 0 is never. Only with Supervisor.Messages.
	Watchdog time.Duration

	// Health is how often the command is probed, from when it has been started or its
	// daemon is known, and what follows from how that ends; no Interval is never. Then it
	// is ready with the first success.
	Health health.Config
	// HealthCommand is a line for /bin/sh that exits with 0 if the command works. It runs
	// in a process group of its own, with /dev/null as its streams, and is otherwise as
	// the command. HealthTarget is what is asked instead. One of them is given.
	HealthCommand string
	HealthTarget  health.Target
	// HealthReport only tells of a command that is unhealthy. Else it is stopped as after
	// a StartTimeout, and counts as failed.
	HealthReport bool

	// Placement is the process group and session of the command.
	Placement reap.Group
	// ListenPID corrects LISTEN_PID in Env; see [reap.Command].
	ListenPID bool
	// NoCommand runs nothing: orphans are adopted and reaped until SIGTERM or SIGINT
	// comes. Args, and what concerns the command, are not used.
	NoCommand bool

	// Group sends what is forwarded to the command's process group.
	Group bool
	// ForwardOnly has no signal ask for a stop as long as the command runs: each is
	// forwarded, and nothing follows from it.
	ForwardOnly bool
	// Rewrite replaces a signal as it comes; 0 drops it. What comes out is what
	// counts from there on: a signal that becomes TERM is a stop request.
	Rewrite map[syscall.Signal]syscall.Signal
	// StopSignal is what a stop request sends to the command; 0 is the signal
	// that asked.
	StopSignal syscall.Signal
	// StopDelay is how long a stop request waits before it is passed on.
	StopDelay time.Duration
	// StopTimeout is how long the command may take to end after the stop signal
	// before it is killed; 0 is for ever.
	StopTimeout time.Duration
	// EndSignal is sent to the command's process group when the command has ended,
	// before it is reaped. 0 is none.
	EndSignal syscall.Signal
	// StopSelf are the signals that, as they come, stop this process too, once they
	// have been forwarded. If there are any, it is not stopped when the command is.
	StopSelf reap.SignalSet
	// ChildParentDeath is what the command gets when the thread that calls Run
	// ends: lock the goroutine to it (reap.Command.ParentDeath).
	ChildParentDeath syscall.Signal

	// Leftovers is what to do with descendants that are still there when the command
	// has ended.
	Leftovers LeftoverPolicy
	// Grace is how long leftovers may take to end after SIGTERM before they are
	// killed. 0 leaves them no time.
	Grace time.Duration
	// Settle is how long they may take to end by themselves before they count as
	// leftovers: many programs end a moment after the one that started them.
	Settle time.Duration
	// TimeLimit is how long the command may run. Then it is asked to stop, and the
	// other descendants with it, unless they are to be kept; StopTimeout after that, or
	// Grace if there is none, whoever is left is killed. 0 is for ever.
	TimeLimit time.Duration
	// FindLeftovers has leftovers looked for and put into the result even if they
	// are kept, and their command lines read.
	FindLeftovers bool
	// InspectLeftovers has more found out about each: what it listens on, its open
	// files, and who started it. For the last the tree is looked at again and again
	// while the command runs, at the cost of two percent of a processor.
	InspectLeftovers bool

	// Restart is after which ends of the command it is started again, once its leftovers
	// have been dealt with. A stop request and the time limit end that.
	Restart RestartPolicy
	// RestartDelay is how long that waits. Each time it is RestartFactor times as long,
	// but not longer than RestartMaxDelay; a factor below 1 is 1, and a maximum of 0 none.
	// Chance adds up to a tenth.
	RestartDelay, RestartMaxDelay time.Duration
	RestartFactor                 float64
	// RestartReset is how long the command must have run for the next delay to be the
	// first again, and for earlier failures not to count.
	RestartReset time.Duration
	// RestartFailures is how many failures, one after another, end it. 0 is any number.
	RestartFailures int
	// OKExit are the ends that count as success, besides those that do so anyway.
	OKExit ExitSet
	// NoRestartExit are the ends after which the command is not started again.
	NoRestartExit ExitSet

	// NameOrphans has the name of each orphan read from /proc before it is
	// reaped, at the cost of two more system calls and a file for each; and the command
	// lines of leftovers.
	NameOrphans bool
}

// CommandType tells what becomes of the process that is started, in the words of
// systemd.service(5).
type CommandType uint8

const (
	// ExecType is the command, as long as it runs.
	ExecType CommandType = iota
	// ForkingType exits with 0 and leaves a daemon, which is the command from there on:
	// as this process adopts orphans, the daemon becomes its child.
	ForkingType
	// NotifyType is the command, and says by sd_notify(3) when it is ready.
	NotifyType
)

// LeftoverPolicy tells what becomes of leftovers.
type LeftoverPolicy uint8

const (
	// KeepLeftovers leaves them alone.
	KeepLeftovers LeftoverPolicy = iota
	// StopLeftovers sends SIGTERM and SIGCONT to each, once, and kills after Grace.
	StopLeftovers
	// WaitForLeftovers waits until they end by themselves. A stop request has them
	// stopped.
	WaitForLeftovers
	// KillLeftovers kills them.
	KillLeftovers
)

// limitPatience is how long the time limit waits between asking and killing.
func (c *Config) limitPatience() time.Duration {
	if c.StopTimeout > 0 {
		return c.StopTimeout
	}
	return c.Grace
}

// Validate tells everything that is wrong with the configuration. Each error
// starts with the name of the field.
func (c *Config) Validate() error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf(field+": "+format, args...))
	}
	switch {
	case c.NoCommand:
	case len(c.Args) == 0:
		bad("Args", "no command")
	}
	for _, from := range slices.Sorted(maps.Keys(c.Rewrite)) { // the text must not change from run to run
		to := c.Rewrite[from]
		switch {
		case !valid(from), from == syscall.SIGKILL, from == syscall.SIGSTOP, from == syscall.SIGCHLD:
			bad("Rewrite", "signal %d is never forwarded", int(from))
		case to != 0 && !valid(to):
			bad("Rewrite", "no signal %d", int(to))
		}
	}
	signal := func(field string, sig syscall.Signal) {
		if sig != 0 && !valid(sig) {
			bad(field, "no signal %d", int(sig))
		}
	}
	signal("StopSignal", c.StopSignal)
	signal("EndSignal", c.EndSignal)
	signal("ChildParentDeath", c.ChildParentDeath)
	duration := func(field string, d time.Duration) {
		if d < 0 {
			bad(field, "negative duration %v", d)
		}
	}
	duration("StopDelay", c.StopDelay)
	duration("StopTimeout", c.StopTimeout)
	duration("Grace", c.Grace)
	duration("Settle", c.Settle)
	duration("TimeLimit", c.TimeLimit)
	duration("StartTimeout", c.StartTimeout)
	duration("Watchdog", c.Watchdog)
	duration("RestartDelay", c.RestartDelay)
	duration("RestartMaxDelay", c.RestartMaxDelay)
	duration("RestartReset", c.RestartReset)
	if math.IsNaN(c.RestartFactor) || math.IsInf(c.RestartFactor, 0) || c.RestartFactor < 0 {
		bad("RestartFactor", "no factor %v", c.RestartFactor)
	}
	if c.RestartFailures < 0 {
		bad("RestartFailures", "negative number %d", c.RestartFailures)
	}
	if c.Restart > RestartAlways {
		bad("Restart", "no policy %d", c.Restart)
	}
	switch {
	case c.Type > NotifyType:
		bad("Type", "no type %d", c.Type)
	case c.PIDFile != "" && c.Type != ForkingType:
		bad("PIDFile", "the command is not to leave a daemon")
	case c.StartTimeout > 0 && c.waits() == 0:
		bad("StartTimeout", "nothing tells that the command is ready")
	}
	if c.Health.Interval != 0 {
		if err := c.Health.Validate(); err != nil {
			bad("Health", "%w", err)
		}
		if (c.HealthCommand == "") != hasTarget(c.HealthTarget) {
			bad("HealthCommand", "either that or HealthTarget")
		}
	}
	if c.Placement > reap.OwnSession {
		bad("Placement", "no group %d", c.Placement)
	}
	if c.Leftovers > KillLeftovers {
		bad("Leftovers", "no policy %d", c.Leftovers)
	}
	return errors.Join(errs...)
}

func valid(sig syscall.Signal) bool { return sig >= 1 && sig <= reap.NumSignals }
