package main

import (
	"fmt"
	"strings"
	"syscall"

	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// dumbInitVersion is the one that is stood in for.
const dumbInitVersion = "1.2.5"

const dumbInitUsage = `dumb-init v` + dumbInitVersion + `, by reaper: an init for one command
Usage: %s [options] [--] command [argument...]

  -c, --single-child   signals go to the command alone, which stays in the session
                       and process group of dumb-init
  -r, --rewrite S:R    send the signal of number R when S comes; 0 sends none
  -v, --verbose        say what happens
  -h, --help           this text
  -V, --version        the version

Variables: DUMB_INIT_SETSID=0, as --single-child; DUMB_INIT_DEBUG=1, as
--verbose. The variables of reaper work as well: REAPER_LEFTOVERS=stop stops
what the command leaves behind.
`

// parseDumbInit reads the command line of dumb-init.
func parseDumbInit(c *call) (*options, []string, *reply) {
	single, debug := false, false
	rewrite := make(map[syscall.Signal]syscall.Signal)
	options := []cOption{
		{'h', "help", false},
		{'v', "verbose", false},
		{'V', "version", false},
		{'c', "single-child", false},
		{'r', "rewrite", true},
	}
	command, wrong, end := getopt(c.name, options, c.args, func(letter byte, value string) *reply {
		switch letter {
		case 'h':
			return &reply{stderr: fmt.Sprintf(dumbInitUsage, c.name)}
		case 'V':
			return &reply{stderr: "dumb-init v" + dumbInitVersion + "_reaper-" + versionName() + "\n"}
		case 'v':
			debug = true
		case 'c':
			single = true
		case 'r':
			from, to, ok := dumbInitRewrite(value)
			if !ok {
				return &reply{stderr: "Usage: -r takes <signum>:<signum>, the first between 1 and 31, the second too or 0; " +
					c.name + " --help tells more\n", code: 1}
			}
			rewrite[from] = to
		}
		return nil
	})
	switch {
	case end != nil:
		return nil, nil, end
	case wrong != "":
		return nil, nil, &reply{stderr: wrong, code: 1}
	case len(command) == 0:
		return nil, nil, &reply{stderr: fmt.Sprintf("Usage: %s [options] [--] command [argument...]; %[1]s --help tells more\n", c.name), code: 1}
	}
	if value, _ := c.lookup("DUMB_INIT_DEBUG"); value == "1" {
		debug = true
	}
	if value, _ := c.lookup("DUMB_INIT_SETSID"); value == "0" {
		single = true
	}
	o := personaOptions(asDumbInit(debug))
	o.noSubreaper = true
	o.byDefault = true
	o.setDumbInit(single, rewrite)
	return o, command, nil
}

// setDumbInit is what it does with signals, sessions and groups.
func (o *options) setDumbInit(single bool, rewrite map[syscall.Signal]syscall.Signal) {
	c := &o.config
	c.StopSelf = reap.Signals(unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)
	c.Placement = reap.CallersGroup
	if !single {
		c.Placement, c.Group = reap.OwnSession, true
		o.leaveTerminal = true
		for _, sig := range []syscall.Signal{unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU} {
			// A session of its own is orphaned, and so no other signal would stop it.
			if _, ok := rewrite[sig]; !ok {
				rewrite[sig] = unix.SIGSTOP
			}
		}
		c.EndSignal = unix.SIGTERM
		if to, ok := rewrite[unix.SIGTERM]; ok {
			c.EndSignal = to
		}
	}
	for _, never := range []syscall.Signal{unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD} {
		delete(rewrite, never) // the first two never come, and the third is not forwarded
	}
	c.Rewrite = rewrite
}

func asDumbInit(debug bool) *persona {
	as := &persona{
		failed:    1,
		startCode: codeAnyway(2),
		startLine: func(name string, err error) string { return name + ": " + err.Error() },
		log: personaLog{
			level: zapcore.ErrorLevel, orphans: zapcore.DebugLevel,
			prefix: func(zapcore.Level, int) string { return "[dumb-init] " },
		},
		begin: func(_ *process, o *options) {
			if o.leaveTerminal {
				terminalLeft.Store(true)
				reap.LeaveTerminal()
			}
		},
		started: leaveRoot,
	}
	if debug {
		as.log.level = zapcore.DebugLevel
	}
	return as
}

// dumbInitRewrite reads what sscanf(3) reads by %d:%d.
func dumbInitRewrite(text string) (from, to syscall.Signal, ok bool) {
	first, second, ok := strings.Cut(text, ":")
	number := strings.TrimLeft(first, " \t\n\v\f\r")
	digits := strings.TrimLeft(strings.TrimPrefix(number, "+"), "0123456789")
	second = strings.TrimLeft(second, " \t\n\v\f\r")
	after := strings.TrimPrefix(second, "+")
	if !ok || number == "" || digits != "" || after == "" || after[0] < '0' || after[0] > '9' {
		return 0, 0, false
	}
	from, to = syscall.Signal(atoi(number)), syscall.Signal(atoi(second))
	return from, to, from >= 1 && from <= 31 && to >= 0 && to <= 31
}
