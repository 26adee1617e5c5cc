// Prints a line through the UART and switches the machine off.
// prints: hello
// status: 0
#include "bare.inc"
    .globl _start
_start:
    li s0, UART
    la s1, text
1:  lbu a0, 0(s1)
    beqz a0, 3f
2:  lbu t0, 5(s0)               // LSR: room in the transmitter?
    andi t0, t0, 0x20
    beqz t0, 2b
    sb a0, 0(s0)
    addi s1, s1, 1
    j 1b
3:  exit 0
text:
    .asciz "hello\n"
