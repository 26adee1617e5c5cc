// A program of the architecture tests' kind: results between two symbols, then HTIF. What
// --signature writes of it is compared by tests/guest/run-elf-check.sh.
// status: 0
#include "bare.inc"
    .globl _start, begin_signature, end_signature
_start:
    la s0, begin_signature
    li t0, 0x12345678
    sw t0, 0(s0)
    li t0, -2
    sd t0, 4(s0)
    li t0, 0x80
    sb t0, 12(s0)
    pass_by_tohost
    tohost_is_here
    .balign 16
begin_signature:
    .skip 16, 0xaa
    .word 0x00c0ffee
    .byte 0x11, 0x22
end_signature:
    .balign 4
