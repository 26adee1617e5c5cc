/* The guest as the run loop and the soft MMU see it: reset, what the mode key and
 * the rights words are, and the two tables of callbacks. */
#include <inttypes.h>
#include <string.h>

#include "frontend/riscv/sys/sys.h"

/* ---- Rights and mode ------------------------------------------------------------- */

static uint64_t rights(const struct rv_hart *h, enum rv_priv priv)
{
    uint64_t r = priv;

    if (priv == RV_M || rv_satp_mode(h->satp) == RV_SATP_BARE)
        return r;
    if (priv == RV_S && (h->mstatus & RV_STATUS_SUM))
        r |= RV_RIGHTS_SUM;
    if (h->mstatus & RV_STATUS_MXR)
        r |= RV_RIGHTS_MXR;
    return r;
}

uint64_t rv_data_rights(const struct rv_hart *h)
{
    if (h->mstatus & RV_STATUS_MPRV)
        return rights(h, (enum rv_priv)bits_get(h->mstatus, RV_STATUS_MPP_SHIFT, 2));
    return rights(h, h->priv);
}

uint64_t rv_fetch_rights(const struct rv_hart *h)
{
    return h->priv;
}

uint32_t rv_mode_key(const struct rv_hart *h)
{
    unsigned fs = (unsigned)(h->mstatus >> RV_STATUS_FS_SHIFT) & 3;
    uint32_t mode = h->priv;

    mode |= (fs == 0 || fs == 3 ? fs : 1) << RV_MODE_FS_SHIFT;
    if (h->frm == IR_RM_RMM)
        mode |= RV_MODE_FRM_RMM;
    if (h->frm > IR_RM_RMM)
        mode |= RV_MODE_FRM_INVALID;
    if (rv_counter_ok(h, 1))
        mode |= RV_MODE_TIME_OK;
    if (rv_cbo_open(h, RV_ENVCFG_CBZE))
        mode |= RV_MODE_ZERO_OK;
    return mode;
}

/* Machine mode that accesses memory as itself is a space of its own, without translation:
 * what firmware uses stays known whatever the kernel does with satp. */
void rv_sync(struct rv_hart *h)
{
    uint64_t data_rights = rv_data_rights(h);
    bool bare = data_rights == RV_M && h->priv == RV_M;
    uint64_t key = bare ? 0 : h->satp;
    uint32_t asid = (uint32_t)bits_get(key, 44, 16);

    h->walks_ended &= h->priv == RV_M;
    if (atomic_load_explicit(&h->asid, memory_order_relaxed) != asid)
        rv_enter_space(h, asid);
    mmu_switch(h->s.mmu, key, asid, data_rights, rv_fetch_rights(h), rv_mode_key(h));
    rv_sync_irq(h);
}

/* ---- Reset ----------------------------------------------------------------------- */

static uint64_t misa(const struct rv_cpu_model *m)
{
    static const struct {
        enum rv_ext ext;
        char letter;
    } rows[] = {
        {RV_EXT_m, 'm'}, {RV_EXT_a, 'a'}, {RV_EXT_f, 'f'}, {RV_EXT_d, 'd'}, {RV_EXT_c, 'c'},
    };
    uint64_t v = UINT64_C(2) << 62 | bit('i' - 'a') | bit('s' - 'a') | bit('u' - 'a');

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        v |= rv_has(m, rows[i].ext) ? bit((unsigned)(rows[i].letter - 'a')) : 0;
    return v;
}

/* Lines from outside keep their levels: they are the devices'. */
static void reset_csrs(struct rv_hart *h)
{
    h->mstatus = RV_STATUS_UXL | RV_STATUS_SXL;
    h->misa = misa(&h->model);
    h->mtvec = h->mscratch = h->mepc = h->mcause = h->mtval = 0;
    h->medeleg = h->mideleg = h->mie = 0;
    h->mcounteren = h->mcountinhibit = h->menvcfg = h->mseccfg = 0;
    h->stvec = h->sscratch = h->sepc = h->scause = h->stval = 0;
    h->satp = h->scounteren = h->senvcfg = 0;
    h->stimecmp = UINT64_MAX;
    h->builtin_sbi = false;
    atomic_store(&h->mip, 0);
    memset(h->pmpcfg, 0, sizeof(h->pmpcfg));
    memset(h->pmpaddr, 0, sizeof(h->pmpaddr));
    rv_counter_write(h, 0, 0);
    rv_counter_write(h, 2, 0);
}

