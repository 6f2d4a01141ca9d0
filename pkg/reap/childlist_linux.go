package reap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// numberedDir is an open directory of /proc in which every name is a number, as in
// that of the threads or that of the descriptors. It is listed again and again, so
// that nothing is allocated for it once its buffers have grown.
//
// It stays that of this process, whatever is mounted over /proc later.
type numberedDir struct {
	fd      int
	entries []byte
	numbers []int
}

func openNumbered(path string) (numberedDir, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return numberedDir{}, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return numberedDir{fd: fd, entries: make([]byte, 4096)}, nil
}

func (d *numberedDir) close() { _ = unix.Close(d.fd) } // nothing was written

// list is the numbers that are there now. They are good until the next call.
func (d *numberedDir) list() ([]int, error) {
	d.numbers = d.numbers[:0]
	if _, err := unix.Seek(d.fd, 0, 0); err != nil {
		return nil, fmt.Errorf("rewind directory: %w", err)
	}
	for {
		n, err := unix.Getdents(d.fd, d.entries)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, fmt.Errorf("read directory: %w", err)
		case n == 0:
			return d.numbers, nil
		}
		d.numbers = appendNumbers(d.numbers, d.entries[:n])
	}
}

// appendNumbers reads the names of directory entries (struct linux_dirent64 in
// getdents64(2)) and leaves out those that are no number.
func appendNumbers(numbers []int, entries []byte) []int {
	const lengthAt, nameAt = 16, 19
	for len(entries) > nameAt {
		length := int(binary.NativeEndian.Uint16(entries[lengthAt:]))
		n, digits := 0, 0
		for _, c := range entries[nameAt:length] {
			if c < '0' || c > '9' {
				break
			}
			n, digits = 10*n+int(c-'0'), digits+1
		}
		if digits > 0 {
			numbers = append(numbers, n)
		}
		entries = entries[length:]
	}
	return numbers
}

// childList reads which children this process has.
type childList struct {
	first   int // the thread with the number of the process
	threads numberedDir
	byPPID  bool // the kernel has no file children: all of /proc is read
	pids    []int
	text    []byte
	path    [32]byte
}

func openChildList() (*childList, error) {
	threads, err := openNumbered("/proc/self/task")
	if err != nil {
		return nil, err
	}
	l := &childList{first: os.Getpid(), threads: threads}
	// The first thread is there, be it as a zombie. So if this is missing it is
	// always.
	err = l.appendChildren(l.first)
	l.byPPID = errors.Is(err, unix.ENOENT)
	if err != nil && !l.byPPID {
		threads.close()
		return nil, fmt.Errorf("read children: %w", err)
	}
	return l, nil
}

func (l *childList) close() { l.threads.close() }

// adopted reads the children of the first thread: orphans come to that (find_new_reaper
// in kernel/exit.c). It is no snapshot: a child may be missing if another before it was
// waited for meanwhile, as the kernel counts from the start then (get_children_pid
// in fs/proc/array.c). What is named may have gone. The pids are good until the next
// call.
func (l *childList) adopted() ([]int, error) {
	l.pids = l.pids[:0]
	if !l.byPPID {
		return l.pids, l.appendChildren(l.first)
	}
	procs, err := Procs()
	for _, p := range procs {
		if p.PPID == l.first {
			l.pids = append(l.pids, p.PID)
		}
	}
	return l.pids, err
}

// others reads the children of all other threads, likewise. One may be missing because
// its thread has ended and handed it to another.
func (l *childList) others() ([]int, error) {
	l.pids = l.pids[:0]
	if l.byPPID {
		return nil, nil
	}
	threads, err := l.threads.list()
	for _, tid := range threads {
		if tid == l.first || err != nil {
			continue
		}
		err = l.appendChildren(tid)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
			err = nil // the thread has ended
		}
	}
	return l.pids, err
}

// appendChildren reads the children of one thread (CONFIG_PROC_CHILDREN, Linux 4.2).
func (l *childList) appendChildren(tid int) error {
	path := append(strconv.AppendInt(l.path[:0], int64(tid), 10), "/children\x00"...)
	fd, errno := openAt(l.threads.fd, path)
	if errno != 0 {
		return fmt.Errorf("open children of thread %d: %w", tid, errno)
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	var err error
	if l.text, err = appendFile(l.text[:0], fd); err != nil {
		return fmt.Errorf("read children of thread %d: %w", tid, err)
	}
	l.pids = appendPIDs(l.pids, l.text)
	return nil
}

// openAt opens a path that ends with a zero byte.
func openAt(dir int, path []byte) (fd int, errno syscall.Errno) {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(dir), uintptr(unsafe.Pointer(&path[0])),
			unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}
