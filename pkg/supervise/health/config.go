package health

import (
	"errors"
	"fmt"
	"time"
)

const (
	// shortest is the least that a time between probes, or the time for one, can be.
	shortest = time.Millisecond
	// usualStartInterval is docker's.
	usualStartInterval = 5 * time.Second
	// readyInterval is what a start that somebody waits for is tried in.
	readyInterval = time.Second
	// readyProbes is how often it is tried at least.
	readyProbes = 10
)

// Config is the timing of a health check, in the words of a Dockerfile's HEALTHCHECK.
type Config struct {
	// Interval is the time from the start of the command to the first probe, and
	// from the end of a probe to the next.
	Interval time.Duration
	// Timeout is how long a probe may take. One that takes longer has failed.
	Timeout time.Duration
	// Retries is how many failures in a row make the command unhealthy.
	Retries int
	// StartPeriod is for how long after the start of the command a failure does not
	// count. The first success ends it.
	StartPeriod time.Duration
	// StartInterval takes the place of Interval in the start period; 0 is Interval,
	// or 5 s if that is shorter.
	StartInterval time.Duration
}

// Defaults is docker's timing but for the timeout, which is 30 s there.
func Defaults() Config {
	return Config{Interval: 30 * time.Second, Timeout: 5 * time.Second, Retries: 3}
}

// AwaitReady is the timing for a command whose first success somebody waits for, and
// gives up after limit. Docker's first probe after 30 s would miss many a limit, so
// the command is probed every second until it is ready, or at shorter intervals
// if that is Interval or if limit would not be enough for ten probes; and no failure
// counts until then. A StartInterval that is set stays.
func (c Config) AwaitReady(limit time.Duration) Config {
	c.StartPeriod = max(c.StartPeriod, limit)
	if c.StartInterval == 0 {
		c.StartInterval = max(shortest, min(readyInterval, c.Interval, limit/readyProbes))
	}
	return c
}

// Validate tells everything that is wrong with the configuration. Each error starts
// with the name of the field.
func (c Config) Validate() error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf(field+": "+format, args...))
	}
	atLeast := func(field string, d, least time.Duration) {
		if d < least {
			bad(field, "%v is less than %v", d, least)
		}
	}
	atLeast("Interval", c.Interval, shortest)
	atLeast("Timeout", c.Timeout, shortest)
	if c.Retries < 1 {
		bad("Retries", "%d is less than 1", c.Retries)
	}
	atLeast("StartPeriod", c.StartPeriod, 0)
	if c.StartInterval != 0 {
		atLeast("StartInterval", c.StartInterval, shortest)
	}
	return errors.Join(errs...)
}

// startInterval is the interval in the start period.
func (c Config) startInterval() time.Duration {
	if c.StartInterval == 0 {
		return min(c.Interval, usualStartInterval)
	}
	return c.StartInterval
}
