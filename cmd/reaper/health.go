package main

import (
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/reaper-init/reaper/pkg/supervise/health"
)

// The options about health checks.

const hintRetries = "use a number that is 1 or more"

func addHealthFlags(f *pflag.FlagSet, o *options) {
	h := &o.health
	h.Config = health.Defaults()
	f.StringVar(&h.command, "health-cmd", "", "")
	f.Var(httpValue{&h.http}, "health-http", "")
	f.Var(tcpValue{&h.tcp}, "health-tcp", "")
	f.Var(durationValue{&h.Interval}, "health-interval", "")
	f.Var(durationValue{&h.Timeout}, "health-timeout", "")
	f.Var(retriesValue{&h.Retries}, "health-retries", "")
	f.Var(durationValue{&h.StartPeriod}, "health-start-period", "")
	f.Var(durationValue{&h.StartInterval}, "health-start-interval", "")
	h.action = healthRestart
	f.Var(choiceValue{&h.action, []string{healthRestart, healthReport}}, "health-action", "")
}

// healthOptions are what the options about health checks say.
type healthOptions struct {
	health.Config

	command   string
	http, tcp health.Target
	action    string // one of the words below
}

// The words of --health-action.
const (
	healthRestart = "restart"
	healthReport  = "report"
)

// retriesValue is a number that is 1 or more.
type retriesValue struct{ n *int }

func (v retriesValue) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return &usageError{"not a number of retries", hintRetries}
	}
	*v.n = n
	return nil
}

func (v retriesValue) String() string { return "" }
func (v retriesValue) Type() string   { return "number" }

// checkHealth makes the health check of the options that of the configuration.
func (o *options) checkHealth() error {
	h, c := &o.health, &o.config
	var given []string
	for _, check := range []struct {
		option string
		given  bool
	}{{"health-cmd", h.command != ""}, {"health-http", h.http != health.Target{}}, {"health-tcp", h.tcp != health.Target{}}} {
		if check.given {
			given = append(given, o.origin(check.option))
		}
	}
	switch {
	case len(given) == 0:
		return nil
	case len(given) > 1:
		return &usageError{given[0] + " and " + given[1] + " are two health checks", "give one of them; a command can do several things"}
	case h.Interval < time.Millisecond:
		return &usageError{o.origin("health-interval") + " is too short", "use 1ms or more"}
	case h.Timeout < time.Millisecond:
		return &usageError{o.origin("health-timeout") + " is too short", "use 1ms or more"}
	case h.StartInterval != 0 && h.StartInterval < time.Millisecond:
		return &usageError{o.origin("health-start-interval") + " is too short", "use 1ms or more, or 0 for the default"}
	}
	c.Health, c.HealthCommand, c.HealthTarget, c.HealthReport = h.Config, h.command, h.http, h.action == healthReport
	if h.tcp != (health.Target{}) {
		c.HealthTarget = h.tcp
	}
	if c.StartTimeout > 0 {
		c.Health = c.Health.AwaitReady(c.StartTimeout)
	}
	return nil
}
