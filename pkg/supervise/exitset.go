package supervise

import (
	"syscall"

	"github.com/reaper-init/reaper/pkg/reap"
)

// ExitSet is a set of exit codes and of signals. It is a value; the empty set is the
// zero value.
type ExitSet struct {
	codes   [4]uint64 // bit n%64 of word n/64
	signals reap.SignalSet
}

// WithCode is the set with an exit code added, which must be 0 to 255.
func (s ExitSet) WithCode(code int) ExitSet {
	s.codes[code/64] |= 1 << (code % 64)
	return s
}

// WithSignal is the set with a signal added.
func (s ExitSet) WithSignal(sig syscall.Signal) ExitSet {
	s.signals = s.signals.With(sig)
	return s
}

// HasCode reports whether an exit code is in the set.
func (s ExitSet) HasCode(code int) bool {
	return code >= 0 && code < 256 && s.codes[code/64]&(1<<(code%64)) != 0
}

// HasSignal reports whether a signal is in the set.
func (s ExitSet) HasSignal(sig syscall.Signal) bool { return s.signals.Has(sig) }

// Has reports whether the set tells of a process that ended so. A code of 128+n is
// also the death by signal n, as a shell has it; a signal is the death alone.
func (s ExitSet) Has(status reap.Status) bool {
	const killed = 128
	if sig := status.Signal(); sig != 0 {
		return s.HasSignal(sig) || s.HasCode(killed+int(sig))
	}
	return s.HasCode(status.Code())
}
