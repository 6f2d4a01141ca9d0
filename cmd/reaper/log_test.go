package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
	"github.com/reaper-init/reaper/pkg/supervise"
)

// eventKinds are the names of all constants of type supervise.EventKind, from
// its source: so a new one cannot be forgotten here. They count from 1.
func eventKinds(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../pkg/supervise/event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		first, ok := group.Specs[0].(*ast.ValueSpec)
		if kind, named := first.Type.(*ast.Ident); !ok || !named || kind.Name != "EventKind" {
			continue
		}
		for _, spec := range group.Specs {
			for _, name := range spec.(*ast.ValueSpec).Names {
				names = append(names, name.Name)
			}
		}
	}
	if len(names) < int(supervise.CallFailed) {
		t.Fatalf("found only %q", names)
	}
	return names
}

// Every kind of event has a level, and a message of its own that keeps to the
// rules of log.go.
func TestEveryEventHasWords(t *testing.T) {
	levels := map[string]zapcore.Level{
		"CommandLost": zapcore.ErrorLevel, "LeftoversSurvived": zapcore.ErrorLevel,
		"LimitReached": zapcore.WarnLevel, "LeftoversTimeout": zapcore.WarnLevel,
		"LeftoverEnded": zapcore.WarnLevel, "LeftoversAsked": zapcore.InfoLevel, "LeftoversAwaited": zapcore.InfoLevel,
		"KillTimeout": zapcore.WarnLevel, "KillRequested": zapcore.WarnLevel, "CallFailed": zapcore.WarnLevel,
		"CommandStarted": zapcore.InfoLevel, "CommandExited": zapcore.InfoLevel,
		"StopDelayed": zapcore.InfoLevel, "StopAborted": zapcore.InfoLevel,
		"CommandStopped": zapcore.DebugLevel, "CommandContinued": zapcore.DebugLevel, "Suspended": zapcore.DebugLevel,
		"SignalSent": zapcore.DebugLevel, "SignalDropped": zapcore.DebugLevel, "SignalMissed": zapcore.DebugLevel,
		"OrphanReaped": zapcore.DebugLevel,
		"Restarting":   zapcore.WarnLevel, "StartFailed": zapcore.ErrorLevel, "GaveUp": zapcore.ErrorLevel,
		"RestartCancelled": zapcore.InfoLevel,
		"DaemonFollowed":   zapcore.InfoLevel, "DaemonAwaited": zapcore.InfoLevel, "DaemonEnded": zapcore.WarnLevel,
		"DaemonNotFound": zapcore.ErrorLevel, "NotReady": zapcore.ErrorLevel,
		"Ready": zapcore.InfoLevel, "Reloading": zapcore.InfoLevel, "Reloaded": zapcore.InfoLevel, "Ending": zapcore.InfoLevel,
		"StatusTold": zapcore.InfoLevel, "MessageRefused": zapcore.WarnLevel, "WatchdogMissed": zapcore.ErrorLevel,
		"Probed": zapcore.DebugLevel, "Unhealthy": zapcore.ErrorLevel, "Healthy": zapcore.InfoLevel,
	}
	kinds := eventKinds(t)
	seen := make(map[string]string)
	for i, name := range kinds {
		kind := supervise.EventKind(i + 1)
		if level, ok := levels[name]; !ok || levelOf(kind) != level {
			t.Errorf("%s has level %v, want %v (in the table: %v)", name, levelOf(kind), level, ok)
		}
		msg := messageOf(kind)
		if !regexp.MustCompile(`^[a-z][a-z ,]*[a-z]$`).MatchString(msg) || msg == messageOf(0) {
			t.Errorf("%s has the message %q", name, msg)
		}
		if other, ok := seen[msg]; ok {
			t.Errorf("%s and %s both have the message %q", name, other, msg)
		}
		seen[msg] = name
	}
	if unknown := supervise.EventKind(len(kinds) + 1); levelOf(unknown) != zapcore.ErrorLevel || messageOf(unknown) != "unknown event" {
		t.Errorf("there is one more kind than the source has: %v %q", levelOf(unknown), messageOf(unknown))
	}
}

