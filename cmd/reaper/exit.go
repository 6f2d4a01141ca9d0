package main

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
	"github.com/reaper-init/reaper/pkg/supervise"
)

// The exit codes that are not the command's own.
const (
	exitUnfit    = 1
	exitLeaks    = 86
	exitTimeout  = 124
	exitFailed   = 125
	exitNoExec   = 126
	exitNotFound = 127
	exitSignal   = 128
)

// exitTable is what help prints and docs repeat.
const exitTable = `  the command's own  it exited by itself
  128+n              it was killed by signal n
  127                it was not found
  126                it was found and could not be executed
  125                reaper failed or was called wrongly, before the command ran
  124                --time-limit or --start-timeout ended it
  86                 it left processes behind, and --leaks=fail was given
`

// exitOf is the exit code for how it went, and the signal to die by if --raise
// asks for that. --ok-exit comes last of all: it is applied to the code of the
// command, so that one that counts as 0 can still fail by its leaks, and to that.
func exitOf(o *options, out *outcome) (code int, raise syscall.Signal) {
	var failed *reap.StartError
	var killedBy syscall.Signal
	res, err := out.result, out.err
	if err == nil {
		err = res.Err
	}
	switch {
	case (res.TimedOut || res.Cause == supervise.CauseNotReady) && !res.Lost:
		code = exitTimeout
	case errors.As(err, &failed) && (failed.Op == "exec" || failed.Op == "find"):
		code = o.startCode(failed)
	case err != nil, res.Lost: // reaper's own failure, which is never OK
		return o.failedCode(), 0
	case res.Aborted != 0:
		killedBy = res.Aborted
	case res.Status.Signaled():
		killedBy = res.Status.Signal()
	default:
		code = res.Status.Code()
	}
	switch {
	case killedBy != 0:
		code = exitSignal + int(killedBy)
	case code == 0 && res.Cause != supervise.CauseNone:
		code = exitUnfit // it ended well when it was stopped, but that is not what it was for
	}
	ok := o.config.OKExit
	if ok.HasCode(code) || ok.HasSignal(killedBy) {
		code, killedBy = 0, 0
	}
	if code == 0 && out.failsByLeaks(o) && !ok.HasCode(exitLeaks) {
		code = exitLeaks
	}
	if !o.raise {
		killedBy = 0
	}
	return code, killedBy
}

// startCode sorts a failed start as a shell does.
func startCode(e *reap.StartError) int {
	switch {
	case !e.Found && (errors.Is(e, unix.ENOENT) || errors.Is(e, unix.ENOTDIR)):
		return exitNotFound
	default:
		return exitNoExec
	}
}
