// A kernel in the upper half, through its window (--window always): accesses with SUM and without by the same
// code, pages that are not global, one page that is mapped anew for each store, stores into code, A and D,
// two spaces, accesses that cross pages, atomics. Four rounds; in between, the kernel's pages that are not
// global are lost at so many switches that from then on each space has a view of its own.
//
// options: --window always
// status: 0
// prints: 
#include "bare.inc"
#include "sv39.inc"
#define FIRST -(1 << 38)              // RAM is mapped at FIRST + 0x80000000, by one leaf
#define G 0x20
#define KERNEL -0x200000              // page n: entry n of `leaf`, in both spaces
#define OWN -0x40200000               // page 0: of each space
#define USER 0x400000                 // page 0: likewise, the user's
#define ADUE (1 << 61)
#define FIXED 2                       // pages of KERNEL
#define CLEAN 3
#define LOCAL 4
#define NONE 5

// The tables of a space.
.macro space root, middle_own, leaf_own, middle_user, leaf_user, own, user
    li t0, 0x80000000 >> 2 | V | R | W | X | G | AD
    put \root, 258
    pte middle, V
    put \root, 511
    pte leaf, V
    put middle, 511
    pte \middle_own, V
    put \root, 510
    pte \leaf_own, V
    put \middle_own, 511
    pte \own, V | R | W | AD
    put \leaf_own, 0
    pte \middle_user, V
    put \root, 0
    pte \leaf_user, V
    put \middle_user, 2
    pte \user, V | R | W | U | AD
    put \leaf_user, 0
.endm
.macro put_zero page
    la t1, leaf + 8 * \page
    sd zero, 0(t1)
.endm
.macro satp_of register, root, asid
    la \register, \root
    srli \register, \register, 12
    li t1, 8 << 60 | \asid << 44
    or \register, \register, t1
.endm

    .globl _start
_start:
    space root, middle_own, leaf_own, middle_user, leaf_user, own_a, user_a
    space root_b, middle_own_b, leaf_own_b, middle_user_b, leaf_user_b, own_b, user_b
    pte data, V | R | W | G | AD
    put leaf, 0
    pte more, V | R | W | G | AD
    put leaf, 1
    pte more, V | R | W | AD
    put leaf, LOCAL
    pte more, V | R | W | G | AD
    put leaf, 511
    satp_of s8, root, 1
    satp_of s9, root_b, 2
    trap_to caught
    allow_all
    csrw satp, s8
    sfence.vma
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t0, MSTATUS_MPP_S
    csrs mstatus, t0
    la t0, kernel
    li t1, FIRST
    add t0, t0, t1
    csrw mepc, t0
    mret

// a3 becomes the sum of 8 doublewords from a1 on, and what it was on the way stands from a0 on.
.macro sum_and_tell
    li a2, 8
    li a3, 0
1:  ld t0, 0(a1)
    add a3, a3, t0
    sd a3, 0(a0)
    addi a1, a1, 8
    addi a0, a0, 8
    addi a2, a2, -1
    bnez a2, 1b
    jr ra
.endm
    .balign 64
first_without_sum:
    sum_and_tell
    .balign 64
first_with_sum:
    sum_and_tell

.macro sum_on
    li t6, MSTATUS_SUM
    csrs sstatus, t6
.endm
.macro sum_off
    li t6, MSTATUS_SUM
    csrc sstatus, t6
.endm
// Sums what is at FROM into the page of data, and wants it to be N.
.macro sum_of n, function, from, result
    li a0, KERNEL
    li a1, \from
    jal \function
    want \n, a3, \result
    ld t0, -8(a0)
    li gp, \n + 1
    bne t0, a3, wrong
.endm
.macro no_sum_of n, function, from
    li a0, KERNEL
    li a1, \from
    la s1, 2f
    li s2, -1
    jal \function
2:  want \n, s2, 13
    want \n + 1, s3, \from
.endm

