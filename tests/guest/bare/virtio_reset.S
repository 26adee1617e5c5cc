// What the guest wrote to a disk with snapshot=on is there after a reset, though not in the file.
// options: --drive DISK,snapshot=on
// status: 0
#include "bare.inc"
#include "virtio.inc"
#define RESET 0x7777
    .globl _start
    .option norvc
_start:
    start_disk
    request IN, 5, buffer
    lw t1, buffer
    bnez t1, second
    request OUT, 5, marker
    li t0, FINISHER
    li t1, RESET
    sw t1, 0(t0)
1:  j 1b
second:
    want 10, t1, 0x12345678
    exit 0

    disk_is_here
    .balign 512
marker:
    .word 0x12345678
    .zero 508
buffer:
    .zero 512
    wrong_is_here
