#include "tests/lib/priv_rig.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "dbt/base/check.h"
#include "dbt/ir/ir.h"
#include "frontend/riscv/rv_helper.h"

/* ---- State ------------------------------------------------------------------------------- */

/* The registers of both that are one word with the same meaning. */
#define WORD(name)                                                                                 \
    {                                                                                              \
        offsetof(struct pr_hart, name), offsetof(struct rv_hart, name)                             \
    }
static const struct {
    size_t rules, ours;
} words[] = {
    WORD(mstatus),    WORD(misa),       WORD(hartid),        WORD(mtvec),   WORD(medeleg),
    WORD(mideleg),    WORD(mie),        WORD(mscratch),      WORD(mepc),    WORD(mcause),
    WORD(mtval),      WORD(mcounteren), WORD(mcountinhibit), WORD(menvcfg), WORD(stvec),
    WORD(scounteren), WORD(senvcfg),    WORD(sscratch),      WORD(sepc),    WORD(scause),
    WORD(stval),      WORD(satp),       WORD(stimecmp),
};
enum { N_WORDS = sizeof(words) / sizeof(words[0]) };

static void model_from_hart(struct pr_hart *p, const struct rv_cpu_model *m)
{
    p->f = rv_has(m, RV_EXT_f);
    p->c = rv_has(m, RV_EXT_c);
    p->zicntr = rv_has(m, RV_EXT_zicntr);
    p->sstc = rv_has(m, RV_EXT_sstc);
    p->svadu = rv_has(m, RV_EXT_svadu);
    p->svpbmt = rv_has(m, RV_EXT_svpbmt);
    p->svnapot = rv_has(m, RV_EXT_svnapot);
    p->zicbom = rv_has(m, RV_EXT_zicbom);
    p->zicboz = rv_has(m, RV_EXT_zicboz);
}

void priv_from_hart(struct pr_hart *p, const struct rv_hart *h)
{
    memset(p, 0, sizeof(*p));
    model_from_hart(p, &h->model);
    p->priv = (unsigned)h->priv;
    p->pc = h->s.pc;
    p->time = h->now_ticks ? h->now_ticks(h->now_arg) : 0;
    p->mip = atomic_load(&h->mip);
    /* The timer's line is stimecmp's: the rules know it from the clock. */
    p->line = atomic_load(&h->mip_line) & ~bit(RV_STI);
    p->frm = h->frm;
    p->fflags = (uint8_t)rv_fflags(h);
    for (unsigned i = 0; i < N_WORDS; i++)
        memcpy((char *)p + words[i].rules, (const char *)h + words[i].ours, sizeof(uint64_t));
    memcpy(p->pmpcfg, h->pmpcfg, sizeof(p->pmpcfg));
    memcpy(p->pmpaddr, h->pmpaddr, sizeof(p->pmpaddr));
}

/* As M would, after a reset of the locks: what the hart has to drop when they change, it drops. */
static void pmp_to_hart(const struct pr_hart *p, struct rv_hart *h)
{
    if (memcmp(p->pmpcfg, h->pmpcfg, sizeof(p->pmpcfg)) == 0 &&
        memcmp(p->pmpaddr, h->pmpaddr, sizeof(p->pmpaddr)) == 0)
        return;
    for (unsigned i = 0; i < RV_N_PMP; i++)
        h->pmpcfg[i] &= 0x7f;
    for (unsigned first = 0; first < RV_N_PMP; first += 8)
        rv_pmpcfg_write(h, first, 0);
    for (unsigned i = 0; i < RV_N_PMP; i++)
        rv_pmpaddr_write(h, i, p->pmpaddr[i]);
    for (unsigned first = 0; first < RV_N_PMP; first += 8) {
        uint64_t v;

        memcpy(&v, p->pmpcfg + first, sizeof(v));
        rv_pmpcfg_write(h, first, v);
    }
}

