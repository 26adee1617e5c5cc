// LR, SC and AMO under Sv39: which page faults they take, that a fault changes nothing, and when
// they set A and D. Ends by HTIF.
// status: 0
#include "bare.inc"
#include "sv39.inc"
#define ADUE 61                     // menvcfg: the hart sets A and D
#define MXR 0x80000
    .globl _start

// Check n: a trap of this cause at address reg; rd (a0) is as it was, and so is memory.
.macro faults n, cause, reg, insn:vararg
    li a0, 0x55
    trapping \insn
    want \n, s2, \cause
    want \n, a0, 0x55
    bne s3, \reg, wrong
    ld t0, 0(s11)
    li t6, 1234
    bne t0, t6, wrong
.endm
// Check n: leaf entry `index` has these bits of A and D, and they are cleared.
.macro used n, index, bits
    la t1, leaf
    ld a2, (8 * \index)(t1)
    andi a2, a2, AD
    want \n, a2, \bits
    pte data, (V | R | W)
    put leaf, \index
    sfence.vma
.endm

_start:
    pte data, (V | R | W | AD)
    put leaf, 0
    pte data, (V | R | AD)
    put leaf, 1
    pte data, (V | X | AD)
    put leaf, 2
    pte data, (V | R | W | U | AD)
    put leaf, 3
    pte data, (V | R | W)           // neither A nor D
    put leaf, 4                     // 5 stays empty
    pte data, (V | R | A)
    put leaf, 6
    enter_supervisor supervisor

supervisor:
    li s5, WINDOW                   // read and write
    li t1, 0x1000
    add s6, s5, t1                  // read only
    add s7, s6, t1                  // execute only
    add s8, s7, t1                  // U
    add s9, s8, t1                  // A and D clear
    add s10, s9, t1                 // none
    la s11, data
    li a1, 99
    li t0, 1234
    sd t0, 0(s11)

    .irp insn, amoswap.w, amoadd.d, amoxor.w.aq, amoand.d.rl, amoor.w.aqrl, amomin.d, amomax.w, amominu.d, amomaxu.w
    faults 1, 15, s6, \insn a0, a1, (s6)
    faults 2, 15, s7, \insn a0, a1, (s7)
    faults 3, 15, s8, \insn a0, a1, (s8)
    faults 4, 15, s10, \insn a0, a1, (s10)
    .endr
    .irp order, , .aq, .rl, .aqrl
    faults 5, 13, s7, lr.w\order a0, (s7)
    faults 6, 13, s8, lr.d\order a0, (s8)
    faults 7, 13, s10, lr.d\order a0, (s10)
    lr.d a2, (s6)                   // reserved for reading: SC would succeed but for the right
    faults 8, 15, s6, sc.d\order a0, a1, (s6)
    .endr

    // Without a reservation an SC fails, and it is open whether it faults before.
    .irp reg, s6, s7, s8, s10
    li a0, 0x55
    li t2, 0x55
    trapping sc.w a0, a1, (\reg)
    li gp, 9
    li t6, 15
    bne s2, t6, 1f
    bne s3, \reg, wrong
    bne a0, t2, wrong
    j 2f
1:  li t6, -1
    bne s2, t6, wrong
    beqz a0, wrong
2:  ld a2, 0(s11)
    want 10, a2, 1234
    .endr

    // Misaligned and not mapped: either may come first.
    addi s4, s10, 2
    trapping amoadd.w a0, a1, (s10)
    want 11, s2, 15
    addi t5, s10, 2
    trapping amoadd.w a0, a1, (t5)
    li gp, 12
    bne s3, t5, wrong
    li t6, 6
    beq s2, t6, 3f
    want 12, s2, 15
3:
    li t0, MXR                      // makes X-only pages readable, not writable
    csrs sstatus, t0
    lr.w a2, (s7)
    want 13, a2, 1234
    faults 14, 15, s7, amoadd.w a0, a1, (s7)
    faults 15, 15, s7, sc.w a0, a1, (s7)
    li t0, MXR
    csrc sstatus, t0
    li t0, MSTATUS_SUM
    csrs sstatus, t0
    amoadd.d a2, zero, (s8)
    want 16, a2, 1234
    csrc sstatus, t0

    // Reserved at one address, stored at another of the same word: open, but honest.
    lr.d a2, (s5)
    li t1, 1234
    sc.d a0, t1, (s11)
    ld a2, 0(s11)
    want 17, a2, 1234

    // A and D, where the hart does not set them.
    faults 20, 13, s9, lr.w a0, (s9)
    faults 21, 15, s9, amoadd.w a0, a1, (s9)
    pte data, (V | R | W | A)
    put leaf, 4
    sfence.vma
    lr.w a2, (s9)
    want 22, a2, 1234
    faults 23, 15, s9, sc.w a0, a1, (s9)
    faults 24, 15, s9, amoadd.w a0, zero, (s9)

    la s1, hart_sets                // the handler turns it on
    li s0, 1
    ecall
hart_sets:
    pte data, (V | R | W)
    put leaf, 4
    sfence.vma
    lr.d a2, (s9)                   // reads: A
    used 25, 4, A
    amoadd.d a2, zero, (s9)
    used 26, 4, AD
    amomax.w.aqrl a2, zero, (s9)    // that stores what was there
    used 27, 4, AD
    lr.d a2, (s9)
    sc.d a0, a2, (s9)
    bnez a0, 4f                     // may fail, and then D is open
    used 28, 4, AD
4:  li t1, 1234
    sd t1, 0(s9)
    used 29, 4, AD
    pte data, (V | R)               // no right, no mark
    put leaf, 6
    sfence.vma
    li t0, 0x6000
    add t5, s5, t0
    trapping amoadd.w a0, a1, (t5)
    want 30, s2, 15
    la t1, leaf
    ld a2, 48(t1)
    andi a2, a2, D
    want 31, a2, 0
    pass_by_tohost

    .balign 4
caught:
    csrr s2, mcause
    csrr s3, mtval
    csrr s4, mepc
    csrw mepc, s1
    li t6, MSTATUS_MPP_S
    csrs mstatus, t6
    beqz s0, 5f
    li t6, 1 << ADUE
    csrs 0x30a, t6                  // menvcfg
    sfence.vma
    li s0, 0
5:  mret
    tohost_is_here
    page_tables_are_here
data:
    .skip 4096
