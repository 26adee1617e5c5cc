// Floating-point registers and flags at faults: a store or load that raises behind arithmetic in
// the same block, a store into code, and a handler that uses them; canonical NaNs wherever bits show.
// status: 0
#include "bare.inc"
#include "fp.inc"
#define MSTATUS_MPRV 0x20000
    .globl _start

// Runs insn behind an operation that made a NaN which is not the canonical one, in fa0 and
// fs11 and, in single precision, in fa1; fflags is 0 before.
.macro behind_nans insn:vararg
    li t0, 0x7ff0000000000001
    fmv.d.x ft0, t0
    li t0, 0xffffffff7f800001
    fmv.d.x ft1, t0
    fmv.d.x fa2, t0
    la s1, 9f
    la s5, page
    csrw fflags, zero
    j 8f
8:  fadd.d fa0, ft0, ft0
    fsub.d fs11, ft0, fa0
    fadd.s fa1, ft1, ft1
    fmul.d fa3, fa2, fa2            // of a boxed single: a NaN, whose halves are no single
    fmv.d fa4, fa3
    \insn
9:
.endm
.macro all_canonical n
    li gp, \n
    csrr a0, fflags
    li t0, 16
    bne a0, t0, wrong
    bits \n, fa0, CANONICAL
    bits \n, fs11, CANONICAL
    bits \n, fa1, CANONICAL32
    bits \n, fa3, CANONICAL
    bits \n, fa4, CANONICAL
.endm

_start:
    la t0, handler
    csrw mtvec, t0
    li t0, FS
    csrs mstatus, t0
    behind_nans nop
    all_canonical 1
    behind_nans fld fa5, (zero)
    all_canonical 2
    behind_nans fsd fa0, (zero)
    all_canonical 3
    behind_nans ld t0, (zero)
    all_canonical 4
    behind_nans ecall
    all_canonical 5
    behind_nans .word 0xffffffff
    all_canonical 6
    behind_nans amoadd.d t0, t0, (zero)
    all_canonical 7
    // stores into a page that holds code by now, with an entry made while it held none
    la s5, page
    sd zero, 8(s5)
    jalr s5
    behind_nans fsd fa0, 8(s5)
    all_canonical 8
    ld a1, 8(s5)
    want 8, a1, CANONICAL
    sd zero, 8(s5)
    jalr s5
    behind_nans fsw fa1, 8(s5)
    all_canonical 9
    lwu a1, 8(s5)
    want 9, a1, 0x7fc00000
    behind_nans fadd.s fa5, fa3, fa3    // what is no single reads as the canonical NaN
    bits 10, fa5, CANONICAL32
    behind_nans fcvt.d.s fa5, fa1
    bits 11, fa5, CANONICAL
    behind_nans fsgnjn.d fa5, fa3, fa0
    bits 12, fa5, 0xfff8000000000000
    behind_nans fmv.x.w a0, fa3
    want 13, a0, 0
    behind_nans fmin.d fa5, fa3, fa0
    bits 14, fa5, CANONICAL
    behind_nans fmadd.d fa5, fa3, fa0, fa0
    bits 15, fa5, CANONICAL
    all_canonical 15
    behind_nans fsw fa3, 8(s5)          // the low half of the canonical NaN
    lwu a1, 8(s5)
    want 16, a1, 0
    la t0, page + 64
    sd zero, 0(t0)
    flw fa0, 0(t0)
    bits 17, fa0, 0xffffffff00000000
    // a store through another address of a page, whose entry is older than its code: faults in the host
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    la t0, root
    li t1, 0x80000000 >> 2 | 0xcf       // 1 GiB at 0xc0000000 leads to RAM
    sd t1, 24(t0)
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    la s6, page
    li t0, 0x40000000
    add s6, s6, t0
    .macro as_supervisor
    li t2, MSTATUS_MPP
    csrc mstatus, t2
    li t2, MSTATUS_MPP_S | MSTATUS_MPRV
    csrs mstatus, t2
    .endm
    .macro as_machine
    li t2, MSTATUS_MPRV
    csrc mstatus, t2
    .endm
    .rept 3                             // protected, opened by the last store, protected again
    as_supervisor
    sd zero, 8(s6)
    as_machine
    la s5, page
    jalr s5
    as_supervisor
    behind_nans fsd fa0, 8(s6)
    as_machine
    all_canonical 26
    ld a1, 8(s5)
    want 26, a1, CANONICAL
    as_supervisor
    sd zero, 8(s6)
    behind_nans fsw fa1, 8(s6)
    as_machine
    all_canonical 27
    lwu a1, 8(s5)
    want 27, a1, 0x7fc00000
    lw t0, (s5)                         // the code itself, written through the other address
    as_supervisor
    sw t0, (s6)
    as_machine
    .endr
    csrw satp, zero
    // rounding: frm decides behind its own write
    li t0, 0x3ff0000000000000
    fmv.d.x fa0, t0
    li t0, 0x3c00000000000000
    fmv.d.x fa1, t0
    csrwi frm, 3
    fadd.d fa2, fa0, fa1
    csrwi frm, 2
    fadd.d fa3, fa0, fa1
    csrwi frm, 4
    fadd.d fa4, fa0, fa1
    fsrmi a1, 0
    want 18, a1, 4
    bits 18, fa2, 0x3ff0000000000001
    bits 19, fa3, 0x3ff0000000000000
    bits 20, fa4, 0x3ff0000000000000
    csrwi frm, 5                        // reserved: dynamic operations are illegal
    la s1, 1f
    fadd.d fa2, fa0, fa0
    j wrong
1:  csrwi frm, 0
    bits 21, fa2, 0x3ff0000000000001
    // FS: off, initial, clean, dirty
    li t0, FS
    csrc mstatus, t0
    la s1, 1f
    fmv.d fa0, fa1
    li gp, 22
    j wrong
1:  li t0, 0x4000
    csrs mstatus, t0
    fmv.x.d a0, fa2
    csrr a1, fflags
    csrr a2, mstatus
    srli a2, a2, 13
    andi a2, a2, 3
    want 23, a2, 2
    fld fa0, page + 64, t0
    csrr a2, mstatus
    srli a2, a2, 13
    andi a2, a2, 3
    want 24, a2, 3
    bits 25, fa0, 0
    exit 0

// Uses floating point itself: what it finds and leaves is in memory. Goes on at s1.
    .balign 4
handler:
    csrr t3, mstatus
    li t4, FS
    csrs mstatus, t4
    la t0, kept
    .irp f, fa0,fa1,fa3,fa4,fs11
    fsd \f, (t0)
    fcvt.d.w \f, t0
    addi t0, t0, 8
    .endr
    frflags t1
    fdiv.d ft2, ft3, fa0, rne
    fsflags t1
    la t0, kept
    .irp f, fa0,fa1,fa3,fa4,fs11
    fld \f, (t0)
    addi t0, t0, 8
    .endr
    csrw mstatus, t3
    csrw mepc, s1
    mret
    wrong_is_here

    .balign 4096
page:
    ret
    .balign 4096
kept:
    .skip 64
    .balign 4096
root:
    .skip 4096
