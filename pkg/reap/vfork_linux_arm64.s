#include "textflag.h"

#define SYS_clone      220
#define SYS_exit_group 94
#define VFORK          0x4111 // CLONE_VM|CLONE_VFORK|SIGCHLD

// The child runs on the stack of the parent, which is suspended. So it must not
// write there, and does not: all it has is in registers.

// func vfork(calls *call, n int) (pid int)
TEXT ·vfork(SB),NOSPLIT,$0-24
	MOVD	calls+0(FP), R19
	MOVD	n+8(FP), R20
	MOVD	$VFORK, R0
	MOVD	ZR, R1
	MOVD	ZR, R2
	MOVD	ZR, R3
	MOVD	ZR, R4
	MOVD	$SYS_clone, R8
	SVC
	CBZ	R0, next
	MOVD	R0, pid+16(FP)
	RET

next:
	CBZ	R20, fail
	MOVD	0(R19), R8
	CMN	$1, R8
	BEQ	number
	CMN	$2, R8
	BEQ	word
	MOVD	8(R19), R0
	MOVD	16(R19), R1
	MOVD	24(R19), R2
	MOVD	32(R19), R3
	MOVD	40(R19), R4
	SVC
	MOVD	R0, 56(R19)
	MOVD	48(R19), R9
	CBZ	R9, made
	CMP	$1, R9
	BEQ	success
	MOVD	40(R19), R10
	CMP	R10, R0
	BEQ	made
	B	fail
success:
	TBNZ	$63, R0, fail
made:
	ADD	$64, R19
	SUB	$1, R20
	B	next

// See writeNumber.
number:
	MOVD	8(R19), R1
	MOVD	(R1), R0
	MOVD	16(R19), R2
	MOVD	$10, R3
digit:
	UDIV	R3, R0, R4
	MSUB	R3, R0, R4, R5 // R0 - R4*R3
	ADD	$'0', R5
	SUB	$1, R2
	MOVB	R5, (R2)
	MOVD	R4, R0
	CBNZ	R0, digit
	MOVD	24(R19), R1
	MOVD	32(R19), R3
prefix:
	CBZ	R3, written
	SUB	$1, R1
	SUB	$1, R2
	MOVBU	(R1), R5
	MOVB	R5, (R2)
	SUB	$1, R3
	B	prefix
written:
	MOVD	40(R19), R1
	MOVD	R2, (R1)
	B	made

// See copyWord.
word:
	MOVD	8(R19), R1
	MOVD	(R1), R0
	MOVD	16(R19), R2
	MOVD	R0, (R2)
	B	made

fail:
	MOVD	$127, R0
	MOVD	$SYS_exit_group, R8
	SVC
	B	fail
