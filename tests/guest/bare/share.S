// Three harts on one host thread, which never say that they wait: each comes to run all the same, at its start, and
// when it is kicked together with another one that then spins for it.
// options: -smp 3 --hart-threads 1
// status: 0
#include "bare.inc"
    .equ ROUNDS, 20
    .macro await register, word // spins, without pause, until the word is what the register says
1:  lw t0, 0(\word)
    bne t0, \register, 1b
    .endm
    // Waits for an interrupt of its own, and takes it back.
    .macro sleep
1:  wfi
    lw t0, 0(s2)
    beqz t0, 1b
    sw x0, 0(s2)
    fence
    .endm
    .globl _start
_start:
    csrr s0, mhartid
    li s1, CLINT_MSIP
    slli s2, s0, 2
    add s2, s1, s2
    li t0, 8
    csrw mie, t0
    la s3, here
    la s4, answer
    la s5, done
    li s6, 0
    li s7, ROUNDS
    li t0, 1
    amoadd.w x0, t0, (s3)
    li t1, 3 // they may come one at a time
    await t1, s3
    beqz s0, spinner
    li t1, 1
    beq s0, t1, kicker

answerer:
    sleep
    amoadd.w x0, t1, (s4)
    j answerer

spinner:
    sleep
    addi s6, s6, 1
    await s6, s4
    li t2, 1
    amoadd.w x0, t2, (s5)
    j spinner

kicker:
    addi s6, s6, 1
    li t2, 200 // the others have gone to sleep, in most rounds
1:  addi t2, t2, -1
    bnez t2, 1b
    li t2, 1
    sw t2, 8(s1)
    sw t2, 0(s1)
    await s6, s5
    bne s6, s7, kicker
    exit 0

    .balign 64
here: .word 0
    .balign 64
answer: .word 0
    .balign 64
done: .word 0
