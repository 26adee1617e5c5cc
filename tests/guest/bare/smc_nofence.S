// Code that changes code without fence.i: each instruction is the old one or the new one, never a
// third, and from fence.i on the new one. (The hart may always have fetched it already.) Each
// turn stores in another way.
// status: 0
#include "bare.inc"
#define LI_A0 0x00000513
    .globl _start
    .option norvc

// Stores `li a0, s3` at s0 by the instruction, runs it at once, then behind fence.i.
// s2 is what it said before.
.macro turn n, insn:vararg
    addi s3, s2, 1
    andi s3, s3, 0x3ff
    slli t1, s3, 20
    li t2, LI_A0
    or t1, t1, t2
    fmv.w.x fa1, t1
    \insn
    jalr s0
    li gp, \n
    beq a0, s3, 3f
    bne a0, s2, wrong
3:  li gp, \n + 1
    fence.i
    jalr s0
    bne a0, s3, wrong
    mv s2, s3
.endm

.macro store_conditionally
4:  lr.w t2, (s0)
    sc.w t2, t1, (s0)
    bnez t2, 4b
.endm

_start:
    trap_to wrong
    li t0, 1 << 13
    csrs mstatus, t0
    li s1, 200
    li s2, 0
again:
    la s0, near
    mv s5, s2
    turn 1, sw t1, 0(s0)
    mv s6, s2
    la s0, far
    mv s2, s5
    turn 3, amoswap.w t2, t1, (s0)
    turn 5, fsw fa1, 0(s0)
    turn 7, store_conditionally
    mv s5, s2
    mv s2, s6

    // The very next instruction, in a block that has run before.
    la s0, next
    addi s7, s7, 1
    andi s7, s7, 0x3ff
    slli t1, s7, 20
    li t2, LI_A0
    or t1, t1, t2
    sw t1, 0(s0)
next:
    li a0, 0
    li gp, 9
    addi t0, s7, -1
    beq a0, s7, 5f
    bne a0, t0, wrong
5:
    la s0, near
    la s4, far                      // the two are patched alike: set both to s2
    slli t1, s2, 20
    li t2, LI_A0
    or t1, t1, t2
    sw t1, 0(s0)
    sw t1, 0(s4)
    fence.i
    addi s1, s1, -1
    bnez s1, again
    pass_by_tohost

near:
    li a0, 0
    ret
    .balign 4096
far:
    li a0, 0
    ret
    tohost_is_here
