package notify

// Readiness is how far the command says that it is.
type Readiness uint8

const (
	// Starting is it that has not been ready yet.
	Starting Readiness = iota
	// Ready is it that serves.
	Ready
	// Reloading is it that has been ready and reads its configuration again.
	Reloading
	// Stopping is it that is about to end. It comes back by being started again.
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
