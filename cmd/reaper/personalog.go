package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/reaper-init/reaper/pkg/supervise"
)

// personaLog is how a persona writes its lines.
type personaLog struct {
	level    zapcore.Level                             // from which on there are any
	prefix   func(level zapcore.Level, pid int) string // in front of each
	chats    bool                                      // info and below go to stdout
	orphans  zapcore.Level                             // of an orphan that was reaped
	messages map[supervise.EventKind]string            // those that scripts look for
	received string                                    // said before each exit, if anything
}

// levelName is the name of a level; all that is above a warning is the highest.
func levelName(level zapcore.Level, highest string) string {
	if level > zapcore.WarnLevel {
		return highest
	}
	return level.CapitalString()
}

// fatal is a line of the highest level.
func (l *personaLog) fatal(text string) string {
	return l.prefix(zapcore.FatalLevel, os.Getpid()) + text
}

// personaCore writes lines for people, as these programs do.
type personaCore struct {
	zapcore.Core // which writes nothing

	log            *personaLog
	stderr, stdout *lineWriter
}

func newPersonaCore(log *personaLog, stderr, stdout *lineWriter) *personaCore {
	return &personaCore{zapcore.NewNopCore(), log, stderr, stdout}
}

// Enabled reports whether there are lines of that level.
func (c *personaCore) Enabled(level zapcore.Level) bool { return level >= c.log.level }

// Write writes the line: the message, and after it the fields as key=value.
func (c *personaCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	var line strings.Builder
	line.WriteString(c.log.prefix(entry.Level, os.Getpid()))
	line.WriteString(entry.Message)
	for _, f := range fields {
		fmt.Fprintf(&line, " %s=%s", f.Key, fieldText(f))
	}
	line.WriteByte('\n')
	out := c.stderr
	if c.log.chats && entry.Level <= zapcore.InfoLevel {
		out = c.stdout
	}
	_, err := out.Write([]byte(line.String()))
	return err
}

func fieldText(f zapcore.Field) string {
	switch f.Type { //nolint:exhaustive // log.go uses no other
	case zapcore.StringType:
		return quoted(f.String)
	case zapcore.DurationType:
		return time.Duration(f.Integer).String()
	default:
		return fmt.Sprint(f.Integer)
	}
}
