package main

import (
	"errors"
	"time"

	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/supervise"
)

// The wording of log lines. The message is a constant phrase in lower case,
// without a period; all that varies is in fields. An error is something that
// the user must look at, a warning something that did not go as planned, info
// what happens once in a life, debug what happens again and again.
//
// The fields, all of them:
//
//	pid      the process that the line is about
//	name     its command name
//	code     the exit code, 0 to 255
//	signal   the signal that came, stopped or killed it; a name without SIG
//	sent     the signal that was sent instead
//	after    a duration, in seconds
//	age      how long a process has lived, in seconds
//	command  a command line, with quotes where a word needs them
//	fate     what became of a leftover
//	count    how many
//	status   what the command tells of itself
//	hint     what might help
//	to       where output goes: file, prefixed, stdout or stderr
//	bytes    how many
//	stream   stdout or stderr
//	text     a line that the command has printed
//	error    what a system call said, or what else is wrong
const (
	fieldPID    = "pid"
	fieldName   = "name"
	fieldCode   = "code"
	fieldSignal = "signal"
	fieldSent   = "sent"
	fieldAfter  = "after"
	fieldAge    = "age"
	fieldCmd    = "command"
	fieldFate   = "fate"
	fieldCount  = "count"
	fieldStatus = "status"
	fieldHint   = "hint"
	fieldTo     = "to"
	fieldBytes  = "bytes"
	fieldStream = "stream"
	fieldLine   = "text"
	fieldError  = "error"
)

// logger turns events into lines. Only zapcore is linked in: package zap itself
// brings net/http, and with it twice the size and three times the start time.
type logger struct {
	core   zapcore.Core
	out    *lineWriter
	stdout *lineWriter                    // nil unless some lines go there
	as     *personaLog                    // nil if they are those of reaper itself
	leaked func(*supervise.Leftover) bool // whether it has a line of its own
}

// newLog writes to the descriptor fd, as much as the options want.
func newLog(o *options, fd int) *logger {
	level := zapcore.WarnLevel
	switch {
	case o.quiet:
		level = zapcore.ErrorLevel
	case o.verbose == 1:
		level = zapcore.InfoLevel
	case o.verbose > 1:
		level = zapcore.DebugLevel
	}
	l := &logger{out: newLineWriter(fd)}
	l.leaked = func(left *supervise.Leftover) bool { return o.leaks == leaksReport && isLeak(o, left) }
	if o.as != nil {
		l.as, l.stdout = &o.as.log, newLineWriter(1)
		l.core = newPersonaCore(l.as, l.out, l.stdout)
		return l
	}
	l.core = zapcore.NewCore(encoderOf(o.logFormat, fd), l.out, level)
	return l
}

func encoderOf(format string, fd int) zapcore.Encoder {
	conf := zapcore.EncoderConfig{
		TimeKey: "time", LevelKey: "level", NameKey: "logger", MessageKey: "msg",
		EncodeTime:       zapcore.RFC3339NanoTimeEncoder,
		EncodeLevel:      zapcore.LowercaseLevelEncoder,
		EncodeDuration:   zapcore.SecondsDurationEncoder,
		EncodeName:       zapcore.FullNameEncoder,
		ConsoleSeparator: " ",
	}
	if format == "json" || format == "auto" && !isTerminal(fd) {
		return zapcore.NewJSONEncoder(conf)
	}
	conf.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
	return zapcore.NewConsoleEncoder(conf)
}

func isTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}

func (l *logger) enabled(level zapcore.Level) bool { return l.core.Enabled(level) }

// levelOf is how much an event matters.
func levelOf(kind supervise.EventKind) zapcore.Level {
	switch kind {
	case supervise.CommandLost, supervise.LeftoversSurvived, supervise.StartFailed, supervise.GaveUp,
		supervise.DaemonNotFound, supervise.NotReady, supervise.WatchdogMissed,
		supervise.Unhealthy:
		return zapcore.ErrorLevel
	case supervise.KillTimeout, supervise.KillRequested, supervise.LimitReached, supervise.LeftoversTimeout,
		supervise.LeftoverEnded, supervise.DaemonEnded, supervise.MessageRefused, supervise.Restarting, supervise.CallFailed:
		return zapcore.WarnLevel
	case supervise.CommandStarted, supervise.CommandExited, supervise.StopDelayed, supervise.StopAborted,
		supervise.LeftoversAsked, supervise.LeftoversAwaited, supervise.RestartCancelled,
		supervise.DaemonFollowed, supervise.DaemonAwaited, supervise.Ready, supervise.Reloading,
		supervise.Reloaded, supervise.Ending, supervise.StatusTold, supervise.Healthy:
		return zapcore.InfoLevel
	case supervise.CommandStopped, supervise.CommandContinued, supervise.Suspended,
		supervise.SignalSent, supervise.SignalDropped, supervise.SignalMissed, supervise.OrphanReaped,
		supervise.Probed:
		return zapcore.DebugLevel
	}
	return zapcore.ErrorLevel
}

