package supervise

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/reaper-init/reaper/pkg/reap"
)

// before is what there was when the command was about to be started: none of that is
// the daemon which it leaves.
type before struct {
	start map[int]uint64 // of each process, by its pid
	file  reap.FileMark
}

func (b before) has(pid int) bool {
	_, ok := b.start[pid]
	return ok
}

func (b before) hasProc(p reap.Proc) bool {
	start, ok := b.start[p.PID]
	return ok && (start == p.Start || p.Start == 0)
}

func (l *loop) readBefore() before {
	b := before{start: make(map[int]uint64)}
	if l.more {
		for _, p := range l.below() {
			b.start[p.PID] = p.Start
		}
	}
	if l.PIDFile != "" {
		file, _ := l.Kernel.ReadPIDFile(l.PIDFile) // as a rule it is not there
		b.file = file.Made
	}
	return b
}

// below is every process below this one, or its children alone where there is no /proc.
func (l *loop) below() []reap.Proc {
	procs, known := l.look()
	if !known {
		return l.Kernel.Children()
	}
	return procs
}

// seek looks for the daemon. Nothing is reaped between the readings and what follows
// from them: so a child that is found keeps its number.
func (l *loop) seek() {
	ev := event{kind: evSought}
	if heir := l.m.heir; heir != 0 {
		if _, child := l.Kernel.Exited(heir); child {
			ev.pid, ev.count = heir, 1
			l.step(ev)
			return
		}
	}
	if l.Type != ForkingType {
		l.step(ev)
		return
	}
	if l.PIDFile == "" {
		var children []reap.Proc
		children, ev.count = l.left()
		if len(children) == 1 {
			ev.pid = children[0].PID
		} else {
			ev.err = &FollowError{Candidates: children}
		}
		l.step(ev)
		return
	}
	file, err := l.Kernel.ReadPIDFile(l.PIDFile)
	if err != nil {
		ev.final = !errors.Is(err, fs.ErrNotExist)
	} else {
		ev.pid, err = l.named(file)
	}
	ev.count = 1
	if ev.pid == 0 {
		ev.err = &FollowError{Err: err}
		if !l.table.blind { // else it would cost too much, again and again
			_, ev.count = l.left()
		}
	}
	l.step(ev)
}

// left is what the command has left: those who are children of this process by now, and
// how many there are with those who are somebody else's yet.
func (l *loop) left() (children []reap.Proc, all int) {
	for _, p := range l.below() {
		if l.before.hasProc(p) || p.PID == l.probe.pid {
			continue
		}
		all++
		if p.PPID == os.Getpid() {
			children = append(children, p)
		}
	}
	return children, all
}

// named is the process that the pid file names, if the command has left it and it is a
// child of this process by now.
func (l *loop) named(file reap.PIDFile) (int, error) {
	_, child := l.Kernel.Exited(file.PID)
	switch {
	case file.Made == l.before.file:
		return 0, fmt.Errorf("pid file: process %d: it was written before the command was started", file.PID)
	case child && !l.before.has(file.PID):
		return file.PID, nil
	case child:
		return 0, fmt.Errorf("pid file: process %d: it was there before the command", file.PID)
	default:
		return 0, fmt.Errorf("pid file: process %d: it is not one that the command has left, whose parent has ended", file.PID)
	}
}
