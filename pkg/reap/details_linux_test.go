package reap

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// holder listens on all that it can, holds files open, tells what it listens on,
// to its descriptor 3, and lives until its input ends. Its arguments are a
// directory, where it goes, and the host for TCP and UDP.
var holder = newRole("holder", func(args []string) error {
	if err := os.Chdir(args[0]); err != nil {
		return err
	}
	// Files first, so that descriptors do not come in the order of the report.
	for name, flags := range map[string]int{"read": os.O_RDONLY, "log": os.O_APPEND | os.O_WRONLY, "gone": os.O_RDWR, "/dev/null": os.O_RDWR, "/proc/self/stat": os.O_RDONLY} {
		if _, err := unix.Open(name, flags|unix.O_CREAT|unix.O_CLOEXEC, 0o600); err != nil {
			return fmt.Errorf("open %s: %w", name, err)
		}
	}
	if err := os.Remove("gone"); err != nil {
		return err
	}
	if _, err := unix.MemfdCreate("memory", unix.MFD_CLOEXEC); err != nil {
		return err
	}
	if _, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	var tell strings.Builder
	var keep []any
	for _, on := range [][2]string{{"tcp4", args[1]}, {"tcp6", "[::]:0"}, {"unix", "x y.sock"}, {"unix", "@reap-test-" + strconv.Itoa(os.Getpid())}} {
		l, err := net.Listen(on[0], on[1])
		if on[0] == "tcp6" && err != nil {
			continue // there is no IPv6 here
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(&tell, "%s %s\n", strings.TrimRight(on[0], "46"), l.Addr())
		if host, _, _ := net.SplitHostPort(l.Addr().String()); host == "127.0.0.1" { // neither end of a connection listens
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				return err
			}
			accepted, err := l.Accept()
			if err != nil {
				return err
			}
			keep = append(keep, c, accepted)
		}
		keep = append(keep, l)
	}
	u, err := net.ListenPacket("udp4", args[1])
	if err != nil {
		return err
	}
	fmt.Fprintf(&tell, "udp %s\n", u.LocalAddr())
	if _, err := os.NewFile(3, "tell").WriteString(tell.String() + "\n"); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(keep)
	runtime.KeepAlive(u)
	return err
})

