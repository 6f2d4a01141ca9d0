//go:build linux && (amd64 || arm64)

package reap

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap/internal/nofile"
)

// inheritedByGo is what a process that syscall.ForkExec starts inherits: the mask of the
// calling thread, what this process ignores, and the RLIMIT_NOFILE from before package
// syscall has raised it, unless it was changed again.
func inheritedByGo() (*Inheritance, error) {
	var in Inheritance
	var mask unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, nil, &mask); err != nil {
		return nil, err
	}
	in.Blocked = SignalSet(mask.Val[0])
	for sig := syscall.Signal(1); sig <= NumSignals; sig++ {
		var action sigactionRaw
		if err := rtSigaction(sig, nil, &action); err == nil && action.action == sigIgnored {
			in.Ignored = in.Ignored.With(sig)
		}
	}
	var now unix.Rlimit
	soft, hard := nofile.AtStart()
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err == nil && now.Cur == hard-1 && now.Max == hard {
		in.NoFile = Limit{Cur: soft, Max: hard}
	}
	return &in, nil
}
