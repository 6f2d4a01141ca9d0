package reap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	longestPIDFile = 4096 // bytes; some programs write more into it than the pid
	mostLinks      = 40   // that the kernel follows, MAXSYMLINKS
)

// ReadPIDFile reads the pid in the first line of a file. An error names the file. The
// pid is what somebody has written, and may be that of any process, or none: only for a
// child that the caller has not reaped is it certain that it stays the same one's.
//
// The file must be a regular one of at most 4 KiB. It may be a symbolic link, or stand
// behind one, but not if that is in a directory in which everybody can write: there
// anybody could have made the link. For a file that is not there, or is empty, the error
// is an [io/fs.ErrNotExist].
func ReadPIDFile(path string) (PIDFile, error) {
	file, err := readPIDFile(path)
	if err != nil {
		if inner, ok := errors.AsType[*fs.PathError](err); ok {
			err = inner.Err
		}
		return PIDFile{Made: file.Made}, fmt.Errorf("read pid file %s: %w", path, err)
	}
	return file, nil
}

var (
	errEmptyPIDFile = fmt.Errorf("it is empty: %w", fs.ErrNotExist)
	errNotRegular   = errors.New("it is not a regular file")
	errTooLong      = fmt.Errorf("it is longer than %d bytes", longestPIDFile)
)

func readPIDFile(path string) (PIDFile, error) {
	path, err := followLinks(path)
	if err != nil {
		return PIDFile{}, err
	}
	// To open another kind of file could wait, or have an effect.
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return PIDFile{}, errNotRegular
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return PIDFile{}, err
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return PIDFile{}, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return PIDFile{}, errNotRegular
	}
	made := FileMark{Dev: uint64(st.Dev), Ino: st.Ino, Size: st.Size, Mtime: st.Mtim.Nano(), Change: st.Ctim.Nano()} //nolint:unconvert // Dev is narrower on other machines
	text, err := io.ReadAll(io.LimitReader(f, longestPIDFile+1))
	if err != nil {
		return PIDFile{Made: made}, err
	}
	pid, err := parsePIDFile(text)
	return PIDFile{PID: pid, Made: made}, err
}

func parsePIDFile(text []byte) (int, error) {
	if len(text) > longestPIDFile {
		return 0, errTooLong
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return 0, errEmptyPIDFile
	}
	const shown = 20
	pid, err := strconv.Atoi(string(line))
	if err != nil || !isPID(pid) || line[0] == '+' {
		return 0, fmt.Errorf("%q is not a pid", line[:min(len(line), shown)])
	}
	return pid, nil
}

// followLinks is the path without symbolic links. It refuses those that anybody could
// have made.
func followLinks(path string) (string, error) {
	if !filepath.IsAbs(path) {
		dir, err := os.Getwd()
		if err != nil {
			return "", err
		}
		path = dir + "/" + path
	}
	done, rest := "/", strings.Split(path, "/") // not shortened: a .. after a link is its target's
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			done = filepath.Dir(done)
			continue
		}
		next := filepath.Join(done, name)
		info, err := os.Lstat(next)
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			done = next
			continue
		}
		if dir, err := os.Stat(done); err != nil || dir.Mode().Perm()&0o002 != 0 {
			return "", fmt.Errorf("%s is a symbolic link in a directory in which everybody can write", next)
		}
		target, err := os.Readlink(next)
		if err != nil {
			return "", err
		}
		if links++; links > mostLinks {
			return "", unix.ELOOP
		}
		if filepath.IsAbs(target) {
			done = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return done, nil
}
