// Runs the random system programs of an image one after the other and prints a line for each:
//
//     P <id> <digest> <traps>
//
// The digest is of every trap on the way (cause, epc, tval, status, all registers) and of what is left at the
// end (registers, CSRs, memory, page tables), so two machines that print the same line did the same. A trap
// is answered by stepping over the instruction, or, where nothing can be fetched, by the
// program's next chunk. README.md has the picture.
//
// In the handlers: sp = SYS_SAVE, s0 cause, s1 epc, s2 tval, s3 mstatus, s4 the program's header,
// s5 its flags, s10 digest, s11 its multiplier. These live in SYS_SAVE between traps.
#include "tests/system/layout.h"

#define UART        0x10000000
#define FINISHER    0x100000
#define MTIMECMP    0x2004000
#define MTIME       0x200bff8
#define CHAOS_TICKS 200
#define MSTATUS_FS  0x6000
#define MSTATUS_MPP 0x1800
#define MSTATUS_PROBE 0xe0000       // MPRV, SUM, MXR

#define SAVE_CHUNK  256
#define SAVE_TRAPS  264
#define SAVE_DIGEST 272
#define SAVE_HEADER 280
#define SAVE_RANDOM 288
#define SAVE_TICKS  296
#define SAVE_BEGAN  304             // minstret when a program last went on
#define SAVE_INSNS  312             // of all programs
#define SAVE_BEFORE 320             // of those before this one
#define SAVE_ALIKE  328             // how often name_cause told otherwise: causes, fault and ebreak tvals

#define S_CAUSE     256
#define S_EPC       264
#define S_TVAL      272
#define S_STATUS    280

    .option norelax
    .globl _start

.macro count_alike n
    ld t0, SAVE_ALIKE + 8 * \n(sp)
    addi t0, t0, 1
    sd t0, SAVE_ALIKE + 8 * \n(sp)
.endm

.macro mix value
    xor s10, s10, \value
    mul s10, s10, s11
    srli gp, s10, 29
    xor s10, s10, gp
.endm

// Prints a letter and a value where the program is verbose; keeps all but t0..t2, a0, ra.
.macro tell letter, value
    andi t0, s5, SYS_VERBOSE
    beqz t0, 9f
    mv a0, \value
    li t1, \letter
    call print
9:
.endm

_start:
    li sp, SYS_SAVE
    csrw mscratch, sp
    la t0, vectors
    csrw mtvec, t0
    // What S and U may touch: entries 4 to 7 are the programs' to change.
    .macro napot n, start, bytes
    li t0, ((\start) >> 2) | ((\bytes) / 8 - 1)
    csrw pmpaddr\n, t0
    .endm
    napot 0, SYS_S_HANDLER, 0x1000
    napot 1, SYS_S_SAVE, 0x1000
    napot 2, 0x80f00000, 0x100000
    napot 3, SYS_PROGRAMS, SYS_PROGRAMS_BYTES
    li t0, -1
    csrw pmpaddr15, t0
    li t0, 0x1f << 56
    csrw pmpcfg2, t0
    ld s4, SAVE_HEADER(sp)          // RAM begins as zeros
    bnez s4, restarted
    li t0, SYS_S_HANDLER
    li t1, SYS_S_COPY
    la t2, s_handler_end
1:  ld t3, (t0)
    sd t3, (t1)
    addi t0, t0, 8
    addi t1, t1, 8
    bltu t0, t2, 1b
    li t0, SYS_PROGRAMS
    sd t0, SAVE_HEADER(sp)
    j begin

// M came here astray: a program ends so, too.
restarted:
    ld s5, 8 * SYS_H_FLAGS(s4)
    li t1, 'R'
    j without_end

// ---- A program's beginning -----------------------------------------------------------------
// s4: its header
begin:
    ld s4, SAVE_HEADER(sp)
    ld s5, 8 * SYS_H_FLAGS(s4)
    sd zero, SAVE_CHUNK(sp)
    sd zero, SAVE_TRAPS(sp)
    sd zero, SAVE_TICKS(sp)
    ld t0, SAVE_INSNS(sp)
    sd t0, SAVE_BEFORE(sp)
    ld t0, 8 * SYS_H_ID(s4)
    sd t0, SAVE_DIGEST(sp)
    sd t0, SAVE_RANDOM(sp)
    csrw satp, zero
    csrw 0x3a0, zero
    csrw mie, zero
    li t0, -1
    csrc mip, t0

    li t0, SYS_S_HANDLER            // which a program in M may have hit
    li t1, SYS_S_COPY
    la t2, s_handler_end
