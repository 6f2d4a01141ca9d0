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
	chld, requests, sigs := takeSignals() // first of all: see there
	p := process{
		args: os.Args, env: environ(), inherited: inherited(),
		stdout: output(1), stderr: output(2),
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

// main finds the subcommand. It returns the exit code, and the signal to die by
// if that is wanted instead.
func (p *process) main() (code int, raise syscall.Signal) {
	opts, command, err := parseOptions(p.args[min(1, len(p.args)):])
	if err == nil && command.is("run") { // its options stand on both sides of it
		opts, command, err = parseOptions(slices.Concat(command.before, command.args[1:]))
		command.explicit = true // run is there: the next word is the command, whatever it is
	}
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
