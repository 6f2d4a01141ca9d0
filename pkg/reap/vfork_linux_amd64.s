#include "textflag.h"

#define SYS_clone      56
#define SYS_exit_group 231
#define VFORK          0x4111 // CLONE_VM|CLONE_VFORK|SIGCHLD

// The child runs on the stack of the parent, which is suspended. So it must not
// write there, and does not: all it has is in registers.

// func vfork(calls *call, n int) (pid int)
TEXT ·vfork(SB),NOSPLIT,$0-24
	MOVQ	calls+0(FP), R12
	MOVQ	n+8(FP), R13
	MOVQ	$VFORK, DI
	XORL	SI, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVL	$SYS_clone, AX
	SYSCALL
	TESTQ	AX, AX
	JEQ	next
	MOVQ	AX, pid+16(FP)
	RET

next:
	TESTQ	R13, R13
	JEQ	fail
	MOVQ	0(R12), AX
	CMPQ	AX, $-1
	JEQ	number
	CMPQ	AX, $-2
	JEQ	word
	MOVQ	8(R12), DI
	MOVQ	16(R12), SI
	MOVQ	24(R12), DX
	MOVQ	32(R12), R10
	MOVQ	40(R12), R8
	SYSCALL
	MOVQ	AX, 56(R12)
	MOVQ	48(R12), CX
	CMPQ	CX, $1
	JLT	made
	JEQ	success
	CMPQ	AX, 40(R12)
	JEQ	made
	JMP	fail
success:
	TESTQ	AX, AX
	JLT	fail
made:
	ADDQ	$64, R12
	DECQ	R13
	JMP	next

// See writeNumber.
number:
	MOVQ	8(R12), SI
	MOVQ	(SI), AX
	MOVQ	16(R12), DI
	MOVQ	$10, R8
digit:
	XORL	DX, DX
	DIVQ	R8
	ADDQ	$'0', DX
	DECQ	DI
	MOVB	DX, (DI)
	TESTQ	AX, AX
	JNE	digit
	MOVQ	24(R12), SI
	MOVQ	32(R12), CX
prefix:
	TESTQ	CX, CX
	JEQ	written
	DECQ	SI
	DECQ	DI
	MOVB	(SI), DX
	MOVB	DX, (DI)
	DECQ	CX
	JMP	prefix
written:
	MOVQ	40(R12), SI
	MOVQ	DI, (SI)
	JMP	made

// See copyWord.
word:
	MOVQ	8(R12), SI
	MOVQ	(SI), AX
	MOVQ	16(R12), DI
	MOVQ	AX, (DI)
	JMP	made

fail:
	MOVL	$127, DI
	MOVL	$SYS_exit_group, AX
	SYSCALL
	JMP	fail
