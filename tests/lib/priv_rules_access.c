/* Accesses by the privileged specification's text: effective privilege, address translation,
 * PMP, physical attributes. One function a clause. */
#include "tests/lib/priv_rules.h"

#include <string.h>

enum { PAGE = 4096, PTESIZE = 8, LEVELS_SV39 = 3 };
enum { MODE_BARE = 0, MODE_SV39 = 8 };

static uint64_t field(uint64_t v, unsigned low, unsigned n)
{
    return v >> low & ((UINT64_C(1) << n) - 1);
}

/* ---- Causes (3.1.15, "Machine cause register values after trap") ------------------------- */

static bool as_load(enum pr_kind kind)
{
    return kind == PR_LOAD || kind == PR_LR;
}

/* 10.3.1: a load or load-reserved raises the load faults, a store, store-conditional or AMO the
 * store faults. CMO, "Page Fault": so do cbo.*. */
static uint64_t page_fault(enum pr_kind kind)
{
    return kind == PR_FETCH ? 12 : as_load(kind) ? 13 : 15;
}

static uint64_t access_fault(enum pr_kind kind)
{
    return kind == PR_FETCH ? 1 : as_load(kind) ? 5 : 7;
}

static void fault(struct pr_access *out, uint64_t cause, uint64_t tval, const char *clause)
{
    out->ok = false;
    out->cause = cause;
    out->tval = tval;
    out->clause = clause;
}

/* ---- Effective privilege (3.1.6.3) -------------------------------------------------------- */

unsigned pr_data_priv(const struct pr_hart *h)
{
    if (h->mstatus & PR_MPRV)
        return (unsigned)field(h->mstatus, PR_MPP_SHIFT, 2);
    return h->priv;
}

/* "Instruction address-translation and protection are unaffected by the setting of MPRV." */
static unsigned effective_priv(const struct pr_hart *h, enum pr_kind kind)
{
    return kind == PR_FETCH ? h->priv : pr_data_priv(h);
}

/* ---- PMP (3.7.1) -------------------------------------------------------------------------- */

/* "Address Matching": does entry i match the byte at pa? Four-byte granularity. */
static bool pmp_matches(const struct pr_hart *h, unsigned i, uint64_t pa)
{
    uint64_t word = pa >> 2, size_words;

    switch (field(h->pmpcfg[i], 3, 2)) {
    case 0: return false; /* OFF: matches no addresses */
    case 1: return word < h->pmpaddr[i] && (i == 0 || word >= h->pmpaddr[i - 1]);
    case 2: return word == h->pmpaddr[i];
    default: /* NAPOT: 8 bytes for a trailing 0, twice as much for each trailing 1 */
        size_words = 2;
        for (unsigned b = 0; b < 54 && (h->pmpaddr[i] >> b & 1); b++)
            size_words *= 2;
        return word / size_words == h->pmpaddr[i] / size_words;
    }
}

bool pr_pmp(const struct pr_hart *h, enum pr_kind kind, unsigned priv, uint64_t pa, unsigned size,
            const char **clause)
{
    for (unsigned i = 0; i < PR_N_PMP; i++) {
        unsigned n = 0;
        uint8_t cfg = h->pmpcfg[i];
        unsigned need = kind == PR_FETCH ? 4 : as_load(kind) ? 1 : 2;

        for (unsigned k = 0; k < size; k++)
            n += pmp_matches(h, i, pa + k);
        if (n == 0)
            continue;
        *clause = "3.7.1.3: the matching entry must match all bytes of an access, or it fails";
        if (n < size)
            return false;
        *clause = "3.7.1.3: if L is clear and the access is M's, it succeeds";
        if (priv == PR_M && !(cfg & 0x80))
            return true;
        /* An AMO also reads (R=0 with W=1 is reserved, so that W says it). A cbo.* of
         * Zicbom needs reading or writing. */
        *clause = "3.7.1.3: R, W, X of the lowest entry that matches decide";
        return kind == PR_CBO ? (cfg & 3) != 0 : (cfg & need) != 0;
    }
    *clause = "3.7.1.3: no entry matches: M succeeds, S and U fail";
    return priv == PR_M;
}

/* ---- Physical memory ----------------------------------------------------------------------- */

static bool in_memory(const struct pr_memory *m, uint64_t pa, unsigned size)
{
    return pa >= m->base && pa - m->base < m->len && size <= m->len - (pa - m->base);
}