func messageOf(kind supervise.EventKind) string {
	switch kind {
	case supervise.CommandStarted:
		return "command started"
	case supervise.CommandExited:
		return "command ended"
	case supervise.CommandLost:
		return "command was waited for by somebody else, its status is lost"
	case supervise.CommandStopped:
		return "command stopped by job control"
	case supervise.CommandContinued:
		return "command continued"
	case supervise.SignalSent:
		return "signal forwarded"
	case supervise.SignalDropped:
		return "signal not forwarded"
	case supervise.SignalMissed:
		return "signal found no process"
	case supervise.StopDelayed:
		return "asked to stop, waiting before passing it on"
	case supervise.StopAborted:
		return "asked to stop before the command was started"
	case supervise.KillTimeout:
		return "command did not stop in time, killing it"
	case supervise.KillRequested:
		return "asked to stop again, killing what is left"
	case supervise.Suspended:
		return "stopping with the command"
	case supervise.OrphanReaped:
		return "orphan reaped"
	case supervise.LimitReached:
		return "time limit reached, stopping the command"
	case supervise.LeftoversAsked:
		return "command ended, stopping what it has left"
	case supervise.LeftoversAwaited:
		return "command ended, waiting for what it has left"
	case supervise.LeftoversTimeout:
		return "leftovers did not stop in time, killing them"
	case supervise.LeftoverEnded:
		return "command left a process behind"
	case supervise.LeftoversSurvived:
		return "leftovers could not be killed"
	case supervise.DaemonFollowed:
		return "following another process as the command"
	case supervise.DaemonEnded:
		return "daemon ended before it could be followed"
	case supervise.DaemonAwaited:
		return "waiting for the daemon to write its pid file"
	case supervise.DaemonNotFound:
		return "daemon could not be followed"
	case supervise.Ready:
		return "command is ready"
	case supervise.Reloading:
		return "command reads its configuration again"
	case supervise.Reloaded:
		return "command has read its configuration again"
	case supervise.Ending:
		return "command is about to end"
	case supervise.StatusTold:
		return "command tells its status"
	case supervise.MessageRefused:
		return "message of the command not accepted"
	case supervise.WatchdogMissed:
		return "command gave no sign of life, stopping it"
	case supervise.Probed:
		return "health check done"
	case supervise.Unhealthy:
		return "command is unhealthy"
	case supervise.Healthy:
		return "command is healthy again"
	case supervise.NotReady:
		return "command was not ready in time, stopping it"
	case supervise.Restarting:
		return "starting the command again"
	case supervise.StartFailed:
		return "command could not be started again"
	case supervise.GaveUp:
		return "command failed too often, not starting it again"
	case supervise.RestartCancelled:
		return "asked to stop, not starting the command again"
	case supervise.CallFailed:
		return "system call failed, going on"
	}
	return "unknown event"
}

// event writes the line of an event, if it is to be seen. It never blocks.
func (l *logger) event(ev supervise.Event) {
	level := levelOf(ev.Kind)
	message := messageOf(ev.Kind)
	switch {
	case ev.Leftover != nil && !l.leaked(ev.Leftover):
		level = zapcore.DebugLevel
	case ev.Kind == supervise.Restarting && ev.Count == 0: // it has not failed
		level = zapcore.InfoLevel
	}
	if l.as != nil {
		level, message = l.asOther(ev, level, message)
	}
	if !l.enabled(level) {
		return
	}
	l.reportDropped()
	l.write(level, message, fieldsOf(ev))
}

// asOther is what a persona makes of an event.
func (l *logger) asOther(ev supervise.Event, level zapcore.Level, message string) (zapcore.Level, string) {
	exit := ev.Kind == supervise.OrphanReaped || ev.Kind == supervise.CommandExited
	if exit && l.as.received != "" && l.enabled(zapcore.DebugLevel) {
		l.write(zapcore.DebugLevel, l.as.received, nil)
	}
	if ev.Kind == supervise.OrphanReaped {
		level = l.as.orphans
	}
	if other, ok := l.as.messages[ev.Kind]; ok {
		message = other
	}
	return level, message
}

