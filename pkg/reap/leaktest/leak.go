package leaktest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
)

// ErrUnknown is wrapped by every error which means that there may be leaks or not:
// that the system is not Linux, that there is no usable /proc, that there are no
// pidfds, or that the process did not become a subreaper.
var ErrUnknown = errors.New("cannot tell whether processes have leaked")

// Kind is how a process has leaked.
type Kind int

const (
	// Child was started by this process, by package os, and still runs.
	Child Kind = iota
	// Unwaited was started by this process, by package os, and has exited; nobody
	// has called Wait.
	Unwaited
	// Orphan still runs and has become a child of this process because its own parent
	// has ended; or this process has let it go, or started it by other means than
	// package os.
	Orphan
	// Descendant still runs below a child or an orphan.
	Descendant
)

// String is the kind in words.
func (k Kind) String() string {
	switch k {
	case Child:
		return "child still running"
	case Unwaited:
		return "child exited, never waited for: a Wait is missing"
	case Orphan:
		return "orphan still running"
	case Descendant:
		return "descendant still running"
	}
	return "kind " + strconv.Itoa(int(k))
}

// Leak is one process that has leaked, as it was when it was last looked at. Names
// and arguments can hold any bytes.
type Leak struct {
	reap.Proc
	Kind      Kind
	Age       time.Duration // since it was started
	Args      []string      // its command line; none if it has exited or is hidden
	Ancestors []string      // the command names of its ancestors: first this process, last its parent
}

// maxCommand is how many bytes of a command line are printed: it can have megabytes.
const maxCommand = 300

// String is the leak on one line.
func (l Leak) String() string {
	state := l.State
	if state == 0 {
		state = '?' // it is hidden
	}
	var ancestors []string
	for _, name := range l.Ancestors {
		ancestors = append(ancestors, bare(name))
	}
	return fmt.Sprintf("%v (pid %d, age %v, state %c, ppid %d): %s, under %s",
		l.Kind, l.PID, l.Age.Round(10*time.Millisecond), state, l.PPID, l.shown(), strings.Join(ancestors, " > "))
}

// command is what a pattern is matched with.
func (l Leak) command() string {
	if line := strings.Join(l.Args, " "); line != "" {
		return line
	}
	return l.Name
}

// shown is the command line, and in its place the command name in brackets, as ps
// does it.
func (l Leak) shown() string {
	line := strings.Join(l.Args, " ")
	switch {
	case line == "":
		return "[" + bare(l.Name) + "]"
	case len(line) > maxCommand:
		return strconv.Quote(line[:maxCommand]) + "..."
	}
	return strconv.Quote(line)
}

// bare is the name in quotes only where it needs them to stay on its line.
func bare(name string) string {
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` || name == "" {
		return quoted
	}
	return name
}

// LeakError is the error of [Find] if there are leaks.
type LeakError struct {
	Leaks []Leak // at least one; each parent before its children
}

// Error lists each leak on a line of its own.
func (e *LeakError) Error() string {
	var text strings.Builder
	if len(e.Leaks) == 1 {
		text.WriteString("a process has leaked:")
	} else {
		fmt.Fprintf(&text, "%d processes have leaked:", len(e.Leaks))
	}
	for _, l := range e.Leaks {
		text.WriteString("\n\t" + l.String())
	}
	return text.String()
}
