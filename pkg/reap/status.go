package reap

import (
	"strconv"
	"syscall"
)

// Status is a wait status as wait4(2) stores it, on Linux:
// the low seven bits hold the signal that ended the process, 0 for an exit and
// 0x7f for a stop; 0x80 says that it dumped core; the next byte holds the exit
// code or the signal that stopped it; 0xffff means that it was continued.
type Status uint32

const (
	statusStopped   = 0x7f
	statusCore      = 0x80
	statusContinued = 0xffff
)

// ExitStatus is the Status of a process that called exit(code).
func ExitStatus(code int) Status { return Status(code&0xff) << 8 }

// SignalStatus is the Status of a process that was killed by sig.
func SignalStatus(sig syscall.Signal) Status { return Status(sig) & 0x7f }

// Exited reports that the process ended by itself; [Status.Code] tells with what.
func (s Status) Exited() bool { return s&0x7f == 0 }

// Signaled reports that a signal ended the process; [Status.Signal] tells which.
func (s Status) Signaled() bool { return s&0x7f != 0 && s&0x7f != statusStopped }

// Code is the exit code, 0 to 255, or -1 if the process did not end by itself.
func (s Status) Code() int {
	if !s.Exited() {
		return -1
	}
	return int(s>>8) & 0xff
}

// Signal is the signal that ended the process, or 0 if none did.
func (s Status) Signal() syscall.Signal {
	if !s.Signaled() {
		return 0
	}
	return syscall.Signal(s & 0x7f)
}

// CoreDumped reports that the process left a core dump when a signal ended it.
func (s Status) CoreDumped() bool { return s.Signaled() && s&statusCore != 0 }

// String is "exit 3", "signal 15" or "signal 6 (core dumped)".
func (s Status) String() string {
	switch {
	case s.Exited():
		return "exit " + strconv.Itoa(s.Code())
	case s.CoreDumped():
		return "signal " + strconv.Itoa(int(s.Signal())) + " (core dumped)"
	case s.Signaled():
		return "signal " + strconv.Itoa(int(s.Signal()))
	default:
		return "status 0x" + strconv.FormatUint(uint64(s), 16)
	}
}
