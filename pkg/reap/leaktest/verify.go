package leaktest

import (
	"errors"
	"fmt"
	"time"
)

// TestingT is the part of [testing.TB] that is needed, so that package testing is not
// linked in. If it has a method Helper that is called.
type TestingT interface {
	Error(args ...any)
}

// VerifyNone fails the test if processes have leaked, or if that cannot be known, and
// ends them. Call it by defer at the head of a test that is not parallel; see the
// package documentation for both.
func VerifyNone(t TestingT, opts ...Option) {
	if h, ok := t.(interface{ Helper() }); ok {
		h.Helper()
	}
	if err := verify(newSettings(opts)); err != nil {
		t.Error(err)
	}
}

// verify ends what it finds before it returns it: who is told may not come back.
func verify(s *settings) error {
	leaks, err := find(s)
	err = report(leaks, err)
	if len(leaks) > 0 {
		err = errors.Join(err, end(s, leaks))
	}
	return err
}

// endWait is how long killed processes have to end. Only those that the kernel
// keeps in an uninterruptible sleep need so long, or where nobody gets to run.
const endWait = 10 * time.Second

// end kills the processes, and what they have started before they ended, until
// none is left, and waits for none. The error is why some live on.
func end(s *settings, leaks []Leak) error {
	tell(leaks)
	deadline := time.Now().Add(endWait)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		// Parents come first, so that none replaces those who die.
		var errs []error
		running := 0
		for _, l := range leaks {
			if l.Kind != Unwaited {
				running++
				errs = append(errs, kill(l.Proc))
				tell([]Leak{l})
			}
		}
		if running == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			errs = append(errs, fmt.Errorf("%d still there after SIGKILL", running))
			return fmt.Errorf("end what has leaked: %w", errors.Join(errs...))
		}
		<-time.After(pause)
		var err error
		if leaks, err = look(); err != nil {
			return err
		}
		leaks = s.filter(leaks)
	}
}
