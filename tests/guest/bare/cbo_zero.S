// cbo.zero, by the helper and in line: the block and nothing beside it, from any address in it; a
// page that is only readable; closed in a mode where it was open when its code was made; a block of
// code, also the one that runs; across what another access knows of the page.
// status: 0
#include "bare.inc"
#include "sv39.inc"
#define CBZE 0x80
#define PAGE (WINDOW + 0x1000)      // read and write
#define READ_ONLY (WINDOW + 0x2000)

    .globl _start
_start:
    pte data, V | R | W | AD
    put leaf, 1
    pte data, V | R | AD
    put leaf, 2
    li t0, CBZE
    csrw 0x30a, t0                  // menvcfg
    enter_supervisor supervisor

// Fills three blocks, zeroes the one of PAGE + 64 + s5, adds up what is left.
sweep:
    li t0, PAGE
    li t1, -1
    li t2, 24
1:  sd t1, 0(t0)
    addi t0, t0, 8
    addi t2, t2, -1
    bnez t2, 1b
    li a0, PAGE + 64
    add a0, a0, s5
    cbo_zero a0
    li t0, PAGE
    li t2, 24
    li a1, 0                        // words that are 0
    li a2, 0                        // of those, in the middle
1:  ld t1, 0(t0)
    seqz t1, t1
    add a1, a1, t1
    andi t3, t0, 0xc0
    addi t3, t3, -64
    seqz t3, t3
    and t3, t3, t1
    add a2, a2, t3
    addi t0, t0, 8
    addi t2, t2, -1
    bnez t2, 1b
    ret

closed:
    la s1, 1f
    li s2, 0
    li a0, PAGE
    cbo_zero a0
1:  ret

supervisor:
    li s6, 200                      // evaluated, made, linked
1:  li s5, 0
    jal sweep
    want 1, a1, 8
    want 2, a2, 8
    addi s6, s6, -1
    bnez s6, 1b
    li s5, 63
1:  jal sweep                       // not the block's first byte
    want 3, a1, 8
    want 4, a2, 8
    addi s5, s5, -1
    bnez s5, 1b

    li s6, 3                        // known for loads only, by another address of the same page
1:  li a0, READ_ONLY + 128
    ld t0, 0(a0)
    la s1, 2f
    li s2, 0
    cbo_zero a0
2:  want 10, s2, 15
    want 11, s3, READ_ONLY + 128
    addi a0, a0, 5
    la s1, 3f
    li s2, 0
    cbo_zero a0
3:  want 12, s2, 15
    want 13, s3, READ_ONLY + 133
    addi s6, s6, -1
    bnez s6, 1b

    // Another page where the first was.
    pte other, V | R | W | AD
    put leaf, 1
    li t0, PAGE
    sfence.vma t0, x0
    li a0, PAGE
    cbo_zero a0
    ld t1, 0(a0)
    want 20, t1, 0
    la t0, other
    ld t1, 0(t0)
    want 21, t1, 0
    ld t1, 64(t0)
    want 22, t1, 0x1234
    la t0, data
    ld t1, 0(t0)
    want 23, t1, -1

    // Closed: the same code, which was made when it was open.
    li s6, 3
1:  jal closed
    want 30, s2, 0
    li s1, -1                       // asks the handler to close it
    ecall
    jal closed
    want 31, s2, 2
    want 32, s3, 0x0045200f         // in a0
    li s1, -2                       // and to open it
    ecall
    addi s6, s6, -1
    bnez s6, 1b

    // A block of code, which was run: what it becomes is illegal.
    li s6, 3
1:  la a0, victim
    la t0, pristine
    li t2, 8
2:  ld t1, 0(t0)
    sd t1, 0(a0)
    addi t0, t0, 8
    addi a0, a0, 8
    addi t2, t2, -1
    bnez t2, 2b
    fence.i
    la s1, 3f
    li s2, 0
    jal victim
3:  want 40, s2, 0
    la a0, victim
    cbo_zero a0
    fence.i
    la s1, 4f
    jal victim
4:  want 41, s2, 2
    addi s6, s6, -1
    bnez s6, 1b

    // The block that runs.
    la a0, suicide
    la s1, 1f
    li s2, 0
    jal suicide
1:  want 50, s2, 2
    exit 0

    .balign 4
caught:
    csrr s2, mcause
    csrr s3, mtval
    csrr s4, mepc
    li t6, 9
    bne s2, t6, 1f
    addi s4, s4, 4
    csrw mepc, s4
    li s2, 0
    li t6, CBZE
    addi s1, s1, 1
    beqz s1, 2f
    csrs 0x30a, t6
    j 3f
2:  csrc 0x30a, t6
    j 3f
1:  csrw mepc, s1
3:  li t6, MSTATUS_MPP_S
    csrs mstatus, t6
    mret
    wrong_is_here
    .balign 64
pristine:
    .option push
    .option norvc
    ret
    .rept 15
    nop
    .endr
victim:
    .skip 64
suicide:
    cbo_zero a0
    nop
    ret
    .option pop
    .balign 4096
data:
    .skip 4096
other:
    .dword 0x1234
    .skip 56
    .dword 0x1234
    .skip 4096 - 72
    page_tables_are_here
