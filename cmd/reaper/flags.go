package main

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/reaper-init/reaper/pkg/supervise"
)

// options is what the command line and the environment say.
type options struct {
	config      supervise.Config
	okExit      okSet
	raise       bool
	parentDeath syscall.Signal
	keepEnv     bool
	verbose     int
	quiet       bool
	logFormat   string
	help        bool
	version     bool
}

// operands is what follows the options.
type operands struct {
	args     []string
	explicit bool     // after --, so the first cannot be a subcommand
	before   []string // the options themselves
}

// usageError is a wrong command line: what is wrong, and what to do.
type usageError struct{ what, hint string }

func (e *usageError) Error() string { return e.what }

const seeHelp = "'reaper help' lists the options; a command that looks like one goes after --"

// newFlags declares every option. Its text is in help.go.
func newFlags(o *options) *pflag.FlagSet {
	f := pflag.NewFlagSet("reaper", pflag.ContinueOnError)
	f.SetInterspersed(false) // what follows the command is the command's
	f.SortFlags = false
	f.Usage = func() {}
	c := &o.config

	f.BoolVarP(&c.Group, "group", "g", false, "")
	f.VarP(rewriteValue{&c.Rewrite}, "rewrite", "r", "")
	f.Var(durationValue{&c.StopDelay}, "stop-delay", "")
	f.VarP(signalValue{&o.parentDeath, true}, "parent-death", "p", "")
	f.Var(signalValue{&c.ChildParentDeath, true}, "child-parent-death", "")

	f.Var(signalValue{&c.StopSignal, false}, "stop-signal", "")
	f.Var(durationValue{&c.StopTimeout}, "stop-timeout", "")

	f.Var(&o.okExit, "ok-exit", "")
	f.BoolVar(&o.raise, "raise", false, "")

	f.BoolVar(&o.keepEnv, "keep-env", false, "")

	f.CountVarP(&o.verbose, "verbose", "v", "")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "")
	o.logFormat = "auto"
	f.Var(choiceValue{&o.logFormat, []string{"auto", "console", "json"}}, "log-format", "")

	f.BoolVarP(&o.help, "help", "h", false, "")
	f.BoolVar(&o.version, "version", false, "")
	return f
}

// parseOptions reads the options before the command, and for those that are not
// there the variables. The variables that are options are taken out of the
// environment for the command.
func parseOptions(args, env []string) (*options, operands, error) {
	o := &options{}
	f := newFlags(o)
	if err := f.Parse(args); err != nil {
		return nil, operands{}, misuse(err)
	}
	rest := operands{args: f.Args(), explicit: f.ArgsLenAtDash() == 0}
	rest.before = args[:len(args)-len(rest.args)]

	variables := make(map[string]*pflag.Flag)
	for _, name := range optionNames(f) {
		variables[variableOf(name)] = f.Lookup(name)
	}
	passed := make([]string, 0, len(env))
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		flag, ours := variables[name]
		if !ours {
			passed = append(passed, kv)
			continue
		}
		if value != "" && !flag.Changed {
			if err := flag.Value.Set(value); err != nil {
				return nil, operands{}, &usageError{
					fmt.Sprintf("%s=%s: %s", name, value, plain(err)),
					"unset it, or give --" + flag.Name,
				}
			}
		}
		delete(variables, name) // getenv(3) sees the first of that name
	}
	o.config.Env = passed
	if o.keepEnv {
		o.config.Env = env
	}
	return o, rest, o.conflicts()
}

// variableOf is the environment variable of an option.
func variableOf(option string) string {
	return "REAPER_" + strings.ToUpper(strings.ReplaceAll(option, "-", "_"))
}

// conflicts is every contradiction between options.
func (o *options) conflicts() error {
	switch {
	case o.quiet && o.verbose > 0:
		return &usageError{"--quiet and --verbose contradict each other", "give one of them"}
	case o.config.StopSignal == syscall.SIGKILL && o.config.StopTimeout > 0:
		return &usageError{
			"--stop-timeout has nothing to wait for when --stop-signal is KILL",
			"give one of them",
		}
	}
	return nil
}

// misuse puts what package pflag says into the words of this program.
func misuse(err error) error {
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		name := "--" + unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			name = "-" + unknown.GetSpecifiedName()
		}
		return &usageError{"unknown option " + name, seeHelp}
	case errors.As(err, &missing):
		return &usageError{"option --" + missing.GetFlag().Name + " needs a value", seeHelp}
	case errors.As(err, &invalid):
		return &usageError{
			fmt.Sprintf("--%s %s: %s", invalid.GetFlag().Name, invalid.GetValue(), plain(invalid.Unwrap())),
			seeHelp,
		}
	default:
		return &usageError{err.Error(), seeHelp}
	}
}

// plain is the text of an error of a value, in words where it is strconv's.
func plain(err error) string {
	switch text := err.Error(); {
	case strings.HasPrefix(text, "strconv.ParseBool"):
		return "neither true nor false"
	case strings.HasPrefix(text, "strconv.Parse"):
		return "not a number"
	default:
		return text
	}
}

// optionNames is every option that a variable can stand for.
func optionNames(f *pflag.FlagSet) []string {
	var names []string
	f.VisitAll(func(flag *pflag.Flag) {
		if flag.Name != "help" && flag.Name != "version" {
			names = append(names, flag.Name)
		}
	})
	return names
}