// logEvents are one event of each kind, with the fields that the supervisor sets.
var logEvents = []supervise.Event{
	{Kind: supervise.CommandStarted, PID: 7},
	{Kind: supervise.CommandExited, PID: 7, Status: reap.ExitStatus(0)},
	{Kind: supervise.CommandExited, PID: 7, Status: reap.SignalStatus(unix.SIGTERM)},
	{Kind: supervise.CommandLost, PID: 7},
	{Kind: supervise.CommandStopped, PID: 7, Signal: unix.SIGTSTP},
	{Kind: supervise.CommandContinued, PID: 7},
	{Kind: supervise.SignalSent, PID: 7, Signal: unix.SIGTERM, To: unix.SIGQUIT},
	{Kind: supervise.SignalSent, PID: 7, Signal: unix.SIGHUP, To: unix.SIGHUP},
	{Kind: supervise.SignalSent, PID: 7, To: unix.SIGKILL},
	{Kind: supervise.SignalDropped, PID: 7, Signal: 36},
	{Kind: supervise.SignalMissed, PID: 7, Signal: unix.SIGINT, To: unix.SIGINT},
	{Kind: supervise.StopDelayed, PID: 7, Signal: unix.SIGTERM, After: 1500 * time.Millisecond},
	{Kind: supervise.StopAborted, Signal: unix.SIGINT},
	{Kind: supervise.KillTimeout, PID: 7, After: 10 * time.Second},
	{Kind: supervise.KillRequested, PID: 7, Signal: unix.SIGINT},
	{Kind: supervise.Suspended, PID: 7, Signal: unix.SIGTSTP},
	{Kind: supervise.OrphanReaped, PID: 8, Name: "a b", Status: reap.ExitStatus(255)},
	{Kind: supervise.OrphanReaped, PID: 8, Status: reap.SignalStatus(64)},
	{Kind: supervise.OrphanReaped, PID: 8, Name: "\x1b[31m\n\"\xff", Status: reap.ExitStatus(1)},
	{Kind: supervise.LimitReached, PID: 7, After: time.Minute},
	{Kind: supervise.LeftoversAsked, After: 5 * time.Second, Count: 3},
	{Kind: supervise.LeftoversAwaited, Count: 2},
	{Kind: supervise.LeftoversTimeout, After: 5 * time.Second, Count: 1},
	{Kind: supervise.LeftoverEnded, PID: 9, Name: "a b", Leftover: &supervise.Leftover{
		Age: 1500 * time.Millisecond, Details: reap.Details{Args: []string{"/a b", "-c"}},
		Fate: supervise.FateStopped, After: 200 * time.Millisecond,
	}},
	{Kind: supervise.LeftoverEnded, PID: 9, Background: true, Leftover: &supervise.Leftover{
		Details: reap.Details{Args: []string{"d"}}, Fate: supervise.FateStopped,
	}},
	{Kind: supervise.LeftoversSurvived, Count: 1},
	{Kind: supervise.DaemonFollowed, PID: 9},
	{Kind: supervise.DaemonEnded, PID: 9, Status: reap.ExitStatus(1)},
	{Kind: supervise.DaemonAwaited, PID: 7, Err: &supervise.FollowError{Err: errors.New("read pid file x: no such file")}},
	{Kind: supervise.DaemonNotFound, PID: 7, Err: &supervise.FollowError{Err: errors.New("read pid file x: no such file")}},
	{Kind: supervise.DaemonNotFound, PID: 7, Err: &supervise.FollowError{Candidates: []reap.Proc{{PID: 9, Name: "a"}, {PID: 10}}}},
	{Kind: supervise.DaemonNotFound, PID: 7, Err: &supervise.FollowError{}},
	{Kind: supervise.Ready, PID: 7},
	{Kind: supervise.Reloading, PID: 7},
	{Kind: supervise.Reloaded, PID: 7},
	{Kind: supervise.Ending, PID: 7},
	{Kind: supervise.StatusTold, PID: 7, Text: "serving\nall"},
	{Kind: supervise.MessageRefused, PID: 7, Err: errors.New("from process 9 of user 65534")},
	{Kind: supervise.WatchdogMissed, PID: 7, After: 2 * time.Second},
	{Kind: supervise.Probed, PID: 7, After: time.Second},
	{Kind: supervise.Unhealthy, PID: 7, Err: errors.New("probe ended with exit 1"), Count: 3},
	{Kind: supervise.Healthy, PID: 7},
	{Kind: supervise.NotReady, PID: 7, After: 3 * time.Second},
	{Kind: supervise.Restarting, PID: 7, Status: reap.SignalStatus(unix.SIGSEGV), After: 200 * time.Millisecond, Count: 2},
	{Kind: supervise.Restarting, PID: 7, After: 100 * time.Millisecond},
	{Kind: supervise.Restarting, PID: 7, Err: errors.New("exec x: no such file"), After: time.Second, Count: 1},
	{Kind: supervise.StartFailed, PID: 7, Err: errors.New("exec x: no such file")},
	{Kind: supervise.GaveUp, PID: 7, Count: 3},
	{Kind: supervise.RestartCancelled, PID: 7, Signal: unix.SIGTERM},
	{Kind: supervise.CallFailed, PID: 7, Err: errors.New("send signal 15 to 7: operation not permitted")},
}

