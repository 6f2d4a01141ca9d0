package notify

import (
	"strconv"
	"strings"
	"time"
)

// upward is what the service manager is told of a message, "" if nothing in it is for
// it. Not for it are the barrier and the descriptors, which end here; who may send
// (NOTIFYACCESS), which is about the command's own processes; and WATCHDOG=trigger, as
// whoever watches over the command is here.
//
// MAINPID becomes mainPID, or is left out if that is 0, and MAINPIDFDID with it: the
// main process of the service is the one that the manager has started, this one.
func (m *Message) upward(mainPID int) string {
	var b strings.Builder
	add := func(name, value string) {
		value = strings.ReplaceAll(value, "\n", " ")
		if b.Len()+len(name)+len(value)+2 > maxMessage {
			return // it would be too long for the manager, and none of it be read
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(name + "=" + value)
	}
	addIf := func(yes bool, name string) {
		if yes {
			add(name, "1")
		}
	}
	addIf(m.Ready, "READY")
	addIf(m.Reloading, "RELOADING")
	if m.Monotonic > 0 {
		add("MONOTONIC_USEC", usec(m.Monotonic))
	}
	addIf(m.Stopping, "STOPPING")
	addIf(m.Watchdog, "WATCHDOG")
	if m.WatchdogTimeout != nil {
		add("WATCHDOG_USEC", usec(*m.WatchdogTimeout))
	}
	if m.ExtendTimeout > 0 {
		add("EXTEND_TIMEOUT_USEC", usec(m.ExtendTimeout))
	}
	if m.MainPID != 0 && mainPID != 0 {
		add("MAINPID", strconv.Itoa(mainPID))
	}
	if m.Errno != nil {
		add("ERRNO", strconv.Itoa(int(*m.Errno)))
	}
	if m.BusError != "" {
		add("BUSERROR", m.BusError)
	}
	if m.ExitStatus != nil {
		add("EXIT_STATUS", strconv.Itoa(*m.ExitStatus))
	}
	if m.Status != nil {
		add("STATUS", *m.Status)
	}
	for _, line := range m.Unknown {
		name, value, _ := strings.Cut(line, "=")
		add(name, value)
	}
	return b.String()
}

func usec(d time.Duration) string { return strconv.FormatInt(d.Microseconds(), 10) }
