// Two harts on one host thread. One has a timer that comes about when it says wfi, so that it sleeps in some rounds
// and not in others; then it waits, without saying so, for what the other one counts. It must be made to give way in
// either case.
// options: -smp 2 --hart-threads 1
// status: 0
#include "bare.inc"
    .equ ROUNDS, 256
    .globl _start
_start:
    csrr s0, mhartid
    la s3, count
    bnez s0, counts

    li s1, CLINT_MTIMECMP
    li s2, CLINT_MTIME
    li t0, 128
    csrw mie, t0
    li s4, ROUNDS
round:
    andi t1, s4, 63
    slli t1, t1, 1
    ld t0, 0(s2)
    add t0, t0, t1
    sd t0, 0(s1)
    wfi
    li t0, -1
    sd t0, 0(s1)
    lw t1, 0(s3)
1:  lw t0, 0(s3)
    beq t0, t1, 1b
    addi s4, s4, -1
    bnez s4, round
    exit 0

counts:
    li t0, 1
1:  amoadd.w x0, t0, (s3)
    j 1b

    .balign 64
count: .word 0