1:  ld t3, (t1)
    sd t3, (t0)
    addi t0, t0, 8
    addi t1, t1, 8
    bltu t0, t2, 1b
    li t0, SYS_ARENA + SYS_CODE     // the code, zeros behind it
    ld t1, 8 * SYS_H_CODE(s4)
    ld t2, 8 * SYS_H_CODE_LEN(s4)
    add t2, t2, t0
1:  ld t3, (t1)
    sd t3, (t0)
    addi t0, t0, 8
    addi t1, t1, 8
    bltu t0, t2, 1b
    li t2, SYS_ARENA + SYS_CODE + SYS_CODE_BYTES
2:  bgeu t0, t2, 3f
    sd zero, (t0)
    addi t0, t0, 8
    j 2b
3:  li t0, SYS_ARENA + SYS_DATA
    ld t1, 8 * SYS_H_DATA(s4)
    li t2, SYS_ARENA + SYS_DATA + SYS_DATA_BYTES
4:  ld t3, (t1)
    sd t3, (t0)
    addi t0, t0, 8
    addi t1, t1, 8
    bltu t0, t2, 4b
    la t3, leaves
5:  ld t0, (t3)                     // the tables that change
    beqz t0, 7f
    addi t1, t0, 8 * SYS_LEAF_USED
6:  sd zero, (t0)
    addi t0, t0, 8
    bltu t0, t1, 6b
    addi t3, t3, 8
    j 5b
7:  ld t0, 8 * SYS_H_POKES(s4)
    ld t1, 8 * SYS_H_N_POKES(s4)
8:  beqz t1, 9f
    ld t2, 0(t0)
    ld t3, 8(t0)
    sd t3, (t2)
    addi t0, t0, 16
    addi t1, t1, -1
    j 8b
9:  addi t1, s4, 8 * SYS_H_CSR
#define SYS_CSR(name, number) ld t0, (t1); csrw number, t0; addi t1, t1, 8
#include "tests/system/csr.def"
#undef SYS_CSR
    li t0, SYS_S_SAVE
    csrw sscratch, t0
    sfence.vma
    fence.i

    li t0, MSTATUS_FS
    csrs mstatus, t0
    addi t1, s4, 8 * SYS_H_F
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fld f\n, 8 * \n(t1)
    .endr
    ld t0, 8 * SYS_H_FCSR(s4)
    csrw fcsr, t0
    ld t0, 8 * (SYS_H_CSR + SYS_N_CSR - 1)(s4)
    csrw mstatus, t0
    addi t1, s4, 8 * SYS_H_X
    li t3, 8
1:  add t4, t1, t3
    ld t0, (t4)
    add t4, sp, t3
    sd t0, (t4)
    addi t3, t3, 8
    li t0, 256
    bltu t3, t0, 1b
    ld t0, 8 * SYS_H_PATIENCE(s4)
    andi t1, s5, SYS_CHAOS
    beqz t1, 2f
    li t0, 1
2:  call alarm_in
    mv t0, zero
    j enter_chunk

// The timer interrupt comes t0 ticks from now. Uses t1, t2.
alarm_in:
    li t1, MTIME
    ld t2, (t1)
    add t0, t0, t2
    li t1, MTIMECMP
    sd t0, (t1)
    ret

// ---- Traps to M ----------------------------------------------------------------------------
    .balign 64
vectors:
    .rept 16
    .option push
    .option norvc
    j m_trap
    .option pop
    .endr

m_trap:
    csrrw sp, mscratch, sp
    .irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\n, 8 * \n(sp)
    .endr
    csrrw t0, mscratch, sp
    sd t0, 16(sp)
    csrr s0, mcause
    csrr s1, mepc
    csrr s2, mtval
    csrr s3, mstatus
    ld s4, SAVE_HEADER(sp)
    ld s5, 8 * SYS_H_FLAGS(s4)
    csrr t0, minstret
    ld t1, SAVE_BEGAN(sp)
    sub t0, t0, t1
    ld t1, SAVE_INSNS(sp)
    add t0, t0, t1
    sd t0, SAVE_INSNS(sp)

    li t0, 1 << 63 | 7
    beq s0, t0, timer
    li t0, 3
    bne s0, t0, ordinary
    csrw mtval, zero                // an ebreak's may be 0 or its address
    ld t0, 8 * 29(sp)
    li t1, SYS_GOTO
    beq t0, t1, service_goto
    li t1, SYS_COUNT
    beq t0, t1, service_count
    li t1, SYS_END
    beq t0, t1, end
    li t1, SYS_S_TRAP
    beq t0, t1, service_s_trap

