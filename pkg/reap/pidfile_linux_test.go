package reap

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestParsePIDFile(t *testing.T) {
	for text, want := range map[string]int{
		"1":                      1,
		"12\n":                   12,
		" 12 \r\n":               12,
		"4194304\n/var/lib\n543": 4194304, // as PostgreSQL has it
		"0012":                   12,
		"":                       0, "\n": 0, "\n12": 0, "0": 0, "-1": 0, "+1": 0, "1.5": 0, "0x10": 0, "12a": 0, "a": 0,
		"1 2":                     0,
		"2147483648":              0,
		"99999999999999999999":    0,
		"12\x00":                  0,
		strings.Repeat(" ", 5000): 0,
	} {
		pid, err := parsePIDFile([]byte(text))
		if pid != want || (err == nil) != (want != 0) {
			t.Errorf("%.20q: %d, %v; want %d", text, pid, err, want)
		}
		if empty := errors.Is(err, fs.ErrNotExist); empty != (strings.TrimSpace(strings.Split(text, "\n")[0]) == "" && len(text) < 4096) {
			t.Errorf("%.20q counts as not there: %v", text, empty)
		}
	}
}

func FuzzParsePIDFile(f *testing.F) {
	for _, text := range []string{"", "1", "12\n", "-1", "+1", "x", " 7 \n8"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		pid, err := parsePIDFile(text)
		if (err == nil) != (pid > 0) || pid > 1<<31-1 {
			t.Errorf("%q: %d, %v", text, pid, err)
		}
	})
}

// What stands in the way to a pid file, and what does not.
func TestReadPIDFile(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(at("own"), 0o755))
	must(os.MkdirAll(at("all"), 0o755))
	must(os.WriteFile(at("own/pid"), []byte("12\n"), 0o600))
	must(os.WriteFile(at("all/pid"), []byte("13\n"), 0o600))
	must(os.WriteFile(at("empty"), nil, 0o600))
	must(os.Symlink("own/pid", at("link")))
	must(os.Symlink(at("link"), at("link2")))
	must(os.Symlink("loop", at("loop")))
	must(os.Symlink("../own", at("all/dir")))
	must(os.Symlink("../own/pid", at("all/link")))
	must(os.Symlink("own", at("dir")))
	must(unix.Mkfifo(at("fifo"), 0o600))
	must(os.Chmod(at("all"), 0o1777))
	for name, want := range map[string]struct {
		pid  int
		says string
	}{
		"own/pid":          {12, ""},
		"all/pid":          {13, ""}, // whoever wrote it, it can only name one of the caller's own
		"link":             {12, ""},
		"link2":            {12, ""},
		"dir/pid":          {12, ""},
		"all/../own/pid":   {12, ""},
		"own/./pid":        {12, ""},
		"all/link":         {0, "all/link is a symbolic link in a directory in which everybody can write"},
		"all/dir/pid":      {0, "all/dir is a symbolic link in a directory in which everybody can write"},
		"all/dir/../x/pid": {0, "all/dir is a symbolic link"},
		"loop":             {0, "too many levels of symbolic links"},
		"none":             {0, "no such file"},
		"none/pid":         {0, "no such file"},
		"own/pid/x":        {0, "not a directory"},
		"own":              {0, "it is not a regular file"},
		"fifo":             {0, "it is not a regular file"},
		"empty":            {0, "it is empty"},
	} {
		path := dir + "/" + name // which nothing has made shorter
		file, err := ReadPIDFile(path)
		switch {
		case want.pid != 0 && (err != nil || file.PID != want.pid):
			t.Errorf("%s: %d, %v", name, file.PID, err)
		case want.pid == 0 && (err == nil || !strings.Contains(err.Error(), want.says) || !strings.HasPrefix(err.Error(), "read pid file "+path)):
			t.Errorf("%s: %d, %v", name, file.PID, err)
		}
	}
	t.Chdir(dir)
	if file, err := ReadPIDFile("own/pid"); err != nil || file.PID != 12 {
		t.Errorf("a relative name: %d, %v", file.PID, err)
	}
}

// A file that is written again, or replaced, is another, though the same is in it.
func TestReadPIDFileTellsChange(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	read := func() FileMark {
		t.Helper()
		got, err := ReadPIDFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return got.Made
	}
	write := func() {
		t.Helper()
		if err := os.WriteFile(file, []byte("12\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The kernel counts the time of a file in ticks, so it is written until it shows.
	changes := func(what string, do func()) {
		t.Helper()
		before, end := read(), time.Now().Add(patience)
		for do(); read() == before; do() {
			if time.Now().After(end) {
				t.Fatalf("%s: nothing has changed", what)
			}
		}
	}
	write()
	if first, second := read(), read(); first != second {
		t.Error("two readings of one file differ")
	}
	changes("written", write)
	changes("replaced", func() {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		write()
	})
}

// A process has the group that it was given, and none that is not there.
func TestGroupOf(t *testing.T) {
	if got, want := GroupOf(os.Getpid()), unix.Getpgrp(); got != want {
		t.Errorf("got %d, want %d", got, want)
	}
	for _, pid := range []int{0, -1, 1 << 30, 1<<32 + os.Getpid()} {
		if got := GroupOf(pid); got != 0 {
			t.Errorf("of %d: %d", pid, got)
		}
	}
}
