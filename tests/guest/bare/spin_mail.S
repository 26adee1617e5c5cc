// Two harts that answer each other by a word, 5000 times, and wait by `pause`: registers are as they were again and
// again, and each wait is a short one.
// options: -smp 2
// status: 0
#include "bare.inc"
    .option arch, +zihintpause
    .globl _start
_start:
    csrr t0, mhartid
    la a0, box
    la a1, left
    li a2, 1
    bnez t0, other

1:  sw a2, 0(a0)
2:  pause
    lw t0, 0(a0)
    bnez t0, 2b
    ld t0, 0(a1)
    addi t0, t0, -1
    sd t0, 0(a1)
    bnez t0, 1b
    exit 0

other:
    pause
    lw t0, 0(a0)
    beqz t0, other
    sw zero, 0(a0)
    li t0, 0
    j other

    .balign 64
box: .word 0
    .balign 64
left: .dword 5000
