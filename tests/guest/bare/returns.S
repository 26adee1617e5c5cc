// Returns that do not go where the last call said, or to other code than then: another address,
// calls that never return, very deep ones, a rewritten place, a page mapped elsewhere meanwhile.
// status: 0
#include "bare.inc"
#include "sv39.inc"
    .globl _start
    .option norvc

_start:
    jal elsewhere                   // comes back one instruction further on
    j wrong
    want 1, a0, 5

    li s0, 20                       // longjmp: three calls, one return
1:  la s1, 2f
    jal leap
    j wrong
2:  addi s0, s0, -1
    bnez s0, 1b

    li sp, 0x83000000
    li a0, 5000                     // more calls than are remembered
    li a1, 0
    jal deep
    want 2, a1, 5000
    li a0, 700000                   // and than the host's stack has room for
    li a1, 0
    jal deep
    want 3, a1, 700000

    la a1, link_5                   // by the other link register, and through both
    jalr t0, a1
    want 4, a0, 6

    li s0, 3                        // what is returned to is rewritten by what was called
    li a0, 0
3:  la a1, 4f
    lw a2, plus_2
    jal rewrite
4:  addi a0, a0, 1
    addi s0, s0, -1
    bnez s0, 3b
    want 5, a0, 6

    jal other_page                  // into another page and back
    want 6, a0, 8

    pte one, (V | R | X | AD)       // the window's first page is `one`, or `two` in space 2
    put leaf, 0
    enter_supervisor supervisor

supervisor:
    li s6, 0
    li s0, 40                       // from M to S mode inside of a call: it returns to S mode
6:  la s1, 8f
    ecall                           // M mode goes on at s1
    .balign 4
8:  la s1, 9f
    li s2, 0
    jal half_the_time
    csrr a0, mscratch               // illegal in S mode
    la t0, 9f
    csrw mepc, t0
    mret
    .balign 4
9:  add s6, s6, s2
    addi s0, s0, -1
    bnez s0, 6b
    want 8, s6, 20 * 2
    li s6, 0

    la t1, root
    la t2, root_2
    ld t0, 0(t1)
    sd t0, 0(t2)
    ld t0, 16(t1)
    sd t0, 16(t2)
    pte middle_2, V
    put root_2, 3
    pte leaf_2, V
    put middle_2, 0
    pte two, (V | R | X | AD)
    put leaf_2, 0
    csrr s8, satp
    la s9, root_2
    srli s9, s9, 12
    li t0, 8 << 60 | 1 << 44
    or s9, s9, t0
    li s0, 40
5:  csrw satp, s8
    la s10, stay                    // every other time it stays in space 1
    andi t0, s0, 1
    beqz t0, 1f
    la s10, switch
1:
    li a0, 0
    li t0, WINDOW
    jalr s11, t0                    // calls in `one`; the return is to `one` or `two`
    add s6, s6, a0
    addi s0, s0, -1
    bnez s0, 5b
    want 7, s6, 20 * 300
    exit 0

elsewhere:
    li a0, 5
    addi ra, ra, 4
    ret

leap:
    mv s2, ra
    jal leap_2
    j wrong
leap_2:
    jal leap_3
    j wrong
leap_3:
    mv ra, s1
    ret

deep:
    addi sp, sp, -16
    sd ra, 0(sp)
    addi a0, a0, -1
    beqz a0, 1f
    jal deep
1:  addi a1, a1, 1
    ld ra, 0(sp)
    addi sp, sp, 16
    ret

link_5:
    mv s2, t0
    la a2, 1f
    jalr t0, a2                     // not returned from
1:  li a0, 6
    mv t0, s2
    jr t0

rewrite:
    sw a2, 0(a1)
    fence.i
    ret
plus_2:
    addi a0, a0, 2

half_the_time:
    andi t0, s0, 1
    beqz t0, 1f
    la t0, 1f
    csrw mepc, t0
    mret
1:  ret

stay:
    csrw satp, s8
    ret
switch:
    csrw satp, s9
    ret

// In M mode; an ecall stays there, all else returns to S mode at s1.
    .balign 4
caught:
    csrr s2, mcause
    li t6, MSTATUS_MPP_S
    csrs mstatus, t6
    li t6, 9
    beq s2, t6, 1f
    csrw mepc, s1
    mret
1:  jr s1

    wrong_is_here

    .balign 4096
other_page:
    li a0, 8
    ret

    .balign 4096
one:
    jalr s10                        // stay or switch
    li a0, 100
    jr s11
    .balign 4096
two:
    nop
    li a0, 200
    jr s11

    page_tables_are_here
root_2:
    .skip 4096
middle_2:
    .skip 4096
leaf_2:
    .skip 4096
