// Code that changes code: another block, the block that runs (with and without a store that
// is split over two instructions), and a loop patched on every turn.
// status: 0
#include "bare.inc"
    .globl _start
    .option norvc
_start:
    la s0, patched              // another block: called, changed, called
    jal patched
    want 1, a0, 1
    lw t1, two
    sw t1, 0(s0)
    fence.i
    jal patched
    want 2, a0, 2

    la s0, ahead                // further on in the block that runs
    lw t1, two
    sw t1, 0(s0)
    fence.i
ahead:
    li a0, 1
    want 3, a0, 2

    la s0, straddled            // by halves: the second one alone makes it the other
    lw t1, two
    sh t1, 0(s0)
    srli t1, t1, 16
    sh t1, 2(s0)
    fence.i
straddled:
    li a0, 1
    want 4, a0, 2

    li s1, 200                  // li a0, N for N = 1, 2, ...: the sum is that of them all
    li s2, 0
    la s0, patched
    lw t1, one
    li t2, 1 << 20
loop:
    sw t1, 0(s0)
    fence.i
    jal patched
    add s2, s2, a0
    add t1, t1, t2
    addi s1, s1, -1
    bnez s1, loop
    want 5, s2, 200 * 201 / 2
    exit 0

    .balign 4096
patched:
    li a0, 1
    ret
one:
    li a0, 1
two:
    li a0, 2
    wrong_is_here
