package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// show is one run of the demonstration. One goroutine does it all.
type show struct {
	out      io.Writer
	self     string // this program, to be started again in its roles
	reaper   string
	patience time.Duration
	sigs     chan os.Signal
	before   map[int]uint64 // what was below this process at the start, by pid: when it had started
	stdins   []*os.File     // of what was started: it ends when they are closed
	strays   []*process     // orphans that another process has adopted
	step     int            // the heading that was printed last
	err      error          // the first write that failed
}

// actor is a process that this one has started.
type actor struct {
	*os.Process
	stdin *os.File
}

// start starts a program that ends when this one does, by the end of its stdin.
func (s *show) start(path string, argv []string, sys *syscall.SysProcAttr) (*actor, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	defer r.Close() // the program has its own by then
	s.stdins = append(s.stdins, w)
	p, err := os.StartProcess(path, argv, &os.ProcAttr{
		Env: s.environ(), Files: []*os.File{r, os.Stdout, os.Stderr}, Sys: sys,
	})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	return &actor{p, w}, nil
}

// startParent starts this program in the role of a parent.
func (s *show) startParent(args ...string) (*actor, error) {
	return s.start(s.self, append([]string{s.name(), "parent"}, args...), nil)
}

// startReaper starts reaper with this program as its service.
//
// It gets a process group of its own, in the background. In the foreground it
// would hand the terminal to the service, and ^C would no longer come here.
func (s *show) startReaper(args ...string) (*actor, error) {
	argv := append([]string{filepath.Base(s.reaper), "--", s.name(), "service"}, args...)
	return s.start(s.reaper, argv, &syscall.SysProcAttr{Setpgid: true})
}

// name is what this program is called in the tables, without its directory.
func (s *show) name() string { return filepath.Base(s.self) }

// environ is the environment, with a PATH in which reaper finds this program by
// its name.
func (s *show) environ() []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "PATH=") })
	return append(env, "PATH="+filepath.Dir(s.self)+":"+os.Getenv("PATH"))
}

// end lets what was started end, and waits for it. It looks for the end first,
// because that can be interrupted, and has a deadline.
func (s *show) end(a *actor) (*os.ProcessState, error) {
	_ = a.stdin.Close() // a pipe; it cannot fail
	_, err := s.await(fmt.Sprintf("the end of process %d", a.Pid), func() ([]row, bool) {
		rows := tree(a.Pid)
		return rows, len(rows) == 0 || rows[0].Zombie()
	})
	if err != nil {
		return nil, err
	}
	return a.Wait()
}

// process is a handle on a process that this one did not start. Where the
// kernel has pidfds, it never means another one that was given the same pid.
type process struct {
	reap.Proc
	handle *os.Process
}

func open(p reap.Proc) (*process, error) {
	handle, err := os.FindProcess(p.PID)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", p.PID, err)
	}
	// The pid was still its own after the handle stood, so that is for it.
	if isGone(p) {
		_ = handle.Release()
		return nil, fmt.Errorf("open process %d: %w", p.PID, os.ErrProcessDone)
	}
	return &process{p, handle}, nil
}

func (p *process) signal(sig syscall.Signal) error {
	err := os.ErrProcessDone
	if !isGone(p.Proc) {
		err = p.handle.Signal(sig)
	}
	if err != nil {
		return fmt.Errorf("send %s to process %d: %w", unix.SignalName(sig), p.PID, err)
	}
	return nil
}

// isGone tells whether a process has ended and has been waited for: /proc has
// it no more, or something else by the same pid.
func isGone(p reap.Proc) bool {
	now, err := reap.ReadProc(p.PID)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
	}
	return now.Start != p.Start
}

// missed is the error when /proc never showed what was expected.
type missed struct {
	what string
	seen []row
}

func (m *missed) Error() string {
	if len(m.seen) == 0 {
		return "expected " + m.what + ", but saw no process"
	}
	return "expected " + m.what + ", but saw\n" + abridged(m.seen)
}

// await looks at /proc until it shows what is expected, and returns exactly the
// rows in which it did. The kernel tells nobody when somebody else's child
// becomes a zombie, so there is nothing to wait for but the next look.
func (s *show) await(what string, look func() (rows []row, ok bool)) ([]row, error) {
	return s.awaitFor(s.patience, what, look)
}

func (s *show) awaitFor(limit time.Duration, what string, look func() (rows []row, ok bool)) ([]row, error) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		rows, ok := look()
		switch {
		case s.err != nil:
			return nil, fmt.Errorf("tell what is seen: %w", s.err)
		case ok:
			return rows, nil
		}
		select {
		case sig := <-s.sigs:
			return nil, interrupted{sig.(syscall.Signal)}
		case <-deadline.C:
			return nil, &missed{what, rows}
		case <-tick.C:
		}
	}
}

// tree reads a process and all below it, each parent before its children. It is
// empty when the process is gone.
func tree(root int) []row {
	procs, err := below(root, func(reap.Proc) bool { return false })
	if err != nil {
		return nil
	}
	top, err := readRow(root)
	if err != nil {
		return nil
	}
	rows := []row{top}
	for _, p := range procs {
		if r, err := readRow(p.PID); err == nil {
			rows = append(rows, r)
		}
	}
	return rows
}

// below lists the processes below one, each parent before its children, without
// those that are to be skipped and what is below them.
func below(root int, skip func(reap.Proc) bool) ([]reap.Proc, error) {
	procs, err := reap.Procs()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []reap.Proc
	var walk func(parent int)
	walk = func(parent int) {
		for _, p := range procs {
			if p.PPID == parent && !skip(p) {
				found = append(found, p)
				walk(p.PID)
			}
		}
	}
	walk(root)
	return found, nil
}

// left lists what is to be ended: all below this process that was not there when
// it began, and the orphans that have gone elsewhere and have not ended yet.
func (s *show) left() ([]reap.Proc, error) {
	left, err := below(os.Getpid(), func(p reap.Proc) bool {
		start, known := s.before[p.PID]
		return known && start == p.Start
	})
	for _, stray := range s.strays {
		if now, err := reap.ReadProc(stray.PID); err == nil && now.Start == stray.Start && !now.Zombie() {
			left = append(left, now)
		}
	}
	return left, err
}

// cleanUp ends all that is left. It is not interrupted, but it does not last
// longer than patience.
func (s *show) cleanUp() error {
	// First of all, so that nothing can leave by losing its parent: the parent
	// ends with its stdin, its child perhaps not.
	if err := reap.BecomeSubreaper(); err != nil {
		return err
	}
	for _, stdin := range s.stdins {
		_ = stdin.Close() // it may be closed
	}
	s.sigs, s.err = nil, nil // play has told of them
	quiet := 0
	_, err := s.await("no process to be left", func() ([]row, bool) {
		left, err := s.left()
		var rows []row
		for _, p := range left {
			if r, err := readRow(p.PID); err == nil {
				rows = append(rows, r)
			}
			s.finish(p)
		}
		if quiet++; err != nil || len(left) > 0 {
			quiet = 0
		}
		// What was born while /proc was listed is in the next list.
		return rows, quiet > 1
	})
	return err
}

// finish kills a process, and waits for it if it is a child of this one.
func (s *show) finish(p reap.Proc) {
	handle, err := open(p)
	if err != nil {
		return // it has gone by itself
	}
	defer handle.handle.Release() // it may have been waited for
	switch {
	case !p.Zombie():
		_ = handle.signal(unix.SIGKILL) // it is looked at again
	case p.PPID == os.Getpid():
		_, _ = handle.handle.Wait() // likewise
	}
}
