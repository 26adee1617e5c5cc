// Loops in user mode that go through a window (--window always) and look at what is pending by comparing
// an address: a timer's interrupt ends each of them, every instruction of a turn was done once, and what
// they load from is a window's page, or one of the other half of the address space, which faults.
//
// options: --window always
// status: 0
#include "bare.inc"
#include "sv39.inc"
#define DATA 0x1000
#define ECALL_FROM_U 8
#define LOAD_PAGE_FAULT 13

    .globl _start
    .option norvc
_start:
    pte data, V | R | W | AD | U
    put leaf, 1
    li t0, 0x80                     // MTIE; interrupts to M are on in U
    csrw mie, t0
    enter_user user, handler

// s1 is 1 in a while.
.macro soon
    ecall
.endm

    .balign 4096
user:
    li s5, 30                       // rounds
    li s6, 0                        // a step that nobody knows
round:
    li a0, DATA

    soon                            // the access comes first
    li a3, 0
    li a4, 0
1:  lbu a2, 0(a0)
    addi a3, a3, 1
    add a0, a0, s6
    addi a4, a4, 1
    beqz s1, 1b
    li gp, 1
    bne a3, a4, wrong

    soon                            // or when registers have changed
    li a3, 0
    li a4, 0
2:  addi a3, a3, 1
    slli t3, a3, 3
    andi t3, t3, 0x7f8
    add t3, t3, a0
    sd a3, 0(t3)
    addi a4, a4, 1
    beqz s1, 2b
    li gp, 2
    bne a3, a4, wrong
    ld t4, 0(t3)
    bne t4, a3, wrong

    soon                            // by a jump through a register
    li a3, 0
    li a4, 0
    la t3, 3f
    sd t3, 0(a0)
3:  addi a3, a3, 1
    ld t4, 0(a0)
    addi a4, a4, 1
    bnez s1, 4f
    jr t4
4:  li gp, 3
    bne a3, a4, wrong

    soon                            // by a call and what comes back from it
    li a3, 0
    li a4, 0
5:  jal leaf_of_all
    ld t4, 0(a0)
    addi a3, a3, 1
    beqz s1, 5b
    li gp, 4
    bne a3, a4, wrong

    soon                            // out of the window at once, and again and again
    li a3, 0
    li a4, 0
    li a5, -8
    li s7, 0
6:  addi a3, a3, 1
    lbu t4, 0(a5)
    addi a4, a4, 1
    beqz s1, 6b
    li gp, 5
    bne a3, a4, wrong
    bne a3, s7, wrong

    la t3, leaf_of_all              // pending without a trap: it writes to what it runs
    li a3, 20
7:  amoor.w zero, zero, (t3)
    jal leaf_of_all
    addi a3, a3, -1
    bnez a3, 7b
    li a3, 1000
8:  ld t4, 0(a0)
    addi a3, a3, -1
    add a0, a0, s6
    bnez a3, 8b

    addi s5, s5, -1
    bnez s5, round
    li a7, 1
    ecall

leaf_of_all:
    ld t5, 0(a0)
    addi a4, a4, 1
    ret

    .balign 4
handler:
    csrr s2, mcause
    bltz s2, timer
    csrr s4, mepc
    addi s4, s4, 4
    csrw mepc, s4
    li t6, LOAD_PAGE_FAULT
    beq s2, t6, fault
    li t6, ECALL_FROM_U
    li gp, 6
    bne s2, t6, wrong
    bnez a7, end
    li s1, 0
    li t6, CLINT_MTIME
    ld t5, 0(t6)
    li t6, 2000
    add t5, t5, t6
    li t6, CLINT_MTIMECMP
    sd t5, 0(t6)
    mret
fault:
    addi s7, s7, 1
    csrr s2, mtval
    li gp, 7
    bne s2, a5, wrong
    mret
timer:
    li s1, 1
    li s2, CLINT_MTIMECMP
    li s3, -1
    sd s3, 0(s2)
    mret
end:
    exit 0

    wrong_is_here
    .balign 4096
data:
    .skip 4096
    page_tables_are_here
