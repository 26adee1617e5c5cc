// A hart that waits for a word as Linux does (LR, wrs) for 50 ms, and its answer: nobody who sleeps meanwhile
// sleeps on. spin.sh looks at how they waited.
// options: -smp 2
// status: 0
#include "bare.inc"
    .option arch, +zawrs
// Until the word at a0 is the number in a1.
    .macro await
1:  lr.w t0, (a0)
    beq t0, a1, 2f
    wrs.nto
    j 1b
2:
    .endm
    .globl _start
_start:
    csrr t0, mhartid
    la a0, asked
    li a1, 1
    bnez t0, other

    pass_time 500000
    fence w, w
    sw a1, 0(a0)
    la a0, answered
    await
    exit 0

other:
    await
    la a0, answered
    sw a1, 0(a0)
1:  wfi
    j 1b

    .balign 64
asked: .word 0
    .balign 64
answered: .word 0
