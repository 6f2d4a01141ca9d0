package leaktest_test

import (
	"errors"
	"fmt"
	"os/exec"
	"testing"

	"github.com/reaper-init/reaper/pkg/reap/leaktest"
)

// At the head of a test, which must not be parallel.
func ExampleVerifyNone() {
	var t testing.TB // of the test
	defer leaktest.VerifyNone(t)
	if err := exec.Command("true").Run(); err != nil {
		fmt.Println(err)
	}
}

// For all tests of a package, parallel ones too. What runs in advance, and a server
// that is started once and stays, are left alone.
func ExampleVerifyTestMain() {
	var m *testing.M // of TestMain
	leaktest.VerifyTestMain(m, leaktest.IgnoreCurrent(), leaktest.IgnoreCommand(`^gpg-agent `))
}

// The fields tell programs what the text tells people.
func ExampleFind() {
	var leak *leaktest.LeakError
	switch err := leaktest.Find(); {
	case errors.As(err, &leak):
		for _, l := range leak.Leaks {
			fmt.Println(l.Kind, l.PID, l.Args)
		}
	case errors.Is(err, leaktest.ErrUnknown):
		fmt.Println("not on this machine")
	case err == nil:
		fmt.Println("none")
	}
}
