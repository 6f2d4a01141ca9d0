package main

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"github.com/reaper-init/reaper/pkg/supervise"
)

// options is what the command line and the environment say.
type options struct {
	config      supervise.Config
	raise       bool
	parentDeath syscall.Signal
	leaks       string // what leftovers mean: one of the words below
	leakOK      patterns
	notify      bool // the command tells of itself
	health      healthOptions
	output      outputOptions
	report      string // where --report goes, "" for nowhere
	verbose     int
	quiet       bool
	logFormat   string
	help        bool
	version     bool
	becoming

	as            *persona // nil is reaper itself
	noSubreaper   bool     // orphans come only if they do so anyway
	byDefault     bool     // the command gets default actions and an empty mask
	leaveTerminal bool     // the controlling terminal is given up

	flags *pflag.FlagSet // tells which options were on the command line
}

// operands is what follows the options.
type operands struct {
	args     []string
	explicit bool     // after --, so the first cannot be a subcommand
	before   []string // the options themselves
}

// is reports whether the operands call that subcommand.
func (c operands) is(subcommand string) bool {
	return !c.explicit && len(c.args) > 0 && c.args[0] == subcommand
}

// usageError is a wrong command line: what is wrong, and what to do.
type usageError struct{ what, hint string }

func (e *usageError) Error() string { return e.what }

// The words of --leaks.
const (
	leaksIgnore = "ignore"
	leaksReport = "report"
	leaksFail   = "fail"
)

const defaultGrace = 5 * time.Second

const (
	hintUnknown = "'reaper help' lists the options; put -- before a command that starts with a dash"
	hintMissing = "'reaper help' lists the options and their values"
)

// newFlags declares every option. Its text is in help.go.
func newFlags(o *options) *pflag.FlagSet {
	f := pflag.NewFlagSet("reaper", pflag.ContinueOnError)
	f.SetInterspersed(false) // what follows the command is the command's
	f.SortFlags = false
	f.Usage = func() {}
	c := &o.config

	c.ListenPID = true
	f.BoolVarP(&c.Group, "group", "g", false, "")
	f.VarP(rewriteValue{&c.Rewrite}, "rewrite", "r", "")
	f.Var(durationValue{&c.StopDelay}, "stop-delay", "")
	f.VarP(signalValue{&o.parentDeath, true}, "parent-death", "p", "")
	f.Var(signalValue{&c.ChildParentDeath, true}, "child-parent-death", "")

	f.Var(signalValue{&c.StopSignal, false}, "stop-signal", "")
	f.Var(durationValue{&c.StopTimeout}, "stop-timeout", "")
	c.Leftovers = supervise.StopLeftovers
	f.Var(leftoversValue{&c.Leftovers}, "leftovers", "")
	c.Grace = defaultGrace
	f.Var(durationValue{&c.Grace}, "grace", "")
	f.Var(durationValue{&c.TimeLimit}, "time-limit", "")

	o.leaks = leaksReport
	f.Var(choiceValue{&o.leaks, []string{leaksIgnore, leaksReport, leaksFail}}, "leaks", "")
	f.Var(&o.leakOK, "leak-ok", "")
	f.StringVar(&o.report, "report", "", "")

	addRestartFlags(f, c)
	addDaemonFlags(f, o)
	addHealthFlags(f, o)
	addOutputFlags(f, &o.output)

	f.Var(exitsValue{&c.OKExit}, "ok-exit", "")
	f.BoolVar(&o.raise, "raise", false, "")

	becomingFlags(f, o)

	f.VarPF(countValue{&o.verbose}, "verbose", "v", "").NoOptDefVal = countOneMore
	f.BoolVarP(&o.quiet, "quiet", "q", false, "")
	o.logFormat = "auto"
	f.Var(choiceValue{&o.logFormat, []string{"auto", "console", "json"}}, "log-format", "")

	f.String("as", "", "")
	f.BoolVarP(&o.help, "help", "h", false, "")
	f.BoolVar(&o.version, "version", false, "")
	return f
}

// parseOptions reads the options before the command; readVariables does the rest.
func parseOptions(args []string) (*options, operands, error) {
	o := &options{}
	o.flags = newFlags(o)
	if err := o.flags.Parse(args); err != nil {
		return nil, operands{}, misuse(err, args, o.flags)
	}
	if o.flags.Changed("as") {
		return nil, operands{}, &usageError{"--as is for the first word alone", usageAs}
	}
	rest := operands{args: o.flags.Args(), explicit: o.flags.ArgsLenAtDash() == 0}
	rest.before = args[:len(args)-len(rest.args)]
	for _, arg := range rest.before {
		if strings.HasPrefix(arg, "-test.") { // package pflag skips those of go test
			return nil, operands{}, &usageError{"unknown option " + quoted(arg), hintUnknown}
		}
		if long := lacksDash(arg, o.flags); long != "" { // -user is no --user ser
			return nil, operands{}, &usageError{"unknown option " + quoted(arg), "did you mean --" + long + "?"}
		}
	}
	return o, rest, nil
}

