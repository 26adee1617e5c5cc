// The same code under modes that differ in what they make of it: floating point off, not yet
// dirty, dirty, rounding to the larger magnitude, a reserved rounding mode; the clock closed.
// status: 0
#include "bare.inc"
#define FS_INITIAL 0x2000
#define FS_MASK 0x6000
    .globl _start
_start:
    trap_to caught
    li s5, 0x3fe00000           // 0.5 in the upper word of a double
    slli s5, s5, 32

    jal off                     // twice: the second time its block is known
    jal off
    li t0, FS_INITIAL
    csrs mstatus, t0
    fmv.d.x fa1, s5
    li t0, FS_MASK
    csrc mstatus, t0
    jal off
    jal on
    want 10, a0, 0              // 0.5 to nearest, ties to even
    csrr t0, mstatus
    li t1, FS_MASK
    and t0, t0, t1
    want 11, t0, FS_MASK        // dirty
    li t0, FS_MASK
    csrc mstatus, t0
    jal off
    jal on
    csrwi frm, 4                // ties to the larger magnitude
    jal subject
    want 12, a0, 1
    csrwi frm, 3                // up
    jal subject
    want 13, a0, 1
    csrwi frm, 2                // down
    jal subject
    want 14, a0, 0
    csrwi frm, 5                // reserved
    la s1, reserved
    jal subject
    j wrong
reserved:
    want 15, s2, 2
    csrwi frm, 0
    jal subject
    want 16, a0, 0

    li t0, -1                   // S mode: the clock closed, open, closed
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    li s6, 0
    jal watch
    want 20, s2, 2
    li s6, 2
    jal watch
    want 21, s2, 9
    li s6, 0
    jal watch
    want 22, s2, 2
    exit 0

// Traps: floating point is off.
off:
    mv s7, ra
    li s2, -1
    la s1, 1f
    jal subject
    j wrong
1:  want 1, s2, 2
    jr s7

on:
    mv s7, ra
    li t0, FS_INITIAL
    csrs mstatus, t0
    jal subject
    jr s7

// mcounteren = s6, then the clock is read in S, and ecall.
watch:
    mv s7, ra
    csrw mcounteren, s6
    la t0, 1f
    csrw mepc, t0
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t0, MSTATUS_MPP_S
    csrs mstatus, t0
    la s1, 2f
    mret
    .balign 4
1:  csrr a0, time
    ecall
2:  jr s7

    .balign 4
caught:                         // goes on in M
    csrr s2, mcause
    jr s1

    wrong_is_here

    .balign 4
subject:
    fcvt.w.d a0, fa1, dyn
    ret
