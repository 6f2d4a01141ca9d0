package notify

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// maxMessage is the longest message in bytes: what systemd takes (NOTIFY_BUFFER_MAX).
const maxMessage = 4096

// Message is one datagram, taken apart. It is a value, holds no descriptor and may be
// kept. Where a variable comes twice the first counts, as systemd has it.
type Message struct {
	// PID, UID and GID tell who sent it, as the kernel says (SCM_CREDENTIALS, unix(7)),
	// in this process's own namespaces. PID is 0 for a process that has no number here:
	// one outside this pid namespace. A sender with CAP_SYS_ADMIN may name another
	// process instead of itself, one with CAP_SETUID another user: systemd-notify(1)
	// names its parent if it can. Without credentials PID is 0 and UID and GID are -1.
	//
	// The sender may have ended: then PID is what its number was, and after its parent
	// has waited for it the number may be another process's. A child of this process
	// keeps its number until it is reaped here. Whether a deeper process descends from
	// the command can be asked only while it lives; one that waits for a barrier, as
	// systemd-notify does, lives until its own message has been received.
	PID, UID, GID int

	Ready     bool // READY=1: it has started, or finished reloading
	Reloading bool // RELOADING=1
	Stopping  bool // STOPPING=1
	// Monotonic is when it began to reload: CLOCK_MONOTONIC (MONOTONIC_USEC). 0 if it
	// does not tell.
	Monotonic time.Duration

	Status     *string        // STATUS: for people; "" takes the last one back
	Errno      *syscall.Errno // ERRNO: why it failed
	BusError   string         // BUSERROR: the same as a name of D-Bus
	ExitStatus *int           // EXIT_STATUS: 0 to 255

	// MainPID is which process is the main one from now on (MAINPID); 0 if it does not
	// tell. It is the sender's word, and a number in the sender's pid namespace.
	MainPID int
	// MainPIDFDID is the inode number of a pidfd of that process (MAINPIDFDID).
	MainPIDFDID uint64

	Watchdog        bool           // WATCHDOG=1: it is alive
	WatchdogTrigger bool           // WATCHDOG=trigger: it asks to be treated as one that hangs
	WatchdogTimeout *time.Duration // WATCHDOG_USEC: another timeout from now on; 0 is none
	// ExtendTimeout is how much longer, from now, what goes on may take: start, reload
	// or stop (EXTEND_TIMEOUT_USEC). 0 if it does not ask.
	ExtendTimeout time.Duration

	// Access is who may send from now on (NOTIFYACCESS): none, main, exec or all. ""
	// if it does not ask.
	Access string

	// Barrier is BARRIER=1: the sender waits until everything before has been taken in.
	// It learns of that by the descriptor that came along, which is closed like any
	// other; so there is nothing to do. Such a message has nothing else in it.
	Barrier bool
	// Store is FDSTORE=1: it wants descriptors to be kept for its next start.
	Store bool
	// Descriptors is how many came with the message. They have been closed.
	Descriptors int

	// Unknown are the other lines, as NAME=value, in their order.
	Unknown []string
	// Err tells what was wrong with the message. What was not wrong is set.
	Err error
}

// Declined reports whether descriptors were to be kept, which they are not.
func (m *Message) Declined() bool { return m.Store || m.Descriptors > 0 && !m.Barrier }

// parse takes the text of a datagram apart.
func parse(text []byte) Message {
	if len(text) > maxMessage {
		return Message{Err: errTooLong}
	}
	text = bytes.TrimSuffix(text, []byte{0}) // from C programs that count it
	if bytes.IndexByte(text, 0) >= 0 {
		return Message{Err: errors.New("parse message: a zero byte in it")}
	}
	var m Message
	var errs []error
	seen := make(map[string]bool)
	for line := range strings.SplitSeq(string(text), "\n") {
		name, value, ok := strings.Cut(line, "=")
		switch {
		case line == "":
		case !ok || name == "":
			errs = append(errs, fmt.Errorf("parse message: no name and = in %.40q", line))
		default:
			if err := m.set(name, value, seen[name]); err != nil {
				errs = append(errs, fmt.Errorf("parse %s: %w", name, err))
			}
			seen[name] = true
		}
	}
	m.Err = errors.Join(errs...)
	if m.Barrier {
		m = Message{Barrier: true, Err: m.Err}
		if len(seen) > 1 { // systemd takes nothing of it, and a command must not depend on less
			m.Err = errors.Join(m.Err, errors.New("parse BARRIER: other variables in the same message"))
		}
	}
	return m
}

