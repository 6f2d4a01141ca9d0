package main

import (
	"fmt"
	"os"

	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"
)

// catatonitVersion is the one that is stood in for.
const catatonitVersion = "0.2.1"

// catatonitUsage has the name that it goes by whatever it is called.
const catatonitUsage = "usage: catatonit [-ghLPV] [--] <progname> [<arguments>...]\n"

const catatonitHelp = catatonitUsage + `
catatonit, by reaper: an init for one command

  -g              send signals to the process group of the program
  -h              this text
  -L              the licence
  -P              run no program: adopt and reap until SIGTERM or SIGINT comes
  -V, --version   the version

Variables: CATATONIT_DEBUG has it say what happens. The variables of reaper work
as well: REAPER_LEFTOVERS=stop stops what the program leaves behind.
`

// parseCatatonit reads the command line of catatonit.
func parseCatatonit(c *call) (*options, []string, *reply) {
	o := personaOptions(asCatatonit())
	o.config.ListenPID = true
	dropSignals(&o.config, unix.SIGTTIN, unix.SIGTTOU)
	if _, ok := c.lookup("CATATONIT_DEBUG"); ok {
		o.as.log.level = zapcore.DebugLevel
	}
	if _, ok := c.lookup("CATATONIT_LOG"); ok {
		return nil, nil, &reply{stderr: o.as.log.fatal("CATATONIT_LOG is reserved for future use\n"), code: 1}
	}
	options := []cOption{{letter: 'g'}, {letter: 'h'}, {letter: 'L'}, {letter: 'P'}, {'V', "version", false}}
	command, wrong, end := getopt(c.name, options, c.args, func(letter byte, _ string) *reply {
		switch letter {
		case 'g':
			o.set("group", "true")
		case 'h':
			return &reply{stderr: catatonitHelp}
		case 'L':
			return &reply{stdout: licence}
		case 'P':
			o.config.NoCommand = true
		case 'V':
			return &reply{stdout: "tini version " + catatonitVersion + "_catatonit_reaper-" + versionName() + "\n"}
		}
		return nil
	})
	switch {
	case end != nil:
		return nil, nil, end
	case wrong != "":
		return nil, nil, &reply{stderr: wrong + catatonitUsage, code: 1}
	case o.config.NoCommand:
		return o, nil, nil // the rest of the words means nothing
	case len(command) == 0:
		return nil, nil, &reply{stderr: o.as.log.fatal("missing program name\n") + catatonitUsage, code: 1}
	}
	return o, command, nil
}

func asCatatonit() *persona {
	return &persona{
		failed:    1,
		startCode: codeAnyway(1),
		startLine: func(_ string, err error) string { return "failed to exec pid1: " + err.Error() },
		log:       personaLog{level: zapcore.ErrorLevel, orphans: zapcore.DebugLevel, prefix: catatonitPrefix},
		started: func() {
			leaveRoot()
			closeInherited()
		},
	}
}

// catatonitPrefix is "ERROR (catatonit:7): ".
func catatonitPrefix(level zapcore.Level, pid int) string {
	return fmt.Sprintf("%s (catatonit:%d): ", levelName(level, "ERROR"), pid)
}

// parsePause reads the command line of the pause program of Kubernetes, which is
// PID 1 of a pod whose containers share their pid namespace.
func parsePause(c *call) (*options, []string, *reply) {
	if len(c.args) > 0 && c.args[0] == "-v" {
		return nil, nil, &reply{stdout: "pause, by reaper " + versionName() + "\n"}
	}
	o := personaOptions(&persona{
		failed: 1,
		log: personaLog{
			level: zapcore.ErrorLevel, orphans: zapcore.DebugLevel,
			prefix: func(zapcore.Level, int) string { return "" },
		},
		begin: func(p *process, _ *options) {
			if os.Getpid() != 1 {
				fmt.Fprintln(p.stderr, "Warning: pause should be the first process") //nolint:errcheck // there is nobody else to tell
			}
		},
	})
	o.noSubreaper, o.config.NoCommand = true, true
	return o, nil, nil
}
