package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
	"github.com/reaper-init/reaper/pkg/supervise"
)

// run is `reaper run`, and `reaper test`, which differs in what --leaks is.
func (p *process) run(o *options, command []string) (code int, raise syscall.Signal) {
	if err := o.readVariables(p.env); err != nil {
		return p.misused(err), 0
	}
	if o.as != nil {
		o.adapt()
	}
	switch {
	case o.config.NoCommand:
		command = []string{} // whatever else there is means nothing
	case len(command) == 0:
		return p.misused(&usageError{"no command", "usage: reaper [options] [--] command [argument...]"}), 0
	case command[0] == "" && o.as == nil:
		return p.misused(&usageError{"the command is an empty word", "if it comes from a variable, is that set?"}), 0
	}
	if err := openPoller(); err != nil {
		return p.failAs(o, err), 0
	}
	o.config.Args = command
	if !o.config.NoCommand {
		if err := o.prepare(p.env); err != nil {
			return p.misused(err), 0
		}
	}
	o.config.Inherited = p.inherited
	if o.byDefault && p.inherited != nil {
		o.config.Inherited = &reap.Inheritance{NoFile: p.inherited.NoFile}
	}
	o.lookForLeaks()
	target, err := openReport(o.report)
	if err != nil {
		return p.misused(err), 0
	}
	capture, err := o.captureOutput(command)
	if err != nil {
		return p.misused(err), 0
	}
	if err := p.becomeInit(o); err != nil {
		return p.failAs(o, err), 0
	}
	if o.as != nil && o.as.begin != nil {
		o.as.begin(p, o)
	}
	log := newLog(o, 2)
	defer log.close()
	o.config.NameOrphans = log.enabled(zapcore.DebugLevel)
	outcome := outcome{command: command, session: sessionID(), begin: time.Now()}
	s := supervise.Supervisor{Config: o.config, Requests: p.requests, OnEvent: func(ev supervise.Event) {
		outcome.event(o, ev)
		log.event(ev)
		if ev.Kind == supervise.CommandStarted && o.as != nil && o.as.started != nil {
			o.as.started()
		}
	}}
	end, err := p.hear(&s, o, log)
	if err != nil {
		return p.failAs(o, err), 0
	}
	defer end()
	if capture != nil {
		capture.tell(o)
	}
	outcome.result, outcome.err = s.Run(context.Background(), p.chld, p.sigs)
	if outcome.err != nil {
		fmt.Fprintln(p.stderr, o.startLine(outcome.err, command[0])) //nolint:errcheck // there is nobody else to tell
	}
	outcome.leaks = leaksOf(o, outcome.result)
	if o.leaks == leaksFail && len(outcome.result.Leftovers) > 0 {
		log.print(leakTable(&outcome, o))
	}
	code, raise = exitOf(o, &outcome)
	if capture != nil {
		tail := capture.end(o, log)
		outcome.output = capture.report(tail)
		if code != 0 {
			log.lastLines(tail)
		}
	}
	if err := target.write(outcome.report(o, code)); err != nil {
		log.error("report could not be written", err)
	}
	return code, raise
}

// openPoller has the runtime open the two descriptors of its poller. It would do so with
// the first timer or file, and if there is no room for them then, perhaps in a burst of
// orphans, it ends the program in words of its own.
func openPoller() error {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err == nil {
		var event int
		if event, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err == nil {
			unix.Close(event) //nolint:errcheck // nothing was written
		}
		unix.Close(poll) //nolint:errcheck // nothing was written
	}
	if err != nil {
		return fmt.Errorf("no room for the two descriptors that reaper itself needs (ulimit -n): %w", err)
	}
	const never = math.MaxInt64
	time.AfterFunc(never, func() {}).Stop()
	return nil
}

// becomeInit sets the two attributes that prctl has for this process.
func (p *process) becomeInit(o *options) error {
	if !o.noSubreaper {
		if err := reap.BecomeSubreaper(); err != nil {
			return err
		}
	}
	if o.config.ChildParentDeath != 0 || o.parentDeath != 0 {
		// Both belong to a thread. This goroutine lives as long as the program.
		runtime.LockOSThread()
	}
	if o.parentDeath == 0 {
		return nil
	}
	gone, err := reap.SetParentDeath(o.parentDeath, p.ppid)
	if err != nil {
		return err
	}
	if gone { // it died before the kernel knew that we care
		if o.parentDeath == unix.SIGKILL || o.parentDeath == unix.SIGSTOP {
			return unix.Kill(os.Getpid(), o.parentDeath)
		}
		(&receiver{chld: p.chld, requests: p.requests, sigs: p.sigs}).deliver(o.parentDeath)
	}
	return nil
}

// describeStart is the one line that names the command and the cause.
func describeStart(err error, name string) string {
	var failed *reap.StartError
	if !errors.As(err, &failed) {
		return err.Error()
	}
	where := fmt.Sprintf("cannot run %s: ", quoted(name))
	if failed.Path != name && failed.Op == "exec" {
		where = fmt.Sprintf("cannot run %s (%s): ", quoted(name), quoted(failed.Path))
	}
	switch {
	case failed.Op != "find" && failed.Op != "exec":
		return where + describeStep(failed)
	case failed.Op == "find" && errors.Is(err, unix.ENOENT):
		return where + "not found in PATH"
	case failed.NoInterpreter:
		missing := interpreter(failed.File())
		switch {
		case strings.HasSuffix(missing, "\r"):
			return where + "its interpreter " + quoted(missing) + " is not there; the lines of the script end as on Windows"
		case missing != "":
			return where + "its interpreter " + quoted(missing) + " is not there"
		}
		return where + "the loader that it was linked for is not there"
	case errors.Is(err, unix.ENOENT):
		return where + "no such file"
	case errors.Is(err, unix.ENOEXEC):
		return where + "not a program of this machine, and /bin/sh cannot run it"
	case errors.Is(err, unix.EACCES):
		if info, statErr := os.Stat(failed.File()); statErr == nil && info.IsDir() {
			return where + "it is a directory"
		} else if statErr == nil && info.Mode()&0o111 == 0 {
			return where + "it is not executable; chmod +x is missing"
		}
	case errors.Is(err, unix.EAGAIN):
		return where + "its user has more processes than the limit nproc allows"
	}
	return where + failed.Err.Error()
}

// interpreter is what the first line of a script names, as the kernel reads it:
// blanks and tabs end it, a carriage return does not.
func interpreter(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	const longest = 256 // BINPRM_BUF_SIZE of the kernel
	line, _ := bufio.NewReader(io.LimitReader(f, longest)).ReadString('\n')
	rest, script := strings.CutPrefix(line, "#!")
	words := strings.FieldsFunc(rest, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == 0 })
	if !script || len(words) == 0 {
		return ""
	}
	return words[0]
}

// quoted puts quotes where the bare word would be misread.
func quoted(word string) string {
	if word == "" {
		return `""`
	}
	for _, r := range word {
		if !strings.ContainsRune("-_./+=:,@%", r) &&
			(r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return fmt.Sprintf("%q", word)
		}
	}
	return word
}
