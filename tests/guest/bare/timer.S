// The CLINT's timer: WFI wakes for it, with interrupts on (a trap) and off (none).
// status: 0
#include "bare.inc"
    .globl _start
.macro arm ticks
    li s0, CLINT_MTIMECMP
    li t0, -1
    sd t0, 0(s0)
    li t0, CLINT_MTIME
    ld t0, 0(t0)
    addi s5, t0, \ticks
    sd s5, 0(s0)
.endm
_start:
    trap_to on_timer
    li s6, 0                    // interrupts taken
    arm 1000
    li t0, 1 << 7
    csrw mie, t0
1:  wfi                         // interrupts are off: WFI ends, nothing is taken
    csrr t0, mip
    andi t0, t0, 1 << 7
    beqz t0, 1b
    want 1, s6, 0
    li gp, 2                    // and not before its time
    li t0, CLINT_MTIME
    ld t0, 0(t0)
    bltu t0, s5, wrong

    arm 1000
    csrsi mstatus, MSTATUS_MIE
2:
asleep:
    wfi
    beqz s6, 2b
    want 3, s6, 1
    li t0, 1 << 63 | 7
    li gp, 4
    bne s2, t0, wrong

    li s6, 0                    // no WFI: a loop that only counts is interrupted as well
    arm 1000
3:  addi s7, s7, 1
    beqz s6, 3b
    want 5, s6, 1
    exit 0

    .balign 4
on_timer:
    csrr s2, mcause
    addi s6, s6, 1
    // One that came before it slept would have it sleep now, with no other to come.
    csrr t0, mepc
    la t1, asleep
    bne t0, t1, 1f
    addi t0, t0, 4
    csrw mepc, t0
1:
    li t0, -1
    li t1, CLINT_MTIMECMP
    sd t0, 0(t1)
    mret
    wrong_is_here
