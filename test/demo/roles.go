package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// The roles: programs that the scenes start. Each runs until its stdin ends.
// That is a pipe whose other end the demonstration alone holds, so that they
// end with it, however it ends.

// commandLine is what the parent in a scene starts, by the name in its own
// command line.
func commandLine(name string) []string {
	if name == "bash" {
		return []string{"bash", "-c", `sleep 2 && echo "bash: my work is done"`}
	}
	return []string{name}
}

// playParent is `demo parent NAME [COUNT]`: it starts so many children, and
// calls Wait for them when it gets SIGUSR1, no sooner.
func playParent(args []string) int {
	told := make(chan os.Signal, 1)
	signal.Notify(told, unix.SIGUSR1)
	count := 1
	if len(args) > 1 {
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return roleFailed(err)
		}
		count = n
	}
	argv := commandLine(args[0])
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return roleFailed(err)
	}
	children := make([]*os.Process, count)
	for i := range children {
		if children[i], err = os.StartProcess(path, argv, streams()); err != nil {
			return roleFailed(err)
		}
	}
	ended := stdinEnds()
	select {
	case <-ended:
		return 0
	case <-told:
	}
	for _, child := range children {
		if _, err := child.Wait(); err != nil {
			return roleFailed(err)
		}
	}
	<-ended
	return 0
}

// playService is `demo service NAME [COUNT]`, the command that reaper runs. It
// starts `demo parent NAME [COUNT]` and, unlike that, waits for its child.
func playService(args []string) int {
	self, err := os.Executable()
	if err != nil {
		return roleFailed(err)
	}
	child, err := os.StartProcess(self, append([]string{filepath.Base(self), "parent"}, args...), streams())
	if err != nil {
		return roleFailed(err)
	}
	reaped := make(chan error, 1)
	go func() {
		_, err := child.Wait()
		reaped <- err
	}()
	<-stdinEnds()
	if err := <-reaped; err != nil { // it has the same stdin
		return roleFailed(err)
	}
	return 0
}

// streams hands the own ones on.
func streams() *os.ProcAttr {
	return &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}}
}

func stdinEnds() <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // nothing is ever written; an error is an end too
		close(ended)
	}()
	return ended
}

func roleFailed(err error) int {
	fmt.Fprintf(os.Stderr, "demo %s: %v\n", os.Args[1], err)
	return exitFailed
}
