// Wild addresses in user mode, through a window (--window always): each kind of access to each of
// them raises the guest's own page fault, with its address; so do accesses that share a comparison
// with one before, and loops that walk out of the window at either end.
//
// options: --window always
// status: 0
// prints: 
#include "bare.inc"
#include "sv39.inc"

#define TOP (1 << 38)

.macro put_last table
    la t1, \table + 4088
    sd t0, 0(t1)
.endm

    .globl _start
_start:
    j start
    .balign 8
addresses:
    .dword TOP, TOP + 8, TOP + 0x7ff8, TOP + 0x8000, TOP + 0xfff8, TOP + 0x10000, TOP + 0x100000
    .dword 2 * TOP - 8, 2 * TOP, 1 << 40, (1 << 46) + 0x5000, (1 << 47) - 4096, 1 << 47, 1 << 62
    .dword 0x555555554000, 0x7ffff7ff0000, 0x7fffffffe000, 0x8000000000000000, 0xc000000000000000
    .dword -8, -16, -2048, -4096, -0x8000, -0x10000, -0x100000, -0x7fff0000, -TOP, -TOP - 8, -2 * TOP
    .dword 0xffffffff80000000, 0xffffffc000000000, 0xffff800000000000, 0xffff7fffffffe000
end_of_addresses:
last_page: .dword TOP - 4096
end_of_last: .dword TOP - 255
index_behind: .dword 512
index_byte: .dword 255
index_wild: .dword 0x555555554000 - (TOP - 4096)
index_below: .dword -0x200000
index_shifted: .dword 0x5555555540000000
start:
    li t0, 0x6000 // FS
    csrs mstatus, t0
    // The first and the last page of the lower half, and code and data where they are: all the user's.
    pte first, V | R | W | U | AD
    put leaf, 0
    pte middle, V
    put root, 0
    pte leaf, V
    put middle, 0
    pte last, V | R | W | U | AD
    put_last leaf_of_last
    pte middle_of_last, V
    put root, 255
    pte leaf_of_last, V
    put_last middle_of_last
    li t0, 0x80000000 >> 2 | V | R | W | X | U | AD
    put root, 2
    li t0, 0x80400000 >> 2 | V | R | W | U | AD
    put_last middle_of_upper
    trap_to caught
    allow_all
    paging_on
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    la t0, user
    csrw mepc, t0
    mret

// s5: in this round code is made, in the next ones it runs as it is linked then.
user:
    li s5, 3
again:

// Loads fault with 13, stores and atomics with 15. a1: where the address comes from.
.macro one n, cause, insn:vararg
    ld a0, 0(a1)
    trapping \insn
    want \n, s2, \cause
    li gp, \n + 100
    bne s3, a0, wrong
.endm
.macro each_kind
    one 1, 13, lb t0, 0(a0)
    one 2, 13, lbu t0, 0(a0)
    one 3, 13, lh t0, 0(a0)
    one 4, 13, lhu t0, 0(a0)
    one 5, 13, lw t0, 0(a0)
    one 6, 13, lwu t0, 0(a0)
    one 7, 13, ld t0, 0(a0)
    one 8, 13, flw ft0, 0(a0)
    one 9, 13, fld ft0, 0(a0)
    one 10, 15, sb t0, 0(a0)
    one 11, 15, sh t0, 0(a0)
    one 12, 15, sw t0, 0(a0)
    one 13, 15, sd t0, 0(a0)
    one 14, 15, fsw ft0, 0(a0)
    one 15, 15, fsd ft0, 0(a0)
    one 16, 15, sb zero, 0(a0)
    one 17, 15, sd zero, 0(a0)
    one 18, 15, amoadd.d t0, t1, (a0)
    one 19, 15, amoswap.w t0, t1, (a0)
    one 20, 13, lr.d t0, (a0)
    // From another base: the access is behind it, or before.
    addi a2, a0, -2000
    one 21, 13, ld t0, 2000(a2)
    addi a2, a0, 2000
    one 22, 15, sd t0, -2000(a2)
.endm
.macro next_address
    addi a1, a1, 8
    each_kind
.endm
    la a1, addresses
    addi a1, a1, -8
.rept (end_of_addresses - addresses) / 8
    next_address
