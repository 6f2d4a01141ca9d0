//go:build !linux

package notify

import "errors"

// ErrUnsupported is what everything here returns where there is no Linux.
var ErrUnsupported = errors.New("not supported on this system: Linux only")

// Listener works on Linux alone.
type Listener struct{}

// Listen works on Linux alone.
func Listen(ListenConfig) (*Listener, error) { return nil, ErrUnsupported }

// Address works on Linux alone.
func (l *Listener) Address() string { return "" }

// NoPath works on Linux alone.
func (l *Listener) NoPath() error { return nil }

// Wake works on Linux alone.
func (l *Listener) Wake() <-chan struct{} { return nil }

// Receive works on Linux alone.
func (l *Listener) Receive() (m Message, ok bool, err error) { return Message{}, false, ErrUnsupported }

// Close works on Linux alone.
func (l *Listener) Close() {}

// Manager works on Linux alone.
type Manager struct{ MainPID int }

// NewManager works on Linux alone.
func NewManager(string) (*Manager, error) { return nil, ErrUnsupported }

// Send works on Linux alone.
func (m *Manager) Send(*Message) error { return ErrUnsupported }

// Writable works on Linux alone.
func (m *Manager) Writable() <-chan struct{} { return nil }

// Waiting works on Linux alone.
func (m *Manager) Waiting() int { return 0 }

// Dropped works on Linux alone.
func (m *Manager) Dropped() int { return 0 }

// Flush works on Linux alone.
func (m *Manager) Flush() error { return ErrUnsupported }

// Close works on Linux alone.
func (m *Manager) Close() {}
