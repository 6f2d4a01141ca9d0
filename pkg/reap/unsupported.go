//go:build !linux

package reap

import (
	"context"
	"errors"
	"syscall"
	"time"
)

// ErrUnsupported is what everything here returns where there is no Linux.
var ErrUnsupported = errors.New("not supported on this system: Linux only")

// BecomeSubreaper works on Linux alone.
func BecomeSubreaper() error { return ErrUnsupported }

// IsSubreaper works on Linux alone.
func IsSubreaper() (bool, error) { return false, ErrUnsupported }

// SetParentDeath works on Linux alone.
func SetParentDeath(syscall.Signal, int) (gone bool, err error) { return false, ErrUnsupported }

// Start works on Linux alone.
func Start(Command) (pid int, err error) { return 0, ErrUnsupported }

// Drain works on Linux alone.
func Drain(exits []Exit) (_ []Exit, more bool, err error) { return exits, false, ErrUnsupported }

// Reap works on Linux alone.
func Reap(int) (exit Exit, ok bool) { return Exit{}, false }

// Orphans works on Linux alone.
func Orphans(context.Context, OrphanOptions) error { return ErrUnsupported }

// Peek works on Linux alone.
func Peek() (pid int, ok bool) { return 0, false }

// ChildSignal works on Linux alone.
type ChildSignal struct{}

// Off works on Linux alone.
func (*ChildSignal) Off() error { return ErrUnsupported }

// On works on Linux alone.
func (*ChildSignal) On() error { return ErrUnsupported }

// Exited works on Linux alone.
func Exited(int) (exited, child bool) { return false, false }

// StopSelf works on Linux alone.
func StopSelf() error { return ErrUnsupported }

// LeaveTerminal works on Linux alone.
func LeaveTerminal() {}

// JobChange works on Linux alone.
func JobChange(int) (JobState, syscall.Signal) { return JobUnchanged, 0 }

// Signal works on Linux alone.
func Signal(int, syscall.Signal) (sent bool, err error) { return false, ErrUnsupported }

// SignalGroup works on Linux alone.
func SignalGroup(int, syscall.Signal) (sent bool, err error) { return false, ErrUnsupported }

// GroupOf works on Linux alone.
func GroupOf(int) int { return 0 }

// ReadPIDFile works on Linux alone.
func ReadPIDFile(string) (PIDFile, error) { return PIDFile{}, ErrUnsupported }

// ReadProc works on Linux alone.
func ReadProc(int) (Proc, error) { return Proc{}, ErrUnsupported }

// Procs works on Linux alone.
func Procs() ([]Proc, error) { return nil, ErrUnsupported }

// CommandLine works on Linux alone.
func CommandLine(int) ([]string, error) { return nil, ErrUnsupported }

// Descendants works on Linux alone.
func Descendants() ([]Proc, error) { return nil, ErrUnsupported }

// ExitedChildren works on Linux alone.
func ExitedChildren() ([]Proc, error) { return nil, ErrUnsupported }

// ChildPIDs works on Linux alone.
func ChildPIDs() []int { return nil }

// SignalDescendant works on Linux alone.
func SignalDescendant(Proc, ...syscall.Signal) (sent bool, err error) { return false, ErrUnsupported }

// KillDescendants works on Linux alone.
func KillDescendants([]Proc) (killed []Proc, err error) { return nil, ErrUnsupported }

// Describe works on Linux alone.
func (i *Inspector) Describe(int) Details { return Details{} }

// Uptime works on Linux alone.
func Uptime() time.Duration { return 0 }

// OpenTerminal works on Linux alone.
func OpenTerminal() *Terminal { return nil }

// Foreground works on Linux alone.
func (t *Terminal) Foreground() int { return 0 }

// SetForeground works on Linux alone.
func (t *Terminal) SetForeground(int) error { return ErrUnsupported }

// StopGroup works on Linux alone.
func StopGroup(syscall.Signal) error { return ErrUnsupported }

// ContinueGroup works on Linux alone.
func ContinueGroup() error { return ErrUnsupported }

// GroupOrphaned works on Linux alone.
func GroupOrphaned() bool { return true }

// DieBySignal works on Linux alone.
func DieBySignal(syscall.Signal) error { return ErrUnsupported }
