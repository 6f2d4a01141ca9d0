package main

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
	"github.com/reaper-init/reaper/pkg/supervise"
	"github.com/reaper-init/reaper/pkg/supervise/health"
)

// report is what --report writes; docs/report.md tells what the fields mean.
type report struct {
	Command       []string         `json:"command"`
	PID           int              `json:"pid,omitempty"`
	Start         time.Time        `json:"start"`
	Duration      float64          `json:"duration"`
	Exit          int              `json:"exit"`
	Ended         string           `json:"ended"`
	Code          *int             `json:"code,omitempty"`
	Signal        string           `json:"signal,omitempty"`
	Error         string           `json:"error,omitempty"`
	Usage         usageReport      `json:"usage"`
	Restarts      int              `json:"restarts"`
	Health        string           `json:"health,omitempty"`
	Adopted       int              `json:"orphans_adopted"`
	Reaped        int              `json:"reaped"`
	ForcedKills   int              `json:"forced_kills"`
	Output        *outputReport    `json:"output,omitempty"`
	Leaks         int              `json:"leaks"`
	Complete      bool             `json:"complete"`
	LeftoverCount int              `json:"leftover_count"`
	Leftovers     []leftoverReport `json:"leftovers"`
}

type usageReport struct {
	User   float64 `json:"user"`
	System float64 `json:"system"`
	MaxRSS int64   `json:"max_rss"`
}

type leftoverReport struct {
	PID       int              `json:"pid"`
	PPID      int              `json:"ppid"`
	PGID      int              `json:"pgid,omitempty"`
	Session   int              `json:"session,omitempty"`
	Name      string           `json:"name,omitempty"`
	State     string           `json:"state,omitempty"`
	Age       float64          `json:"age"`
	Command   []string         `json:"command"`
	Parents   []ancestorReport `json:"parents,omitempty"`
	Directory string           `json:"directory,omitempty"`
	Listening []string         `json:"listening,omitempty"`
	Files     []fileReport     `json:"files,omitempty"`
	MoreFiles int              `json:"more_files,omitempty"`
	Leak      bool             `json:"leak"`
	Excused   bool             `json:"excused,omitempty"`
	Late      bool             `json:"late,omitempty"`
	Fate      string           `json:"fate"`
	After     float64          `json:"after"`
	Code      *int             `json:"code,omitempty"`
	Signal    string           `json:"signal,omitempty"`
	Error     string           `json:"error,omitempty"`
}

type ancestorReport struct {
	PID     int      `json:"pid"`
	Name    string   `json:"name"`
	Command []string `json:"command"`
}

type fileReport struct {
	FD     int    `json:"fd"`
	Path   string `json:"path"`
	Write  bool   `json:"write,omitempty"`
	Shared bool   `json:"shared,omitempty"`
}

// report makes the JSON object, on one line. code is what reaper ends with.
func (out *outcome) report(o *options, code int) []byte {
	res := &out.result
	r := report{
		Command: out.command, PID: res.PID, Start: out.begin.UTC(), Exit: code, Ended: out.how(),
		Usage: usageReport{
			User: res.Usage.User.Seconds(), System: res.Usage.System.Seconds(), MaxRSS: res.Usage.MaxRSS,
		},
		Restarts: res.Restarts, Adopted: res.Orphans, Reaped: res.Orphans + out.reaped, ForcedKills: out.kills,
		Output: out.output, Leaks: out.leakCount(), Complete: !res.Blind, LeftoverCount: len(res.Leftovers) + res.Forgotten,
		Leftovers: make([]leftoverReport, 0, len(res.Leftovers)),
	}
	if !out.started.IsZero() {
		r.Start = out.started.UTC()
		if !out.ended.IsZero() {
			r.Duration = out.ended.Sub(out.started).Seconds()
		}
	}
	if res.Health != health.None {
		r.Health = res.Health.String()
	}
	switch {
	case out.err != nil:
		r.Error = out.err.Error()
	case res.Err != nil:
		r.Error = res.Err.Error()
	case res.Aborted != 0:
		r.Signal = signalName(res.Aborted)
	case !res.Lost:
		r.Code, r.Signal = codeAndSignal(res.Status)
	}
	for i := range res.Leftovers {
		l := &res.Leftovers[i]
		if l.Orphan && !l.Reaped {
			r.Adopted++
		}
		r.Leftovers = append(r.Leftovers, reportLeftover(o, l))
	}
	text, err := json.Marshal(r)
	if err != nil { // every field can be marshalled
		text = []byte(`{}`)
	}
	return append(text, '\n')
}

// how is the word for the way in which it ended.
func (out *outcome) how() string {
	_, lostDaemon := errors.AsType[*supervise.FollowError](out.result.Err)
	switch {
	case lostDaemon:
		return "no daemon"
	case out.err != nil, out.result.Err != nil:
		return "not started"
	case out.result.Aborted != 0:
		return "aborted"
	case out.result.Lost:
		return "lost"
	case out.result.TimedOut:
		return "time limit"
	case out.result.Cause == supervise.CauseNotReady:
		return "not ready"
	case out.result.Cause == supervise.CauseWatchdog:
		return "watchdog"
	case out.result.Cause == supervise.CauseUnhealthy:
		return "unhealthy"
	case out.result.Status.Signaled():
		return "signal"
	default:
		return "exit"
	}
}

func codeAndSignal(status reap.Status) (code *int, signal string) {
	if status.Signaled() {
		return nil, signalName(status.Signal())
	}
	n := status.Code()
	return &n, ""
}

func reportLeftover(o *options, l *supervise.Leftover) leftoverReport {
	r := leftoverReport{
		PID: l.PID, PPID: l.PPID, PGID: l.PGID, Session: l.Session, Name: l.Name, Age: l.Age.Seconds(),
		Command: append([]string{}, l.Details.Args...), Directory: l.Details.Dir, Listening: l.Details.Listening,
		MoreFiles: l.Details.MoreFiles, Leak: isLeak(o, l), Excused: excused(o, l), Late: l.Late,
		Fate: fateName(l), After: l.After.Seconds(),
	}
	if l.State != 0 {
		r.State = string(l.State)
	}
	if l.Err != nil {
		r.Error = l.Err.Error()
	}
	if l.Reaped {
		r.Code, r.Signal = codeAndSignal(l.Status)
	}
	for _, a := range l.Ancestors {
		r.Parents = append(r.Parents, ancestorReport{a.PID, a.Name, append([]string{}, a.Args...)})
	}
	for _, f := range l.Details.Files {
		r.Files = append(r.Files, fileReport{f.FD, f.Path, f.Write, f.Shared})
	}
	return r
}
