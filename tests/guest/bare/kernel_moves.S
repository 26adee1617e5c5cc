// Code of all address spaces moves and moves back, between fences of all addresses by which it lies where it did.
// The second hart is told of each move, and fences too. Both do so in S mode and, through the handler, in M mode.
// options: -smp 2
// status: 0
#include "bare.inc"
#include "sv39.inc"
#include "fence.inc"
#define G 0x20
#define KERNEL 0xffffffc000000000

// Q of the upper half, which jumps to P; a0 says which that is, and is to be \which.
.macro call_kernel n, which
    li t0, KERNEL
    jalr ra, t0, 0
    li gp, \n
    bne a0, \which, wrong
.endm
// In S mode where \bit of \reg is set.
.macro fence_all reg, bit
    andi t0, \reg, \bit
    beqz t0, .Lin_m\@
    sfence.vma
    j .Lfenced\@
.Lin_m\@:
    la s1, .Lfenced\@
    ecall
.Lfenced\@:
.endm

    .globl _start
_start:
    la s1, turn
    csrr t0, mhartid
    bnez t0, second
    pte page_q, V | R | X | AD | G
    put kernel_leaf, 0
    pte page_p1, V | R | X | AD | G
    put kernel_leaf, 1
    pte kernel_middle, V
    put root, 256
    pte kernel_leaf, V
    put kernel_middle, 0
    enter_supervisor first
first:
    li s6, 2000
    li s7, 1            // what P says
1:  li s9, 7
2:  call_kernel 1, s7
    andi t0, s9, 3
    bnez t0, 3f
    sfence.vma          // nothing has changed
3:  addi s9, s9, -1
    bnez s9, 2b
    li t0, 3
    sub s7, t0, s7
    li t0, 1
    beq s7, t0, 4f
    pte page_p2, V | R | X | AD | G
    j 5f
4:  pte page_p1, V | R | X | AD | G
5:  put kernel_leaf, 1
    fence_all s6, 1
    call_kernel 2, s7
    la t0, turn
    sw s7, 8(t0)
    fence
    lw t1, 0(t0)
    addi t1, t1, 1
    sw t1, 0(t0)
6:  lw t2, 16(t0)
    bne t2, t1, 6b
    addi s6, s6, -1
    bnez s6, 1b
    exit 0

second:
    lw t0, 0(s1)
    beqz t0, second
    fence
    trap_to caught
    allow_all
    fence.i
    go_on_in_supervisor third
third:
    la s5, turn
    li s8, 0            // the last move that it has fenced for
1:  li t0, KERNEL
    jalr ra, t0, 0      // to either
    lw s10, 0(s5)
    beq s10, s8, 1b
    fence
    lw s7, 8(s5)
    fence_all s10, 2
    call_kernel 3, s7
    call_kernel 4, s7
    mv s8, s10
    fence
    sw s8, 16(s5)
    j 1b

    .balign 4
caught:
    csrr t5, mcause
    li t6, 9
    bne t5, t6, 1f
    sfence.vma
    csrw mepc, s1
    li t6, MSTATUS_MPP_S
    csrs mstatus, t6
    mret
1:  addi gp, t5, 32
    j wrong
    wrong_is_here
    .balign 8
turn: .dword 0, 0, 0   // moves, what P says, moves that the second hart has seen
    page_tables_are_here
    .balign 4096
kernel_middle: .skip 4096
kernel_leaf: .skip 4096
    fenced_pages_are_here
