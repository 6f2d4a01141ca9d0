package supervise

import (
	"os"
	"syscall"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
)

// Kernel is everything that the loop asks of the system. Only the goroutine
// that called [Supervisor.Run] calls it. Tests put a fake in its place.
type Kernel interface {
	// Start starts the command; the errors are those of [reap.Start].
	Start(*Config) (pid int, err error)
	// StartProbe starts the health check that is a command.
	StartProbe(*Config) (pid int, err error)
	// Drain reaps all that has exited, see [reap.Drain]. With a child held, that is
	// not 0, it ends when it comes to that child, and leaves it.
	Drain(exits []reap.Exit, held int) (_ []reap.Exit, more bool, err error)
	// SetChildSignal switches SIGCHLD off and on, see [reap.ChildSignal].
	SetChildSignal(on bool) error
	// Exited tells whether a child waits to be reaped, see [reap.Exited].
	Exited(pid int) (exited, child bool)
	// Signal and SignalGroup send, see [reap.Signal].
	Signal(pid int, sig syscall.Signal) (sent bool, err error)
	SignalGroup(pgid int, sig syscall.Signal) (sent bool, err error)
	// GroupOf is the process group of a child, 0 if that is the group of this process.
	GroupOf(pid int) int
	// ReadPIDFile reads a pid file, see [reap.ReadPIDFile].
	ReadPIDFile(path string) (reap.PIDFile, error)
	// JobChange tells whether pid was stopped or continued, see [reap.JobChange].
	JobChange(pid int) (reap.JobState, syscall.Signal)
	// Terminal is how the controlling terminal stands now. If the group that had
	// it has ended, and there is no shell to take it, it falls to reaper's own.
	Terminal() Terminal
	// SetForeground gives the terminal to a process group.
	SetForeground(pgid int) error
	// StopGroup stops this process and its group, and returns when it goes on.
	StopGroup(syscall.Signal) error
	// ContinueGroup continues this process's group.
	ContinueGroup() error
	// StopSelf stops this process until it is continued, see [reap.StopSelf].
	StopSelf() error

	// Descendants reads the tree, see [reap.Descendants]. Children tells of the
	// children alone, where /proc cannot be read, see [reap.ChildPIDs].
	Descendants() ([]reap.Proc, error)
	Children() []reap.Proc
	// SignalDescendant and KillDescendants send, see [reap.SignalDescendant].
	SignalDescendant(p reap.Proc, sigs ...syscall.Signal) (sent bool, err error)
	KillDescendants(known []reap.Proc) (killed []reap.Proc, err error)
	// CommandLine and Describe read what can be read of a process.
	CommandLine(pid int) []string
	Describe(pid int) reap.Details
	// Uptime is the clock that Proc.Start counts by.
	Uptime() time.Duration
}

// system is the real kernel.
type system struct {
	tty   *reap.Terminal
	own   int  // our process group
	names bool // Config.NameOrphans
	chld  reap.ChildSignal

	inspector reap.Inspector
}

// NewKernel is the system that this process runs on. It looks for the
// controlling terminal once.
func NewKernel() Kernel {
	return &system{tty: reap.OpenTerminal(), own: syscall.Getpgrp()}
}

func (s *system) Start(c *Config) (int, error) {
	s.names = c.NameOrphans
	cmd := reap.Command{
		Args: c.Args, Env: c.Env, Inherited: c.Inherited, Attributes: c.Attributes, Stdout: c.Stdout, Stderr: c.Stderr, ParentDeath: c.ChildParentDeath,
		Group: c.Placement, ListenPID: c.ListenPID,
	}
	if c.Placement == reap.OwnGroup && s.tty != nil && s.tty.Foreground() == s.own && interactive() {
		cmd.Terminal = s.tty
	}
	pid, err := reap.Start(cmd)
	if err != nil && cmd.Terminal != nil {
		// The child may have got as far as taking the terminal.
		_ = s.tty.SetForeground(s.own) // the start has failed already
	}
	return pid, err
}

func (s *system) StartProbe(c *Config) (int, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	return reap.Start(reap.Command{
		Args: []string{"/bin/sh", "-c", c.HealthCommand}, Env: c.Env, Inherited: c.Inherited, Attributes: c.Attributes,
		Stdin: null, Stdout: null, Stderr: null, Group: reap.OwnGroup,
	})
}

