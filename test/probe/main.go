// Probe is a program with bad manners, for the tests.
package main

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Each way to misbehave, by the first argument.
func main() {
	if len(os.Args) < 2 {
		die(fmt.Errorf("usage: probe signals | daemon | zombies N | negligent command..."))
	}
	rest := os.Args[2:]
	switch os.Args[1] {
	case "signals":
		printSignals()
	case "daemon":
		daemonize()
	case "daemon-middle":
		daemonMiddle()
	case "daemon-end":
		fmt.Println("daemon", os.Getpid())
		select {}
	case "zombies":
		keepZombies(rest)
	case "negligent":
		neglect(rest)
	default:
		die(fmt.Errorf("unknown way to misbehave: %s", os.Args[1]))
	}
}

func die(err error) {
	fmt.Fprintln(os.Stderr, "probe:", err)
	os.Exit(99)
}

// printSignals tells each signal that comes, by its number, until stdin ends.
func printSignals() {
	sigs := make(chan os.Signal, 256)
	signal.Notify(sigs)
	fmt.Println("ready", os.Getpid())
	ended := make(chan struct{})
	go func() {
		untilInputEnds()
		close(ended)
	}()
	for {
		select {
		case sig := <-sigs:
			if sig == unix.SIGURG && os.Getenv("PROBE_URG") == "" {
				continue // this program's own runtime sends it
			}
			fmt.Println("got", int(sig.(syscall.Signal)))
		case <-ended:
			return
		}
	}
}

// daemonize forks twice with a session in between, as daemon(3) does.
func daemonize() {
	pid := fork("daemon-middle", &syscall.SysProcAttr{Setsid: true})
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, 0, nil); err != nil {
		die(err)
	}
	fmt.Println("ready", os.Getpid())
	untilInputEnds()
}

func daemonMiddle() { fork("daemon-end", nil) }

func fork(role string, attr *syscall.SysProcAttr) (pid int) {
	self, err := os.Executable()
	if err != nil {
		die(err)
	}
	pid, err = syscall.ForkExec(self, []string{"probe", role}, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: attr,
	})
	if err != nil {
		die(err)
	}
	return pid
}

// keepZombies starts children that end at once, and never waits for them.
func keepZombies(args []string) {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		die(err)
	}
	for range n {
		if _, err := syscall.ForkExec("/bin/true", []string{"true"}, nil); err != nil {
			die(err)
		}
	}
	fmt.Println("ready", os.Getpid())
	untilInputEnds()
}

// neglect is an init that waits for its command alone: the control for every
// test of reaping. It tells when the command has ended and stays.
func neglect(command []string) {
	if os.Getpid() != 1 {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			die(err)
		}
	}
	pid, err := syscall.ForkExec(command[0], command, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		die(err)
	}
	var ws unix.WaitStatus
	for {
		if _, err := unix.Wait4(pid, &ws, 0, nil); err == nil {
			break
		}
	}
	fmt.Println("neglected")
	untilInputEnds()
	os.Exit(ws.ExitStatus())
}

func untilInputEnds() {
	in := bufio.NewReader(os.Stdin)
	for {
		if _, err := in.ReadByte(); err != nil {
			return
		}
	}
}
