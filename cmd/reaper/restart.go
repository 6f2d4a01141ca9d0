package main

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/reaper-init/reaper/pkg/supervise"
)

// The options about starting the command again.

const (
	defaultRestartDelay    = 100 * time.Millisecond
	defaultRestartFactor   = 2
	defaultRestartMaxDelay = 30 * time.Second
	defaultRestartReset    = 10 * time.Second
)

const (
	hintRestart  = "use no, on-success, on-failure, on-abnormal or always; on-failure:3 ends after three failures"
	hintFailures = "use on-failure:3 for an end after three failures, one after another"
	hintFactor   = "use a number that is 1 or more, as in 1.5"
)

func addRestartFlags(f *pflag.FlagSet, c *supervise.Config) {
	f.Var(restartValue{c}, "restart", "")
	c.RestartDelay = defaultRestartDelay
	f.Var(durationValue{&c.RestartDelay}, "restart-delay", "")
	c.RestartFactor = defaultRestartFactor
	f.Var(factorValue{&c.RestartFactor}, "restart-factor", "")
	c.RestartMaxDelay = defaultRestartMaxDelay
	f.Var(durationValue{&c.RestartMaxDelay}, "restart-max-delay", "")
	c.RestartReset = defaultRestartReset
	f.Var(durationValue{&c.RestartReset}, "restart-reset", "")
	f.Var(exitsValue{&c.NoRestartExit}, "no-restart-exit", "")
}

// restartValue is a word of --restart, and a number of failures.
type restartValue struct{ c *supervise.Config }

func (v restartValue) Set(text string) error {
	word, number, counted := strings.Cut(text, ":")
	policy, ok := map[string]supervise.RestartPolicy{
		"no": supervise.RestartNever, "on-success": supervise.RestartOnSuccess, "on-failure": supervise.RestartOnFailure,
		"on-abnormal": supervise.RestartOnAbnormal, "always": supervise.RestartAlways,
	}[word]
	if !ok {
		return &usageError{"not a restart policy", hintRestart}
	}
	failures := 0
	if counted {
		n, err := strconv.Atoi(number)
		switch {
		case policy != supervise.RestartOnFailure:
			return &usageError{"only on-failure has a number of failures", hintFailures}
		case err != nil || n < 1:
			return &usageError{quoted(number) + " is not a number of failures", hintFailures}
		}
		failures = n
	}
	v.c.Restart, v.c.RestartFailures = policy, failures
	return nil
}

func (v restartValue) String() string { return "" }
func (v restartValue) Type() string   { return "word" }

// factorValue is a number that is 1 or more.
type factorValue struct{ factor *float64 }

func (v factorValue) Set(text string) error {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || f < 1 {
		return &usageError{"not a factor", hintFactor}
	}
	*v.factor = f
	return nil
}

func (v factorValue) String() string { return "" }
func (v factorValue) Type() string   { return "factor" }
