package main

import (
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/supervise"
)

// outcome is all that is known at the end. What is printed, reported and returned
// is made of it.
type outcome struct {
	command []string
	session int       // that of reaper, which the command gets too
	begin   time.Time // when reaper was about to start it
	started time.Time // zero if it was not
	ended   time.Time
	reaped  int // instances of the command
	kills   int // of these, and of leftovers
	told    int // leaks, as they were told
	result  supervise.Result
	output  *outputReport         // nil if the command had reaper's own streams
	err     error                 // of the start
	leaks   []*supervise.Leftover // those that are not excused
}

// event takes in what the result does not tell.
func (out *outcome) event(o *options, ev supervise.Event) {
	switch ev.Kind { //nolint:exhaustive // the others are in the result
	case supervise.CommandStarted:
		out.started, out.ended = time.Now(), time.Time{}
	case supervise.DaemonFollowed:
		out.ended = time.Time{}
	case supervise.CommandExited:
		out.ended = time.Now()
		out.reaped++
	case supervise.CommandLost:
		out.ended = time.Now()
	case supervise.KillTimeout, supervise.KillRequested:
		if ev.PID != 0 {
			out.kills++
		}
	case supervise.LeftoverEnded:
		if ev.Leftover.Fate == supervise.FateKilled {
			out.kills++
		}
		if isLeak(o, ev.Leftover) {
			out.told++
		}
	}
}

// leakCount is how many leaks there were. The result forgets some if there are very
// many.
func (out *outcome) leakCount() int { return max(len(out.leaks), out.told) }

// failsByLeaks reports whether leaks decide the exit code. What is to be kept is
// no mistake, and neither is what the time limit has cut short.
func (out *outcome) failsByLeaks(o *options) bool {
	return o.leaks == leaksFail && o.config.Leftovers != supervise.KeepLeftovers &&
		out.leakCount() > 0 && !out.result.TimedOut
}

// leaksOf is the leftovers that nothing excuses.
func leaksOf(o *options, res supervise.Result) []*supervise.Leftover {
	var leaks []*supervise.Leftover
	for i := range res.Leftovers {
		if l := &res.Leftovers[i]; isLeak(o, l) {
			leaks = append(leaks, l)
		}
	}
	return leaks
}

// isLeak tells a leak from what another leftover has started while it was being
// stopped, from a zombie, which is gone when its parent is, and from what
// --leak-ok excuses.
func isLeak(o *options, l *supervise.Leftover) bool {
	return !l.Late && !l.Unreaped() && !excused(o, l)
}

// excused reports whether --leak-ok matches the command line, or the name where
// there is none.
func excused(o *options, l *supervise.Leftover) bool {
	line := strings.Join(l.Details.Args, " ")
	if line == "" {
		line = l.Name
	}
	return o.leakOK.match(line)
}

// parentOf is who started a leftover, as far as is known.
func parentOf(l *supervise.Leftover) (supervise.Ancestor, bool) {
	if len(l.Ancestors) == 0 {
		return supervise.Ancestor{}, false
	}
	return l.Ancestors[0], true
}

// shellLine writes a command line so that a person can tell its words apart, and
// copy it.
func shellLine(args []string) string {
	words := slices.Clone(args)
	for i, word := range words {
		words[i] = quoted(word)
	}
	return strings.Join(words, " ")
}

// sessionID is the session of this process, 0 if it has no number here.
func sessionID() int {
	sid, err := unix.Getsid(0)
	if err != nil {
		return 0
	}
	return sid
}
