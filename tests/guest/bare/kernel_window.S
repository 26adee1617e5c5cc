// A kernel's code in the upper half, in the view and window that all spaces share: pages that are global
// and not, switches of satp between accesses, SUM, MXR and MPRV, every form of fence, A and D, PMP,
// cbo.zero, no translation in between, code, and addresses that walk out at either end.
// status: 0
#include "bare.inc"
#include "sv39.inc"
#define G 0x20
#define MXR 0x80000
#define MPRV 0x20000
#define FLOOR 0xffffffc000000000    // RAM, a gigabyte, global
#define PAGES 0xffffffc040000000    // of 4 KiB
#define LAST 0xfffffffffffff000
#define GLOBAL 0x0000(s0)
#define OWN 0x1000
#define USERS 0x2000
#define CODE_ONLY 0x3000
#define READ_ONLY 0x4000
#define CLEAN 0x5000
#define DEVICE 0x6000
#define NONE 0x7000
#define VICTIM 0x8000
#define PART 0x9000

    .macro page symbol, flags, offset
    pte \symbol, \flags
    put leaf_a, \offset >> 12
    put leaf_b, \offset >> 12
    .endm
    // pte, from code of the upper half.
    .macro pte_from_above symbol, flags
    la t0, \symbol
    sub t0, t0, s11
    srli t0, t0, 12
    slli t0, t0, 10
    ori t0, t0, \flags
    .endm
    .macro put_far table, index
    la t1, \table + 8 * \index
    sd t0, 0(t1)
    .endm
    .macro both_roots index
    put_far root, \index
    put_far root_b, \index
    .endm
    // What M mode does at an ecall.
    .macro machine what
    li a7, \what
    ecall
    .endm

    .globl _start
_start:
    page global, V | R | W | G | AD, 0
    pte own_a, V | R | W | AD
    put leaf_a, 1
    pte own_b, V | R | W | AD
    put leaf_b, 1
    page users, V | R | W | U | G | AD, USERS
    page code_only, V | X | G | AD, CODE_ONLY
    page global, V | R | G | AD, READ_ONLY
    page clean, V | R | W | G, CLEAN
    li t0, UART >> 2 | V | R | W | G | AD
    put leaf_a, 6
    put leaf_b, 6
    page victim, V | R | W | G | AD, VICTIM
    page part, V | R | W | G | AD, PART
    pte middle_a, V
    put_far root, 257
    pte middle_b, V
    put_far root_b, 257
    pte leaf_a, V
    put middle_a, 0
    pte leaf_b, V
    put middle_b, 0
    pte middle_of_last, V
    both_roots 511
    pte leaf_of_last, V
    put_far middle_of_last, 511
    pte global, V | R | W | G | AD
    put_far leaf_of_last, 511
    li t0, 0x80000000 >> 2 | V | R | W | X | G | AD
    both_roots 256
    put root_b, 2
    li t0, V | R | W | AD
    put root_b, 0
    li t0, 0x80
    li t1, 1 << 61
    or t0, t0, t1                   // CBZE, ADUE
    csrw 0x30a, t0                  // menvcfg
    enter_supervisor supervisor
supervisor:
    // s0: PAGES, s8 and s9: satp of either space; s11: from here to the upper half.
    la s8, root
    srli s8, s8, 12
    li t0, 8 << 60 | 1 << 44
    or s8, s8, t0
    la s9, root_b
    srli s9, s9, 12
    li t0, 8 << 60 | 2 << 44
    or s9, s9, t0
    li s0, PAGES
    li s11, FLOOR - 0x80000000
    li s5, 6
    csrw satp, s8
    la t0, again
    add t0, t0, s11
    jr t0

again:
    // Where most switches find a space's own pages the common view is given up.
    li s7, 250
1:  csrw satp, s9
    csrw satp, s8
    addi s7, s7, -1
    bnez s7, 1b

