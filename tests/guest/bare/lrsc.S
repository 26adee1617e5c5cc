// LR, SC and AMO on one hart, without translation: what a reservation allows, and what breaks it.
// Where the A extension leaves it open whether an SC succeeds, `honest` asks that rd and memory
// agree: 0 and the new value, or not 0 and what was there before. Ends by HTIF.
// status: 0
#include "bare.inc"
    .globl _start

// Check n: the SC's rd in a0 must say failure, and memory at s0 must hold `value`.
.macro failed n, value, load=lw
    li gp, \n
    beqz a0, wrong
    \load t0, 0(s0)
    li t6, \value
    bne t0, t6, wrong
.endm
.macro succeeded n, value, load=lw
    li gp, \n
    bnez a0, wrong
    \load t0, 0(s0)
    li t6, \value
    bne t0, t6, wrong
.endm
// Check n: rd in a0 and the word at s0 agree.
.macro honest n, old, new, load=lw
    li gp, \n
    \load t0, 0(s0)
    li t6, \new
    beqz a0, 9f
    li t6, \old
9:  bne t0, t6, wrong
.endm
.macro set value, store=sw
    li t0, \value
    \store t0, 0(s0)
.endm
// Check n: a trap with this cause and with s0 as its tval; the word at s0's start is untouched.
.macro misaligned n, cause, insn:vararg
    li a0, 0x55
    trapping \insn
    want \n, s2, \cause
    li gp, \n + 1
    bne s3, s0, wrong
    li t6, 0x55                     // rd too
    bne a0, t6, wrong
.endm

_start:
    trap_to caught
    la s0, word
    li a1, 99

    set 7                           // no reservation: it fails, and changes nothing
    sc.w a0, a1, (s0)
    failed 1, 7
    sc.d a0, a1, (s0)
    failed 2, 7

    .irp suffix, w, d               // the plain pair, and every suffix of each
    .irp order, , .aq, .rl, .aqrl
    set 8, sd
    lr.\suffix\order a2, (s0)
    sc.\suffix a0, a1, (s0)
    succeeded 3, 99
    want 4, a2, 8
    set 8, sd
    lr.\suffix a2, (s0)
    sc.\suffix\order a0, a1, (s0)
    succeeded 5, 99, ld
    sc.\suffix\order a0, a2, (s0)   // one SC to a reservation
    failed 6, 99, ld
    .endr
    .endr

    set 0x80000000                  // LR.W is sign-extended
    lr.w a2, (s0)
    sc.w a0, zero, (s0)
    want 7, a2, -0x80000000
    succeeded 8, 0

    // "Regardless of success or failure, executing an SC invalidates any reservation."
    set 10
    lr.w a2, (s0)
    la s5, elsewhere
    sw t0, 0(s5)                    // the same value
    sc.w a0, a1, (s5)               // a page away: in no reservation set of ours
    lw t1, 0(s5)
    li gp, 10
    beqz a0, wrong
    bne t1, t0, wrong
    sc.w a0, a1, (s0)
    failed 11, 10

    set 12                          // the latest LR counts
    sw t0, 0(s5)
    lr.w a2, (s0)
    lr.w a3, (s5)
    sc.w a0, a1, (s0)
    failed 12, 12
    lr.w a2, (s0)
    lr.w a3, (s5)
    sc.w a0, a1, (s5)
    li gp, 13
    bnez a0, wrong
    lw t0, 0(s5)
    bne t0, a1, wrong
    sw zero, 0(s5)

    // Another size or another word of the same eight bytes: may be in the set, or not.
    set 14, sd
    lr.d a2, (s0)
    sc.w a0, a1, (s0)
    honest 14, 14, 99, ld
    set 15, sd
    lr.w a2, (s0)
    sc.d a0, a1, (s0)
    honest 15, 15, 99, ld
    set 16, sd
    lr.d a2, (s0)
    addi s6, s0, 4
    sc.w a0, a1, (s6)
    honest 16, 16, 16 + (99 << 32), ld

    // The hart's own stores between the two, by each kind: only another hart's must make it fail.
    set 17
    lr.w a2, (s0)
    set 18
    sc.w a0, a1, (s0)
    honest 17, 18, 99
    set 19
    lr.w a2, (s0)
    li t0, 1
    amoadd.w t0, t0, (s0)
    sc.w a0, a1, (s0)
    honest 18, 20, 99
    set 21
    lr.w a2, (s0)
    set 21                          // the same value
    sc.w a0, a1, (s0)
    honest 19, 21, 99
    set 22
    lr.w a2, (s0)
    li t0, 5
    sb t0, 1(s0)
    sc.w a0, a1, (s0)
    honest 20, 22 + (5 << 8), 99
    set 23, sd                      // beside it, in its eight bytes
    lr.w a2, (s0)
    sw t0, 4(s0)
    sc.w a0, a1, (s0)
    honest 21, 23, 99

    // A trap, a fence, a WRS between: MRET may break it, a fence may not be in a constrained loop.
    set 24
    lr.w a2, (s0)
    trapping ecall
    sc.w a0, a1, (s0)
    honest 22, 24, 99
    want 23, s2, 11
    set 25
    lr.w a2, (s0)
    fence.i
    sc.w a0, a1, (s0)
    honest 24, 25, 99
    set 26
    lr.w a2, (s0)
    .word 0x01d00073                // wrs.sto: ends by itself
    .word 0x00d00073                // wrs.nto: may end for any reason, so it does
    sc.w a0, a1, (s0)
    honest 25, 26, 99
    .word 0x00d00073                // and without a reservation

    // The loop that must come to its end: one increment a turn.
    set 0, sd
    li s7, 1000
