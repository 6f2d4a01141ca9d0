package supervise_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/reaper-init/reaper/pkg/reap"
	"github.com/reaper-init/reaper/pkg/supervise"
)

// The least that an init is: the process adopts, signals are taken before the
// command is started, and Run does the rest. The process must not have other
// children that somebody else waits for, as Run would wait for them too.
func ExampleSupervisor_Run() {
	chld := make(chan os.Signal, 1)
	sigs := make(chan os.Signal, 64)
	signal.Notify(chld, syscall.SIGCHLD)
	signal.Notify(sigs, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP)
	defer signal.Stop(chld)
	defer signal.Stop(sigs)
	if err := reap.BecomeSubreaper(); err != nil {
		fmt.Println(err)
		return
	}
	s := supervise.Supervisor{
		Config: supervise.Config{Args: []string{"sh", "-c", "exit 3"}, Env: os.Environ()},
	}
	result, err := s.Run(context.Background(), chld, sigs)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Status)
	// Output: exit 3
}

// A command that cannot be started is the only error there is, once the
// configuration is right.
func ExampleSupervisor_Run_notFound() {
	s := supervise.Supervisor{
		Config: supervise.Config{Args: []string{"/no/such/command"}},
	}
	_, err := s.Run(context.Background(), nil, nil)
	fmt.Println(err)
	// Output: exec /no/such/command: no such file or directory
}

// OnEvent is told what happens, for a log.
func ExampleSupervisor_onEvent() {
	chld := make(chan os.Signal, 1)
	signal.Notify(chld, syscall.SIGCHLD)
	defer signal.Stop(chld)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := supervise.Supervisor{
		Config: supervise.Config{Args: []string{"sleep", "1000"}, Env: os.Environ(), StopSignal: syscall.SIGKILL},
		OnEvent: func(ev supervise.Event) {
			if ev.Kind == supervise.CommandStarted {
				fmt.Println("started")
				cancel() // the end of the context asks for a stop
			}
			if ev.Kind == supervise.CommandExited {
				fmt.Println("ended by", ev.Status)
			}
		},
	}
	if _, err := s.Run(ctx, chld, nil); err != nil {
		fmt.Println(err)
	}
	// Output:
	// started
	// ended by signal 9
}
