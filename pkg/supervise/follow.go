package supervise

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
)

// A command of ForkingType exits and leaves a daemon. This process is a subreaper, so
// the daemon becomes its child when all between them have ended; then its number is
// its own until it is reaped, and its status comes by wait4(2).

const (
	// stillness is how long one process has to be the only one that is left before it is
	// taken for the daemon: the middle one of a double fork is about to end.
	stillness = 100 * time.Millisecond
	// guessPatience is how long there may be several.
	guessPatience = 2 * time.Second
	// filePatience is how long the pid file is waited for without a StartTimeout, as by
	// systemd (DefaultTimeoutStartSec=).
	filePatience = 90 * time.Second
	// quick is how soon a program has exited that has just put itself, or another, into
	// the background.
	quick = 2 * time.Second
)

// FollowError tells why the daemon that the command has left could not be followed.
type FollowError struct {
	Err        error       // what is wrong with the pid file; nil if there is none
	Candidates []reap.Proc // the processes that it could be
}

func (e *FollowError) Error() string {
	switch {
	case e.Err != nil:
		return "follow daemon: " + e.Err.Error()
	case len(e.Candidates) == 0:
		return "follow daemon: the command left no process"
	}
	names := make([]string, 0, len(e.Candidates))
	for _, p := range e.Candidates {
		names = append(names, strings.TrimSuffix(fmt.Sprintf("%d %s", p.PID, p.Name), " "))
	}
	return fmt.Sprintf("follow daemon: one of %d processes, and no pid file tells which: %s", len(names), strings.Join(names, ", "))
}

func (e *FollowError) Unwrap() error { return e.Err }

// search is what is known while the daemon is looked for.
type search struct {
	guess  int       // the only process that is left
	since  time.Time // since when it has been
	nobody int       // how often nobody was found
	told   bool      // that the pid file is waited for
	last   bool      // the next look decides
	stopAt time.Time // the end of a stop delay
}

// stray is a process that has ended before the daemon was known, and may have been it.
type stray struct {
	pid    int
	status reap.Status
	usage  reap.Usage
}

// leaves reports whether the command has exited so that there may be a daemon now. One
// that has been followed can leave another: the middle one of a double fork that was
// slow, or a daemon that has executed its successor.
func (m machine) leaves(ev event) bool {
	if m.heir != 0 && m.cause == endSuccess && m.state != killing {
		return true
	}
	if m.cfg.Type != ForkingType || ev.status != reap.ExitStatus(0) || m.cause != endSuccess || m.state == killing {
		return false
	}
	return !m.followed || !m.wantDown && (m.cfg.PIDFile != "" || ev.now.Sub(m.born) < quick)
}

// seek begins to look for the daemon.
func (m machine) seek(ev event) (machine, []action) {
	m.search = search{last: m.wantDown || m.followed && m.cfg.PIDFile != "" || m.cfg.Type != ForkingType}
	if m.state == delaying {
		m.search.stopAt = m.deadline
	}
	patience := guessPatience
	if m.cfg.PIDFile != "" && !m.followed {
		patience = filePatience
		if m.cfg.StartTimeout > 0 {
			patience = m.cfg.StartTimeout // startBy comes before
		}
	}
	m = m.forget()
	m.state, m.deadline = seeking, ev.now.Add(patience)
	return m, []action{{kind: actSeek}}
}

