package main

import (
	"math/bits"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The built binary takes its signals by itself. With os/signal three threads wake for
// each, one after another: the one in which it is let through, the one that waits for
// news, and the loop's. And at the start the first two hand over sixty signals one
// by one.
//
// Instead the signals stay blocked in every thread, as the entry point has left them,
// and one goroutine waits for them in rt_sigtimedwait(2), as tini does. The thread on
// which it waits wakes, hands the signal to the loop and then the processor: the loop
// runs on the same thread. The runtime blocks no signal for which it might have to end
// the program (blockableSig in its signal_unix.go). Those come to a handler of ours,
// in whatever thread, which notes them and wakes that goroutine.
//
// No signal is missed. What is blocked waits in the kernel. The handler first notes and
// then sends a SIGVTALRM, which waits there as well, and whoever has taken one looks into
// noted afterwards. That signal goes to the process by kill(2), because then it carries
// its sender also when RLIMIT_SIGPENDING is used up (__send_signal_locked in
// kernel/signal.c). The price: one that somebody else sends in the same moment merges
// with it.
//
// What is sent to one thread, by tgkill(2), nobody waits for.

//nolint:gochecknoglobals,unused // shared with entry_linux_*.s
var (
	noted          uint64  // signals to be delivered; bit n-1 is signal n
	caughtHandler  uintptr // caughtSignal
	runtimeHandler uintptr // the runtime's handler of faults
	faults         uint64  = faultSignals
)

// terminalLeft is set when the echo of a SIGCONT is to be dropped, see reap.LeaveTerminal.
//
//nolint:gochecknoglobals // of the process, as signals are
var terminalLeft atomic.Bool

const (
	// faultSignals are those that a fault raises in the thread that has it. One that
	// somebody has sent is as any other signal.
	faultSignals = 1<<(unix.SIGILL-1) | 1<<(unix.SIGTRAP-1) | 1<<(unix.SIGBUS-1) | 1<<(unix.SIGFPE-1) |
		1<<(unix.SIGSEGV-1) | 1<<(unix.SIGSYS-1)
	// untakenSignals are what os/signal does not deliver. The runtime leaves 32 and
	// 34 to the C library, and uses PROF for its profiler and 33 for its threads: it
	// has no profiler then, and no syscall.AllThreadsSyscall.
	untakenSignals = 1<<(unix.SIGPROF-1) | 1<<(32-1) | 1<<(33-1) | 1<<(34-1)
	// caughtSignals are those that the runtime does not leave blocked.
	caughtSignals = faultSignals | untakenSignals | 1<<(unix.SIGSTKFLT-1) | 1<<(unix.SIGHUP-1) | 1<<(unix.SIGINT-1) |
		1<<(unix.SIGQUIT-1) | 1<<(unix.SIGABRT-1) | 1<<(unix.SIGTERM-1) | 1<<(unix.SIGCHLD-1)
	waitedSignals uint64 = ^uint64(caughtSignals | 1<<(unix.SIGKILL-1) | 1<<(unix.SIGSTOP-1))

	saSigInfo = 4 // SA_SIGINFO
)

// receiver takes the signals and hands them to the loop.
type receiver struct {
	chld, requests, sigs chan os.Signal
}

// start begins to take the signals, and delivers those that have come already. It is
// false where that cannot be: who has forbidden rt_sigtimedwait by seccomp(2) has
// os/signal do it.
func (r *receiver) start() bool {
	sig, errno := await(&unix.Timespec{})
	var before [4]uint64
	mustSigaction(unix.SIGSEGV, nil, &before)
	if errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR {
		r.giveUp(before)
		return false
	}
	runtimeHandler = uintptr(before[0])
	action := entryAction
	action[0] = uint64(caughtHandler)
	action[1] |= saSigInfo
	for set := uint64(caughtSignals); set != 0; set &= set - 1 {
		mustSigaction(lowest(set), &action, nil)
	}
	r.deliverNoted()
	for errno == 0 {
		r.deliver(sig)
		if len(r.sigs) == cap(r.sigs) {
			break // the rest waits in the kernel
		}
		sig, errno = await(&unix.Timespec{})
	}
	go r.receive()
	return true
}

// giveUp has the runtime handle what only a handler of ours takes, and takes back the
// SIGVTALRM of those that have come.
func (r *receiver) giveUp(runtimes [4]uint64) {
	for set := uint64(untakenSignals); set != 0; set &= set - 1 {
		mustSigaction(lowest(set), &runtimes, nil)
	}
	var before [4]uint64
	mustSigaction(unix.SIGVTALRM, &[4]uint64{1}, &before) // SIG_IGN: what waits is dropped
	mustSigaction(unix.SIGVTALRM, &before, nil)
	r.deliverNoted()
}

// receive delivers what comes, as long as the program lives.
func (r *receiver) receive() {
	for {
		sig, _ := await(nil) // EINTR: a handler has run on this thread
		r.deliverNoted()
		r.deliver(sig)
		runtime.Gosched() // to the loop, on this thread
	}
}

func (r *receiver) deliverNoted() {
	for set := atomic.SwapUint64(&noted, 0); set != 0; set &= set - 1 {
		r.deliver(lowest(set))
	}
}

// siginfo is the kernel's siginfo_t on machines of 64 bits, as far as it is looked at.
type siginfo struct {
	_, _, code, _ int32
	pid           int32
	_             [108]byte
}

// await is rt_sigtimedwait(2) for waitedSignals; without a timeout it waits for good.
// The signal is 0 for those that reaper makes itself: for the thread that writes to
// what nobody reads (signal(7)), for its group to stop (reap.StopGroup), by leaving the
// terminal, and for itself to wake.
func await(timeout *unix.Timespec) (syscall.Signal, syscall.Errno) {
	var info siginfo
	waited := waitedSignals
	if urgent != "forward" {
		waited &^= 1 << (unix.SIGURG - 1)
	}
	n, _, errno := unix.Syscall6(unix.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&waited)),
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(timeout)), unsafe.Sizeof(waited), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	sig := syscall.Signal(n)
	if int(info.pid) == os.Getpid() && info.code <= 0 {
		switch sig {
		case unix.SIGPIPE, unix.SIGXFSZ, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGVTALRM:
			return 0, 0
		case unix.SIGCONT:
			if terminalLeft.Load() {
				return 0, 0
			}
		}
	}
	return sig, 0
}

// deliver hands a signal to the loop. What there is no place for is lost, and SIGCHLD
// needs one.
func (r *receiver) deliver(sig syscall.Signal) {
	to := r.sigs
	switch sig {
	case 0:
		return
	case unix.SIGCHLD:
		to = r.chld
	case unix.SIGTERM, unix.SIGINT, unix.SIGQUIT:
		to = r.requests
	}
	select {
	case to <- sig:
	default:
	}
}

// lowest is the first signal of a set that has one.
func lowest(set uint64) syscall.Signal { return syscall.Signal(bits.TrailingZeros64(set) + 1) }

// mustSigaction is rt_sigaction(2) with the layout of amd64 and arm64. It cannot fail: the
// entry point has done the same.
func mustSigaction(sig syscall.Signal, action, before *[4]uint64) {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(action)),
		uintptr(unsafe.Pointer(before)), unsafe.Sizeof(action[0]), 0, 0)
	if errno != 0 {
		panic("take signal: " + errno.Error())
	}
}
