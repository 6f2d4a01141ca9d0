package output_test

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/reaper-init/reaper/pkg/supervise/output"
)

// A command that fails: its last lines are told.
func Example() {
	capture, err := output.Open(output.Config{Tail: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	// Each time that it is started, the command gets capture.FD(output.Stdout) as its
	// descriptor 1, and this one as 2.
	stderr := capture.FD(output.Stderr)
	if _, err := syscall.Write(stderr, []byte("reading app.conf\nline 3: no such option\ngiving up\n")); err != nil {
		fmt.Println(err)
	}
	// It has ended.
	capture.Settle()
	for _, line := range capture.Tail() {
		fmt.Println(line.Stream, line.Text)
	}
	// It is not started again. Who is left may print for five more seconds.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := capture.Close(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// stderr line 3: no such option
	// stderr giving up
}