kernel:
    li s11, 4
    // Something to sum: 1 to 8 in `more`, 1000 times that in the user's page.
    li a0, KERNEL + 0x1000
    li a1, USER
    li a2, 8
    li t2, 1000
    sum_on
1:  sd a2, 0(a0)
    mul t0, a2, t2
    sd t0, 0(a1)
    addi a0, a0, 8
    addi a1, a1, 8
    addi a2, a2, -1
    bnez a2, 1b
    sum_off

again:
// ---- SUM: code that was made without it runs with it, and the other way round.
    sum_of 1, first_without_sum, KERNEL + 0x1000, 36
    no_sum_of 3, first_without_sum, USER
    sum_on
    sum_of 5, first_with_sum, USER, 36000
    sum_of 7, first_without_sum, USER, 36000
    sum_of 9, first_without_sum, KERNEL + 0x1000, 36
    sum_off
    no_sum_of 11, first_with_sum, USER
    sum_of 13, first_with_sum, KERNEL + 0x1000, 36
    no_sum_of 15, first_without_sum, USER
    // And in one piece.
    li a0, KERNEL
    li a1, USER
    li t2, 77
    sd t2, 0(a0)
    sum_on
    ld t0, 0(a1)
    ld t1, 0(a0)
    sd t0, 8(a0)
    sum_off
    ld t3, 8(a0)
    want 17, t0, 8000
    want 18, t1, 77
    want 19, t3, 8000
    trapping ld t0, 0(a1)
    want 20, s2, 13
    sum_on
    sd t2, 24(a1)
    sum_off
    trapping sd zero, 24(a1)
    want 21, s2, 15
    sum_on
    ld t0, 24(a1)
    li t1, 5000
    sd t1, 24(a1)
    sum_off
    want 22, t0, 77

// ---- Two spaces: global pages are the same, all others each one's own.
    li s5, 6
1:  csrw satp, s8
    li a0, OWN
    li a1, KERNEL + 0x7f8 // of both
    ld t0, 0(a0)
    addi t0, t0, 1
    sd t0, 0(a0)
    ld t2, 0(a1)
    addi t2, t2, 1
    sd t2, 0(a1)
    csrw satp, s9
    ld t1, 0(a0)
    addi t1, t1, 2
    sd t1, 0(a0)
    ld t2, 0(a1)
    addi t2, t2, 1
    sd t2, 0(a1)
    slli t0, t0, 1
    li gp, 30
    bne t0, t1, wrong
    li gp, 31
    bne t2, t1, wrong
    addi s5, s5, -1
    bnez s5, 1b
    csrw satp, s8

// ---- A page that is not global, which its window never has: what is stored is there.
    li a0, KERNEL + LOCAL * 0x1000
    li a1, KERNEL + 0x1000
    li a2, 100
1:  sd a2, 64(a0)
    ld t0, 64(a1)
    li gp, 35
    bne t0, a2, wrong
    addi a2, a2, -1
    bnez a2, 1b

// ---- One page that leads elsewhere for each store, and its fences.
.macro patch n, fence:vararg
    li s5, 24
1:  la a0, data
    andi t2, s5, 1
    slli t2, t2, 12
    add a0, a0, t2 // `data` or `more`, which lies behind
    li t1, FIRST
    sub t0, a0, t1
    srli t0, t0, 2
    ori t0, t0, V | R | W | G | AD
    put leaf, FIXED
    li a1, KERNEL + FIXED * 0x1000 + 0xc00
    \fence
    sd s5, 0(a1)
    addi t2, a0, 0x700
    ld t0, 0x500(t2)
    li gp, \n
    bne t0, s5, wrong
    addi s5, s5, -1
    bnez s5, 1b
.endm
    patch 40, sfence.vma a1, zero
    patch 41, sfence.vma
    // No entry, then one: the fence is for what was there.
    put_zero FIXED
    li a1, KERNEL + FIXED * 0x1000
    sfence.vma a1, zero
    trapping sd zero, 0(a1)
    want 42, s2, 15
    trapping ld t0, 0(a1)
    want 43, s2, 13
    // It may be loaded only.
    la t0, data
    li t1, FIRST
    sub t0, t0, t1
    srli t0, t0, 2
    ori t0, t0, V | R | G | AD
    put leaf, FIXED
    sfence.vma a1, zero
    ld t0, 8(a1)
    trapping sd zero, 0(a1)
    want 44, s2, 15
    put_zero FIXED
    sfence.vma

