#include "tests/lib/priv_world.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t tables[] = {PRIV_L0, PRIV_L1, PRIV_ROOT};

/* ---- Set-up -------------------------------------------------------------------------------- */

void priv_world_init(struct priv_world *w, const char *model)
{
    memset(w, 0, sizeof(*w));
    w->r = rig_create(model);
    w->seed = 1;
    w->m = (struct pr_memory){phys_ptr(&w->r->phys, RIG_RAM), RIG_RAM, RIG_RAM_LEN};
    for (uint64_t at = 0; at < RIG_RAM_LEN; at += 8)
        rig_poke64(w->r, RIG_RAM + at, at < PRIV_DATA - 0x3000 ? 0 : rig_random(&w->seed));
    priv_from_hart(&w->p, w->r->h);
    w->p.satp = UINT64_C(8) << 60 | (RIG_RAM + PRIV_ROOT) >> 12;
    w->p.pmpcfg[0] = 0xf; /* TOR, RWX */
    w->p.pmpaddr[0] = (UINT64_C(1) << 54) - 1;
    priv_poke(w, priv_entry(w, 0), priv_leaf(0, PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D));
    priv_apply_all(w);
}

void priv_world_fini(struct priv_world *w)
{
    rig_destroy(w->r);
}

uint64_t priv_pte(uint64_t offset, uint64_t low)
{
    return (RIG_RAM + offset) >> 12 << 10 | low;
}

void priv_poke(struct priv_world *w, uint64_t offset, uint64_t pte)
{
    rig_poke64(w->r, RIG_RAM + offset, pte);
}

static uint64_t index_of(unsigned level)
{
    return PRIV_VA >> (12 + 9 * level) & 511;
}

uint64_t priv_entry(struct priv_world *w, unsigned level)
{
    for (unsigned l = 2; l > level; l--)
        priv_poke(w, tables[l] + index_of(l) * 8, priv_pte(tables[l - 1], PTE_V));
    return tables[level] + index_of(level) * 8;
}

uint64_t priv_leaf(unsigned level, uint64_t bits)
{
    return priv_pte(level == 0 ? PRIV_DATA : 0, bits);
}

void priv_apply(struct priv_world *w)
{
    struct rv_hart *h = w->r->h;

    h->priv = (enum rv_priv)w->p.priv;
    h->mstatus = w->p.mstatus;
    h->satp = w->p.satp;
    rv_sync(h);
}

void priv_apply_all(struct priv_world *w)
{
    priv_to_hart(&w->p, w->r->h);
}

void priv_fence(struct priv_world *w)
{
    mmu_fence(w->r->h->s.mmu, true, 0, true, 0);
}

void priv_state(struct priv_world *w, unsigned n)
{
    static const unsigned privs[] = {PR_U, PR_S, PR_M};
    uint64_t set = 0;

    w->p.priv = privs[n % 3];
    set |= n / 3 % 2 ? PR_MPRV : 0;
    set |= (uint64_t)privs[n / 6 % 3] << PR_MPP_SHIFT;
    set |= n / 18 % 2 ? PR_SUM : 0;
    set |= n / 36 % 2 ? PR_MXR : 0;
    w->p.mstatus = (w->p.mstatus & ~(PR_MPRV | PR_MPP | PR_SUM | PR_MXR)) | set;
}

unsigned priv_size(enum pr_kind kind)
{
    return kind == PR_FETCH ? 2 : kind == PR_ZERO ? 64 : kind == PR_CBO ? 1 : 8;
}

/* ---- One access by both ------------------------------------------------------------------------
 */

enum { MAX_SIZE = 64 };

/* What memory held where the access goes, before it. */
struct before {
    uint8_t bytes[2][MAX_SIZE];
    bool known[2];
    uint64_t pte[2];
};

static bool in_ram(const struct priv_world *w, uint64_t pa, unsigned len)
{
    return pa >= w->m.base && pa - w->m.base <= w->m.len - len;
}

static uint64_t data_pa(const struct pr_part *p, enum pr_kind kind)
{
    return kind == PR_ZERO ? p->pa & ~(uint64_t)(p->len - 1) : p->pa;
}

static const uint8_t *ram_at(const struct priv_world *w, uint64_t pa)
{
    return w->m.bytes + (pa - w->m.base);
}

static void look_before(const struct priv_world *w, const struct pr_access *want, enum pr_kind kind,
                        struct before *b)
{
    memset(b, 0, sizeof(*b));
    for (unsigned i = 0; i < want->n_parts; i++) {
        const struct pr_part *p = &want->part[i];
        uint64_t pa = data_pa(p, kind);

        if (in_ram(w, p->pte_pa, 8))
            memcpy(&b->pte[i], ram_at(w, p->pte_pa), 8);
        b->known[i] = p->pa != 0 && in_ram(w, pa, p->len);
        if (b->known[i])
            memcpy(b->bytes[i], ram_at(w, pa), p->len);
    }
}

