// Jumps into nowhere: low, high and into a device. Each is an instruction access fault.
// status: 0
#include "bare.inc"
    .globl _start
.macro wild n, address
    li s5, \address
    trapping jalr s5
    want \n, s2, 1
    want (\n + 1), s3, \address
    want (\n + 2), s4, \address
.endm
_start:
    trap_to caught
    wild 1, 0x40
    wild 4, 0x4000000000
    wild 7, 0x3ffffffffffff000
    wild 10, 0x7ffffffffffffffe
    wild 13, UART
    wild 16, 0xfffffffffffffffe
    trapping lw a0, 0(zero)     // a load from nowhere
    want 19, s2, 5
    trapping sw a0, 0(zero)
    want 20, s2, 7
    trapping .word 0            // not an instruction
    want 21, s2, 2
    exit 0
    catch_trap
    wrong_is_here
