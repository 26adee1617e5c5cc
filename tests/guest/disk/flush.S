// Writes blocks in an order that tests/guest/disk-kill.py knows, flushes after every fourth, and says
// then by its number, in hex, how far it has come. Never ends.
#include "bare.inc"
#include "virtio.inc"
#define FLUSH 4
#define N_SECTORS 256
    .globl _start
    .option norvc
_start:
    start_disk
    put 0x070, 0                // once more, with FLUSH: a write may be late, then
    put 0x070, 3
    put 0x024, 0
    put 0x020, 1 << 9
    put 0x024, 1
    put 0x020, 1
    put 0x070, 11
    put 0x038, 8
    put_address 0x080, descriptors
    put_address 0x090, available
    put_address 0x0a0, used
    put 0x044, 1
    put 0x070, 15
    li s9, 0                    // number of the write
loop:
    addi s9, s9, 1
    la t0, block
    li t1, 64
1:  sd s9, 0(t0)
    addi t0, t0, 8
    addi t1, t1, -1
    bnez t1, 1b
    li t1, 0x9e3779b1           // the sector: the number, scattered
    mulw t1, t1, s9
    srliw a1, t1, 24
    li a0, OUT
    la a2, block
    jal request
    andi t1, s9, 3
    bnez t1, loop
    request FLUSH, 0, block
    li t3, UART
    li t4, 28
2:  srlw t1, s9, t4
    andi t1, t1, 15
    addi t1, t1, '0'
    li t2, '9'
    ble t1, t2, 3f
    addi t1, t1, 'a' - '9' - 1
3:  sb t1, 0(t3)
    addi t4, t4, -4
    bgez t4, 2b
    li t1, '\n'
    sb t1, 0(t3)
    j loop

    disk_is_here
    .balign 512
block:
    .zero 512
    wrong_is_here