// interactive reports whether the terminal is where the command reads and
// writes. If not, others in reaper's group may need it: the pager of a pipeline,
// or the script that started reaper with & and so with /dev/null to read (POSIX,
// Shell Command Language, Asynchronous AND-OR Lists). Where their group is
// orphaned the kernel answers them with EIO, and reaper would never learn of it.
// The command gets the terminal all the same once it uses it.
func interactive() bool {
	null, _ := os.Stat(os.DevNull)
	for _, stream := range []*os.File{os.Stdin, os.Stdout} {
		info, err := stream.Stat()
		if err != nil || info.Mode()&os.ModeCharDevice == 0 || null != nil && os.SameFile(info, null) {
			return false
		}
	}
	return true
}

func (s *system) Drain(exits []reap.Exit, held int) ([]reap.Exit, bool, error) {
	for s.names || held != 0 { // one by one
		pid, ok := reap.Peek()
		if !ok {
			break
		}
		if pid == held {
			return exits, true, nil
		}
		name := s.nameOf(pid)
		exit, ok := reap.Reap(pid)
		if !ok {
			break
		}
		exit.Name = name
		exits = append(exits, exit)
	}
	if held != 0 {
		if _, child := reap.Exited(held); child {
			return exits, true, nil
		}
	}
	return reap.Drain(exits)
}

// nameOf is the name of a child that has exited. There is none without /proc, or with
// that of another pid namespace.
func (s *system) nameOf(pid int) string {
	if !s.names {
		return ""
	}
	p, err := reap.ReadProc(pid)
	if err != nil || p.PPID != os.Getpid() || !p.Zombie() {
		return ""
	}
	return p.Name
}

func (s *system) SetChildSignal(on bool) error {
	if on {
		return s.chld.On()
	}
	return s.chld.Off()
}

func (s *system) Exited(pid int) (exited, child bool) { return reap.Exited(pid) }

func (s *system) Signal(pid int, sig syscall.Signal) (bool, error) { return reap.Signal(pid, sig) }

func (s *system) SignalGroup(pgid int, sig syscall.Signal) (bool, error) {
	return reap.SignalGroup(pgid, sig)
}

func (s *system) GroupOf(pid int) int {
	if pgid := reap.GroupOf(pid); pgid != s.own {
		return pgid
	}
	return 0
}

func (s *system) ReadPIDFile(path string) (reap.PIDFile, error) { return reap.ReadPIDFile(path) }

func (s *system) JobChange(pid int) (reap.JobState, syscall.Signal) {
	return reap.JobChange(pid)
}

func (s *system) Terminal() Terminal {
	if s.tty == nil {
		return Terminal{}
	}
	foreground, orphaned := s.tty.Foreground(), reap.GroupOrphaned()
	if foreground < 0 {
		return Terminal{}
	}
	if inUse, err := reap.SignalGroup(foreground, 0); orphaned && err == nil && !inUse {
		if s.tty.SetForeground(s.own) == nil {
			foreground = s.own
		}
	}
	return Terminal{Present: true, Foreground: foreground, Own: s.own, Orphaned: orphaned}
}

func (s *system) SetForeground(pgid int) error { return s.tty.SetForeground(pgid) }

func (s *system) StopGroup(sig syscall.Signal) error { return reap.StopGroup(sig) }

func (s *system) ContinueGroup() error { return reap.ContinueGroup() }

func (s *system) StopSelf() error { return reap.StopSelf() }

func (s *system) Descendants() ([]reap.Proc, error) { return reap.Descendants() }

func (s *system) Children() []reap.Proc {
	var procs []reap.Proc
	for _, pid := range reap.ChildPIDs() {
		procs = append(procs, reap.Proc{PID: pid, PPID: os.Getpid()})
	}
	return procs
}

func (s *system) SignalDescendant(p reap.Proc, sigs ...syscall.Signal) (bool, error) {
	return reap.SignalDescendant(p, sigs...)
}

func (s *system) KillDescendants(known []reap.Proc) ([]reap.Proc, error) {
	return reap.KillDescendants(known)
}

func (s *system) CommandLine(pid int) []string {
	args, _ := reap.CommandLine(pid) // it may have ended
	return args
}

func (s *system) Describe(pid int) reap.Details { return s.inspector.Describe(pid) }

func (s *system) Uptime() time.Duration { return reap.Uptime() }