.endr

// What shares a comparison: the base is inside, the access is not.
    li a0, TOP - 16
    ld t0, 0(a0)
    trapping ld t0, 16(a0)
    want 40, s2, 13
    want 41, s3, TOP
    li a0, TOP - 16
    ld t0, 8(a0)
    trapping sd t0, 2032(a0)
    want 42, s2, 15
    want 43, s3, TOP - 16 + 2032
    li a0, 8
    ld t0, 0(a0)
    trapping ld t0, -16(a0)
    want 44, s2, 13
    want 45, s3, -8
    // Half of it is outside.
    li a0, TOP - 4
    trapping ld t0, 0(a0)
    want 46, s2, 13
    want 47, s3, TOP
    trapping sd t0, 0(a0)
    want 48, s2, 15
    want 49, s3, TOP
    lw t0, 0(a0)
    // The first is outside, the second would not be.
    li a0, TOP + 8
    trapping ld t0, 0(a0)
    want 50, s2, 13
    ld t0, -16(a0)

// An element of a table shares the table's comparison where the index must be small. The index is a
// load's, or the optimiser would know it.
.macro index reg, name
    la a1, \name
    ld \reg, 0(a1)
.endm
.macro element n, cause, tval, insn:vararg
    add a3, a3, a0
    ld t0, 0(a0)
    trapping \insn
    want \n, s2, \cause
    want \n + 1, s3, \tval
.endm
    index a0, last_page
    index a2, index_behind
    andi a3, a2, 1023
    slli a3, a3, 3
    element 51, 13, TOP, ld t0, 0(a3)
    index a0, end_of_last
    la a1, index_byte
    lbu a3, 0(a1)
    element 53, 15, TOP, sd zero, 0(a3)
    // Not where it may be large, with and without a sign.
    index a0, last_page
    index a3, index_wild
    element 55, 13, 0x555555554000, ld t0, 0(a3)
    li a0, 0
    la a1, index_below
    lw a3, 0(a1)
    element 57, 15, -0x200000, sd t0, 0(a3)
    index a0, last_page
    index a2, index_shifted
    srli a3, a2, 16
    element 93, 13, TOP - 4096 + 0x555555554000, lbu t0, 0(a3)
    // A loop compares the table at its entry.
    index a0, last_page
    li a2, 0
    la s1, 2f
    li s2, -1
1:  andi a3, a2, 1023
    slli a3, a3, 3
    add a3, a3, a0
    ld t0, 0(a3)
    addi a2, a2, 1
    j 1b
2:  want 95, s2, 13
    want 96, a2, 512

// Loops: up and down, by small and by large steps, with loads and stores.
.macro walk n, from, step, tval, cause, insn:vararg
    li a0, \from
    la s1, 2f
    li s2, -1
1:  \insn
    addi a0, a0, \step
    addi a3, a3, 1
    bnez a0, 1b
2:  want \n, s2, \cause
    want \n + 1, s3, \tval
.endm
    walk 60, TOP - 4096, 8, TOP, 13, ld t0, 0(a0)
    walk 62, TOP - 4096, 1, TOP, 13, lbu t0, 0(a0)
    walk 64, TOP - 4096, 2000, TOP - 4096 + 3 * 2000, 15, sd t0, 0(a0)
    walk 66, TOP - 4096, 8, TOP, 15, sd zero, 0(a0)
    walk 68, TOP - 2048, 8, TOP, 13, fld ft0, 0(a0)
    walk 70, 4088 + 1, -8, -7, 13, lbu t0, 0(a0)
    walk 72, 4088 + 4, -16, -4, 15, sw t0, 0(a0)
    walk 74, 2048 + 1, -2000, 2048 + 1 - 2 * 2000, 15, sb t0, 0(a0)
    // Begun outside: with a base that is no address at all until the loop is in its second turn.
    walk 76, TOP, 8, TOP, 13, ld t0, 0(a0)
    walk 78, -4096, 8, -4096, 15, sd t0, 0(a0)

// Two pointers of one loop, of which the second goes first.
    li a0, 0
    li a2, TOP - 256
    la s1, 2f
    li s2, -1
