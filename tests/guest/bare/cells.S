// One load and one store that have seen a page often: what a fence takes away they must not see
// again, whichever fence it is, and whatever changed: page, rights, a large leaf.
// status: 0
#include "bare.inc"
#include "sv39.inc"
    .globl _start

#define LARGE (WINDOW + 0x200000)
#define LARGE_1 0x80200000
#define LARGE_2 0x80400000

// Page 0 leads to the symbol; then a fence, and load and store must go there. 11 is in `data`, 22 in `other`.
.macro moves_to symbol, value, n, fence:vararg
    pte \symbol, (V | R | W | AD)
    put leaf, 0
    \fence
    jal get
    want \n, a0, \value
    li a2, \n
    jal set
    la t0, \symbol
    ld a0, 8(t0)
    want \n, a0, \n
.endm

// Fills the cells again and again.
.macro warm_up
    jal get
    jal set
    jal get
    jal set
.endm

_start:
    pte data, (V | R | W | AD)
    put leaf, 0
    put leaf, 1
    enter_supervisor supervisor

supervisor:
    li a1, WINDOW
    li s5, 0                        // the ASID
    li a2, 0
    warm_up
    want 1, a0, 11
    moves_to other, 22, 2, sfence.vma a1
    warm_up
    moves_to data, 11, 3, sfence.vma a1, s5
    warm_up
    moves_to other, 22, 4, sfence.vma x0, s5
    warm_up
    moves_to data, 11, 5, sfence.vma
    warm_up

    li t2, WINDOW + 0x1000          // another page's fence, then its own
    sfence.vma t2
    moves_to other, 22, 6, sfence.vma a1
    warm_up

    pte other, (V | R | AD)         // no more stores
    put leaf, 0
    sfence.vma a1
    jal get
    want 7, a0, 22
    la s1, 1f
    li s2, -1
    jal set
1:  want 8, s2, 15
    want 9, s3, WINDOW + 8
    li t0, 0                        // no page at all
    put leaf, 0
    sfence.vma a1, s5
    la s1, 1f
    li s2, -1
    jal get
1:  want 10, s2, 13
    want 11, s3, WINDOW

    // A large leaf goes as a whole: the fence names another page of it.
    li t0, (LARGE_1 >> 2) | V | R | W | AD
    put middle, 1
    sfence.vma
    li t0, LARGE_1
    li t1, 33
    sd t1, 0(t0)
    li t0, LARGE_2
    li t1, 44
    sd t1, 0(t0)
    li a1, LARGE
    warm_up
    want 12, a0, 33
    li t0, (LARGE_2 >> 2) | V | R | W | AD
    put middle, 1
    li t2, LARGE + 0x1f000
    sfence.vma t2
    jal get
    want 13, a0, 44
    li a2, 55
    jal set
    li t0, LARGE_2
    ld a0, 8(t0)
    want 14, a0, 55

    // A page that jumps to and fro keeps what it says.
    pte data, (V | R | W | AD)
    put leaf, 0
    pte other, (V | R | W | AD)
    put leaf, 1
    sfence.vma
    li a1, WINDOW
    li t3, 0x1000
    li t4, 20000
2:  jal get
    want 15, a0, 11
    add a1, a1, t3
    jal get
    want 16, a0, 22
    sub a1, a1, t3
    addi t4, t4, -1
    bnez t4, 2b

    // The store's page becomes code: it is written, run, and written again.
    pte code, (V | R | W | X | AD)
    put leaf, 0
    sfence.vma
    li t5, 2
3:  la t0, return_1
    ld a2, 0(t0)
    jal set_aligned
    fence.i
    li t0, WINDOW
    jalr t0
    want 17, a0, 1
    la t0, return_2
    ld a2, 0(t0)
    jal set_aligned
    fence.i
    li t0, WINDOW
    jalr t0
    want 18, a0, 2
    addi t5, t5, -1
    bnez t5, 3b
    exit 0

get:
    ld a0, 0(a1)
    ret
set:
    sd a2, 8(a1)
    ret
set_aligned:
    li t6, WINDOW
    sd a2, 0(t6)
    ret

    catch_supervisor_trap
    wrong_is_here

    .balign 8
return_1:
    .option push
    .option norvc
    li a0, 1
    ret
return_2:
    li a0, 2
    ret
    .option pop

    page_tables_are_here
data:
    .dword 11
    .skip 4088
other:
    .dword 22
    .skip 4088
code:
    .skip 4096
