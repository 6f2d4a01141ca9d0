// Package leaktest finds processes that a test has left behind: children that
// still run, children that nobody has waited for, and whatever those have started
// in turn, orphans included. It is for processes what go.uber.org/goleak is for
// goroutines.
//
//	func TestServer(t *testing.T) {
//		defer leaktest.VerifyNone(t)
//		...
//	}
//
// or, for all tests of a package, and the only way if some of them are parallel:
//
//	func TestMain(m *testing.M) { leaktest.VerifyTestMain(m) }
//
// # What it does to the process
//
// Importing it makes the process a child subreaper (Linux 3.4,
// [reap.BecomeSubreaper]), so that a grandchild whose parent has ended comes to the
// test, where it is seen, and not to PID 1. This is done while packages are
// initialized, because who was orphaned before stays with its adopter. So import it
// in tests alone. Code that waits for any child (wait4 with -1) meets the adopted
// ones too, and a daemon's parent is the test and not PID 1.
//
// It waits for no process at all, whoever's it is, and so takes no exit status away:
// a child of [syscall.ForkExec], which somebody may be about to wait for, looks just
// like an adopted orphan. The price is that adopted orphans which have exited remain
// zombies as long as the tests run. They are not counted as leaks.
//
// # What it finds
//
// The four [Kind] values. A child is told from an adopted orphan by the pidfd which
// [os.Process] has of it until Wait or Release: /proc/self/fdinfo names its process.
// So
//
//   - a child that was started by syscall.ForkExec or let go of by Release counts as
//     an orphan: it is found while it runs, and not when it has exited;
//   - the same holds for an os.Process (an exec.Cmd) that nothing refers to any
//     more, once the garbage collector has found it. A missing Wait is certain to be
//     found as long as the program keeps the Cmd, and otherwise as long as there was
//     no collection; the sooner after the fault the check comes, the better;
//   - a process that had been opened by [os.FindProcess] counts as a child.
//
// A zombie below another process than the test is the matter of that one and not
// told. Something that is just exiting, or just being waited for, is no leak:
// there are up to [MaxWait] to finish.
//
// # What becomes of it
//
// [VerifyNone] and [VerifyTestMain] kill what they report (SIGKILL, by a pidfd, so
// that no other process is met which has the number by now), so that the next test is
// not blamed for it and nothing outlives the tests. A killed child remains a zombie
// for its Wait. What cannot be cleared away, as a child that only its os.Process may
// wait for, is told once and not again. [Find] only reports, and does so each time.
//
// What an [Option] excludes is neither reported nor killed. Nothing is done for tests
// that end in another way than by a return of m.Run: by os.Exit, by a panic, or by
// the timeout of go test.
//
// # Parallel tests
//
// Nothing tells which test a process belongs to. VerifyNone in a test that runs
// beside others, by t.Parallel, reports the processes of the others and kills them;
// in a test of its own it meets those that parallel tests have started before they
// paused. Use VerifyTestMain there. Goroutines that start processes all the time
// have the same effect.
//
// A deferred VerifyNone runs before what t.Cleanup has been given, and before the
// context of the test is cancelled. Where processes end that way, make it the first
// cleanup, which runs last:
//
//	t.Cleanup(func() { leaktest.VerifyNone(t) })
//
// # Where it does not work
//
// It needs Linux 5.4, for pidfds, and a /proc of the own pid namespace in which the
// processes are not hidden. Elsewhere, and where the process could not become a
// subreaper, every check fails, with an error that is [ErrUnknown]: that nothing was
// found would mean nothing. Put tests that use it in files for Linux.
//
// A process that has changed its user may be out of reach of SIGKILL; that is
// reported too. A leak that has been told but could not be killed is not told again.
package leaktest
