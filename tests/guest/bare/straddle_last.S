// The last two bytes of all addresses begin an instruction that ends in page 0, which is another
// page in another space, while the last page is global; and which is mapped elsewhere. It is reached
// in line and by a call.
// status: 0
#include "bare.inc"
#define V 0x01
#define RWX 0x0e
#define G 0x20
#define AD 0xc0
    .globl _start
    .option norvc
.macro pte symbol, flags
    la t0, \symbol
    srli t0, t0, 12
    slli t0, t0, 10
    ori t0, t0, \flags
.endm
.macro put table, index
    la t1, \table
    li t2, 8 * \index
    add t1, t1, t2
    sd t0, 0(t1)
.endm
.macro space root, asid
    la t0, \root
    srli t0, t0, 12
    li t1, (8 << 60) | (\asid << 44)
    or t0, t0, t1
    csrw satp, t0
.endm

_start:
    trap_to caught
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    li t0, 0x80000000 >> 2 | V | RWX | AD | G
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
    pte one, (V | RWX | AD)
    put low_leaf, 0
    pte two, (V | RWX | AD)
    put low_leaf2, 0
    pte high_middle, V
    put root, 511
    put root2, 511
    pte high_leaf, V
    put high_middle, 511
    pte last, (V | RWX | AD | G)
    put high_leaf, 511
    sfence.vma
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t0, MSTATUS_MPP_S
    csrs mstatus, t0
    la t0, supervisor
    csrw mepc, t0
    space root, 1
    sfence.vma
    mret

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
    go 1, 1
    space root2, 2
    go 2, 100
    space root, 1
    go 3, 1
    pte two, (V | RWX | AD)
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
