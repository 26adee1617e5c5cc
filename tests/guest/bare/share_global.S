// Two harts on one host thread, which have what a kernel maps for all in common (softmmu/common.c), and whose roots
// lead elsewhere: each finds its own page, in turn. Then both have one root, and each fences for itself.
// options: -smp 2 --hart-threads 1
// status: 0
#include "bare.inc"
#include "sv39.inc"
#define G 0x20
    .equ UPPER, 0xffffffffc0005000 // entry 511 of the root, 5 of the leaf: not the table's index of what is read beside it
    .equ ROUNDS, 20
    .macro await number // the other may run meanwhile
1:  .insn i 0x0f, 0, x0, x0, 0x010 // pause
    lw t0, 0(s1)
    li t1, \number
    bne t0, t1, 1b
    fence
    .endm
    .macro hand_to number
    fence
    li t0, \number
    sw t0, 0(s1)
    .endm
    .globl _start
_start:
    la s1, turn
    la t0, wrong
    csrw mtvec, t0
    allow_all
    csrr s0, mhartid
    bnez s0, second
    li t0, 0x80000000 >> 2 | V | R | W | X | AD
    put root, 2
    put root_too, 2
    ori t0, t0, G // once more at the top, so that the harts read nothing that is not global
    put root, 510
    put root_too, 510
    li t0, V | R | W | AD
    put root, 0
    pte middle, V
    put root, 511
    pte middle_too, V
    put root_too, 511
    pte leaf, V
    put middle, 0
    pte leaf_too, V
    put middle_too, 0
    pte one, V | R | W | AD | G
    put leaf, 5
    pte two, V | R | W | AD | G
    put leaf_too, 5
    la s2, root
    la s3, first_in_turn
    hand_to 2
    await 0
    j enter
second:
    await 2
    hand_to 0
    la s2, root_too
    la s3, second_in_turn
enter:
    srli s2, s2, 12
    li t1, 8 << 60
    or s2, s2, t1
    csrw satp, s2
    sfence.vma
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t0, MSTATUS_MPP_S
    csrs mstatus, t0
    csrw mepc, s3
    li t0, 0xffffffff00000000
    add s1, s1, t0
    li s4, UPPER
    li s5, ROUNDS
    mret

first_in_turn:
    lw s6, 0(s4)
    want 1, s6, 1
    hand_to 1
    await 0
    addi s5, s5, -1
    bnez s5, first_in_turn
    // Its page is the other's to change, which fences for itself.
    hand_to 3
    await 4
    sfence.vma s4, x0
    lw s6, 0(s4)
    want 2, s6, 2
    // And all of them.
    hand_to 5
    await 6
    sfence.vma
    lw s6, 0(s4)
    want 3, s6, 1
    exit 0

second_in_turn:
    await 1
    lw s6, 0(s4)
    want 4, s6, 2
    hand_to 0
    addi s5, s5, -1
    bnez s5, second_in_turn
    await 3
    la s2, root
    srli s2, s2, 12
    li t1, 8 << 60
    or s2, s2, t1
    csrw satp, s2
    sfence.vma
    lw s6, 0(s4)
    want 5, s6, 1
    pte two, V | R | W | AD | G
    put leaf, 5
    sfence.vma s4, x0
    lw s6, 0(s4)
    want 6, s6, 2
    hand_to 4
    await 5
    pte one, V | R | W | AD | G
    put leaf, 5
    sfence.vma
    lw s6, 0(s4)
    want 7, s6, 1
    hand_to 6
1:  j 1b

    wrong_is_here
    .balign 64
turn: .word 3
    page_tables_are_here
root_too: .skip 4096
middle_too: .skip 4096
leaf_too: .skip 4096
one: .word 1
    .balign 4096
two: .word 2
    .balign 4096
