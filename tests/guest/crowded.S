// Writes LEN bytes, the alphabet over and over, by the way that PUT names, and looks at no status. Another hart counts in s2.
#include "bare/bare.inc"
#define LEN (400 << 10)
#define PUT_UART 1
#define PUT_LEGACY 2
#define PUT_DBCN 3
    .globl _start
_start:
#if PUT == PUT_UART
    csrr t0, mhartid
    bnez t0, other
#endif
    li s0, UART
    li s1, LEN
    li s3, 'a'
1:
#if PUT == PUT_UART
    sb s3, 0(s0)
#elif PUT == PUT_LEGACY
    mv a0, s3
    li a7, 1
    ecall
#elif PUT == PUT_DBCN
    la a1, byte
    sb s3, 0(a1)
    li a0, 1
    li a2, 0
    li a7, 0x4442434e
    li a6, 0
    ecall
    bnez a0, 3f
    beqz a1, 1b // none was taken
#endif
    addi s3, s3, 1
    li t0, 'z'
    bleu s3, t0, 2f
    li s3, 'a'
2:  addi s1, s1, -1
    bnez s1, 1b
    exit 0
3:  exit 1
other:
    li s2, 0
1:  addi s2, s2, 1
    j 1b
byte:
    .byte 0
