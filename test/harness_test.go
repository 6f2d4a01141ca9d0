package test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// patience is how long a test waits for an event before it gives up. Nothing
// here waits for time to pass: it waits for a line, a state or an end.
const patience = 60 * time.Second

// The programs under test, built once by TestMain.
var (
	reaperBin string // as make build makes it; with the race detector in a -race run
	plainBin  string // as a plain go build makes it
	probeBin  string
)

// exact reports whether reaperBin has its own entry point, so that signals and
// limits come through exactly. A binary with the race detector has not.
func exact() bool { return !raceEnabled }

func needExact(t testing.TB) {
	t.Helper()
	if !exact() {
		t.Skip("a binary with the race detector is linked by the C linker and has no entry point of its own")
	}
}

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	takeNoIgnored()
	if raceEnabled { // else each program with the race detector sleeps for a second at its end
		os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0")
	}
	dir, err := os.MkdirTemp("", "reaper-test-")
	if err != nil {
		return fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return fatal(err)
	}
	reaperBin, plainBin, probeBin = filepath.Join(dir, "reaper"), filepath.Join(dir, "plain"), filepath.Join(dir, "probe")
	target := "build"
	if raceEnabled {
		target = "build-race"
	}
	for _, build := range [][]string{
		{"make", "-s", "-C", "..", target, "BIN=" + reaperBin},
		{"make", "-s", "-C", "..", "build-plain", "BIN=" + plainBin},
		{"go", "build", "-buildvcs=false", "-o", probeBin, "./probe"},
	} {
		if out, err := exec.Command(build[0], build[1:]...).CombinedOutput(); err != nil {
			return fatal(fmt.Errorf("%s: %w\n%s", strings.Join(build, " "), err, out))
		}
	}
	// What the tests lose comes to this process, where the check below sees it.
	if err := reap.BecomeSubreaper(); err != nil {
		return fatal(err)
	}
	code := m.Run()
	if left := descendants(os.Getpid()); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "the tests left processes behind:\n")
		for _, p := range left {
			args, _ := reap.CommandLine(p.PID)
			fmt.Fprintf(os.Stderr, "  %d %c %s %q\n", p.PID, p.State, p.Name, args)
		}
		return 1
	}
	return code
}

// takeNoIgnored has every signal at its default action that whoever runs the
// tests has ignored, as a shell without job control does with INT and QUIT of
// what it starts in the background: the programs under test would inherit that.
func takeNoIgnored() {
	const sigIgn = 1
	for sig := uintptr(1); sig <= reap.NumSignals; sig++ {
		var action, byDefault [4]uint64
		unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, 0, uintptr(unsafe.Pointer(&action)), 8, 0, 0)
		if action[0] == sigIgn {
			unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0)
		}
	}
}

func fatal(err error) int {
	fmt.Fprintln(os.Stderr, "test:", err)
	return 1
}

// A place is where reaper runs.
type place struct {
	name string
	pid1 bool
	proc bool // with a /proc of its own, as a container has it
}

var (
	asSubreaper = place{name: "subreaper"}
	asPID1      = place{name: "pid1", pid1: true}
	inContainer = place{name: "container", pid1: true, proc: true}
	bothPlaces  = []place{asSubreaper, asPID1}
	// Where the tree is read, it makes a difference whether PID 1 has a /proc.
	realPlaces = []place{asSubreaper, inContainer}
	allPlaces  = []place{asSubreaper, asPID1, inContainer}
)

// inPlaces runs the test as subreaper and as PID 1 of a pid namespace.
func inPlaces(t *testing.T, run func(t *testing.T, at place)) {
	t.Helper()
	inEach(t, bothPlaces, run)
}

func inEach(t *testing.T, places []place, run func(t *testing.T, at place)) {
	t.Helper()
	for _, at := range places {
		t.Run(at.name, func(t *testing.T) {
			at.need(t)
			run(t, at)
		})
	}
}

// need skips the test where this machine cannot make such a place.
func (at place) need(t testing.TB) {
	t.Helper()
	if at.pid1 && namespaceError() != nil {
		cannot(t, "no pid namespace on this machine: %v", namespaceError())
	}
	if at.proc && procError() != nil {
		cannot(t, "no /proc can be mounted on this machine: %v", procError())
	}
}

// cannot skips a test that this machine has no means for. In CI there must be
// every means, so that no test is left out for good without anybody seeing it.
func cannot(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("may not be skipped in CI: "+format, args...)
	}
	t.Skipf(format, args...)
}

var namespaceError = sync.OnceValue(func() error {
	cmd := exec.Command("/bin/true")
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	asPID1.set(cmd.SysProcAttr)
	return cmd.Run()
})

