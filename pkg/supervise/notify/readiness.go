package notify

// Readiness is how far the command says that it is.
type Readiness uint8

const (
	// Starting is how it begins: it has not been ready yet.
	Starting Readiness = iota
	// Ready is after READY=1: it serves.
	Ready
	// Reloading is after RELOADING=1, until the next READY=1.
	Reloading
	// Stopping is after STOPPING=1: it is about to end. A new start begins anew.
	Stopping
)

// After is the readiness after a message. In one message STOPPING counts more than
// READY and READY more than RELOADING, as systemd has it. What reloads before it was
// ever ready is still starting.
func (r Readiness) After(m *Message) Readiness {
	switch {
	case r == Stopping || m.Stopping:
		return Stopping
	case m.Ready:
		return Ready
	case m.Reloading && r == Ready:
		return Reloading
	}
	return r
}

func (r Readiness) String() string {
	switch r {
	case Starting:
		return "starting"
	case Ready:
		return "ready"
	case Reloading:
		return "reloading"
	case Stopping:
		return "stopping"
	}
	return "unknown"
}