// The lines that those become, without the time.
const (
	goldenJSON = `
{"level":"info","logger":"reaper","msg":"command started","pid":7}
{"level":"info","logger":"reaper","msg":"command ended","pid":7,"code":0}
{"level":"info","logger":"reaper","msg":"command ended","pid":7,"signal":"TERM"}
{"level":"error","logger":"reaper","msg":"command was waited for by somebody else, its status is lost","pid":7}
{"level":"debug","logger":"reaper","msg":"command stopped by job control","pid":7,"signal":"TSTP"}
{"level":"debug","logger":"reaper","msg":"command continued","pid":7}
{"level":"debug","logger":"reaper","msg":"signal forwarded","pid":7,"signal":"TERM","sent":"QUIT"}
{"level":"debug","logger":"reaper","msg":"signal forwarded","pid":7,"signal":"HUP"}
{"level":"debug","logger":"reaper","msg":"signal forwarded","pid":7,"sent":"KILL"}
{"level":"debug","logger":"reaper","msg":"signal not forwarded","pid":7,"signal":"RTMIN+2"}
{"level":"debug","logger":"reaper","msg":"signal found no process","pid":7,"signal":"INT"}
{"level":"info","logger":"reaper","msg":"asked to stop, waiting before passing it on","pid":7,"signal":"TERM","after":1.5}
{"level":"info","logger":"reaper","msg":"asked to stop before the command was started","signal":"INT"}
{"level":"warn","logger":"reaper","msg":"command did not stop in time, killing it","pid":7,"after":10}
{"level":"warn","logger":"reaper","msg":"asked to stop again, killing what is left","pid":7,"signal":"INT"}
{"level":"debug","logger":"reaper","msg":"stopping with the command","pid":7,"signal":"TSTP"}
{"level":"debug","logger":"reaper","msg":"orphan reaped","pid":8,"name":"a b","code":255}
{"level":"debug","logger":"reaper","msg":"orphan reaped","pid":8,"signal":"RTMIN+30"}
{"level":"debug","logger":"reaper","msg":"orphan reaped","pid":8,"name":"\u001b[31m\n\"\ufffd","code":1}
{"level":"warn","logger":"reaper","msg":"time limit reached, stopping the command","pid":7,"after":60}
{"level":"info","logger":"reaper","msg":"command ended, stopping what it has left","after":5,"count":3}
{"level":"info","logger":"reaper","msg":"command ended, waiting for what it has left","count":2}
{"level":"warn","logger":"reaper","msg":"leftovers did not stop in time, killing them","after":5,"count":1}
{"level":"warn","logger":"reaper","msg":"command left a process behind","pid":9,"name":"a b","age":1.5,"command":"\"/a b\" -c","fate":"stopped","after":0.2}
{"level":"warn","logger":"reaper","msg":"command left a process behind","pid":9,"age":0,"command":"d","fate":"stopped","after":0,"hint":"if the command goes on in the background, use --type forking"}
{"level":"error","logger":"reaper","msg":"leftovers could not be killed","count":1}
{"level":"info","logger":"reaper","msg":"following another process as the command","pid":9}
{"level":"warn","logger":"reaper","msg":"daemon ended before it could be followed","pid":9,"code":1}
{"level":"info","logger":"reaper","msg":"waiting for the daemon to write its pid file","pid":7,"error":"follow daemon: read pid file x: no such file"}
{"level":"error","logger":"reaper","msg":"daemon could not be followed","pid":7,"error":"follow daemon: read pid file x: no such file"}
{"level":"error","logger":"reaper","msg":"daemon could not be followed","pid":7,"error":"follow daemon: one of 2 processes, and no pid file tells which: 9 a, 10","hint":"if the daemon writes a pid file, name it by --pidfile"}
{"level":"error","logger":"reaper","msg":"daemon could not be followed","pid":7,"error":"follow daemon: the command left no process","hint":"if the command stays in the foreground, leave out --type forking"}
{"level":"info","logger":"reaper","msg":"command is ready","pid":7}
{"level":"info","logger":"reaper","msg":"command reads its configuration again","pid":7}
{"level":"info","logger":"reaper","msg":"command has read its configuration again","pid":7}
{"level":"info","logger":"reaper","msg":"command is about to end","pid":7}
{"level":"info","logger":"reaper","msg":"command tells its status","pid":7,"status":"serving\nall"}
{"level":"warn","logger":"reaper","msg":"message of the command not accepted","pid":7,"error":"from process 9 of user 65534"}
{"level":"error","logger":"reaper","msg":"command gave no sign of life, stopping it","pid":7,"after":2}
{"level":"debug","logger":"reaper","msg":"health check done","pid":7,"after":1}
{"level":"error","logger":"reaper","msg":"command is unhealthy","pid":7,"count":3,"error":"probe ended with exit 1"}
{"level":"info","logger":"reaper","msg":"command is healthy again","pid":7}
{"level":"error","logger":"reaper","msg":"command was not ready in time, stopping it","pid":7,"after":3}
{"level":"warn","logger":"reaper","msg":"starting the command again","pid":7,"signal":"SEGV","after":0.2,"count":2}
{"level":"info","logger":"reaper","msg":"starting the command again","pid":7,"code":0,"after":0.1}
{"level":"warn","logger":"reaper","msg":"starting the command again","pid":7,"after":1,"count":1,"error":"exec x: no such file"}
{"level":"error","logger":"reaper","msg":"command could not be started again","pid":7,"error":"exec x: no such file"}
{"level":"error","logger":"reaper","msg":"command failed too often, not starting it again","pid":7,"count":3}
{"level":"info","logger":"reaper","msg":"asked to stop, not starting the command again","pid":7,"signal":"TERM"}
{"level":"warn","logger":"reaper","msg":"system call failed, going on","pid":7,"error":"send signal 15 to 7: operation not permitted"}
`
	goldenConsole = `
info reaper command started {"pid": 7}
info reaper command ended {"pid": 7, "code": 0}
info reaper command ended {"pid": 7, "signal": "TERM"}
error reaper command was waited for by somebody else, its status is lost {"pid": 7}
debug reaper command stopped by job control {"pid": 7, "signal": "TSTP"}
debug reaper command continued {"pid": 7}
debug reaper signal forwarded {"pid": 7, "signal": "TERM", "sent": "QUIT"}
debug reaper signal forwarded {"pid": 7, "signal": "HUP"}
debug reaper signal forwarded {"pid": 7, "sent": "KILL"}
debug reaper signal not forwarded {"pid": 7, "signal": "RTMIN+2"}
debug reaper signal found no process {"pid": 7, "signal": "INT"}
info reaper asked to stop, waiting before passing it on {"pid": 7, "signal": "TERM", "after": 1.5}
info reaper asked to stop before the command was started {"signal": "INT"}
warn reaper command did not stop in time, killing it {"pid": 7, "after": 10}
warn reaper asked to stop again, killing what is left {"pid": 7, "signal": "INT"}
debug reaper stopping with the command {"pid": 7, "signal": "TSTP"}
debug reaper orphan reaped {"pid": 8, "name": "a b", "code": 255}
debug reaper orphan reaped {"pid": 8, "signal": "RTMIN+30"}
debug reaper orphan reaped {"pid": 8, "name": "\u001b[31m\n\"\ufffd", "code": 1}
warn reaper time limit reached, stopping the command {"pid": 7, "after": 60}
info reaper command ended, stopping what it has left {"after": 5, "count": 3}
info reaper command ended, waiting for what it has left {"count": 2}
warn reaper leftovers did not stop in time, killing them {"after": 5, "count": 1}
warn reaper command left a process behind {"pid": 9, "name": "a b", "age": 1.5, "command": "\"/a b\" -c", "fate": "stopped", "after": 0.2}
warn reaper command left a process behind {"pid": 9, "age": 0, "command": "d", "fate": "stopped", "after": 0, "hint": "if the command goes on in the background, use --type forking"}
error reaper leftovers could not be killed {"count": 1}
info reaper following another process as the command {"pid": 9}
warn reaper daemon ended before it could be followed {"pid": 9, "code": 1}
info reaper waiting for the daemon to write its pid file {"pid": 7, "error": "follow daemon: read pid file x: no such file"}
error reaper daemon could not be followed {"pid": 7, "error": "follow daemon: read pid file x: no such file"}
error reaper daemon could not be followed {"pid": 7, "error": "follow daemon: one of 2 processes, and no pid file tells which: 9 a, 10", "hint": "if the daemon writes a pid file, name it by --pidfile"}
error reaper daemon could not be followed {"pid": 7, "error": "follow daemon: the command left no process", "hint": "if the command stays in the foreground, leave out --type forking"}
info reaper command is ready {"pid": 7}
info reaper command reads its configuration again {"pid": 7}
info reaper command has read its configuration again {"pid": 7}
info reaper command is about to end {"pid": 7}
info reaper command tells its status {"pid": 7, "status": "serving\nall"}
warn reaper message of the command not accepted {"pid": 7, "error": "from process 9 of user 65534"}
error reaper command gave no sign of life, stopping it {"pid": 7, "after": 2}
debug reaper health check done {"pid": 7, "after": 1}
error reaper command is unhealthy {"pid": 7, "count": 3, "error": "probe ended with exit 1"}
info reaper command is healthy again {"pid": 7}
error reaper command was not ready in time, stopping it {"pid": 7, "after": 3}
warn reaper starting the command again {"pid": 7, "signal": "SEGV", "after": 0.2, "count": 2}
info reaper starting the command again {"pid": 7, "code": 0, "after": 0.1}
warn reaper starting the command again {"pid": 7, "after": 1, "count": 1, "error": "exec x: no such file"}
error reaper command could not be started again {"pid": 7, "error": "exec x: no such file"}
error reaper command failed too often, not starting it again {"pid": 7, "count": 3}
info reaper asked to stop, not starting the command again {"pid": 7, "signal": "TERM"}
warn reaper system call failed, going on {"pid": 7, "error": "send signal 15 to 7: operation not permitted"}
`
)