// sought is told what a look at the processes has found.
func (m machine) sought(ev event) (machine, []action) {
	switch m.state {
	case seeking:
	case down, starting, pausing, up, delaying, stopping, killing, settling, draining, sweeping, backoff, done:
		return m, nil // it is not looked for any more
	}
	if ev.pid != m.search.guess {
		m.search.guess, m.search.since = ev.pid, ev.now
	}
	sure := m.cfg.PIDFile != "" || ev.pid == m.heir || ev.now.Sub(m.search.since) >= stillness || m.wantDown
	if ev.pid != 0 && sure {
		return m.follow(ev)
	}
	if ev.count > 0 {
		m.search.nobody = 0
	} else if m.search.nobody++; m.search.nobody > 1 { // once, one whose parent has just ended may be missed
		return m.nobodyLeft(ev)
	}
	if m.search.last || ev.final {
		return m.unfollowed(ev)
	}
	if m.cfg.PIDFile != "" && ev.err != nil && !m.search.told {
		m.search.told = true
		return m, tell(Event{Kind: DaemonAwaited, PID: m.result.PID, Err: ev.err})
	}
	return m, nil
}

// follow makes a process the command.
func (m machine) follow(ev event) (machine, []action) {
	m.state, m.pid, m.result.PID, m.deadline = up, ev.pid, ev.pid, time.Time{}
	m.followed = true
	stopAt := m.search.stopAt
	m.search = search{}
	m.heir = 0
	if m.waits == 0 {
		m.born = ev.now
	}
	m = m.guard(ev.now)
	acts := tell(Event{Kind: DaemonFollowed, PID: m.pid})
	m, more := m.arrived(waitFollow, ev.now)
	acts = append(acts, more...)
	m, more = m.replay()
	acts = append(acts, more...)
	switch {
	case !stopAt.IsZero():
		m.state, m.deadline, m.barkAt = delaying, stopAt, time.Time{}
	case m.wantDown:
		m, more = m.sendStop(ev.now, m.stopAction())
		acts = append(acts, more...)
	}
	if !m.until.IsZero() {
		m, more = m.untilThen()
		acts = append(acts, more...)
	}
	return m, acts
}

// nobodyLeft is the end of the search when there is nobody who could be the daemon.
func (m machine) nobodyLeft(ev event) (machine, []action) {
	if m.stray.pid == 0 || m.followed {
		return m.unfollowed(ev)
	}
	m.result.PID, m.result.Status, m.result.Usage = m.stray.pid, m.stray.status, m.stray.usage
	acts := tell(Event{Kind: DaemonEnded, PID: m.stray.pid, Status: m.stray.status})
	m, more := m.end(ev, m.cfg.endingOf(m.stray.status))
	return m, append(acts, more...)
}

// unfollowed is the end of the search without a daemon. Who has been followed before
// is the one that has ended.
func (m machine) unfollowed(ev event) (machine, []action) {
	if m.followed || m.wantDown || m.cfg.Type != ForkingType {
		return m.end(ev, m.cfg.endingOf(m.result.Status))
	}
	m.result.Err = ev.err
	if ev.err == nil {
		m.result.Err = &FollowError{}
	}
	acts := tell(Event{Kind: DaemonNotFound, PID: m.result.PID, Err: m.result.Err})
	m, more := m.end(ev, endNoDaemon)
	return m, append(acts, more...)
}

// strayed takes down who has ended before the daemon was known.
func (m machine) strayed(ev event) (machine, []action) {
	if m.waits&waitFollow != 0 {
		m.stray = stray{ev.pid, ev.status, ev.usage}
	}
	return m, nil
}

// forLauncher tells the signals that are for the program that runs as long as there is no
// daemon: what asks for its end, what nobody can take, and job control. Any other is for
// the daemon, and most programs that only start one would die of it.
func (m machine) forLauncher(ev event) bool {
	switch ev.sig {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL,
		syscall.SIGSTOP, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGCONT:
		return true
	}
	return ev.sig == m.cfg.StopSignal || forJob(ev)
}

// wait keeps a signal until the daemon is known. Equal ones merge, as standard signals do in
// the kernel. If there is never to be one, they are forgotten: another instance begins with
// all that they could tell it.
func (m machine) wait(ev event) machine {
	for _, other := range m.queued {
		if other.sig == ev.sig {
			return m
		}
	}
	m.queued = append(slices.Clip(m.queued), ev)
	return m
}
