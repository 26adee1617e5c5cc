// Copies by bytes, in user mode, through a window (--window always), where they are done by words: what is
// copied, and where one faults: at the byte's own instruction, with the bytes before it done and the others
// not, whichever half of a word is missing; from a device byte by byte; into code; over each other.
//
// options: --window always
// status: 0
#include "bare.inc"
#include "sv39.inc"
#define DATA 0x1000    // two pages, of which the second comes and goes
#define SECOND 0x2000
#define FIXED 0x3000   // may not be stored to
#define DEVICE 0x4000  // the UART's
#define TABLE 0x5000   // `leaf`
#define CODE 0x6000    // `patched`
#define SCRATCH 7      // of the UART's registers
#define LSR 5
#define TURNS 40

    .globl _start
_start:
    pte data, V | R | W | AD | U
    put leaf, 1
    pte second, V | R | W | AD | U
    put leaf, 2
    pte fixed, V | R | AD | U
    put leaf, 3
    li t0, 0x10000000 >> 2 | V | R | W | AD | U
    put leaf, 4
    pte leaf, V | R | W | AD | U
    put leaf, 5
    pte patched, V | R | W | X | AD | U
    put leaf, 6
    enter_user user, caught

    .balign 64
// a0 to a1, upwards.
up:
up_l0: lbu a2, 0(a0)
up_l1: lbu a3, 1(a0)
    lbu a4, 2(a0)
up_l3: lbu a5, 3(a0)
    lbu t3, 4(a0)
    lbu t4, 5(a0)
    lbu t5, 6(a0)
    lbu a6, 7(a0)
up_s0: sb a2, 0(a1)
    sb a3, 1(a1)
up_s2: sb a4, 2(a1)
    sb a5, 3(a1)
    sb t3, 4(a1)
up_s5: sb t4, 5(a1)
    sb t5, 6(a1)
    sb a6, 7(a1)
    ret
// Downwards, four bytes.
down:
down_l3: lbu a5, 3(a0)
    lbu a4, 2(a0)
    lbu a3, 1(a0)
    lbu a2, 0(a0)
down_s3: sb a5, 3(a1)
    sb a4, 2(a1)
down_s1: sb a3, 1(a1)
    sb a2, 0(a1)
    ret
// The bytes of a2, and zeros.
split:
    srli a3, a2, 8
    srli a4, a2, 16
    srli a5, a2, 24
    sb a2, 0(a1)
    sb a3, 1(a1)
    sb a4, 2(a1)
    sb a5, 3(a1)
split_s4: sb zero, 4(a1)
    sb zero, 5(a1)
    ret
// Zeros, downwards.
clear:
clear_s3: sb zero, 3(a1)
    sb zero, 2(a1)
    sb zero, 1(a1)
    sb zero, 0(a1)
    ret

.macro unloaded
    li a2, -2
    li a3, -3
    li a4, -4
    li a5, -5
    li t3, -6
    li t4, -7
    li t5, -8
    li a6, -9
.endm
// Calls it; s2 is -1, or the cause of a trap, after which it goes on behind.
.macro try what
    la s1, 9f
    li s2, -1
    jal ra, \what
9:
.endm
.macro expect n, cause, tval, at
    want \n, s2, \cause
    want \n + 1, s3, \tval
    want_address \n + 2, s4, \at
.endm
// Entry `index` of the table becomes t0's, and all is fenced.
.macro change index
    li t1, TABLE + 8 * (\index)
    sd t0, 0(t1)
    li a7, 1
    ecall
.endm

// Each byte of the first page is its address's lowest.
fill:
    li t0, DATA
    li t1, DATA + 0x1000
1:  sb t0, 0(t0)
    addi t0, t0, 1
    bltu t0, t1, 1b
    ret

user:
    li s5, 4
again:
    pte second, V | R | W | AD | U
    change 2
    jal ra, fill

    // Good ones, at all distances from a word, and over the page's end.
    li s6, TURNS
1:  li a0, DATA + 0x100
    add a0, a0, s6
    li a1, SECOND - 45
    add a1, a1, s6
    unloaded
    try up
    want 1, s2, -1
    ld t0, 0(a0)
    ld t1, 0(a1)
    li gp, 2
    bne t0, t1, wrong
    li gp, 3
    andi t1, t0, 255
    bne a2, t1, wrong
    srli t1, t0, 56
    bne a6, t1, wrong
    addi a1, a1, -200
    try down
    lw t0, 0(a0)
    lw t1, 0(a1)
    li gp, 4
    bne t0, t1, wrong
    addi s6, s6, -1
    bnez s6, 1b
    li s6, 12
1:  li a0, DATA + 0x100
    li a1, SECOND - 8
    add a1, a1, s6
    li t0, -1
    sd t0, 0(a1)
    li a2, 0x123456789abcdef0
    try split
    ld t0, 0(a1)
    want 5, t0, 0xffff00009abcdef0
    addi s6, s6, -1
    bnez s6, 1b

    // The second page is not there: three bytes are loaded, five are stored.
    jal ra, fill
    li s6, TURNS
    li t0, 0
    change 2
