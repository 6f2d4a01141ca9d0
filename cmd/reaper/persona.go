package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
	"github.com/reaper-init/reaper/pkg/supervise"
)

// A persona is another init program in whose place reaper was called: it has the
// options, variables, streams, exit codes and effects of that one, less its defects
// (docs/personas.md). It is no other engine: its command line becomes options, and
// this is what they cannot say.
type persona struct {
	failed    int                                 // the exit code where it could not do its own work
	startCode func(errno error) int               // that of a command that could not be executed
	startLine func(name string, err error) string // what is said then, after the prefix
	log       personaLog
	begin     func(p *process, o *options) // what it does before the command is started; may be nil
	started   func()                       // and once the command runs; may be nil
}

// A personaParser reads the command line of a persona, and its variables. reply ends
// it: a text, or something that is wrong.
type personaParser func(c *call) (o *options, command []string, end *reply)

// call is how a persona was called.
type call struct {
	name string // argv[0]
	args []string
	env  []string
}

// reply is all that there is to say.
type reply struct {
	stdout, stderr string
	code           int
}

// personas are the names by which reaper is another program.
func personas() map[string]personaParser {
	return map[string]personaParser{
		"tini": parseTini, "tini-static": parseTini, "docker-init": parseTini,
		"dumb-init": parseDumbInit,
		"catatonit": parseCatatonit, "podman-init": parseCatatonit,
		"pause": parsePause,
	}
}

// usageAs is what --as takes.
const usageAs = "usage: reaper --as tini|dumb-init|catatonit|pause [its options and command]"

// persona is the program that reaper was called as, by its name or by --as, and nil
// if that is itself.
func (p *process) persona() (parse personaParser, c *call, err error) {
	if len(p.args) == 0 {
		return nil, nil, nil
	}
	c = &call{name: p.args[0], args: p.args[1:], env: p.env}
	if parse := personas()[filepath.Base(c.name)]; parse != nil {
		return parse, c, nil
	}
	if len(c.args) == 0 {
		return nil, nil, nil
	}
	name, given := strings.CutPrefix(c.args[0], "--as=")
	c.args = c.args[1:]
	if !given {
		if p.args[1] != "--as" {
			return nil, nil, nil
		}
		if len(c.args) == 0 {
			return nil, nil, &usageError{"option --as needs a value", usageAs}
		}
		name, c.args = c.args[0], c.args[1:]
	}
	c.name = name
	if parse = personas()[name]; parse == nil {
		return nil, nil, &usageError{"--as " + quoted(name) + ": reaper cannot stand in for that", usageAs}
	}
	return parse, c, nil
}

// become is reaper as another program.
func (p *process) become(parse personaParser, c *call) (code int, raise syscall.Signal) {
	o, command, end := parse(c)
	if end == nil {
		return p.run(o, command)
	}
	if _, err := fmt.Fprint(p.stdout, end.stdout); err != nil {
		return 1, 0
	}
	fmt.Fprint(p.stderr, end.stderr) //nolint:errcheck // there is nobody else to tell
	return end.code, 0
}

// personaOptions is where each of them starts from: everything is forwarded, and
// what the command leaves is left alone.
func personaOptions(as *persona) *options {
	o := &options{as: as}
	o.flags = newFlags(o)
	o.config.ForwardOnly = true
	o.config.ListenPID = false
	o.config.Leftovers = supervise.KeepLeftovers
	o.leaks = leaksIgnore
	return o
}

// set is an option of reaper that the command line of the persona stands for, so that
// no variable overrules it.
func (o *options) set(option, value string) {
	if err := o.flags.Set(option, value); err != nil {
		panic("set --" + option + ": " + err.Error()) // what is set here has been checked
	}
}

// adapt follows the REAPER_ variables, which can ask of a persona what its model
// cannot do.
func (o *options) adapt() {
	c := &o.config
	if c.StopTimeout > 0 || c.StopDelay > 0 || c.StopSignal != 0 {
		c.ForwardOnly = false
	}
	if c.Leftovers != supervise.KeepLeftovers || o.leaks != leaksIgnore || o.report != "" {
		o.noSubreaper = false
	}
}

// lookup is getenv(3).
func (c *call) lookup(name string) (value string, ok bool) { return getenv(c.env, name) }

// startCode is the exit code of a command that was not found, or could not be executed.
func (o *options) startCode(e *reap.StartError) int {
	if o.as != nil {
		return o.as.startCode(e.Err)
	}
	return startCode(e)
}

// failedCode is the exit code of a failure that is not the command's.
func (o *options) failedCode() int {
	if o.as != nil {
		return o.as.failed
	}
	return exitFailed
}

// startLine says why the command could not be started.
func (o *options) startLine(err error, name string) string {
	if o.as == nil {
		return "reaper: " + describeStart(err, name)
	}
	failed := new(reap.StartError)
	if errors.As(err, &failed) && (failed.Op == "exec" || failed.Op == "find") {
		return o.as.log.fatal(o.as.startLine(name, cErrorText(failed.Err)))
	}
	return o.as.log.fatal(describeStart(err, name))
}

// cErrorText has an errno say what it says in C: with a capital.
func cErrorText(err error) error {
	text := err.Error()
	return errors.New(strings.ToUpper(text[:1]) + text[1:])
}

// codeAnyway is the exit code of a program that knows but one.
func codeAnyway(code int) func(error) int { return func(error) int { return code } }

// leaveRoot lets go of the directory that the command was started in, so that its
// file system can be unmounted.
func leaveRoot() { _ = os.Chdir("/") } // then it stays where it is

// closeInherited lets go of the descriptors that were meant for the command, which
// has them by now: while they are open here, nobody sees the end of a pipe. Those that
// are this program's own, that of --report too, are closed by an execve, and so told
// apart.
func closeInherited() {
	for _, fd := range inheritedDescriptors() {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd) // it is open
		}
	}
}

// inheritedDescriptors are those from 3 on that may be open.
func inheritedDescriptors() []int {
	const most = 1024 // where nothing tells: the usual soft limit
	entries, err := os.ReadDir("/proc/self/fd")
	var fds []int
	for _, entry := range entries {
		var fd int
		if _, err := fmt.Sscan(entry.Name(), &fd); err == nil && fd > 2 {
			fds = append(fds, fd)
		}
	}
	if err != nil {
		for fd := 3; fd < most; fd++ {
			fds = append(fds, fd)
		}
	}
	return fds
}

// dropSignals has signals not forwarded.
func dropSignals(c *supervise.Config, sigs ...syscall.Signal) {
	if c.Rewrite == nil {
		c.Rewrite = make(map[syscall.Signal]syscall.Signal)
	}
	for _, sig := range sigs {
		c.Rewrite[sig] = 0
	}
}
