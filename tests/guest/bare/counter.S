// What is written to minstret or mcycle is what the next instruction reads, as Zicsr has it of
// instret; from there each instruction that retires counts once: not one that raises (Privileged 3.3.1), and
// those before it, and a store into its own block, like any other. A stopped counter holds what it was given.
// options: --time virtual
// status: 0
#include "bare.inc"
    .globl _start
_start:
    csrci mcountinhibit, 5
    csrwi minstret, 0
    csrr a0, minstret
    want 1, a0, 0
    li t0, -1                   // wraps
    csrw minstret, t0
    csrr a0, minstret
    csrr a1, minstret
    want 2, a0, -1
    want 3, a1, 0
    csrwi mcycle, 7
    csrr a0, mcycle
    nop
    csrr a1, mcycle
    want 4, a0, 7
    want 5, a1, 9
    csrr a0, minstret           // the set and clear forms write too
    csrwi minstret, 16
    csrsi minstret, 1
    csrr a0, minstret
    want 6, a0, 17
    csrsi mcountinhibit, 4
    csrwi minstret, 5
    csrr a0, minstret
    nop
    csrr a1, minstret
    want 7, a0, 5
    want 8, a1, 5
    csrci mcountinhibit, 4
    la t1, 2f
    csrw mtvec, t1
    csrwi minstret, 0
    nop
    nop
    lb a0, 1(zero)              // no memory there: raises, after two that count
    nop
    .balign 4
2:  csrr a0, minstret
    want 9, a0, 2
    la t1, 3f
    csrw mtvec, t1
    csrwi minstret, 0
    nop
    ecall
    .balign 4
3:  csrr a0, minstret
    want 10, a0, 1
    la t1, 4f
    csrw mtvec, t1
    csrwi minstret, 0
    nop
    csrw 0x7ff, zero            // no such register
    .balign 4
4:  csrr a0, minstret
    want 11, a0, 1
    la t1, 5f
    lw t2, (t1)
    csrwi minstret, 0
    nop                         // 1
    sw t2, (t1)                 // 2: drops the block that it is in
    nop                         // 3
5:  nop                         // 4
    csrr a0, minstret
    want 12, a0, 4

    li s0, CLINT_MTIMECMP       // cycle goes on while the hart waits, 100 to a tick; nothing retires
    li s1, CLINT_MTIME
    li t1, 1 << 7
    csrw mie, t1
    ld t1, 0(s1)
    addi t1, t1, 1000
    sd t1, 0(s0)
    csrwi mcycle, 0
    csrwi minstret, 0
    wfi
    csrr a0, minstret
    csrr a1, mcycle
    want 13, a0, 1
    li t1, 90000
    li gp, 14
    bltu a1, t1, wrong
    exit 0
    wrong_is_here