static uint64_t read_pte(const struct pr_memory *m, uint64_t pa)
{
    uint64_t v;

    memcpy(&v, m->bytes + (pa - m->base), sizeof(v));
    return v;
}

/* ---- Translation (10.3.2, "Virtual Address Translation Process") ------------------------- */

/* "Any bits or encodings that are reserved for future standard use". */
static bool reserved_set(const struct pr_hart *h, uint64_t pte, unsigned i)
{
    bool leaf = (pte & (PTE_R | PTE_X)) != 0;
    unsigned pbmt = (unsigned)field(pte, 61, 2);
    bool n = pte >> 63;

    if (field(pte, 54, 7) != 0) /* 10.4.1: bits 60-54 */
        return true;
    if (!leaf) /* 10.3.1: D, A and U; Svnapot and Svpbmt: N and PBMT */
        return (pte & (PTE_D | PTE_A | PTE_U)) != 0 || pbmt != 0 || n;
    /* 3.1.18: with PBMTE clear as though Svpbmt were not implemented. Value 3 is reserved. */
    if (pbmt != 0 && (!h->svpbmt || !(h->menvcfg & PR_PBMTE) || pbmt == 3))
        return true;
    /* Svnapot, "Page table entry encodings when pte.N=1": only i = 0 with ppn[0][3:0] = 1000. */
    return n && (!h->svnapot || i > 0 || field(pte, 10, 4) != 8);
}

/* Step 5: pte.r, pte.w, pte.x and pte.u, SUM and MXR. */
static const char *denied(const struct pr_hart *h, enum pr_kind kind, unsigned priv, uint64_t pte)
{
    bool readable = (pte & PTE_R) || ((h->mstatus & PR_MXR) && (pte & PTE_X));

    if (priv == PR_U && !(pte & PTE_U))
        return "10.3.1: U-mode software may only access the page when U=1";
    if (priv == PR_S && (pte & PTE_U) && kind == PR_FETCH)
        return "10.3.1: irrespective of SUM, the supervisor may not execute code on U pages";
    if (priv == PR_S && (pte & PTE_U) && !(h->mstatus & PR_SUM))
        return "3.1.6.3: when SUM=0, S-mode accesses to U pages fault";
    if (kind == PR_FETCH && !(pte & PTE_X))
        return "10.3.1: fetch from a page without execute permission";
    if (as_load(kind) && !readable)
        return "10.3.1, 3.1.6.3: load from a page without R, or X with MXR";
    /* Choice: not permitted where only a fetch is, which is UNSPECIFIED. */
    if (kind == PR_CBO && !readable && !(pte & PTE_W))
        return "CMO, Page Fault: neither a load nor a store is permitted";
    if (!as_load(kind) && kind != PR_FETCH && kind != PR_CBO && !(pte & PTE_W))
        return "10.3.1: store, store-conditional or AMO to a page without write permission";
    return NULL;
}

/* Step 7. False: *out says why. */
static bool update_used(const struct pr_hart *h, const struct pr_memory *m, enum pr_kind kind,
                        struct pr_part *p, struct pr_access *out)
{
    bool writes = kind == PR_STORE || kind == PR_AMO || kind == PR_SC || kind == PR_ZERO;
    uint64_t used = p->pte | PTE_A | (writes ? PTE_D : 0);
    const char *clause;

    if (used == p->pte)
        return true;
    if (!h->svadu || !(h->menvcfg & PR_ADUE)) {
        fault(out, page_fault(kind), p->va, "10.3.2 step 7: Svade, A or D would have to be set");
        return false;
    }
    if (!in_memory(m, p->pte_pa, PTESIZE) ||
        !pr_pmp(h, PR_STORE, PR_S, p->pte_pa, PTESIZE, &clause)) {
        fault(out, access_fault(kind), p->va, "10.3.2 step 7: a store to pte violates PMP");
        return false;
    }
    p->pte = used;
    p->updated = true;
    return true;
}

