// S mode under Sv39: a gigapage for the code, 4 KiB pages for what is tried.
// status: 0
#include "bare.inc"
#define V 0x01
#define R 0x02
#define W 0x04
#define X 0x08
#define U 0x10
#define AD 0xc0
#define WINDOW 0xc0000000           // entry 3 of the root: page n is entry n of `leaf`
    .globl _start

// Sets t0 to an entry that leads to the symbol, with these flags.
.macro pte symbol, flags
    la t0, \symbol
    srli t0, t0, 12
    slli t0, t0, 10
    ori t0, t0, \flags
.endm
.macro put table, index
    la t1, \table
    sd t0, (8 * \index)(t1)
.endm

_start:
    trap_to caught
    li t0, -1                       // S mode may do all, for PMP
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0

    li t0, 0x80000000 >> 2 | V | R | W | X | AD
    put root, 2
    li t0, V | R | W | AD           // the devices, in the first gigabyte
    put root, 0
    pte middle, V
    put root, 3
    pte leaf, V
    put middle, 0
    pte data, (V | R | W | AD)
    put leaf, 0
    pte data, (V | R | AD)
    put leaf, 1
    pte data, (V | R | W | U | AD)  // leaf 2; 3 stays empty
    put leaf, 2
    pte code, (V | X | AD)
    put leaf, 4
    pte other, (V | R | W | AD)
    put leaf, 5

    la t0, root
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t0, MSTATUS_MPP_S
    csrs mstatus, t0
    la t0, supervisor
    csrw mepc, t0
    mret

supervisor:
    li s0, WINDOW
    li s5, 0x1000
    add s6, s0, s5                  // the read-only page
    add s7, s6, s5                  // U
    add s8, s7, s5                  // none
    add s9, s8, s5                  // execute only
    add s10, s9, s5                 // another physical page

    li t0, 0x1234
    sd t0, 8(s0)
    ld a0, 8(s6)                    // two addresses of one page
    want 1, a0, 0x1234
    trapping sd t0, 8(s6)
    want 2, s2, 15
    want 3, s3, WINDOW + 0x1008
    trapping ld a0, 0(s7)           // U without SUM
    want 4, s2, 13
    trapping ld a0, 24(s8)
    want 5, s2, 13
    want 6, s3, WINDOW + 0x3018
    trapping sd a0, 24(s8)
    want 7, s2, 15
    trapping jalr s8
    want 8, s2, 12
    want 9, s3, WINDOW + 0x3000
    want 10, s4, WINDOW + 0x3000
    trapping jalr s0                // no X
    want 11, s2, 12
    jalr s9
    want 12, a0, 77
    trapping ld a1, 0(s9)           // X only
    want 13, s2, 13
    li t0, MSTATUS_SUM
    csrs sstatus, t0
    ld a0, 8(s7)
    want 14, a0, 0x1234
    csrc sstatus, t0

    addi s11, s8, -4                // crosses from a page into none: the second half faults
    li t0, MSTATUS_SUM
    csrs sstatus, t0
    trapping ld a0, 0(s11)
    want 15, s2, 13
    want 16, s3, WINDOW + 0x3000

    li t0, 0x5678                   // a changed entry holds from the sfence on
    sd t0, 8(s10)
    pte other, (V | R | AD)
    put leaf, 1
    sfence.vma s6
    ld a0, 8(s6)
    want 17, a0, 0x5678
    li t0, 1 << 38                  // not a sign-extended address
    trapping ld a0, 0(t0)
    want 18, s2, 13
    trapping csrr a0, mstatus
    want 19, s2, 2
    trapping ecall
    want 20, s2, 9
    exit 0

    .balign 4
caught:                             // in M mode; returns to where it came from, at s1
    csrr s2, mcause
    csrr s3, mtval
    csrr s4, mepc
    csrw mepc, s1
    li t6, MSTATUS_MPP_S
    csrs mstatus, t6
    mret
    wrong_is_here

    .balign 4096
root:
    .skip 4096
middle:
    .skip 4096
leaf:
    .skip 4096
data:
    .skip 4096
other:
    .skip 4096
code:
    li a0, 77
    ret
    .balign 4096
