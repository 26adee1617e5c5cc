/* What the bare-metal guests share. Each starts at RAM's first byte in M mode, says what it
 * saw by its exit status: 0, or the number in gp of the check that did not hold. */
#define FINISHER 0x100000
#define CLINT_MSIP 0x2000000
#define CLINT_MTIMECMP 0x2004000
#define CLINT_MTIME 0x200bff8
#define UART 0x10000000

#define MSTATUS_MIE 0x8
#define MSTATUS_MPP 0x1800
#define MSTATUS_MPP_S 0x800
#define MSTATUS_SUM 0x40000

/* Ends the run; status is a constant. */
.macro exit status
    li t0, FINISHER
    .if \status == 0
    li t1, 0x5555
    .else
    li t1, 0x3333 | (\status) << 16
    .endif
    sw t1, 0(t0)
1:  j 1b
.endm

/* Check number n: register a must hold the constant or symbol b. Uses gp, t6. */
.macro want n, a, b
    li gp, \n
    li t6, \b
    bne \a, t6, wrong
.endm
.macro want_address n, a, b
    li gp, \n
    la t6, \b
    bne \a, t6, wrong
.endm

/* Where `want` goes. Comes last in a file. */
.macro wrong_is_here
    .balign 4
wrong:
    slli t1, gp, 16
    li t0, 0x3333
    or t1, t1, t0
    li t0, FINISHER
    sw t1, 0(t0)
1:  j 1b
.endm

/* A handler that keeps what happened in s2 (cause), s3 (tval), s4 (epc) and goes on at s1. */
.macro catch_trap
    .balign 4
caught:
    csrr s2, mcause
    csrr s3, mtval
    csrr s4, mepc
    csrw mepc, s1
    mret
.endm

/* Runs one instruction that must trap, and comes back behind it. */
.macro trapping insn:vararg
    la s1, 2f
    li s2, -1
    \insn
2:
.endm

.macro trap_to label
    la t0, \label
    csrw mtvec, t0
.endm
