//go:build linux && (amd64 || arm64)

package reap

import (
	"runtime"

	"golang.org/x/sys/unix"
)

const haveVfork = true

// A call is one system call that the child makes between vfork and execve. The
// assembly knows this layout: 64 bytes, in this order.
type call struct {
	nr   uintptr
	args [5]uintptr
	need need
	// result is what the kernel returned, written by the child: the two share
	// their memory until the execve. It stays notMade if the call was not made,
	// or never came back, as an execve that succeeds.
	result int
}

// need tells what the child does if the call fails: it ends, or goes on.
type need uintptr

const (
	needNothing need = iota
	needSuccess      // not negative
	needEqual        // exactly args[4]
)

// What stands in the place of the number of a system call where the child is to do
// something else.
const (
	// writeNumber writes a text backwards: the number at args[0] in decimal to before
	// args[1], and in front of it the args[3] bytes that end at args[2]. Where the text
	// begins is stored at args[4].
	writeNumber = ^uintptr(0)
	// copyWord copies the word at args[0] to args[1]: what one call has returned
	// becomes an argument of another.
	copyWord = ^uintptr(1)
)

const notMade = 1 << 32 // no system call here returns that

// vfork makes a child that shares the memory of the caller, and suspends the
// calling thread until the child has ended or executed a program. The child
// makes the n calls in their order and nothing else: it touches no stack and
// runs no Go. If one fails that must not it ends with code 127. The pid is
// negative if there is no child: -errno.
func vfork(calls *call, n int) (pid int)

// script is everything that the child reads or writes. It lives on the heap in
// one piece, as run hands out its address: its fields are handed to the kernel as
// numbers, which keep nothing alive and follow no stack that moves. What a field
// points to is on the heap as well.
type script struct {
	calls  [maxCalls]call
	ops    [maxCalls]string // what could not be done if the call has failed; "" does not matter
	n      int
	image  *image
	listen [len(listenPID) + 20]byte // the variable that the child writes, and a 0
	prefix []byte                    // listenPID, for the child
	act    [2]sigaction              // to default, to ignore
	mask   SignalSet
	nofile Limit
	streams
	attributes
}

// maxCalls is how many there can be: one for each signal, limit and capability, the
// last to drop it and to add it, and some more.
const maxCalls = NumSignals + numLimits + 2*64 + 40

func (s *script) add(need need, nr uintptr, args ...uintptr) *call {
	c := &s.calls[s.n]
	s.n++
	c.nr, c.need, c.result = nr, need, notMade
	copy(c.args[:], args)
	return c
}

// must adds a call without which there is no start. op is that of the [StartError].
func (s *script) must(op string, nr uintptr, args ...uintptr) *call {
	s.ops[s.n] = op
	return s.add(needSuccess, nr, args...)
}

// failed is the first step that has failed, if one has.
func (s *script) failed() (op string, errno unix.Errno) {
	for i, c := range s.calls[:s.n] {
		if c.result < 0 && s.ops[i] != "" {
			return s.ops[i], unix.Errno(-c.result)
		}
	}
	return "", 0
}

// run makes the child while every signal is blocked on this thread: a handler
// of Go's that ran in the child would run on memory that is the parent's too.
func (s *script) run() (pid int, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before); err != nil {
		return 0, err
	}
	pid = vfork(&s.calls[0], s.n)
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil); err != nil {
		return 0, err
	}
	runtime.KeepAlive(s)
	if pid < 0 {
		return 0, unix.Errno(-pid)
	}
	return pid, nil
}
