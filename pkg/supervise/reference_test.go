package supervise

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"
)

// reference tells what step must want done.
type reference struct {
	cfg     *Config
	begun   bool
	pid     int // 0 before the start
	over    bool
	aborted syscall.Signal
	ended   *event // how it ended, with a status
	lost    bool
	waiting []heard // before the start

	restarts int
	launch   bool      // asked for again, and neither started nor failed
	startAt  time.Time // when that is to be asked for; zero unless it is waited for
	startErr error
	since    time.Time // when this instance was started
	failures int
	lives    int // since the delay was the first

	last       heard // the stop request that counts
	asked      bool
	delayEnds  time.Time
	stopSent   bool
	killAt     time.Time
	killSent   bool
	held       bool      // by job control
	asleep     bool      // reaper stopped itself
	ownConting bool      // the signal that woke it is still to come
	awake      time.Time // until then it does not sleep for want of the terminal
	putOff     syscall.Signal
	nudged     bool

	followed bool
	look     *lookout // while the daemon is looked for
	early    *event   // who has ended before the daemon was known
}

// lookout is what has been seen since the launcher exited.
type lookout struct {
	until  time.Time
	alone  int // who was the only one left, last, and since when
	since  time.Time
	nobody int
	last   bool
}

// heard is a signal as it came and as it is to be sent.
type heard struct {
	came, sig syscall.Signal
	typed     bool // while reaper's own group had the terminal
	prompts   bool // and a shell wants its prompt back
	job       bool // it means nothing but to a job of a shell
}

// send is how it goes to the command.
func (r *reference) send(h heard, sig syscall.Signal) string {
	if h.typed && !r.followed {
		return sent("group", sig, h.came)
	}
	return sent("send", sig, h.came)
}

func (r *reference) running() bool {
	return r.pid != 0 && !r.over && !r.launch && r.startAt.IsZero() && r.look == nil
}

func (r *reference) forking() bool { return r.cfg.Type == ForkingType }

// keeps reports a signal that is not for who runs, but for the daemon to come.
func (r *reference) keeps(h heard) bool {
	if !r.forking() || r.followed || h.job || h.sig == r.cfg.StopSignal {
		return false
	}
	launchers := []string{"TERM", "INT", "QUIT", "KILL", "STOP", "TSTP", "TTIN", "TTOU", "CONT"}
	return !slices.Contains(launchers, signalName(h.sig))
}

// keep does so, once for each signal.
func (r *reference) keep(h heard) {
	if !slices.ContainsFunc(r.waiting, func(other heard) bool { return other.sig == h.sig }) {
		r.waiting = append(r.waiting, h)
	}
}

func (r *reference) deadline() time.Time {
	switch {
	case !r.startAt.IsZero():
		return r.startAt
	case r.look != nil:
		return r.look.until
	case r.killSent, r.over, r.launch:
		return time.Time{}
	case r.stopSent:
		return r.killAt
	default:
		return r.delayEnds
	}
}

func (r *reference) agrees(want []string, m machine, acts []action) error {
	acts = slices.DeleteFunc(slices.Clone(acts), func(a action) bool { return a.kind == actTell })
	if got, want := describe(acts, 0), strings.Join(want, "; "); got != want {
		return fmt.Errorf("wants done: %q, the reference wants %q", got, want)
	}
	deadline := r.deadline()
	if !r.startAt.IsZero() && m.deadline.Sub(deadline).Abs() < time.Microsecond {
		deadline, r.startAt = m.deadline, m.deadline // numbers with a point are rounded
	}
	if !m.deadline.Equal(deadline) {
		return fmt.Errorf("deadline %v, the reference has %v", m.deadline, deadline)
	}
	if (m.state == done) != r.over {
		return fmt.Errorf("state %s, the reference is over: %v", stateName(m.state), r.over)
	}
	result := Result{PID: r.pid, Aborted: r.aborted, Lost: r.lost, Restarts: r.restarts, Err: r.startErr}
	if r.ended != nil {
		result.Status, result.Usage = r.ended.status, r.ended.usage
	}
	if !reflect.DeepEqual(m.result, result) {
		return fmt.Errorf("result %+v, the reference has %+v", m.result, result)
	}
	return nil
}

