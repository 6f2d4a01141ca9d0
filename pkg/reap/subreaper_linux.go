package reap

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BecomeSubreaper makes the calling process the one that adopts the orphans
// among its descendants (PR_SET_CHILD_SUBREAPER, Linux 3.4; prctl(2)). From now
// on, that is: who was orphaned before stays with its adopter. PID 1 of a pid
// namespace is that already and nothing is done. The attribute is kept across
// execve and is not inherited by children.
func BecomeSubreaper() error {
	if os.Getpid() == 1 {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become subreaper: %w", err)
	}
	return nil
}

// IsSubreaper reports whether orphans come to the calling process: because it
// is PID 1, or because the attribute is set, be it by itself or by the program
// that it replaced.
func IsSubreaper() (bool, error) {
	if os.Getpid() == 1 {
		return true, nil
	}
	var set int32
	if err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&set)), 0, 0, 0); err != nil {
		return false, fmt.Errorf("read subreaper attribute: %w", err)
	}
	return set != 0, nil
}

// SetParentDeath asks the kernel to send sig to the calling process when its
// parent ends; 0 takes that back. The request belongs to the calling thread:
// call it from a goroutine that is locked to its thread and never ends
// (go.dev/issue/27505). It is cleared when the process changes its user.
//
// The parent may have died before the request stood. parent is what
// os.Getppid told as early as possible; where it differs by now, the kernel
// will send nothing any more and gone is true.
func SetParentDeath(sig unix.Signal, parent int) (gone bool, err error) {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(sig), 0, 0, 0); err != nil {
		return false, fmt.Errorf("set parent-death signal: %w", err)
	}
	return os.Getppid() != parent, nil
}
