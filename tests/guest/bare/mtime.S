// mtime can be set: `time` follows at once, the timers that wait for it are asked again, and the counters that
// count something else go on as if nothing had happened.
// status: 42
#include "bare.inc"
#define STCE (1 << 63)
    .globl _start

// Check n: a - b is less than 10^9 ticks, which is 100 s.
.macro soon_after n, a, b
    li gp, \n
    sub t5, \a, \b
    li t6, 1000000000
    bgeu t5, t6, wrong
.endm

_start:
    li s0, CLINT_MTIME
    li s1, 1 << 40
    csrr s2, cycle
    csrr a0, time
    sd s1, 0(s0)                    // forward
    csrr a1, time
    ld a2, 0(s0)
    csrr s3, cycle
    soon_after 1, a0, zero
    soon_after 2, a1, s1
    soon_after 3, a2, a1
    soon_after 4, s3, s2            // cycle is no clock
    li t0, 77
    sw t0, 4(s0)                    // by halves
    sw zero, 0(s0)
    csrr a1, time
    li s1, 77 << 32
    soon_after 5, a1, s1
    sd zero, 0(s0)                  // back to the beginning
    csrr a1, time
    soon_after 6, a1, zero
    li s1, -1000
    sd s1, 0(s0)                    // it wraps
1:  csrr a1, time
    bltz a1, 1b
    soon_after 7, a1, zero
    li t1, 100                      // its last value is a time like others: what never comes does not
1:  li s1, -1
    sd s1, 0(s0)
    addi t1, t1, -1
    bnez t1, 1b
    sd zero, 0(s0)

    li s4, CLINT_MTIMECMP           // mtimecmp is reached by setting, and left again
    li t0, 1 << 50
    sd t0, 0(s4)
    li t1, 1000000
1:  addi t1, t1, -1
    li gp, 8
    beqz t1, wrong
    csrr a0, mip
    andi a0, a0, 1 << 7
    bnez a0, 1b
    sd t0, 0(s0)
    li t1, 1000000
1:  addi t1, t1, -1
    li gp, 9
    beqz t1, wrong
    csrr a0, mip
    andi a0, a0, 1 << 7
    beqz a0, 1b
    sd zero, 0(s0)
    li t1, 1000000
1:  addi t1, t1, -1
    li gp, 10
    beqz t1, wrong
    csrr a0, mip
    andi a0, a0, 1 << 7
    bnez a0, 1b

    li t0, STCE                     // stimecmp too, of which nobody asks
    csrs menvcfg, t0
    li t0, 1 << 50
    csrw 0x14d, t0
    la t1, on_timer
    csrw mtvec, t1
    li t1, 1 << 5
    csrw mie, t1
    csrsi mstatus, MSTATUS_MIE
    li s6, 0
    sd t0, 0(s0)
    li t1, 10000000
1:  addi t1, t1, -1
    li gp, 11
    beqz t1, wrong
    beqz s6, 1b
    sd zero, 0(s0)
    li t1, 1000000
1:  addi t1, t1, -1
    li gp, 12
    beqz t1, wrong
    csrr a0, mip
    andi a0, a0, 1 << 5
    bnez a0, 1b

    li t0, 1 << 40                  // a timer that was armed under the old clock comes at its new time
    sd t0, 0(s4)
    li t0, 1 << 7
    csrw mie, t0
    li t0, (1 << 40) - 1000
    sd t0, 0(s0)
1:  wfi
    csrr a0, mip
    andi a0, a0, 1 << 7
    beqz a0, 1b
    csrr a1, time
    li s1, 1 << 40
    soon_after 13, a1, s1
    exit 42

    .balign 4
on_timer:
    li s6, 1
    csrw mie, zero
    mret
    wrong_is_here
