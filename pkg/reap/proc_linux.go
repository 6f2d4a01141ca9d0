package reap

import (
	"bytes"
	"os"
	"slices"
	"strconv"
)

// ReadProc reads /proc/PID/stat. Where /proc is not mounted, or hides the
// process, or the process has gone, the error is an [io/fs.ErrNotExist] or
// an [syscall.ESRCH].
func ReadProc(pid int) (Proc, error) {
	line, err := readFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Proc{}, err
	}
	return parseStat(line)
}

// Procs reads every process that /proc shows, in the order of their pids.
// Processes that end meanwhile are left out; the list is no snapshot.
func Procs() ([]Proc, error) {
	dir, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	procs := make([]Proc, 0, len(dir))
	for _, entry := range dir {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		p, err := ReadProc(pid)
		if err != nil {
			continue // it has ended since
		}
		procs = append(procs, p)
	}
	slices.SortFunc(procs, func(a, b Proc) int { return a.PID - b.PID }) // ReadDir has 10 before 9
	return procs, nil
}

// CommandLine is the argument vector of a process as /proc/PID/cmdline shows
// it now; a process can rewrite it. It is empty for a zombie, which has none
// any more, and for a kernel thread.
func CommandLine(pid int) ([]string, error) {
	raw, err := readFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return nil, err
	}
	return splitArgs(raw), nil
}

// splitArgs splits what /proc/PID/cmdline holds: each argument ends with a zero
// byte.
func splitArgs(raw []byte) []string {
	if len(raw) == 0 {
		return nil
	}
	var args []string
	for arg := range bytes.SplitSeq(bytes.TrimSuffix(raw, []byte{0}), []byte{0}) {
		args = append(args, string(arg))
	}
	return args
}
