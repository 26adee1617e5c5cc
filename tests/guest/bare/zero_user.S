// cbo.zero by a user through a window: aligned and not, read-only, clean, unmapped, device, code, PMP, the last block
// of the window and what is behind it, in loops that store too.
// options: --window always
// status: 0
#include "bare.inc"
#include "sv39.inc"
#define CBZE 0x80
    .globl _start
_start:
    li t0, CBZE
    csrw 0x30a, t0
    csrw 0x10a, t0
    pte data, V | R | W | AD | U
    put leaf, 1
    pte data, V | R | AD | U
    put leaf, 2
    pte clean, V | R | W | A | U
    put leaf, 3
    li t0, 0x10000000 >> 2 | V | R | W | AD | U
    put leaf, 5
    pte codepage, V | R | W | X | AD | U
    put leaf, 6
    pte forbidden, V | R | W | AD | U
    put leaf, 7
    pte data, V | R | W | AD | U
    put leaf_top, 511
    pte leaf_top, V
    put middle_top, 511
    pte middle_top, V
    put root, 255
    pte partial, V | R | W | AD | U
    put leaf, 8
    trap_to caught
    la t0, forbidden
    srli t0, t0, 2
    ori t0, t0, 0x1ff    // NAPOT 4 KiB
    csrw pmpaddr0, t0
    la t0, partial
    addi t0, t0, 0x100
    srli t0, t0, 2
    ori t0, t0, 0x3     // NAPOT 32 bytes at +0x100
    csrw pmpaddr1, t0
    li t0, -1
    csrw pmpaddr2, t0
    li t0, 0x1f1819
    csrw pmpcfg0, t0
    pte leaf, V
    put middle, 0
    pte middle, V
    put root, 0
    li t0, 0x80000000 >> 2 | V | R | W | X | AD | U
    put root, 2
    la t0, root
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    la t0, user
    csrw mepc, t0
    mret

// a0: where; zeroes once, s2: cause or 0, s3: tval
    .balign 8
try:
    la s1, 1f
    li s2, 0
    li s3, 0
    cbo_zero a0
1:  ret

// Fills a page at a0, zeroes the block at a0 + a1 with stores beside it, counts zero words: a2
fill:
    mv t0, a0
    li t1, -1
    li t2, 512
1:  sd t1, 0(t0)
    addi t0, t0, 8
    addi t2, t2, -1
    bnez t2, 1b
    ret
count:
    mv t0, a0
    li t2, 512
    li a2, 0
1:  ld t1, 0(t0)
    seqz t1, t1
    add a2, a2, t1
    addi t0, t0, 8
    addi t2, t2, -1
    bnez t2, 1b
    ret
user:
    li s11, 60
round:
    li s4, 0x1000
    mv a0, s4
    jal fill
    // unaligned ones
    addi a0, s4, 0x7b
    jal try
    want 1, s2, 0
    mv a0, s4
    jal count
    want 2, a2, 8
    ld t0, 0x38(s4)
    want 3, t0, -1
    ld t0, 0x80(s4)
    want 4, t0, -1
    // whole page in a loop that stores too
    jal fill
    mv t0, s4
    li t1, 64
    li t3, 5
2:  cbo_zero t0
    sb t3, 63(t0)
    addi t0, t0, 64
    addi t1, t1, -1
    bnez t1, 2b
    jal count
    want 5, a2, 448
    // read only
    li a0, 0x2000 + 0x145
    jal try
    want 6, s2, 15
    want 7, s3, 0x2145
    li a0, 0x2fc0
    jal try
    want 8, s2, 15
    want 9, s3, 0x2fc0
    // unmapped
    li a0, 0x4fff
    jal try
    want 10, s2, 15
    want 11, s3, 0x4fff
    li a0, 0x4fc0
    jal try
    want 12, s2, 15
    want 13, s3, 0x4fc0
    // device
    li a0, 0x5000
    jal try
    want 14, s2, 7
    want 15, s3, 0x5000
    // forbidden
    li a0, 0x7040
    jal try
    want 16, s2, 7
    want 17, s3, 0x7040
    li a0, 0x7041
    jal try
    want 18, s2, 7
    want 19, s3, 0x7041
    // in part
    li a0, 0x8100
    jal try
    want 20, s2, 7
    want 21, s3, 0x8100
    li a0, 0x8120
    jal try
    want 22, s2, 7
    want 23, s3, 0x8120
    li a0, 0x80c0
    jal try
    want 24, s2, 0
    li a0, 0x8140
    jal try
    want 25, s2, 0
    // clean: the handler in M-mode made it clean at the ecall
    la s1, 3f
    li s2, 0
    li a7, 1
    ecall
3:  li a0, 0x3000
    jal try
    bnez s2, 4f             // without hardware A/D it faults; with it it is set
    j 5f
4:  want 26, s2, 15
5:
    // the last block
    li a0, 0x3fffffffc0
    ld t0, 0(a0)
    jal try
    want 27, s2, 0
    ld t0, 0(a0)
    want 28, t0, 0
    li a0, 0x3fffffffff
    jal try
    want 29, s2, 0
    li a0, 0x4000000000
    jal try
    want 30, s2, 15
    li t0, 0x4000000000
    sub t0, s3, t0
    want 31, t0, 0
    li a0, -64
    jal try
    want 32, s2, 15
    want 33, s3, -64
    // code
    li s9, 3
6:  li t0, 0x6000
    li t1, 0x00008067       // ret
    sw t1, 0(t0)
    sw t1, 0x40(t0)
    fence.i
    jalr ra, t0, 0
    addi t0, t0, 0x40
    jalr ra, t0, 0
    li a0, 0x6040
    jal try
    want 34, s2, 0
    la s1, 7f
    li s2, 0
    li t0, 0x6000
    jalr ra, t0, 0
    want 35, s2, 0
    fence.i
    li t0, 0x6040
    la s1, 7f
    jalr ra, t0, 0
7:  want 36, s2, 2
    addi s9, s9, -1
    bnez s9, 6b
    addi s11, s11, -1
    bnez s11, round
    la s1, done
    li a7, 2
    ecall
done: j done

    .balign 4
caught:
    csrr s2, mcause
    csrr s3, mtval
    csrw mepc, s1
    li t6, 8
    bne s2, t6, 1f
    li t6, 2
    beq a7, t6, 2f
    pte clean, V | R | W | A | U
    put leaf, 3
    sfence.vma
    li s2, 0
1:  mret
2:  exit 0
    wrong_is_here
    page_tables_are_here
leaf_top: .skip 4096
middle_top: .skip 4096
    .balign 4096
data: .skip 4096
clean: .skip 4096
codepage: .skip 4096
forbidden: .skip 4096
partial: .skip 4096
