package reap

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// tellStreams has a shell read its stdin and write to the other two.
func tellStreams(way way) Command {
	return Command{Args: []string{"sh", "-c", `echo "out $(cat)"; echo err >&2`}, Env: environment(), Inherited: way.inherited}
}

// pipeFor is a pipe to which a command writes; text closes the end of this program and
// reads to the end.
func pipeFor(t *testing.T) (w *os.File, text func() string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return w, func() string {
		t.Helper()
		defer r.Close()
		w.Close()
		all, err := io.ReadAll(r)
		if err != nil {
			t.Error(err)
		}
		return string(all)
	}
}

func mustRun(t *testing.T, c Command) {
	t.Helper()
	pid, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	if exit := awaitReap(t, pid); exit.Status != 0 {
		t.Errorf("%q: %+v", c.Args, exit)
	}
}

// The command has the files that it is given as its streams, and keeps those of the
// caller where it is given none. No other descriptor comes with them.
func TestStartStreams(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "in")
			write(t, path, "in", 0o600)
			c := tellStreams(way)
			stdout, outText := pipeFor(t)
			stderr, errText := pipeFor(t)
			stdin, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer stdin.Close()
			c.Stdin, c.Stdout, c.Stderr = stdin, stdout, stderr
			mustRun(t, c)
			if out, err := outText(), errText(); out != "out in\n" || err != "err\n" {
				t.Errorf("stdout %q, stderr %q", out, err)
			}

			ls := Command{Args: []string{"ls", "/proc/self/fd"}, Env: environment(), Inherited: way.inherited}
			before := mustOutput(t, ls)
			stdout, outText = pipeFor(t)
			ls.Stdout = stdout
			mustRun(t, ls)
			if after := outText(); after != before {
				t.Errorf("descriptors %q, without a stream of its own %q", after, before)
			}

			// One pipe for both, as most who capture have it.
			stdout, outText = pipeFor(t)
			c.Stdin, c.Stdout, c.Stderr = nil, stdout, stdout
			c.Args = []string{"sh", "-c", "echo out; echo err >&2"}
			mustRun(t, c)
			if out := outText(); out != "out\nerr\n" {
				t.Errorf("both: %q", out)
			}
		})
	}
}

// A pipe of package os does not block in this program, as its poller waits for it; the
// command finds one that does, as programs expect it.
func TestStartStreamBlocks(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			stdout, text := pipeFor(t)
			mustRun(t, Command{Args: []string{"grep", "flags", "/proc/self/fdinfo/1"}, Env: environment(), Inherited: way.inherited, Stdout: stdout})
			if got := strings.TrimSpace(strings.TrimPrefix(text(), "flags:")); got != "01" {
				t.Errorf("flags %s, want O_WRONLY and no more", got)
			}
		})
	}
}

// Files that are descriptors 0 to 2 of this program get where they belong, also when
// they change places, and when an execve would close them.
func TestStartStreamsAmongThemselves(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			var saved [3]int
			for fd := range saved {
				var err error
				if saved[fd], err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3); err != nil {
					t.Fatal(err)
				}
			}
			restore := func() {
				for fd, own := range saved {
					if err := unix.Dup3(own, fd, 0); err != nil {
						t.Fatal(err)
					}
				}
			}
			defer func() {
				for _, own := range saved {
					unix.Close(own) //nolint:errcheck // it is open
				}
			}()
			for _, test := range []struct {
				name           string
				stdout, stderr *os.File
				out, err       string // what comes to 1 and 2 of this program
			}{
				{"as they are", os.Stdout, os.Stderr, "out \n", "err\n"},
				{"changed", os.Stderr, os.Stdout, "err\n", "out \n"},
				{"both to stdout", os.Stdout, os.Stdout, "out \nerr\n", ""},
				{"both to stderr", os.Stderr, os.Stderr, "", "out \nerr\n"},
				{"stderr to stdout", nil, os.Stdout, "out \nerr\n", ""},
			} {
				for _, flags := range []int{0, unix.O_CLOEXEC} {
					stdout, outText := pipeFor(t)
					stderr, errText := pipeFor(t)
					null, err := os.Open(os.DevNull)
					if err != nil {
						t.Fatal(err)
					}
					err = errors.Join(unix.Dup3(int(stdout.Fd()), 1, flags), unix.Dup3(int(stderr.Fd()), 2, flags))
					c := tellStreams(way)
					c.Stdin, c.Stdout, c.Stderr = null, test.stdout, test.stderr
					if flags != 0 && c.Stdout == nil {
						c.Stdout = os.Stdout
					}
					pid, startErr := Start(c)
					restore()
					null.Close()
					if err := errors.Join(err, startErr); err != nil {
						t.Fatal(err)
					}
					exit := awaitReap(t, pid)
					if out, err := outText(), errText(); out != test.out || err != test.err || exit.Status != 0 {
						t.Errorf("%s, flags %x: stdout %q, stderr %q, %+v", test.name, flags, out, err, exit)
					}
				}
			}
		})
	}
}

// A file that has been closed is an error, and no other descriptor that has its number
// by now.
func TestStartStreamClosed(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			closed, text := pipeFor(t)
			text()
			for op, c := range map[string]Command{
				"set stdin of": {Stdin: closed}, "set stdout of": {Stdout: closed}, "set stderr of": {Stderr: closed},
			} {
				c.Args, c.Env, c.Inherited = []string{"true"}, environment(), way.inherited
				_, err := Start(c)
				if failed, ok := errors.AsType[*StartError](err); !ok || failed.Op != op || !errors.Is(err, unix.EBADF) {
					t.Errorf("%s: %v", op, err)
				}
			}
		})
	}
}
