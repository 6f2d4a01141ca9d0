package output

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// plainFD is a writer by write(2) alone.
type plainFD int

func (fd plainFD) Write(data []byte) (int, error) { return unix.Write(int(fd), data) }

// raisedBy returns those of the signals that come to this process while f runs.
func raisedBy(t *testing.T, f func(), sigs ...os.Signal) (came []os.Signal) {
	t.Helper()
	ch := make(chan os.Signal, 10)
	signal.Notify(ch, append(sigs, unix.SIGWINCH)...)
	defer signal.Stop(ch)
	f()
	// os/signal hands over what is pending in the order of the numbers, WINCH last.
	if err := unix.Kill(os.Getpid(), unix.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	for {
		sig := <-ch
		if sig == unix.SIGWINCH {
			return came
		}
		came = append(came, sig)
	}
}

// The SIGPIPE of lines that nobody reads does not come back, to be forwarded to the
// command (pitfalls 46 and 56). Each new line is tried, and at the end what was lost
// is told.
func TestNobodyReads(t *testing.T) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1]) //nolint:errcheck // it is open
	if err := unix.Close(fds[0]); err != nil {
		t.Fatal(err)
	}
	came := raisedBy(t, func() {
		c := run(t, Config{Prefixed: plainFD(fds[1])}, never)
		c.print(t, Stdout, "a line\n")
		if e := <-c.Events(); e.Kind != Failed || !errors.Is(e.Err, syscall.EPIPE) {
			t.Errorf("%+v", e)
		}
		c.print(t, Stdout, "another\n")
		eventually(t, "it is tried again", func() bool { return c.Stats().To[ToPrefixed].Failures > 1 })
		if err := c.Close(context.Background()); !errors.Is(err, syscall.EPIPE) || !strings.Contains(err.Error(), "write prefixed: 2 lines (15 bytes) lost: ") {
			t.Errorf("%v", err)
		}
	}, unix.SIGPIPE)
	if len(came) > 0 {
		t.Errorf("%v came", came)
	}
	// The same with what is raw.
	came = raisedBy(t, func() {
		c := run(t, Config{Stdout: plainFD(fds[1]), Stderr: plainFD(fds[1])}, never)
		c.print(t, Stderr, "a line\n")
		if err := c.Close(context.Background()); !errors.Is(err, syscall.EPIPE) || !strings.Contains(err.Error(), "write stdout: 1 line (7 bytes) lost: ") {
			t.Errorf("%v", err)
		}
	}, unix.SIGPIPE)
	if len(came) > 0 {
		t.Errorf("%v came", came)
	}
	// The control: any other write raises it.
	came = raisedBy(t, func() { _, _ = plainFD(fds[1]).Write([]byte("x")) }, unix.SIGPIPE)
	if len(came) != 1 {
		t.Errorf("a write to a broken pipe raised %v, so this test proves nothing", came)
	}
}

// A limit on the size of files is a full disk, without a signal.
var limited = newRole("limited", func(args []string) error {
	const limit = 100_000
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		return err
	}
	sigs := make(chan os.Signal, 10)
	signal.Notify(sigs, syscall.SIGXFSZ)
	c, err := Open(Config{File: args[0]})
	if err != nil {
		return err
	}
	if _, err := c.ends[Stdout].Write(numbered(2 * limit)); err != nil {
		return err
	}
	e := <-c.Events()
	err = c.Close(context.Background())
	select {
	case sig := <-sigs:
		return fmt.Errorf("%v came", sig)
	default:
	}
	if !errors.Is(e.Err, syscall.EFBIG) || !errors.Is(err, syscall.EFBIG) || c.Stats().To[ToFile].Written != limit {
		return fmt.Errorf("event %+v, close %w, %+v", e, err, c.Stats())
	}
	// The control: any other write raises it.
	f, err := os.OpenFile(args[0], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if n, err := f.WriteString("x"); !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("wrote %d, %w", n, err)
	}
	<-sigs
	return nil
})

func TestLimitOfFileSize(t *testing.T) {
	if out, err := limited.command(t, filepath.Join(t.TempDir(), "log")).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// A disk that is full for a while. What the queue holds is written when there is room
// again, without a torn line.
var crowded = newRole("crowded", func(args []string) error {
	dir := args[0]
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := syscall.Mount("output", dir, "tmpfs", 0, "size=1m"); err != nil {
		return err
	}
	ballast, path := filepath.Join(dir, "ballast"), filepath.Join(dir, "log")
	if err := os.WriteFile(ballast, make([]byte, 700_000), 0o600); err != nil {
		return err
	}
	c, err := Open(Config{File: path, MaxSize: 150_000, Keep: 2, Compress: args[1] == "compress"})
	if err != nil {
		return err
	}
	var text []byte // that does not become smaller
	for n := range 6000 {
		text = append(append(text, randomBytes()[n*100:n*100+100]...), '\n')
	}
	if _, err := c.ends[Stdout].Write(text); err != nil {
		return err
	}
	e := <-c.Events()
	if e.Kind != Failed {
		return fmt.Errorf("%+v", e)
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	if _, err := c.ends[Stdout].WriteString("more\n"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		return err
	}
	text = append(text, "more\n"...)
	stats := c.Stats().To[ToFile]
	if stats.lost() != (Count{}) || stats.Written != uint64(len(text)) {
		return fmt.Errorf("%+v", stats)
	}
	t := &testing.T{}
	all, files := rotated(t, path)
	if !strings.HasSuffix(string(text), string(all)) || len(files) != 3 || t.Failed() {
		return fmt.Errorf("%d bytes in %q", len(all), files)
	}
	return nil
})

func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		cannot(t, "only root can mount a file system")
	}
	for _, how := range []string{"plain", "compress"} {
		cmd := crowded.command(t, t.TempDir(), how)
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", how, err, out)
		}
	}
}

// Without a file to put aside, output is kept until there is one again: nothing is lost
// and no line is torn.
func TestRotationFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	path := filepath.Join(dir, "log")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(dir+".away", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	c := run(t, Config{File: path, MaxSize: 4096}, never)
	text := string(numbered(20_000))
	before := text[:strings.Index(text[2000:], "\n")+2001]
	c.print(t, Stdout, before)
	eventually(t, "the first lines are there", func() bool {
		data, err := os.ReadFile(path)
		return err == nil && string(data) == before
	})
	exchange := func() {
		t.Helper()
		if err := unix.Renameat2(unix.AT_FDCWD, dir, unix.AT_FDCWD, dir+".away", unix.RENAME_EXCHANGE); err != nil {
			t.Fatal(err)
		}
	}
	exchange()
	c.print(t, Stdout, text[len(before):])
	e := <-c.Events()
	if e.To != ToFile || e.Kind != Failed || !strings.Contains(e.Err.Error(), "not a directory") {
		t.Errorf("%+v", e)
	}
	exchange()
	c.end(t)
	all, _ := rotated(t, path)
	wantSame(t, "all", all, []byte(text))
}
