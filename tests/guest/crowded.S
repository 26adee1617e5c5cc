// Writes the alphabet over and over, by the way that PUT names, and looks at no status: LEN bytes one by one, or N_BLOCKS
// times a block of LEN. Hart WHO does; others count in s2.
#include "bare/bare.inc"
#define PUT_UART 1
#define PUT_LEGACY 2
#define PUT_DBCN 3
#define PUT_HTIF 4
#define PUT_CONSOLE 5
#define BLOCK 0x81000000
#define SLOT 0x10008000
    .globl _start
_start:
#if PUT != PUT_LEGACY && PUT != PUT_DBCN
    csrr t0, mhartid
    li t1, WHO
    bne t0, t1, other
#endif
    li s0, UART
    li s1, LEN
    li s3, 'a'
#if PUT == PUT_HTIF || PUT == PUT_CONSOLE
    li s0, BLOCK
#endif
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
#else
    sb s3, 0(s0)
    addi s0, s0, 1
#endif
    addi s3, s3, 1
    li t0, 'z'
    bleu s3, t0, 2f
    li s3, 'a'
2:  addi s1, s1, -1
    bnez s1, 1b

#if PUT == PUT_HTIF
    li s4, N_BLOCKS
1:  la a0, block
    li t0, 64 // write
    sd t0, 0(a0)
    li t0, 1
    sd t0, 8(a0)
    li t0, BLOCK
    sd t0, 16(a0)
    li t0, LEN
    sd t0, 24(a0)
    la t1, tohost
    fence
    sd a0, 0(t1)
2:  ld t0, 0(t1)
    bnez t0, 2b
    ld t0, 0(a0)
    li t1, LEN
    bne t0, t1, 3f
    addi s4, s4, -1
    bnez s4, 1b
#elif PUT == PUT_CONSOLE
// A driver of the least kind (virtio 1.2, 4.2): one queue of 16 descriptors, all of them the block, told of once.
.macro set offset, value:vararg
    li t1, \value
    sw t1, \offset(s0)
.endm
.macro set_address offset, symbol
    la t1, \symbol
    sw t1, \offset(s0)
    sw zero, \offset + 4(s0)
.endm
    li s0, SLOT
    set 0x070, 3 // a driver
    set 0x024, 1
    set 0x020, 1 // VERSION_1
    set 0x070, 11
    set 0x030, 1 // the queue to transmit
    set 0x038, 16
    set_address 0x080, descriptors
    set_address 0x090, available
    set_address 0x0a0, used
    set 0x044, 1
    set 0x070, 15
    la t2, descriptors
    la t3, available
    li t4, 0
1:  li t0, BLOCK
    sd t0, 0(t2)
    li t0, LEN
    sw t0, 8(t2)
    sw zero, 12(t2)
    sh t4, 4(t3)
    addi t2, t2, 16
    addi t3, t3, 2
    addi t4, t4, 1
    li t0, N_BLOCKS
    blt t4, t0, 1b
    la t3, available
    fence
    sh t4, 2(t3)
    fence
    set 0x050, 1
    la t3, used
1:  lhu t0, 2(t3)
    bne t0, t4, 1b
#endif
    exit 0
3:  exit 1
other:
    li s2, 0
1:  addi s2, s2, 1
    j 1b
byte:
    .byte 0
    .balign 16
descriptors: .space 256
available: .space 64
used: .space 256
#if PUT == PUT_HTIF
    .globl tohost, fromhost
    .balign 64
block: .space 64
tohost:
    .dword 0
    .balign 64
fromhost:
    .dword 0
#endif