var procError = sync.OnceValue(func() error {
	program, args := inContainer.by("/bin/true", nil)
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	inContainer.set(cmd.SysProcAttr)
	return cmd.Run()
})

// by is the command line that makes the place from inside.
func (at place) by(program string, args []string) (string, []string) {
	if !at.proc {
		return program, args
	}
	return "/bin/sh", append([]string{"-c", `mount -t proc proc /proc && exec "$@"`, "sh", program}, args...)
}

// set asks for the namespace; without privileges, for a user namespace too.
func (at place) set(attr *syscall.SysProcAttr) {
	if !at.pid1 {
		return
	}
	attr.Cloneflags |= unix.CLONE_NEWPID
	if at.proc {
		attr.Unshareflags |= unix.CLONE_NEWNS // here the kernel makes it private
	}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
}

// A session is one program under test, with its streams.
type session struct {
	t      testing.TB
	cmd    *exec.Cmd
	pid    int // as seen from here
	stdin  io.WriteCloser
	stdout *lines
	stderr *lines
	waited bool
	status reap.Status
}

// launch starts reaper with the arguments. prepare, if not nil, changes the
// command before.
func launch(t testing.TB, at place, prepare func(*exec.Cmd), args ...string) *session {
	t.Helper()
	return launchProgram(t, at, prepare, reaperBin, args...)
}

// launchProgram starts any program in the place of reaper.
func launchProgram(t testing.TB, at place, prepare func(*exec.Cmd), program string, args ...string) *session {
	t.Helper()
	at.need(t)
	program, args = at.by(program, args)
	cmd := exec.Command(program, args...)
	// In a session of its own: the terminal of whoever runs the tests is not ours.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	at.set(cmd.SysProcAttr)
	s := &session{t: t, cmd: cmd}
	stdinRead, stdinWrite := pipe(t)
	stdoutRead, stdoutWrite := pipe(t)
	stderrRead, stderrWrite := pipe(t)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdinRead, stdoutWrite, stderrWrite
	s.stdin = stdinWrite
	if prepare != nil {
		prepare(cmd)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	s.pid = cmd.Process.Pid
	running[s.pid] = true
	for _, f := range []*os.File{stdinRead, stdoutWrite, stderrWrite} {
		f.Close()
	}
	s.stdout, s.stderr = readLines(stdoutRead), readLines(stderrRead)
	t.Cleanup(s.cleanUp)
	return s
}

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// cleanUp ends what the test left running, by pid, until nothing is left below
// the session and no orphan of it has come to the test.
func (s *session) cleanUp() {
	s.stdin.Close()
	if !s.waited {
		for _, p := range append(descendants(s.pid), reap.Proc{PID: s.pid}) {
			unix.Kill(p.PID, unix.SIGKILL)
		}
		s.wait()
	}
	reapOrphans(s.t)
}

// reapOrphans ends and reaps what came to the test process by adoption. No test
// here runs in parallel, so whatever is left is the last one's.
func reapOrphans(t testing.TB) {
	t.Helper()
	eventually(t, "no orphan is left", func() bool {
		left := 0
		for _, p := range children(os.Getpid()) {
			if running[p.PID] {
				continue
			}
			left++
			if !p.Zombie() {
				unix.Kill(p.PID, unix.SIGKILL)
			}
			unix.Wait4(p.PID, nil, unix.WNOHANG, nil)
		}
		return left == 0
	})
}

// running holds the pids that a session will wait for itself.
var running = make(map[int]bool)

// signal sends a signal to reaper.
func (s *session) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := unix.Kill(s.pid, sig); err != nil {
		s.t.Fatalf("send %v to %d: %v", sig, s.pid, err)
	}
}

// wait waits for the end of reaper and returns its status.
func (s *session) wait() reap.Status {
	s.t.Helper()
	if s.waited {
		return s.status
	}
	done := make(chan error, 1)
	go func() { done <- s.cmd.Wait() }()
	select {
	case err := <-done:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			s.t.Fatalf("wait for %d: %v", s.pid, err)
		}
	case <-time.After(patience):
		s.t.Errorf("%s did not end; its tree:\n%s\nstderr:\n%s", s.cmd, table(s.pid), s.stderr)
		for _, p := range descendants(s.pid) {
			unix.Kill(p.PID, unix.SIGKILL)
		}
		s.cmd.Process.Kill()
		<-done
	}
	s.waited = true
	delete(running, s.pid)
	s.status = reap.Status(s.cmd.ProcessState.Sys().(syscall.WaitStatus))
	return s.status
}

