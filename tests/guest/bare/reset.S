// A reset with -no-reboot ends the run.
// options: -no-reboot
// status: 0
#include "bare.inc"
    .globl _start
_start:
    li t0, FINISHER
    li t1, 0x7777
    sw t1, 0(t0)
1:  j 1b
