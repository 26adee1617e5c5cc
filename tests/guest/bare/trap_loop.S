// The trap handler itself traps, for ever, as hardware would; --max-insns ends it.
// options: --time virtual --max-insns 300000
// status: 0
#include "bare.inc"
    .globl _start
_start:
    trap_to again
    .balign 4
again:
    .word 0
