#include "textflag.h"

// The first instructions of the program, if it is linked with -E main.entry:
// they run before the Go runtime and write down what the runtime will change,
// see inherit.go. No stack has been set up but the kernel's, there is no g, and
// every register but the stack pointer is free. The Go side of each variable is
// in inherit.go.

#define SYS_open           2
#define SYS_rt_sigaction   13
#define SYS_rt_sigprocmask 14
#define SYS_rt_sigreturn   15
#define SYS_getpid         39
#define SYS_kill           62
#define SYS_fcntl          72
#define SYS_getppid        110
#define SYS_exit_group     231
#define SYS_prlimit64      302

#define SIG_SETMASK   2
#define SIG_IGN       1
#define SIGVTALRM     26
#define SA_FLAGS      0x1C000000 // SA_RESTORER|SA_ONSTACK|SA_RESTART
#define F_GETFD       1
#define RLIMIT_NOFILE 7
#define O_PATH_CLOEXEC 0x280000

TEXT ·entry(SB),NOSPLIT|NOFRAME,$0
	MOVQ	SP, ·initialStack(SB)

	MOVL	$SYS_getppid, AX
	SYSCALL
	MOVQ	AX, ·inheritedParent(SB)

	// A descriptor 0, 1 or 2 that is closed: the runtime would open /dev/null
	// there for good, and ends the program where there is none. One that is
	// closed by execve leaves the command what it was given.
	XORL	R12, R12
std:
	MOVQ	R12, DI
	MOVL	$F_GETFD, SI
	MOVL	$SYS_fcntl, AX
	SYSCALL
	TESTQ	AX, AX
	JGE	open
	LEAQ	·rootPath(SB), DI
	MOVL	$O_PATH_CLOEXEC, SI
	XORL	DX, DX
	MOVL	$SYS_open, AX
	SYSCALL
open:
	INCQ	R12
	CMPQ	R12, $3
	JNE	std

	XORL	DI, DI
	MOVL	$RLIMIT_NOFILE, SI
	XORL	DX, DX
	LEAQ	·inheritedNoFile(SB), R10
	MOVL	$SYS_prlimit64, AX
	SYSCALL

	// What is blocked waits, also for PID 1, until it is taken; see earlyMask.
	MOVL	$SIG_SETMASK, DI
	LEAQ	·earlyMask(SB), SI
	LEAQ	·inheritedBlocked(SB), DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigprocmask, AX
	SYSCALL

	// Which signals are ignored; and a handler for those that would end the
	// program before it can forward them.
	LEAQ	·earlySignal(SB), AX
	MOVQ	AX, ·entryAction+0(SB)
	MOVQ	$SA_FLAGS, AX
	MOVQ	AX, ·entryAction+8(SB)
	LEAQ	·earlyReturn(SB), AX
	MOVQ	AX, ·entryAction+16(SB)
	MOVQ	$-1, AX
	MOVQ	AX, ·entryAction+24(SB)
	LEAQ	·caughtSignal(SB), AX
	MOVQ	AX, ·caughtHandler(SB)
	MOVL	$1, R12
	MOVL	$1, R13                // the bit of signal R12
signals:
	MOVQ	R12, DI
	XORL	SI, SI
	LEAQ	·entryBefore(SB), DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigaction, AX
	SYSCALL
	TESTQ	AX, AX
	JNE	nextSignal
	MOVQ	·entryBefore(SB), AX
	CMPQ	AX, $SIG_IGN
	JNE	notIgnored
	ORQ	R13, ·inheritedIgnored(SB)
	JMP	nextSignal
notIgnored:
	TESTQ	R13, ·earlyTaken(SB)
	JEQ	nextSignal
	MOVQ	R12, DI
	LEAQ	·entryAction(SB), SI
	XORL	DX, DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigaction, AX
	SYSCALL
nextSignal:
	SHLQ	$1, R13
	INCQ	R12
	CMPQ	R12, $65
	JNE	signals

	// What the kernel has put on the stack, once more and with two variables added, for
	// the runtime alone: argc, the arguments, 0, the environment, 0, the auxiliary
	// vector in pairs, up to the one that starts with 0.
	MOVQ	SP, SI
	MOVQ	0(SI), CX
	LEAQ	16(SI)(CX*8), R8       // the environment
	MOVQ	R8, R9