void priv_to_hart(const struct pr_hart *p, struct rv_hart *h)
{
    h->priv = (enum rv_priv)p->priv;
    h->s.pc = p->pc;
    atomic_store(&h->mip, p->mip);
    atomic_store(&h->mip_line, p->line);
    rv_fcsr_set(h, p->frm, p->fflags);
    rv_menvcfg_write(h, p->menvcfg);
    for (unsigned i = 0; i < N_WORDS; i++)
        memcpy((char *)h + words[i].ours, (const char *)p + words[i].rules, sizeof(uint64_t));
    pmp_to_hart(p, h);
    rv_timer_tick(h);
    rv_sync(h);
}

/* ---- Accesses ------------------------------------------------------------------------------ */

static uint8_t aux_of(unsigned size)
{
    return size == 1 ? IR_U8 : size == 2 ? IR_U16 : size == 4 ? IR_U32 : IR_64;
}

static void reserve(struct rig *r, unsigned size, uint64_t pa)
{
    struct mmu_reservation res = {.size = (uint8_t)size, .gpa = pa};

    res.reserved = phys_is_ram(&r->phys, pa, size);
    if (res.reserved)
        memcpy(&res.value, phys_ptr(&r->phys, pa), size);
    mmu_set_reservation(r->h->s.mmu, &res);
}

static void run(struct rig *r, enum pr_kind kind, uint64_t va, unsigned size, uint64_t value,
                struct priv_result *out)
{
    struct cpu_state *s = &r->h->s;

    switch (kind) {
    case PR_LOAD: out->value = mmu_load(s, va, aux_of(size)); break;
    case PR_STORE: mmu_store(s, va, aux_of(size), value); break;
    case PR_AMO: out->value = mmu_amo(s, va, size, MMU_SWAP, value); break;
    case PR_LR: out->value = mmu_lr(s, va, size); break;
    case PR_SC: out->value = mmu_sc(s, va, size, value, false); break;
    case PR_CBO: mmu_probe_cbo(s, va); break;
    case PR_ZERO: mmu_zero(s, va, size); break;
    default: CHECK(false && "a fetch raises nothing by itself");
    }
}

void priv_access(struct rig *r, enum pr_kind kind, uint64_t va, unsigned size, uint64_t value,
                 uint64_t sc_pa, struct priv_result *out)
{
    struct cpu_state *s = &r->h->s;
    struct mmu_fault fault;

    memset(out, 0, sizeof(*out));
    if (kind == PR_FETCH) {
        out->ok = mmu_fetch(s->mmu, va, &out->gpa, &fault);
        if (!out->ok) {
            out->cause = fault.cause;
            out->tval = fault.tval;
        }
        return;
    }
    if (kind == PR_SC)
        reserve(r, size, sc_pa);
    if (setjmp(s->unwind) == 0) {
        run(r, kind, va, size, value, out);
        out->ok = true;
    } else {
        out->cause = s->exit_cause;
        out->tval = s->exit_tval;
    }
}

/* ---- For people ------------------------------------------------------------------------------ */

const char *pr_kind_name(enum pr_kind kind)
{
    static const char *const names[PR_N_KINDS] = {"fetch", "load", "store", "amo",
                                                  "lr",    "sc",   "cbo",   "cbo.zero"};

    return names[kind];
}

const char *priv_line(const struct pr_hart *p, char *text, unsigned len)
{
    static const char *const as[] = {" as U", " as S", " as 2", " as M"};
    unsigned at = (unsigned)snprintf(
        text, len, "%c%s%s%s satp %" PRIx64 " menvcfg %" PRIx64 " mstatus %" PRIx64,
        "US?M"[p->priv], p -> mstatus &PR_MPRV ? as[p->mstatus >> PR_MPP_SHIFT & 3] : "",
        p->mstatus &PR_SUM ? " SUM" : "", p->mstatus &PR_MXR ? " MXR" : "", p->satp, p->menvcfg,
        p->mstatus);

    for (unsigned i = 0; i < PR_N_PMP && at < len; i++) {
        if (p->pmpcfg[i] != 0 || p->pmpaddr[i] != 0)
            at += (unsigned)snprintf(text + at, len - at, " pmp%u %02x:%" PRIx64, i, p->pmpcfg[i],
                                     p->pmpaddr[i] << 2);
    }
    return text;
}