// readVariables reads the variables of the options that are not on the command
// line. All variables that are options are taken out of the environment for the
// command.
func (o *options) readVariables(env []string) error {
	variables := make(map[string]*pflag.Flag)
	for _, name := range optionNames(o.flags) {
		variables[variableOf(name)] = o.flags.Lookup(name)
	}
	// -v on the command line is not to contradict a REAPER_QUIET, nor -q a
	// REAPER_VERBOSE: the command line wins.
	if o.quiet || o.verbose > 0 {
		variables[variableOf("quiet")], variables[variableOf("verbose")] = nil, nil
	}
	passed := make([]string, 0, len(env))
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		flag, ours := variables[name]
		if !ours {
			passed = append(passed, kv)
			continue
		}
		variables[name] = nil // getenv(3) sees the first of that name
		if flag == nil || flag.Changed || value == "" {
			continue
		}
		if err := flag.Value.Set(value); err != nil {
			return wrongValue(name+"="+quoted(value), err)
		}
	}
	o.config.Env = passed
	if o.keepEnv {
		o.config.Env = env
	}
	return o.conflicts()
}

// lookForLeaks has the supervisor find out what the words of --leaks need.
func (o *options) lookForLeaks() {
	// Programs end one after another: a moment is given to those that are about to,
	// and a longer one where the verdict depends on it.
	const moment, longer = 100 * time.Millisecond, 500 * time.Millisecond
	c := &o.config
	c.FindLeftovers = o.leaks != leaksIgnore || o.report != ""
	c.InspectLeftovers = o.leaks == leaksFail
	switch {
	case o.leaks == leaksFail:
		c.Settle = longer
	case c.FindLeftovers && c.Leftovers != supervise.KillLeftovers:
		c.Settle = moment
	}
}

// variableOf is the environment variable of an option.
func variableOf(option string) string {
	return "REAPER_" + strings.ToUpper(strings.ReplaceAll(option, "-", "_"))
}

// conflicts is every contradiction between options.
func (o *options) conflicts() error {
	switch {
	case o.quiet && o.verbose > 0:
		return &usageError{
			fmt.Sprintf("%s and %s contradict each other", o.origin("quiet"), o.origin("verbose")),
			"give one of them",
		}
	case o.config.StopSignal == syscall.SIGKILL && o.config.StopTimeout > 0:
		return &usageError{
			fmt.Sprintf("%s has nothing to wait for when %s is KILL", o.origin("stop-timeout"), o.origin("stop-signal")),
			"give one of them",
		}
	case o.keepEnv && o.clearEnv:
		return &usageError{
			fmt.Sprintf("%s and %s contradict each other", o.origin("keep-env"), o.origin("clear-env")),
			"give one of them",
		}
	case o.capAdd.set&o.capDrop.set != 0 || o.capAdd.all && o.capDrop.all:
		return &usageError{
			fmt.Sprintf("%s and %s name the same", o.origin("cap-add"), o.origin("cap-drop")),
			"a name counts more than ALL, so give ALL to one of them",
		}
	}
	if err := o.daemonConflicts(); err != nil {
		return err
	}
	return o.outputConflicts()
}

// origin is the option as it was given: itself, or its variable.
func (o *options) origin(option string) string {
	if o.flags.Changed(option) {
		return "--" + option
	}
	return variableOf(option)
}

// misuse puts what package pflag says into the words of this program.
func misuse(err error, args []string, f *pflag.FlagSet) error {
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	var malformed *pflag.InvalidSyntaxError
	switch {
	case errors.As(err, &unknown):
		if letters := unknown.GetSpecifiedShortnames(); letters != "" {
			return unknownLetter(letters, args, f)
		}
		return &usageError{"unknown option " + quoted("--"+unknown.GetSpecifiedName()), hintUnknown}
	case errors.As(err, &missing):
		return &usageError{"option --" + missing.GetFlag().Name + " needs a value", hintMissing}
	case errors.As(err, &invalid):
		flag, between := invalid.GetFlag(), " "
		if flag.NoOptDefVal != "" {
			between = "=" // it takes no value from the next word
		}
		return wrongValue("--"+flag.Name+between+quoted(invalid.GetValue()), invalid.Unwrap())
	case errors.As(err, &malformed):
		return &usageError{"malformed option " + quoted(malformed.GetSpecifiedFlag()), hintUnknown}
	default:
		return &usageError{err.Error(), hintUnknown}
	}
}

// unknownLetter says which word the first of the letters is from, and whether
// that word is an option that lacks a dash.
func unknownLetter(letters string, args []string, f *pflag.FlagSet) error {
	letter, _ := utf8.DecodeRuneInString(letters)
	e := &usageError{"unknown option " + quoted("-"+string(letter)), hintUnknown}
	for _, word := range args {
		if utf8.RuneCountInString(word) > 2 && word[0] == '-' && word[1] != '-' && strings.HasSuffix(word, letters) {
			e.what += " in " + quoted(word)
			if long := lacksDash(word, f); long != "" {
				e.hint = "did you mean --" + long + "?"
			}
			break
		}
	}
	return e
}

// lacksDash is the long name of an option that was given with one dash, or "".
func lacksDash(word string, f *pflag.FlagSet) string {
	if len(word) < 3 || word[0] != '-' || word[1] == '-' {
		return ""
	}
	if long, _, _ := strings.Cut(word[1:], "="); f.Lookup(long) != nil {
		return long
	}
	return ""
}

// wrongValue says where a wrong value stands, and what is wrong with it.
func wrongValue(where string, err error) error {
	if usage, ok := errors.AsType[*usageError](err); ok {
		return &usageError{where + ": " + usage.what, usage.hint}
	}
	// The others, all of package pflag, are booleans.
	return &usageError{where + ": neither true nor false", "use true or false"}
}

// optionNames is every option that a variable can stand for.
func optionNames(f *pflag.FlagSet) []string {
	var names []string
	f.VisitAll(func(flag *pflag.Flag) {
		if flag.Name != "help" && flag.Name != "version" && flag.Name != "as" {
			names = append(names, flag.Name)
		}
	})
	return names
}
