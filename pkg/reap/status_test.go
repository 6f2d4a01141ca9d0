//go:build linux

package reap

import (
	"strings"
	"syscall"
	"testing"
)

// Every value that wait4 can store means what package syscall takes it for.
func TestStatusAgreesWithSyscall(t *testing.T) {
	for raw := range 1 << 16 {
		s, w := Status(raw), syscall.WaitStatus(raw)
		if s.Exited() != w.Exited() || s.Signaled() != w.Signaled() || s.CoreDumped() != w.CoreDump() {
			t.Fatalf("%#x: exited %v, signaled %v, dumped %v; syscall has %v, %v, %v",
				raw, s.Exited(), s.Signaled(), s.CoreDumped(), w.Exited(), w.Signaled(), w.CoreDump())
		}
		if s.Code() != w.ExitStatus() {
			t.Fatalf("%#x: code %d, syscall has %d", raw, s.Code(), w.ExitStatus())
		}
		if want := max(w.Signal(), 0); s.Signal() != want { // here none is 0
			t.Fatalf("%#x: signal %d, syscall has %d", raw, s.Signal(), w.Signal())
		}
		if w.Stopped() || w.Continued() { // pitfall 21
			if s.Exited() || s.Signaled() || s.CoreDumped() || s.Code() != -1 || s.Signal() != 0 {
				t.Fatalf("%#x: a stop or its end is taken for an end of the process", raw)
			}
			if !strings.HasPrefix(s.String(), "status 0x") {
				t.Fatalf("%#x: %s", raw, s)
			}
		}
	}
}

func TestExitStatus(t *testing.T) {
	for code := range 256 {
		s := ExitStatus(code)
		if !s.Exited() || s.Signaled() || s.CoreDumped() || s.Code() != code || s.Signal() != 0 {
			t.Errorf("ExitStatus(%d) = %#x", code, uint32(s))
		}
	}
	// exit(2) keeps the lower eight bits (pitfall 22).
	for code, want := range map[int]int{256: 0, 257: 1, -1: 255, -256: 0, 1 << 40: 0} {
		if s := ExitStatus(code); !s.Exited() || s.Code() != want {
			t.Errorf("ExitStatus(%d) = %#x, want the code %d", code, uint32(s), want)
		}
	}
}

func TestSignalStatus(t *testing.T) {
	for sig := syscall.Signal(1); sig <= NumSignals; sig++ {
		s := SignalStatus(sig)
		if s.Exited() || !s.Signaled() || s.CoreDumped() || s.Code() != -1 || s.Signal() != sig {
			t.Errorf("SignalStatus(%d) = %#x", sig, uint32(s))
		}
		dumped := s | statusCore
		if dumped.Exited() || !dumped.Signaled() || !dumped.CoreDumped() || dumped.Signal() != sig {
			t.Errorf("with a core dump: %#x", uint32(dumped))
		}
	}
}

func TestStatusString(t *testing.T) {
	for s, want := range map[Status]string{
		ExitStatus(0): "exit 0", ExitStatus(255): "exit 255",
		SignalStatus(15): "signal 15", SignalStatus(6) | statusCore: "signal 6 (core dumped)", SignalStatus(64): "signal 64",
		statusStopped | 19<<8: "status 0x137f", statusContinued: "status 0xffff",
	} {
		if got := s.String(); got != want {
			t.Errorf("%#x: got %q, want %q", uint32(s), got, want)
		}
	}
}
