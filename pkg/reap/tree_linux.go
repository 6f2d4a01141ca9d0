package reap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Descendants reads from /proc every process below the calling one, each parent
// before its children. Zombies are among them if it is their parent that has not
// waited for them; those that the caller itself could reap are left out.
//
// It is a reading and no snapshot: a process whose parent dies in that moment
// may be missing. It has become a child of the caller then, and is there the
// next time. Whom it names was a descendant, and so is one as long as it lives.
//
// The cost depends on the number of descendants and threads, not on that of the
// processes of the machine, where the kernel has /proc/PID/task/TID/children
// (CONFIG_PROC_CHILDREN, Linux 4.2); elsewhere all of /proc is read. The error
// is [ErrNoProc].
//
// Only the goroutine that owns the process table may call it: what it tells of
// children holds until the next reaping.
func Descendants() ([]Proc, error) {
	if !ownProc() {
		return nil, ErrNoProc
	}
	found, err := walk()
	if err != nil {
		found, err = scan()
	}
	return found, err
}

// ownProc reports whether /proc counts processes as this one does. The line NSpid
// has one number for each pid namespace from that of /proc down to ours (proc(5),
// Linux 4.1).
func ownProc() bool {
	status, err := readFile("/proc/self/status")
	if err != nil {
		return false
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("NSpid:")); ok {
			return len(bytes.Fields(rest)) == 1
		}
	}
	self, err := os.Readlink("/proc/self")
	return err == nil && self == strconv.Itoa(os.Getpid())
}

// walk follows the children from process to process.
func walk() ([]Proc, error) {
	self := os.Getpid()
	own, err := childrenOf(self, 0)
	if err != nil {
		return nil, err
	}
	var found []Proc
	for _, pid := range own {
		if p, ok := readChild(pid, self); ok {
			found = append(found, p)
		}
	}
	for i := 0; i < len(found); i++ { // it grows
		parent := found[i]
		if parent.Zombie() && parent.Threads <= 1 {
			continue // it has no children
		}
		pids, err := childrenOf(parent.PID, parent.Threads)
		if err != nil || len(pids) == 0 {
			continue // it has ended, or belongs to somebody else and is hidden
		}
		first := len(found)
		for _, pid := range pids {
			p, err := ReadProc(pid)
			if err == nil && p.PPID == parent.PID {
				found = append(found, p)
			}
		}
		if !still(parent) { // perhaps it was somebody else's children that we read
			found = found[:first]
		}
	}
	return found, nil
}

// still reports that the process is there and has been since it was read.
func still(p Proc) bool {
	now, err := ReadProc(p.PID)
	return err == nil && now.Same(p)
}

// readChild reads a child of this process. One that has exited is left out; see
// askChild.
func readChild(pid, self int) (p Proc, ok bool) {
	p, child, exited := askChild(pid, self)
	return p, child && !exited
}

// askChild reads what may be a child of this process. Whether it has exited is asked
// for by waitid, because a process whose first thread alone has ended is shown as
// a zombie too. One that is hidden is at least a number.
func askChild(pid, self int) (p Proc, child, exited bool) {
	p, err := ReadProc(pid)
	child, exited = isChild(pid)
	if err != nil || p.PPID != self {
		p = Proc{PID: pid, PPID: self}
	}
	return p, child, exited
}

