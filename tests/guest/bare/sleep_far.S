// WFI with a timer further away than the host can tell, in virtual time, where waiting is a jump of the clock: what
// wakes the hart is a character, and the clock has not jumped.
// options: --time virtual
// types: x
// status: 42
#include "bare.inc"
#define PLIC 0xc000000
#define UART_IRQ 10
    .globl _start
_start:
    li t0, PLIC                     // the UART's interrupt, to M mode
    li t1, 1
    sw t1, (4 * UART_IRQ)(t0)
    li t0, PLIC + 0x2000
    li t1, 1 << UART_IRQ
    sw t1, 0(t0)
    li s0, UART
    li t1, 1                        // for what it receives
    sb t1, 1(s0)
    li t0, CLINT_MTIMECMP
    li t1, 1 << 62
    sd t1, 0(t0)
    li t1, 1 << 7 | 1 << 11
    csrw mie, t1
    li t2, 1000                     // so that a clock that wraps has not come back to here
1:  addi t2, t2, -1
    bnez t2, 1b
    csrr s1, cycle
1:  wfi
    csrr a0, mip
    srli a0, a0, 11
    beqz a0, 1b
    lbu a0, 0(s0)
    want 1, a0, 'x'
    csrr a1, time
    li gp, 2
    srli a1, a1, 32
    bnez a1, wrong
    csrr a1, cycle
    bltu a1, s1, wrong
    exit 42
    wrong_is_here