1:  li a0, SECOND - 8
    li t0, 0xfffefdfcfbfaf9f8
    sd t0, 0(a0)
    addi a0, a0, 5
    li a1, DATA + 0x200
    sd zero, 0(a1)
    unloaded
    try up
    expect 10, 13, SECOND, up_l3
    want 13, a2, 0xfd
    want 14, a4, 0xff
    want 15, a5, -5
    want 16, a6, -9
    ld t0, 0(a1)
    want 17, t0, 0
    li a0, DATA + 0x300
    li a1, SECOND - 5
    sw zero, 0(a1)
    sb zero, 4(a1)
    try up
    expect 20, 15, SECOND, up_s5
    lw t0, 0(a1)
    want 23, t0, 0x03020100
    lbu t0, 4(a1)
    want 24, t0, 4
    want 25, a6, 7
    unloaded
    li a0, SECOND - 2
    try down
    expect 30, 13, SECOND + 1, down_l3
    want 33, a5, -5
    li a0, DATA + 0x300
    li a1, SECOND - 3
    try down
    expect 40, 15, SECOND, down_s3
    want 43, a2, 0
    li a1, SECOND - 4
    li a2, 0x55667788
    try split
    expect 50, 15, SECOND, split_s4
    lw t0, 0(a1)
    want 53, t0, 0x55667788
    addi s6, s6, -1
    bnez s6, 1b

    // It comes back, only to be read: what is stored faults, what is loaded does not.
    pte second, V | R | AD | U
    change 2
    li s6, TURNS
1:  li a0, SECOND - 3
    li t0, -1
    sb t0, 2(a0)
    li a1, DATA + 0x200
    try up
    want 60, s2, -1
    lbu t0, 2(a1)
    want 61, t0, 0xff
    mv a1, a0
    li a0, DATA + 0x300
    try down
    expect 62, 15, SECOND, down_s3
    li a1, FIXED - 2
    try down
    expect 65, 15, FIXED + 1, down_s3
    li a1, FIXED + 8
    try up
    expect 68, 15, FIXED + 8, up_s0
    addi s6, s6, -1
    bnez s6, 1b
    // And to be written, without A and D, which are set where the machine does that.
    pte second, V | R | W | U
    change 2
    li a0, DATA + 0x311
    li a1, SECOND - 1
    try up
    li gp, 71
    li t0, -1
    beq s2, t0, 2f
    want 72, s2, 15
    pte second, V | R | W | AD | U
    change 2
    try up
2:  ld t0, 0(a1)
    want 73, t0, 0x1817161514131211

    // Nothing is stored in the first page, and its entry says so: D, which the machine sets from the third
    // round on.
    li s6, TURNS
1:  li t0, 0
    change 2
    pte data, V | R | W | A | U
    change 1
    li a1, SECOND - 2
    try clear
    expect 74, 15, SECOND + 1, clear_s3
    li t1, TABLE + 8
    ld t0, 0(t1)
    andi t0, t0, D
    want 77, t0, 0
    pte data, V | R | W | AD | U
    change 1
    addi s6, s6, -1
    bnez s6, 1b
    li t0, 3
    bne s5, t0, 1f
    li a7, 3
    ecall
1:
    // The device's registers are read one by one, and written so.
    li s6, TURNS
    li t0, DEVICE
    li t1, 0x5a
    sb t1, SCRATCH(t0)
1:  li a0, DEVICE
    li a1, DATA + 0x200
    try up
    want 80, s2, -1
    lbu t0, SCRATCH(a1)
    want 81, t0, 0x5a
    lbu t0, LSR(a1)
    andi t0, t0, 0x60
    want 82, t0, 0x60
    li a0, DATA + 0x33c
    li a1, DEVICE + 4
    sb zero, 0(a0) // MCR
    try down
    li t0, DEVICE
    lbu t0, SCRATCH(t0)
    want 83, t0, 0x3f
    li t1, 0x5a
    li t0, DEVICE
    sb t1, SCRATCH(t0)
    addi s6, s6, -1
    bnez s6, 1b

    // Into code that runs.
    li s6, TURNS
1:  andi t1, s6, 1
    slli t1, t1, 3
    la a0, good_code
    add a0, a0, t1
    li a1, CODE
    try up
    fence.i
    jalr ra, a1
    li gp, 84
    andi t1, s6, 1
    addi t1, t1, 7
    bne a0, t1, wrong
    addi s6, s6, -1
    bnez s6, 1b

    // Over each other: all is loaded before anything is stored.
    li s6, TURNS
1:  li a0, DATA + 0x400
    li a1, DATA + 0x403
    li t0, 0x0807060504030201
    sd t0, 0(a0)
    sd zero, 8(a0)
    try up
    ld t0, 0(a0)
    want 85, t0, 0x0504030201030201
    ld t0, 8(a0)
    want 86, t0, 0x080706
    addi s6, s6, -1
    bnez s6, 1b

    addi s5, s5, -1
    bnez s5, again
    li a7, 2
    li gp, 0
    ecall
    .balign 4
wrong_in_user:
    li a7, 2
    ecall

// In M mode. An ecall: 1 fences, 2 ends it as gp says, 3 lets the machine set A and D (menvcfg.ADUE).
    .balign 4
caught:
    csrr s2, mcause
    csrr s3, mtval
    csrr s4, mepc
    li t6, 8
    beq s2, t6, 1f
    csrw mepc, s1
    mret
1:  li t6, 2
    beq a7, t6, 2f
    bltu a7, t6, 1f
    li t6, 1 << 61
    csrs 0x30a, t6
1:  addi s4, s4, 4
    csrw mepc, s4
    sfence.vma
    mret
2:  bnez gp, 3f
    exit 0
3:  slli t1, gp, 16
    li t0, 0x3333
    or t1, t1, t0
    li t0, FINISHER
    sw t1, 0(t0)
1:  j 1b
    .set wrong, wrong_in_user

    .balign 8
good_code:
    li a0, 7
    .balign 4
    ret
    .balign 8
    li a0, 8
    .balign 4
    ret
    .balign 4096
data: .zero 4096
second: .zero 4096
fixed: .zero 4096
patched: .zero 4096
root: .zero 4096
middle: .zero 4096
leaf: .zero 4096
