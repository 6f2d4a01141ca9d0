// Reaper is an init for one command: it adopts and reaps every orphan that the
// command leaves, forwards every signal to it, and ends with its exit code.
package main

import (
	"io"
	"os"
	"syscall"

	"github.com/reaper-init/reaper/pkg/reap"
)

func main() {
	chld, sigs := takeSignals() // first of all: see there
	p := process{
		args: os.Args, env: environ(), inherited: inherited(),
		stdout: os.Stdout, stderr: rawStderr{},
		chld: chld, sigs: sigs, ppid: os.Getppid(),
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
	chld, sigs     chan os.Signal
	ppid           int // the parent, asked for as early as possible
}

// main finds the subcommand. It returns the exit code, and the signal to die by
// if that is wanted instead.
func (p *process) main() (code int, raise syscall.Signal) {
	args := p.args[min(1, len(p.args)):]
	opts, command, err := parseOptions(args, p.env)
	if err != nil {
		return p.misused(err), 0
	}
	switch {
	case opts.help:
		return p.printHelp(""), 0
	case opts.version:
		return p.printVersion(), 0
	case command.explicit || len(command.args) == 0:
		return p.run(opts, command.args)
	}
	switch rest := command.args[1:]; command.args[0] {
	case "run":
		opts, command, err := parseOptions(append(command.before, rest...), p.env)
		if err != nil {
			return p.misused(err), 0
		}
		if opts.help {
			return p.printHelp(""), 0
		}
		return p.run(opts, command.args)
	case "help":
		return p.help(rest), 0
	case "version":
		return p.printVersion(), 0
	default:
		return p.run(opts, command.args)
	}
}
