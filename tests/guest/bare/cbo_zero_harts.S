// cbo.zero by one hart in pages in which another one makes and runs code: each becomes code between the
// look-up and any of the stores that a block takes, a few times before it stays what it is.
// options: -smp 2
// status: 0
#include "bare.inc"
#define TURNS 30000
#define PAGES 0x81000000            // 4096 of them
    // Sets reg to the page of the turn in turn.
    .macro page_of reg, turn
    slli \reg, \turn, 52
    srli \reg, \reg, 40
    add \reg, \reg, s1
    .endm
    .globl _start
_start:
    li s1, PAGES
    la s2, turn
    csrr t0, mhartid
    bnez t0, maker

// Zeroes what it has filled, where the other one will be next.
    li s5, 1
zeroer:
    ld s6, 0(s2)
    addi s6, s6, 1
    page_of s0, s6
    addi s0, s0, 128
    li t0, -1
    sd t0, -8(s0)
    li t1, 8
    mv t0, s0
1:  sd s5, 0(t0)
    addi t0, t0, 8
    addi t1, t1, -1
    bnez t1, 1b
    cbo_zero s0
    li t1, 8
    mv t0, s0
    li a1, 0
1:  ld t2, 0(t0)
    or a1, a1, t2
    addi t0, t0, 8
    addi t1, t1, -1
    bnez t1, 1b
    want 1, a1, 0
    ld t2, -8(s0)                   // beside it
    want 2, t2, -1
    addi s5, s5, 1
    li t1, TURNS
    bltu s6, t1, zeroer
    li t1, 100
    li gp, 3
    bltu s5, t1, wrong              // or nothing was tried
    exit 0

maker:
    li s5, 0
    li s6, 0x00008067               // ret
1:  addi s5, s5, 1
    page_of s0, s5
    andi t1, s5, 0x7ff
    slli t0, t1, 20
    ori t0, t0, 0x513               // li a0, t1
    sw t0, 0(s0)
    sw s6, 4(s0)
    fence.i
    jalr s0
    li gp, 4
    bne a0, t1, wrong
    sd s5, 0(s2)
    j 1b

    wrong_is_here
    .balign 64
turn: .dword 0
