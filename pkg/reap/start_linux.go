package reap

import (
	"errors"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// defaultPath is where execvp of the C library looks when PATH is not set
// (confstr(_CS_PATH); environ(7)).
const defaultPath = "/bin:/usr/bin"

// shell runs what has no format that the kernel knows, as execvp does.
const shell = "/bin/sh"

// Start starts the command and returns its pid. It returns after the program has
// been executed, so a signal sent to the pid meets the program and never a copy of
// the caller. While the kernel loads the program the calling thread waits, and
// cannot be interrupted.
//
// The file is looked up as execvp(3) does. With a slash in the name, there
// alone. Else in each directory of PATH, where an empty one is the current
// directory: what is not there is passed over (ENOENT, ENOTDIR, ESTALE, ENODEV,
// ETIMEDOUT), what may not be executed is remembered (EACCES) and passed over,
// any other error ends the search. At its end EACCES counts more than ENOENT.
// A file that the kernel cannot execute (ENOEXEC) is run by /bin/sh. What is relative
// is so to the directory of the command.
//
// Only the goroutine that owns the process table may call it. The error is a
// [*StartError].
func Start(c Command) (pid int, err error) {
	pid, err = start(&c)
	if failed, ok := errors.AsType[*StartError](err); ok {
		failed.Dir = c.Attributes.Dir
	}
	return pid, err
}

func start(c *Command) (pid int, err error) {
	if len(c.Args) == 0 || c.Args[0] == "" {
		return 0, &StartError{Op: "find", Path: `""`, Err: unix.ENOENT}
	}
	name := c.Args[0]
	if strings.Contains(name, "/") {
		return startFile(c, name)
	}
	var denied, broken error
	for dir := range strings.SplitSeq(searchPath(c.Env), ":") {
		if len(dir) >= unix.PathMax {
			continue // no file can be there
		}
		file := name
		if dir != "" {
			file = dir + "/" + name
		}
		pid, err := startFile(c, file)
		var failed *StartError
		if err == nil || !errors.As(err, &failed) || failed.Op != "exec" {
			return pid, err
		}
		switch {
		case errors.Is(err, unix.EACCES):
			denied = first(denied, err)
		case failed.NoInterpreter:
			broken = first(broken, err)
		case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ESTALE),
			errors.Is(err, unix.ENODEV), errors.Is(err, unix.ETIMEDOUT):
		default:
			return 0, err
		}
	}
	if err := first(denied, broken); err != nil {
		return 0, err
	}
	return 0, &StartError{Op: "find", Path: name, Err: unix.ENOENT}
}

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// searchPath is PATH as the command itself would see it.
func searchPath(env []string) string {
	for _, kv := range env {
		if path, ok := strings.CutPrefix(kv, "PATH="); ok {
			return path // the first one counts, as getenv(3) has it
		}
	}
	return defaultPath
}

// startFile starts one file, by the shell if the kernel does not know its format.
func startFile(c *Command, file string) (pid int, err error) {
	seen := within(c.Attributes.Dir, file)
	if errors.Is(unix.Access(seen, unix.F_OK), unix.ENOENT) { // spares a fork for each directory of PATH
		return 0, &StartError{Op: "exec", Path: file, Err: unix.ENOENT}
	}
	pid, err = spawn(c, file, c.Args)
	if errors.Is(err, unix.ENOEXEC) {
		args := append([]string{shell, file}, c.Args[1:]...)
		if pid, shellErr := spawn(c, shell, args); shellErr == nil {
			return pid, nil
		}
	}
	var failed *StartError
	if errors.As(err, &failed) && failed.Op == "exec" {
		failed.Path = file
		failed.Found = unix.Access(seen, unix.F_OK) == nil
		failed.NoInterpreter = failed.Found && errors.Is(err, unix.ENOENT)
	}
	return pid, err
}

// spawn starts file as it is. Whatever failed is a StartError whose Op is
// "exec" if it was execve and else names what went before it.
func spawn(c *Command, file string, args []string) (pid int, err error) {
	argv, err := syscall.SlicePtrFromStrings(args)
	if err != nil {
		return 0, &StartError{Op: "pass arguments to", Path: file, Err: err}
	}
	envv, err := syscall.SlicePtrFromStrings(c.Env)
	if err != nil {
		return 0, &StartError{Op: "pass environment to", Path: file, Err: err}
	}
	path, err := unix.BytePtrFromString(file)
	if err != nil {
		return 0, &StartError{Op: "pass name of", Path: file, Err: err}
	}
	switch changed := !c.Attributes.none(); {
	case haveVfork && (changed || c.Inherited != nil):
		return spawnExact(c, file, &image{path: path, argv: argv, envv: envv})
	case changed:
		return 0, &StartError{Op: "set attributes of", Path: file, Err: errors.ErrUnsupported}
	}
	return spawnByGo(c, file, args)
}

// streams are the files for descriptors 0 to 2, nil for those that stay.
func (c *Command) streams() [3]*os.File { return [3]*os.File{c.Stdin, c.Stdout, c.Stderr} }

// streamOp is what a [StartError] says of one of them.
func streamOp(fd int) string {
	return "set " + [...]string{"stdin", "stdout", "stderr"}[fd] + " of"
}

// image is what execve takes.
type image struct {
	path       *byte
	argv, envv []*byte // each ends with nil
}
