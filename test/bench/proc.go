package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

var errFormat = errors.New("malformed line")

// settle waits until a process has used no CPU for a while, and is all that it has used,
// in nanoseconds. One that never rests is taken as it is.
func settle(pid int, quiet time.Duration) (uint64, error) {
	const interval, limit = 5 * time.Millisecond, 5 * time.Second
	used, err := cpuTime(pid)
	began := time.Now()
	for since := began; err == nil && time.Since(since) < quiet && time.Since(began) < limit; {
		time.Sleep(interval)
		var now uint64
		if now, err = cpuTime(pid); now != used {
			used, since = now, time.Now()
		}
	}
	return used, err
}

// cpuTime is what all threads of a process have used, in nanoseconds. /proc/PID/schedstat
// is the first thread's alone, and the times in stat are rounded to ticks.
func cpuTime(pid int) (uint64, error) { return sumTasks(pid, "schedstat", parseSchedstat) }

// switches counts how often the threads of a process have waited for something. Each time
// but the last they were woken.
func switches(pid int) (uint64, error) { return sumTasks(pid, "status", parseSwitches) }

// sumTasks adds up what a file says of each thread.
func sumTasks(pid int, file string, parse func([]byte) (uint64, error)) (uint64, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/%s", pid, file))
	if err != nil {
		return 0, err
	}
	if len(files) == 0 {
		return 0, fmt.Errorf("read %s of process %d: it has ended", file, pid)
	}
	sum := uint64(0)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", file, err)
		}
		n, err := parse(text)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", file, err)
		}
		sum += n
	}
	return sum, nil
}

// parseSchedstat reads the time on a CPU (Documentation/scheduler/sched-stats.rst in
// Linux): the first of three numbers.
func parseSchedstat(text []byte) (uint64, error) {
	fields := bytes.Fields(text)
	if len(fields) != 3 {
		return 0, errFormat
	}
	return strconv.ParseUint(string(fields[0]), 10, 64)
}

func parseSwitches(text []byte) (uint64, error) {
	return parseField(text, "voluntary_ctxt_switches:")
}

// parseField reads the number behind a key, of a file with one on each line.
func parseField(text []byte, key string) (uint64, error) {
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) >= 2 && string(fields[0]) == key {
			return strconv.ParseUint(string(fields[1]), 10, 64)
		}
	}
	return 0, fmt.Errorf("%s: %w", key, errFormat)
}

// onlyChild is the pid of the one child of a process, whichever thread has started it.
func onlyChild(pid int) (int, error) {
	n, err := sumTasks(pid, "children", parseChild)
	if err == nil && n == 0 {
		err = fmt.Errorf("process %d has no child", pid)
	}
	return int(n), err
}

// parseChild reads a list of children with at most one in it; 0 is none.
func parseChild(text []byte) (uint64, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return 0, nil
	}
	return strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
}

// readMemory reads what a process has in memory, in KiB.
func readMemory(pid int) (figures, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return nil, fmt.Errorf("read memory: %w", err)
	}
	f := make(figures)
	for row, key := range map[string]string{"memory anonymous": "Anonymous:", "memory rss": "Rss:", "memory pss": "Pss:"} {
		n, err := parseField(text, key)
		if err != nil {
			return nil, fmt.Errorf("read memory: %w", err)
		}
		f[row] = float64(n)
	}
	return f, nil
}
