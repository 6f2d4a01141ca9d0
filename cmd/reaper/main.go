// Reaper is an init for one command: it adopts and reaps every orphan that the
// command leaves, forwards every signal to it, and ends with its exit code.
package main

import (
	"io"
	"os"
	"slices"
	"syscall"

	"github.com/reaper-init/reaper/pkg/reap"
)

func main() {
	restUndisturbed()
	chld, requests, sigs := takeSignals() // before anything that takes time: see there
	p := process{
		args: os.Args, env: environ(), inherited: inherited(),
		stdout: speaker(1), stderr: speaker(2),
		chld: chld, requests: requests, sigs: sigs, ppid: parent(),
	}
	code, raise := p.main()
	if raise != 0 {
		_ = reap.DieBySignal(raise) // PID 1 cannot; then the code has to do
	}
	os.Exit(code)
}

// process is what the program was given: the arguments of main in C, and what
// tests put in their place.
type process struct {
	args, env      []string
	inherited      *reap.Inheritance
	stdout, stderr io.Writer
	chld           chan os.Signal
	requests, sigs chan os.Signal
	ppid           int // the parent at the start; it may have ended
}

// parseCommandLine reads the options on both sides of run and test, which are no
// more than options: what follows is the command, whatever it is.
func parseCommandLine(args []string) (*options, operands, error) {
	opts, command, err := parseOptions(args)
	test := command.is("test")
	if err != nil || !test && !command.is("run") {
		return opts, command, err
	}
	opts, command, err = parseOptions(slices.Concat(command.before, command.args[1:]))
	command.explicit = true
	if err == nil && test && !opts.flags.Changed("leaks") {
		opts.leaks = leaksFail
	}
	return opts, command, err
}

// main finds the persona, or the subcommand. It returns the exit code, and the
// signal to die by if that is wanted instead.
func (p *process) main() (code int, raise syscall.Signal) {
	parse, c, err := p.persona()
	if err != nil {
		return p.misused(err), 0
	}
	if parse != nil {
		return p.become(parse, c)
	}
	opts, command, err := parseCommandLine(p.args[min(1, len(p.args)):])
	switch {
	case err != nil:
		return p.misused(err), 0
	case opts.help:
		return p.printHelp(""), 0
	case opts.version:
		return p.printVersion(), 0
	case command.is("help"):
		return p.help(command.args[1:]), 0
	case command.is("version"):
		if len(command.args) > 1 {
			return p.misused(&usageError{"version takes no arguments", "usage: reaper version"}), 0
		}
		return p.printVersion(), 0
	default:
		return p.run(opts, command.args)
	}
}
