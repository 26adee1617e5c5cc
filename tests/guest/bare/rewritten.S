// A place in code that is rewritten until blocks end before and behind it: at a page's end, with an
// instruction that straddles two granules of 8 bytes, or two pages; and it counts exactly.
// options: --time virtual
// status: 0
#include "bare.inc"
#define LI_A0 0x00000513            // li a0, 0; the number stands in bits 20 and up
    .globl _start

// Rewrites the li at `place` 40 times, by one store or (halves) two, and calls `first` each time: it gives
// what was written, in `retired` instructions from the write of minstret on.
.macro rewrite n, first, place, retired, halves
    la s0, \first
    la s1, \place
    li s2, 0
1:  slli t1, s2, 20
    li t2, LI_A0
    or t1, t1, t2
    .if \halves
    sh t1, 0(s1)
    srli t1, t1, 16
    sh t1, 2(s1)
    .else
    sw t1, 0(s1)
    .endif
    csrwi minstret, 0
    jalr s0
    csrr a1, minstret
    li gp, \n
    bne a0, s2, wrong
    li a2, \retired
    bne a1, a2, wrong
    addi s2, s2, 1
    li a2, 40
    bne s2, a2, 1b
.endm

_start:
    csrci mcountinhibit, 5
    rewrite 1, aligned, aligned_place, 6, 0
    rewrite 2, odd, odd_place, 7, 0
    rewrite 3, odd, odd_place, 7, 1
    rewrite 4, at_end, at_end_place, 6, 0
    rewrite 5, straddling, straddling_place, 7, 0
    rewrite 6, straddling, straddling_place, 7, 1
    rewrite 7, self, self_place, 7, 0
    exit 0

    .balign 64
aligned:
    addi a3, a3, 1
    addi a3, a3, 1
    .option push
    .option norvc
aligned_place:
    li a0, 0
    .option pop
    addi a3, a3, 1
    ret
    .balign 64
odd:                                // the li's second half begins a granule
    c.nop
    c.nop
    c.nop
odd_place = .
    .option push
    .option norvc
    li a0, 0
    .option pop
    addi a3, a3, 1
    ret
    .balign 64
self:                               // stores its own li once more, from the block before it
    la a4, self_place
    lw a5, (a4)
    sw a5, (a4)
    .option push
    .option norvc
self_place:
    li a0, 0
    .option pop
    ret
    wrong_is_here

    .balign 4096
    .skip 4096 - 12
    .option push
    .option norvc
at_end:
    addi a3, a3, 1
    addi a3, a3, 1
at_end_place:
    li a0, 0
    addi a3, a3, 1                  // on the next page
    ret
    .balign 4096
    .skip 4096 - 10
    .option pop
straddling:
    addi a3, a3, 1
    addi a3, a3, 1
    addi a3, a3, 1
    c.nop
straddling_place = .
    .option push
    .option norvc
    li a0, 0
    .option pop
    ret
