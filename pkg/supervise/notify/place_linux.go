package notify

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
)

// socketName is the name of a socket in its directory.
const socketName = "socket"

// socket is one that is bound.
type socket struct {
	fd      int
	address string
	dir     string // what was made for it; "" if it is abstract
	noPath  error  // why it is
}

// directories are where a socket may be put, the best one first. /run is gone when the
// machine starts anew, and so is what a killed process has left there.
func directories() []string {
	return []string{os.Getenv("XDG_RUNTIME_DIR"), "/run", os.TempDir()}
}

// open binds a socket in the first directory that will do, and else an abstract one.
func open(dirs []string, anyUser bool) (socket, error) {
	var errs []error
	for _, parent := range dirs {
		if !filepath.IsAbs(parent) { // not set, or somewhere else for the command
			continue
		}
		s, err := openPath(parent, anyUser)
		if err == nil {
			return s, nil
		}
		errs = append(errs, err)
	}
	// Random, as all who share the network namespace share the names, and in different
	// pid namespaces may have the same pid.
	name := fmt.Sprintf("@reaper-notify-%016x", rand.Uint64())
	fd, err := bind(name)
	if err != nil {
		return socket{}, errors.Join(append(errs, err)...)
	}
	return socket{fd: fd, address: name, noPath: errors.Join(errs...)}, nil
}

func openPath(parent string, anyUser bool) (_ socket, err error) {
	dirMode, socketMode := os.FileMode(0o700), os.FileMode(0o600)
	if anyUser {
		if err := searchable(parent); err != nil {
			return socket{}, err
		}
		dirMode, socketMode = 0o711, 0o666
	}
	dir, err := os.MkdirTemp(parent, "reaper-notify-")
	if err != nil {
		return socket{}, fmt.Errorf("make directory for notify socket: %w", err)
	}
	defer func() {
		if err != nil {
			remove(dir)
		}
	}()
	path := filepath.Join(dir, socketName)
	fd, err := bind(path)
	if err != nil {
		return socket{}, err
	}
	// Nobody else can change what is in the directory: it was made with mode 0700. The
	// umask had a say in both modes.
	err = os.Chmod(path, socketMode)
	if err == nil {
		err = os.Chmod(dir, dirMode)
	}
	if err != nil {
		_ = syscall.Close(fd) // nobody has sent
		return socket{}, fmt.Errorf("give access to notify socket: %w", err)
	}
	return socket{fd: fd, address: path, dir: dir}, nil
}

// searchable tells whether everybody may go through a directory and all above it, as
// root's or another user's XDG_RUNTIME_DIR would not let them.
func searchable(dir string) error {
	dir, err := filepath.EvalSymlinks(dir)
	for err == nil {
		var info os.FileInfo
		if info, err = os.Stat(dir); err == nil && info.Mode()&0o001 == 0 {
			return fmt.Errorf("find directory for notify socket: not for every user: %s", dir)
		}
		if dir == "/" {
			break
		}
		dir = filepath.Dir(dir)
	}
	if err != nil {
		return fmt.Errorf("find directory for notify socket: %w", err)
	}
	return nil
}

// remove removes a socket and its directory.
func remove(dir string) {
	_ = os.Remove(filepath.Join(dir, socketName)) // there is none, or no more right to do so
	_ = os.Remove(dir)
}

// bind opens a socket that has the kernel name each sender. It says so before it has an
// address, and so before anybody can send.
func bind(address string) (fd int, err error) {
	fd, err = syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("open notify socket: %w", err)
	}
	err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_PASSCRED, 1)
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrUnix{Name: address})
	}
	if err != nil {
		_ = syscall.Close(fd) // nobody has sent
		return -1, fmt.Errorf("bind notify socket %s: %w", address, err)
	}
	return fd, nil
}
