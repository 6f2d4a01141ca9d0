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
       reaper test [options] [--] command [argument...]
       reaper version
       reaper help [TOPIC]

test is run with --leaks=fail: what the command leaves behind is an error.

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

Stopping, and what is left over
      --stop-signal S          what a request to stop sends to the command
                               (default: the signal that came)
      --stop-timeout D         kill the command D after that (default: never)
                               A second TERM or INT kills it at once.
      --leftovers W            what to do with processes that are left when the
                               command has ended: stop (default), wait until
                               they end, kill, or keep
      --grace D                how long they have to stop (default: 5s)
      --time-limit D           stop the command and all that it started after D

Leaks
      --leaks W                what leftovers mean: ignore; report: a line each
                               in the log (default of run); fail: a table, and
                               exit code 86 (default of test)
      --leak-ok PATTERN        a regular expression; leftovers are no leaks if
                               it matches their command line; can be given
                               several times
      --report FILE            write a report in JSON at the end; fd:N for a
                               descriptor

Restart
      --restart W              when the command is started again: no (default),
                               on-success, on-failure, on-abnormal or always;
                               on-failure:N ends after N failures in a row
      --restart-delay D        how long that waits (default: 100ms);
      --restart-factor F       each time F times as long (default: 2),
      --restart-max-delay D    but not longer than D (default: 30s), and
      --restart-reset D        the first delay again after a life of D
                               (default: 10s)
      --no-restart-exit LIST   codes and signals after which it never is: 3,ABRT
      --type W                 exec (default); forking: it exits with 0 and
                               leaves a daemon, which is the command from there;
                               notify: it says when it is ready
      --pidfile FILE           where the daemon writes its pid (default: it is
                               the only process that is left)
      --notify                 hear what it tells of itself, by sd_notify(3),
                               and pass that on to the service manager
      --watchdog D             ABRT if it sends no WATCHDOG=1 for D once it is
                               ready; --notify comes with it
      --start-timeout D        stop it if it is not ready after D (default:
                               never): if its daemon is not known, or it has not
                               said so, or no health check has succeeded

Health, in the words of a Dockerfile
      --health-cmd LINE        probe the command by a line for /bin/sh,
      --health-http URL        or by a GET that is to bring a status below 400,
      --health-tcp ADDR        or by a connection to HOST:PORT
      --health-interval D      from the start, and from probe to probe (30s)
      --health-timeout D       how long one may take (5s)
      --health-retries N       failures in a row that count (3)
      --health-start-period D  for D from the start none counts (0),
      --health-start-interval D and until one succeeds they are D apart then
                               (5s, or the interval if that is less)
      --health-action W        what then: restart (default) stops the command,
                               and --restart decides; report tells and no more

Exit code
      --ok-exit LIST           codes and signals that count as 0: 143,TERM
      --raise                  die by the signal that killed the command

The process it becomes
  -u, --user WHO               NAME or UID, with all its groups, or NAME:GROUP
  -w, --workdir DIR            its directory
  -e, --env NAME=VALUE         set a variable; NAME alone passes on reaper's;
                               can be given several times
      --env-file FILE          the same, one a line
      --clear-env              pass no other variable on
      --keep-env               pass the REAPER_ variables on
      --umask MASK             its file mode mask, in octal
      --ulimit NAME=SOFT:HARD  a limit, as nofile=1024:4096 or core=unlimited;
                               several have a comma between
      --nice N                 its niceness, from -20 to 19
      --oom-score-adj N        from -1000, not to be killed when memory is used
                               up, to 1000
      --no-new-privileges      set-user-ID programs give it nothing
      --cap-drop LIST          capabilities that it can never have, or ALL
      --cap-add LIST           those that it has all the same, be it root or not
      --new-session            a session of its own, without job control

Output of the command
                               goes to reaper's own stdout and stderr, unless:
      --output FILE            append both streams to FILE
      --output-max-size SIZE   put FILE aside when it would be larger (default:
                               10MiB; 0: never)
      --output-keep N          how many of those are kept (default: 5; 0: all)
      --output-compress        compress them
      --output-prefix          each line on reaper's stdout, with the time, the
                               name of the command and the stream
      --tail N                 the last N lines stand in the report, and in the
                               log if the exit code is not 0; alone, it leaves
                               the output where it is
                               With any of them the command writes to a pipe and
                               not to a terminal; a reader that is slow does not
                               block it, but loses lines.

Output of reaper
  -v, --verbose                say what happens; -vv: each orphan too
  -q, --quiet                  errors only
      --log-format F           auto, console or json (auto: console on a
                               terminal, else json)
      --as NAME                as the first word: be tini, dumb-init, catatonit
                               or pause, whose options follow; a link of that
                               name is the same
  -h, --help                   this text
      --version                the version

Each option but the last three can stand in a variable instead: REAPER_ and its
name, as in REAPER_STOP_TIMEOUT=10s. The command line wins.

Topics: daemons, exit-codes, environment, leftovers, process, restart, signals
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