func TestLogLines(t *testing.T) {
	var kinds []supervise.EventKind
	for _, ev := range logEvents {
		kinds = append(kinds, ev.Kind)
	}
	if n := len(slices.Compact(kinds)); n != len(eventKinds(t)) {
		t.Errorf("the events are of %d kinds, there are %d", n, len(eventKinds(t)))
	}
	for _, format := range []struct{ name, golden, time string }{
		{"json", goldenJSON, `"time":"[0-9-]+T[0-9:.]+(Z|[+-][0-9:]+)",`},
		{"console", goldenConsole, `(?m)^[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3} `},
		{"auto", goldenJSON, `"time":"[^"]*",`}, // what is no terminal gets JSON
	} {
		r, w := rawPipe(t)
		log := newLog(&options{verbose: 2, logFormat: format.name, leaks: leaksReport}, w.fd)
		for _, ev := range logEvents {
			log.event(ev)
		}
		log.close()
		<-log.out.ended // close waits a moment only
		w.close()
		got := string(r.readAll(t))
		stamp := regexp.MustCompile(format.time)
		if n := len(stamp.FindAllString(got, -1)); n != len(logEvents) {
			t.Errorf("%s: %d times in %d lines", format.name, n, len(logEvents))
		}
		if got := stamp.ReplaceAllString(got, ""); got != format.golden[1:] {
			t.Errorf("%s: got\n%swant%s", format.name, got, format.golden)
		}
	}
}

