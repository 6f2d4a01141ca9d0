package reap

// CapabilitySet is a set of capabilities as the kernel keeps it: bit n is capability n
// (capabilities(7)).
type CapabilitySet uint64

// AllCapabilities has also those that no kernel knows yet.
const AllCapabilities = ^CapabilitySet(0)

// Has reports whether capability n is in the set.
func (s CapabilitySet) Has(n int) bool { return s&(1<<uint(n)) != 0 }

// With is the set with capability n added.
func (s CapabilitySet) With(n int) CapabilitySet { return s | 1<<uint(n) }

// Capabilities are those of a thread.
type Capabilities struct {
	Permitted, Effective, Inheritable CapabilitySet
	Bounding, Ambient                 CapabilitySet
}
