// Two harts on one host thread, and firmware in M mode that interrupts the other one for it: neither who waits for
// the answer in S mode, in a loop that does not say so, nor who sends again and again, keeps the processor.
// options: -smp 2 --hart-threads 1
// status: 0
#include "bare.inc"
#include "sv39.inc"
    .equ ROUNDS, 50
    .equ SUPERVISOR_INTERRUPTS, 0x222
    .globl _start
_start:
    la t0, firmware
    csrw mtvec, t0
    allow_all
    li t0, SUPERVISOR_INTERRUPTS
    csrw mideleg, t0
    la s1, answer
    li s2, CLINT_MSIP + 4
    li s3, 1
    csrr t0, mhartid
    bnez t0, answerer
1:  .insn i 0x0f, 0, x0, x0, 0x010 // pause: the other comes to its sleep
    lw t0, 0(s1)
    beqz t0, 1b
    li t1, 2000
1:  .insn i 0x0f, 0, x0, x0, 0x010
    addi t1, t1, -1
    bnez t1, 1b
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t0, MSTATUS_MPP_S
    csrs mstatus, t0
    la t0, waiter
    csrw mepc, t0
    li s4, ROUNDS
    mret

waiter:
    sw x0, 0(s1)
    ecall
1:  lw t0, 0(s1)
    beqz t0, 1b
    addi s4, s4, -1
    bnez s4, waiter
    li s3, 0 // from now on the firmware itself waits
    sw x0, 0(s1)
    ecall

    .balign 4
firmware:
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    li t0, 1
    sw t0, 0(s2)
    li t1, 20 // a little more to do, so that it is asked to give way here
1:  addi t1, t1, -1
    bnez t1, 1b
    bnez s3, 2f
1:  sw t0, 0(s2)
    lw t1, 0(s1)
    beqz t1, 1b
    exit 0
2:  mret

answerer:
    li t0, 8
    csrw mie, t0
    sw s3, 0(s1)
1:  wfi
    csrr t0, mip
    andi t0, t0, 8
    beqz t0, 1b
    sw x0, 0(s2)
    sw s3, 0(s1)
    j 1b

    .balign 64
answer: .word 0
