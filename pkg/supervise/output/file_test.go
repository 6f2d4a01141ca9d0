package output

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// numbered are lines with a number, about so many bytes of them.
func numbered(size int) []byte {
	var text []byte
	for n := 0; len(text) < size; n++ {
		text = fmt.Appendf(text, "%08d %s\n", n, strings.Repeat("x", n%150))
	}
	return text
}

// A rotated file holds whole lines and no more than it may. As many old ones are there
// as are to be, and they are the last.
func TestRotation(t *testing.T) {
	const maxSize = 20_000
	text := numbered(40 * maxSize)
	for _, keep := range []int{0, 1, 5} {
		for _, compress := range []bool{false, true} {
			t.Run(fmt.Sprintf("keep %d, compress %v", keep, compress), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "app.log")
				c := run(t, Config{File: path, MaxSize: maxSize, Keep: keep, Compress: compress}, never)
				c.printInPieces(t, Stdout, rand.New(rand.NewPCG(1, 1)), text)
				c.end(t)
				c.wantNoLoss(t)
				all, files := rotated(t, path)
				wantSame(t, "the end", all, text[len(text)-len(all):])
				if keep == 0 {
					wantSame(t, "all", all, text)
				} else if len(files) != keep+1 {
					t.Errorf("%d files, want %d: %q", len(files), keep+1, files)
				}
				for _, name := range files {
					data := contents(t, name)
					if compress != strings.HasSuffix(name, ".gz") && name != path {
						t.Errorf("%s is there", name)
					}
					if strings.HasSuffix(name, ".gz") {
						data = unzip(t, data)
					}
					if len(data) > maxSize || len(data) < maxSize-200 && name != path || !bytes.HasSuffix(data, []byte{'\n'}) {
						t.Errorf("%s: %d bytes, ends with %q", name, len(data), data[len(data)-1:])
					}
				}
			})
		}
	}
}

// What an earlier reaper has written counts, and so do its old files.
func TestRotationGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	text := numbered(90_000)
	for begin := 0; begin < len(text); begin += 30_000 {
		c := run(t, Config{File: path, MaxSize: 20_000, Keep: 100}, never)
		c.print(t, Stdout, string(text[begin:min(begin+30_000, len(text))]))
		c.end(t)
	}
	all, files := rotated(t, path)
	wantSame(t, "all", all, text)
	if len(files) != 5 {
		t.Errorf("%q", files)
	}
}

// A line that is longer than a file may be is alone in a longer file, up to twice.
func TestRotationLongLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := run(t, Config{File: path, MaxSize: 100_000}, never)
	long := strings.Repeat("l", 150_000) + "\n"
	endless := strings.Repeat("e", 3*maxLine)
	text := "short\n" + long + "short\n" + endless
	c.print(t, Stdout, text)
	c.end(t)
	c.wantNoLoss(t)
	all, files := rotated(t, path)
	wantSame(t, "all", all, []byte(text))
	if got := string(contents(t, files[1])); got != long {
		t.Errorf("the long line is not alone: %d bytes, %.20q", len(got), got)
	}
	for _, name := range files {
		if size := len(contents(t, name)); size > 200_000 {
			t.Errorf("%s: %d bytes", name, size)
		}
	}
}

// The new file and the compressed one are for nobody who may not read the old one.
func TestRotationKeepsMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := run(t, Config{File: path, MaxSize: 4096, Compress: true}, never)
	c.print(t, Stdout, string(numbered(10_000)))
	c.end(t)
	_, files := rotated(t, path)
	for _, name := range files {
		if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if len(files) != 3 {
		t.Errorf("%q", files)
	}
}

