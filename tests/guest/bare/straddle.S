// An instruction in a page's last two bytes and the next page's first two, which is another page
// every other time: it is reached in line, by a branch and a jump from inside its page, and by a
// call's return. And a call at a page's very end, which returns to the next one.
// status: 0
#include "bare.inc"
#include "sv39.inc"
    .globl _start
    .option norvc

_start:
    pte near, (V | R | X | AD)      // the window: `near`, `one` or `two`, `calling`, and again
    put leaf, 0
    pte calling, (V | R | X | AD)
    put leaf, 2
    enter_supervisor supervisor

// Maps it behind both, and tells of it.
.macro second_page page
    pte \page, (V | R | X | AD)
    put leaf, 1
    put leaf, 3
    li t0, WINDOW + 0x1000
    sfence.vma t0
    li t0, WINDOW + 0x3000
    sfence.vma t0
.endm

// What 240 calls of the window's offset give in a0 must add up to so much: it is `one` and `two`
// for four rounds of three calls each.
.macro adds_up number, offset, sum
    li s10, WINDOW + \offset
    li s6, 0
    li s0, 80
1:  andi t0, s0, 4
    beqz t0, 2f
    second_page two
    j 3f
2:  second_page one
3:  li s5, 3                        // so that links are made and used
4:  li a0, 0
    jalr s11, s10
    add s6, s6, a0
    addi s5, s5, -1
    bnez s5, 4b
    addi s0, s0, -1
    bnez s0, 1b
    want \number, s6, \sum
.endm

supervisor:
    adds_up 1, 0xff8, 120 * (1 + 100)
    adds_up 2, 0x100, 120 * (1 + 100)
    adds_up 3, 0x200, 120 * (1 + 100)
    adds_up 4, 0x2ff4, 120 * (11 + 110)
    adds_up 5, 0x1ffc, 120 * (1000 + 2000)
    exit 0

    catch_supervisor_trap
    wrong_is_here

    .balign 4096
near:
    .org near + 0x100
    bnez s5, 1f
    j wrong
    .org near + 0x200
    j 1f
    .org near + 0xff8
    nop
    .half 1                         // c.nop
1:  .half 0x0513                    // of addi a0, a0

    .balign 4096
one:
    .half 0x0015                    // 1
    jr s11
    .org one + 0x800
    addi a0, a0, 1000
    ret
    .org one + 0xffc
    jal one + 0x800

    .balign 4096
two:
    .half 0x0645                    // 100
    jr s11
    .org two + 0x800
    addi a0, a0, 2000
    ret
    .org two + 0xffc
    jal two + 0x800

    .balign 4096
calling:
    jr s11
ten:
    addi a0, a0, 10
    ret
    .org calling + 0xff4
    nop
    .half 1
    jal ten                         // back at 0xffe
    .half 0x0513

    page_tables_are_here
