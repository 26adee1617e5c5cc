// The last page and the first are neighbours: a jump from address 0 back into the last page stays
// right when only that page is mapped elsewhere.
// status: 0
#include "bare.inc"
#include "sv39.inc"
    .globl _start

_start:
    trap_to caught
    allow_all
    li t0, 0x80000000 >> 2 | V | R | W | X | AD
    put root, 2
    pte low_middle, V
    put root, 0
    pte low_leaf, V
    put low_middle, 0
    pte first, (V | R | W | X | AD)
    put low_leaf, 0
    pte high_middle, V
    put root, 511
    pte high_leaf, V
    put high_middle, 511
    pte last, (V | R | W | X | AD)
    put high_leaf, 511
    go_on_in_supervisor supervisor

supervisor:
    li s5, 3                    // often enough to be linked
1:  la ra, 2f
    jr zero
2:  want 1, a0, 1
    addi s5, s5, -1
    bnez s5, 1b
    pte other, (V | R | W | X | AD)
    put high_leaf, 511
    li t0, -4096
    sfence.vma t0
    la ra, 3f
    jr zero
3:  want 2, a0, 2
    ecall
    j wrong

    .balign 4
caught:                         // the ecall ends it, from M
    csrr s2, mcause
    want 3, s2, 9
    exit 0
    wrong_is_here

    .balign 4096
root:
    .skip 4096
low_middle:
    .skip 4096
low_leaf:
    .skip 4096
high_middle:
    .skip 4096
high_leaf:
    .skip 4096
first:
    .option norvc
    .word 0xffdff06f            // at 0: j .-4, the last word of all
    .balign 4096
last:
    .skip 4080
    li a0, 1
    ret
    nop
    .word 0xff5ff06f            // at -4: j .-12
    .balign 4096
other:
    .skip 4080
    li a0, 2
    ret
    nop
    .word 0xff5ff06f
    .balign 4096
