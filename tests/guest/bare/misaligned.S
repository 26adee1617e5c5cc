// Loads and stores at every offset around a page boundary: seen by bytes, and back.
// status: 0
#include "bare.inc"
    .globl _start
_start:
    trap_to wrong
    li t0, 1 << 13              // mstatus.FS: the floating-point registers are there
    csrs mstatus, t0
    la s0, page - 16            // 0, 1, 2, ... around the boundary
    li t0, 0
    mv t1, s0
1:  sb t0, 0(t1)
    addi t0, t0, 1
    addi t1, t1, 1
    li t2, 32
    bne t0, t2, 1b

    li s1, 0                    // the offset
each:
    add s2, s0, s1
    li gp, 1
    ld a0, 0(s2)                // eight bytes in a row: N + 0x0101...01 * offset
    li t0, 0x0706050403020100
    li t1, 0x0101010101010101
    mul t1, t1, s1
    add t0, t0, t1
    bne a0, t0, wrong
    li gp, 2
    lw a1, 0(s2)
    sext.w t1, t0
    bne a1, t1, wrong
    li gp, 3
    lhu a2, 0(s2)
    slli t1, t0, 48
    srli t1, t1, 48
    bne a2, t1, wrong
    li gp, 4
    fld fa0, 0(s2)
    fmv.x.d t1, fa0
    bne t1, a0, wrong
    li gp, 5                    // stored inverted by sd, read by bytes, put back by fsd
    not t1, a0
    sd t1, 0(s2)
    lbu t2, 7(s2)
    srli t1, t1, 56
    bne t1, t2, wrong
    li gp, 6
    fsd fa0, 0(s2)
    ld t2, 0(s2)
    bne t2, a0, wrong
    li gp, 7
    sw a1, 0(s2)
    sh a2, 0(s2)
    ld t2, 0(s2)
    bne t2, a0, wrong
    addi s1, s1, 1
    li t2, 24
    bne s1, t2, each

    trap_to caught              // what must be aligned: LR, SC, AMO
    la s0, page
    addi s0, s0, 2
    trapping lr.w a0, (s0)
    want 8, s2, 4
    trapping amoadd.d a0, a0, (s0)
    want 9, s2, 6
    exit 0
    catch_trap
    wrong_is_here
    .balign 4096
    .skip 4096
page:
    .skip 4096
