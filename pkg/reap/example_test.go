package reap_test

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/reaper-init/reaper/pkg/reap"
)

// A loop that starts one command, and adopts and reaps whatever that leaves
// until it ends: the smallest init.
func ExampleDrain() {
	changes := make(chan os.Signal, 1) // one is enough: all is drained on each
	signal.Notify(changes, syscall.SIGCHLD)
	if err := reap.BecomeSubreaper(); err != nil {
		fmt.Println(err)
		return
	}
	command, err := reap.Start(reap.Command{Args: os.Args[1:], Env: os.Environ()})
	if err != nil {
		fmt.Println(err)
		return
	}
	var exits []reap.Exit
	for {
		exits, _, err = reap.Drain(exits[:0])
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, exit := range exits {
			if exit.PID == command {
				fmt.Println("the command ended:", exit.Status)
				return
			}
			fmt.Println("an orphan ended:", exit.PID, exit.Status)
		}
		<-changes
	}
}

// Whatever goes wrong is a StartError that tells what failed, and with which file.
func ExampleStart() {
	_, err := reap.Start(reap.Command{Args: []string{"/no/such/program"}})
	fmt.Println(err)
	// Output: exec /no/such/program: no such file or directory
}

func ExampleStatus() {
	for _, s := range []reap.Status{reap.ExitStatus(3), reap.SignalStatus(syscall.SIGTERM)} {
		fmt.Println(s, s.Code(), int(s.Signal()))
	}
	// Output:
	// exit 3 3 0
	// signal 15 -1 15
}

func ExampleSignals() {
	set := reap.Signals(syscall.SIGTERM, syscall.SIGINT)
	fmt.Println(set.Has(syscall.SIGTERM), set.Has(syscall.SIGHUP))
	// Output: true false
}