func (r *reference) sees(ev event) []string {
	switch ev.kind {
	case evBegin:
		if !r.begun && !r.over {
			r.begun = true
			return []string{"start"}
		}
	case evStarted:
		return r.starts(ev)
	case evFailed:
		if r.launch {
			r.launch, r.startErr, r.waiting = false, ev.err, nil
			return r.ends(ev, false, true)
		}
		r.over = r.over || r.begun && r.pid == 0
	case evSignal:
		return r.hears(ev)
	case evCancelled:
		return r.takes(heard{came: syscall.SIGTERM, sig: syscall.SIGTERM}, ev.now)
	case evDeadline:
		if !r.startAt.IsZero() && !ev.now.Before(r.startAt) {
			r.startAt, r.launch = time.Time{}, true
			return []string{"start"}
		}
		if r.look != nil && !ev.now.Before(r.look.until) {
			r.look.last = true
			return []string{"seek"}
		}
		if r.running() && r.asked && !r.stopSent && !ev.now.Before(r.delayEnds) {
			return r.stops(ev.now)
		}
		if r.running() && !r.killAt.IsZero() && !r.killSent && !ev.now.Before(r.killAt) {
			return r.kills(0)
		}
		if r.running() && r.putOff != 0 && !ev.now.Before(r.awake) {
			ev.sig, r.putOff = r.putOff, 0
			return r.sleeps(ev)
		}
	case evStopped:
		return r.sleeps(ev)
	case evContinued:
		r.held, r.putOff = false, 0
	case evResumed:
		return r.wakes(ev)
	case evExited:
		if r.running() {
			r.ended = &ev
			if r.leaves(ev) {
				return r.looks(ev.now)
			}
			return r.endsBy(ev)
		}
	case evEmpty:
		if r.look != nil {
			return r.findsNobody(ev)
		}
	case evPoll:
		if r.look != nil {
			return []string{"seek"}
		}
	case evStray:
		if r.forking() && !r.followed && (r.running() || r.look != nil) {
			r.early = &ev
		}
	case evSought:
		if r.look != nil {
			return r.finds(ev)
		}
	case evEnded, evNotify, evProbed: // only with an end signal, messages or a health check
	case evLost:
		if r.running() {
			r.lost = true
			return r.ends(ev, false, true)
		}
	}
	return nil
}

// leaves tells an exit after which there is a daemon to be looked for.
func (r *reference) leaves(ev event) bool {
	if !r.forking() || ev.status != 0 || r.killSent {
		return false
	}
	return !r.followed || !r.asked && ev.now.Sub(r.since) < quick
}

func (r *reference) looks(now time.Time) []string {
	r.look = &lookout{until: now.Add(guessPatience), last: r.asked}
	if r.stopSent { // whom it was sent to is gone
		r.stopSent, r.killAt, r.delayEnds = false, time.Time{}, time.Time{}
	}
	r.held, r.asleep, r.ownConting, r.putOff, r.nudged = false, false, false, 0, false
	return []string{"seek"}
}

// finds is told who is left.
func (r *reference) finds(ev event) []string {
	l := r.look
	if ev.pid != l.alone {
		l.alone, l.since = ev.pid, ev.now
	}
	if ev.pid != 0 && (r.asked || ev.now.Sub(l.since) >= stillness) {
		return r.follows(ev)
	}
	if l.nobody++; ev.count > 0 {
		l.nobody = 0
	}
	if l.nobody > 1 {
		return r.findsNobody(ev)
	}
	if l.last || ev.final {
		return r.givesUp(ev)
	}
	return nil
}

func (r *reference) follows(ev event) (want []string) {
	r.look, r.followed, r.pid, r.since = nil, true, ev.pid, ev.now
	waiting := r.waiting
	r.waiting = nil
	for _, h := range waiting {
		want = append(want, sent("send", h.sig, h.came))
	}
	if r.asked && r.delayEnds.IsZero() {
		want = append(want, r.stops(ev.now)...)
	}
	return want
}

