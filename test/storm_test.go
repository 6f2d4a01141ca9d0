package test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Orphans that exit in all the moments in which SIGCHLD is about to be switched off or
// on are reaped, without any later one to wake reaper (pitfalls 15, 17).
func TestStormBreaksOff(t *testing.T) {
	const script = `echo ready; while read line; do for d in $line; do ( sleep $d & ); done; echo burst; done; exit 3`
	inPlaces(t, func(t *testing.T, at place) {
		random := rand.New(rand.NewPCG(1, 2))
		s := launch(t, at, nil, "--", "sh", "-c", script)
		s.expect("ready")
		for range 300 {
			var delays []string
			for range 1 + random.IntN(8) {
				delays = append(delays, fmt.Sprintf("%.4f", random.Float64()*0.015))
			}
			fmt.Fprintln(s.stdin, strings.Join(delays, " "))
			s.expect("burst")
			eventually(t, "all are reaped", func() bool { return len(children(s.pid)) == 1 })
		}
		s.stdin.Close()
		s.wantCode(3)
	})
}

// In the middle of a storm signals are forwarded, also those that come by way of
// SIGCHLD, and the command is stopped and continued.
func TestStormForwards(t *testing.T) {
	needExact(t)
	const script = `for s in USR1 URG 34; do trap "echo got $s" $s; done; echo ready
		i=0; while [ $i -lt 20000 ]; do ( : & ); i=$((i+1)); done; while :; do sleep 0.01; done` // not all numbers there are
	inPlaces(t, func(t *testing.T, at place) {
		s := launch(t, at, nil, "--", "sh", "-c", script)
		s.expect("ready")
		for i, name := range []string{"USR1", "URG", "34"} {
			for range 20 {
				s.signal([]unix.Signal{unix.SIGUSR1, unix.SIGURG, 34}[i])
				s.expect("got " + name)
			}
		}
		s.signal(unix.SIGTERM)
		s.wantCode(128 + 15)
	})
}
