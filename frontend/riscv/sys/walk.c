/* Virtual to physical: the page-table walk of Sv39, Sv48 and Sv57 (supervisor
 * specification, "Virtual Address Translation Process"), which differ in the
 * number of levels only.
 *
 *      satp.ppn --vpn[levels-1]--> table --...--> leaf: ppn, rights, A, D, G
 */
#include "frontend/riscv/sys/sys.h"

#define PTE_V        (UINT64_C(1) << 0)
#define PTE_R        (UINT64_C(1) << 1)
#define PTE_W        (UINT64_C(1) << 2)
#define PTE_X        (UINT64_C(1) << 3)
#define PTE_U        (UINT64_C(1) << 4)
#define PTE_G        (UINT64_C(1) << 5)
#define PTE_A        (UINT64_C(1) << 6)
#define PTE_D        (UINT64_C(1) << 7)
#define PTE_RESERVED (UINT64_C(0x7f) << 54)
#define PTE_PBMT     (UINT64_C(3) << 61)
#define PTE_N        (UINT64_C(1) << 63)
enum { PTE_PPN_SHIFT = 10, PPN_BITS = 44, VPN_BITS = 9, NAPOT_BITS = 4 };

/* What one walk is asked, and where it stands. */
struct walk {
    struct rv_hart *h;
    uint64_t gva;
    enum mmu_access access;
    uint64_t rights;
    unsigned level; /* of the table that is read next; 0: leaves of 4096 bytes */
    uint64_t pte_gpa;
    bool global;
    bool peeks; /* sets nothing */
};

enum step { STEP_NEXT, STEP_LEAF, STEP_PAGE_FAULT, STEP_ACCESS_FAULT, STEP_AGAIN };

static unsigned mode_levels(enum rv_satp_mode mode)
{
    return (unsigned)mode - RV_SATP_SV39 + 3;
}

bool rv_satp_mode_ok(const struct rv_hart *h, enum rv_satp_mode mode)
{
    (void)h; /* TODO: Sv48 and Sv57 when a model offers them (DESIGN, CPU model). */
    return mode == RV_SATP_BARE || mode == RV_SATP_SV39;
}

/* ---- Faults ---------------------------------------------------------------------- */

static uint64_t page_fault(enum mmu_access access)
{
    return access == MMU_FETCH ? RV_FETCH_PAGE : access == MMU_LOAD ? RV_LOAD_PAGE : RV_STORE_PAGE;
}

uint64_t rv_access_fault(enum mmu_access access)
{
    return access == MMU_FETCH  ? RV_FETCH_ACCESS
           : access == MMU_LOAD ? RV_LOAD_ACCESS
                                : RV_STORE_ACCESS;
}

uint64_t rv_misaligned(enum mmu_access access)
{
    return access == MMU_FETCH  ? RV_FETCH_MISALIGNED
           : access == MMU_LOAD ? RV_LOAD_MISALIGNED
                                : RV_STORE_MISALIGNED;
}

/* ---- One entry ------------------------------------------------------------------- */

/* The walker's own accesses are made as S (3.7.2). */
static bool pte_allowed(const struct walk *w, enum mmu_access access)
{
    bool whole_page;

    return rv_pmp_allowed(&w->h->s, w->pte_gpa, 8, access, RV_S, &whole_page);
}

/* Is this a memory type and a size that menvcfg and the model know? */
static bool leaf_form_ok(const struct walk *w, uint64_t pte)
{
    uint64_t ppn = bits_get(pte, PTE_PPN_SHIFT, PPN_BITS);

    if ((pte & PTE_PBMT) && !(w->h->menvcfg & RV_ENVCFG_PBMTE))
        return false;
    if ((pte & PTE_PBMT) == PTE_PBMT)
        return false; /* reserved */
    if (pte & PTE_N)  /* of Svnapot's sizes only 64 KiB is defined */
        return rv_has(&w->h->model, RV_EXT_svnapot) && w->level == 0 &&
               (ppn & ((1 << NAPOT_BITS) - 1)) == 1 << (NAPOT_BITS - 1);
    return (ppn & ((UINT64_C(1) << w->level * VPN_BITS) - 1)) == 0; /* superpages are aligned */
}