/* p->pa := p->va translated by Sv39. */
static bool translate(const struct pr_hart *h, const struct pr_memory *m, enum pr_kind kind,
                      unsigned priv, struct pr_part *p, struct pr_access *out)
{
    uint64_t a = field(h->satp, 0, 44) * PAGE; /* step 1 */
    uint64_t low, ppn;
    unsigned i = LEVELS_SV39 - 1;
    const char *clause;

    if ((uint64_t)((int64_t)(p->va << 25) >> 25) != p->va) {
        fault(out, page_fault(kind), p->va, "10.4.1: bits 63-39 must all equal bit 38");
        return false;
    }
    for (;; i--) {
        p->pte_pa = a + field(p->va, 12 + 9 * i, 9) * PTESIZE; /* step 2 */
        if (!in_memory(m, p->pte_pa, PTESIZE) ||
            !pr_pmp(h, PR_LOAD, PR_S, p->pte_pa, PTESIZE, &clause)) {
            fault(out, access_fault(kind), p->va, "10.3.2 step 2: reading pte violates PMA or PMP");
            return false;
        }
        p->pte = read_pte(m, p->pte_pa);
        if (!(p->pte & PTE_V) || (p->pte & (PTE_R | PTE_W)) == PTE_W ||
            reserved_set(h, p->pte, i)) {
            fault(out, page_fault(kind), p->va, "10.3.2 step 3: pte is invalid or reserved");
            return false;
        }
        /* 10.3.1: for non-leaf PTEs G implies that all below is global. */
        p->global |= (p->pte & PTE_G) != 0;
        if (p->pte & (PTE_R | PTE_X))
            break;
        if (i == 0) {
            fault(out, page_fault(kind), p->va, "10.3.2 step 4: a pointer at the last level");
            return false;
        }
        a = field(p->pte, 10, 44) * PAGE;
    }
    clause = denied(h, kind, priv, p->pte);
    if (clause) {
        fault(out, page_fault(kind), p->va, clause);
        return false;
    }
    ppn = field(p->pte, 10, 44);
    if (i > 0 && field(ppn, 0, 9 * i) != 0) {
        fault(out, page_fault(kind), p->va, "10.3.2 step 6: misaligned superpage");
        return false;
    }
    if (!update_used(h, m, kind, p, out))
        return false;
    /* Step 8; Svnapot: the low four bits of ppn[0] are those of vpn[0]. */
    low = p->pte >> 63 ? 12 + 4 : 12 + 9 * i;
    p->leaf_len = UINT64_C(1) << low;
    p->pa = (ppn * PAGE & ~(p->leaf_len - 1)) | field(p->va, 0, (unsigned)low);
    return true;
}

/* ---- The whole access ------------------------------------------------------------------------ */

static bool one_part(const struct pr_hart *h, const struct pr_memory *m, enum pr_kind kind,
                     struct pr_part *p, struct pr_access *out)
{
    unsigned priv = effective_priv(h, kind);
    uint64_t pa;
    const char *clause;

    /* satp is active only when the effective privilege is S or U (10.1.11). */
    if (priv == PR_M || field(h->satp, 60, 4) == MODE_BARE)
        p->pa = p->va;
    else if (!translate(h, m, kind, priv, p, out))
        return false;
    /* cbo.zero writes its whole block. */
    pa = kind == PR_ZERO ? p->pa & ~(uint64_t)(p->len - 1) : p->pa;
    if (!pr_pmp(h, kind, priv, pa, p->len, &clause)) {
        fault(out, access_fault(kind), p->va, clause);
        return false;
    }
    if (!in_memory(m, pa, p->len)) {
        fault(out, access_fault(kind), p->va, "3.6.1: a vacant region supports no access");
        return false;
    }
    return true;
}

/* 3.1.16: tval is the address of the portion that caused the fault. Accesses are cut at pages
 * only (choice: a misaligned access within a page is one access). */
void pr_access(const struct pr_hart *h, const struct pr_memory *m, enum pr_kind kind, uint64_t va,
               unsigned size, struct pr_access *out)
{
    unsigned in_first = PAGE - (unsigned)(va % PAGE);

    memset(out, 0, sizeof(*out));
    out->clause = "allowed";
    if ((kind == PR_AMO || kind == PR_LR || kind == PR_SC) && va % size != 0) {
        /* A: "the address must be naturally aligned". Choice: before translation. */
        fault(out, kind == PR_LR ? 4 : 6, va, "3.1.15: misaligned atomic");
        return;
    }
    out->n_parts = 1;
    out->part[0] = (struct pr_part){.va = va, .len = size < in_first ? size : in_first};
    if (kind == PR_ZERO || kind == PR_CBO)
        out->part[0].len = size; /* the block that holds va, which never crosses */
    else if (size > in_first)
        out->part[1] = (struct pr_part){.va = va + in_first, .len = size - in_first};
    if (!one_part(h, m, kind, &out->part[0], out))
        return;
    if (out->part[1].len != 0) {
        out->n_parts = 2;
        if (!one_part(h, m, kind, &out->part[1], out))
            return;
    }
    out->ok = true;
}
