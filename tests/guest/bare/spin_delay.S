// A hart that lets 50 ms pass by `pause`, and looks at the clock each time: a delay is to end when its time has
// come, so it does not sleep (spin.sh).
// options: -smp 2
// status: 0
#include "bare.inc"
    .option arch, +zihintpause
    .globl _start
_start:
    csrr t0, mhartid
    bnez t0, other
    rdtime a0
    li a1, 500000
1:  pause
    rdtime a2
    sub a3, a2, a0
    bltu a3, a1, 1b
    exit 0

other:
    wfi
    j other
