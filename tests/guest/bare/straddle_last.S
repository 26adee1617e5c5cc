// The last two bytes of all addresses begin an instruction that ends in page 0, which is another
// page in another space, while the last page is global; and which is mapped elsewhere. It is reached
// in line and by a call.
// status: 0
#include "bare.inc"
#include "sv39.inc"
#define G 0x20
    .globl _start
    .option norvc

.macro space root, asid
    la t0, \root
    srli t0, t0, 12
    li t1, (8 << 60) | (\asid << 44)
    or t0, t0, t1
    csrw satp, t0
.endm

_start:
    trap_to caught
    allow_all
    li t0, 0x80000000 >> 2 | V | R | W | X | AD | G
    put root, 2
    put root2, 2
    pte low_middle, V
    put root, 0
    pte low_middle2, V
    put root2, 0
    pte low_leaf, V
    put low_middle, 0
    pte low_leaf2, V
    put low_middle2, 0
    pte one, (V | R | W | X | AD)
    put low_leaf, 0
    pte two, (V | R | W | X | AD)
    put low_leaf2, 0
    pte high_middle, V
    put root, 511
    put root2, 511
    pte high_leaf, V
    put high_middle, 511
    pte last, (V | R | W | X | AD | G)
    put high_leaf, 511
    go_on_in_supervisor supervisor

// What is at page 0, by six calls of each place.
.macro go number, sum
    li s5, 6
1:  li s10, -8
    li a0, 0
    jalr s11, s10
    want \number, a0, \sum
    li s10, -2
    li a0, 0
    jalr s11, s10
    want \number, a0, \sum
    addi s5, s5, -1
    bnez s5, 1b
.endm

supervisor:
    space root, 1
    go 1, 1
    space root2, 2
    go 2, 100
    space root, 1
    go 3, 1
    pte two, (V | R | W | X | AD)
    put low_leaf, 0
    li t5, 0
    sfence.vma t5
    go 4, 100
    ecall
    j wrong

    .balign 4
caught:
    csrr s2, mcause
    want 5, s2, 9
    exit 0
    wrong_is_here

    .balign 4096
root:
    .skip 4096
root2:
    .skip 4096
low_middle:
    .skip 4096
low_middle2:
    .skip 4096
low_leaf:
    .skip 4096
low_leaf2:
    .skip 4096
high_middle:
    .skip 4096
high_leaf:
    .skip 4096
    .balign 4096
last:
    .org last + 0xff8
    nop
    .half 1
    .half 0x0513
    .balign 4096
one:
    .half 0x0015
    jr s11
    .balign 4096
two:
    .half 0x0645
    jr s11
    .balign 4096