// ---- Stores into code: where it runs, and by another address of its page.
    li s5, 12
1:  la a0, patched
    li t0, 0x00000513 // li a0, 0
    slli t1, s5, 20
    or t0, t0, t1 // li a0, s5
    andi t1, s5, 1
    beqz t1, 2f
    mv a1, a0
    li t2, FIRST
    sub t1, a1, t2
    srli t1, t1, 12
    slli t1, t1, 10
    ori t1, t1, V | R | W | G | AD
    la t2, leaf + 8 * FIXED
    sd t1, 0(t2)
    sfence.vma
    slli a1, a1, 52
    srli a1, a1, 52
    li t2, KERNEL + FIXED * 0x1000
    add a0, a1, t2
2:  sw t0, 0(a0)
    sw t0, 128(a0) // beside the code
    fence.i
    jal patched
    li gp, 45
    bne a0, s5, wrong
    addi s5, s5, -1
    bnez s5, 1b

// ---- A and D: by the walk, or by the kernel's own handler.
    la t0, data
    li t1, FIRST
    sub t0, t0, t1
    srli t0, t0, 2
    ori t0, t0, V | R | W | G
    put leaf, CLEAN
    li a0, KERNEL + CLEAN * 0x1000
    sfence.vma a0, zero
    li gp, -1
    ecall // s10: do walks set them?
    trapping ld t0, 16(a0)
    beqz s10, 1f
    want 50, s2, -1
    la t1, leaf + 8 * CLEAN
    ld t0, 0(t1)
    andi t0, t0, AD
    want 51, t0, A
    sd s5, 16(a0)
    ld t0, 0(t1)
    andi t0, t0, AD
    want 52, t0, AD
    j 9f
1:  want 53, s2, 13
    la t1, leaf + 8 * CLEAN
    ld t0, 0(t1)
    ori t0, t0, A
    sd t0, 0(t1)
    sfence.vma a0, zero
    ld t0, 16(a0)
    trapping sd s5, 16(a0)
    want 54, s2, 15
    trapping amoadd.d t0, s5, (a0)
    want 55, s2, 15
    ld t0, 0(t1)
    ori t0, t0, D
    sd t0, 0(t1)
    sfence.vma a0, zero
    sd s5, 16(a0)
9:

// ---- Across pages that do not follow each other in RAM, and at the half's end.
    li a0, KERNEL + 0x1000 - 4
    li t0, 0x1122334455667788
    sd t0, 0(a0)
    ld t1, 0(a0)
    li gp, 60
    bne t0, t1, wrong
    lw t1, 0(a0)
    lw t2, 4(a0)
    want 61, t1, 0x55667788
    want 62, t2, 0x11223344
    li t1, 8
    sd t1, 4(a0) // what is summed
    li a0, KERNEL + (LOCAL + 1) * 0x1000 - 4
    sw zero, 0(a0)
    trapping sd t0, 0(a0)
    want 63, s2, 15
    want 64, s3, KERNEL + NONE * 0x1000
    lw t1, 0(a0)
    want 65, t1, 0
    trapping ld t1, 0(a0)
    want 66, s2, 13
    want 67, s3, KERNEL + NONE * 0x1000
    li a0, -4
    sw zero, 0(a0)
    trapping sd t0, 0(a0)
    want 68, s2, 15
    want 69, s3, 0
    trapping ld t1, 0(a0)
    want 70, s2, 13
    want 71, s3, 0
    // A loop over the border, that is never aligned.
    li a0, KERNEL + 0x1000 - 61
    li a1, KERNEL + 0x1000 + 67
    li t2, 0
