// Demo shows the life of a zombie: how a process becomes one, who can remove
// it, and what reaper does about those whose parent is dead. Every process is
// real, and every state is read from /proc before a word is said about it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const usage = `usage: demo [-patience D] reaper

Shows the life of a zombie, with the built reaper that is named.

  -patience D   fail if a state does not come within D (default 10s)
`

const (
	exitFailed  = 1
	exitMisused = 2
	exitSignal  = 128 // plus the number of the signal
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if len(args) > 1 {
		// The scenes start this program again, as one of those in the tables.
		switch args[0] {
		case "parent":
			return playParent(args[1:])
		case "service":
			return playService(args[1:])
		}
	}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	patience := flags.Duration("patience", 10*time.Second, "")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return exitMisused
	}
	if flags.NArg() != 1 {
		flags.Usage()
		return exitMisused
	}
	s, err := newShow(flags.Arg(0), *patience)
	if err == nil {
		err = s.play()
		// Whatever happened, nothing of it stays.
		err = errors.Join(err, s.cleanUp())
	}
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "demo:", err)
	if stop, ok := errors.AsType[interrupted](err); ok {
		return exitSignal + int(stop.sig)
	}
	return exitFailed
}

// newShow finds what the scenes need.
func newShow(reaper string, patience time.Duration) (*show, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	if reaper, err = filepath.Abs(reaper); err != nil {
		return nil, fmt.Errorf("find reaper: %w", err)
	}
	if _, err := os.Stat(reaper); err != nil {
		return nil, fmt.Errorf("find reaper: %w", err)
	}
	if link, err := os.Readlink("/proc/self"); err != nil || link != fmt.Sprint(os.Getpid()) {
		return nil, fmt.Errorf("/proc does not show this pid namespace; nothing could be shown")
	}
	s := &show{out: os.Stdout, self: self, reaper: reaper, patience: patience, sigs: make(chan os.Signal, 1)}
	before, err := s.left()
	if err != nil {
		return nil, err
	}
	s.before = make(map[int]uint64)
	for _, p := range before {
		s.before[p.PID] = p.Start
	}
	for _, sig := range []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT} {
		if !signal.Ignored(sig) {
			signal.Notify(s.sigs, sig)
		}
	}
	// When nobody reads any more, the write has to fail: the signal, which the
	// runtime raises after it, would end this program before it has cleaned up.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	return s, nil
}

// interrupted is the error when a signal asked for the end.
type interrupted struct{ sig syscall.Signal }

func (i interrupted) Error() string { return "interrupted by " + unix.SignalName(i.sig) }
