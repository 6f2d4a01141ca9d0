package reap_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
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

// A program that runs other people's programs by os/exec, be it PID 1 or not. What those
// leave behind is reaped; their exit codes come from Run, as ever.
func ExampleOrphans() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	reaping := make(chan error, 1)
	go func() { reaping <- reap.Orphans(ctx, reap.OrphanOptions{}) }()

	for _, script := range os.Args[1:] {
		err := exec.CommandContext(ctx, "sh", "-c", script).Run()
		fmt.Println(script, "ended:", err)
	}

	stop()
	if err := <-reaping; err != nil {
		fmt.Println(err)
	}
}

// A program that starts children by syscall.ForkExec names them, so that they are not
// taken for orphans. The lock is held over the start, and the number is forgotten after
// the wait.
func ExampleOrphanOptions() {
	var lock sync.Mutex
	mine := make(map[int]bool)
	go func() {
		err := reap.Orphans(context.Background(), reap.OrphanOptions{
			OnExit: func(exit reap.Exit) { fmt.Println("an orphan ended:", exit.PID, exit.Status) },
			Mine: func(pid int) bool {
				lock.Lock()
				defer lock.Unlock()
				return mine[pid]
			},
		})
		fmt.Println(err)
	}()

	lock.Lock()
	pid, err := syscall.ForkExec("/bin/true", []string{"true"}, nil)
	mine[pid] = true
	lock.Unlock()
	if err != nil {
		fmt.Println(err)
		return
	}
	var status syscall.WaitStatus
	_, err = syscall.Wait4(pid, &status, 0, nil)
	fmt.Println(status, err)
	lock.Lock()
	delete(mine, pid)
	lock.Unlock()
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
