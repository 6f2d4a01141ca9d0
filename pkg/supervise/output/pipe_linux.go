package output

import (
	"os"
	"syscall"
	"unsafe"
)

// pipeSize is how much a pipe holds, if the system allows it: an unprivileged user
// may have /proc/sys/fs/pipe-max-size of one, and pipe-user-pages-soft of all.
const pipeSize = 1 << 20

const fSetPipeSize = 1031 // F_SETPIPE_SZ, since Linux 2.6.35, see fcntl(2)

// newPipe makes a pipe that the children of other goroutines do not get. Its read end
// is for the poller of the runtime. Its write end blocks, as every program expects
// of its descriptors 1 and 2, and is not known to the poller.
func newPipe(name string) (r, w *os.File, err error) {
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	w = os.NewFile(uintptr(fds[1]), name)
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		_ = syscall.Close(fds[0]) // it is open
		w.Close()
		return nil, nil, os.NewSyscallError("fcntl", err)
	}
	_, _, _ = syscall.Syscall(syscall.SYS_FCNTL, uintptr(fds[0]), fSetPipeSize, pipeSize) // 64 KiB do as well
	return os.NewFile(uintptr(fds[0]), name), w, nil
}

// blockSignals blocks every signal for the calling thread. It must be locked and may
// never be unlocked.
func blockSignals() {
	const (
		block = 0 // SIG_BLOCK
		size  = 8 // of a set in the kernel
	)
	all := ^uint64(0)
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, block, uintptr(unsafe.Pointer(&all)), 0, size, 0, 0) // it cannot fail
}