ordinary:
    mv s6, s0
    mv s7, s1
    mv s8, s3
    mv s9, s2
    call name_cause
    mv s0, s6
    mv s2, s9
    csrw mcause, s0
    csrw mtval, s2
    ld s10, SAVE_DIGEST(sp)
    li s11, 0x9fb21c651e98df25
    mix s0
    mix s1
    mix s2
    mix s3
    tell 'T', s0
    tell 'e', s1
    tell 'v', s2
    tell 's', s3
    mv a2, s2
    mv a3, s0
    call tell_leaf
    mv s6, sp
    call log_registers
    call count_trap
    srli t0, s1, 12                 // a trap in the handler of S: nothing to step over
    li t1, SYS_S_HANDLER >> 12
    beq t0, t1, next_chunk
    li t0, 2
    bne s0, t0, 1f
    sfence.vma                      // it may have been one, which TVM forbade
1:  mv s6, s0
    mv s7, s1
    mv s8, s3
    call step_over
    csrw mepc, s7
resume:
    csrr t0, minstret               // these loads and the stores at a trap are 75 of ours
    addi t0, t0, 75
    sd t0, SAVE_BEGAN(sp)
    .irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\n, 8 * \n(sp)
    .endr
    ld sp, 16(sp)
    mret

// QEMU 7.2 takes an atomic's fault for a load's (Privileged, table of scause: "Store/AMO"), and has the address of
// an access fault but for the last bits. Where that is wished:
// s6: cause, s9: tval, s7: epc, s8: as in step_over. s6 is the store's cause then. Uses t0 to t2.
name_cause:
    andi t0, s5, SYS_LIKE_QEMU
    beqz t0, 2f
    bltz s6, 2f
    addi t0, s6, -3                 // and of an ebreak none
    bnez t0, 4f
    beqz s9, 4f
    count_alike 2
    li s9, 0
4:
    ori t0, s6, 2
    addi t0, t0, -7
    bnez t0, 3f
    andi t0, s9, 7
    beqz t0, 3f
    count_alike 1
    andi s9, s9, -8
3:
    li t0, 1 << 4 | 1 << 5 | 1 << 13
    srl t0, t0, s6
    andi t0, t0, 1
    beqz t0, 2f
    la t0, 1f
    csrrw t1, mtvec, t0
    li t0, MSTATUS_PROBE
    or t0, t0, s8
    csrw mstatus, t0
    lhu t2, (s7)
    csrw mstatus, s3
    csrw mtvec, t1
    andi t2, t2, 127
    addi t2, t2, -0x2f
    bnez t2, 2f
    count_alike 0
    ori s6, s6, 2
    ret
    .balign 4
1:  csrw mtvec, t1                  // it is not there any more
    csrw mstatus, s3
2:  ret

// s6: cause, s7: epc, s8: status of the trap (its MPP is where it came from). s7: where to go
// on; does not come back where the next chunk does.
step_over:
    bgez s6, 1f
    li t0, 1                        // an interrupt: not again
    sll t0, t0, s6
    csrc mie, t0
    ret
1:  li t0, 1 << 0 | 1 << 1 | 1 << 12
    srl t0, t0, s6
    andi t0, t0, 1
    bnez t0, next_chunk
    la t0, probe_failed             // how long is it? Read it as the program would
    csrrw t1, mtvec, t0
    li t0, MSTATUS_PROBE
    or t0, t0, s8
    csrw mstatus, t0
    lhu t2, (s7)
    csrw mstatus, s3
    csrw mtvec, t1
    not t2, t2
    andi t2, t2, 3
    addi s7, s7, 4
    beqz t2, 2f
    addi s7, s7, -2
2:  ret
    .balign 4
probe_failed:
    csrw mtvec, t1
    csrw mstatus, s3

next_chunk:
    ld t0, SAVE_CHUNK(sp)
    addi t0, t0, 1
    sd t0, SAVE_CHUNK(sp)
    ld t1, 8 * SYS_H_CHUNKS(s4)
    bgeu t0, t1, end
    mv t4, t0
    tell 'N', t4
    ld t0, SAVE_CHUNK(sp)