// On a terminal "auto" is for people.
func TestLogFormatAuto(t *testing.T) {
	terminal, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no terminal on this machine: %v", err)
	}
	defer terminal.Close()
	defer tty.Close()
	_, notTTY := rawPipe(t)
	closed := closedDescriptor(t)
	for _, test := range []struct {
		format string
		fd     int
		json   bool
	}{
		{"auto", int(tty.Fd()), false},
		{"auto", notTTY.fd, true},
		{"auto", closed, true},
		{"json", int(tty.Fd()), true},
		{"json", notTTY.fd, true},
		{"console", int(tty.Fd()), false},
		{"console", notTTY.fd, false},
	} {
		line, err := encoderOf(test.format, test.fd).EncodeEntry(zapcore.Entry{Message: "x"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if json := line.Bytes()[0] == '{'; json != test.json {
			t.Errorf("%s, terminal %v: %s", test.format, test.fd == int(tty.Fd()), line)
		}
	}
}

// How much is said: errors with -q, warnings by default, then -v and -vv.
func TestLogLevels(t *testing.T) {
	for _, test := range []struct {
		args string
		want []zapcore.Level
	}{
		{"-q", []zapcore.Level{zapcore.ErrorLevel}},
		{"", []zapcore.Level{zapcore.WarnLevel, zapcore.ErrorLevel}},
		{"-v", []zapcore.Level{zapcore.InfoLevel, zapcore.WarnLevel, zapcore.ErrorLevel}},
		{"-vv", []zapcore.Level{zapcore.DebugLevel, zapcore.InfoLevel, zapcore.WarnLevel, zapcore.ErrorLevel}},
		{"-vvv", []zapcore.Level{zapcore.DebugLevel, zapcore.InfoLevel, zapcore.WarnLevel, zapcore.ErrorLevel}},
	} {
		o, _, err := parse(append(strings.Fields(test.args), "--log-format=console", "cmd"), nil)
		if err != nil {
			t.Fatal(err)
		}
		r, w := rawPipe(t)
		log := newLog(o, w.fd)
		for _, ev := range logEvents {
			log.event(ev)
		}
		log.close()
		<-log.out.ended // close waits a moment only
		w.close()
		got := make(map[string]bool)
		for line := range strings.Lines(string(r.readAll(t))) {
			got[strings.Fields(line)[1]] = true
		}
		want := make(map[string]bool)
		for _, level := range test.want {
			want[level.String()] = true
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: %v, want %v", test.args, got, want)
		}
		if log.enabled(zapcore.DebugLevel) != want["debug"] {
			t.Errorf("%q: names of orphans are read: %v", test.args, log.enabled(zapcore.DebugLevel))
		}
	}
}

// Without a line to write there is no thread, no queue and nothing to wait for.
func TestLogOfNothing(t *testing.T) {
	_, w := rawPipe(t)
	log := newLog(&options{}, w.fd)
	log.event(supervise.Event{Kind: supervise.OrphanReaped, PID: 8})
	if log.out.lines != nil {
		t.Error("a line that is not to be seen started the writer")
	}
	log.close()
}

// What was lost while nobody read is told as soon as somebody does (pitfall 50).
func TestLogTellsDropped(t *testing.T) {
	r, w := rawPipe(t)
	w.fill(t)
	log := newLog(&options{verbose: 2, logFormat: "json"}, w.fd)
	const events = 3 * queuedLines
	for i := range events {
		log.event(supervise.Event{Kind: supervise.CommandContinued, PID: i + 1})
	}
	dropped := log.out.dropped
	if dropped == 0 {
		t.Fatal("nothing was dropped")
	}

	// Somebody reads again. As soon as there is room the next event has a line
	// before its own that tells how many are missing.
	output := make(chan []byte)
	go func() { output <- r.readAll(t) }()
	eventually(t, "there is room", func() bool { return len(log.out.lines) == 0 })
	log.event(supervise.Event{Kind: supervise.CommandLost, PID: 1})
	log.event(supervise.Event{Kind: supervise.CommandLost, PID: 2})
	log.close()
	<-log.out.ended // close waits a moment only
	w.close()

	// Each event is there, or counted as missing.
	var seen, missing int
	var last []string
	for line := range strings.Lines(strings.TrimLeft(string(<-output), "x")) {
		var count int
		_, told, report := strings.Cut(line, `"level":"warn"`)
		switch {
		case report:
			if _, text, ok := strings.Cut(told, `"msg":"log lines dropped, nobody was reading","count":`); !ok {
				t.Errorf("got %s", line)
			} else if _, err := fmt.Sscanf(text, "%d}\n", &count); err != nil {
				t.Errorf("got %s", line)
			}
			missing += count
		case strings.Contains(line, `"msg":"command continued"`):
			seen++
		}
		last = append(last, line)
	}
	if seen+missing != events {
		t.Errorf("%d events are there and %d told as missing, of %d", seen, missing, events)
	}
	last = last[len(last)-3:]
	if want := fmt.Sprintf(`"count":%d}`, dropped); !strings.Contains(last[0], want) {
		t.Errorf("got %s, want %s", last[0], want)
	}
	for i, line := range last[1:] {
		if !strings.HasSuffix(line, fmt.Sprintf(`"pid":%d}`+"\n", i+1)) || !strings.Contains(line, "its status is lost") {
			t.Errorf("line %d after that is %s", i+1, line)
		}
	}
	if log.out.dropped != 0 {
		t.Errorf("%d more were dropped", log.out.dropped)
	}
}

// What was lost is told at the latest at the end.
func TestLogTellsDroppedAtTheEnd(t *testing.T) {
	r, w := rawPipe(t)
	log := newLog(&options{logFormat: "json"}, w.fd)
	log.event(supervise.Event{Kind: supervise.CommandLost, PID: 1})
	log.out.dropped = 5
	log.close()
	<-log.out.ended
	w.close()
	if got := r.readAll(t); bytes.Count(got, []byte("\n")) != 2 || !bytes.HasSuffix(got, []byte("\"count\":5}\n")) {
		t.Errorf("got %s", got)
	}
}
