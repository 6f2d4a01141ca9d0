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
	var file reap.PIDFile
	var err error
	if l.PIDFile != "" {
		file, err = l.Kernel.ReadPIDFile(l.PIDFile)
	}
	ev := event{kind: evSought}
	var children, others []reap.Proc
	for _, p := range l.below() {
		switch _, child := l.Kernel.Exited(p.PID); {
		case l.before.hasProc(p):
			continue
		case child && p.PPID == os.Getpid():
			children = append(children, p)
		default:
			others = append(others, p)
		}
		ev.count++
	}
	switch {
	case l.PIDFile == "":
		ev.pid, err = onlyOne(children)
	case err == nil:
		ev.pid, err = namedBy(file, l.before, children, others)
	default:
		ev.final = !errors.Is(err, fs.ErrNotExist)
	}
	if err != nil {
		ev.err = &FollowError{Err: err}
		if l.PIDFile == "" {
			ev.err = &FollowError{Candidates: children}
		}
	}
	l.step(ev)
}

var errNotOne = errors.New("not exactly one process")

// onlyOne is the one process that the command has left.
func onlyOne(children []reap.Proc) (int, error) {
	if len(children) != 1 {
		return 0, errNotOne
	}
	return children[0].PID, nil
}

// namedBy is the process that the pid file names, if it is one that the command has left
// and that has come to this process.
func namedBy(file reap.PIDFile, b before, children, others []reap.Proc) (int, error) {
	is := func(procs []reap.Proc) *reap.Proc {
		for i := range procs {
			if procs[i].PID == file.PID {
				return &procs[i]
			}
		}
		return nil
	}
	switch {
	case file.Made == b.file:
		return 0, fmt.Errorf("pid file: process %d: it was written before the command was started", file.PID)
	case is(children) != nil:
		return file.PID, nil
	}
	if p := is(others); p != nil {
		return 0, fmt.Errorf("pid file: process %d: it is a child of %d, which has not ended", p.PID, p.PPID)
	}
	return 0, fmt.Errorf("pid file: process %d: it is none that the command has left", file.PID)
}