// wantCode waits for the end and checks the exit code.
func (s *session) wantCode(code int) {
	s.t.Helper()
	if got := s.wait(); got != reap.ExitStatus(code) {
		s.t.Errorf("%s: got %v, want exit %d\nstdout: %s\nstderr: %s", s.cmd, got, code, s.stdout, s.stderr)
	}
}

// expect waits for a line of stdout that starts with prefix, and returns the
// rest of it.
func (s *session) expect(prefix string) string {
	s.t.Helper()
	rest, ok := s.stdout.await(prefix)
	if !ok {
		s.t.Fatalf("%s never printed %q\nstdout: %s\nstderr: %s", s.cmd, prefix, s.stdout, s.stderr)
	}
	return rest
}

// command is the process that reaper runs, as seen from here.
func (s *session) command() reap.Proc {
	s.t.Helper()
	var main reap.Proc
	eventually(s.t, "the command runs", func() bool {
		for _, p := range children(s.pid) {
			main = p
			return true
		}
		return false
	})
	return main
}

// lines collects the lines of a stream and lets tests wait for one.
type lines struct {
	mu   sync.Mutex
	more *sync.Cond
	all  []string
	next int // what await has not looked at
	end  bool
	eof  chan struct{}
}

func readLines(r *os.File) *lines {
	l := &lines{eof: make(chan struct{})}
	l.more = sync.NewCond(&l.mu)
	go func() {
		in := bufio.NewReader(r)
		for {
			line, err := in.ReadString('\n')
			l.mu.Lock()
			if line != "" {
				l.all = append(l.all, strings.TrimSuffix(line, "\n"))
			}
			l.end = err != nil
			l.more.Broadcast()
			l.mu.Unlock()
			if err != nil {
				close(l.eof)
				return
			}
		}
	}()
	return l
}

func (l *lines) await(prefix string) (rest string, ok bool) {
	alarm := time.AfterFunc(patience, func() {
		l.mu.Lock()
		l.end = true
		l.more.Broadcast()
		l.mu.Unlock()
	})
	defer alarm.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		for l.next < len(l.all) {
			line := l.all[l.next]
			l.next++
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return rest, true
			}
		}
		if l.end {
			return "", false
		}
		l.more.Wait()
	}
}

// awaitText waits until the stream has had the text.
func (l *lines) awaitText(t testing.TB, text string) {
	t.Helper()
	for !strings.Contains(l.String(), text) {
		if _, ok := l.await(""); !ok {
			t.Fatalf("never printed %q, but\n%s", text, l)
		}
	}
}

// rest waits for the end of the stream and returns all of it.
func (l *lines) rest() []string {
	select {
	case <-l.eof:
	case <-time.After(patience):
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.all...)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

// eventually waits until the condition holds. It looks again and again, because
// the kernel tells nobody when a process becomes a zombie of another.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s; the tree:\n%s", what, table(os.Getpid()))
		}
	}
}

// children are the processes whose parent is pid.
func children(pid int) []reap.Proc {
	procs, _ := reap.Procs()
	var found []reap.Proc
	for _, p := range procs {
		if p.PPID == pid {
			found = append(found, p)
		}
	}
	return found
}

// descendants are all processes below pid.
func descendants(pid int) []reap.Proc {
	procs, _ := reap.Procs()
	below := map[int]bool{pid: true}
	var found []reap.Proc
	for grown := true; grown; {
		grown = false
		for _, p := range procs {
			if below[p.PPID] && !below[p.PID] {
				below[p.PID], grown = true, true
				found = append(found, p)
			}
		}
	}
	return found
}

// commandOf is the command name of a process.
func commandOf(pid int) string {
	p, _ := reap.ReadProc(pid)
	return p.Name
}

// zombies counts the zombies whose parent is pid.
func zombies(pid int) int {
	n := 0
	for _, p := range children(pid) {
		if p.Zombie() {
			n++
		}
	}
	return n
}

// table is the tree below pid, for a message.
func table(pid int) string {
	var out bytes.Buffer
	for _, p := range descendants(pid) {
		args, _ := reap.CommandLine(p.PID)
		fmt.Fprintf(&out, "  %c ppid %d pid %d pgid %d sid %d %s %q\n", p.State, p.PPID, p.PID, p.PGID, p.Session, p.Name, args)
	}
	return out.String()
}

// burn passes the given number of microseconds without giving up the processor:
// it places an event at a moment, it does not wait for one.
func burn(microseconds int) {
	end := time.Now().Add(time.Duration(microseconds) * time.Microsecond)
	for now := time.Now(); now.Before(end); now = time.Now() {
		continue
	}
}