// Global pages and others, over switches of satp.
    li t1, OWN
    add s6, s0, t1
    li t0, 0x11
    sd t0, 0(s6)
    li t0, 0x33
    sd t0, GLOBAL
    csrw satp, s9
    li t1, 0x22
    sd t1, 0(s6)
    ld a0, GLOBAL
    csrw satp, s8
    ld a1, 0(s6)
    ld a2, GLOBAL
    csrw satp, s9
    ld a3, 0(s6)
    li t0, 0x44
    sd t0, GLOBAL
    csrw satp, s8
    ld a4, GLOBAL
    want 1, a0, 0x33
    want 2, a1, 0x11
    want 3, a2, 0x33
    want 4, a3, 0x22
    want 5, a4, 0x44
    // The same root under another asid, and the other root in a loop.
    li s7, 40
1:  li t0, 5 << 44
    xor t0, s8, t0
    csrw satp, t0
    ld a0, 0(s6)
    csrw satp, s9
    ld a1, 0(s6)
    csrw satp, s8
    ld a2, 0(s6)
    want 6, a0, 0x11
    want 7, a1, 0x22
    want 8, a2, 0x11
    addi s7, s7, -1
    bnez s7, 1b

// MPRV, as the kernel, in either space.
    li s7, 3
1:  mv a0, s6
    csrw satp, s8
    machine 1
    want 10, a1, 0x11
    csrw satp, s9
    machine 1
    want 11, a1, 0x22
    csrw satp, s8
    ld a1, 0(s6)
    want 12, a1, 0x11
    mv a0, s0
    machine 1
    want 13, a1, 0x44
    addi s7, s7, -1
    bnez s7, 1b

// SUM and MXR, between accesses of one block.
    li t1, USERS
    add a3, s0, t1
    li t1, CODE_ONLY
    add a4, s0, t1
    li s7, 30
1:  trapping ld a0, 0(a3)
    want 20, s2, 13
    li t3, MSTATUS_SUM
    ld a1, GLOBAL
    csrs sstatus, t3
    ld a0, 0(a3)
    sd a0, 8(a3)
    csrc sstatus, t3
    ld a1, GLOBAL
    trapping sd a0, 8(a3)
    want 21, s2, 15
    csrc sstatus, t3                // where a trap has left it
    trapping ld a0, 0(a4)
    want 22, s2, 13
    li t4, MXR
    csrs sstatus, t4
    ld a0, 0(a4)
    csrc sstatus, t4
    trapping ld a0, 0(a4)
    want 23, s2, 13
    addi s7, s7, -1
    bnez s7, 1b

// The kernel's page moves: all forms of a fence that name it, and a non-global one by its asid.
    .macro moves n, symbol, table, index, flags, at, fence:vararg
    pte_from_above \symbol, \flags
    la t1, \table
    sd t0, (8 * \index)(t1)
    \fence
    ld a0, 0(\at)
    ld a1, 8(\at)
    la t0, \symbol
    sd a0, 16(\at)
    ld a2, 8(t0)
    li gp, \n
    bne a1, a2, wrong
    .endm
    la s1, wrong
    li a6, 1
    moves 30, own_a, leaf_a, 0, V | R | W | G | AD, s0, sfence.vma s0, x0
    moves 31, own_b, leaf_a, 0, V | R | W | G | AD, s0, sfence.vma
    moves 32, global, leaf_a, 0, V | R | W | G | AD, s0, sfence.vma s0, x0
    moves 33, own_b, leaf_a, 1, V | R | W | AD, s6, sfence.vma s6, a6
    moves 34, own_a, leaf_a, 1, V | R | W | AD, s6, sfence.vma x0, a6
    moves 35, own_b, leaf_a, 1, V | R | W | AD, s6, sfence.vma s6, x0
    // By a fence that is made in another space.
    csrw satp, s9
    pte_from_above own_a, V | R | W | AD
    put leaf_a, 1
    sfence.vma s6, a6
    csrw satp, s8
    ld a0, 8(s6)
    la t0, own_a
    ld a1, 8(t0)
    li gp, 36
    bne a0, a1, wrong

// A and D.
    li t1, CLEAN
    add a3, s0, t1
    la a4, leaf_a
    li s7, 12
