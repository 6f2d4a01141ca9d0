//go:build linux && (amd64 || arm64)

package reap

import (
	"os"

	"golang.org/x/sys/unix"
)

// streams are the files that the child finds in the place of descriptors 0 to 2.
type streams struct {
	files  [3]*os.File
	opened []int // descriptors of the parent that are open for this start
}

// addStreams puts the files in their places. The child has the descriptors of the
// parent, so a file that is among the three is first given a number that is in
// nobody's way.
func (s *script) addStreams(c *Command) (op string, err error) {
	s.files = c.streams()
	for target, file := range s.files {
		if file == nil {
			continue
		}
		op := streamOp(target)
		fd := int(file.Fd()) // which has it block, as programs expect
		if fd == target {    // dup3 would not take it
			s.must(op, unix.SYS_FCNTL, uintptr(fd), unix.F_SETFD, 0)
			continue
		}
		if fd < len(s.files) {
			if fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, len(s.files)); err != nil {
				return op, err
			}
			s.opened = append(s.opened, fd)
		}
		s.must(op, unix.SYS_DUP3, uintptr(fd), uintptr(target), 0)
	}
	return "", nil
}

func (s *streams) close() {
	for _, fd := range s.opened {
		_ = unix.Close(fd) // it is open
	}
}
