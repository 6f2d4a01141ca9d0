package supervise

import (
	"context"
	"errors"
	"syscall"

	"github.com/reaper-init/reaper/pkg/reap"
	"github.com/reaper-init/reaper/pkg/supervise/health"
)

// probe is a health check that is under way: a process, or a question over the network.
type probe struct {
	pid    int
	result <-chan error
	cancel context.CancelFunc
}

// startProbe begins one. The last has ended, or cannot be ended.
func (l *loop) startProbe() {
	if l.HealthCommand == "" {
		ctx, cancel := context.WithCancel(context.Background())
		l.probe.result, l.probe.cancel = l.HealthTarget.Start(ctx), cancel
		return
	}
	pid, err := l.Kernel.StartProbe(&l.Config)
	if err != nil {
		l.step(event{kind: evProbed, err: err})
		return
	}
	l.probe.pid = pid
}

// endProbe ends it, and all that it has started, as far as that is known to be its own.
// What has forked away from it is left, and is a leftover in the end.
func (l *loop) endProbe() {
	if l.probe.cancel != nil {
		l.probe.cancel()
	}
	if l.probe.pid == 0 {
		return
	}
	var tree []reap.Proc
	if !l.table.blind {
		tree = treeOf(l.probe.pid, l.below())
	}
	if _, err := l.Kernel.SignalGroup(l.probe.pid, syscall.SIGKILL); err != nil {
		l.check(err)
	}
	for _, p := range tree { // it may have left its group
		if _, err := l.Kernel.SignalDescendant(p, syscall.SIGKILL); err != nil {
			l.check(err)
		}
	}
}

// treeOf is a process and those below it, of a list in which parents come before their
// children.
func treeOf(pid int, procs []reap.Proc) []reap.Proc {
	in := make(map[int]bool)
	var tree []reap.Proc
	for _, p := range procs {
		if p.PID == pid || in[p.PPID] {
			in[p.PID] = true
			tree = append(tree, p)
		}
	}
	return tree
}

// answered takes in what a question over the network has brought.
func (l *loop) answered(err error) {
	l.probe.cancel()
	l.probe.result, l.probe.cancel = nil, nil
	l.step(event{kind: evProbed, err: err})
}

// probeExited takes in the end of a probe that was a process.
func (l *loop) probeExited(status reap.Status) {
	l.probe.pid = 0
	var err error
	if status != reap.ExitStatus(0) {
		err = errors.New("probe ended with " + status.String())
	}
	l.step(event{kind: evProbed, err: err})
}

// abandonProbe ends what Run has begun and nobody waits for any more.
func (l *loop) abandonProbe() {
	if l.probe.cancel != nil {
		l.probe.cancel()
		<-l.probe.result //nolint:errcheck // it is of no interest any more
	}
}

// hasHealth reports whether there is a target to be asked.
func hasTarget(t health.Target) bool { return t != health.Target{} }
