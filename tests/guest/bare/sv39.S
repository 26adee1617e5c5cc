// S mode under Sv39: a gigapage for the code, 4 KiB pages for what is tried.
// status: 0
#include "bare.inc"
#include "sv39.inc"
    .globl _start

_start:
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

    enter_supervisor supervisor

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

    catch_supervisor_trap
    wrong_is_here

    page_tables_are_here
data:
    .skip 4096
other:
    .skip 4096
code:
    li a0, 77
    ret
    .balign 4096