const helpLeftovers = `Leftovers

What is still there when the command has ended, however it forked away, is a
leftover. --leftovers says what happens then:

  stop  TERM and CONT to each, once, also to those that come later; KILL after
        --grace, until none is left
  wait  until they end by themselves; a request to stop has them stopped
  kill  KILL, until none is left
  keep  nothing; as PID 1 the kernel kills them when reaper ends

Then reaper ends with the code of the command. A second TERM or INT, or the
first once the command had been asked to stop, kills at once. --time-limit asks
the command and all others together, and kills them --stop-timeout after that,
or --grace if there is none; the exit code is 124.

Who ends within 0.1 s of the command, 0.5 s for --leaks=fail, is no leftover.
--leaks=fail prints who was left, where they came from, what they hold open and
what became of them, and makes the exit code 86 if it would be 0. With
--leftovers=keep it only prints.
`

const helpProcess = `The process it becomes

The words are those of docker run. What cannot be is said before the command
runs, with exit code 125.

--user NAME, and a UID that has an entry in /etc/passwd, bring the group of that
entry and all groups of which /etc/group says that the name is a member. A UID
without an entry has group 0. With :GROUP it is that group alone; --user :GROUP
keeps the user. HOME becomes that of the entry, / without one, unless --env or
--env-file sets it. No directory service is asked.

The command enters --workdir as its user, who must be allowed to, and a relative
name of the command, or in its PATH, is relative to it.

--env counts more than --env-file, and both more than what reaper has, of which
--clear-env leaves nothing. In a file a line is NAME=VALUE, or NAME alone for
what reaper has; one that starts with # is a comment. Nothing is quoted, and
blanks belong to the value.

--ulimit takes the names of getrlimit(2) in small letters and its units; one
number is the soft and the hard limit, unlimited or -1 is no limit.

--cap-drop is for good, and for all that the command starts. --cap-drop ALL
leaves what --cap-add names. A user other than root has no capabilities but
those of --cap-add, and really has them: docker run would only let programs of
the image have them. reaper cannot give what it does not have.

--new-session: no key of the terminal stops the command, and reaper does not
stop with it.
`

const helpDaemons = `Daemons

A program that puts itself into the background exits and leaves a daemon. With
--type forking its exit with 0 is not the end: reaper has adopted the daemon, as
it adopts every orphan, and from there on the daemon is the command. Signals go
to it, its exit code counts, it is stopped and started again as any command.
Before the daemon is known a request to stop acts on the program, and any other
signal waits for the daemon, but for ^Z and the like.

Which process it is, --pidfile tells: a file that has been written since the
program was started, a regular one, with a number in the first line, and not by
way of a symbolic link that anybody could have made. It must name a process that
the program has left and whose own parent has ended. It is waited for until
--start-timeout, or for 90 seconds. Without --pidfile it is the one process that
is left a tenth of a second after the exit; if there are several for two
seconds, an error lists them.

With --type notify the command has to send READY=1 to the socket that
NOTIFY_SOCKET names. --notify alone makes such a socket too. What it tells is
logged with -v, and passed on to the NOTIFY_SOCKET that reaper has; but not that
it is about to end, as long as --restart may start it again. MAINPID names
another process as the command, which must be a child of reaper's, or become
one. Descriptors are not kept for it.

With a health check the command is ready when one has succeeded; with
--start-timeout it is probed every second until then, or as
--health-start-interval says. A probe that takes too long is killed, with all
that it has started.

A program that exits with another code, a daemon that is not found, a command
that is not ready in time, misses its watchdog or is unhealthy have failed: what
is left is dealt with, see help leftovers, and --restart decides. The exit code
is that of the program; 125; 124; its own again, with 1 for 0. A daemon that
exits with 0 and has a successor, in its pid file or within two seconds, is
followed by that.
`

const helpRestart = `Restart

--restart says after which ends of the command it is started again:

                                no  on-success  on-failure  on-abnormal  always
  code 0, HUP, INT, TERM, PIPE           yes                              yes
  another code                                       yes                  yes
  another signal                                     yes         yes      yes
  could not be started again                         yes                  yes

HUP, INT, TERM and PIPE ask for the end, as in systemd. What --ok-exit lists
counts as code 0, what --no-restart-exit lists is the end in any case. The first
time a command that cannot be started is the end: 127, 126 or 125.

First, what the command has left is dealt with, see help leftovers. Then comes
--restart-delay, and by chance up to a tenth of it more; each time
--restart-factor times as long, up to --restart-max-delay. After a life of
--restart-reset it is the first delay again, and earlier failures do not count.

A request to stop ends it all: a command that runs is stopped and not started
again, and between two lives reaper ends at once. --time-limit is that of the
whole run. The exit code is that of the last life.
`

const helpEnvironmentHead = `Environment

Each variable stands for the option of the same name. An empty one counts as not
set; the command line wins. The command does not see them, unless --keep-env.

`

const usageHelp = "usage: reaper help [daemons|exit-codes|environment|leftovers|process|restart|signals]"

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
	case "leftovers":
		text = helpLeftovers
	case "process":
		text = helpProcess
	case "daemons":
		text = helpDaemons
	case "restart":
		text = helpRestart
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

func versionName() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

func (p *process) printVersion() int {
	return p.print(fmt.Sprintf("reaper %s %s/%s %s\n", versionName(), runtime.GOOS, runtime.GOARCH, runtime.Version()))
}

// print writes what was asked for to stdout.
func (p *process) print(text string) int {
	if _, err := io.WriteString(p.stdout, text); err != nil {
		return p.fail("%v", err)
	}
	return 0
}
