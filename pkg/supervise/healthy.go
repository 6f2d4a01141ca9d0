package supervise

import (
	"syscall"

	"github.com/reaper-init/reaper/pkg/supervise/health"
	"github.com/reaper-init/reaper/pkg/supervise/notify"
)

// tend follows each step: probes go on exactly as long as the command is up and there
// is something to be probed. What that wants done comes first, as another action may be
// one that nothing can follow.
func (m machine) tend(ev event, acts []action) (machine, []action) {
	if m.cfg.Health.Interval == 0 {
		return m, acts
	}
	want := m.state == up && !m.jobStopped && m.waits&waitFollow == 0 && m.says != notify.Stopping
	var todo []health.Action
	switch {
	case want == m.tended:
		return m, acts
	case !want:
		m.health, todo = m.health.Paused()
	case m.unprobed:
		m.unprobed = false
		if m.health.State() == health.None {
			m.health = health.New(m.cfg.Health)
		}
		m.health, todo = m.health.Started(ev.now)
		m.result.Health = m.health.State()
	default:
		m.health = m.health.Resumed(ev.now)
	}
	m.tended = want
	m, first := m.carryOut(ev, todo)
	return m, append(first, acts...)
}

// probed takes in the end of a probe.
func (m machine) probed(ev event) (machine, []action) {
	if m.state == done {
		return m, nil
	}
	var todo []health.Action
	m.health, todo = m.health.Finished(ev.now, ev.err)
	return m.carryOut(ev, todo)
}

// probe is the time to begin a probe, or to end one.
func (m machine) probe(ev event) (machine, []action) {
	var todo []health.Action
	m.health, todo = m.health.Wake(ev.now)
	return m.carryOut(ev, todo)
}

// carryOut makes actions of those of the tracker.
func (m machine) carryOut(ev event, todo []health.Action) (machine, []action) {
	var acts []action
	for _, a := range todo {
		switch a.Kind {
		case health.Begin:
			acts = append(acts, action{kind: actProbe})
		case health.End:
			acts = append(acts, action{kind: actEndProbe})
		case health.Tell:
			var more []action
			m, more = m.diagnosed(ev, a.Result)
			acts = append(acts, more...)
		}
	}
	return m, acts
}

// diagnosed acts on what a probe has brought.
func (m machine) diagnosed(ev event, res health.Result) (machine, []action) {
	m.result.Health = res.Is
	told := Event{Kind: Probed, PID: m.result.PID, Err: res.Err, After: res.Took, Count: res.Failures}
	acts := tell(told)
	if res.Is == health.Healthy {
		if res.Was == health.Unhealthy {
			acts = append(acts, tell(Event{Kind: Healthy, PID: m.result.PID})...)
		}
		m, more := m.arrived(waitHealth, ev.now)
		return m, append(acts, more...)
	}
	if res.Is != health.Unhealthy || !res.Changed() {
		return m, acts
	}
	told.Kind, told.After = Unhealthy, 0
	if m.cfg.HealthReport || m.state != up {
		return m, append(acts, tell(told)...)
	}
	m, more := m.quit(ev, syscall.SIGTERM, endUnhealthy, told)
	return m, append(acts, more...)
}
