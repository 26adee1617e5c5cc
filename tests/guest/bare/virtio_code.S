// A disk overwrites code that has run: the new code runs behind fence.i. Two sectors are written,
// then read in turn into the page that is called, often enough for it to go through all that a
// page of code does.
// options: --drive DISK
// status: 0
#include "bare.inc"
#define SLOT 0x10008000
#define IN 0
#define OUT 1
    .globl _start
    .option norvc

.macro put offset, value:vararg
    li t1, \value
    sw t1, \offset(s11)
.endm

.macro put_address offset, symbol
    la t1, \symbol
    sw t1, \offset(s11)
    sw zero, \offset + 4(s11)
.endm

.macro request type, sector, at
    li a0, \type
    li a1, \sector
    la a2, \at
    jal request
.endm

_start:
    li s11, SLOT
    lw t1, 0x008(s11)           // DeviceID: a disk, in the last slot
    want 1, t1, 2
    put 0x070, 0
    put 0x070, 1
    put 0x070, 3
    put 0x024, 1                // VERSION_1 and nothing else
    put 0x020, 1
    put 0x070, 11
    lw t1, 0x070(s11)
    want 2, t1, 11
    put 0x030, 0
    put 0x038, 8
    put_address 0x080, descriptors
    put_address 0x090, available
    put_address 0x0a0, used
    put 0x044, 1
    put 0x070, 15
    li s10, 0                   // requests made

    request OUT, 0, one
    request OUT, 1, two
    request OUT, 8, other
    li s9, 300
loop:
    request IN, 0, page
    fence.i
    jal page
    want 3, a0, 1
    jal page + 1024             // its neighbour, which nobody changes
    want 4, a0, 7
    request IN, 1, page
    fence.i
    jal page
    want 5, a0, 2
    addi s9, s9, -1
    bnez s9, loop
    exit 0

// One request of 512 bytes: a0 type, a1 sector, a2 where. Returns when it is done, with success.
request:
    la t0, header
    sw a0, 0(t0)
    sw zero, 4(t0)
    sd a1, 8(t0)
    la t2, descriptors
    sd t0, 0(t2)
    sd a2, 16(t2)
    la t0, status
    sd t0, 32(t2)
    li t0, 99
    sb t0, status, t1
    xori t0, a0, 1              // IN: the device writes
    slli t0, t0, 1
    ori t0, t0, 1
    sh t0, 16 + 12(t2)
    la t0, available
    addi s10, s10, 1
    fence
    sh s10, 2(t0)
    fence
    sw zero, 0x050(s11)
    la t0, used
1:  lhu t1, 2(t0)
    slli t2, s10, 48
    srli t2, t2, 48
    bne t1, t2, 1b
    fence
    lbu t1, status
    want 6, t1, 0
    ret

    .balign 4096
page:
    li a0, 3
    ret
    .balign 1024
    li a0, 7
    ret
    .balign 4096
one:
    li a0, 1
    ret
    .balign 512
two:
    li a0, 2
    ret
    .balign 512
other:
    .zero 512
descriptors:
    .dword 0
    .word 16
    .half 1, 1
    .dword 0
    .word 512
    .half 1, 2
    .dword 0
    .word 1
    .half 2, 0
    .balign 16
available:
    .zero 32
    .balign 16
used:
    .zero 128
header:
    .zero 16
status:
    .word 0
    wrong_is_here
