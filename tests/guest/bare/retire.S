// minstret at a trap says how many instructions came before it, whatever ended the blocks in
// between: in straight code that is the distance to mepc. One case for each way out of a block.
// options: --time virtual
// status: 0
#include "bare.inc"
#define FS_DIRTY 0x6000
#define FS_INITIAL 0x2000
#define MSIE 0x8
    .globl _start
    .option norvc

// Counts from `1:` on, which is where s1 points; behind the trap the program goes on at s2.
.macro from n
    li gp, \n
    la s1, 1f
    csrwi minstret, 0
1:
.endm
_start:
    csrci mcountinhibit, 5
    la t0, handler
    csrw mtvec, t0
    li s7, CLINT_MSIP

    la s2, 2f
    from 1                      // an atomic into its own block
    nop
    la t0, 3f
    lw t1, (t0)
    amoswap.w t2, t1, (t0)
    nop
3:  nop
    ecall
2:
    la s2, 2f
    la s3, crossing
    ld s4, -4(s3)
    j 3f
    .balign 4096
    .skip 4096 - 16             // so that `from` ends with the page
3:  from 2                      // a store that crosses into its own block's page
crossing:
    nop
    sd s4, -4(s3)
    nop
    nop
    ecall
2:
    la s2, 2f
    la t0, 2f
    from 3                      // sc without a reservation fails, and retires
    nop
    sc.w t1, t0, (t0)
    nop
    sc.w t1, t0, (zero)         // this one raises
2:
    la s2, 2f
    from 4
    nop
    lr.w t1, (t0)
    addi t0, t0, 1
    lr.w t1, (t0)
2:
    la s2, 2f
    la t0, 2f
    from 5                      // a misaligned atomic
    nop
    addi t0, t0, 2
    amoadd.w t1, t1, (t0)
2:
    la s2, 2f
    from 6                      // an illegal word behind others
    nop
    nop
    .word 0xffffffff
2:
    la s2, 2f
    li t0, FS_DIRTY
    csrc mstatus, t0
    from 7                      // floating point off
    nop
    fadd.d fa0, fa0, fa0
2:
    la s2, 2f
    li t0, FS_INITIAL
    csrs mstatus, t0
    from 8                      // becomes dirty in the middle of a block
    nop
    fmv.d.x fa0, zero
    nop
    fld fa1, (zero)
2:
    la s2, 2f
    la t0, 2f
    from 9
    fsd fa0, -8(sp)
    nop
    ebreak
2:
    la s2, 2f
    from 10                     // wfi with a pending interrupt that is enabled, not taken
    csrwi mie, MSIE
    li t0, 1
    sw t0, (s7)
    wfi
    nop
    csrwi mie, 0
    sw zero, (s7)
    ecall
2:
    la s2, 2f
    from 11                     // the interrupt itself: taken behind any instruction
    csrwi mie, MSIE
    csrsi mstatus, MSTATUS_MIE
    li t0, 1
    nop
    sw t0, (s7)
    nop
    nop
    j .+4
    nop
    j .+4
    nop
    ecall
2:
    csrwi mie, 0
    la s2, 2f
    la t0, 3f
    csrw mepc, t0
    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    li t0, MSTATUS_MPP | 0x80
    csrc mstatus, t0
    from 12                     // in U: mret retires, mret there does not
    mret
3:  nop
    nop
    mret
2:
    la s2, 2f
    la t0, 3f
    csrw mepc, t0
    li t0, MSTATUS_MPP | 0x80
    csrc mstatus, t0
    from 13
    mret
3:  nop
    csrr t1, mhartid
2:
    la s2, 2f
    la t0, 3f
    csrw mepc, t0
    li t0, MSTATUS_MPP | 0x80
    csrc mstatus, t0
    from 14
    mret
3:  nop
    sret
2:
    la s2, 2f
    la t0, 3f
    csrw mepc, t0
    li t0, MSTATUS_MPP | 0x80
    csrc mstatus, t0
    from 15
    mret
3:  nop
    sfence.vma
2:
    la s2, 2f
    from 16                     // a fetch from nowhere: the jump before it retires
    nop
    jr zero
2:
    la s2, 2f
    from 17
    csrr t0, minstret
    csrs minstret, zero
    csrr t1, mcycle
    fence
    fence.i
    nop
    ecall
2:
    exit 0

    .balign 4
handler:
    csrr a0, minstret
    sw zero, (s7)
    csrr a1, mepc
    beqz a1, nowhere
    sub a1, a1, s1
    srli a1, a1, 2
    bne a0, a1, wrong
    j next
nowhere:
    li a1, 2
    bne a0, a1, wrong
next:
    li t0, MSTATUS_MPP
    csrs mstatus, t0
    csrw mepc, s2
    mret
    wrong_is_here

