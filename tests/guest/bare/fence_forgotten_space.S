// Code is run in one address space, then more others are entered than are kept; a page is mapped elsewhere, and fenced
// in each of the four ways while another space is in force. Back in the first the new page runs.
// status: 0
#include "bare.inc"
#include "sv39.inc"
#include "fence.inc"
    .globl _start
#define DATA (WINDOW + 0x3000)
    .macro one_way number, fence:vararg
    pte page_p1, V | R | W | X | AD
    put leaf, 2
    sfence.vma
    li s7, 5
    enter_asid s7
    li s6, 200
1:  li t0, Q
    jalr ra, t0, 0
    want \number, a0, 1
    addi s6, s6, -1
    bnez s6, 1b
    li s7, 100
1:  enter_asid s7
    li t0, DATA
    lw t1, 0(t0)
    addi s7, s7, 1
    li t0, 200
    bne s7, t0, 1b
    pte page_p2, V | R | W | X | AD
    put leaf, 2
    li a1, P
    li a2, 5
    \fence
    li s7, 5
    enter_asid s7
    li t0, Q
    jalr ra, t0, 0
    want \number + 1, a0, 2
    .endm
_start:
    pte page_q, V | R | W | X | AD
    put leaf, 1
    pte page_d, V | R | W | X | AD
    put leaf, 3
    enter_supervisor first
first:
    csrr s8, satp
    one_way 1, sfence.vma x0, x0
    one_way 3, sfence.vma a1, x0
    one_way 5, sfence.vma x0, a2
    one_way 7, sfence.vma a1, a2
    exit 0
    catch_supervisor_trap
    wrong_is_here
    page_tables_are_here
    fenced_pages_are_here
    .balign 4096
page_d: .skip 4096