// t0: a chunk's number
enter_chunk:
    slli t0, t0, 3
    add t0, t0, s4
    ld t0, 8 * SYS_H_CHUNK(t0)
// t0: offset | mode << 32
enter:
    li t1, SYS_S_SAVE
    csrw sscratch, t1
    srli t1, t0, 32
    andi t1, t1, 3
    slli t0, t0, 32
    srli t0, t0, 32
    li t2, 0x20000 | MSTATUS_MPP    // with MPRV, MPP would hold for our own loads
    csrc mstatus, t2
    slli t2, t1, 11
    csrs mstatus, t2
    slli t1, t1, 32
    or t0, t0, t1
    call alias
    slli t0, t0, 32
    srli t0, t0, 32
    add t0, t0, t2
    andi t0, t0, -2                 // for QEMU, which keeps bit 0
    csrw mepc, t0
    j resume

// t2: where the mode in t0 >> 32 sees the code. Uses t1, t3.
alias:
    csrr t3, satp
    srli t3, t3, 60
    li t2, SYS_ARENA + SYS_CODE
    beqz t3, 1f                     // bare
    srli t1, t0, 32
    addi t3, t1, -3
    beqz t3, 1f                     // M
    ld t2, 8 * SYS_H_ALIAS_U(s4)
    beqz t1, 1f
    ld t2, 8 * SYS_H_ALIAS_S(s4)
1:  ret

// Where a fetch or a store found a page fault (a3: cause, a2: tval): the leaf entry under Sv39, of tables in the arena,
// or 0. Uses a4, t0 to t6.
tell_leaf:
    andi t0, s5, SYS_VERBOSE
    beqz t0, 4f
    li t0, 1 << 12 | 1 << 15
    srl t0, t0, a3
    andi t0, t0, 1
    beqz t0, 4f
    bltz a3, 4f
    mv a4, ra
    csrr t3, satp
    slli t3, t3, 20                 // PPN to an address
    srli t3, t3, 8
    li t4, 30
1:  srl t5, a2, t4
    andi t5, t5, 511
    slli t5, t5, 3
    add t5, t5, t3
    li t6, SYS_ARENA
    sub t6, t5, t6
    srli t6, t6, 21
    bnez t6, 2f
    ld t3, (t5)
    andi t5, t3, 0xe                // R, W, X
    bnez t5, 3f
    andi t5, t3, 1
    beqz t5, 2f
    srli t3, t3, 10
    slli t3, t3, 12
    addi t4, t4, -9
    li t5, 12
    bge t4, t5, 1b
2:  li t3, 0
3:  tell 'W', t3
    mv ra, a4
4:  ret

// Mixes 31 registers at s6, and fcsr; prints those that are not what they were at the trap before.
log_registers:
    mv s9, ra
    addi s7, s6, 8
    addi s8, s6, 256
1:  ld a0, (s7)
    mix a0
    andi t0, s5, SYS_VERBOSE
    beqz t0, 2f
    sub t1, s7, s6                  // its number is its letter
    li t0, 1024
    add t0, t0, sp
    add t0, t0, t1
    ld t2, (t0)
    beq t2, a0, 2f
    sd a0, (t0)
    srli t1, t1, 3
    addi t1, t1, 128
    call print
2:  addi s7, s7, 8
    bltu s7, s8, 1b
    li t0, MSTATUS_FS
    csrs mstatus, t0
    csrr a0, fcsr
    csrw mstatus, s3
    mix a0
    sd s10, SAVE_DIGEST(sp)
    tell 'c', a0
    jr s9

count_trap:
    ld t0, SAVE_TRAPS(sp)
    addi t0, t0, 1
    sd t0, SAVE_TRAPS(sp)
    li t1, SYS_MAX_TRAPS
    bgeu t0, t1, end
    ret

service_count:
    call count_trap
    addi s1, s1, 4
    csrw mepc, s1
    j resume

service_goto:
    call count_trap
    ld t4, 8 * 30(sp)
    tell 'G', t4
    ld t4, 8 * 31(sp)
    ld t0, 8 * 30(sp)
    call alias
    slli t1, t4, 48
    srli t1, t1, 48
    add t1, t1, t2
    sd t1, 8 * 29(sp)
    srli t4, t4, 16
    slli t1, t4, 48
    srli t1, t1, 48
    add t1, t1, t2
    sd t1, 8 * 30(sp)
    srli t4, t4, 16
    sd t4, 8 * 31(sp)
    j enter