static bool stores(enum pr_kind kind)
{
    return kind == PR_STORE || kind == PR_AMO || kind == PR_SC || kind == PR_ZERO;
}

/* The bytes that the access should have found or left, across both parts. */
static bool data_right(struct priv_world *w, const struct pr_access *want, enum pr_kind kind,
                       const struct priv_result *got, uint64_t value, const struct before *b)
{
    unsigned at = 0;

    for (unsigned i = 0; i < want->n_parts; i++) {
        const struct pr_part *p = &want->part[i];
        uint64_t pa = data_pa(p, kind);
        uint64_t zero[MAX_SIZE / 8] = {0};
        const uint8_t *written = kind == PR_ZERO ? (const uint8_t *)zero : (const uint8_t *)&value;
        const uint8_t *left = want->ok && stores(kind) ? written + at : b->bytes[i];

        if (!b->known[i])
            continue;
        if (memcmp(ram_at(w, pa), left, p->len) != 0)
            return false;
        if (want->ok && (kind == PR_LOAD || kind == PR_AMO || kind == PR_LR) &&
            memcmp((const uint8_t *)&got->value + at, b->bytes[i], p->len) != 0)
            return false;
        memcpy(phys_ptr(&w->r->phys, pa), b->bytes[i], p->len);
        at += p->len;
    }
    if (want->ok && kind == PR_SC && got->value != 0)
        return false;
    return !want->ok || kind != PR_FETCH || got->gpa == want->part[0].pa;
}

static bool entries_right(const struct priv_world *w, const struct pr_access *want,
                          const struct before *b)
{
    for (unsigned i = 0; i < want->n_parts; i++) {
        const struct pr_part *p = &want->part[i];
        uint64_t now, expected = p->updated ? p->pte : b->pte[i];

        if (!in_ram(w, p->pte_pa, 8))
            continue;
        /* Both parts may be under one large leaf. */
        if (i == 0 && want->n_parts == 2 && want->part[1].updated &&
            want->part[1].pte_pa == p->pte_pa)
            expected |= want->part[1].pte;
        memcpy(&now, ram_at(w, p->pte_pa), 8);
        if (now != expected)
            return false;
    }
    return true;
}

static void report(struct priv_world *w, const char *what, enum pr_kind kind, uint64_t va,
                   unsigned size, const struct pr_access *want, const struct priv_result *got,
                   const char *difference)
{
    char state[1024], rule[100], ours[100];
    const struct pr_part *p = &want->part[want->n_parts > 1];

    if (want->ok)
        snprintf(rule, sizeof(rule), "pa %" PRIx64, p->pa);
    else
        snprintf(rule, sizeof(rule), "cause %" PRIu64 " tval %" PRIx64, want->cause, want->tval);
    if (got->ok)
        snprintf(ours, sizeof(ours), "allowed, value %" PRIx64, got->value);
    else
        snprintf(ours, sizeof(ours), "cause %" PRIu64 " tval %" PRIx64, got->cause, got->tval);
    fail_msg("%s: %s of %u at %" PRIx64 " by %s; pte %" PRIx64 "%s at %" PRIx64
             " => rule: %s, dbt: %s; %s [%s]",
             what, pr_kind_name(kind), size, va, priv_line(&w->p, state, sizeof(state)), p->pte,
             p->updated ? " (updated)" : "", p->pte_pa, rule, ours, difference, want->clause);
}

void priv_check(struct priv_world *w, const char *what, enum pr_kind kind, uint64_t va,
                unsigned size)
{
    uint64_t value = rig_random(&w->seed);
    struct pr_access want;
    struct priv_result got;
    struct before before;

    pr_access(&w->p, &w->m, kind, va, size, &want);
    look_before(w, &want, kind, &before);
    priv_access(w->r, kind, va, size, value, want.part[0].pa, &got);
    w->n_cases++;
    w->n_allowed += want.ok;
    if (got.ok != want.ok || (!want.ok && (got.cause != want.cause || got.tval != want.tval)))
        report(w, what, kind, va, size, &want, &got, "outcome");
    if (!entries_right(w, &want, &before))
        report(w, what, kind, va, size, &want, &got, "A and D in memory");
    if (!data_right(w, &want, kind, &got, value, &before))
        report(w, what, kind, va, size, &want, &got, "data or address");
}
