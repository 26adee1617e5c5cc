// Physical memory protection that changes under S mode, between accesses that were made before,
// and that ends in the middle of a page of code.
// status: 0
#include "bare.inc"
    .globl _start

.macro to_s
    la t0, 7f
    csrw mepc, t0
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t0, MSTATUS_MPP_S
    csrs mstatus, t0
    mret
    .balign 4
7:
.endm
// The handler goes on behind it in M.
.macro to_m
    la s1, 8f
    ecall
    .balign 4
8:
.endm
// pmpaddr0, NAPOT of 4 KiB
.macro forbid symbol
    la t0, \symbol
    srli t0, t0, 2
    ori t0, t0, 0x1ff
    csrw pmpaddr0, t0
.endm

_start:
    trap_to caught
    forbid nowhere
    la s5, data
    la s6, half
    la s7, enter
    srli t0, s6, 2
    csrw pmpaddr1, t0           // from `half` on, entry 2 ...
    la t0, end_of_code
    srli s8, t0, 2
    csrw pmpaddr2, s8           // ... to the end: it may be read
    li t0, -1
    csrw pmpaddr3, t0
    li t0, 0x1f << 24 | 0x09 << 16 | 0x18
    csrw pmpcfg0, t0

    // Data: an entry's address moves there and away.
    li s9, 3
1:  to_s
    ld a0, 0(s5)
    want 1, a0, 33
    sd a0, 8(s5)
    to_m
    forbid data
    to_s
    trapping ld a0, 0(s5)
    want 2, s2, 5
    trapping sd a0, 0(s5)
    want 3, s2, 7
    to_m
    forbid nowhere
    addi s9, s9, -1
    bnez s9, 1b

    // Data: the entry's rights change.
    to_s
    ld a0, 0(s5)
    sd a0, 8(s5)
    to_m
    forbid data
    li t0, 0x1f << 24 | 0x09 << 16 | 0x19
    csrw pmpcfg0, t0
    to_s
    ld a0, 0(s5)
    want 4, a0, 33
    trapping sd a0, 0(s5)
    want 5, s2, 7
    to_m
    forbid nowhere

    // Code: it runs up to the middle of its page, each time.
    li s9, 3
2:  to_s
    li a0, 0
    la s1, 3f
    jr s7
    j wrong
3:  want 6, s2, 1
    want_address 7, s3, half
    want_address 8, s4, half
    want 9, a0, 1
    li a0, 0
    la s1, 4f
    jr s6
    j wrong
4:  want 10, s2, 1
    want 11, a0, 0
    to_m
    srli t0, s6, 2
    csrw pmpaddr2, t0           // the entry is empty
    to_s
    li a0, 0
    jalr s7
    want 12, a0, 3
    to_m
    csrw pmpaddr2, s8
    addi s9, s9, -1
    bnez s9, 2b
    exit 0

    .balign 4
caught:                         // a fault goes on at s1 in S, an ecall in M
    csrr s2, mcause
    csrr s3, mtval
    csrr s4, mepc
    csrw mepc, s1
    li t6, 9
    beq s2, t6, 1f
    mret                        // MPP is S
1:  jr s1
    wrong_is_here

    .balign 4096
nowhere:
    .skip 4096
data:
    .dword 33
    .balign 4096
code:
    .skip 2032                  // so that it and `half` are one block
enter:
    addi a0, a0, 1
    nop
    nop
    .balign 16
half:
    addi a0, a0, 2
    ret
    .balign 4096
end_of_code:
