package main

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
	"github.com/reaper-init/reaper/pkg/supervise"
	"github.com/reaper-init/reaper/pkg/supervise/health"
)

// parse is what run does with a command line and an environment.
func parse(args, env []string) (*options, operands, error) {
	o, rest, err := parseOptions(args)
	if err == nil {
		err = o.readVariables(env)
	}
	return o, rest, err
}

// Options end at the first operand or at -- (pitfall 12: what follows the
// command is the command's).
func TestOperands(t *testing.T) {
	for _, test := range []struct {
		args     string
		operands string
		explicit bool
		before   string
	}{
		{"", "", false, ""},
		{"cmd", "cmd", false, ""},
		{"cmd -g --help", "cmd -g --help", false, ""},
		{"cmd -- -g", "cmd -- -g", false, ""},
		{"-g cmd -v", "cmd -v", false, "-g"},
		{"-g -- cmd -v", "cmd -v", true, "-g --"},
		{"-- cmd", "cmd", true, "--"},
		{"-- -g", "-g", true, "--"},
		{"-- --", "--", true, "--"},
		{"--", "", true, "--"},
		{"-g --", "", true, "-g --"},
		{"-", "-", false, ""},
		{"-g - -v", "- -v", false, "-g"},
		{"run", "run", false, ""},
		{"-- run", "run", true, "--"},
		{"-v run -g cmd", "run -g cmd", false, "-v"},
		{"--stop-signal run cmd", "cmd", false, "--stop-signal run"},
		{"--stop-timeout 5 cmd", "cmd", false, "--stop-timeout 5"},
		{"--stop-timeout=5 cmd", "cmd", false, "--stop-timeout=5"},
		{"-p TERM cmd", "cmd", false, "-p TERM"},
		{"-pTERM cmd", "cmd", false, "-pTERM"},
		{"-gvv cmd", "cmd", false, "-gvv"},
	} {
		args := strings.Fields(test.args)
		args = slices.Clip(args)
		o, rest, err := parseOptions(args)
		if test.args == "--stop-signal run cmd" { // a value is never a subcommand
			if err == nil || err.Error() != "--stop-signal run: not a signal" {
				t.Errorf("%q: %v", test.args, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", test.args, err)
			continue
		}
		if got := strings.Join(rest.args, " "); got != test.operands || rest.explicit != test.explicit {
			t.Errorf("%q: operands %q, explicit %v; want %q, %v", test.args, got, rest.explicit, test.operands, test.explicit)
		}
		if got := strings.Join(rest.before, " "); got != test.before {
			t.Errorf("%q: before %q, want %q", test.args, got, test.before)
		}
		if o == nil {
			t.Errorf("%q: no options", test.args)
		}
	}
}

// An operand that is the name of a subcommand is that; -- before it makes it a
// command.
func TestSubcommand(t *testing.T) {
	for args, want := range map[string]bool{
		"run": true, "-g run": true, "run cmd": true, "-- run": false, "-g -- run": false,
		"cmd run": false, "Run": false, "": false, "--": false, "./run": false,
	} {
		_, rest, err := parseOptions(strings.Fields(args))
		if err != nil || rest.is("run") != want {
			t.Errorf("%q: is run: %v, %v; want %v", args, rest.is("run"), err, want)
		}
	}
}

// optionCase is one option, a value for it, and what that does.
type optionCase struct {
	option string
	args   []string // every way to give it on the command line
	value  string   // the same in a variable
	other  string   // another value, as good
	got    func(*options) any
	want   any
}

var optionCases = []optionCase{
	{
		"group",
		[]string{"-g", "--group", "--group=true"},
		"true", "false",
		func(o *options) any { return o.config.Group }, true,
	},
	{
		"rewrite",
		[]string{"-r TERM:QUIT", "-rTERM:QUIT", "--rewrite TERM:QUIT", "--rewrite=15:3"},
		"TERM:QUIT", "HUP:none",
		func(o *options) any { return o.config.Rewrite },
		map[syscall.Signal]syscall.Signal{15: 3},
	},
	{
		"stop-delay",
		[]string{"--stop-delay 1m30s", "--stop-delay=90"},
		"90", "5s",
		func(o *options) any { return o.config.StopDelay }, 90 * time.Second,
	},
	{
		"parent-death",
		[]string{"-p TERM", "-p15", "--parent-death=sigterm"},
		"TERM", "none",
		func(o *options) any { return o.parentDeath }, syscall.SIGTERM,
	},
	{
		"child-parent-death",
		[]string{"--child-parent-death KILL"},
		"KILL", "none",
		func(o *options) any { return o.config.ChildParentDeath }, syscall.SIGKILL,
	},
	{
		"stop-signal",
		[]string{"--stop-signal INT"},
		"INT", "TERM",
		func(o *options) any { return o.config.StopSignal }, syscall.SIGINT,
	},
	{
		"stop-timeout",
		[]string{"--stop-timeout 0.5"},
		"500ms", "7",
		func(o *options) any { return o.config.StopTimeout }, 500 * time.Millisecond,
	},
	{
		"leftovers",
		[]string{"--leftovers wait", "--leftovers=wait"},
		"wait", "kill",
		func(o *options) any { return o.config.Leftovers }, supervise.WaitForLeftovers,
	},
	{
		"grace",
		[]string{"--grace 0", "--grace=0s"},
		"0", "7",
		func(o *options) any { return o.config.Grace }, time.Duration(0),
	},
	{
		"time-limit",
		[]string{"--time-limit 1m"},
		"60", "7",
		func(o *options) any { return o.config.TimeLimit }, time.Minute,
	},
	{
		"leaks",
		[]string{"--leaks fail"},
		"fail", "ignore",
		func(o *options) any { return o.leaks }, leaksFail,
	},
	{
		"leak-ok",
		[]string{"--leak-ok ^agent --leak-ok b", "--leak-ok=^agent --leak-ok=b"},
		"", "x",
		func(o *options) any { return strings.Join(patternTexts(o.leakOK), " ") }, "^agent b",
	},
	{
		"report",
		[]string{"--report out.json"},
		"out.json", "fd:3",
		func(o *options) any { return o.report }, "out.json",
	},
	{
		"restart",
		[]string{"--restart on-failure:3", "--restart=on-failure:3"},
		"on-failure:3", "always",
		func(o *options) any { return []any{o.config.Restart, o.config.RestartFailures} },
		[]any{supervise.RestartOnFailure, 3},
	},
	{
		"restart-delay",
		[]string{"--restart-delay 0"},
		"0", "7",
		func(o *options) any { return o.config.RestartDelay }, time.Duration(0),
	},
	{
		"restart-factor",
		[]string{"--restart-factor 1.5"},
		"1.5", "1",
		func(o *options) any { return o.config.RestartFactor }, 1.5,
	},
	{
		"restart-max-delay",
		[]string{"--restart-max-delay 1m"},
		"60", "7",
		func(o *options) any { return o.config.RestartMaxDelay }, time.Minute,
	},
	{
		"restart-reset",
		[]string{"--restart-reset 1m"},
		"60", "7",
		func(o *options) any { return o.config.RestartReset }, time.Minute,
	},
	{
		"no-restart-exit",
		[]string{"--no-restart-exit 3,ABRT"},
		"3,ABRT", "4",
		func(o *options) any { return o.config.NoRestartExit },
		exits([]int{3}, syscall.SIGABRT),
	},
	{
		"type",
		[]string{"--type forking"},
		"forking", "exec",
		func(o *options) any { return o.config.Type }, supervise.ForkingType,
	},
	{
		"pidfile",
		[]string{"--type=forking --pidfile /run/d.pid"},
		"", "/run/x.pid",
		func(o *options) any { return o.config.PIDFile }, "/run/d.pid",
	},
	{
		"notify",
		[]string{"--notify", "--notify=true"},
		"true", "false",
		func(o *options) any { return o.notified() }, true,
	},
	{
		"watchdog",
		[]string{"--watchdog 1m"},
		"60", "7",
		func(o *options) any { return []any{o.config.Watchdog, o.notified()} },
		[]any{time.Minute, true},
	},
	{
		"start-timeout",
		[]string{"--type=forking --start-timeout 1m"},
		"", "7",
		func(o *options) any { return o.config.StartTimeout }, time.Minute,
	},
	{
		"health-cmd",
		[]string{"--health-cmd check"},
		"check", "true",
		func(o *options) any { return []any{o.config.HealthCommand, o.config.Health} },
		[]any{"check", health.Defaults()},
	},
	{
		"health-http",
		[]string{"--health-http http://localhost/"},
		"http://localhost/", "http://x/",
		func(o *options) any { return o.config.HealthTarget.String() }, "http://localhost/",
	},
	{
		"health-tcp",
		[]string{"--health-tcp localhost:80"},
		"localhost:80", "x:1",
		func(o *options) any { return o.config.HealthTarget.String() }, "localhost:80",
	},
	{
		"health-interval",
		[]string{"--health-interval 1m"},
		"60", "7",
		func(o *options) any { return o.health.Interval }, time.Minute,
	},
	{
		"health-timeout",
		[]string{"--health-timeout 1m"},
		"60", "7",
		func(o *options) any { return o.health.Timeout }, time.Minute,
	},
	{
		"health-retries",
		[]string{"--health-retries 5"},
		"5", "1",
		func(o *options) any { return o.health.Retries }, 5,
	},
	{
		"health-start-period",
		[]string{"--health-start-period 1m"},
		"60", "7",
		func(o *options) any { return o.health.StartPeriod }, time.Minute,
	},
	{
		"health-start-interval",
		[]string{"--health-start-interval 2s"},
		"2", "7",
		func(o *options) any { return o.health.StartInterval }, 2 * time.Second,
	},
	{
		"health-action",
		[]string{"--health-action report"},
		"report", "restart",
		func(o *options) any { return o.health.action }, healthReport,
	},
	{
		"output",
		[]string{"--output a.log", "--output=a.log"},
		"a.log", "b.log",
		func(o *options) any { return o.output.file }, "a.log",
	},
	{
		"output-max-size",
		[]string{"--output-max-size 1MiB --output a", "--output-max-size=1m --output a"},
		"", "1k",
		func(o *options) any { return o.output.maxSize }, int64(1 << 20),
	},
	{
		"output-keep",
		[]string{"--output-keep 3 --output a"},
		"", "4",
		func(o *options) any { return pointed(o.output.keep) }, 3,
	},
	{
		"output-compress",
		[]string{"--output-compress --output a"},
		"", "false",
		func(o *options) any { return o.output.compress }, true,
	},
	{
		"output-prefix",
		[]string{"--output-prefix"},
		"true", "false",
		func(o *options) any { return o.output.prefix }, true,
	},
	{
		"tail",
		[]string{"--tail 20"},
		"", "0",
		func(o *options) any { return pointed(o.output.tail) }, 20,
	},
	{
		"ok-exit",
		[]string{"--ok-exit 3,TERM"},
		"3,TERM", "4",
		func(o *options) any { return o.config.OKExit },
		exits([]int{3}, 15),
	},
	{
		"raise",
		[]string{"--raise"},
		"1", "0",
		func(o *options) any { return o.raise }, true,
	},
	{
		"user",
		[]string{"-u app", "-uapp", "--user app", "--user=app"},
		"app", "1000:1000",
		func(o *options) any { return o.user }, "app",
	},
	{
		"workdir",
		[]string{"-w /srv", "--workdir=/srv"},
		"/srv", "/",
		func(o *options) any { return o.config.Attributes.Dir }, "/srv",
	},
	{
		"env",
		[]string{"-e A=1,2 -e B", "-eA=1,2 --env=B", "--env A=1,2 --env B"},
		"", "C=3",
		func(o *options) any { return strings.Join(o.setEnv, " ") }, "A=1,2 B",
	},
	{
		"env-file",
		[]string{"--env-file a --env-file b,c"},
		"", "d",
		func(o *options) any { return strings.Join(o.envFiles, " ") }, "a b,c",
	},
	{
		"clear-env",
		[]string{"--clear-env"},
		"true", "false",
		func(o *options) any { return o.clearEnv }, true,
	},
	{
		"keep-env",
		[]string{"--keep-env"},
		"true", "false",
		func(o *options) any { return o.keepEnv }, true,
	},
	{
		"umask",
		[]string{"--umask 027", "--umask=27"},
		"0027", "0",
		func(o *options) any { return pointed(o.config.Attributes.Umask) }, uint32(0o27),
	},
	{
		"ulimit",
		[]string{"--ulimit nofile=1:2 --ulimit core=0", "--ulimit nofile=1:2,core=0"},
		"nofile=1:2,core=0", "cpu=1",
		func(o *options) any { return o.config.Attributes.Limits },
		[]reap.ResourceLimit{{Resource: unix.RLIMIT_NOFILE, Limit: reap.Limit{Cur: 1, Max: 2}}, {Resource: unix.RLIMIT_CORE}},
	},
	{
		"nice",
		[]string{"--nice -20", "--nice=-20"},
		"-20", "0",
		func(o *options) any { return pointed(o.config.Attributes.Nice) }, -20,
	},
	{
		"oom-score-adj",
		[]string{"--oom-score-adj 0"},
		"0", "-1",
		func(o *options) any { return pointed(o.config.Attributes.OOMScoreAdj) }, 0,
	},
	{
		"no-new-privileges",
		[]string{"--no-new-privileges"},
		"1", "0",
		func(o *options) any { return o.config.Attributes.NoNewPrivileges }, true,
	},
	{
		"cap-drop",
		[]string{"--cap-drop chown --cap-drop CAP_KILL", "--cap-drop=CHOWN,kill"},
		"CHOWN,KILL", "ALL",
		func(o *options) any { return o.capDrop },
		capabilityList{set: 1<<unix.CAP_CHOWN | 1<<unix.CAP_KILL},
	},
	{
		"cap-add",
		[]string{"--cap-add all", "--cap-add=ALL"},
		"All", "KILL",
		func(o *options) any { return o.capAdd },
		capabilityList{all: true},
	},
	{
		"new-session",
		[]string{"--new-session"},
		"true", "false",
		func(o *options) any { return o.newSession }, true,
	},
	{
		"verbose",
		[]string{"-vv", "-v -v", "--verbose --verbose", "--verbose=2", "-v=2"},
		"2", "1",
		func(o *options) any { return o.verbose }, 2,
	},
	{
		"quiet",
		[]string{"-q", "--quiet"},
		"true", "false",
		func(o *options) any { return o.quiet }, true,
	},
	{
		"log-format",
		[]string{"--log-format json"},
		"json", "console",
		func(o *options) any { return o.logFormat }, "json",
	},
}

// Every option works in each of its forms and as its variable; the command line
// wins; an empty variable is as none.
func TestOptions(t *testing.T) {
	var covered []string
	for _, test := range optionCases {
		covered = append(covered, test.option)
		t.Run(test.option, func(t *testing.T) {
			unset, _, err := parse(nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			variable := variableOf(test.option)
			check := func(args string, env []string, want any) {
				t.Helper()
				o, rest, err := parse(append(strings.Fields(args), "cmd"), env)
				if err != nil {
					t.Errorf("%q with %q: %v", args, env, err)
					return
				}
				if got := test.got(o); !reflect.DeepEqual(got, want) {
					t.Errorf("%q with %q: got %v, want %v", args, env, got, want)
				}
				if !slices.Equal(rest.args, []string{"cmd"}) {
					t.Errorf("%q: operands %q", args, rest.args)
				}
			}
			check("", nil, test.got(unset))
			for _, args := range test.args {
				check(args, nil, test.want)
				check(args, []string{variable + "=" + test.other}, test.want)
				check(args, []string{variable + "=not good for anything"}, test.want)
			}
			check("", []string{variable + "="}, test.got(unset))
			check("", []string{variable}, test.got(unset))
			if test.value != "" {
				check("", []string{variable + "=" + test.value}, test.want)
				// getenv(3) sees the first of two.
				check("", []string{variable + "=" + test.value, variable + "=" + test.other}, test.want)
				check("", []string{variable + "=", variable + "=" + test.value}, test.got(unset))
			}
			if reflect.DeepEqual(test.got(unset), test.want) {
				t.Errorf("the case proves nothing: %v is the default", test.want)
			}
		})
	}
	if want := optionNames(newFlags(&options{})); !slices.Equal(covered, want) {
		t.Errorf("tested:   %q\ndeclared: %q", covered, want)
	}
}

// pointed is what a pointer points to, or nil.
func pointed[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

func patternTexts(list patterns) []string {
	var texts []string
	for _, p := range list {
		texts = append(texts, p.String())
	}
	return texts
}

// The variable of an option that can be given several times is one of them.
func TestLeakOKVariable(t *testing.T) {
	o, _, err := parse([]string{"cmd"}, []string{"REAPER_LEAK_OK=a,b c"})
	if got := patternTexts(o.leakOK); err != nil || !slices.Equal(got, []string{"a,b c"}) {
		t.Errorf("got %q, %v", got, err)
	}
}

// reaper test is run with --leaks=fail, unless somebody says otherwise.
func TestLeaksOfTest(t *testing.T) {
	for _, test := range []struct{ args, env, want string }{
		{"", "", leaksReport},
		{"run", "", leaksReport},
		{"test", "", leaksFail},
		{"test --leaks=report", "", leaksReport},
		{"--leaks=ignore test", "", leaksIgnore},
		{"test", "REAPER_LEAKS=report", leaksReport},
		{"test", "REAPER_LEAKS=", leaksFail},
	} {
		o, _, err := parseCommandLine(append(strings.Fields(test.args), "cmd"))
		if err == nil {
			err = o.readVariables([]string{test.env})
		}
		if err != nil || o.leaks != test.want {
			t.Errorf("%q with %q: %q, %v; want %q", test.args, test.env, o.leaks, err, test.want)
		}
	}
}

// What is waited for, and looked at, depends on what is asked for: nothing costs
// who does not want it.
func TestLookForLeaks(t *testing.T) {
	for _, test := range []struct {
		args          string
		find, inspect bool
		settle        time.Duration
	}{
		{"", true, false, 100 * time.Millisecond},
		{"--leftovers=wait", true, false, 100 * time.Millisecond},
		{"--leftovers=keep", true, false, 100 * time.Millisecond},
		{"--leftovers=kill", true, false, 0},
		{"--leftovers=kill --leaks=fail", true, true, 500 * time.Millisecond},
		{"--leaks=fail", true, true, 500 * time.Millisecond},
		{"--leaks=ignore", false, false, 0},
		{"--leaks=ignore --report=x", true, false, 100 * time.Millisecond},
	} {
		o, _, err := parse(append(strings.Fields(test.args), "cmd"), nil)
		if err != nil {
			t.Fatal(err)
		}
		o.lookForLeaks()
		c := o.config
		if c.FindLeftovers != test.find || c.InspectLeftovers != test.inspect || c.Settle != test.settle {
			t.Errorf("%q: find %v, inspect %v, settle %v", test.args, c.FindLeftovers, c.InspectLeftovers, c.Settle)
		}
	}
}

// An image can set variables once, and whoever runs it has the last word, also
// where the two contradict each other.
func TestCommandLineOverridesContradiction(t *testing.T) {
	o, _, err := parse([]string{"-v", "cmd"}, []string{"REAPER_QUIET=true"})
	if err != nil || o.quiet || o.verbose != 1 {
		t.Errorf("-v with REAPER_QUIET: quiet %v, verbose %d, %v", o.quiet, o.verbose, err)
	}
	o, _, err = parse([]string{"-q", "cmd"}, []string{"REAPER_VERBOSE=2"})
	if err != nil || !o.quiet || o.verbose != 0 {
		t.Errorf("-q with REAPER_VERBOSE: quiet %v, verbose %d, %v", o.quiet, o.verbose, err)
	}
	o, _, err = parse([]string{"--quiet=false", "cmd"}, []string{"REAPER_VERBOSE=2"})
	if err != nil || o.quiet || o.verbose != 2 {
		t.Errorf("--quiet=false with REAPER_VERBOSE: quiet %v, verbose %d, %v", o.quiet, o.verbose, err)
	}
}

// The variables that are options are not passed on, be they used or not. Others
// with the same beginning belong to other software.
func TestVariablesPassedOn(t *testing.T) {
	others := []string{
		"PATH=/bin", "REAPER_PORT=80", "REAPER_=", "REAPER=1", "REAPER_HELP=1", "REAPER_VERSION=3.1", "reaper_group=true",
		"REAPER_GROUPS=1", "REAPER_STOP-DELAY=1", "", "=", "=C:=x", "novalue", "PATH=/usr/bin",
	}
	options := []string{"REAPER_GROUP=true", "REAPER_STOP_TIMEOUT=", "REAPER_VERBOSE", "REAPER_GROUP=bad", "REAPER_OK_EXIT=1"}
	var env []string
	for i, other := range others {
		env = append(env, other)
		if i < len(options) {
			env = append(env, options[i])
		}
	}
	before := slices.Clone(env)

	o, _, err := parse([]string{"--ok-exit", "2", "cmd"}, env)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.config.Env, others) {
		t.Errorf("passed on: %q\nwant:      %q", o.config.Env, others)
	}
	if !slices.Equal(env, before) {
		t.Errorf("the environment itself was changed to %q", env)
	}

	for _, kept := range []struct{ args, env []string }{
		{[]string{"--keep-env", "cmd"}, env},
		{[]string{"cmd"}, append(env, "REAPER_KEEP_ENV=1")},
	} {
		o, _, err := parse(kept.args, kept.env)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(o.config.Env, kept.env) {
			t.Errorf("kept: %q\nwant: %q", o.config.Env, kept.env)
		}
		if !o.config.Group {
			t.Error("a variable that is passed on has no effect")
		}
	}
}

// Help and version answer also where a variable is wrong.
func TestHelpBeforeVariables(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"-h"}, {"--version"}, {"help"}, {"version"}, {"run", "--help"}, {"-q", "-v", "-h"}} {
		p, stdout, stderr := fakeProcess(args...)
		p.env = []string{"REAPER_STOP_TIMEOUT=soon"}
		if code, raise := p.main(); code != 0 || raise != 0 || stdout.Len() == 0 || stderr.Len() != 0 {
			t.Errorf("%q: code %d, raise %d, stdout %q, stderr %q", args, code, raise, stdout, stderr)
		}
	}
}

// Every wrong call: one line that says what is wrong, and one that says what to
// do. The texts are read by people, so they stand here in full.
func TestMisuse(t *testing.T) {
	const (
		unknown = "'reaper help' lists the options; put -- before a command that starts with a dash"
		missing = "'reaper help' lists the options and their values"
		signal  = "use a name such as TERM, a number from 1 to 64, RTMIN+n or RTMAX-n"
		orNone  = "use a name such as TERM, a number from 1 to 64, RTMIN+n, RTMAX-n or none"
		time    = "use seconds, or units as in 1m30s or 500ms"
		rewrite = "use FROM:TO, as in TERM:QUIT, or FROM:none"
		ok      = "use codes from 0 to 255 and names of signals, as in 143,TERM"
	)
	type words []string
	for _, test := range []struct {
		args       words
		env        string
		what, hint string
	}{
		{words{"--grup", "cmd"}, "", "unknown option --grup", unknown},
		{words{"--grup=1", "cmd"}, "", "unknown option --grup", unknown},
		{words{"--no such"}, "", `unknown option "--no such"`, unknown},
		{words{"--a\nb"}, "", `unknown option "--a\nb"`, unknown},
		{words{"-x", "cmd"}, "", "unknown option -x", unknown},
		{words{"-gx", "cmd"}, "", "unknown option -x in -gx", unknown},
		{words{"-é"}, "", `unknown option "-é"`, unknown},
		{words{"-\xff"}, "", `unknown option "-�"`, unknown},
		{words{"-help"}, "", "unknown option -help", "did you mean --help?"},
		{words{"-quiet", "cmd"}, "", "unknown option -quiet", "did you mean --quiet?"},
		{words{"-user", "app", "cmd"}, "", "unknown option -user", "did you mean --user?"},
		{words{"-env=A=1", "cmd"}, "", "unknown option -env=A=1", "did you mean --env?"},
		{words{"-stop-timeout=5s", "cmd"}, "", "unknown option -s in -stop-timeout=5s", "did you mean --stop-timeout?"},
		{words{"-stop-timeout", "5s"}, "", "unknown option -s in -stop-timeout", "did you mean --stop-timeout?"},
		{words{"-test.v", "cmd"}, "", "unknown option -test.v", unknown},
		{words{"---group"}, "", "malformed option ---group", unknown},
		{words{"--=5"}, "", "malformed option --=5", unknown},

		{words{"--stop-signal"}, "", "option --stop-signal needs a value", missing},
		{words{"-r"}, "", "option --rewrite needs a value", missing},
		{words{"-gp"}, "", "option --parent-death needs a value", missing},

		{words{"--group=maybe"}, "", "--group=maybe: neither true nor false", "use true or false"},
		{words{"-q="}, "", "unknown option -= in -q=", unknown},
		{words{"--raise="}, "", `--raise="": neither true nor false`, "use true or false"},
		{words{"--verbose=much"}, "", "--verbose=much: not a count", "use 1, as for -v, or 2, as for -vv"},
		{words{"-v=-1"}, "", "--verbose=-1: not a count", "use 1, as for -v, or 2, as for -vv"},

		{words{"--stop-signal", "TERMS"}, "", "--stop-signal TERMS: not a signal", signal},
		{words{"--stop-signal", "none"}, "", "--stop-signal none: not a signal", signal},
		{words{"--stop-signal="}, "", `--stop-signal "": not a signal`, signal},
		{words{"--stop-signal", "a\nb"}, "", `--stop-signal "a\nb": not a signal`, signal},
		{words{"-p", "65"}, "", "--parent-death 65: not a signal", orNone},
		{words{"--child-parent-death=cmd"}, "", "--child-parent-death cmd: not a signal", orNone},

		{words{"--stop-delay", "soon"}, "", "--stop-delay soon: not a duration", time},
		{words{"--stop-timeout", "-5s"}, "", "--stop-timeout -5s: a duration cannot be negative", time},
		{words{"--stop-timeout", "3000000h"}, "", "--stop-timeout 3000000h: too long a duration", "292 years is the most"},

		{words{"-r", "TERM"}, "", "--rewrite TERM: TERM has no colon", rewrite},
		{words{"-r", "TERM:INT,"}, "", `--rewrite TERM:INT,: "" has no colon`, rewrite},
		{words{"-r", "TERMS:INT"}, "", "--rewrite TERMS:INT: TERMS is not a signal", signal},
		{words{"-r", "HUP:none,TERM:0"}, "", "--rewrite HUP:none,TERM:0: 0 is not a signal", orNone},
		{words{"-r", "9:TERM"}, "", "--rewrite 9:TERM: KILL cannot be caught, so it cannot be rewritten", "leave it out"},
		{words{"-r", "STOP:TERM"}, "", "--rewrite STOP:TERM: STOP cannot be caught, so it cannot be rewritten", "leave it out"},
		{words{"-r", "CHLD:USR1"}, "", "--rewrite CHLD:USR1: CHLD is never forwarded, so it cannot be rewritten", "leave it out"},
		{words{"-r", "TERM:INT", "-r", "15:3"}, "", "--rewrite 15:3: TERM is rewritten twice, and differently", "give one rule for each signal"},

		{words{"--ok-exit", "300"}, "", "--ok-exit 300: 300 is not an exit code", ok},
		{words{"--ok-exit", "1,-1"}, "", "--ok-exit 1,-1: -1 is not an exit code", ok},
		{words{"--ok-exit", "1;2"}, "", `--ok-exit "1;2": "1;2" is neither an exit code nor a signal`, ok},

		{words{"--leftovers", "stopp"}, "", "--leftovers stopp: not one of the choices", "use stop, wait, kill or keep"},
		{words{"--leaks=no"}, "", "--leaks no: not one of the choices", "use ignore, report or fail"},
		{words{"--grace", "-1"}, "", "--grace -1: a duration cannot be negative", time},
		{words{"--leak-ok", "a(b"}, "", `--leak-ok "a(b": not a regular expression: missing closing ): "a(b"`, hintPattern},
		{words{"--leak-ok", "*"}, "", `--leak-ok "*": not a regular expression: missing argument to repetition operator: "*"`, hintPattern},
		{words{"cmd"}, "REAPER_LEAK_OK=[", `REAPER_LEAK_OK="[": not a regular expression: missing closing ]: "["`, hintPattern},
		{words{"test"}, "", "no command", "usage: reaper [options] [--] command [argument...]"},

		{words{"--restart", "never"}, "", "--restart never: not a restart policy", hintRestart},
		{words{"--restart="}, "", `--restart "": not a restart policy`, hintRestart},
		{words{"--restart", "always:3"}, "", "--restart always:3: only on-failure has a number of failures", hintFailures},
		{words{"--restart", "on-failure:0"}, "", "--restart on-failure:0: 0 is not a number of failures", hintFailures},
		{words{"--restart", "on-failure:"}, "", `--restart on-failure:: "" is not a number of failures`, hintFailures},
		{words{"--restart-factor", "0.5"}, "", "--restart-factor 0.5: not a factor", hintFactor},
		{words{"--restart-factor", "NaN"}, "", "--restart-factor NaN: not a factor", hintFactor},
		{words{"--restart-delay", "-1"}, "", "--restart-delay -1: a duration cannot be negative", time},
		{words{"--no-restart-exit", "300"}, "", "--no-restart-exit 300: 300 is not an exit code", ok},
		{words{"cmd"}, "REAPER_RESTART=sometimes", "REAPER_RESTART=sometimes: not a restart policy", hintRestart},

		{words{"--type", "simple"}, "", "--type simple: not one of the choices", "use exec, forking or notify"},
		{words{"--pidfile", "x", "cmd"}, "", "--pidfile is for a command that leaves a daemon", "add --type forking"},
		{words{"cmd"}, "REAPER_PIDFILE=x", "REAPER_PIDFILE is for a command that leaves a daemon", "add --type forking"},
		{words{"--health-retries", "0"}, "", "--health-retries 0: not a number of retries", hintRetries},
		{words{"--health-action", "kill"}, "", "--health-action kill: not one of the choices", "use restart or report"},
		{words{"--health-http", "ftp://x/"}, "", "--health-http ftp://x/: not an http:// URL", hintHTTP},
		{words{"--health-interval", "0", "--health-cmd", "x", "cmd"}, "", "--health-interval is too short", "use 1ms or more"},
		{words{"--health-start-interval", "1us", "--health-cmd", "x", "cmd"}, "", "--health-start-interval is too short", "use 1ms or more, or 0 for the default"},
		{words{"--health-tcp", "x:1", "cmd"}, "REAPER_HEALTH_TIMEOUT=1us", "REAPER_HEALTH_TIMEOUT is too short", "use 1ms or more"},
		{
			words{"--health-cmd", "x", "cmd"},
			"REAPER_HEALTH_TCP=x:1",
			"--health-cmd and REAPER_HEALTH_TCP are two health checks", "give one of them; a command can do several things",
		},
		{words{"--start-timeout", "5", "cmd"}, "", "--start-timeout has nothing that tells when the command is ready", hintReady},

		{words{"--output-keep", "1", "cmd"}, "", "--output-keep is for the files of --output", "add --output FILE"},
		{words{"--output-compress", "cmd"}, "", "--output-compress is for the files of --output", "add --output FILE"},
		{words{"cmd"}, "REAPER_OUTPUT_MAX_SIZE=1k", "REAPER_OUTPUT_MAX_SIZE is for the files of --output", "add --output FILE"},
		{words{"--output-keep", "-1", "cmd"}, "", "--output-keep -1: out of range", "use a number from 0 to 1048576"},

		{words{"--log-format", "xml"}, "", "--log-format xml: not one of the choices", "use auto, console or json"},

		{words{"-u", "", "cmd"}, "", `--user "": an empty word`, hintWord},
		{words{"-w", "", "cmd"}, "", `--workdir "": an empty word`, hintWord},
		{words{"--env-file", "", "cmd"}, "", `--env-file "": an empty word`, hintWord},
		{words{"-u", "no-such-user", "cmd"}, "", "--user no-such-user: no user of that name in /etc/passwd", hintUser},
		{words{"-u", "0:no-such-group", "cmd"}, "", "--user 0:no-such-group: no group no-such-group in /etc/group", hintUser},
		{words{"-u", "4294967295", "cmd"}, "", "--user 4294967295: 4294967295 is not from 0 to 4294967294", hintUser},
		{words{"-u", ":", "cmd"}, "", "--user :: neither a user nor a group", hintUser},
		{words{"cmd"}, "REAPER_USER=no-such-user", "REAPER_USER=no-such-user: no user of that name in /etc/passwd", hintUser},
		{words{"-w", "/no/such", "cmd"}, "", "--workdir /no/such: no such directory", "reaper does not make it"},
		{words{"-w", "/dev/null", "cmd"}, "", "--workdir /dev/null: not a directory", "reaper does not make it"},
		{words{"-w", "/dev/null/x", "cmd"}, "", "--workdir /dev/null/x: not a directory", "reaper does not make it"},
		{words{"-e", "=1", "cmd"}, "", "--env =1: no name of a variable", hintEnv},
		{words{"-e", "", "cmd"}, "", `--env "": no name of a variable`, hintEnv},
		{words{"--env-file", "/no/such", "cmd"}, "", "--env-file /no/such: no such file or directory", "give a file that can be read"},
		{words{"--env-file", "/", "cmd"}, "", "--env-file /: is a directory", "give a file that can be read"},
		{words{"--umask", "8", "cmd"}, "", "--umask 8: not a file mode mask", hintUmask},
		{words{"--umask", "1000", "cmd"}, "", "--umask 1000: not a file mode mask", hintUmask},
		{words{"--ulimit", "nofile", "cmd"}, "", "--ulimit nofile: nofile has no =", hintLimit},
		{words{"--ulimit", "files=1", "cmd"}, "", "--ulimit files=1: files is not a limit", hintLimits},
		{words{"--ulimit", "core=1k", "cmd"}, "", "--ulimit core=1k: 1k is not a number", hintLimit},
		{words{"--ulimit", "core=2:1", "cmd"}, "", "--ulimit core=2:1: the soft limit is above the hard one", hintLimit},
		{words{"--nice", "20", "cmd"}, "", "--nice 20: out of range", "use a number from -20 to 19"},
		{words{"--oom-score-adj", "x", "cmd"}, "", "--oom-score-adj x: out of range", "use a number from -1000 to 1000"},
		{words{"--cap-drop", "CHOWN,", "cmd"}, "", `--cap-drop CHOWN,: "" is not a capability`, hintCapability},
		{words{"--cap-add", "ROOT", "cmd"}, "", "--cap-add ROOT: ROOT is not a capability", hintCapability},
		{
			words{"--cap-add", "KILL", "--cap-drop", "kill", "cmd"},
			"",
			"--cap-add and --cap-drop name the same", "a name counts more than ALL, so give ALL to one of them",
		},
		{
			words{"--cap-add", "ALL", "cmd"},
			"REAPER_CAP_DROP=ALL",
			"--cap-add and REAPER_CAP_DROP name the same", "a name counts more than ALL, so give ALL to one of them",
		},
		{words{"--clear-env", "--keep-env", "cmd"}, "", "--keep-env and --clear-env contradict each other", "give one of them"},

		{words{"-q", "-v", "cmd"}, "", "--quiet and --verbose contradict each other", "give one of them"},
		{
			words{"--stop-signal", "KILL", "--stop-timeout", "5", "cmd"},
			"",
			"--stop-timeout has nothing to wait for when --stop-signal is KILL", "give one of them",
		},

		// A variable is named where it is the culprit.
		{words{"cmd"}, "REAPER_STOP_TIMEOUT=soon", "REAPER_STOP_TIMEOUT=soon: not a duration", time},
		{words{"cmd"}, "REAPER_GROUP=on and off", `REAPER_GROUP="on and off": neither true nor false`, "use true or false"},
		{words{"cmd"}, "REAPER_VERBOSE=true", "REAPER_VERBOSE=true: not a count", "use 1, as for -v, or 2, as for -vv"},
		{words{"cmd"}, "REAPER_STOP_SIGNAL=TERMS", "REAPER_STOP_SIGNAL=TERMS: not a signal", signal},
		{words{"cmd"}, "REAPER_PARENT_DEATH=x", "REAPER_PARENT_DEATH=x: not a signal", orNone},
		{words{"cmd"}, "REAPER_REWRITE=x=y", "REAPER_REWRITE=x=y: x=y has no colon", rewrite},
		{words{"cmd"}, "REAPER_OK_EXIT=1,x", "REAPER_OK_EXIT=1,x: x is neither an exit code nor a signal", ok},
		{words{"cmd"}, "REAPER_LOG_FORMAT=JSON", "REAPER_LOG_FORMAT=JSON: not one of the choices", "use auto, console or json"},
		{words{"cmd"}, "REAPER_QUIET=1 REAPER_VERBOSE=1", "REAPER_QUIET and REAPER_VERBOSE contradict each other", "give one of them"},
		{
			words{"--stop-signal=KILL", "cmd"},
			"REAPER_STOP_TIMEOUT=5",
			"REAPER_STOP_TIMEOUT has nothing to wait for when --stop-signal is KILL", "give one of them",
		},

		{nil, "", "no command", "usage: reaper [options] [--] command [argument...]"},
		{words{"-g"}, "", "no command", "usage: reaper [options] [--] command [argument...]"},
		{words{"-g", "--"}, "", "no command", "usage: reaper [options] [--] command [argument...]"},
		{words{"run"}, "", "no command", "usage: reaper [options] [--] command [argument...]"},
		{words{""}, "", "the command is an empty word", "if it comes from a variable, is that set?"},
		{words{"--", "", "x"}, "", "the command is an empty word", "if it comes from a variable, is that set?"},
		{words{"run", "-x"}, "", "unknown option -x", unknown},
		{words{"-v", "run", "-q", "cmd"}, "", "--quiet and --verbose contradict each other", "give one of them"},
		{words{"help", "exit-codes", "signals"}, "", "help takes one topic", "usage: reaper help [daemons|exit-codes|environment|leftovers|process|restart|signals]"},
		{words{"help", "me"}, "", "no help on me", "usage: reaper help [daemons|exit-codes|environment|leftovers|process|restart|signals]"},
		{words{"help", "-h"}, "", "no help on -h", "usage: reaper help [daemons|exit-codes|environment|leftovers|process|restart|signals]"},
		{words{"version", "2"}, "", "version takes no arguments", "usage: reaper version"},
	} {
		var env []string
		if test.env != "" {
			env = []string{test.env}
			if name, second, two := strings.Cut(test.env, " REAPER_"); two {
				env = []string{name, "REAPER_" + second}
			}
		}
		p, stdout, stderr := fakeProcess(test.args...)
		p.env = env
		code, raise := p.main()
		if want := "reaper: " + test.what + "\nreaper: " + test.hint + "\n"; stderr.String() != want {
			t.Errorf("%q with %q says\n%swant\n%s", test.args, env, stderr, want)
		}
		if code != exitFailed || raise != 0 || stdout.Len() != 0 {
			t.Errorf("%q with %q: code %d, raise %d, stdout %q", test.args, env, code, raise, stdout)
		}
		wantUsageError(t, &usageError{test.what, test.hint})
	}
}

// What package pflag may say one day is passed on rather than hidden.
func TestMisuseOfUnknownKind(t *testing.T) {
	err := misuse(errors.New("something new"), nil, pflag.NewFlagSet("", pflag.ContinueOnError))
	if err.Error() != "something new" {
		t.Error(err)
	}
	wantUsageError(t, err)
}

// A refused command line leaves no trace in what was handed in.
func TestParseKeepsArguments(t *testing.T) {
	args := strings.Fields("-g run -v cmd -x")
	before := slices.Clone(args)
	p, _, _ := fakeProcess()
	p.args = append([]string{"reaper"}, args...)
	p.env = []string{"REAPER_STOP_TIMEOUT=soon"} // so that nothing is run
	p.main()
	if !slices.Equal(p.args[1:], before) {
		t.Errorf("the arguments were changed to %q", p.args)
	}
}

func TestVariableOf(t *testing.T) {
	got := make(map[string]string)
	for _, name := range []string{"group", "stop-timeout", "child-parent-death"} {
		got[name] = variableOf(name)
	}
	if want := (map[string]string{
		"group": "REAPER_GROUP", "stop-timeout": "REAPER_STOP_TIMEOUT", "child-parent-death": "REAPER_CHILD_PARENT_DEATH",
	}); !maps.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
