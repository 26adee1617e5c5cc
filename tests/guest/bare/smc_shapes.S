// Code that changes code, by every kind of store and at every distance, then fence.i: from there
// the new code runs. Ends by HTIF.
// status: 0
#include "bare.inc"
#define LI_A0 0x00000513            // li a0, 0; the number stands in bits 20 and up
#define LI_A1 0x00000593
    .globl _start
    .option norvc

// t1: the instruction `li a0, n`.
.macro li_a0 n
    li t1, LI_A0 | (\n) << 20
.endm
// Check n: after fence.i the code at s0 says `value`.
.macro says n, value
    fence.i
    jalr s0
    want \n, a0, \value
.endm

_start:
    trap_to caught
    li t0, 1 << 13                  // mstatus.FS
    csrs mstatus, t0

    la s0, same_page                // another block on this page
    jalr s0
    want 1, a0, 1
    li_a0 2
    sw t1, 0(s0)
    says 2, 2
    la s0, other_page               // on another page, by each kind of store
    jalr s0
    want 3, a0, 1
    li_a0 3
    sw t1, 0(s0)
    says 4, 3
    li_a0 4
    sh t1, 0(s0)
    srli t1, t1, 16
    sh t1, 2(s0)
    says 5, 4
    li_a0 0x155
    .irp k, 0, 1, 2, 3
    sb t1, \k(s0)
    srli t1, t1, 8
    .endr
    says 6, 0x155
    li_a0 6
    ld t2, 0(s0)                    // both instructions at once
    srli t2, t2, 32
    slli t2, t2, 32
    or t1, t1, t2
    sd t1, 0(s0)
    says 7, 6
    li_a0 7
    amoswap.w t2, t1, (s0)
    says 8, 7
    li t2, LI_A0 | 7 << 20
    ld t1, 0(s0)                    // ... and by an atomic of both
    li t2, 1 << 20
    amoadd.d zero, t2, (s0)
    says 9, 8
    li t2, 8 << 20
    amoxor.w zero, t2, (s0)
    says 10, 0
    li_a0 10
1:  lr.w t2, (s0)
    sc.w t2, t1, (s0)
    bnez t2, 1b
    says 11, 10
    li_a0 11
    fmv.w.x fa0, t1
    fsw fa0, 0(s0)
    says 12, 11
    li_a0 12
    ld t2, 0(s0)
    srli t2, t2, 32
    slli t2, t2, 32
    or t1, t1, t2
    fmv.d.x fa0, t1
    fsd fa0, 0(s0)
    says 13, 12

    li_a0 13                        // the next instruction
    la s0, 1f
    sw t1, 0(s0)
    fence.i
1:  li a0, 1
    want 14, a0, 13
    li_a0 14                        // the instruction behind the branch back: it has run before
    li t3, 3
    la s0, 2f
2:  li a0, 0
    sw t1, 0(s0)
    fence.i
    addi t3, t3, -1
    bnez t3, 2b
    want 15, a0, 14

    la s0, straddle                 // two instructions on two pages, by one misaligned store
    jalr s0
    want 16, a0, 1
    want 17, a1, 2
    li t1, LI_A0 | 3 << 20
    li t2, LI_A1 | 4 << 20
    slli t2, t2, 32
    or t1, t1, t2
    sd t1, 0(s0)
    fence.i
    jalr s0
    want 18, a0, 3
    want 19, a1, 4
    la s0, split                    // one instruction that lies on two pages
    jalr s0
    want 20, a0, 1
    li_a0 0x7a5
    sw t1, 0(s0)
    says 21, 0x7a5
    li t1, 0x0ff0                   // its second half alone
    sh t1, 2(s0)
    says 22, 0x0ff

    li s1, 600                      // a branch in a hot loop: `beqz zero, there` becomes a nop
    li s2, 0
    li s3, 300
    la s0, branch
hot:
    bne s1, s3, branch
    li t1, 0x13
    sw t1, 0(s0)
    fence.i
branch:
    beqz zero, there
    addi s2, s2, 1000
there:
    addi s2, s2, 1
    addi s1, s1, -1
    bnez s1, hot
    want 23, s2, 600 + 300 * 1000

    li s1, 500                      // a page of code written anew again and again
    li s2, 0
page_again:
    la s0, scratch
    li t0, 64
    li t1, LI_A0                    // li a0, 0; then 63 times addi a0, a0, N
    sw t1, 0(s0)
    andi t2, s1, 15
    slli t2, t2, 20
    li t1, 0x00050513
    or t1, t1, t2
1:  addi s0, s0, 4
    sw t1, 0(s0)
    addi t0, t0, -1
    bnez t0, 1b
    li t1, 0x00008067               // ret
    sw t1, 0(s0)
    fence.i
    la s0, scratch
    jalr s0
    andi t2, s1, 15
    li t0, 63
    mul t0, t0, t2
    li gp, 24
    bne a0, t0, wrong
    addi s1, s1, -1
    bnez s1, page_again

    // fence.i with its reserved fields set is fence.i, and writes no register (Zifencei: "base
    // implementations shall ignore these fields").
    la s0, other_page
    li_a0 25
    li t0, 77
    sw t1, 0(s0)
    .word 0x7ff3128f                // rd t0, rs1 t1, imm 0x7ff
    jalr s0
    want 25, a0, 25
    want 26, t0, 77

    li t0, 1                        // cbo.zero into code: zeros are an illegal instruction
    la s0, zeroed
    jalr s0
    want 27, a0, 5
    .insn i 0x0f, 2, x0, s0, 4      // cbo.zero (s0)
    fence.i
    trapping jalr s0
    want 28, s2, 2
    want_address 29, s4, zeroed
    pass_by_tohost

same_page:
    li a0, 1
    ret
    catch_trap
    .balign 4096
other_page:
    li a0, 1
    ret
    .balign 4096
    .skip 4096 - 4
straddle:
    li a0, 1
    li a1, 2
    ret
    .balign 4096
    .option rvc
    .skip 4096 - 2
split:
    .option norvc
    li a0, 1
    ret
    .option rvc
    .balign 4096
    .option norvc
scratch:
    .skip 4096
zeroed:
    li a0, 5
    ret
    .balign 64
    .option rvc
    tohost_is_here
