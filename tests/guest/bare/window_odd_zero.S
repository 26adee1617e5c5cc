// A cbo.zero at an address that is not a block's first goes by the helper and comes back behind the
// comparison that it has skipped; the store behind it counts on that one.
// options: --window always
// status: 0
#include "bare.inc"
#include "sv39.inc"
#define FAR ((300 - 512) << 30)
    .globl _start
_start:
    li t0, 0x80
    csrw 0x30a, t0                  // menvcfg
    csrw 0x10a, t0                  // senvcfg
    li t0, 0x80000000 >> 2 | V | R | W | X | AD | U
    put root, 510
    enter_user user, caught
user:
    li s6, 100
1:  li t1, 0x1234567
    jal f
    addi s6, s6, -1
    bnez s6, 1b
    la a0, data
    ld a1, 0(a0)
    li t0, 0x1234567
    beq a1, t0, 2f
    li gp, 1
2:  ecall
    .balign 64
f:
    .option push
    .option norvc
    lui a0, 0x80001
    addi a0, a0, 63
    cbo_zero a0
    lui a1, 0x80001
    addi a1, a1, 63
    sd t1, -63(a1)
    ret
    .option pop
    .balign 4
caught:
    csrr s2, mcause
    li t0, 8
    bne s2, t0, 1f
    bnez gp, 1f
    exit 0
1:  exit 7
    .balign 4096
data:
    .skip 4096
    page_tables_are_here
