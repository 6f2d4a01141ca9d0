package leaktest

import (
	"fmt"
	"os"
)

// TestingM is the part of [testing.M] that is needed.
type TestingM interface {
	Run() int
}

// VerifyTestMain runs the tests and ends the process with their exit code. If that
// is 0 and processes have leaked, or it cannot be known, it says so on stderr, and
// the code is 1. What has leaked is ended in any case; after tests that have failed
// nothing is said of it. Deferred functions of the caller do not run.
func VerifyTestMain(m TestingM, opts ...Option) { os.Exit(runTests(m, opts)) }

func runTests(m TestingM, opts []Option) int {
	code := m.Run()
	err := verify(newSettings(opts))
	if code == 0 && err != nil {
		fmt.Fprintf(os.Stderr, "leaktest: %v\n", err)
		code = 1
	}
	return code
}
