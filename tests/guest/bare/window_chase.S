// Loops in user mode that follow a pointer through a window (--window always), which have its origin in a
// register, and do there what wants the other registers: the halves of products, and quotients.
//
// options: --window always
// status: 0
#include "bare.inc"
#include "sv39.inc"
#define DATA 0x1000
    .globl _start
    .option norvc
_start:
    pte data, V | R | W | AD | U
    put leaf, 1
    enter_user user, handler

// Both operands live on, and so does the result.
.macro chase n, op
    add s7, s4, t1
    xor s3, s4, t2
    \op a5, s3, s7
    li s10, 100
1:  ld s9, 0(s9)
    add s7, s4, t1
    xor s3, s4, t2
    \op s8, s3, s7
    add t3, s3, s7
    add t4, s3, s7
    addi s10, s10, -1
    bnez s10, 1b
    li gp, \n
    bne s8, a5, wrong
.endm
.macro chase_product n, op
    add s7, s4, t1
    xor s3, s4, t2
    mul a4, s3, s7
    \op a5, s3, s7
    li s10, 100
1:  ld s9, 0(s9)
    add s7, s4, t1
    xor s3, s4, t2
    mul s6, s3, s7
    \op s8, s3, s7
    add t3, s3, s7
    add t4, s6, s8
    addi s10, s10, -1
    bnez s10, 1b
    li gp, \n
    bne s8, a5, wrong
    bne s6, a4, wrong
.endm

    .balign 4096
user:
    li s9, DATA
    sd s9, 0(s9)
    li s4, 0x123456789abcdef
    li t1, -7
    li t2, -0x1111111111
    chase 1, mulh
    chase 2, mulhu
    chase 3, mulhsu
    chase 4, div
    chase 5, divu
    chase 6, rem
    chase 7, remu
    chase_product 8, mulh
    chase_product 9, mulhu
    chase_product 10, mulhsu
    ecall

    .balign 4
handler:
    csrr s2, mcause
    li gp, 11
    li t6, 8
    bne s2, t6, wrong
    exit 0

    wrong_is_here
    .balign 4096
data:
    .skip 4096
    page_tables_are_here
