#include "textflag.h"

#define SYS_prlimit64 261
#define RLIMIT_NOFILE 7

// func prlimit(old *limits)
TEXT ·prlimit(SB),NOSPLIT,$0-8
	MOVD	ZR, R0
	MOVD	$RLIMIT_NOFILE, R1
	MOVD	ZR, R2
	MOVD	old+0(FP), R3
	MOVD	$SYS_prlimit64, R8
	SVC
	RET