// The handler of S keeps the program's registers and what it saw in SYS_S_SAVE.
service_s_trap:
    li a7, SYS_S_SAVE
    ld s10, SAVE_DIGEST(sp)
    li s11, 0x9fb21c651e98df25
    ld s6, S_CAUSE(a7)
    ld s7, S_EPC(a7)
    ld s8, S_STATUS(a7)             // SPP to MPP
    srli s8, s8, 8
    andi s8, s8, 1
    slli s8, s8, 11
    ld s9, S_TVAL(a7)
    call name_cause
    csrw scause, s6
    csrw stval, s9
    sd s6, S_CAUSE(a7)
    mv t3, s6
    ld t4, S_EPC(a7)
    mv t5, s9
    ld t6, S_STATUS(a7)
    mix t3
    mix t4
    mix t5
    mix t6
    tell 'S', t3
    tell 'e', t4
    tell 'v', t5
    tell 's', t6
    mv a2, t5
    mv a3, t3
    call tell_leaf
    mv s6, a7
    call log_registers
    li t0, 8
1:  add t1, a7, t0                  // the next chunk begins with the program's registers
    ld t2, (t1)
    add t1, sp, t0
    ld t3, (t1)
    sd t2, (t1)
    sd t3, 2047 - 511(t1)
    addi t0, t0, 8
    li t1, 256
    bltu t0, t1, 1b
    call count_trap
    ld s6, S_CAUSE(a7)
    li t0, 2
    bne s6, t0, 1f
    sfence.vma                      // as in `ordinary`
1:  ld s7, S_EPC(a7)
    ld s8, S_STATUS(a7)             // SPP to MPP
    srli s8, s8, 8
    andi s8, s8, 1
    slli s8, s8, 11
    call step_over
    csrw sepc, s7
    addi s1, s1, 4
    csrw mepc, s1
    li t0, 8
2:  add t1, sp, t0                  // but the handler goes on with its own
    ld t3, 2047 - 511(t1)
    sd t3, (t1)
    addi t0, t0, 8
    li t1, 256
    bltu t0, t1, 2b
    j resume

timer:
    andi t0, s5, SYS_CHAOS
    beqz t0, hangs
    ld t0, SAVE_TICKS(sp)
    addi t0, t0, 1
    sd t0, SAVE_TICKS(sp)
    addi t0, t0, -CHAOS_TICKS       // then it only watches, and the next time is the last
    bgtz t0, hangs
    beqz t0, 1f
    ld t0, SAVE_RANDOM(sp)
    li t1, 0x5851f42d4c957f2d
    mul t0, t0, t1
    addi t0, t0, 77
    sd t0, SAVE_RANDOM(sp)
    srli t1, t0, 63                 // soon, or later: there must be progress
    slli t0, t0, 1
    srli t0, t0, 54
    beqz t1, 2f
    andi t0, t0, 7
    j 2f
1:  ld t0, 8 * SYS_H_PATIENCE(s4)
2:  call alarm_in
    j resume

hangs:
    li t1, 'H'
without_end:
    ld t0, SAVE_BEFORE(sp)
    sd t0, SAVE_INSNS(sp)
    ld a0, 8 * SYS_H_ID(s4)
    call print
    ld a0, SAVE_DIGEST(sp)          // of the traps: their number is bounded, so what hangs has had all
    j tell_end

// ---- A program's end -----------------------------------------------------------------------

end:
    li t0, -1
    li t1, MTIMECMP
    sd t0, (t1)
    ld s10, SAVE_DIGEST(sp)
    li s11, 0x9fb21c651e98df25
    mv s6, sp
    call log_registers
    li t0, MSTATUS_FS
    csrs mstatus, t0
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fmv.x.d a3, f\n
    mix a3
    tell \n + 160, a3
    .endr
    csrw mstatus, s3
    li s6, SYS_FIRST_CSR
#define SYS_CSR(name, number) csrr a3, number; .if number == 0x30a; call without_adue; .endif; call mix_csr
#include "tests/system/csr.def"
#undef SYS_CSR
    csrr a3, mip
    andi a3, a3, 0x222              // the M timer left out
    call mix_csr
    li t0, MSTATUS_MPP              // memory is read as what it is: not as another mode, nor
    csrs mstatus, t0                // with ranges that an access matches in part, for M too
    csrw pmpcfg0, zero
    la s6, ranges
1:  ld s7, 0(s6)
    beqz s7, 4f
    ld s8, 8(s6)
