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
// then reads waiter; the goroutine first writes waiter and then reads noted. So one of
// them sees the other: either the goroutine does not wait, or it is sent a SIGVTALRM,
// which is blocked in its thread and so waits too, if it comes before the wait begins.
// If the goroutine has changed its thread meanwhile, the SIGVTALRM stays where it was
// sent, and wakes it for nothing if it ever waits there.

//nolint:gochecknoglobals,unused // shared with entry_linux_*.s
var (
	noted          uint64  // signals to be delivered; bit n-1 is signal n
	waiter         uint32  // the thread that waits, 0 before the first wait
	self           uint32  // the pid
	caughtHandler  uintptr // caughtSignal
	runtimeHandler uintptr // the runtime's handler of faults
	faults         uint64  = faultSignals
)

const (
	// faultSignals are those that a fault raises in the thread that has it. One that
	// somebody has sent is as any other signal.
	faultSignals = 1<<(unix.SIGILL-1) | 1<<(unix.SIGTRAP-1) | 1<<(unix.SIGBUS-1) | 1<<(unix.SIGFPE-1) |
		1<<(unix.SIGSEGV-1) | 1<<(unix.SIGSTKFLT-1) | 1<<(unix.SIGSYS-1)
	// caughtSignals are those that the runtime does not leave blocked.
	caughtSignals = faultSignals | 1<<(unix.SIGHUP-1) | 1<<(unix.SIGINT-1) | 1<<(unix.SIGQUIT-1) |
		1<<(unix.SIGABRT-1) | 1<<(unix.SIGTERM-1) | 1<<(unix.SIGCHLD-1) | 1<<(unix.SIGPROF-1) |
		1<<(32-1) | 1<<(33-1) | 1<<(34-1)
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
	self = uint32(os.Getpid())
	sig, errno := await(&unix.Timespec{})
	if errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR {
		r.deliverNoted()
		return false
	}
	var before [4]uint64
	mustSigaction(unix.SIGSEGV, nil, &before)
	runtimeHandler = uintptr(before[0])
	action := entryAction
	action[0] = uint64(caughtHandler)
	action[1] |= saSigInfo
	for set := uint64(caughtSignals); set != 0; set &= set - 1 {
		mustSigaction(lowest(set), &action, nil)
	}
	r.deliverNoted()
	for ; errno == 0; sig, errno = await(&unix.Timespec{}) {
		r.deliver(sig)
	}
	go r.receive()
	return true
}

// receive delivers what comes, as long as the program lives.
func (r *receiver) receive() {
	for {
		sig := r.wait()
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

// wait waits for a signal. It returns 0 when there may be some in noted.
func (r *receiver) wait() syscall.Signal {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	atomic.StoreUint32(&waiter, uint32(unix.Gettid()))
	if atomic.LoadUint64(&noted) != 0 {
		return 0
	}
	sig, _ := await(nil) // EINTR: a handler has run here
	return sig
}

// siginfo is the kernel's siginfo_t on machines of 64 bits, as far as it is looked at.
type siginfo struct {
	_, _, code, _ int32
	pid           int32
	_             [108]byte
}

// await is rt_sigtimedwait(2) for waitedSignals; without a timeout it waits for good.
// The signal is 0 for those that reaper makes itself, for the thread that writes to
// what nobody reads (signal(7)), or for its group to stop, see reap.StopGroup.
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
	if uint32(info.pid) == self && info.code <= 0 {
		switch sig {
		case unix.SIGPIPE, unix.SIGXFSZ, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
			return 0, 0
		case unix.SIGVTALRM:
			if info.code == siTKill {
				return 0, 0
			}
		}
	}
	return sig, 0
}

const siTKill = -6 // SI_TKILL

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
