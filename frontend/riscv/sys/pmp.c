/* Physical memory protection: 16 entries, granularity 4 bytes (privileged
 * specification, 3.7). The lowest entry that matches any byte of an access
 * decides, and must match all of it. */
#include "frontend/riscv/sys/sys.h"

#include <string.h>

enum { PMP_R = 1, PMP_W = 2, PMP_X = 4, PMP_A = 3 << 3, PMP_L = 0x80 };
enum { PMP_OFF = 0 << 3, PMP_TOR = 1 << 3, PMP_NA4 = 2 << 3, PMP_NAPOT = 3 << 3 };

#define PMPADDR_MASK ((UINT64_C(1) << 54) - 1) /* bits 2..55 of an address */

/* [lo, hi), empty when the entry is off. */
struct range {
    uint64_t lo, hi;
};

static struct range entry_range(const struct rv_hart *h, unsigned i)
{
    uint64_t addr = h->pmpaddr[i];

    switch (h->pmpcfg[i] & PMP_A) {
    case PMP_TOR: return (struct range){i > 0 ? h->pmpaddr[i - 1] << 2 : 0, addr << 2};
    case PMP_NA4: return (struct range){addr << 2, (addr << 2) + 4};
    case PMP_NAPOT: {
        /* The trailing ones of addr are the size, as a power of two from 8 on. */
        uint64_t ones = addr ^ (addr + 1); /* them and the zero above */
        uint64_t lo = (addr & ~ones) << 2;

        return (struct range){lo, lo + ((ones + 1) << 2)};
    }
    default: return (struct range){0, 0};
    }
}

static bool entry_permits(uint8_t cfg, enum mmu_access access, enum rv_priv priv)
{
    static const uint8_t needs[] = {[MMU_LOAD] = PMP_R, [MMU_STORE] = PMP_W, [MMU_FETCH] = PMP_X};

    if (priv == RV_M && !(cfg & PMP_L))
        return true;
    return (cfg & needs[access]) != 0;
}

bool rv_pmp_allowed(struct cpu_state *s, uint64_t gpa, unsigned len, enum mmu_access access,
                    uint64_t rights, bool *whole_page)
{
    const struct rv_hart *h = (const struct rv_hart *)s;
    enum rv_priv priv = (enum rv_priv)(rights & RV_RIGHTS_PRIV);
    uint64_t page = align_down(gpa, PAGE_SIZE);

    *whole_page = true;
    for (unsigned i = 0; i < RV_N_PMP; i++) {
        struct range r = entry_range(h, i);

        if (r.lo >= r.hi)
            continue;
        if (r.lo < page + PAGE_SIZE && r.hi > page && (r.lo > page || r.hi < page + PAGE_SIZE))
            *whole_page = false; /* other bytes of the page may fare otherwise */
        if (r.hi <= gpa || r.lo >= gpa + len)
            continue;
        if (r.lo > gpa || r.hi < gpa + len)
            return false; /* even for M: 3.7.1.3 */
        return entry_permits(h->pmpcfg[i], access, priv);
    }
    /* Entries are implemented, so S and U need one that matches. */
    return priv == RV_M;
}

/* ---- The registers --------------------------------------------------------------- */

uint64_t rv_pmpcfg(const struct rv_hart *h, unsigned first)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < 8; i++)
        v |= (uint64_t)h->pmpcfg[first + i] << 8 * i;
    return v;
}

/* W without R is reserved: W reads as 0 then. Bits 5 and 6 are 0. */
static uint8_t cfg_legal(uint8_t cfg)
{
    cfg &= PMP_R | PMP_W | PMP_X | PMP_A | PMP_L;
    return cfg & PMP_R ? cfg : cfg & ~PMP_W;
}

void rv_pmpcfg_write(struct rv_hart *h, unsigned first, uint64_t v)
{
    bool changed = false;

    for (unsigned i = 0; i < 8; i++) {
        uint8_t *cfg = &h->pmpcfg[first + i];
        uint8_t legal = cfg_legal((uint8_t)(v >> 8 * i));

        if ((*cfg & PMP_L) || *cfg == legal)
            continue;
        *cfg = legal;
        changed = true;
    }
    if (changed)
        mmu_flush_all(h->s.mmu);
}

/* A locked TOR entry locks the address below it, which is its own start. */
static bool addr_locked(const struct rv_hart *h, unsigned i)
{
    if (h->pmpcfg[i] & PMP_L)
        return true;
    return i + 1 < RV_N_PMP && (h->pmpcfg[i + 1] & PMP_L) && (h->pmpcfg[i + 1] & PMP_A) == PMP_TOR;
}

void rv_pmpaddr_write(struct rv_hart *h, unsigned i, uint64_t v)
{
    v &= PMPADDR_MASK;
    if (addr_locked(h, i) || h->pmpaddr[i] == v)
        return;
    h->pmpaddr[i] = v;
    mmu_flush_all(h->s.mmu);
}

/* What of one hart can make another walk or fetch where this one may not. */
size_t rv_domain(struct cpu_state *s, uint8_t *out)
{
    const struct rv_hart *h = (const struct rv_hart *)(const void *)s;
    const uint64_t rules = h->menvcfg & (RV_ENVCFG_ADUE | RV_ENVCFG_PBMTE);

    memcpy(out, h->pmpcfg, sizeof h->pmpcfg);
    memcpy(out + sizeof h->pmpcfg, h->pmpaddr, sizeof h->pmpaddr);
    memcpy(out + sizeof h->pmpcfg + sizeof h->pmpaddr, &rules, sizeof rules);
    return sizeof h->pmpcfg + sizeof h->pmpaddr + sizeof rules;
}
