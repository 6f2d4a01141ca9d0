package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// patience is how long something may take that is to happen. The load has less of it,
// so that it is the load that tells what it has missed.
const patience = 3 * time.Minute

// place is where the inits run.
type place struct {
	pid1 bool // of a new pid namespace, with a /proc of its own
	user bool // which takes a user namespace as well
}

func (at place) String() string {
	switch {
	case at.user:
		return "PID 1 of a pid and user namespace"
	case at.pid1:
		return "PID 1 of a pid namespace"
	default:
		return "a subreaper"
	}
}

func (at place) attr() *syscall.SysProcAttr {
	// In a session of its own: the terminal is not theirs, nor its ^C.
	attr := &syscall.SysProcAttr{Setsid: true, Pdeathsig: unix.SIGKILL}
	if at.pid1 {
		attr.Cloneflags |= unix.CLONE_NEWPID
		attr.Unshareflags |= unix.CLONE_NEWNS
	}
	if at.user {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	return attr
}

// session is an init that runs, with the load as its command.
type session struct {
	*os.Process
	peer    *peer
	waited  bool
	ctx     context.Context //nolint:containedctx // of the bench
	release func() bool     // from the context
	stdin   *os.File
	stdout  *os.File
	in      *bufio.Reader
	dir     string
}

// start starts an init that runs the load in a role.
func (b *bench) start(p *peer, role ...string) (*session, error) {
	dir, err := os.MkdirTemp(b.dir, "session-")
	if err != nil {
		return nil, err
	}
	scan := filepath.Join(dir, "scan")
	if err := os.Mkdir(scan, 0o755); err != nil {
		return nil, err
	}
	argv, err := p.argv(b.at, scan, append([]string{b.load}, role...))
	if err != nil {
		return nil, err
	}
	proc := "0"
	if b.at.pid1 {
		proc = "1"
	}
	s := &session{peer: p, dir: dir}
	if err := s.exec(b, append([]string{b.load, "enter", proc}, argv...)); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	return s, nil
}

func (s *session) exec(b *bench, argv []string) error {
	stdin, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdin.Close()
	out, stdout, err := os.Pipe()
	if err != nil {
		return errors.Join(err, in.Close())
	}
	defer stdout.Close()
	stderr, err := os.Create(filepath.Join(s.dir, "stderr"))
	if err != nil {
		return errors.Join(err, in.Close(), out.Close())
	}
	defer stderr.Close()
	s.Process, err = os.StartProcess(argv[0], argv, &os.ProcAttr{
		Env: []string{"PATH=" + os.Getenv("PATH")}, Files: []*os.File{stdin, stdout, stderr}, Sys: b.at.attr(),
	})
	if err != nil {
		return errors.Join(err, in.Close(), out.Close())
	}
	s.stdin, s.stdout, s.in = in, out, bufio.NewReader(out)
	s.ctx = b.ctx
	s.release = context.AfterFunc(b.ctx, func() {
		_ = s.Kill()                        // it may have ended
		_ = out.SetReadDeadline(time.Now()) // the load has it open and may live on
	})
	return nil
}

// expect reads the next line, which begins with the word, and is the numbers behind it.
func (s *session) expect(word string) ([]float64, error) {
	if err := s.stdout.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if err := s.ctx.Err(); err != nil { // it was not in time to end the wait below
		return nil, err
	}
	line, err := s.in.ReadString('\n')
	if err != nil {
		return nil, s.fail(fmt.Errorf("wait for %q: %w", word, err))
	}
	numbers, err := parseLine(line, word)
	if err != nil {
		return nil, s.fail(err)
	}
	return numbers, nil
}

// parseLine reads what the load tells: a word and numbers.
func parseLine(line, word string) ([]float64, error) {
	fields := strings.Fields(line)
	if len(fields) == 0 || fields[0] != word {
		return nil, fmt.Errorf("expected %q, not %q", word, strings.TrimSpace(line))
	}
	numbers := make([]float64, 0, len(fields)-1)
	for _, field := range fields[1:] {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return nil, fmt.Errorf("read %q: %w", word, err)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// fail adds what the init and the load have said.
func (s *session) fail(err error) error {
	said, readErr := os.ReadFile(filepath.Join(s.dir, "stderr"))
	if readErr == nil && len(said) > 0 {
		err = fmt.Errorf("%w; stderr: %s", err, strings.TrimSpace(string(said)))
	}
	return fmt.Errorf("%s: %w", s.peer.name, err)
}

// ready waits until the load can begin.
func (s *session) ready() error {
	_, err := s.expect("ready")
	return err
}

// begin has the load begin.
func (s *session) begin() error {
	if _, err := s.stdin.Write([]byte{'\n'}); err != nil {
		return s.fail(fmt.Errorf("begin: %w", err))
	}
	return nil
}

// wait waits for the end of the init.
func (s *session) wait() error {
	alarm := time.AfterFunc(patience, func() { _ = s.Kill() }) // it may have ended
	defer alarm.Stop()
	s.waited = true
	state, err := s.Wait()
	if err == nil && !state.Success() {
		err = s.fail(fmt.Errorf("ended with %v", state))
	}
	return err
}

// end ends the init. Of the processes below it, those go with it that are in its pid
// namespace.
func (s *session) end() {
	s.release()
	if !s.waited {
		_ = s.Kill() // it may have ended
		_, _ = s.Wait()
	}
	s.stdin.Close()
	s.stdout.Close()
	_ = os.RemoveAll(s.dir) // the whole directory goes at the end
}

// sweep ends what is still below this process, but for what was there at the beginning.
// No session may be open: it waits for any child.
func (b *bench) sweep() error {
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		left, err := b.left()
		if err != nil {
			return err
		}
		if len(left) == 0 {
			return nil
		}
		for _, p := range left {
			if p.Zombie() && p.PPID == os.Getpid() {
				reap.Reap(p.PID)
			} else if _, err := reap.SignalDescendant(p, unix.SIGKILL); err != nil {
				return err
			}
		}
		time.Sleep(time.Millisecond)
	}
	return errors.New("processes are left that cannot be killed")
}

// left lists the processes below this one that have come after its start.
func (b *bench) left() ([]reap.Proc, error) {
	procs, err := reap.Descendants()
	if err != nil {
		return nil, err
	}
	exited, err := reap.ExitedChildren()
	if err != nil {
		return nil, err
	}
	var left []reap.Proc
	for _, p := range append(procs, exited...) {
		if start, known := b.before[p.PID]; !known || start != p.Start {
			left = append(left, p)
		}
	}
	return left, nil
}
