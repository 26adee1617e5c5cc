// A hart fences, then enters an address space that it was never in, and in which another one has linked code.
// options: -smp 2
// status: 0
#include "bare.inc"
#include "sv39.inc"
#include "fence.inc"
    .globl _start
_start:
    la s1, turn
    csrr t0, mhartid
    bnez t0, second
    pte page_q, V | R | W | X | AD
    put leaf, 1
    pte page_p1, V | R | W | X | AD
    put leaf, 2
    enter_supervisor first
first:
    li s6, 2000
1:  li t0, Q
    jalr ra, t0, 0
    want 1, a0, 1
    addi s6, s6, -1
    bnez s6, 1b
    la s1, turn
    li t0, 1
    fence
    sw t0, 0(s1)
2:  lw t0, 0(s1)
    j 2b

second:
    lw t0, 0(s1)
    beqz t0, second
    fence
    pte page_p2, V | R | W | X | AD
    put leaf, 2
    fence


    trap_to caught
    allow_all
    fence.i
    go_on_in_supervisor third
third:
    li s6, 10
1:  li t0, Q
    jalr ra, t0, 0
    want 2, a0, 2
    addi s6, s6, -1
    bnez s6, 1b
    exit 0
    catch_supervisor_trap
    wrong_is_here
    .balign 8
turn: .dword 0
    page_tables_are_here
    fenced_pages_are_here
