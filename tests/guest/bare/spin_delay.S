// A hart that lets 25 ms pass by `pause` and has the clock in a register, and then waits for a word for 25 ms: that is to
// end when its time has come, so it does not sleep (spin.sh).
// options: -smp 2
// status: 0
#include "bare.inc"
    .option arch, +zihintpause
    .globl _start
_start:
    csrr t0, mhartid
    bnez t0, other
    rdtime a0
    li a1, 250000
1:  pause
    rdtime a2
    sub a3, a2, a0
    bltu a3, a1, 1b
    add a1, a2, a1
    la a0, never
1:  rdtime a2
    bgeu a2, a1, 2f
    lw a2, 0(a0)
    pause
    beqz a2, 1b
2:  exit 0

other:
    wfi
    j other

    .balign 64
never: .word 0
