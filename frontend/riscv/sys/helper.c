/* What translated code calls besides CSR access: privileged instructions, cache
 * blocks, atomics. rv_helper.h says what each must do. */
#include "frontend/riscv/rv_helper.h"

#include <sched.h>

#include "dbt/base/serialize.h"
#include "frontend/riscv/sys/sys.h"

static struct rv_hart *hart(struct cpu_state *s)
{
    return (struct rv_hart *)s;
}

static void legal_or_raise(struct cpu_state *s, bool legal, uint64_t word)
{
    if (!legal)
        state_raise(s, RV_ILLEGAL, (uint32_t)word);
}

/* In S unless the mstatus bit forbids it, in M always, in U never. */
static bool supervisor_may(const struct rv_hart *h, uint64_t forbidding)
{
    return h->priv == RV_M || (h->priv == RV_S && !(h->mstatus & forbidding));
}

/* ---- Returns, waiting, fences ---------------------------------------------------- */

uint64_t rv_help_ecall(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)k, (void)a, (void)b, (void)c;
    if (hart(s)->traps_seen)
        state_raise(s, RV_ECALL_U, 0);
    s->pc = s->page_va + s->insn_off;
    rv_trap(hart(s), RV_ECALL_U, 0);
    return s->pc;
}

uint64_t rv_help_mret(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)a, (void)b, (void)c;
    legal_or_raise(s, hart(s)->priv == RV_M, k);
    return rv_mret(hart(s));
}

uint64_t rv_help_sret(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)a, (void)b, (void)c;
    legal_or_raise(s, supervisor_may(hart(s), RV_STATUS_TSR), k);
    return rv_sret(hart(s));
}

/* Who says so waits for what another hart, or a device, is to do; here for a time that hurts nobody
 * when the other runs. */
static bool has_spun(struct rv_hart *h)
{
    enum { PAUSES = 32 };

    __builtin_ia32_pause();
    return rv_n_harts(h) > 1 && ++h->n_pauses % PAUSES == 0;
}

/* With more harts than host cores the other may be waiting for this one's core: where harts share
 * processors, or in virtual time, it gives way; else the host is asked to let somebody else run. */
void rv_let_others_run(struct rv_hart *h)
{
    h->has_paused = true;
    if (h->virtual_time || h->yields)
        state_pend(&h->s, PENDING_YIELD);
    else
        sched_yield();
}

static void spins(struct rv_hart *h, enum rv_spin what)
{
    if (h->spins)
        h->spins(h->now_arg, what);
    else
        rv_let_others_run(h);
}

/* The run loop sleeps at the next boundary; it asks rv_wakes() before it does. A hart that is not
 * to sleep may be one that waits all the same, in a loop, for something else than what is pending:
 * OpenSBI's do so from its start to their own. */
uint64_t rv_help_wfi(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)a, (void)b, (void)c;
    legal_or_raise(s, supervisor_may(hart(s), RV_STATUS_TW), k);
    if (!rv_wakes(hart(s)))
        state_pend(s, PENDING_WAIT);
    else if (has_spun(hart(s)))
        spins(hart(s), RV_SPIN_WFI);
    return 0;
}

/* Waiting for the reservation to go is optional, and the wait is over at once:
 * so wrs.nto never outlasts the limit after which TW would make it illegal, but
 * software that traps it wants to see it. */
uint64_t rv_help_wrs(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    bool trapped = hart(s)->priv != RV_M && (hart(s)->mstatus & RV_STATUS_TW);

    (void)a, (void)b, (void)c;
    legal_or_raise(s, rv_k_wrs_short(k) || !trapped, k);
    if (!has_spun(hart(s)))
        return 0;
    if (s->reservation)
        spins(hart(s), RV_SPIN_WORD);
    else
        rv_let_others_run(hart(s));
    return 0;
}

uint64_t rv_help_pause(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)k, (void)a, (void)b, (void)c;
    if (has_spun(hart(s)))
        spins(hart(s), RV_SPIN_PAUSE);
    return 0;
}

uint64_t rv_help_sfence(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    legal_or_raise(s, supervisor_may(hart(s), RV_STATUS_TVM), k);
    hart(s)->walks_ended |= hart(s)->priv == RV_M;
    mmu_fence(s->mmu, rv_k_rs1(k) == 0, a, rv_k_rs2(k) == 0, (uint16_t)b);
    return 0;
}

uint64_t rv_help_sinval_check(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)a, (void)b, (void)c;
    legal_or_raise(s, hart(s)->priv != RV_U, k);
    return 0;
}

/* Stores into code are noticed when they are made, and unlink it in all harts' way: what is left is
 * what this processor has fetched ahead of that. */
uint64_t rv_help_fence_i(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)s, (void)k, (void)a, (void)b, (void)c;
    host_serialize();
    return 0;
}

uint64_t rv_help_fs_dirty(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)k, (void)a, (void)b, (void)c;
    hart(s)->mstatus |= RV_STATUS_FS;
    rv_sync(hart(s));
    return 0;
}

uint64_t rv_help_jump_check(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)k, (void)b, (void)c;
    if (a & 3)
        state_raise(s, RV_FETCH_MISALIGNED, a);
    return 0;
}

/* ---- Cache blocks ---------------------------------------------------------------- */

bool rv_cbo_open(const struct rv_hart *h, uint64_t field)
{
    if (h->priv < RV_M && !(h->menvcfg & field))
        return false;
    return h->priv > RV_U || (h->senvcfg & field) != 0;
}

static uint64_t cbo_field(enum rv_cbo cbo)
{
    switch (cbo) {
    case RV_CBO_ZERO: return RV_ENVCFG_CBZE;
    case RV_CBO_INVAL: return RV_ENVCFG_CBIE;
    default: return RV_ENVCFG_CBCFE;
    }
}

uint64_t rv_help_cbo(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)b, (void)c;
    legal_or_raise(s, rv_cbo_open(hart(s), cbo_field(rv_k_cbo(k))), k);
    if (rv_k_cbo(k) == RV_CBO_ZERO)
        mmu_zero(s, a, RV_CBO_BLOCK);
    else
        mmu_probe_cbo(s, a);
    return 0;
}

/* ---- Atomics --------------------------------------------------------------------- */

uint64_t rv_help_amo(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return mmu_amo(s, a, rv_k_amo_size(k), rv_k_amo_op(k), b);
}

uint64_t rv_help_lr(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)b, (void)c;
    return mmu_lr(s, a, (unsigned)k);
}

uint64_t rv_help_sc(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return mmu_sc(s, a, rv_k_sc_size(k), b, rv_k_sc_paired(k));
}
