package health_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/reaper-init/reaper/pkg/supervise/health"
)

// A Tracker is told what happens and when, and says what is to be done: here on a clock
// that the caller makes up.
func ExampleTracker() {
	start := time.Unix(0, 0)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	tracker := health.New(health.Config{Interval: 10 * time.Second, Timeout: 3 * time.Second, Retries: 2})

	tracker, _ = tracker.Started(at(0))
	fmt.Println("first probe after", tracker.Due().Sub(start))

	tracker, acts := tracker.Wake(at(10))
	fmt.Println("to begin:", acts[0].Kind == health.Begin)

	tracker, acts = tracker.Finished(at(11), errors.New("connection refused"))
	fmt.Println(acts[0].Result.Failures, "failure,", tracker.State())

	tracker, _ = tracker.Wake(tracker.Due())
	tracker, acts = tracker.Wake(tracker.Due()) // it hangs
	fmt.Println("to be killed:", acts[0].Kind == health.End)
	fmt.Println(acts[1].Result.Err, "after", acts[1].Result.Took, "and so", tracker.State())

	tracker, _ = tracker.Finished(at(24), nil)
	fmt.Println("next probe after", tracker.Due().Sub(start))
	// Output:
	// first probe after 10s
	// to begin: true
	// 1 failure, starting
	// to be killed: true
	// timed out after 3s and so unhealthy
	// next probe after 34s
}

// Who waits until a daemon is ready, for a minute at most, does not want the first probe
// after 30 s.
func ExampleConfig_AwaitReady() {
	tracker, _ := health.New(health.Defaults().AwaitReady(time.Minute)).Started(time.Unix(0, 0))
	fmt.Println(tracker.Due().Sub(time.Unix(0, 0)))
	// Output: 1s
}

// A probe over the network: the result is nil, or tells what is wrong.
func ExampleTarget_Probe() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	target, err := health.ParseTCP(listener.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	fmt.Println(target.Probe(ctx))
	if err := listener.Close(); err != nil {
		fmt.Println(err)
	}
	fmt.Println(target.Probe(ctx) != nil)
	// Output:
	// <nil>
	// true
}

func ExampleParseHTTP() {
	target, err := health.ParseHTTP("http://admin:secret@localhost:8080/healthz")
	fmt.Println(target, err)
	_, err = health.ParseHTTP("https://localhost/")
	fmt.Println(errors.Is(err, health.ErrTLS), err)
	// Output:
	// http://admin:xxxxx@localhost:8080/healthz <nil>
	// true https needs TLS, which reaper does not have
}