func fieldsOf(ev supervise.Event) []zapcore.Field {
	fields := make([]zapcore.Field, 0, 8)
	if ev.PID != 0 {
		fields = append(fields, number(fieldPID, ev.PID))
	}
	if ev.Name != "" {
		fields = append(fields, text(fieldName, ev.Name))
	}
	restarting := ev.Kind == supervise.Restarting && ev.Err == nil && (ev.Status != 0 || ev.Count == 0)
	if ev.Kind == supervise.CommandExited || ev.Kind == supervise.OrphanReaped || ev.Kind == supervise.DaemonEnded || restarting {
		if ev.Status.Exited() {
			fields = append(fields, number(fieldCode, ev.Status.Code()))
		} else {
			fields = append(fields, text(fieldSignal, signalName(ev.Status.Signal())))
		}
	}
	if ev.Signal != 0 {
		fields = append(fields, text(fieldSignal, signalName(ev.Signal)))
	}
	if ev.To != 0 && ev.To != ev.Signal {
		fields = append(fields, text(fieldSent, signalName(ev.To)))
	}
	if ev.After != 0 {
		fields = append(fields, duration(fieldAfter, ev.After))
	}
	if ev.Count != 0 {
		fields = append(fields, number(fieldCount, ev.Count))
	}
	if ev.Kind == supervise.StatusTold {
		fields = append(fields, text(fieldStatus, ev.Text))
	}
	if ev.Err != nil {
		fields = append(fields, text(fieldError, ev.Err.Error()))
	}
	if left := ev.Leftover; left != nil {
		fields = append(fields, duration(fieldAge, left.Age), text(fieldCmd, shellLine(left.Details.Args)),
			text(fieldFate, fateName(left)), duration(fieldAfter, left.After))
	}
	if hint := hintOf(ev); hint != "" {
		fields = append(fields, text(fieldHint, hint))
	}
	return fields
}

// hintOf is what might help.
func hintOf(ev supervise.Event) string {
	follow, ok := errors.AsType[*supervise.FollowError](ev.Err)
	switch {
	case ev.Kind == supervise.LeftoverEnded && ev.Background:
		return "if the command goes on in the background, use --type forking"
	case ev.Kind == supervise.DaemonNotFound && ok && len(follow.Candidates) > 0:
		return "if the daemon writes a pid file, name it by --pidfile"
	case ev.Kind == supervise.DaemonNotFound && ok && follow.Err == nil:
		return "if the command stays in the foreground, leave out --type forking"
	}
	return ""
}

func duration(key string, d time.Duration) zapcore.Field {
	return zapcore.Field{Key: key, Type: zapcore.DurationType, Integer: int64(d)}
}

func number(key string, n int) zapcore.Field {
	return zapcore.Field{Key: key, Type: zapcore.Int64Type, Integer: int64(n)}
}

func text(key, s string) zapcore.Field {
	return zapcore.Field{Key: key, Type: zapcore.StringType, String: s}
}

func (l *logger) write(level zapcore.Level, message string, fields []zapcore.Field) {
	entry := zapcore.Entry{Level: level, Time: time.Now(), LoggerName: "reaper", Message: message}
	_ = l.core.Write(entry, fields) // what did not fit is counted by lineWriter
}

// reportDropped tells how many lines were lost, as soon as there is room again.
func (l *logger) reportDropped() {
	if n := l.out.dropped; n > 0 && l.out.room() {
		l.out.dropped = 0
		l.write(zapcore.WarnLevel, "log lines dropped, nobody was reading", []zapcore.Field{number(fieldCount, n)})
	}
}

// error writes the line of something that failed at the end.
func (l *logger) error(message string, err error) { l.failure(zapcore.ErrorLevel, message, err) }

// warning writes the line of something that failed at the beginning.
func (l *logger) warning(message string, err error) { l.failure(zapcore.WarnLevel, message, err) }

func (l *logger) failure(level zapcore.Level, message string, err error) {
	if l.enabled(level) {
		l.write(level, message, []zapcore.Field{text(fieldError, err.Error())})
	}
}

// print writes a text for a person, after the lines that came before it.
func (l *logger) print(text string) {
	_, _ = l.out.Write([]byte(text)) // what does not fit is counted
	l.out.patience = printPatience
}

// close gives what is queued a moment to be read.
func (l *logger) close() {
	l.reportDropped()
	_ = l.out.close() // there is nobody else to tell
	if l.stdout != nil {
		_ = l.stdout.close()
	}
}