void rv_hart_reset(struct rv_hart *h, uint64_t pc)
{
    memset(h->s.reg, 0, sizeof(h->s.reg));
    reset_csrs(h);
    rv_fcsr_set(h, 0, 0);
    h->priv = RV_M;
    h->walks_ended = true;
    h->s.pc = pc;
    atomic_fetch_and(&h->s.pending, ~(uint32_t)PENDING_WAIT);
    mmu_clear_reservation(h->s.mmu);
    mmu_flush_all(h->s.mmu);
    rv_timer_tick(h);
    rv_sync(h);
}

/* As firmware would leave it: all that S can handle is its own, and nothing that
 * the model has needs asking for. */
void rv_enter_supervisor(struct rv_hart *h, uint64_t pc, uint64_t a0, uint64_t a1)
{
    rv_hart_reset(h, pc);
    h->builtin_sbi = true;
    h->priv = RV_S;
    h->medeleg = RV_MEDELEG_MASK & ~bit(RV_ECALL_S);
    h->mideleg = RV_IRQ_S;
    h->menvcfg = rv_menvcfg_mask(&h->model) & ~RV_ENVCFG_FIOM;
    h->mcounteren = h->scounteren = UINT32_MAX;
    if (rv_has(&h->model, RV_EXT_f))
        h->mstatus |= UINT64_C(1) << RV_STATUS_FS_SHIFT;
    rv_pmpaddr_write(h, 0, UINT64_MAX); /* NAPOT, all of memory, RWX */
    rv_pmpcfg_write(h, 0, 0x1f);
    h->s.reg[10] = a0;
    h->s.reg[11] = a1;
    rv_timer_tick(h);
    rv_sync(h);
}

/* ---- For people ------------------------------------------------------------------ */

void rv_print_state(const struct rv_hart *h, FILE *out)
{
    static const char *const names[32] = {
        "zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
        "a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
        "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
    };

    fprintf(out, "%-14s %016" PRIx64 " %c\n", "pc", h->s.pc, "US?M"[h->priv]);
    for (unsigned i = 0; i < 32; i++)
        fprintf(out, "%-14s %016" PRIx64 "\n", names[i], h->s.reg[i]);
    for (unsigned i = 0; i < 32; i++)
        fprintf(out, "f%-13u %016" PRIx64 "\n", i, h->s.reg[STATE_FP + i]);
    rv_csr_print(h, out);
}

/* ---- The tables ------------------------------------------------------------------ */

const struct mmu_guest rv_mmu_guest = {
    .walk = rv_walk,
    .peek = rv_peek,
    .shares_view = rv_shares_view,
    .shares_code = rv_shares_code,
    .walks_alike = rv_walks_alike,
    .window_bound = rv_window_bound,
    .allowed = rv_pmp_allowed,
    .domain = rv_domain,
    .access_fault = rv_access_fault,
    .misaligned = rv_misaligned,
};

static const struct rv_hart *as_hart(const struct cpu_state *s)
{
    return (const struct rv_hart *)s;
}

static void ops_build(struct ir_block *b, const struct cpu_state *s, uint64_t gpa, uint32_t mode,
                      const struct guest_fetch *fetch, unsigned max_insns)
{
    rv_build_block(b, &as_hart(s)->model, gpa, mode, fetch, max_insns);
}

static uint32_t ops_mode_key(const struct cpu_state *s)
{
    return rv_mode_key(as_hart(s));
}

static void ops_sync(struct cpu_state *s)
{
    rv_sync((struct rv_hart *)s);
}

static void ops_trap(struct cpu_state *s, uint64_t cause, uint64_t tval)
{
    rv_trap((struct rv_hart *)s, cause, tval);
}

static bool ops_interrupt(struct cpu_state *s)
{
    return rv_interrupt((struct rv_hart *)s);
}

static bool ops_wakes(const struct cpu_state *s)
{
    return rv_wakes(as_hart(s));
}

static void ops_print_state(const struct cpu_state *s, FILE *out)
{
    rv_print_state(as_hart(s), out);
}

const struct guest_ops rv_guest_ops = {
    .name = "riscv64",
    .state_size = sizeof(struct rv_hart),
    .build = ops_build,
    .disasm = rv_disasm,
    .helpers = rv_helpers,
    .mode_key = ops_mode_key,
    .sync = ops_sync,
    .trap = ops_trap,
    .interrupt = ops_interrupt,
    .wakes = ops_wakes,
    .print_state = ops_print_state,
    .cause_name = rv_cause_name,
};
