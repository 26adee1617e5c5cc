// Jumps onwards in a page and returns, which go on without a look at what is pending: floating
// point is where the block behind them wants it, and an interrupt ends each circle of them.
// status: 0
#include "bare.inc"
#include "fp.inc"
#define NX 1
    .globl _start
    .option norvc

// Onwards, by a branch that is taken.
.macro on
    bnez s0, 7f
    j wrong
7:
.endm
// Calls C: floating-point registers are put away.
.macro ask_device
    ld t1, 0(s2)
.endm
.macro add_one
    fadd.d fa0, fa0, fa1
.endm

    .balign 4096
_start:
    la t0, handler
    csrw mtvec, t0
    li t0, FS
    csrs mstatus, t0
    li s2, CLINT_MTIME
    li t0, 1
    fcvt.d.l fa1, t0
    li t0, 3
    fcvt.d.l fa2, t0
    fmv.d.x fa0, zero

    li s0, 20
round:
    ask_device
    on
    add_one                         // from a block without floating point
    on
    add_one                         // from one with it
    on
    ask_device
    on
    add_one
    jal leaf_device
    add_one                         // from a return, whose call had it in place
    jal leaf_plain
    fdiv.d fa3, fa1, fa2            // raises a flag, at once
    la t0, leaf_device
    jalr t0
    add_one
    addi s0, s0, -1
    bnez s0, round
    csrr a1, fflags
    want 1, a1, NX
    fcvt.l.d a0, fa0
    want 2, a0, 100

    li s0, 20                       // the flag once more, each time
1:  csrw fflags, zero
    ask_device
    on
    fdiv.d fa3, fa1, fa2
    jal leaf_device
    on
    csrr a1, fflags
    want 3, a1, NX
    csrw fflags, zero
    jal leaf_device
    fdiv.d fa3, fa1, fa2
    csrr a1, fflags
    want 4, a1, NX
    addi s0, s0, -1
    bnez s0, 1b

    li s0, 1
    li t0, 0x80                     // MTIE
    csrw mie, t0
    csrsi mstatus, MSTATUS_MIE

    jal soon                        // a circle that ends by a jump back
1:  addi a3, a3, 1
    on
    addi a3, a3, 1
    on
    beqz s1, 1b

    jal soon                        // with a call in it
2:  on
    jal leaf_plain
    on
    beqz s1, 2b

    jal soon                        // by a return to another place than was expected
3:  on
    bnez s1, 4f
    jal back_to_3
4:
    jal soon                        // by calls that never return
5:  on
    bnez s1, 6f
    jal t0, 5b
6:
    jal soon                        // by a jump through a register
    la s3, 8f
8:  on
    jal leaf_plain
    bnez s1, 9f
    jr s3
9:
    exit 0

leaf_device:
    ask_device
    ret
leaf_plain:
    addi a3, a3, 1
    ret
back_to_3:
    la ra, 3b
    ret

// s1 is 1 in a while.
soon:
    li s1, 0
    ld t1, 0(s2)
    addi t1, t1, 2000
    li t0, CLINT_MTIMECMP
    sd t1, 0(t0)
    ret

    .balign 4
handler:
    li s1, 1
    li s4, CLINT_MTIMECMP
    li s5, -1
    sd s5, 0(s4)
    mret

wrong_is_here