// childrenOf reads the children of each thread of a process. threads is how many
// it has, 0 if that is not known.
func childrenOf(pid, threads int) ([]int, error) {
	tasks := "/proc/" + strconv.Itoa(pid) + "/task/"
	if threads == 1 {
		return readPIDs(nil, tasks+strconv.Itoa(pid)+"/children")
	}
	dir, err := os.ReadDir(tasks)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, task := range dir {
		pids, err = readPIDs(pids, tasks+task.Name()+"/children")
		if err != nil && threads == 0 && task.Name() == strconv.Itoa(pid) {
			return nil, err // our own first thread has not ended: there is no such file
		}
	}
	// The children of a thread that ends go to another, which may be read after it.
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

func readPIDs(pids []int, path string) ([]int, error) {
	text, err := readFile(path)
	if err != nil {
		return pids, err
	}
	return appendPIDs(pids, text), nil
}

// appendPIDs reads the numbers of a file children: each ends with a space.
func appendPIDs(pids []int, text []byte) []int {
	pid := 0
	for _, c := range text {
		if c == ' ' {
			pids, pid = append(pids, pid), 0
		} else {
			pid = 10*pid + int(c-'0')
		}
	}
	return pids
}

// scan reads all of /proc and keeps what is below this process.
func scan() ([]Proc, error) {
	procs, err := Procs()
	if err != nil {
		return nil, ErrNoProc
	}
	children := make(map[int][]Proc)
	for _, p := range procs {
		children[p.PPID] = append(children[p.PPID], p)
	}
	self := os.Getpid()
	var found []Proc
	for _, p := range children[self] {
		if p, ok := readChild(p.PID, self); ok {
			found = append(found, p)
		}
	}
	for i := 0; i < len(found); i++ { // it grows
		parent := found[i]
		first := len(found)
		for _, child := range children[parent.PID] {
			// It may have been read before its parent, as the child of another that
			// had the number.
			p, err := ReadProc(child.PID)
			if err == nil && p.Same(child) && p.PPID == parent.PID {
				found = append(found, p)
			}
		}
		if len(found) > first && !still(parent) {
			found = found[:first]
		}
	}
	return found, nil
}

// ChildPIDs finds the children of this process that have not been reaped without
// /proc: it asks for each number that a process can have, four million of them, in
// some tenths of a second. Those that have exited are left out.
func ChildPIDs() []int {
	const limit = 4 << 20 // PID_MAX_LIMIT, include/linux/threads.h
	var pids []int
	for pid := 1; pid < limit; pid++ {
		// getpgid costs a third of a waitid for a number that nobody has.
		if _, _, errno := unix.RawSyscall(unix.SYS_GETPGID, uintptr(pid), 0, 0); errno == unix.ESRCH {
			continue
		}
		if child, exited := isChild(pid); child && !exited {
			pids = append(pids, pid)
		}
	}
	return pids
}

// SignalDescendant sends signals, in their order, to a process that [Descendants]
// has told of. It never reaches another one that has the same number by now: a
// child that has not been reaped keeps its own, and any other is opened as a
// pidfd (Linux 5.3) and then read again. sent is false if it has gone; a zombie
// counts as there, and nothing happens to it. The error is EPERM for a process that has changed its user, and ENOSYS for one that
// is not a child where there are no pidfds.
//
// Only the goroutine that owns the process table may call it.
func SignalDescendant(p Proc, sigs ...syscall.Signal) (sent bool, err error) {
	if !isPID(p.PID) {
		return false, fmt.Errorf("signal process %d: not a process", p.PID)
	}
	send := func(sig syscall.Signal) error { return unix.Kill(p.PID, sig) }
	if child, _ := isChild(p.PID); child {
		// It may have come to the caller after p, which had the number before. Of
		// one that could not be read the number is all there is.
		if now, err := ReadProc(p.PID); err == nil && p.Start != 0 && !now.Same(p) {
			return false, nil
		}
	} else {
		fd, err := unix.PidfdOpen(p.PID, 0)
		if slices.Contains([]error{unix.ESRCH, unix.EINVAL, unix.ENOENT}, err) {
			return false, nil // or a thread by now: EINVAL, and ENOENT since Linux 6.16
		}
		if err != nil {
			return false, fmt.Errorf("open process %d: %w", p.PID, err)
		}
		defer unix.Close(fd) //nolint:errcheck // nothing was written
		// If the descriptor is that of another process, which had the number
		// before or has it now, this reading shows it.
		if !still(p) {
			return false, nil
		}
		send = func(sig syscall.Signal) error { return unix.PidfdSendSignal(fd, sig, nil, 0) }
	}
	for _, sig := range sigs {
		switch err := send(sig); {
		case errors.Is(err, unix.ESRCH):
			return sent, nil
		case err != nil:
			return sent, fmt.Errorf("send signal %d to %d: %w", int(sig), p.PID, err)
		}
		sent = true
	}
	return sent, nil
}

// Uptime is the time since boot, suspension included, by which Proc.Start counts.
func Uptime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0 // it is there since Linux 2.6.39
	}
	return time.Duration(ts.Nano())
}

// readFile reads a small file of /proc. Package os would offer each descriptor
// to the poller first, which doubles the cost.
func readFile(path string) ([]byte, error) { return readFileAt(unix.AT_FDCWD, path) }

// readFileAt is readFile for a path below an open directory.
func readFileAt(dir int, path string) ([]byte, error) {
	fd, err := unix.Openat(dir, path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	text, err := appendFile(make([]byte, 0, 1024), fd)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	return text, nil
}

// appendFile reads from the descriptor to the end of the file. It allocates nothing
// when text has room for one byte more.
func appendFile(text []byte, fd int) ([]byte, error) {
	for {
		if len(text) == cap(text) {
			text = slices.Grow(text, max(len(text), 1024))
		}
		n, err := descriptor(fd).Read(text[len(text):cap(text)])
		switch {
		case errors.Is(err, io.EOF):
			return text, nil
		case err != nil:
			return text, err
		}
		text = text[:len(text)+n]
	}
}