1:  ld t0, 0(a0)
    sd t0, 0(a2)
    addi a0, a0, 8
    addi a2, a2, 8
    bne a0, a2, 1b
2:  want 80, s2, 15
    want 81, s3, TOP
    want 82, a0, 256

// The second of two is wild from the start, in a loop that was linked with good ones; and so is one that
// comes by a link from elsewhere.
.macro two_pointers from
    li a0, 0
    li a2, \from
    li a4, 5
    la s1, 2f
    li s2, -1
    jal t1, two
2:
.endm
    two_pointers 1024
    two_pointers TOP - 2048
    two_pointers 2048
    two_pointers (1 << 46) + 0x5000
    want 85, s2, 15
    want 86, s3, (1 << 46) + 0x5000
    li a6, 4
    li a7, 64
    la s1, 2f
    li s2, -1
3:  mv a2, a7
    li a0, 0
    li a4, 5
    addi a6, a6, -1
    bnez a6, 4f
    li a2, 0x555555554000
4:  jal t1, two
    j 3b
2:  want 87, s2, 15
    want 88, s3, 0x555555554000
    j 5f
    .balign 64
two:
1:  ld t0, 0(a0)
    sd t0, 0(a2)
    addi a0, a0, 8
    addi a2, a2, 8
    addi a4, a4, -1
    bnez a4, 1b
    jr t1
5:

// A pointer that one side of a branch makes wild in the loop.
    li a0, 0
    li a4, 5
    li a5, -1
    slli a5, a5, 37
    la s1, 2f
    li s2, -1
1:  ld t0, 0(a0)
    addi a0, a0, 8
    addi a4, a4, -1
    bnez a4, 1b
    mv a0, a5
    j 1b
2:  want 83, s2, 13
    li gp, 84
    bne s3, a5, wrong

    addi s5, s5, -1
    beqz s5, upper_half
    j again

// A pointer that walks from a device's registers out at the lower end, where the user's pages go on in
// the upper half: by then the loop's access is not for the window any more, and must not vouch for the
// one behind the loop.
upper_half:
    li t0, 0x200b000 >> 2 | V | R | W | U | AD
    put leaf, 1
    pte middle_of_upper, V
    put_last root
    li s5, 3
walk_again:
    li a0, 8192 - 8
    li a3, 1023 + 255 * 700
    li a4, 0
1:  lw t0, 0(a0)
    addi a0, a0, -8
    addi a3, a3, -1
    bnez a3, 1b
    lw t1, 4(a0)
    want 90, a0, -255 * 700 * 8
    want 91, t1, 0
// And without the device: each turn is outside, and what it stores is in the guest's memory.
.rept 3
    li a0, 4080
    li a3, 3
    jal t1, down // it is linked to itself then
.endr
    li a0, 2040
    li a3, 701
    jal t1, down
    j 3f
    .balign 64
down:
    sw a3, 0(a0)
    addi a0, a0, -2040
    addi a3, a3, -1
    bnez a3, down
    jr t1
3:  li a0, 0x80600000
    li a3, 699
1:  li t0, -2040
    addi t1, a3, -700
    mul t0, t0, t1
    sub t0, a0, t0
    lw t0, 0(t0)
    bne t0, a3, 2f
    addi a3, a3, -1
    bnez a3, 1b
2:  want 92, a3, 0
    addi s5, s5, -1
    beqz s5, done
    j walk_again
done:
    ecall
    .balign 4
wrong_in_user:
    ecall

// In M mode: an ecall of the user's ends it. gp says how.
    .balign 4
caught:
    csrr s2, mcause
    csrr s3, mtval
    csrr s4, mepc
    li t6, 8
    beq s2, t6, finish
    csrw mepc, s1
    mret
finish:
    la t6, done
    beq s4, t6, good
    slli t1, gp, 16
    li t0, 0x3333
    or t1, t1, t0
    j out
good:
    li t1, 0x5555
out:
    li t0, FINISHER
    sw t1, 0(t0)
1:  j 1b
    .set wrong, wrong_in_user

    .balign 4096
first: .zero 4096
last: .zero 4096
root: .zero 4096
middle: .zero 4096
leaf: .zero 4096
middle_of_last: .zero 4096
middle_of_upper: .zero 4096
leaf_of_last: .zero 4096
