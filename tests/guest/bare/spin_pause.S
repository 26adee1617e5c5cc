// A hart that waits by `pause` for a word that comes after 50 ms. spin.sh looks at how it waited.
// options: -smp 2
// status: 0
#include "bare.inc"
    .option arch, +zihintpause
    .globl _start
_start:
    csrr t0, mhartid
    la a0, asked
    la a1, answered
    li a2, 1
    bnez t0, other

    pass_time 500000
    fence w, w
    sw a2, 0(a0)
1:  lw t0, 0(a1)
    bne t0, a2, 1b
    exit 0

other:
    lw t0, 0(a0)
    beq t0, a2, 1f
    pause
    j other
1:  sw a2, 0(a1)
1:  wfi
    j 1b

    .balign 64
asked: .word 0
    .balign 64
answered: .word 0
