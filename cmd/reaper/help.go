package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
)

const usage = `reaper runs one command and is the init of everything that it starts.

Usage: reaper [options] [--] command [argument...]
       reaper run [options] [--] command [argument...]
       reaper version | help [exit-codes|environment|signals]

Options end at the command or at --. D is a duration: 90, 1m30s or 500ms.
S is a signal: TERM, SIGTERM, 15, RTMIN+3.

Signals
  -g, --group                  forward to the command's process group
  -r, --rewrite FROM:TO        forward TO when FROM comes; FROM:none drops it;
                               several have a comma between
      --stop-delay D           when asked to stop, wait D before passing it on;
                               a second request ends the wait
  -p, --parent-death S         what reaper gets when its own parent dies
      --child-parent-death S   what the command gets when reaper dies

Stopping
      --stop-signal S          what a request to stop sends to the command
                               (default: the signal that came)
      --stop-timeout D         kill the command D after that (default: never)
                               A second TERM or INT kills it at once.

Exit code
      --ok-exit LIST           codes and signals that count as 0: 143,TERM
      --raise                  die by the signal that killed the command

The process it becomes
      --keep-env               pass the REAPER_ variables on

Output
  -v, --verbose                say what happens; -vv: each orphan too
  -q, --quiet                  errors only
      --log-format F           auto, console or json (auto: console on a
                               terminal, else json)
  -h, --help                   this text
      --version                the version

Each option but the last two can stand in a variable instead: REAPER_ and its
name, as in REAPER_STOP_TIMEOUT=10s. The command line wins.
`

const helpExitCodes = `Exit codes

` + exitTable + `
--ok-exit LIST turns the codes and signals of the list into 0, last of all: 143
means the exit code, whether the command chose it or died by TERM; TERM means
only the death. --raise makes reaper die by the signal that killed the command,
without a core dump, instead of exiting with 128+n; PID 1 cannot.
`

const helpSignals = `Signals

Every signal that can be caught is forwarded to the command, CHLD excepted: to
it alone, or with --group to its process group. --rewrite is applied first; what
comes out is what counts.

TERM, INT and QUIT ask the command to stop. It gets the signal that came, or
--stop-signal, after --stop-delay, and is killed after --stop-timeout. A second
TERM or INT kills it at once. What comes before the command exists aborts the
start; other signals are kept for it.

The command has a process group of its own, in the foreground of the terminal if
reaper was there. So a ^C reaches it once, from the terminal. When ^Z stops the
command, reaper stops too, and the shell can continue both by fg or bg.
`

const helpEnvironmentHead = `Environment

Each variable stands for the option of the same name. An empty one counts as not
set; the command line wins. The command does not see them, unless --keep-env.

`

const usageHelp = "usage: reaper help [exit-codes|environment|signals]"

// help is `reaper help`.
func (p *process) help(topic []string) int {
	if len(topic) > 1 {
		return p.misused(&usageError{"help takes one topic", usageHelp})
	}
	return p.printHelp(strings.Join(topic, ""))
}

func (p *process) printHelp(topic string) int {
	var text string
	switch topic {
	case "":
		text = usage
	case "exit-codes":
		text = helpExitCodes
	case "environment":
		text = helpEnvironmentHead + variableList()
	case "signals":
		text = helpSignals
	default:
		return p.misused(&usageError{"no help on " + quoted(topic), usageHelp})
	}
	return p.print(text)
}

func variableList() string {
	var list strings.Builder
	for _, name := range optionNames(newFlags(&options{})) {
		fmt.Fprintf(&list, "  %-27s --%s\n", variableOf(name), name)
	}
	return list.String()
}

// version is set by the linker; a plain build asks the module.
var version string

func (p *process) printVersion() int {
	v := version
	if v == "" {
		v = "unknown"
		if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
			v = info.Main.Version
		}
	}
	return p.print(fmt.Sprintf("reaper %s %s/%s %s\n", v, runtime.GOOS, runtime.GOARCH, runtime.Version()))
}

// print writes what was asked for to stdout.
func (p *process) print(text string) int {
	if _, err := io.WriteString(p.stdout, text); err != nil {
		return p.fail("%v", err)
	}
	return 0
}
