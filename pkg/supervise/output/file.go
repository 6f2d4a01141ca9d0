package output

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"gopkg.in/natefinch/lumberjack.v2"
)

// ErrOldFiles tells that output is written, but that the file cannot be put aside, or
// that old ones are neither compressed nor removed.
var ErrOldFiles = errors.New("old files cannot be dealt with")

const (
	// rotationPause is the least time between two rotations, and before the first, as there
	// may have been one of an earlier run. The name of an old file has milliseconds, and a
	// second one of that name would take the first one's place.
	rotationPause = 2 * time.Millisecond
	// rotationRetry is when a rotation that failed is tried again.
	rotationRetry = time.Second
	// oldPoll is how often old files are looked at while they are to become fewer.
	oldPoll = 5 * time.Millisecond
	// oldPatience is how many looks, or two seconds, they may stay as they are. It is no
	// time, as whoever deals with them has none either while this program stands still.
	oldPatience = 400
)

// file is a destination of bytes that are lines, more or less. If it is rotated, then
// by package lumberjack: that opens, renames, compresses and removes; when, is decided
// here, as it knows no lines and counts in MiB. Its own limit is out of reach.
//
// What it does to old files it does in a goroutine of its own that cannot be waited
// for, and without a word. So they are looked at: before a rotation, as otherwise a
// flood could make more of them than are removed, and at the end.
type file struct {
	io.WriteCloser
	log *lumberjack.Logger // nil if it is not rotated
	old oldFiles

	max     int64
	size    int64
	used    bool      // something was written, so lumberjack has looked at old files
	mid     bool      // the last line has not ended
	rotated time.Time // the last time, or when it was opened
	failed  time.Time // the last time that it could not be
	trouble error     // what does not work although writing does
}

// openFile opens what c.File names, or says why that will not do.
func openFile(c *Config) (*file, error) {
	flags := os.O_WRONLY | os.O_APPEND | os.O_CREATE | syscall.O_NOCTTY
	switch info, err := os.Stat(c.File); {
	case err == nil && info.Mode()&fs.ModeNamedPipe != 0:
		// Opened for writing alone it waits for a reader, and then breaks without one.
		flags = os.O_RDWR
	case err == nil && !info.Mode().IsRegular():
		flags |= syscall.O_NONBLOCK // a serial line may wait for a carrier
	}
	f, err := os.OpenFile(c.File, flags, 0o644)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil || c.MaxSize == 0 || !info.Mode().IsRegular() {
		return &file{WriteCloser: f}, err
	}
	f.Close() // lumberjack opens it again
	return rotatedFile(c, info.Size())
}

func rotatedFile(c *Config, size int64) (*file, error) {
	path, err := filepath.Abs(c.File)
	if err != nil {
		return nil, err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil { // a link would be renamed, not the file
		return nil, err
	}
	if err := syscall.Access(filepath.Dir(path), 2|1); err != nil { // W_OK, X_OK
		return nil, &fs.PathError{Op: "rotate in", Path: filepath.Dir(path), Err: err}
	}
	log := &lumberjack.Logger{
		Filename: path, MaxSize: math.MaxInt32, MaxBackups: c.Keep, Compress: c.Compress,
	}
	return &file{
		WriteCloser: log, log: log, old: newOldFiles(path, c.Keep, c.Compress), max: c.MaxSize, size: size,
		rotated: time.Now(),
	}, nil
}

// Write writes lines, and rotates the file between them.
func (f *file) Write(data []byte) (written int, err error) {
	if f.log == nil {
		return f.WriteCloser.Write(data)
	}
	for written < len(data) {
		n := f.fits(data[written:])
		if n == 0 {
			f.rotate()
			continue
		}
		f.used = true
		n, err = f.log.Write(data[written : written+n])
		written += n
		f.size += int64(n)
		if n > 0 {
			f.mid = data[written-1] != '\n'
		}
		if err != nil {
			f.failed = time.Time{} // once this works again, that may too
			return written, err
		}
	}
	return written, nil
}

// fits is how much of data goes into the file as it is; 0 asks for a new one.
func (f *file) fits(data []byte) int {
	room := f.max - f.size
	if int64(len(data)) <= room || !f.failed.IsZero() && time.Since(f.failed) < rotationRetry {
		return len(data)
	}
	if room > 0 {
		if n := bytes.LastIndexByte(data[:room], '\n') + 1; n > 0 {
			return n
		}
	}
	if f.size > 0 && (!f.mid || f.size >= 2*f.max) {
		return 0
	}
	// The line has begun in this file, or would be too long for any.
	n := bytes.IndexByte(data, '\n') + 1
	if n == 0 {
		n = len(data)
	}
	return int(min(int64(n), 2*f.max-f.size))
}

// rotate puts the file aside, if that can be done.
func (f *file) rotate() {
	f.trouble = f.old.await(f.old.few, nil)
	if pause := rotationPause - time.Since(f.rotated); pause > 0 {
		<-time.After(pause)
	}
	before := f.size
	err := f.log.Rotate()
	f.rotated, f.failed, f.size = time.Now(), time.Time{}, 0
	if err != nil {
		f.trouble = fmt.Errorf("%w: %w", ErrOldFiles, err)
		// The file may have been renamed all the same: what is there is appended to.
		if info, err := os.Stat(f.log.Filename); err == nil {
			f.size = info.Size()
		}
	}
	if f.size > 0 && f.size >= before {
		f.failed = f.rotated
		return
	}
	f.mid = false
}

// close ends with old files as they are to be, unless enough closes before.
func (f *file) close(enough <-chan struct{}) error {
	err := f.Close()
	if err == nil && f.log != nil && f.used {
		err = f.old.await(f.old.done, enough)
	}
	if err == nil && f.trouble != nil {
		return f.trouble
	}
	return err
}
