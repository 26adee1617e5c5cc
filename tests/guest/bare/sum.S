// The sum of an array. docs/pipeline.md follows the block at `loop`.
// status: 0
#include "bare.inc"
    .globl _start
_start:
    la s0, numbers
    li s1, 5
    li a0, 0
    jal loop
    want 1, a0, 31
    exit 0

    .balign 64
loop:
    lw t0, 0(s0)
    addw a0, a0, t0
    addi s0, s0, 4
    addi s1, s1, -1
    bnez s1, loop
    ret
    wrong_is_here
    .balign 8
numbers:
    .word 3, 1, 4, 20, 3
