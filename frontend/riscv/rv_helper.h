/* What built RISC-V code asks of C: rows of rv_helper.def, bodies in sys/. Each
 * has the type ir_helper_fn; cpu_state.insn_off is that of the instruction, and
 * state_raise() raises there with nothing of the instruction done.
 *
 * k. For csr, mret, sret, wfi, sfence, sinval_check, cbo and wrs k is the
 * instruction's 32-bit word: its fields say the rest (rv_k_* below), and it is
 * the tval when the instruction turns out to be illegal. */
#pragma once

#include "dbt/ir/ir.h"
#include "softmmu/mmu.h"

enum rv_helper_id {
    RV_HELP_before_first = IR_HELPER_COUNT - 1,
#define RV_HELPER(name, fn, n) RV_HELP_##name,
#include "frontend/riscv/rv_helper.def"
#undef RV_HELPER
    RV_HELP_END
};

/* ---- k: fields of an instruction word --------------------------------------- */

static inline unsigned rv_k_rd(uint64_t k)
{
    return (unsigned)(k >> 7) & 31;
}
static inline unsigned rv_k_funct3(uint64_t k)
{
    return (unsigned)(k >> 12) & 7;
}
static inline unsigned rv_k_rs1(uint64_t k)
{
    return (unsigned)(k >> 15) & 31;
}
static inline unsigned rv_k_rs2(uint64_t k)
{
    return (unsigned)(k >> 20) & 31;
}
static inline unsigned rv_k_csr(uint64_t k)
{
    return (unsigned)(k >> 20) & 0xfff;
}

/* csr: does it write the CSR? csrrw[i] always; csrrs[i] and csrrc[i] unless the
 * rs1 field is 0, whatever the register holds (Zicsr, table "Conditions"). */
static inline bool rv_k_csr_writes(uint64_t k)
{
    return (rv_k_funct3(k) & 3) == 1 || rv_k_rs1(k) != 0;
}

/* csr: does it read the CSR? All but csrrw[i] with rd = x0. */
static inline bool rv_k_csr_reads(uint64_t k)
{
    return (rv_k_funct3(k) & 3) != 1 || rv_k_rd(k) != 0;
}

/* cbo: what the immediate field names. */
enum rv_cbo { RV_CBO_INVAL = 0, RV_CBO_CLEAN = 1, RV_CBO_FLUSH = 2, RV_CBO_ZERO = 4 };
static inline enum rv_cbo rv_k_cbo(uint64_t k)
{
    return (enum rv_cbo)(k >> 20 & 0xfff);
}

/* wrs: is it wrs.sto, the one with a short time-out? (else wrs.nto) */
static inline bool rv_k_wrs_short(uint64_t k)
{
    return (k >> 20 & 0xfff) == 0x01d;
}

/* ---- k: atomics --------------------------------------------------------------- */

/* amo: enum mmu_amo and the size in bytes, 4 or 8. lr: k is the size. */
static inline uint32_t rv_k_amo(enum mmu_amo op, unsigned size)
{
    return (uint32_t)op | size << 8;
}
static inline enum mmu_amo rv_k_amo_op(uint64_t k)
{
    return (enum mmu_amo)(k & 0xff);
}
static inline unsigned rv_k_amo_size(uint64_t k)
{
    return (unsigned)(k >> 8) & 0xff;
}

/* sc: the size, and whether it is paired (mmu_sc). */
static inline uint32_t rv_k_sc(unsigned size, bool paired)
{
    return size | (uint32_t)paired << 8;
}
static inline unsigned rv_k_sc_size(uint64_t k)
{
    return (unsigned)k & 0xff;
}
static inline bool rv_k_sc_paired(uint64_t k)
{
    return (k >> 8 & 1) != 0;
}

/* ---- The functions: the hart's thread, from translated code ------------------- */

/* csr           a: the source operand (register or zero-extended uimm). Reads and
 *               writes as word k says; returns the old value for rd (the caller
 *               sets it). Raises illegal instruction (cause 2, tval k) itself. The
 *               block is left by exit_jump after a write.
 * amo           k: rv_k_amo(); a: va, b: operand. Returns the old value, 32-bit ones
 *               sign-extended. A misaligned va raises.
 * lr            k: size; a: va. Returns the value, 32-bit ones sign-extended.
 * sc            k: rv_k_sc(); a: va, b: value. 0 stored, 1 failed.
 * fs_dirty      mstatus.FS becomes dirty, the mode key follows; the instruction is
 *               then executed again under the new key.
 * fence_i       fence.i; the block is left after it.
 * ecall         from U: takes the trap and returns the new pc.
 * mret, sret    return the new pc, after privilege and mode have changed; illegal
 *               when the privilege or TSR says so.
 * wfi           waits from the next block boundary on; illegal as U/TW say.
 * sfence        sfence.vma and sinval.vma: k: the word, its rs1 and rs2 fields being 0
 *               means all; a: va, b: asid. Illegal in U, and in S under TVM.
 * sinval_check  sfence.w.inval and sfence.inval.ir: illegal in U, nothing else.
 * cbo           rv_k_cbo(k); a: va. Illegal as menvcfg and senvcfg say. The caller
 *               emits exit_pending after it.
 * wrs           may return at once; illegal as TW says for wrs.nto.
 * pause         gives the host's processor a hint; in virtual time, the hart's turn away. The
 *               caller emits exit_pending after it there, as after wrs.
 * jump_check    a: the target of a jump; raises cause 0 with the target as tval unless
 *               it is a multiple of 4. Only called for models without C. */
#define RV_HELPER(name, fn, n) ir_helper_fn fn;
#include "frontend/riscv/rv_helper.def"
#undef RV_HELPER
