package reap

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// ReadCapabilities reads those of the calling thread; a Go program has the same on each
// unless it changes that itself.
func ReadCapabilities() (Capabilities, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return Capabilities{}, fmt.Errorf("read capabilities: %w", err)
	}
	caps := Capabilities{
		Permitted:   joined(data[0].Permitted, data[1].Permitted),
		Effective:   joined(data[0].Effective, data[1].Effective),
		Inheritable: joined(data[0].Inheritable, data[1].Inheritable),
	}
	for n := range 64 {
		// The kernel refuses those that it does not know, which nobody has.
		if in, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(n), 0, 0, 0); err == nil && in == 1 {
			caps.Bounding = caps.Bounding.With(n)
		}
		if in, err := unix.PrctlRetInt(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_IS_SET, uintptr(n), 0, 0); err == nil && in == 1 {
			caps.Ambient = caps.Ambient.With(n)
		}
	}
	return caps, nil
}

func joined(low, high uint32) CapabilitySet { return CapabilitySet(high)<<32 | CapabilitySet(low) }