static bool readable(uint64_t pte, uint64_t rights)
{
    return (pte & PTE_R) || ((pte & PTE_X) && (rights & RV_RIGHTS_MXR));
}

/* U pages are for U; S touches their data under SUM, and never runs them. */
static bool privilege_ok(uint64_t pte, enum mmu_access access, uint64_t rights)
{
    if ((rights & RV_RIGHTS_PRIV) == RV_U)
        return (pte & PTE_U) != 0;
    return !(pte & PTE_U) || (access != MMU_FETCH && (rights & RV_RIGHTS_SUM));
}

static bool rights_ok(const struct walk *w, uint64_t pte)
{
    if (!privilege_ok(pte, w->access, w->rights))
        return false;
    switch (w->access) {
    case MMU_FETCH: return (pte & PTE_X) != 0;
    case MMU_STORE: return (pte & PTE_W) != 0;
    default: return readable(pte, w->rights);
    }
}

/* A and D: a fault for software to set them (Svade), or they are set here
 * (Svadu), atomically: if the entry has changed meanwhile, it is read again. */
static enum step mark_used(const struct walk *w, uint64_t *pte)
{
    uint64_t used = *pte | PTE_A | (w->access == MMU_STORE ? PTE_D : 0);

    if (used == *pte)
        return STEP_LEAF;
    if (w->peeks || !(w->h->menvcfg & RV_ENVCFG_ADUE))
        return STEP_PAGE_FAULT;
    if (!pte_allowed(w, MMU_STORE))
        return STEP_ACCESS_FAULT;
    if (!mmu_phys_cas64(&w->h->s, w->pte_gpa, *pte, used))
        return STEP_AGAIN;
    *pte = used;
    return STEP_LEAF;
}

/* Reads the entry at w->pte_gpa and says what it is. */
static enum step walk_step(struct walk *w, uint64_t *pte)
{
    if (!pte_allowed(w, MMU_LOAD) || !mmu_phys_load64(&w->h->s, w->pte_gpa, pte))
        return STEP_ACCESS_FAULT;
    if (!(*pte & PTE_V) || (*pte & (PTE_R | PTE_W)) == PTE_W || (*pte & PTE_RESERVED))
        return STEP_PAGE_FAULT;
    if (!(*pte & (PTE_R | PTE_X))) {
        /* A pointer: whatever else could be set is reserved there. */
        if (w->level == 0 || (*pte & (PTE_D | PTE_A | PTE_U | PTE_PBMT | PTE_N)))
            return STEP_PAGE_FAULT;
        return STEP_NEXT;
    }
    if (!rights_ok(w, *pte) || !leaf_form_ok(w, *pte))
        return STEP_PAGE_FAULT;
    return mark_used(w, pte);
}

/* ---- The walk -------------------------------------------------------------------- */

static void set_table(struct walk *w, uint64_t ppn)
{
    uint64_t vpn = bits_get(w->gva, PAGE_BITS + VPN_BITS * w->level, VPN_BITS);

    w->pte_gpa = (ppn << PAGE_BITS) + vpn * 8;
}

static void set_map(const struct walk *w, uint64_t pte, struct mmu_map *map)
{
    unsigned len_bits = PAGE_BITS + (pte & PTE_N ? NAPOT_BITS : VPN_BITS * w->level);
    uint64_t in_page = (UINT64_C(1) << len_bits) - 1;
    uint64_t page = bits_get(pte, PTE_PPN_SHIFT, PPN_BITS) << PAGE_BITS;
    bool data_ok = privilege_ok(pte, MMU_LOAD, w->rights);

    *map = (struct mmu_map){
        .gpa = (page & ~in_page) | (w->gva & in_page),
        .page_len = in_page + 1,
        .read = data_ok && readable(pte, w->rights),
        .write = data_ok && (pte & PTE_W) && (pte & PTE_D),
        .global = w->global,
    };
}

static bool walk_table(struct walk *w, uint64_t root, struct mmu_map *map, struct mmu_fault *fault)
{
    uint64_t pte;

    set_table(w, root);
    for (;;) {
        enum step step = walk_step(w, &pte);

        if (step == STEP_AGAIN)
            continue;
        if (step == STEP_PAGE_FAULT || step == STEP_ACCESS_FAULT) {
            fault->cause =
                step == STEP_PAGE_FAULT ? page_fault(w->access) : rv_access_fault(w->access);
            fault->tval = w->gva;
            return false;
        }
        w->global |= (pte & PTE_G) != 0; /* of a pointer too: all below is global */
        if (step == STEP_LEAF)
            break;
        w->level--;
        set_table(w, bits_get(pte, PTE_PPN_SHIFT, PPN_BITS));
    }
    set_map(w, pte, map);
    return true;
}