2:  ld a3, 0(s7)
    mix a3
    ld a3, 8(s7)
    mix a3
    addi s7, s7, 16
    andi t0, s7, 127
    bnez t0, 3f
    andi t0, s5, SYS_VERBOSE
    beqz t0, 3f
    addi a0, s7, -128
    tell 'A', a0
    tell 'd', s10
3:  bltu s7, s8, 2b
    addi s6, s6, 16
    j 1b
4:  ld a0, 8 * SYS_H_ID(s4)
    li t1, 'P'
    call print
    mv a0, s10
tell_end:
    li t1, 'D'
    call print
    ld a0, SAVE_TRAPS(sp)
    li t1, '#'
    call print
next_program:
    li t1, '\n'
    li t0, UART
    sb t1, (t0)
    andi t0, s5, SYS_LAST
    bnez t0, power_off
    addi s4, s4, 8 * SYS_H_LEN
    sd s4, SAVE_HEADER(sp)
    j begin

// QEMU has no bit for what it always does, ADUE: the upper bits are left out.
without_adue:
    andi t0, s5, SYS_LIKE_QEMU
    beqz t0, 1f
    slli a3, a3, 3
    srli a3, a3, 3
1:  ret

mix_csr:
    mv s9, ra
    mix a3
    tell 'C', s6
    tell '=', a3
    addi s6, s6, 1
    jr s9

power_off:
    ld a0, SAVE_INSNS(sp)
    li t1, 'I'
    call print
    .irp n, 0,1,2
    ld a0, SAVE_ALIKE + 8 * \n(sp)
    li t1, 'B'
    call print
    .endr
    li t1, '\n'
    sb t1, (t0)
    li t0, FINISHER
    li t1, 0x5555
    sw t1, (t0)
1:  j 1b

// A newline where it is a letter of its own line; the letter t1 (a register's number above 127: 128 x, 160 f),
// a0 in hexadecimal and a space. Uses t0, t1, t2, a0, a1.
print:
    li t0, UART
    sb t1, (t0)
    li t2, 60
1:  srl a1, a0, t2
    andi a1, a1, 15
    addi a1, a1, '0'
    li t1, '9'
    bleu a1, t1, 2f
    addi a1, a1, 'a' - '0' - 10
2:  sb a1, (t0)
    addi t2, t2, -4
    bgez t2, 1b
    li t1, ' '
    sb t1, (t0)
    ret

    .balign 8
leaves:
    .dword SYS_ARENA + SYS_LEAF_A, SYS_ARENA + SYS_LEAF_B, SYS_ARENA + SYS_LEAF_ID, 0
ranges:
    .dword SYS_ARENA + SYS_CODE, SYS_ARENA + SYS_CODE + SYS_CODE_BYTES
    .dword SYS_ARENA + SYS_DATA, SYS_ARENA + SYS_DATA + SYS_DATA_BYTES
    .dword SYS_ARENA + SYS_LEAF_A, SYS_ARENA + SYS_LEAF_A + 8 * SYS_LEAF_USED
    .dword SYS_ARENA + SYS_LEAF_B, SYS_ARENA + SYS_LEAF_B + 8 * SYS_LEAF_USED
    .dword SYS_ARENA + SYS_LEAF_ID, SYS_ARENA + SYS_LEAF_ID + 8 * SYS_LEAF_USED
    .dword SYS_ARENA + SYS_MIDDLE_A, SYS_ARENA + SYS_MIDDLE_A + 128
    .dword SYS_ARENA + SYS_MIDDLE_B, SYS_ARENA + SYS_MIDDLE_B + 128
    .dword 0

// ---- Delegated traps -----------------------------------------------------------------------

    .org SYS_S_HANDLER - SYS_RUNTIME
    .option norvc
s_vectors:
    .rept 16
    j s_trap
    .endr
s_trap:
    csrrw sp, sscratch, sp
    .irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\n, 8 * \n(sp)
    .endr
    csrr t0, sscratch
    sd t0, 16(sp)
    csrr t0, scause
    sd t0, S_CAUSE(sp)
    csrr t0, sepc
    sd t0, S_EPC(sp)
    csrr t0, stval
    sd t0, S_TVAL(sp)
    csrr t0, sstatus
    sd t0, S_STATUS(sp)
    li x29, SYS_S_TRAP
    ebreak
    csrw sscratch, sp
    .irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\n, 8 * \n(sp)
    .endr
    ld sp, 16(sp)
    sret
    .balign 8
s_handler_end:
