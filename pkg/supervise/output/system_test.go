package output

import (
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	getFlags = unix.F_GETFL
	getFD    = unix.F_GETFD
	nonblock = unix.O_NONBLOCK
)

func fcntl(t *testing.T, fd, cmd int) int {
	t.Helper()
	n, err := unix.FcntlInt(uintptr(fd), cmd, 0)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// dup is the descriptor as a process that was left would have it.
func dup(fd int) (*os.File, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	return os.NewFile(uintptr(n), "leftover"), err
}

// listen makes a socket that is a file.
func listen(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // nobody has connected
}
