#include "textflag.h"

// As entry_linux_amd64.s, where the reasons stand.

#define SYS_fcntl          25
#define SYS_openat         56
#define SYS_exit_group     94
#define SYS_kill           129
#define SYS_rt_sigaction   134
#define SYS_rt_sigprocmask 135
#define SYS_getpid         172
#define SYS_getppid        173
#define SYS_prlimit64      261

#define SIG_SETMASK   2
#define SIG_IGN       1
#define SIGVTALRM     26
#define SA_FLAGS      0x18000000 // SA_ONSTACK|SA_RESTART; the kernel brings its own restorer
#define F_GETFD       1
#define RLIMIT_NOFILE 7
#define AT_FDCWD      -100
#define O_PATH_CLOEXEC 0x280000

TEXT ·entry(SB),NOSPLIT|NOFRAME,$0
	MOVD	RSP, R0
	MOVD	R0, ·initialStack(SB)

	MOVD	$SYS_getppid, R8
	SVC
	MOVD	R0, ·inheritedParent(SB)

	MOVD	$0, R19
std:
	MOVD	R19, R0
	MOVD	$F_GETFD, R1
	MOVD	$SYS_fcntl, R8
	SVC
	TBZ	$63, R0, open
	MOVD	$AT_FDCWD, R0
	MOVD	$·rootPath(SB), R1
	MOVD	$O_PATH_CLOEXEC, R2
	MOVD	$0, R3
	MOVD	$SYS_openat, R8
	SVC
open:
	ADD	$1, R19
	CMP	$3, R19
	BNE	std

	MOVD	$0, R0
	MOVD	$RLIMIT_NOFILE, R1
	MOVD	$0, R2
	MOVD	$·inheritedNoFile(SB), R3
	MOVD	$SYS_prlimit64, R8
	SVC

	MOVD	$SIG_SETMASK, R0
	MOVD	$·earlyMask(SB), R1
	MOVD	$·inheritedBlocked(SB), R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigprocmask, R8
	SVC

	MOVD	$·entryAction(SB), R21
	MOVD	$·earlySignal(SB), R0
	MOVD	R0, 0(R21)
	MOVD	$SA_FLAGS, R0
	MOVD	R0, 8(R21)
	MOVD	ZR, 16(R21)
	MOVD	$-1, R0
	MOVD	R0, 24(R21)
	MOVD	$·caughtSignal(SB), R0
	MOVD	R0, ·caughtHandler(SB)
	MOVD	$1, R19
	MOVD	$1, R20                // the bit of signal R19
signals:
	MOVD	R19, R0
	MOVD	$0, R1
	MOVD	$·entryBefore(SB), R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigaction, R8
	SVC
	CBNZ	R0, nextSignal
	MOVD	·entryBefore(SB), R0
	CMP	$SIG_IGN, R0
	BNE	notIgnored
	MOVD	·inheritedIgnored(SB), R1
	ORR	R20, R1
	MOVD	R1, ·inheritedIgnored(SB)
	B	nextSignal
notIgnored:
	MOVD	·earlyTaken(SB), R1
	TST	R20, R1
	BEQ	nextSignal
	MOVD	R19, R0
	MOVD	R21, R1
	MOVD	$0, R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigaction, R8
	SVC
nextSignal:
	LSL	$1, R20
	ADD	$1, R19
	CMP	$65, R19
	BNE	signals

	MOVD	RSP, R1
	MOVD	0(R1), R2
	ADD	$16, R1, R3
	ADD	R2<<3, R3              // the environment
	MOVD	R3, R4
environment:
	MOVD.P	8(R4), R0
	CBNZ	R0, environment
auxiliary:
	MOVD.P	16(R4), R0
	CBNZ	R0, auxiliary
	SUB	R1, R4, R5
	ADD	$16, R5
	MOVD	RSP, R6
	SUB	R5, R6
	AND	$~15, R6
	MOVD	R6, RSP                // first of all: a signal may come
arguments:
	MOVD.P	8(R1), R0
	MOVD.P	R0, 8(R6)
	CMP	R3, R1
	BNE	arguments
	MOVD	$·oneProcessor(SB), R0
	MOVD.P	R0, 8(R6)
	MOVD	$·noDebugging(SB), R0
	MOVD.P	R0, 8(R6)
rest:
	MOVD.P	8(R1), R0
	MOVD.P	R0, 8(R6)
	CMP	R4, R1
	BNE	rest

	MOVD	$1, R0
	MOVD	R0, ·entered(SB)
	MOVD	$0, R0
	B	_rt0_arm64_linux(SB)

// R30 is where the kernel's sigreturn is, or the runtime's caller.
TEXT ·earlySignal(SB),NOSPLIT|NOFRAME,$0
	MOVD	R0, R9
	SUB	$48, RSP
	MOVD	$0, R1
	MOVD	RSP, R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigaction, R8
	SVC
	MOVD	0(RSP), R10
	ADD	$48, RSP
	MOVD	R9, R0
	MOVD	$·earlySignal(SB), R11
	CMP	R11, R10
	BEQ	note
	MOVD	·caughtHandler(SB), R11
	CMP	R11, R10
	BNE	end
note:
	JMP	·noteSignal(SB)
end:
	ADD	$128, R9, R0
	MOVD	$SYS_exit_group, R8
	SVC
	B	end

TEXT ·caughtSignal(SB),NOSPLIT|NOFRAME,$0
	SUB	$1, R0, R9
	MOVD	$1, R10
	LSL	R9, R10, R10
	MOVD	·faults(SB), R11
	TST	R10, R11
	BEQ	note
	MOVW	8(R1), R11             // si_code
	CMPW	$0, R11
	BLE	note
	MOVD	·runtimeHandler(SB), R11
	JMP	(R11)
note:
	JMP	·noteSignal(SB)

TEXT ·noteSignal(SB),NOSPLIT|NOFRAME,$0
	SUB	$1, R0, R9
	MOVD	$1, R10
	LSL	R9, R10, R10
	MOVD	$·noted(SB), R12
again:
	LDAXR	(R12), R13
	ORR	R10, R13, R14
	STLXR	R14, (R12), R15
	CBNZ	R15, again
	CBNZ	R13, woken
	MOVD	$SYS_getpid, R8
	SVC
	MOVD	$SIGVTALRM, R1
	MOVD	$SYS_kill, R8
	SVC
woken:
	RET
