// Miniinit is the least that an init written in Go can be: it adopts and reaps
// orphans, forwards signals, and ends with its command's exit code. Reaper is measured
// beside it, as the limit of what the language allows.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) < 2 {
		die(125, "usage: miniinit COMMAND [ARGUMENT...]; COMMAND is a path")
	}
	sigs := make(chan os.Signal, 128)
	signal.Notify(sigs)
	if os.Getpid() != 1 {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			die(125, err)
		}
	}
	command, err := syscall.ForkExec(os.Args[1], os.Args[1:], &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		die(127, err)
	}
	for sig := range sigs {
		switch sig {
		case unix.SIGCHLD:
			reap(command)
		case unix.SIGURG: // the runtime sends it to itself
		default:
			_ = unix.Kill(command, sig.(syscall.Signal)) // it may have ended; that is the next signal
		}
	}
}

// reap waits for all that have exited, and ends with the command.
func reap(command int) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
		case err != nil || pid == 0:
			return
		case pid == command && status.Signaled():
			os.Exit(128 + int(status.Signal()))
		case pid == command:
			os.Exit(status.ExitStatus())
		}
	}
}

func die(code int, why any) {
	fmt.Fprintln(os.Stderr, "miniinit:", why)
	os.Exit(code)
}
