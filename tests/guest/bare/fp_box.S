// Registers used as singles that hold something else (unprivileged specification, "NaN Boxing of Narrower
// Values"): blocks take it for granted that they hold singles, find at their start that they do not, and are made anew.
// status: 0
#include "bare.inc"
#include "fp.inc"
#define ONE 0x3ff0000000000000
#define ONE32 0xffffffff3f800000
#define TWO32 0xffffffff40000000
#define THREE32 0xffffffff40400000
    .globl _start

.macro put_bits f, value
    li t0, \value
    fmv.d.x \f, t0
.endm
// fa0 = fa1 + fa2, in a loop of its own, `turns` times; both are as they were; fa3 and fa4 are used behind a branch
// that is not taken while t2 is 0.
.macro add_often turns
    li t1, \turns
1:  fadd.s fa0, fa1, fa2
    beqz t2, 2f
    fmul.s fa5, fa3, fa4
2:  addi t1, t1, -1
    bnez t1, 1b
.endm

_start:
    li t0, FS
    csrs mstatus, t0
    put_bits fa3, ONE
    put_bits fa4, ONE
    li s0, 3
// What adds is the same code each time: first singles, then a double in either operand, in both, and singles again.
again:
    li t2, 0
    put_bits fa1, ONE32
    put_bits fa2, TWO32
    jal ra, sum
    bits 1, fa0, THREE32
    put_bits fa2, ONE
    jal ra, sum
    bits 2, fa0, CANONICAL32
    bits 3, fa2, ONE
    put_bits fa1, ONE
    put_bits fa2, TWO32
    jal ra, sum
    bits 4, fa0, CANONICAL32
    bits 5, fa1, ONE
// All ones but one, and the other half says nothing.
    put_bits fa1, 0xfffffffe3f800000
    jal ra, sum
    bits 6, fa0, CANONICAL32
    put_bits fa1, 0x7fffffff3f800000
    jal ra, sum
    bits 7, fa0, CANONICAL32
    put_bits fa1, ONE32
    jal ra, sum
    bits 8, fa0, THREE32
// Behind the branch: registers that are no singles, then such that are.
    li t2, 1
    jal ra, sum
    bits 9, fa5, CANONICAL32
    bits 10, fa3, ONE
    put_bits fa3, TWO32
    put_bits fa4, ONE32
    jal ra, sum
    bits 11, fa5, TWO32
    put_bits fa3, ONE
    put_bits fa4, ONE
    addi s0, s0, -1
    bnez s0, again
// Registers that hosts with few of their own keep in memory, and that others have above xmm15.
    put_bits fs8, ONE32
    put_bits fs9, TWO32
    put_bits ft2, ONE32
    li s0, 60
4:  fadd.s ft3, fs8, ft2
    fadd.s fs10, ft3, fs9
    bits 13, fs10, 0xffffffff40800000
    addi s0, s0, -1
    bnez s0, 4b
    put_bits fs9, ONE
    li s0, 60
5:  fadd.s ft3, fs8, ft2
    fadd.s fs10, ft3, fs9
    bits 14, fs10, CANONICAL32
    bits 15, ft3, TWO32
    addi s0, s0, -1
    bnez s0, 5b
// A register that becomes a double in the loop itself, where it was a single at the start.
    put_bits fa1, ONE32
    put_bits fa2, ONE
    li t1, 40
    li t3, 0
3:  fadd.s fa0, fa1, fa1
    fmv.d fa1, fa2
    fmv.x.d a0, fa0
    add t3, t3, a0
    addi t1, t1, -1
    bnez t1, 3b
    li a0, 0xffffffebb6400000         # TWO32 + 39 * CANONICAL32
    li gp, 12
    bne t3, a0, wrong
    exit 0
    wrong_is_here

// Often enough that it is translated, and made anew (WILD_UNFIT).
    .balign 64
sum:
    add_often 50
    ret
