package reap

import (
	"bytes"
	"cmp"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxDescriptors is how many descriptors of one process are looked at, the lowest.
// A server may have a million, which would take seconds.
const maxDescriptors = 4096

// Describe tells of the process pid what can be read: of one that belongs to
// another user, or that hidepid hides, or that has ended, it is less or nothing.
// All of it is of one process, also if the number is given away meanwhile. It is
// never asked what a file system might take long to answer.
//
// A socket is looked up in the network namespace in which the process is. One
// that it has brought from another is among the files.
func (i *Inspector) Describe(pid int) Details {
	dir, err := unix.Open("/proc/"+strconv.Itoa(pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return Details{}
	}
	defer unix.Close(dir) //nolint:errcheck // nothing was written
	return i.describe(dir)
}

// describe reads from the open directory of a process, or of a thread.
func (i *Inspector) describe(dir int) Details {
	raw, _ := readFileAt(dir, "cmdline")
	if len(raw) == 0 {
		// A first thread that has ended has nothing of that any more, while the
		// others have.
		if thread, ok := openThread(dir); ok {
			defer unix.Close(thread) //nolint:errcheck // nothing was written
			dir = thread
			raw, _ = readFileAt(dir, "cmdline")
		}
	}
	d := Details{Args: splitArgs(raw)}
	d.Dir, _ = readlinkAt(dir, "cwd")
	files, more := i.files(dir)
	files, d.Listening = i.splitListening(dir, files)
	slices.SortStableFunc(files, func(a, b File) int { return cmp.Compare(rank(a), rank(b)) })
	named := min(len(files), MaxFiles)
	d.Files, d.MoreFiles = slices.Clip(files[:named]), more+len(files)-named
	return d
}

// openThread opens the directory of a thread that has not ended.
func openThread(dir int) (thread int, ok bool) {
	names, _ := namesIn(dir, "task", maxDescriptors)
	if len(names) < 2 { // a zombie, or a kernel thread
		return 0, false
	}
	for _, name := range names {
		thread, err := unix.Openat(dir, "task/"+name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		if raw, _ := readFileAt(thread, "cmdline"); len(raw) > 0 {
			return thread, true
		}
		unix.Close(thread) //nolint:errcheck // nothing was written
	}
	return 0, false
}

// files reads the descriptors that are worth a line, in their order. more is how
// many were not looked at.
func (i *Inspector) files(dir int) (files []File, more int) {
	names, more := namesIn(dir, "fd", maxDescriptors)
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		path, ok := readlinkAt(dir, "fd/"+name)
		if !ok || dull(path) {
			continue // or it has been closed since
		}
		// The mode of the link is that of the descriptor; fdinfo would cost more.
		var link unix.Stat_t
		if err := unix.Fstatat(dir, "fd/"+name, &link, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			continue
		}
		files = append(files, File{FD: fd, Path: path, Write: link.Mode&unix.S_IWUSR != 0, Shared: i.shared(dir, name, path)})
	}
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.FD, b.FD) })
	return files, more
}

// dull tells what is no news: nearly every process has it.
func dull(path string) bool {
	if path == "/dev/null" || path == "/proc" || path == "/sys" {
		return true
	}
	for _, prefix := range []string{"anon_inode:", "/proc/", "/sys/", "/memfd:"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// rank orders files, the most telling first: what keeps a pipe of the caller open,
// then logs and databases, then what is only read.
func rank(f File) int {
	switch {
	case f.Shared:
		return 0
	case strings.HasPrefix(f.Path, "/") && f.Write:
		return 1
	case strings.HasPrefix(f.Path, "/"):
		return 2
	case strings.HasPrefix(f.Path, "pipe:"):
		return 3
	default:
		return 4
	}
}

// shared reports whether the caller's stdin, stdout or stderr is the same file.
func (i *Inspector) shared(dir int, fd, path string) bool {
	if !i.ready {
		i.ready = true
		self, err := unix.Open("/proc/self", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return false
		}
		defer unix.Close(self) //nolint:errcheck // nothing was written
		for _, fd := range []string{"0", "1", "2"} {
			if path, ok := readlinkAt(self, "fd/"+fd); ok {
				i.own = append(i.own, identify(self, fd, path))
			}
		}
	}
	for _, own := range i.own {
		if own.path == path && own == identify(dir, fd, path) {
			return true
		}
	}
	return false
}

// identify reads mnt_id (Linux 3.15) and ino (5.14) of a path from fdinfo: one
// path can mean other files in another mount namespace, and stat(2) may have to
// wait for a server that is away.
func identify(dir int, fd, path string) openFile {
	f := openFile{path: path}
	if !strings.HasPrefix(path, "/") {
		return f
	}
	info, _ := readFileAt(dir, "fdinfo/"+fd)
	for line := range bytes.Lines(info) {
		name, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte{':'})
		switch string(name) {
		case "mnt_id":
			f.mount = string(bytes.TrimSpace(value))
		case "ino":
			f.inode = string(bytes.TrimSpace(value))
		}
	}
	return f
}

// namesIn lists a directory of /proc/PID, up to limit names; more counts the rest.
func namesIn(dir int, name string, limit int) (names []string, more int) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, 0
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	names, _ = file.Readdirnames(limit)
	if len(names) == limit {
		rest, _ := file.Readdirnames(-1)
		more = len(rest)
	}
	return names, more
}

func readlinkAt(dir int, name string) (target string, ok bool) {
	var buf [unix.PathMax]byte // the kernel gives no more than a page
	n, err := unix.Readlinkat(dir, name, buf[:])
	return string(buf[:max(n, 0)]), err == nil
}
