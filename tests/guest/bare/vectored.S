// mtvec's mode 1: interrupts go to base + 4 * cause, exceptions to base.
// status: 0
#include "bare.inc"
    .globl _start
_start:
    la t0, vectors
    addi t0, t0, 1
    csrw mtvec, t0
    li t0, 1 << 3
    csrw mie, t0
    csrsi mstatus, MSTATUS_MIE
    li s5, 0
    li t0, CLINT_MSIP           // a software interrupt to ourselves
    li t1, 1
    sw t1, 0(t0)
1:  beqz s5, 1b
    want 1, s5, 3
    trapping ecall
    want 2, s2, 11
    want 3, s5, 100
    trapping ebreak
    want 4, s2, 3
    exit 0

    .balign 256
    .option norvc               // one jump, four bytes
vectors:
    j exception
    j wrong
    j wrong
    j software
    .rept 12
    j wrong
    .endr
exception:
    li s5, 100
    j caught
software:
    li s5, 3
    li t0, CLINT_MSIP
    sw zero, 0(t0)
    mret
    catch_trap
    wrong_is_here
