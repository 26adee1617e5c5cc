// Without C a branch to an odd half traps when taken, and does not retire; nor does jal or jalr.
// options: --time virtual --cpu default,c=off
// status: 0
#include "bare.inc"
    .globl _start
    .option norvc
_start:
    csrci mcountinhibit, 5
    la t0, caught
    csrw mtvec, t0
    la s1, 2f
    csrwi minstret, 0
    nop
    .word 0x00000163            // beq x0,x0,.+2
2:  want 1, s5, 1
    want 6, s2, 0
    la s1, 2f
    csrwi minstret, 0
    nop
    .word 0x00001163            // bne x0,x0,.+2: not taken
    nop
    ecall
2:  want 2, s5, 3
    la s1, 2f
    csrwi minstret, 0
    nop
    .word 0x0020006f            // j .+2
2:  want 3, s5, 1
    la s1, 2f
    la t0, 2f+2
    csrwi minstret, 0
    nop
    jr t0
2:  want 4, s5, 1
    exit 0
    .balign 4
caught:
    csrr s5, minstret
    csrr s2, mcause
    csrw mepc, s1
    mret
    wrong_is_here