static bool walk(struct walk *w, struct mmu_map *map, struct mmu_fault *fault)
{
    enum rv_satp_mode mode = rv_satp_mode(w->h->satp);
    unsigned va_bits;

    if ((w->rights & RV_RIGHTS_PRIV) == RV_M || mode == RV_SATP_BARE) {
        *map = (struct mmu_map){.gpa = w->gva, .page_len = PAGE_SIZE, .read = true, .write = true};
        return true;
    }
    w->level = mode_levels(mode) - 1;
    va_bits = PAGE_BITS + VPN_BITS * mode_levels(mode);
    if ((uint64_t)sign_extend(w->gva, va_bits) != w->gva) {
        *fault = (struct mmu_fault){page_fault(w->access), w->gva};
        return false;
    }
    return walk_table(w, bits_get(w->h->satp, 0, PPN_BITS), map, fault);
}

bool rv_walk(struct cpu_state *s, uint64_t gva, enum mmu_access access, uint64_t rights,
             struct mmu_map *map, struct mmu_fault *fault)
{
    struct walk w = {.h = (struct rv_hart *)s, .gva = gva, .access = access, .rights = rights};

    return walk(&w, map, fault);
}

bool rv_peek(struct cpu_state *s, uint64_t gva, enum mmu_access access, uint64_t rights,
             struct mmu_map *map)
{
    struct walk w = {
        .h = (struct rv_hart *)s, .gva = gva, .access = access, .rights = rights, .peeks = true};
    struct mmu_fault fault;

    return walk(&w, map, &fault);
}

/* A kernel's own accesses: Linux has the upper half alike everywhere. Without SUM they do not reach
 * what is the process's. */
bool rv_shares_view(uint64_t space_key, uint64_t rights)
{
    return rights == RV_S && rv_satp_mode(space_key) == RV_SATP_SV39;
}

bool rv_shares_code(uint64_t space_key, uint64_t rights)
{
    return rv_shares_view(space_key, rights & ~(uint64_t)(RV_RIGHTS_SUM | RV_RIGHTS_MXR));
}

/* a walks. May b have walked ahead? While it is in M-mode its satp is not active, and no walk by it
 * begins. But one that has begun before need not end until sfence.vma (privileged specification,
 * "Supervisor Address Translation and Protection (satp) Register"). Two roots with the same entry
 * there lead to the same tables. */
bool rv_walks_alike(struct cpu_state *a, struct cpu_state *b, uint64_t gva)
{
    const struct rv_hart *ha = (const struct rv_hart *)(const void *)a;
    const struct rv_hart *hb = (const struct rv_hart *)(const void *)b;
    const uint64_t at = 8 * bits_get(gva, PAGE_BITS + 2 * VPN_BITS, VPN_BITS);
    const uint64_t roots[2] = {bits_get(ha->satp, 0, PPN_BITS) << PAGE_BITS,
                               bits_get(hb->satp, 0, PPN_BITS) << PAGE_BITS};
    uint64_t pte[2];

    if (hb->walks_ended || rv_satp_mode(ha->satp) != RV_SATP_SV39 ||
        rv_satp_mode(hb->satp) != RV_SATP_SV39)
        return false;
    return roots[0] == roots[1] || (mmu_phys_load64(a, roots[0] + at, &pte[0]) &&
                                    mmu_phys_load64(a, roots[1] + at, &pte[1]) && pte[0] == pte[1]);
}

/* The lower half of Sv39, for user mode: there Linux has a process's own memory. */
uint64_t rv_window_bound(uint64_t space_key, uint64_t rights)
{
    const uint64_t half = UINT64_C(1) << 38;
    bool user = (rights & RV_RIGHTS_PRIV) == RV_U;

    if (rv_shares_view(space_key, rights))
        return -half;
    return user && rv_satp_mode(space_key) == RV_SATP_SV39 ? half : 0;
}
