// What is written to minstret or mcycle is what the next instruction reads, as Zicsr has it of
// instret; from there each instruction counts once. A stopped counter holds what it was given.
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
    exit 0
    wrong_is_here
