package reap

import "syscall"

// NumSignals is the number of signals that Linux has; they count from 1, and
// 32 to 64 are the real-time ones.
const NumSignals = 64

// SignalSet is a set of signals as the kernel keeps it: bit n-1 is signal n.
type SignalSet uint64

// Signals is the set of the given signals.
func Signals(sigs ...syscall.Signal) SignalSet {
	var s SignalSet
	for _, sig := range sigs {
		s |= signalBit(sig)
	}
	return s
}

// Has reports whether sig is in the set.
func (s SignalSet) Has(sig syscall.Signal) bool { return s&signalBit(sig) != 0 }

// With is the set with sig added.
func (s SignalSet) With(sig syscall.Signal) SignalSet { return s | signalBit(sig) }

// signalBit is 0 for what is no signal: Go shifts by 64 and more to 0, and 0-1
// wraps to such a number.
func signalBit(sig syscall.Signal) SignalSet { return 1 << (uint(sig) - 1) }
