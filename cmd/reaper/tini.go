package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
	"github.com/reaper-init/reaper/pkg/supervise"
)

// tiniVersion is the one that is stood in for. The daemon of docker reads it from
// docker-init --version, in the form that tiniVersionLine has.
const tiniVersion = "0.19.0"

func tiniVersionLine() string {
	return "tini version " + tiniVersion + "_reaper-" + versionName() + "\n"
}

const tiniUsage = `%s, by reaper: an init for one command
Usage: %[1]s [options] [--] program [argument...]
       %[1]s --version

  -s          be a subreaper, so that orphans come here though it is not PID 1
  -p SIGNAL   what it gets when its own parent dies: SIGKILL, SIGTERM, ...
  -g          send signals to the process group of the program
  -e CODE     exit with 0 where the program exits with CODE; can be repeated
  -w          warn of each orphan that is reaped
  -v          say more; -vv and -vvv say still more
  -h          this text
  -l          the licence

Variables: TINI_SUBREAPER, as -s; TINI_KILL_PROCESS_GROUP, as -g;
TINI_VERBOSITY=N, as N-1 times -v. The variables of reaper work as well:
REAPER_LEFTOVERS=stop stops what the program leaves behind.
`

const licence = `reaper comes under the Apache License, Version 2.0:
http://www.apache.org/licenses/LICENSE-2.0
It is given as it is, without warranties or conditions of any kind.
`

// tiniSignals are what -p takes.
const tiniSignals = " HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM " +
	"CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH SYS "

// parseTini reads the command line of tini, which is that of docker-init too.
func parseTini(c *call) (*options, []string, *reply) {
	if slices.Equal(c.args, []string{"--version"}) { // it is no option beside others
		return nil, nil, &reply{stdout: tiniVersionLine()}
	}
	o := personaOptions(asTini())
	o.noSubreaper = true
	// It is deaf to what the terminal sends to those in the background.
	dropSignals(&o.config, unix.SIGTTIN, unix.SIGTTOU)
	verbosity, usage := 1, fmt.Sprintf(tiniUsage, filepath.Base(c.name))
	command, wrong, end := getopt(c.name, tiniOptions, c.args, func(letter byte, value string) *reply {
		switch letter {
		case 'h':
			return &reply{stdout: usage}
		case 'v':
			verbosity++
			return nil
		}
		return o.tiniOption(letter, value)
	})
	switch {
	case end != nil:
		return nil, nil, end
	case wrong != "" || len(command) == 0:
		return nil, nil, &reply{stderr: wrong + usage, code: 1}
	}
	if _, ok := c.lookup("TINI_SUBREAPER"); ok {
		o.noSubreaper = false
	}
	if _, ok := c.lookup("TINI_KILL_PROCESS_GROUP"); ok {
		o.set("group", "true")
	}
	if text, ok := c.lookup("TINI_VERBOSITY"); ok {
		verbosity = atoi(text)
	}
	o.as.log.level = tiniLevel(verbosity)
	return o, command, nil
}

var tiniOptions = []cOption{ //nolint:gochecknoglobals // a constant, if there were such
	{letter: 'p', value: true},
	{letter: 'h'},
	{letter: 'v'},
	{letter: 'w'},
	{letter: 'g'},
	{letter: 'l'},
	{letter: 'e', value: true},
	{letter: 's'},
}

// tiniOption takes in one option.
func (o *options) tiniOption(letter byte, value string) *reply {
	bad := &reply{stderr: o.as.log.fatal(fmt.Sprintf("Not a valid option for -%c: %s\n", letter, value)), code: 1}
	switch letter {
	case 'l':
		return &reply{stdout: licence}
	case 's':
		o.noSubreaper = false
	case 'w':
		o.as.log.orphans = zapcore.WarnLevel
	case 'g':
		o.set("group", "true")
	case 'p':
		if name, ok := strings.CutPrefix(value, "SIG"); !ok || name == "" || !strings.Contains(tiniSignals, " "+name+" ") {
			return bad
		}
		o.set("parent-death", value)
	case 'e':
		code, ok := tiniCode(value)
		if !ok {
			return bad
		}
		o.set("ok-exit", strconv.Itoa(code))
	}
	return nil
}

// tiniLevel is from which level on there are lines.
func tiniLevel(verbosity int) zapcore.Level {
	switch {
	case verbosity <= 0:
		return zapcore.ErrorLevel
	case verbosity == 1:
		return zapcore.WarnLevel
	case verbosity == 2:
		return zapcore.InfoLevel
	default:
		return zapcore.DebugLevel
	}
}

func asTini() *persona {
	return &persona{
		failed:    1,
		startCode: tiniStartCode,
		startLine: func(name string, err error) string { return fmt.Sprintf("exec %s failed: %v", name, err) },
		log: personaLog{
			prefix: tiniPrefix, chats: true, orphans: zapcore.DebugLevel, received: "Received SIGCHLD",
			messages: map[supervise.EventKind]string{supervise.OrphanReaped: "Reaped zombie process with"},
		},
		begin: warnOfNoSubreaper,
	}
}

func tiniStartCode(errno error) int {
	switch {
	case errors.Is(errno, unix.ENOENT):
		return exitNotFound
	case errors.Is(errno, unix.EACCES):
		return exitNoExec
	}
	return 1
}

// tiniPrefix is "[WARN  tini (7)] ".
func tiniPrefix(level zapcore.Level, pid int) string {
	return fmt.Sprintf("[%-5s tini (%d)] ", levelName(level, "FATAL"), pid)
}

// warnOfNoSubreaper says that no orphan will come.
func warnOfNoSubreaper(p *process, o *options) {
	if is, err := reap.IsSubreaper(); err == nil && !is && o.as.log.level <= zapcore.WarnLevel {
		fmt.Fprintln(p.stderr, tiniPrefix(zapcore.WarnLevel, os.Getpid())+ //nolint:errcheck // there is nobody else to tell
			"Neither PID 1 nor a subreaper: no orphan comes here, so zombie reaping won't work. Use -s, or set TINI_SUBREAPER.")
	}
}

// tiniCode reads an exit code as strtol(3) does, for which nothing at all is 0.
func tiniCode(text string) (code int, ok bool) {
	if text == "" {
		return 0, true
	}
	code, err := strconv.Atoi(strings.TrimLeft(text, " \t\n\v\f\r"))
	return code, err == nil && code >= 0 && code <= 255
}

// atoi is that of C: as much of the text as is a number, and 0 if nothing is.
func atoi(text string) int {
	text = strings.TrimLeft(text, " \t\n\v\f\r")
	end := 0
	for end < len(text) && (text[end] >= '0' && text[end] <= '9' || end == 0 && (text[0] == '-' || text[0] == '+')) {
		end++
	}
	n, _ := strconv.Atoi(text[:end]) // what is too large is the largest
	return n
}
