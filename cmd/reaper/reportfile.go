package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// reportPatience is how long the end of the program waits for somebody to read a
// report that goes to a pipe.
const reportPatience = 5 * time.Second

const hintReport = "use a file that can be written, or fd:N with a descriptor that is open for writing"

// reportTarget is where a report goes. Its zero value goes nowhere.
type reportTarget struct {
	file string // replaced by rename, so that nobody sees half of it
	fd   int    // if stream
	name string

	stream bool
}

// openReport makes sure that the report can be written, before the command runs.
func openReport(to string) (reportTarget, error) {
	if to == "" {
		return reportTarget{}, nil
	}
	t := reportTarget{name: to}
	wrong := func(err error) (reportTarget, error) {
		return reportTarget{}, &usageError{fmt.Sprintf("--report %s: %s", quoted(to), cause(err)), hintReport}
	}
	if number, ok := strings.CutPrefix(to, "fd:"); ok {
		fd, err := strconv.Atoi(number)
		if err != nil || fd < 0 {
			return wrong(errors.New("not a descriptor"))
		}
		t.fd, t.stream = fd, true
		if err := checkWritable(fd); err != nil {
			return wrong(err)
		}
		return t, nil
	}
	if to == "-" {
		return wrong(errors.New("the command's own output goes there; fd:1 if that is meant"))
	}
	info, err := os.Stat(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return wrong(err)
	case info.IsDir():
		return wrong(errors.New("is a directory"))
	case !info.Mode().IsRegular(): // a pipe, a terminal, a device: nothing to rename
		fd, err := unix.Open(to, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
		if errors.Is(err, unix.ENXIO) {
			err = errors.New("nobody reads from that pipe")
		}
		if err != nil {
			return wrong(err)
		}
		t.fd, t.stream = fd, true
		return t, nil
	}
	// A relative name, and a link, mean what they mean now.
	if t.file, err = filepath.Abs(to); err != nil {
		return wrong(err)
	}
	if target, err := filepath.EvalSymlinks(t.file); err == nil {
		t.file = target
	}
	if err := t.tryFile(); err != nil {
		return wrong(err)
	}
	return t, nil
}

// cause is what went wrong, without the operation and the name.
func cause(err error) string {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err
	}
	return err.Error()
}

// checkWritable keeps the descriptor from the command, which would hold it open,
// unless it is one of the standard three.
func checkWritable(fd int) error {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	// A descriptor that was closed at the start is filled with one that can do
	// nothing (inherit.go).
	if err != nil || flags&unix.O_PATH != 0 {
		return errors.New("is not open")
	}
	if flags&unix.O_ACCMODE == unix.O_RDONLY {
		return errors.New("is open for reading only")
	}
	if fd > 2 {
		unix.CloseOnExec(fd)
	}
	return nil
}

// tryFile makes a file beside the one that is meant, or opens that.
func (t *reportTarget) tryFile() error {
	f, err := os.CreateTemp(filepath.Dir(t.file), ".reaper-report-")
	if err == nil {
		f.Close()
		return os.Remove(f.Name())
	}
	inPlace, inPlaceErr := os.OpenFile(t.file, os.O_WRONLY, 0) // it may be there in a directory that is read only
	if inPlaceErr != nil {
		return err
	}
	return inPlace.Close()
}

// write writes the report.
func (t *reportTarget) write(text []byte) error {
	switch {
	case t.stream:
		return t.writeStream(text)
	case t.file != "":
		return t.writeFile(text)
	default:
		return nil
	}
}

// writeFile puts the report in the place of the file in one step. Where that
// cannot be, because the file alone was mounted, it is written over.
func (t *reportTarget) writeFile(text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(t.file), ".reaper-report-")
	if err == nil {
		mode := fs.FileMode(0o644)
		if info, statErr := os.Stat(t.file); statErr == nil {
			mode = info.Mode().Perm()
		} else {
			mask := unix.Umask(0)
			unix.Umask(mask)
			mode &^= fs.FileMode(mask)
		}
		_, err = f.Write(text)
		err = errors.Join(err, f.Chmod(mode), f.Close())
		if err == nil {
			err = os.Rename(f.Name(), t.file)
		}
		if err == nil {
			return nil
		}
		_ = os.Remove(f.Name()) // the error that counts is there
	}
	if inPlace := os.WriteFile(t.file, text, 0o644); inPlace != nil {
		return errors.Join(err, inPlace)
	}
	return nil
}

// writeStream writes to a descriptor that may be a pipe that nobody reads.
func (t *reportTarget) writeStream(text []byte) error {
	w := newLineWriter(t.fd)
	w.patience = reportPatience
	_, _ = w.Write(text) // the queue is empty
	return w.close()
}
