// Bench measures what an init costs: reaper, and other inits beside it, interleaved in
// one run, as times on a machine wander and ratios do not. docs/performance.md tells how
// to read what it prints.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"

	"golang.org/x/sys/unix"
)

const (
	exitFailed      = 1
	exitMisused     = 2
	exitInterrupted = 130
)

func main() {
	// The parent-death signal of the inits belongs to the thread that starts them.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	o, err := parse(args)
	switch {
	case errors.Is(err, errHelp):
		fmt.Print(usage())
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		return exitMisused
	}
	err = measure(ctx, o)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "bench: interrupted")
		return exitInterrupted
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		return exitFailed
	}
	return 0
}

// measure is one run, from the first program that is built to the last table.
func measure(ctx context.Context, o *options) (err error) {
	b, err := newBench(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.play(); err != nil {
		return err
	}
	report := b.report()
	text := report.markdown()
	fmt.Print(text)
	if o.json != "" {
		err = errors.Join(err, report.writeJSON(o.json))
	}
	if o.update != "" {
		err = errors.Join(err, updateFile(o.update, text))
	}
	return errors.Join(err, b.failed)
}