// A link stays one; the file that it names is rotated, where that is.
func TestRotationOfLink(t *testing.T) {
	for _, there := range []bool{true, false} {
		dir, link := t.TempDir(), filepath.Join(t.TempDir(), "log")
		path := filepath.Join(dir, "real.log")
		if err := os.Symlink(path, link); err != nil {
			t.Fatal(err)
		}
		if there {
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		c := run(t, Config{File: link, MaxSize: 4096}, never)
		text := numbered(10_000)
		c.print(t, Stdout, string(text))
		c.end(t)
		all, files := rotated(t, path)
		wantSame(t, "all", all, text)
		if to, err := os.Readlink(link); to != path || err != nil || len(files) != 3 {
			t.Errorf("link to %q, %v, files %q", to, err, files)
		}
	}
}

// What is no regular file is written to as it is.
func TestNoRotation(t *testing.T) {
	c := run(t, Config{File: os.DevNull, MaxSize: 4096}, never)
	c.print(t, Stdout, string(numbered(100_000)))
	c.end(t)
	c.wantNoLoss(t)
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		t.Fatalf("/dev/null is %v, %v", info, err)
	}

	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	c = run(t, Config{File: fifo, MaxSize: 4096}, never)
	text := numbered(30_000) // the pipe holds it
	c.print(t, Stdout, string(text))
	eventually(t, "it is written, and there is no reader", func() bool {
		return c.Stats().To[ToFile].Written == uint64(len(text))
	})
	r, err := os.OpenFile(fifo, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	n, err := r.Read(got)
	if err != nil || n != len(text) {
		t.Errorf("%d bytes, %v", n, err)
	}
	wantSame(t, "pipe", got[:n], text)
	r.Close()
	c.end(t)
	c.wantNoLoss(t)
}

// A named pipe that nobody reads any more is no end, and no signal.
func TestPipeFillsUp(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	c := run(t, Config{File: fifo, Queue: 1}, never)
	within(t, "the command", func() {
		for range 100 {
			c.print(t, Stdout, string(numbered(100_000)))
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var err error
	within(t, "Close", func() { err = c.Close(ctx) })
	if !errors.Is(err, ErrUnread) || !strings.Contains(err.Error(), "write file: ") {
		t.Errorf("%v", err)
	}
	c.wantAccounts(t)
	// The goroutine that writes to it ends when there is room.
	r, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	within(t, "the pipe", func() {
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Error(err)
		}
	})
}

// The file that there is not, or that cannot be, is told of before anything starts.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	plain, socket := filepath.Join(dir, "plain"), filepath.Join(dir, "socket")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	listen(t, socket)
	before := descriptors(t)
	for name, test := range map[string]struct {
		file string
		want error
	}{
		"a directory":                 {dir, syscall.EISDIR},
		"no directory":                {filepath.Join(dir, "none", "log"), syscall.ENOENT},
		"below a file":                {filepath.Join(plain, "log"), syscall.ENOTDIR},
		"a link to itself":            {loop, syscall.ELOOP},
		"a socket":                    {socket, syscall.ENXIO},
		"too long a name":             {filepath.Join(dir, strings.Repeat("x", 300)), syscall.ENAMETOOLONG},
		"a directory, with a slash":   {dir + "/", syscall.EISDIR},
		"a directory that is to be":   {filepath.Join(dir, "new") + "/", syscall.EISDIR},
		"a name with a NUL character": {"a\x00b", syscall.EINVAL},
	} {
		for _, maxSize := range []int64{0, 4096} {
			c, err := Open(Config{File: test.file, MaxSize: maxSize})
			if c != nil || !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.file) {
				t.Errorf("%s: %v, want %v", name, err, test.want)
			}
		}
	}
	if after := descriptors(t); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("descriptors before %q and after %q", before, after)
	}
}

// Somebody who is not root opens a file, prints to it and tells what went wrong.
var printAs = newRole("print", func(args []string) error {
	c, err := Open(Config{File: args[0], MaxSize: 4096})
	if err == nil {
		if _, err := c.ends[Stdout].Write(numbered(6000)); err != nil { // rotates it once
			return err
		}
		err = c.Close(context.Background())
	}
	fmt.Println(err)
	return nil
})

// asNobody has the role played in a new directory with a file of that mode and owner.
func asNobody(t *testing.T, mode os.FileMode, dirOwner, fileOwner int) (file, said string) {
	t.Helper()
	if os.Getuid() != 0 {
		cannot(t, "only root can become somebody else")
	}
	top, err := os.MkdirTemp("", "output") //nolint:usetesting // that one is for root alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(top) }) // it is ours
	dir := filepath.Join(top, "logs")
	file = filepath.Join(dir, "log")
	if err := errors.Join(
		os.Chmod(top, 0o755), os.Mkdir(dir, 0o755), os.WriteFile(file, nil, 0o600),
		os.Chmod(file, mode), os.Chown(file, fileOwner, fileOwner), os.Chown(dir, dirOwner, dirOwner),
	); err != nil {
		t.Fatal(err)
	}
	cmd := printAs.command(t, file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	cmd.Path = filepath.Join(top, "test")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cmd.Path, contents(t, self), 0o755); err != nil { //nolint:gosec // for anybody
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return file, strings.TrimSpace(string(out))
}

const nobody = 65534

// Whoever may write to the file alone cannot put it aside.
func TestOpenRefusesDirectory(t *testing.T) {
	file, said := asNobody(t, 0o600, 0, nobody)
	if want := "rotate in " + filepath.Dir(file) + ": permission denied"; said != want {
		t.Errorf("%q, want %q", said, want)
	}
}

// A new file that cannot be given to the owner of the old one is used all the same, and
// that is told.
func TestRotationOfAnothersFile(t *testing.T) {
	file, said := asNobody(t, 0o666, nobody, 0)
	if want := "write file: " + ErrOldFiles.Error() + ": chown " + file + ": operation not permitted"; said != want {
		t.Errorf("%q, want %q", said, want)
	}
	all, files := rotated(t, file)
	wantSame(t, "all", all, numbered(6000))
	for _, name := range files {
		if size := len(contents(t, name)); size > 4096 {
			t.Errorf("%s has %d bytes", name, size)
		}
	}
}