// findsNobody: who has ended early was the daemon, if anybody has.
func (r *reference) findsNobody(ev event) []string {
	if r.early == nil || r.followed {
		return r.givesUp(ev)
	}
	r.pid, r.ended = r.early.pid, r.early
	return r.endsBy(event{status: r.ended.status, now: ev.now, chance: ev.chance})
}

// givesUp: there is no daemon, or the one that has been followed was the last.
func (r *reference) givesUp(ev event) []string {
	if r.followed || r.asked {
		return r.endsBy(event{status: r.ended.status, now: ev.now, chance: ev.chance})
	}
	if r.startErr = ev.err; ev.err == nil {
		r.startErr = &FollowError{}
	}
	return r.ends(ev, false, true)
}

// endsBy is told of an end whose status is known.
func (r *reference) endsBy(ev event) []string {
	ev.kind = evExited
	sig := ev.status.Signal()
	asks := sig == syscall.SIGHUP || sig == syscall.SIGINT || sig == syscall.SIGTERM || sig == syscall.SIGPIPE
	return r.ends(ev, ev.status == 0 || asks || r.cfg.OKExit.Has(ev.status), sig == 0)
}

// ends is told of the end of an instance: whether it was a success, and whether it
// came by itself.
func (r *reference) ends(ev event, success, exited bool) []string {
	if lived := ev.now.Sub(r.since); !r.since.IsZero() && lived >= r.cfg.RestartReset {
		r.lives, r.failures = 0, 0
	}
	r.since, r.look, r.followed, r.early, r.waiting = time.Time{}, nil, false, nil, nil
	r.held, r.asleep, r.ownConting, r.putOff, r.nudged = false, false, false, 0, false
	r.failures++
	if success {
		r.failures = 0
	}
	wanted := map[RestartPolicy]bool{
		RestartAlways: true, RestartOnSuccess: success, RestartOnFailure: !success, RestartOnAbnormal: !success && !exited,
	}[r.cfg.Restart]
	tooMany := r.cfg.RestartFailures > 0 && r.failures >= r.cfg.RestartFailures
	never := ev.kind == evExited && r.cfg.NoRestartExit.Has(ev.status)
	if r.asked || !wanted || tooMany || never {
		r.over = true
		return nil
	}
	delay := r.cfg.RestartDelay
	for range r.lives {
		delay = min(2*delay, r.cfg.RestartMaxDelay) // configOf has no other factor
	}
	r.lives++
	r.startAt = ev.now.Add(delay + time.Duration(ev.chance*float64(delay)/10))
	return []string{"conclude"}
}

func (r *reference) starts(ev event) (want []string) {
	if !r.begun || r.over || r.pid != 0 && !r.launch {
		return nil
	}
	if r.launch {
		r.restarts++
		r.launch, r.ended, r.lost, r.startErr = false, nil, false, nil
	}
	r.pid = ev.pid
	if !r.forking() { // whose life is the daemon's
		r.since = ev.now
	}
	waiting := r.waiting
	r.waiting = nil
	for _, h := range waiting {
		want = append(want, r.takes(h, ev.now)...)
	}
	return want
}

func (r *reference) hears(ev event) []string {
	if ev.sig == syscall.SIGCONT && r.ownConting {
		r.ownConting = false
		return nil
	}
	tty := ev.terminal
	reading := ev.sig == syscall.SIGTTIN || ev.sig == syscall.SIGTTOU
	if reading && r.running() && tty.Present && !tty.Orphaned && tty.Foreground == r.pid {
		r.ownConting = true
		return []string{"take", "continue own"}
	}
	h := heard{came: ev.sig, sig: ev.sig}
	switch ev.sig {
	case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGWINCH:
		h.typed = tty.Present && tty.Foreground == tty.Own
		h.prompts = h.typed && !tty.Orphaned && ev.sig == syscall.SIGTSTP
		h.job = h.typed && (ev.sig == syscall.SIGTSTP || ev.sig == syscall.SIGWINCH)
	}
	if to, ok := r.cfg.Rewrite[ev.sig]; ok {
		if h.sig = to; to == 0 {
			return nil
		}
	}
	return r.takes(h, ev.now)
}