1:  ld t0, 40(a4)
    andi t0, t0, ~AD
    sd t0, 40(a4)
    sfence.vma a3, x0
    ld a0, 0(a3)
    ld a1, 40(a4)
    andi a1, a1, AD
    want 40, a1, A
    ld a0, 64(a3)
    ld a1, 40(a4)
    andi a1, a1, AD
    want 41, a1, A
    sd a0, 64(a3)
    ld a1, 40(a4)
    andi a1, a1, AD
    want 42, a1, AD
    addi s7, s7, -1
    bnez s7, 1b

// Physical protection comes and goes, of a page and of half of one.
    li s7, 20
1:  sd s7, GLOBAL
    machine 2
    trapping ld a0, GLOBAL
    want 50, s2, 5
    trapping sd a0, GLOBAL
    want 51, s2, 7
    mv a0, s0
    trapping cbo_zero a0
    want 52, s2, 7
    machine 4
    ld a0, GLOBAL
    li gp, 53
    bne a0, s7, wrong
    addi s7, s7, -1
    bnez s7, 1b
    li t1, PART
    add a3, s0, t1
    li s7, 20
1:  sd s7, 0x7f8(a3)
    sd s7, 0x7c0(a3)
    sd s7, 0x7f0(a3)
    machine 3                       // the page's second half, and the 32 bytes before it
    ld a0, 0x7c0(a3)
    li gp, 55
    bne a0, s7, wrong
    trapping ld a0, 0x7f0(a3)
    want 56, s2, 5
    want 57, s3, PAGES + PART + 0x7f0
    addi a0, a3, 0x7c0
    trapping cbo_zero a0            // half of the block
    want 58, s2, 7
    ld a0, 0x7c0(a3)
    li gp, 59
    bne a0, s7, wrong
    addi a0, a3, 0x780
    cbo_zero a0
    ld a0, 0x780(a3)
    want 60, a0, 0
    machine 4
    ld a0, 0x7f0(a3)
    li gp, 61
    bne a0, s7, wrong
    addi a0, a3, 0x7c0
    cbo_zero a0
    ld a0, 0x7f8(a3)
    want 62, a0, 0
    addi s7, s7, -1
    bnez s7, 1b

// cbo.zero of what is not for it.
    li s7, 20
1:  li t1, DEVICE
    add a0, s0, t1
    trapping cbo_zero a0
    want 70, s2, 7
    li t1, READ_ONLY + 0xffc
    add a0, s0, t1
    trapping cbo_zero a0
    want 71, s2, 15
    want 72, s3, PAGES + READ_ONLY + 0xffc
    li t1, NONE
    add a0, s0, t1
    trapping cbo_zero a0
    want 73, s2, 15
    li a0, LAST + 0xfff             // the last block of all
    li t0, -8
    li t1, 1
    sd t1, 0(t0)
    cbo_zero a0
    ld a1, 0(t0)
    want 74, a1, 0
    addi s7, s7, -1
    bnez s7, 1b

// Code that is changed through another address of its page.
    li t1, VICTIM
    add a3, s0, t1
    li s7, 20
1:  li t0, 0x00100513               // li a0, 1
    sw t0, 0(a3)
    fence.i
    jal victim
    want 80, a0, 1
    li t0, 0x00200513
    sw t0, 0(a3)
    fence.i
    jal victim
    want 81, a0, 2
    addi s7, s7, -1
    bnez s7, 1b

// Out at either end.
    .macro walk n, from, step, tval, cause, insn:vararg
    li a0, \from
    la s1, 2f
    li s2, -1
1:  \insn
    addi a0, a0, \step
    bnez s0, 1b
