/* CSRs whose fields have legal values and whose change has consequences: status,
 * interrupt enables and pendings, delegation, environment, address translation. */
#include "frontend/riscv/sys/sys.h"

/* ---- mstatus, sstatus ------------------------------------------------------------ */

#define STATUS_M_WRITABLE                                                                          \
    (RV_STATUS_S_WRITABLE | RV_STATUS_MIE | RV_STATUS_MPIE | RV_STATUS_MPP | RV_STATUS_MPRV |      \
     RV_STATUS_TVM | RV_STATUS_TW | RV_STATUS_TSR)
/* What decides about the mode of code and about the rights of accesses: rv_sync() sees to it. */
#define STATUS_MODE (RV_STATUS_FS | RV_STATUS_SUM | RV_STATUS_MXR | RV_STATUS_MPRV | RV_STATUS_MPP)

uint64_t rv_mstatus(const struct rv_hart *h)
{
    bool dirty = (h->mstatus & RV_STATUS_FS) == RV_STATUS_FS;

    return h->mstatus | (dirty ? RV_STATUS_SD : 0);
}

uint64_t rv_sstatus(const struct rv_hart *h)
{
    return rv_mstatus(h) & RV_STATUS_S_VISIBLE;
}

static void status_write(struct rv_hart *h, uint64_t v, uint64_t mask)
{
    if (!rv_has(&h->model, RV_EXT_f))
        mask &= ~RV_STATUS_FS;
    if ((v & RV_STATUS_MPP) == UINT64_C(2) << RV_STATUS_MPP_SHIFT)
        mask &= ~RV_STATUS_MPP; /* no such privilege: the field keeps its value */
    uint64_t old = h->mstatus;

    h->mstatus = (old & ~mask) | (v & mask);
    if ((old ^ h->mstatus) & STATUS_MODE)
        rv_sync(h);
    else
        rv_sync_irq(h);
}

void rv_mstatus_write(struct rv_hart *h, uint64_t v)
{
    status_write(h, v, STATUS_M_WRITABLE);
}

void rv_sstatus_write(struct rv_hart *h, uint64_t v)
{
    status_write(h, v, RV_STATUS_S_WRITABLE);
}

/* ---- Interrupts ------------------------------------------------------------------ */

uint64_t rv_mip_latched(const struct rv_hart *h)
{
    uint64_t software = atomic_load(&h->mip);

    if (rv_timer_in_use(h))
        software &= ~bit(RV_STI);
    return software | atomic_load(&h->mip_line);
}

uint64_t rv_mip(const struct rv_hart *h)
{
    uint64_t pending = rv_mip_latched(h);

    if (rv_timer_in_use(h) && rv_time(h) >= h->stimecmp)
        pending |= bit(RV_STI);
    return pending;
}

/* Only what the instruction changes is touched: another hart may be raising SSIP
 * at this moment, and must not be overwritten by what was read before. */
static void mip_change(struct rv_hart *h, uint64_t old, uint64_t v, uint64_t mask)
{
    atomic_fetch_or(&h->mip, v & ~old & mask);
    atomic_fetch_and(&h->mip, ~(old & ~v & mask));
    rv_sync_irq(h);
}

void rv_mip_write(struct rv_hart *h, uint64_t old, uint64_t v)
{
    mip_change(h, old, v, rv_timer_in_use(h) ? RV_IRQ_S & ~bit(RV_STI) : RV_IRQ_S);
}

/* Of the bits that sip shows only SSIP is the supervisor's to write. */
void rv_sip_write(struct rv_hart *h, uint64_t old, uint64_t v)
{
    mip_change(h, old, v, h->mideleg & bit(RV_SSI));
}

void rv_mie_write(struct rv_hart *h, uint64_t v)
{
    h->mie = v & (RV_IRQ_S | RV_IRQ_M);
    rv_sync_irq(h);
}

void rv_sie_write(struct rv_hart *h, uint64_t v)
{
    h->mie = (h->mie & ~h->mideleg) | (v & h->mideleg);
    rv_sync_irq(h);
}

void rv_mideleg_write(struct rv_hart *h, uint64_t v)
{
    h->mideleg = v & RV_IRQ_S;
    rv_sync(h);
}

/* ---- Trap vectors and return addresses ------------------------------------------- */

/* Bit 1 would select a reserved mode: it reads as 0. */
uint64_t rv_tvec(uint64_t v)
{
    return v & ~UINT64_C(2);
}

uint64_t rv_epc(const struct rv_hart *h, uint64_t v)
{
    return v & (rv_has(&h->model, RV_EXT_c) ? ~UINT64_C(1) : ~UINT64_C(3));
}

/* ---- menvcfg, senvcfg ------------------------------------------------------------ */

static uint64_t cbo_mask(const struct rv_cpu_model *m)
{
    return (rv_has(m, RV_EXT_zicbom) ? RV_ENVCFG_CBIE | RV_ENVCFG_CBCFE : 0) |
           (rv_has(m, RV_EXT_zicboz) ? RV_ENVCFG_CBZE : 0);
}

uint64_t rv_menvcfg_mask(const struct rv_cpu_model *m)
{
    return RV_ENVCFG_FIOM | cbo_mask(m) | (rv_has(m, RV_EXT_svadu) ? RV_ENVCFG_ADUE : 0) |
           (rv_has(m, RV_EXT_svpbmt) ? RV_ENVCFG_PBMTE : 0) |
           (rv_has(m, RV_EXT_sstc) ? RV_ENVCFG_STCE : 0);
}

/* CBIE = 2 is reserved: the field keeps its value. */
static uint64_t envcfg_legal(uint64_t old, uint64_t v, uint64_t mask)
{
    if ((v & RV_ENVCFG_CBIE) == RV_ENVCFG_CBIE_RESERVED)
        mask &= ~RV_ENVCFG_CBIE;
    return (old & ~mask) | (v & mask);
}

void rv_menvcfg_write(struct rv_hart *h, uint64_t v)
{
    uint64_t old = h->menvcfg;
    uint64_t changed;

    h->menvcfg = envcfg_legal(old, v, rv_menvcfg_mask(&h->model));
    changed = old ^ h->menvcfg;
    /* A guest must fence by itself after these two; dropping more is allowed,
     * and translations made under other rules are nothing to keep. */
    if (changed & (RV_ENVCFG_ADUE | RV_ENVCFG_PBMTE))
        mmu_flush_all(h->s.mmu);
    if (changed & RV_ENVCFG_STCE)
        rv_timer_tick(h);
    rv_sync(h);
}

void rv_senvcfg_write(struct rv_hart *h, uint64_t v)
{
    h->senvcfg = envcfg_legal(h->senvcfg, v, RV_ENVCFG_FIOM | cbo_mask(&h->model));
}

/* ---- satp ------------------------------------------------------------------------ */

bool rv_satp_ok(const struct rv_hart *h)
{
    return h->priv == RV_M || (h->mstatus & RV_STATUS_TVM) == 0;
}

/* A mode that is not supported makes the whole write void (supervisor
 * specification, satp). Bare leaves nothing of the rest. */
void rv_satp_write(struct rv_hart *h, uint64_t v)
{
    enum rv_satp_mode mode = rv_satp_mode(v);

    if (!rv_satp_mode_ok(h, mode))
        return;
    h->satp = mode == RV_SATP_BARE ? 0 : v;
    h->walks_ended |= h->priv == RV_M;
    rv_sync(h);
}