environment:
	MOVQ	(R9), AX
	ADDQ	$8, R9
	TESTQ	AX, AX
	JNE	environment
auxiliary:
	MOVQ	(R9), AX
	ADDQ	$16, R9
	TESTQ	AX, AX
	JNE	auxiliary
	MOVQ	SP, DI
	SUBQ	R9, DI
	ADDQ	SI, DI
	SUBQ	$16, DI
	ANDQ	$~15, DI
	MOVQ	DI, SP                 // first of all: a signal may come
	CLD
	MOVQ	R8, CX
	SUBQ	SI, CX
	REP; MOVSB
	LEAQ	·oneProcessor(SB), AX
	MOVQ	AX, 0(DI)
	LEAQ	·noDebugging(SB), AX
	MOVQ	AX, 8(DI)
	ADDQ	$16, DI
	MOVQ	R9, CX
	SUBQ	SI, CX
	REP; MOVSB

	MOVQ	$1, AX
	MOVQ	AX, ·entered(SB)
	XORL	DX, DX                 // the psABI has a function for atexit here: none
	JMP	_rt0_amd64_linux(SB)

// earlySignal handles a signal before the Go runtime does: it notes it. The kernel
// calls it as a C function. When it gets as far as to ask, caughtSignal may have taken
// its place, which does the same.
//
// The runtime calls it too, as the handler that was there before its own, when
// it is about to end the program by a signal that nobody has asked for yet. As
// PID 1 that would end with code 2.
TEXT ·earlySignal(SB),NOSPLIT|NOFRAME,$0
	MOVQ	DI, R8
	SUBQ	$40, SP
	XORL	SI, SI
	MOVQ	SP, DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigaction, AX
	SYSCALL                        // keeps R8; clobbers CX, R11
	MOVQ	0(SP), AX
	ADDQ	$40, SP
	MOVQ	R8, DI
	LEAQ	·earlySignal(SB), CX
	CMPQ	AX, CX
	JEQ	note
	CMPQ	AX, ·caughtHandler(SB)
	JNE	end
note:
	JMP	·noteSignal(SB)
end:
	LEAQ	128(R8), DI
	MOVL	$SYS_exit_group, AX
	SYSCALL
	INT	$3

// caughtSignal handles, once receiver has begun, the signals that cannot be blocked. A
// fault of the program's own is the runtime's. The kernel calls it as a C function, on
// the stack that the runtime has for signals.
TEXT ·caughtSignal(SB),NOSPLIT|NOFRAME,$0
	MOVL	DI, CX
	DECL	CX
	MOVL	$1, R8
	SHLQ	CX, R8
	TESTQ	R8, ·faults(SB)
	JEQ	note
	CMPL	8(SI), $0              // si_code: above 0 it comes from the kernel
	JLE	note
	MOVQ	·runtimeHandler(SB), AX
	JMP	AX
note:
	JMP	·noteSignal(SB)

// noteSignal notes the signal DI, and wakes whoever waits for signals.
TEXT ·noteSignal(SB),NOSPLIT|NOFRAME,$0
	MOVL	DI, CX
	DECL	CX
	MOVL	$1, R8
	SHLQ	CX, R8
	MOVQ	·noted(SB), AX
again:
	MOVQ	AX, R9
	ORQ	R8, R9
	LOCK
	CMPXCHGQ	R9, ·noted(SB)
	JNE	again
	TESTQ	AX, AX
	JNE	woken                  // by who has noted the first
	MOVL	$SYS_getpid, AX
	SYSCALL
	MOVL	AX, DI
	MOVL	$SIGVTALRM, SI
	MOVL	$SYS_kill, AX
	SYSCALL
woken:
	RET

TEXT ·earlyReturn(SB),NOSPLIT|NOFRAME,$0
	MOVL	$SYS_rt_sigreturn, AX
	SYSCALL
	INT	$3
