// Package reap is the kernel side of an init: it becomes a subreaper, starts a
// command, waits for whatever exits, sends signals, and reads /proc. It decides
// nothing and logs nothing; the policy is in package supervise.
//
// # Who may wait
//
// There are two kinds of programs, and one is either.
//
// [Drain] is for an init. It waits for every child of the calling process, whoever
// started it. One goroutine owns the process table: it alone calls [Start], [Drain]
// and [Signal]. A program that also uses os/exec must not call Drain: the exit
// status that a [os/exec.Cmd] waits for would be taken away from it.
//
// [Orphans] is for any other program to which orphans come. It reaps them beside
// os/exec, whose children it leaves alone.
//
// # What a pid is worth
//
// A child that has exited stays a zombie, and its pid stays taken, until it is
// waited for. So a pid that the owner started, or found by [Peek], and has not
// drained yet, can be signalled without the danger that the number has been
// given to another process. The same holds for a process group as long as it
// has a member, zombies included.
//
// # What is never passed to wait
//
// __WALL and __WCLONE: the Go runtime makes a clone child of its own to learn
// whether pidfds work (os.checkPidfd), and only these two flags could take it
// away.
//
// # Kernel versions
//
// PR_SET_CHILD_SUBREAPER needs Linux 3.4, prlimit64 2.6.36, Orphans 5.4; of
// [Attributes], NoNewPrivileges 3.5 and AddCapabilities 4.3. Everything else is older.
// /proc is read for reports alone, and written for OOMScoreAdj: nothing here needs it to
// be correct, but Orphans, which says so where it is missing.
package reap
