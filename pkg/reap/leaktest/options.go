package leaktest

import (
	"fmt"
	"regexp"
	"time"
)

// Option changes what a check does. It can be used for several.
type Option func(*settings)

// settings is what the options have set.
type settings struct {
	maxWait  time.Duration
	current  map[identity]bool // by IgnoreCurrent
	commands []*regexp.Regexp
	err      error // of an option that could not do its work
}

// defaultMaxWait is long for a process that only has to end, and short for a test
// that fails anyway.
const defaultMaxWait = time.Second

func newSettings(opts []Option) *settings {
	s := &settings{maxWait: defaultMaxWait, current: make(map[identity]bool)}
	for _, opt := range opts {
		opt(s)
	}
	return s
}

// ignores reports whether an option excludes the process.
func (s *settings) ignores(l Leak) bool {
	if s.current[identify(l.Proc)] {
		return true
	}
	for _, pattern := range s.commands {
		if pattern.MatchString(l.command()) {
			return true
		}
	}
	return false
}

// IgnoreCurrent excludes what there is when it is called, by pid and time of start.
// What these processes start later is not excluded. In
//
//	defer leaktest.VerifyNone(t, leaktest.IgnoreCurrent())
//
// it is called at the defer statement, so at the head of the test. If it cannot
// read the processes the check fails, with an error that is [ErrUnknown].
func IgnoreCurrent() Option {
	// Twice, because a process whose parent ends in that moment may be missing once.
	ids := make(map[identity]bool)
	for range settledLooks {
		leaks, err := look()
		if err != nil {
			return func(s *settings) { s.err = fmt.Errorf("ignore current processes: %w", err) }
		}
		for _, l := range leaks {
			ids[identify(l.Proc)] = true
		}
	}
	return func(s *settings) {
		for id := range ids {
			s.current[id] = true
		}
	}
}

// IgnoreCommand excludes each process whose command line matches the regular
// expression anywhere: its arguments, the name of the program first, joined by
// spaces. If it has none, because it has exited, it is the command name of at most 15
// bytes. What such a process starts is not excluded unless it matches too.
//
// A pattern that does not compile is a mistake in the test: it panics at once, as
// [regexp.MustCompile] does.
func IgnoreCommand(pattern string) Option {
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		panic(fmt.Sprintf("leaktest: IgnoreCommand(%q): %v", pattern, err))
	}
	return func(s *settings) { s.commands = append(s.commands, compiled) }
}

// MaxWait sets how long processes have to end before they count as leaks; one
// second if it is not set. With 0 or less there is no second chance.
func MaxWait(d time.Duration) Option {
	return func(s *settings) { s.maxWait = d }
}