// hold starts a holder, which shares stdout and stderr with this process, and
// returns what it listens on. end lets it end.
func hold(t *testing.T, prepare func(*exec.Cmd), args ...string) (cmd *exec.Cmd, listens []string, end func()) {
	t.Helper()
	cmd = holder.command(t, args...)
	prepare(cmd)
	told, tell, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{tell}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tell.Close()
	lines := bufio.NewScanner(told)
	for lines.Scan() && lines.Text() != "" {
		listens = append(listens, lines.Text())
	}
	if len(listens) < 4 {
		t.Fatalf("it listens on %q, %v", listens, lines.Err())
	}
	return cmd, listens, func() {
		t.Helper()
		told.Close()
		_ = stdin.Close() // that is the end of it
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// ownDir is /proc/self, open until the end of the test.
func ownDir(t *testing.T) (dir int) {
	t.Helper()
	dir, err := unix.Open("/proc/self", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, dir)
	return dir
}

func TestDescribe(t *testing.T) {
	holder.used = true
	if !alone(t) {
		return
	}
	dir := t.TempDir()
	before, _ := new(Inspector).files(ownDir(t))
	cmd, listens, end := hold(t, func(*exec.Cmd) {}, dir, "127.0.0.1:0")
	defer end()
	d := new(Inspector).Describe(cmd.Process.Pid)
	if !slices.Equal(d.Args, cmd.Args) || d.Dir != dir {
		t.Errorf("%q in %s", d.Args, d.Dir)
	}
	slices.Sort(listens)
	slices.Sort(d.Listening)
	if !slices.Equal(d.Listening, listens) {
		t.Errorf("it listens on %q, got %q", listens, d.Listening)
	}
	// What the tests have been given by who started them comes to the holder too.
	given := make(map[string]bool)
	for _, f := range before {
		given[f.Path] = true
	}
	var got []string
	for _, f := range d.Files {
		if link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", cmd.Process.Pid, f.FD)); err != nil || link != f.Path {
			t.Errorf("%+v is %q, %v", f, link, err)
		}
		if f.Shared || !given[f.Path] {
			kind, _, _ := strings.Cut(f.Path, "[")
			got = append(got, fmt.Sprint(strings.TrimPrefix(kind, dir+"/"), " ", f.Write, " ", f.Shared))
		}
	}
	want := []string{
		"pipe: true true", "pipe: true true", "gone (deleted) true false", "log true false", "read false false",
		"pipe: false false", "pipe: true false", "socket: true false", "socket: true false", "socket: true false", "socket: true false",
	}
	if len(got) > 4 {
		slices.Sort(got[2:4]) // two logs, in the order of their descriptors
	}
	if len(d.Files) != MaxFiles || len(got) < 5 || !slices.Equal(got, want[:min(len(got), len(want))]) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if n := len(d.Files) + d.MoreFiles - len(want); n < 0 || n > len(given) {
		t.Errorf("%d named and %d more, of %d, and at most %d that were given", len(d.Files), d.MoreFiles, len(want), len(given))
	}
}

// A terminal or a file that the caller has as well is shared, one of the same name
// elsewhere is not.
func TestDescribeShared(t *testing.T) {
	if !alone(t) {
		return
	}
	dir := t.TempDir()
	open := func(name string) (fd int) {
		t.Helper()
		fd, err := unix.Open(filepath.Join(dir, name), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	first, second := open("a"), open("b")
	closeAtEnd(t, first)
	closeAtEnd(t, second)
	saved, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, saved)
	if err := unix.Dup3(first, 2, 0); err != nil {
		t.Fatal(err)
	}
	pid := mustStart(t, "sh", "-c", "exec 3<"+dir+"/a 4<"+dir+"/b; kill -STOP $$")
	awaitState(t, pid, "T")
	got := new(Inspector).Describe(pid).Files
	if err := unix.Dup3(saved, 2, 0); err != nil {
		t.Fatal(err)
	}
	shared := make(map[int]bool)
	for _, f := range got {
		shared[f.FD] = f.Shared
	}
	if !shared[2] || !shared[3] || shared[4] {
		t.Errorf("%+v", got)
	}
	i := Inspector{ready: true, own: []openFile{{path: dir + "/a", mount: "-1"}}}
	for _, f := range i.Describe(pid).Files {
		if f.Shared {
			t.Errorf("it is on another mount: %+v", f)
		}
	}
	mustSignal(t, pid, unix.SIGKILL)
	awaitReap(t, pid)
}

// The tables are read once for each network namespace; what listens there is
// found in it.
func TestDescribeNamespaces(t *testing.T) {
	holder.used = true
	if !alone(t) {
		return
	}
	here := func(*exec.Cmd) {}
	elsewhere := func(cmd *exec.Cmd) {
		inNamespace(cmd)
		cmd.SysProcAttr.Cloneflags = cmd.SysProcAttr.Cloneflags&^unix.CLONE_NEWPID | unix.CLONE_NEWNET
	}
	probe := exec.Command("true")
	elsewhere(probe)
	if err := probe.Run(); err != nil {
		cannot(t, "no network namespace on this machine: %v", err)
	}
	var i Inspector
	for n, prepare := range []func(*exec.Cmd){here, elsewhere, here, elsewhere} {
		cmd, listens, end := hold(t, prepare, t.TempDir(), "0.0.0.0:0")
		defer end() // not before: the kernel gives the number of a namespace away again
		d := i.Describe(cmd.Process.Pid)
		if n == 2 { // what came after the table was read
			if len(d.Listening) != 0 {
				t.Errorf("the table was read again: %q", d.Listening)
			}
			d = new(Inspector).Describe(cmd.Process.Pid)
		}
		slices.Sort(listens)
		slices.Sort(d.Listening)
		if !slices.Equal(d.Listening, listens) {
			t.Errorf("it listens on %q, got %q", listens, d.Listening)
		}
	}
	namespaces := make(map[string]bool)
	for key := range i.tables {
		namespaces[key.namespace] = true
	}
	if len(namespaces) != 3 {
		t.Errorf("of this namespace and two others: %v", namespaces)
	}
}

// Of many files some are named, and the rest counted.
func TestDescribeManyFiles(t *testing.T) {
	if !alone(t) {
		return
	}
	const files = maxDescriptors + 100
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < files+100 {
		cannot(t, "too few descriptors: %+v, %v", limit, err)
	}
	before := new(Inspector).Describe(os.Getpid())
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for range files {
		fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		closeAtEnd(t, fd)
	}
	d := new(Inspector).Describe(os.Getpid())
	had := len(before.Files) + before.MoreFiles
	// What is not looked at may be dull: the poller, and the directory that is read.
	if n := len(d.Files) + d.MoreFiles - had - files; len(d.Files) != MaxFiles || n < 1 || n > 4 {
		t.Errorf("%d named and %d more; %d before", len(d.Files), d.MoreFiles, had)
	}
}

// Who has ended, before or in the middle, has no details, and does harm to no
// other's.
func TestDescribeEnded(t *testing.T) {
	if !alone(t) {
		return
	}
	pid := mustStart(t, "sleep", "1000")
	dir, err := unix.Open("/proc/"+strconv.Itoa(pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, dir)
	var i Inspector
	files, _ := i.files(dir)
	mustSignal(t, pid, unix.SIGKILL)
	awaitState(t, pid, "Z")
	check := func(what string, d Details) {
		t.Helper()
		if d.Args != nil || d.Dir != "" || d.Listening != nil || len(d.Files) != 0 || d.MoreFiles != 0 {
			t.Errorf("%s: %+v", what, d)
		}
	}
	check("a zombie", i.Describe(pid))
	awaitReap(t, pid)
	check("nobody", i.Describe(pid))
	check("who has ended since", i.describe(dir))
	for _, pid := range []int{0, -1, 1 << 31} {
		check("no pid", i.Describe(pid))
	}
	socket := File{FD: 3, Path: "socket:[1]"}
	if others, listening := i.splitListening(dir, append(files, socket)); len(listening) != 0 || len(others) != len(files)+1 {
		t.Errorf("%+v, %q", others, listening)
	}
	if len(i.tables) != 0 {
		t.Errorf("tables of nobody were kept: %v", i.tables)
	}
	// At any moment.
	for range 50 {
		pid := mustStart(t, "true")
		for {
			i.Describe(pid)
			if _, ok := Reap(pid); ok {
				break
			}
		}
	}
}

// The other threads have what the first one has not any more.
func TestDescribeLeaderless(t *testing.T) {
	leaderless.used = true
	if !alone(t) {
		return
	}
	cmd := leaderless.command(t, "an argument")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitState(t, cmd.Process.Pid, "Z")
	d := new(Inspector).Describe(cmd.Process.Pid)
	if !slices.Equal(d.Args, cmd.Args) || d.Dir == "" || len(d.Files) == 0 {
		t.Errorf("%+v", d)
	}
	_ = stdin.Close()
	_ = cmd.Wait() // it exits with 5
}

// onlooker is somebody else: it tells what it can see of a process of root.
var onlooker = newRole("onlooker", func(args []string) error {
	const nobody = 65534
	if err := syscall.Setresuid(nobody, nobody, nobody); err != nil {
		return err
	}
	pid, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	d := new(Inspector).Describe(pid)
	fmt.Print(len(d.Args) > 0, d.Dir == "", len(d.Listening), len(d.Files), d.MoreFiles)
	return nil
})

func TestDescribeNotPermitted(t *testing.T) {
	if os.Getuid() != 0 {
		cannot(t, "only root can become somebody else")
	}
	if got := onlooker.run(t, strconv.Itoa(os.Getpid())); got != "true true 0 0 0" {
		t.Errorf("got %q", got)
	}
}

func BenchmarkDescribe(b *testing.B) {
	for b.Loop() {
		new(Inspector).Describe(os.Getpid())
	}
}

// closeAtEnd closes the descriptor when the test ends.
func closeAtEnd(t *testing.T, fd int) {
	t.Helper()
	t.Cleanup(func() {
		if err := unix.Close(fd); err != nil {
			t.Errorf("close %d: %v", fd, err)
		}
	})
}

// cannot skips a test that this machine has no means for, but in CI, where there
// must be every means.
func cannot(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("may not be skipped in CI: "+format, args...)
	}
	t.Skipf(format, args...)
}
