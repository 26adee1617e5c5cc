// Atomics that change code, through another address of its page than the one it runs at. A store through
// that address finds no code in the page; then the code runs; and only then comes the atomic, for which
// what was found of the page is old. (What was found by the address that runs is forgotten.)
// status: 0
#include "bare.inc"
#include "sv39.inc"
#define LI_A0(n) (0x513 | (n) << 20)    // li a0, n
#define RET 0x8067
#define N_PAGES 22
    .globl _start
    .option norvc

// s0 and s8: the next page to run and to write, of `li a0, 5` and `ret`. A store into it.
.macro new_page
    lui t0, 1
    add s0, s0, t0
    add s8, s8, t0
    sw zero, 64(s8)
.endm
.macro says n, value
    jalr s0
    want \n, a0, \value
.endm

// Checks n and n + 1: the operation with this operand, its old value wanted or not.
.macro changes n, op, load, operand, becomes
    new_page
    says \n, 5
    \load t2, 0(s0)
    li a1, \operand
    \op a2, a1, (s8)
    fence.i
    says \n, \becomes
    bne a2, t2, wrong
    new_page
    says \n + 1, 5
    li a1, \operand
    \op zero, a1, (s8)
    fence.i
    says \n + 1, \becomes
.endm

// Check n: between LR and SC the page becomes code. Where that makes the SC fail, the next does not.
.macro reserved n, lr, sc, operand
    new_page
    li a1, \operand
6:  \lr a2, (s8)
    jalr s0
    \sc a3, a1, (s8)
    bnez a3, 6b
    fence.i
    says \n, 9
.endm

_start:
    pte pages, (V | R | W | AD)
    la t1, leaf
    li t2, N_PAGES
1:  sd t0, 0(t1)
    addi t0, t0, 1 << 10
    addi t1, t1, 8
    addi t2, t2, -1
    bnez t2, 1b
    enter_supervisor supervisor

supervisor:
    lui t0, 1
    la s0, pages
    sub s0, s0, t0
    li s8, WINDOW
    sub s8, s8, t0
    changes 1, amoswap.w, lw, LI_A0(9), 9
    changes 3, amoadd.w, lw, 2 << 20, 7
    changes 5, amoxor.w, lw, 1 << 20, 4
    changes 7, amoand.w, lw, ~(4 << 20), 1
    changes 9, amoor.w, lw, 2 << 20, 7
    changes 11, amoswap.d, ld, RET << 32 | LI_A0(9), 9
    changes 13, amoadd.d, ld, 2 << 20, 7
    changes 15, amoxor.d, ld, 1 << 20, 4
    changes 17, amoand.d, ld, ~(4 << 20), 1
    changes 19, amoor.d, ld, 2 << 20, 7
    reserved 21, lr.w, sc.w, LI_A0(9)
    reserved 22, lr.d, sc.d, RET << 32 | LI_A0(9)
    exit 0

    catch_supervisor_trap
    wrong_is_here
    page_tables_are_here
pages:
    .rept N_PAGES
    .word LI_A0(5), RET
    .balign 4096
    .endr
