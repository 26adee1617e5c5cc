// Physical memory protection: a page that S mode may not touch, another that it may only read.
// A locked entry binds M mode too.
// status: 0
#include "bare.inc"
    .globl _start
_start:
    trap_to caught
    la t0, secret               // NAPOT of 4 KiB: address >> 2 with nine ones at the end
    srli t0, t0, 2
    ori t0, t0, 0x1ff
    csrw pmpaddr0, t0
    la t0, constant
    srli t0, t0, 2
    ori t0, t0, 0x1ff
    csrw pmpaddr1, t0
    li t0, -1
    csrw pmpaddr2, t0
    li t0, 0x1f << 16 | 0x19 << 8 | 0x18
    csrw pmpcfg0, t0

    la s5, secret
    la s6, constant
    ld a0, 0(s5)                // not locked: M mode may
    want 1, a0, 11
    la t0, supervisor
    csrw mepc, t0
    li s8, 0                    // where the handler returns to: S mode
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t0, MSTATUS_MPP_S
    csrs mstatus, t0
    mret
supervisor:
    trapping ld a0, 0(s5)
    want 2, s2, 5
    want_address 3, s3, secret
    trapping sd a0, 0(s5)
    want 4, s2, 7
    trapping jalr s5
    want 5, s2, 1
    ld a0, 0(s6)
    want 6, a0, 22
    trapping sd a0, 0(s6)
    want 7, s2, 7
    addi s7, s5, -4             // half of it is allowed
    trapping ld a0, 0(s7)
    want 8, s2, 5

    la s1, machine              // back to M mode: the handler stays there from now on
    li s8, 1
    ecall
machine:
    li t0, 0x9f << 16 | 0x99 << 8 | 0x98
    csrw pmpcfg0, t0
    trapping ld a0, 0(s5)
    want 9, s2, 5
    trapping sd a0, 0(s6)
    want 10, s2, 7
    csrw pmpcfg0, zero          // locked: ignored
    csrr a0, pmpcfg0
    want 11, a0, 0x9f9998
    exit 0

    .balign 4
caught:
    csrr s2, mcause
    csrr s3, mtval
    csrr s4, mepc
    csrw mepc, s1
    li t6, MSTATUS_MPP
    csrc mstatus, t6
    li t6, MSTATUS_MPP_S
    beqz s8, 1f
    li t6, MSTATUS_MPP
1:  csrs mstatus, t6
    mret
    wrong_is_here
    .balign 4096
    .skip 4096
secret:
    .dword 11
    .skip 4088
constant:
    .dword 22
    .skip 4088
