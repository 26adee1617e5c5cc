// A hart whose wfi does not wait, for an interrupt is pending that it does not take, and that looks for a word
// instead, as OpenSBI's do until they are started. The word comes after 50 ms. spin.sh looks at how they waited.
// options: -smp 2
// status: 0
#include "bare.inc"
#define MSIE 0x8
    .globl _start
_start:
    csrr t0, mhartid
    la a0, started
    li a1, 1
    bnez t0, other

    pass_time 500000
    fence w, w
    sw a1, 0(a0)
    la a0, answered
1:  lw t0, 0(a0)
    bne t0, a1, 1b
    exit 0

other:
    li t1, CLINT_MSIP + 4
    sw a1, 0(t1)
    li t0, MSIE
    csrs mie, t0
1:  wfi
    lw t0, 0(a0)
    bne t0, a1, 1b
    csrr t0, mip
    andi t0, t0, MSIE
    li gp, 1
    beqz t0, wrong
    la a0, answered
    sw a1, 0(a0)
    csrw mie, zero
1:  wfi
    j 1b
    wrong_is_here

    .balign 64
started: .word 0
    .balign 64
answered: .word 0
