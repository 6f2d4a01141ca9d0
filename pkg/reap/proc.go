package reap

import (
	"bytes"
	"errors"
	"strconv"
	"time"
)

// Proc is one process as /proc/PID/stat shows it. It is a reading: by the time
// it is looked at the process may have ended.
type Proc struct {
	PID     int
	Name    string // the command name: at most 15 bytes, and any bytes
	State   byte   // R, S, D, T, t, Z, X or I, as proc(5) tells
	PPID    int    // 0 if the parent is outside the pid namespace
	PGID    int    // process group
	Session int
	Threads int
	Start   uint64 // when it started, in clock ticks since boot; with PID it names the process for good
}

// ticksPerSecond is the unit of Start, USER_HZ: 100 on every architecture that
// Go runs on but old Alpha and ia64 (include/asm-generic/param.h).
const ticksPerSecond = 100

// Age is how long the process has lived at the most: up to a hundredth of a second
// less is possible. uptime is the time since boot, see [Uptime].
func (p Proc) Age(uptime time.Duration) time.Duration {
	const tick = time.Second / ticksPerSecond
	return max(0, uptime-time.Duration(p.Start)*tick)
}

// Same reports that both are readings of one process: a pid is given away
// again, but not with the same start. It would take more forks within one tick
// than there are pids.
func (p Proc) Same(q Proc) bool { return p.PID == q.PID && p.Start == q.Start }

// Zombie reports that the process has exited and has not been waited for. It is
// also true of a process whose first thread has ended while others live on;
// only a wait tells the two apart.
func (p Proc) Zombie() bool { return p.State == 'Z' }

var errStat = errors.New("parse stat: malformed line")

// parseStat reads one line of /proc/PID/stat. The name stands in parentheses
// and may hold any byte, also ") R 1 (" — so it ends at the last one.
func parseStat(line []byte) (Proc, error) {
	open := bytes.IndexByte(line, '(')
	end := bytes.LastIndexByte(line, ')')
	if open < 1 || end < open {
		return Proc{}, errStat
	}
	const startField = 19 // field 22 of proc(5), counted from the state
	var rest [startField + 1][]byte
	n := 0
	for field := range bytes.FieldsSeq(line[end+1:]) {
		if rest[n], n = field, n+1; n == len(rest) {
			break
		}
	}
	if n < len(rest) || len(rest[0]) != 1 || rest[0][0] < 'A' || rest[0][0] > 'z' {
		return Proc{}, errStat
	}
	p := Proc{Name: string(line[open+1 : end]), State: rest[0][0]}
	for _, f := range []struct {
		to   *int
		text []byte
	}{
		{&p.PID, bytes.TrimSpace(line[:open])},
		{&p.PPID, rest[1]},
		{&p.PGID, rest[2]},
		{&p.Session, rest[3]},
		{&p.Threads, rest[17]},
	} {
		n, err := strconv.Atoi(string(f.text))
		if err != nil {
			return Proc{}, errStat
		}
		*f.to = n
	}
	start, err := strconv.ParseUint(string(rest[startField]), 10, 64)
	if err != nil {
		return Proc{}, errStat
	}
	p.Start = start
	return p, nil
}