1:  sd t2, 0(a0)
    ld t3, 0(a0)
    li gp, 72
    bne t3, t2, wrong
    addi t2, t2, 1
    addi a0, a0, 8
    bltu a0, a1, 1b
    li a0, KERNEL + 0x1000
    li a2, 8
1:  sd a2, 0(a0)
    addi a0, a0, 8
    addi a2, a2, -1
    bnez a2, 1b

// ---- Atomics.
    li a0, KERNEL + 0x800
    sd zero, 0(a0)
    li a2, 100
1:  amoadd.d t0, a2, (a0)
2:  lr.d t1, (a0)
    addi t1, t1, 1
    sc.d t2, t1, (a0)
    bnez t2, 2b
    addi a2, a2, -1
    bnez a2, 1b
    ld t0, 0(a0)
    want 80, t0, 5150
    li a1, KERNEL + LOCAL * 0x1000 + 0x800
    sd zero, 0(a1)
    amoor.w t0, s11, (a1)
    lw t0, 0(a1)
    li gp, 81
    bne t0, s11, wrong
    addi a1, a0, 4
    trapping amoadd.d t0, t0, (a1)
    want 86, s2, 6
    li a1, KERNEL + NONE * 0x1000
    trapping amoadd.w t0, t0, (a1)
    want 82, s2, 15
    want 83, s3, KERNEL + NONE * 0x1000
    li a1, USER
    trapping amoadd.w t0, t0, (a1)
    want 84, s2, 15
    // Of a page that is code, and stays right.
    la a0, patched
    li t0, 0x00700513 // li a0, 7
    amoswap.w t1, t0, (a0)
    fence.i
    jal patched
    want 85, a0, 7

// ---- A view for each space, behind the second round.
    addi s11, s11, -1
    li t0, 2
    bne s11, t0, 3f
    li a0, OWN
    li s5, 150
1:  csrw satp, s8
    ld t0, 0(a0)
    addi t0, t0, 1
    sd t0, 0(a0)
    csrw satp, s9
    ld t1, 0(a0)
    addi t1, t1, 2
    sd t1, 0(a0)
    slli t0, t0, 1
    li gp, 90
    bne t0, t1, wrong
    addi s5, s5, -1
    bnez s5, 1b
    csrw satp, s8
    li a0, KERNEL + 0x7f8
    sd t1, 0(a0)
3:  beqz s11, done
    la t0, again
    jr t0
done:
    li gp, 0
    ecall
    .balign 4
wrong_in_kernel:
    ecall
    .set wrong, wrong_in_kernel

// In M mode. An ecall: gp is -1, set A and D otherwise from now on, in s10; else it ends all, and gp says how.
    .balign 4
caught:
    csrr s2, mcause
    csrr s3, mtval
    csrr s4, mepc
    li t6, 9
    beq s2, t6, called
    csrw mepc, s1
    mret
called:
    addi s4, s4, 4
    csrw mepc, s4
    li t6, -1
    bne gp, t6, finish
    csrr s10, 0x30a // menvcfg
    li t6, ADUE
    xor s10, s10, t6
    csrw 0x30a, s10
    csrr s10, 0x30a
    and s10, s10, t6
    li s2, -1
    mret
finish:
    li t1, 0x5555
    beqz gp, 1f
    slli t1, gp, 16
    li t0, 0x3333
    or t1, t1, t0
1:  li t0, FINISHER
    sw t1, 0(t0)
    j 1b

    .balign 4096
    .option norvc
patched:
    li a0, 0 // is stored anew
    ret
    .balign 4096
data: .zero 4096
more: .zero 4096
own_a: .zero 4096
own_b: .zero 4096
user_a: .zero 4096
user_b: .zero 4096
root: .zero 4096
root_b: .zero 4096
middle: .zero 4096
leaf: .zero 4096
middle_own: .zero 4096
leaf_own: .zero 4096
middle_own_b: .zero 4096
leaf_own_b: .zero 4096
middle_user: .zero 4096
leaf_user: .zero 4096
middle_user_b: .zero 4096
leaf_user_b: .zero 4096
