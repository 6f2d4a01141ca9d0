package reap

import (
	"math"
	"syscall"
	"testing"
)

// Bit n-1 is signal n, as the kernel has it and /proc/PID/status shows it.
func TestSignalSetBits(t *testing.T) {
	for sig := syscall.Signal(1); sig <= NumSignals; sig++ {
		set := Signals(sig)
		if set != 1<<(sig-1) {
			t.Errorf("Signals(%d) = %#x", sig, uint64(set))
		}
		for other := syscall.Signal(1); other <= NumSignals; other++ {
			if set.Has(other) != (other == sig) {
				t.Errorf("Signals(%d).Has(%d) = %v", sig, other, set.Has(other))
			}
		}
	}
}

func TestSignalSetOfSeveral(t *testing.T) {
	if set := Signals(); set != 0 {
		t.Errorf("Signals() = %#x", uint64(set))
	}
	if set := Signals(1, 15, 64, 15); set != 1|1<<14|1<<63 {
		t.Errorf("Signals(1, 15, 64, 15) = %#x", uint64(set))
	}
	set := Signals(2)
	if with := set.With(3).With(2); with != Signals(2, 3) || set != Signals(2) {
		t.Errorf("With: %#x, and the set itself %#x", uint64(with), uint64(set))
	}
	all := SignalSet(0)
	for sig := syscall.Signal(1); sig <= NumSignals; sig++ {
		all = all.With(sig)
	}
	if all != math.MaxUint64 {
		t.Errorf("all: %#x", uint64(all))
	}
}

// What is no signal is in no set.
func TestSignalSetOfNoSignal(t *testing.T) {
	for _, sig := range []syscall.Signal{0, -1, -64, 65, 128, math.MaxInt, math.MinInt} {
		if set := Signals(sig); set != 0 {
			t.Errorf("Signals(%d) = %#x", sig, uint64(set))
		}
		if SignalSet(math.MaxUint64).Has(sig) {
			t.Errorf("the full set has %d", sig)
		}
		if set := Signals(9).With(sig); set != Signals(9) {
			t.Errorf("with %d: %#x", sig, uint64(set))
		}
	}
}