2:  want \n, s2, \cause
    want \n + 1, s3, \tval
    .endm
    walk 90, LAST + 0x800, 8, 0, 5, ld t0, 0(a0)
    walk 92, LAST + 0x800, 1, 0, 7, sb zero, 0(a0)
    walk 94, FLOOR + 0x200000, -64, FLOOR - 64, 13, ld t0, 0(a0)
    walk 96, FLOOR + 0x200000 + 4, -16, FLOOR - 12, 13, lw t0, 0(a0)
    walk 98, LAST, 1000, 0x388, 5, ld t0, 0(a0)
    .macro wild n, at
    li a0, \at
    trapping ld t0, 0(a0)
    li gp, \n
    bne s3, a0, wrong
    trapping sd t0, 8(a0)
    addi a0, a0, 8
    bne s3, a0, wrong
    .endm
    wild 100, 0
    wild 101, FLOOR - 16
    wild 102, 0x3ffffffff8
    wild 103, 1 << 38
    wild 104, 0x7fffffffe000
    wild 105, 0x8000000000000000
    wild 106, 0xffffffbfffff0000
    wild 107, PAGES + NONE
    li a0, LAST + 0xffc             // half of it
    trapping ld t0, 0(a0)
    want 108, s3, 0

// Without translation in between: what the kernel has mapped is nowhere then.
    li s7, 5
1:  la t0, 2f
    sub t0, t0, s11
    jr t0
2:  csrw satp, x0
    trapping ld a0, GLOBAL
    want 110, s2, 5
    la t0, global
    ld a1, 0(t0)
    csrw satp, s8
    la t0, 3f
    add t0, t0, s11
    jr t0
3:  ld a0, GLOBAL
    li gp, 111
    bne a0, a1, wrong
    addi s7, s7, -1
    bnez s7, 1b

    // And once more, as code that is made and linked.
    addi s5, s5, -1
    beqz s5, 1f
    la t0, again
    jr t0
1:  exit 0

    .balign 4
caught:
    csrr s2, mcause
    csrr s3, mtval
    csrr s4, mepc
    li t6, 9
    beq s2, t6, in_machine
    csrw mepc, s1
    j 1f
in_machine:
    addi s4, s4, 4
    csrw mepc, s4
    addi a7, a7, -1
    beqz a7, load_as_kernel
    addi a7, a7, -1
    beqz a7, forbid_page
    addi a7, a7, -1
    beqz a7, forbid_half
    li t6, -1                       // all is allowed
    csrw pmpaddr0, t6
    li t6, 0x1f
    csrw pmpcfg0, t6
1:  li t6, MSTATUS_MPP
    csrc mstatus, t6
    li t6, MSTATUS_MPP_S
    csrs mstatus, t6
    mret
load_as_kernel:
    li t6, MSTATUS_MPP
    csrc mstatus, t6
    li t6, MSTATUS_MPP_S | MPRV
    csrs mstatus, t6
    ld a1, 0(a0)
    li t6, MPRV
    csrc mstatus, t6
    j 1b
forbid_page:
    la t6, global
    srli t6, t6, 2
    ori t6, t6, 0x1ff               // NAPOT, 4 KiB
    j 2f
forbid_half:
    la t6, part + 0x7e0
    srli t6, t6, 2
    csrw pmpaddr0, t6               // below: allowed
    la t6, part + 0x1000
    srli t6, t6, 2
    csrw pmpaddr1, t6               // to there: nothing
    li t6, -1
    csrw pmpaddr2, t6
    li t6, 0x1f080f
    csrw pmpcfg0, t6
    j 1b
2:  csrw pmpaddr0, t6
    li t6, -1
    csrw pmpaddr1, t6
    li t6, 0x1f18
    csrw pmpcfg0, t6
    j 1b

    wrong_is_here
    .balign 4096
global: .skip 4096
own_a:
    .dword 0, 0x1001
    .skip 4080
own_b:
    .dword 0, 0x1002
    .skip 4080
users: .skip 4096
clean: .skip 4096
part: .skip 4096
code_only: .skip 4096
victim:
    .option push
    .option norvc
    nop
    ret
    .option pop
    .balign 4096
root_b: .skip 4096
middle_a: .skip 4096
middle_b: .skip 4096
leaf_a: .skip 4096
leaf_b: .skip 4096
middle_of_last: .skip 4096
leaf_of_last: .skip 4096
    page_tables_are_here