var errTooLong = fmt.Errorf("parse message: longer than %d bytes", maxMessage)

// set takes in one variable; again if there was one of the same name before.
func (m *Message) set(name, value string, again bool) error {
	switch name {
	case "READY":
		return flag(&m.Ready, value)
	case "RELOADING":
		return flag(&m.Reloading, value)
	case "STOPPING":
		return flag(&m.Stopping, value)
	case "BARRIER":
		return flag(&m.Barrier, value)
	case "FDSTORE":
		return flag(&m.Store, value)
	case "FDSTOREREMOVE", "FDNAME", "FDPOLL":
		return nil // nothing is stored
	case "WATCHDOG":
		if value == "trigger" {
			m.WatchdogTrigger = true
			return nil
		}
		return flag(&m.Watchdog, value)
	case "STATUS", "BUSERROR", "NOTIFYACCESS":
		if again {
			return nil
		}
		return m.setText(name, value)
	case "MONOTONIC_USEC", "ERRNO", "EXIT_STATUS", "MAINPID", "MAINPIDFDID", "WATCHDOG_USEC", "EXTEND_TIMEOUT_USEC":
		if again {
			return nil
		}
		return m.setNumber(name, value)
	}
	m.Unknown = append(m.Unknown, name+"="+value)
	return nil
}

func flag(to *bool, value string) error {
	if value != "1" {
		return fmt.Errorf("not 1: %.40q", value)
	}
	*to = true
	return nil
}

func (m *Message) setText(name, value string) error {
	if !utf8.ValidString(value) {
		return fmt.Errorf("not UTF-8: %.40q", value)
	}
	switch name {
	case "STATUS":
		m.Status = &value
	case "BUSERROR":
		m.BusError = value
	default: // NOTIFYACCESS
		switch value {
		case "none", "main", "exec", "all":
			m.Access = value
		default:
			return fmt.Errorf("not none, main, exec or all: %.40q", value)
		}
	}
	return nil
}

const (
	maxErrno = 4095    // MAX_ERRNO, include/linux/err.h
	maxPID   = 1 << 22 // PID_MAX_LIMIT, include/linux/threads.h
)

func (m *Message) setNumber(name, value string) error {
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return fmt.Errorf("not a number: %.40q", value)
	}
	within := func(low, high uint64) bool {
		if n < low || n > high {
			err = fmt.Errorf("not from %d to %d: %d", low, high, n)
		}
		return err == nil
	}
	switch name {
	case "MONOTONIC_USEC":
		m.Monotonic = microseconds(n)
	case "ERRNO":
		if within(0, maxErrno) {
			errno := syscall.Errno(n)
			m.Errno = &errno
		}
	case "EXIT_STATUS":
		if within(0, 255) {
			status := int(n)
			m.ExitStatus = &status
		}
	case "MAINPID":
		if within(1, maxPID) {
			m.MainPID = int(n)
		}
	case "MAINPIDFDID":
		m.MainPIDFDID = n
	case "WATCHDOG_USEC":
		timeout := microseconds(n)
		m.WatchdogTimeout = &timeout
	default: // EXTEND_TIMEOUT_USEC
		m.ExtendTimeout = microseconds(n)
	}
	return err
}

// longest is the longest duration in whole microseconds: 292 years.
const longest time.Duration = math.MaxInt64 / 1000 * 1000

// microseconds gives the longest duration for all that are longer.
func microseconds(n uint64) time.Duration {
	if n > uint64(longest/time.Microsecond) {
		return longest
	}
	return time.Duration(n) * time.Microsecond
}