1:  li s8, 10000                    // tries
2:  lr.d a2, (s0)
    addi a2, a2, 1
    sc.d a0, a2, (s0)
    beqz a0, 3f
    addi s8, s8, -1
    li gp, 26
    beqz s8, wrong
    j 2b
3:  addi s7, s7, -1
    bnez s7, 1b
    ld a2, 0(s0)
    want 27, a2, 1000

    // Two loops about which less is promised, or which are seldom seen: with a load in it, and with
    // two ways to the SC, of which the second is taken. Nobody else stores: two tries are enough.
    li s8, 2
1:  lr.d a2, (s0)
    ld t0, 0(s5)
    sc.d a0, a1, (s0)
    beqz a0, 2f
    addi s8, s8, -1
    li gp, 35
    beqz s8, wrong
    j 1b
2:  li s8, 2
1:  lr.d a2, (s0)
    bnez s8, 2f
    li a1, 98
2:  sc.d a0, a1, (s0)
    beqz a0, 3f
    addi s8, s8, -1
    li gp, 36
    beqz s8, wrong
    j 1b
3:
    // rd, rs1 and rs2 the same register.
    set 28, sd
    mv a0, s0
    lr.d a0, (a0)
    mv a3, a0
    mv a0, s0
    sc.d a0, a0, (a0)
    want 28, a3, 28
    li gp, 29
    bnez a0, wrong
    ld t0, 0(s0)
    bne t0, s0, wrong
    set 30, sd
    mv a0, s0
    amoadd.d a0, a0, (a0)
    want 30, a0, 30
    addi t1, s0, 30
    ld t0, 0(s0)
    bne t0, t1, wrong
    set 31                          // rd is x0: memory changes all the same
    li t1, 4
    amoswap.w zero, t1, (s0)
    lw a0, 0(s0)
    want 31, a0, 4
    lr.w zero, (s0)
    sc.w zero, a1, (s0)
    lw a0, 0(s0)
    want 32, a0, 99
    set 0x7fffffff                  // 32 bits: it wraps, the old value is sign-extended
    li t1, 1
    amoadd.w.aqrl a0, t1, (s0)
    want 33, a0, 0x7fffffff
    amoadd.w a0, t1, (s0)
    want 34, a0, -0x80000000

    // Misaligned: cause 4 for LR, 6 for SC and AMO, whether there is a reservation or not.
    set 0, sd
    lr.d a2, (s0)
    .irp order, , .aq, .rl, .aqrl
    .irp offset, 1, 2, 3
    la s0, word + \offset
    misaligned 40, 4, lr.w\order a0, (s0)
    misaligned 42, 6, sc.w\order a0, a1, (s0)
    misaligned 44, 6, amoadd.w\order a0, a1, (s0)
    .endr
    .irp offset, 1, 2, 4, 7
    la s0, word + \offset
    misaligned 46, 4, lr.d\order a0, (s0)
    misaligned 48, 6, sc.d\order a0, a1, (s0)
    misaligned 50, 6, amomaxu.d\order a0, a1, (s0)
    .endr
    .endr
    la s0, word
    ld a0, 0(s0)
    want 52, a0, 0
    pass_by_tohost

    catch_trap
    tohost_is_here
    .balign 4096
word:
    .dword 0
    .balign 4096
elsewhere:
    .dword 0
