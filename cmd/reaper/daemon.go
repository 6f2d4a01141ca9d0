package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/reaper-init/reaper/pkg/supervise"
)

// The options about what the command is: what it leaves, and when it is ready.

const hintReady = "add --type forking, --type notify or a health check"

func addDaemonFlags(f *pflag.FlagSet, o *options) {
	c := &o.config
	f.Var(typeValue{&c.Type}, "type", "")
	f.StringVar(&c.PIDFile, "pidfile", "", "")
	f.BoolVar(&o.notify, "notify", false, "")
	f.Var(durationValue{&c.Watchdog}, "watchdog", "")
	f.Var(durationValue{&c.StartTimeout}, "start-timeout", "")
}

// typeValue is a word of --type.
type typeValue struct{ kind *supervise.CommandType }

func (v typeValue) Set(text string) error {
	var word string
	if err := (choiceValue{&word, []string{"exec", "forking", "notify"}}).Set(text); err != nil {
		return err
	}
	*v.kind = map[string]supervise.CommandType{
		"exec": supervise.ExecType, "forking": supervise.ForkingType, "notify": supervise.NotifyType,
	}[word]
	return nil
}

func (v typeValue) String() string { return "" }
func (v typeValue) Type() string   { return "word" }

// daemonConflicts is every contradiction between the options about what the command is.
func (o *options) daemonConflicts() error {
	if err := o.checkHealth(); err != nil {
		return err
	}
	c := &o.config
	switch {
	case c.PIDFile != "" && c.Type != supervise.ForkingType:
		return &usageError{
			fmt.Sprintf("%s is for a command that leaves a daemon", o.origin("pidfile")), "add --type forking",
		}
	case c.StartTimeout > 0 && c.Type == supervise.ExecType && c.Health.Interval == 0:
		return &usageError{
			fmt.Sprintf("%s has nothing that tells when the command is ready", o.origin("start-timeout")), hintReady,
		}
	}
	return nil
}
