/* Entry, traps, and the way from one stack to another. With MACHINE all harts come here at reset,
 * else the boot hart from the firmware and the others by SBI HSM. a0: hart id, a1: device tree
 * (or, of a hart that HSM starts, its struct hart). */
#ifdef MACHINE
#define xtvec mtvec
#define xepc mepc
#define xcause mcause
#define xtval mtval
#define xret mret
#define xstatus mstatus
#else
#define xtvec stvec
#define xepc sepc
#define xcause scause
#define xtval stval
#define xret sret
#define xstatus sstatus
#endif

#define STARTED_TOO_EARLY 3
#define HART_SHIFT 8                // sizeof(struct hart): guest.h
#define STACK_SHIFT 14

// The stack of the hart that tp names. Uses t0.
.macro own_stack
    la t0, harts
    sub t0, tp, t0
    srli t0, t0, HART_SHIFT
    addi t0, t0, 1
    slli t0, t0, STACK_SHIFT
    la sp, stacks
    add sp, sp, t0
.endm

    .section .text.start, "ax"
    .globl _start
_start:
    la t0, trap_entry
    csrw xtvec, t0
    li t0, 0x6000                   // FS: the loads and stores of words.c use it
    csrs xstatus, t0
#ifdef MACHINE
    li t0, -1                       // PMP: whoever goes to S mode may do all
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    csrr a0, mhartid
#endif
    la t0, lottery                  // the first one becomes hart 0 of this program
    li t1, 1
    amoadd.w t1, t1, (t0)
    bnez t1, not_first
    la t0, bss_start
    la t1, bss_end
1:  sd zero, 0(t0)
    addi t0, t0, 8
    bltu t0, t1, 1b
    la tp, harts
    own_stack
#ifdef MACHINE
    la t0, ready                    // bss is clear: the others may go on
    li t1, 1
    fence rw, w
    sw t1, 0(t0)
#endif
    call main
1:  j 1b

#ifndef MACHINE
// OpenSBI 1.1 may start a hart before it has said where: then where the boot hart began. The machine
// ends with a status of its own, for run.py.
not_first:
    li t0, 0x100000                 // FINISHER
    li t1, STARTED_TOO_EARLY << 16 | 0x3333
    sw t1, 0(t0)
1:  j 1b
#else
not_first:
    la t0, ready
1:  lw t1, 0(t0)
    beqz t1, 1b
    fence r, rw
    la t0, next_hart                // from 1
    li t1, 1
    amoadd.w a1, t1, (t0)
    addi a1, a1, 1
    la t0, harts
    slli t1, a1, HART_SHIFT
    add a1, t0, t1
#endif
    .globl secondary_entry
secondary_entry:
    la t0, trap_entry
    csrw xtvec, t0
    li t0, 0x6000
    csrs xstatus, t0
    mv tp, a1
    own_stack
    call secondary_main
1:  j 1b

    .balign 4
trap_entry:
    addi sp, sp, -128
    .set at, 0
    .irp n, 1,5,6,7,10,11,12,13,14,15,16,17,28,29,30,31
    sd x\n, at(sp)
    .set at, at + 8
    .endr
    csrr a0, xcause
    csrr a1, xepc
    csrr a2, xtval
    call trap
    csrw xepc, a0
    .set at, 0
    .irp n, 1,5,6,7,10,11,12,13,14,15,16,17,28,29,30,31
    ld x\n, at(sp)
    .set at, at + 8
    .endr
    addi sp, sp, 128
    xret

    .data
    .balign 8
lottery:                            // in .data, since .bss is cleared by its winner
    .word 0
ready:
    .word 0
    .globl next_hart
next_hart:                          // how many have come besides
    .word 0
    .bss
    .balign 16
stacks:
    .skip 64 << STACK_SHIFT         // MAX_HARTS
