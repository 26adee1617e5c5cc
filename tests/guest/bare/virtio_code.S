// A disk overwrites code that has run: the new code runs behind fence.i. Two sectors are written,
// then read in turn into the page that is called, often enough for it to go through all that a
// page of code does.
// options: --drive DISK
// status: 0
#include "bare.inc"
#include "virtio.inc"
    .globl _start
    .option norvc
_start:
    start_disk
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

    disk_is_here
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
    wrong_is_here
