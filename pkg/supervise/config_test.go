package supervise

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestConfigValidate(t *testing.T) {
	args := []string{"true"}
	rewrite := func(from, to syscall.Signal) map[syscall.Signal]syscall.Signal {
		return map[syscall.Signal]syscall.Signal{from: to}
	}
	for _, tt := range []struct {
		name string
		cfg  Config
		want []string // the lines of the error
	}{
		{"the least", Config{Args: args}, nil},
		{"everything", Config{
			Args: []string{"sleep", "", "1"}, Env: []string{"A=1"}, Group: true, Rewrite: rewrite(1, 2),
			StopSignal: 64, StopDelay: 1, StopTimeout: time.Hour, ChildParentDeath: syscall.SIGKILL, NameOrphans: true,
		}, nil},

		{"no command", Config{}, []string{"Args: no command"}},

		{"KILL may be sent for another", Config{Args: args, Rewrite: rewrite(syscall.SIGUSR1, syscall.SIGKILL)}, nil},
		{"0 drops", Config{Args: args, Rewrite: rewrite(64, 0)}, nil},
		{"0 never comes", Config{Args: args, Rewrite: rewrite(0, 1)}, []string{"Rewrite: signal 0 is never forwarded"}},
		{"65 never comes", Config{Args: args, Rewrite: rewrite(65, 1)}, []string{"Rewrite: signal 65 is never forwarded"}},
		{"KILL never comes", Config{Args: args, Rewrite: rewrite(syscall.SIGKILL, 1)}, []string{"Rewrite: signal 9 is never forwarded"}},
		{"STOP never comes", Config{Args: args, Rewrite: rewrite(syscall.SIGSTOP, 1)}, []string{"Rewrite: signal 19 is never forwarded"}},
		{"CHLD is reaper's own", Config{Args: args, Rewrite: rewrite(syscall.SIGCHLD, 0)}, []string{"Rewrite: signal 17 is never forwarded"}},
		{"65 cannot be sent", Config{Args: args, Rewrite: rewrite(1, 65)}, []string{"Rewrite: no signal 65"}},
		{"nor -1", Config{Args: args, Rewrite: rewrite(1, -1)}, []string{"Rewrite: no signal -1"}},

		{"StopSignal too small", Config{Args: args, StopSignal: -1}, []string{"StopSignal: no signal -1"}},
		{"StopSignal too large", Config{Args: args, StopSignal: 65}, []string{"StopSignal: no signal 65"}},
		{"ChildParentDeath", Config{Args: args, ChildParentDeath: 65}, []string{"ChildParentDeath: no signal 65"}},
		{"StopDelay", Config{Args: args, StopDelay: -time.Second}, []string{"StopDelay: negative duration -1s"}},
		{"StopTimeout", Config{Args: args, StopTimeout: -1}, []string{"StopTimeout: negative duration -1ns"}},

		{"all at once", Config{
			Rewrite:    map[syscall.Signal]syscall.Signal{3: 99, 9: 1, 1: 99, 2: 99},
			StopSignal: 99, ChildParentDeath: 99, StopDelay: -1, StopTimeout: -1,
		}, []string{
			"Args: no command",
			"Rewrite: no signal 99", "Rewrite: no signal 99", "Rewrite: no signal 99", "Rewrite: signal 9 is never forwarded",
			"StopSignal: no signal 99", "ChildParentDeath: no signal 99",
			"StopDelay: negative duration -1ns", "StopTimeout: negative duration -1ns",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 10 { // a map has no order, the text must have one
				var got []string
				if err := tt.cfg.Validate(); err != nil {
					got = strings.Split(err.Error(), "\n")
				}
				if !slices.Equal(got, tt.want) {
					t.Fatalf("Validate:\n got %q\nwant %q", got, tt.want)
				}
			}
		})
	}
}