func (r *reference) takes(h heard, now time.Time) []string {
	stop := h.sig == syscall.SIGTERM || h.sig == syscall.SIGINT || h.sig == syscall.SIGQUIT
	switch {
	case r.over:
		return nil
	case !r.startAt.IsZero() || r.launch && stop:
		if stop {
			r.startAt, r.launch, r.over = time.Time{}, false, true
		} else if h.prompts {
			return []string{"suspend TSTP"}
		}
		return nil
	case r.pid == 0 && stop:
		r.over, r.aborted = true, h.sig
		return nil
	case r.pid == 0, r.launch:
		r.waiting = append(r.waiting, h)
		return nil
	case r.look != nil && stop:
		r.asked, r.last, r.look.last, r.delayEnds = true, h, true, time.Time{}
		return []string{"seek"}
	case (r.look != nil || r.followed) && h.job:
		if h.prompts {
			return []string{"suspend TSTP"}
		}
		return nil
	case r.look != nil, !stop && r.keeps(h):
		r.keep(h)
		return nil
	case !stop:
		return []string{r.send(h, h.sig)}
	case !r.asked && r.cfg.StopDelay > 0:
		r.asked, r.last, r.delayEnds = true, h, now.Add(r.cfg.StopDelay)
		return nil
	case !r.stopSent:
		r.asked, r.last = true, h
		return r.stops(now)
	case r.killSent:
		return []string{sent("send", syscall.SIGKILL, h.came)}
	case h.sig == syscall.SIGQUIT:
		return []string{r.send(h, h.sig)}
	default:
		return r.kills(h.came)
	}
}

func (r *reference) stops(now time.Time) []string {
	r.stopSent = true
	if r.cfg.StopTimeout > 0 {
		r.killAt = now.Add(r.cfg.StopTimeout)
	}
	sig := r.last.sig
	if r.cfg.StopSignal != 0 {
		sig = r.cfg.StopSignal
	}
	want := []string{r.send(r.last, sig)}
	if r.held {
		want = append(want, sent("group", syscall.SIGCONT, r.last.came))
	}
	return want
}

func (r *reference) kills(came syscall.Signal) []string {
	r.killSent = true
	return []string{sent("send", syscall.SIGKILL, came)}
}

func (r *reference) sleeps(ev event) []string {
	tty := ev.terminal
	if !r.running() {
		return nil
	}
	if r.followed { // it is no job of a shell
		r.held = true
		return nil
	}
	reading := ev.sig == syscall.SIGTTIN || ev.sig == syscall.SIGTTOU
	if reading && r.stopSent && !r.killSent && !r.nudged {
		r.nudged = true
		return []string{sent("group", syscall.SIGCONT, ev.sig)}
	}
	r.held = true
	if reading && ev.now.Before(r.awake) {
		r.putOff = ev.sig
		return nil
	}
	r.putOff = 0
	nobody := !tty.Present || tty.Orphaned
	switch {
	case tty.Present && reading && tty.Foreground == tty.Own:
		return []string{"give", sent("group", syscall.SIGCONT, ev.sig)}
	case tty.Present && reading && tty.Foreground == r.pid:
		return []string{sent("group", syscall.SIGCONT, ev.sig)}
	case tty.Present && nobody && ev.sig == syscall.SIGTSTP,
		nobody && !reading && r.stopSent && !r.killSent:
		return []string{sent("group", syscall.SIGCONT, ev.sig)}
	case nobody, reading && !r.deadline().IsZero():
		return nil
	}
	r.asleep, r.ownConting = true, false
	if tty.Foreground == r.pid {
		return []string{"take", "suspend " + signalName(ev.sig)}
	}
	return []string{"suspend " + signalName(ev.sig)}
}

func (r *reference) wakes(ev event) []string {
	if !r.running() || !r.asleep {
		r.ownConting = r.ownConting || r.followed && r.running()
		return nil
	}
	r.asleep, r.ownConting, r.awake = false, true, ev.now.Add(restlessness)
	if ev.terminal.Present && ev.terminal.Foreground == ev.terminal.Own {
		return []string{"give", "group CONT"}
	}
	return []string{"group CONT"}
}

func sent(how string, sig, came syscall.Signal) string {
	if came == 0 || came == sig {
		return how + " " + signalName(sig)
	}
	return how + " " + signalName(sig) + " for " + signalName(came)
}
