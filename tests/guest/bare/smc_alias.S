// Code that changes through another address of its page: Sv39 maps it for execution twice, for
// writing, and as part of the gigabyte of RAM. Behind fence.i every address runs the new code.
// status: 0
#include "bare.inc"
#include "sv39.inc"
#define LI_A0 0x00000513
    .globl _start
    .option norvc

.macro li_a0 n
    li t1, LI_A0 | (\n) << 20
.endm
// Check n: the code says `value` at both addresses that may run it, and at its own.
.macro all_say n, value
    fence.i
    jalr s9
    want \n, a0, \value
    jalr s10
    want \n, a0, \value
    jalr s11
    want \n, a0, \value
.endm

_start:
    pte code, (V | X | AD)
    put leaf, 0
    pte code, (V | R | X | AD)
    put leaf, 1
    pte code, (V | R | W | AD)
    put leaf, 2
    pte after, (V | R | W | AD)     // behind the writable page, another than in memory
    put leaf, 3
    pte after, (V | X | AD)
    put leaf, 4
    pte code, (V | R | W | AD)      // and a pair in the other order
    put leaf, 6
    pte after, (V | R | W | AD)
    put leaf, 5
    enter_supervisor supervisor

supervisor:
    li s9, WINDOW                   // execute only
    li t0, 0x1000
    add s10, s9, t0                 // read and execute
    add s8, s10, t0                 // read and write
    la s11, code                    // as it is
    all_say 1, 1
    li_a0 2
    sw t1, 0(s8)
    all_say 2, 2
    li_a0 3                         // through the gigabyte of RAM
    sw t1, 0(s11)
    all_say 3, 3
    li_a0 4
    amoswap.w zero, t1, (s8)
    all_say 4, 4
    li_a0 5
1:  lr.w t2, (s8)
    sc.w t2, t1, (s8)
    bnez t2, 1b
    all_say 5, 5
    li_a0 6                         // reserved at one address, stored at the other: either way
    lr.w t2, (s11)
    sc.w t2, t1, (s8)
    fence.i
    jalr s9
    li gp, 6
    li t0, 6
    beqz t2, 2f
    li t0, 5
2:  bne a0, t0, wrong

    // A misaligned store over two pages that are neighbours here and not in memory: the code's
    // last half-word and the other page's first.
    li t0, 4094
    add s0, s9, t0                  // the end of the page, by its first address: for writing
    add s1, s8, t0                  // at this one
    li t0, 0x8082                   // c.jr ra at the page's end
    sh t0, 0(s1)
    fence.i
    jalr s0                         // returns at once
    li t0, 0x4000
    add s2, s9, t0                  // the other page, which may run here
    jalr s2
    want 7, a0, 70
    li t1, (LI_A0 | 71 << 20) << 16 | 0x8082
    sw t1, 0(s1)                    // c.jr ra stays; half of the other page's first instruction
    srli t1, t1, 16
    li t0, 0x5000
    add s3, s9, t0
    sw t1, 0(s3)
    fence.i
    jalr s2
    want 8, a0, 71
    jalr s0

    // The mapping changes, the code's bytes do not: other code at the same address.
    jalr s9
    mv s5, a0
    pte after, (V | X | AD)
    put leaf, 0
    sfence.vma
    jalr s9
    want 9, a0, 71
    pte code, (V | X | AD)
    put leaf, 0
    sfence.vma
    jalr s9
    li gp, 10
    bne a0, s5, wrong
    pte after, (V | X | AD)
    put leaf, 0
    sfence.vma
    li_a0 11                        // written while it was mapped elsewhere
    sw t1, 0(s8)
    pte code, (V | X | AD)
    put leaf, 0
    sfence.vma
    all_say 11, 11

    li s0, 300                      // again and again, each time through another address
    mv s1, s8
    mv s3, s11
loop:
    andi t1, s0, 0x7f
    slli t1, t1, 20
    li t2, LI_A0
    or t1, t1, t2
    sw t1, 0(s1)
    mv t0, s1
    mv s1, s3
    mv s3, t0
    fence.i
    andi t1, s0, 0x7f
    li gp, 12
    jalr s9
    bne a0, t1, wrong
    jalr s10
    bne a0, t1, wrong
    jalr s11
    bne a0, t1, wrong
    addi s0, s0, -1
    bnez s0, loop
    pass_by_tohost

    catch_supervisor_trap
    tohost_is_here
    page_tables_are_here
code:
    li a0, 1
    ret
    .balign 4096
    .skip 4096                      // so that `after` is not behind it in memory
after:
    li a0, 70
    ret
    .balign 4096
