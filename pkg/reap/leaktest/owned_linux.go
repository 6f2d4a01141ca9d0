package leaktest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"github.com/reaper-init/reaper/pkg/reap"

	"golang.org/x/sys/unix"
)

const fdinfo = "/proc/self/fdinfo/"

// owned is the pids that this process has a pidfd of (Linux 5.2 for the line in
// fdinfo, 5.4 for package os). The descriptor comes with the clone, so that there is
// no moment in which a child of package os has none, and it says -1 once the process
// has been waited for.
func owned() (map[int]bool, error) {
	if err := checkPidfds(); err != nil {
		return nil, err
	}
	dir, err := os.ReadDir(fdinfo)
	if err != nil {
		return nil, err
	}
	pids := make(map[int]bool)
	for _, entry := range dir {
		pid, err := pidOf(entry.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has been closed, as the one that read the directory
		}
		if err != nil {
			return nil, err
		}
		if pid > 0 {
			pids[pid] = true
		}
	}
	return pids, nil
}

// pidOf is the process of a pidfd, and 0 of any other descriptor.
func pidOf(fd string) (int, error) {
	text, err := os.ReadFile(fdinfo + fd)
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("Pid:")); ok {
			return strconv.Atoi(string(bytes.TrimSpace(rest)))
		}
	}
	return 0, nil
}

// checkPidfds asks package os whether it uses pidfds here, and the kernel whether it
// names their processes. If not, no missing Wait would be found.
func checkPidfds() error {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	defer self.Release() //nolint:errcheck // it cannot fail
	var pid int
	err = self.WithHandle(func(handle uintptr) {
		pid, err = pidOf(strconv.Itoa(int(handle)))
	})
	if err != nil {
		return fmt.Errorf("no pidfds, for which Linux 5.4 is needed: %w", err)
	}
	if pid != os.Getpid() {
		return errors.New("the kernel does not name the process of a pidfd")
	}
	return nil
}

// kill ends the process and no other that has its number by now. In a test
// [reap.SignalDescendant] could not be sure of that for a child: it counts on nobody
// to wait for it meanwhile, and package os does.
func kill(p reap.Proc) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil // gone; the number may be a thread's by now
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", p.PID, err)
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	// If the descriptor is that of another process this reading shows it.
	now, err := reap.ReadProc(p.PID)
	if err != nil || !now.Same(p) {
		return nil // it has gone; or is hidden, and who it is cannot be told
	}
	err = unix.PidfdSendSignal(fd, syscall.SIGKILL, nil, 0)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill %d: %w", p.PID, err)
	}
	return nil
}
