/* Atomics on host atomics, cache-block operations, and the page walker's own accesses.
 * Whoever calls these looks at `pending` afterwards, so a write that dropped the running
 * block says so there (PENDING_LEAVE). */
#include "softmmu/mmu_int.h"

#include <stdatomic.h>

#include "dbt/base/check.h"
#include "dbt/base/tsan.h"

static void wrote(struct mmu *m, uint64_t gpa, unsigned len)
{
    if (mmu_wrote(m, gpa, len))
        state_pend(m->s, PENDING_LEAVE);
}

/* ---- Where the word is ------------------------------------------------------------------ */

static void check_aligned(struct mmu *m, uint64_t gva, unsigned size, enum mmu_access access)
{
    if (gva & (size - 1))
        state_raise(m->s, m->guest->misaligned(access), gva);
}

/* An aligned word that may be stored to, through the plain view. NULL: it is a device's, at
 * place->gpa. */
static uint8_t *find_writable(struct mmu *m, uint64_t gva, unsigned size, struct mmu_place *place)
{
    uint8_t *host = tlb_find_store(m, gva, size);

    if (host)
        return host;
    *place = mmu_translate(m, gva, size, MMU_STORE);
    return place->is_ram ? phys_ptr(m->phys, place->gpa) : NULL;
}

/* For a read-modify-write, whose faults are a store's whichever half is forbidden.
 * Page tables that grant writing grant reading, so the second question is
 * one to physical protection. */
static uint8_t *find_both(struct mmu *m, uint64_t gva, unsigned size, struct mmu_place *place)
{
    uint8_t *host = find_writable(m, gva, size, place);
    struct mmu_place readable;
    struct mmu_fault fault;

    if (tlb_find_load(m, gva, size))
        return host;
    if (!mmu_try_translate(m, gva, size, MMU_LOAD, &readable, &fault))
        mmu_raise_access(m, MMU_STORE, gva);
    return host;
}

/* ---- AMO --------------------------------------------------------------------------------- */

static uint64_t sext_word(uint64_t value, unsigned size)
{
    return size == 4 ? (uint64_t)sign_extend(value, 32) : value;
}

/* Of 32-bit values sign-extended ones are taken: that keeps both orders, signed and not. */
static uint64_t compute(enum mmu_amo op, uint64_t old, uint64_t v)
{
    switch (op) {
    case MMU_MIN: return (int64_t)old < (int64_t)v ? old : v;
    case MMU_MAX: return (int64_t)old > (int64_t)v ? old : v;
    case MMU_MINU: return old < v ? old : v;
    default: return old > v ? old : v;
    }
}

static uint32_t amo32(uint32_t *p, enum mmu_amo op, uint32_t v)
{
    uint32_t old;

    switch (op) {
    case MMU_SWAP: return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
    case MMU_ADD: return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
    case MMU_XOR: return __atomic_fetch_xor(p, v, __ATOMIC_SEQ_CST);
    case MMU_AND: return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);
    case MMU_OR: return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);
    default:
        old = __atomic_load_n(p, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(
            p, &old, (uint32_t)compute(op, sext_word(old, 4), sext_word(v, 4)), true,
            __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            continue;
        return old;
    }
}

static uint64_t amo64(uint64_t *p, enum mmu_amo op, uint64_t v)
{
    uint64_t old;

    switch (op) {
    case MMU_SWAP: return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
    case MMU_ADD: return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
    case MMU_XOR: return __atomic_fetch_xor(p, v, __ATOMIC_SEQ_CST);
    case MMU_AND: return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);
    case MMU_OR: return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);
    default:
        old = __atomic_load_n(p, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(p, &old, compute(op, old, v), true, __ATOMIC_SEQ_CST,
                                            __ATOMIC_RELAXED))
            continue;
        return old;
    }
}

/* On plain values, for a device: 32-bit ones in the low half. */
static uint64_t apply(enum mmu_amo op, unsigned size, uint64_t old, uint64_t v)
{
    uint64_t copy = old;
    uint32_t copy32 = (uint32_t)old;

    if (size == 4) {
        amo32(&copy32, op, (uint32_t)v);
        return copy32;
    }
    amo64(&copy, op, v);
    return copy;
}

uint64_t mmu_amo(struct cpu_state *s, uint64_t gva, unsigned size, enum mmu_amo op, uint64_t v)
{
    struct mmu *m = s->mmu;
    struct mmu_place place;
    uint8_t *host;
    uint64_t gpa, old;

    check_aligned(m, gva, size, MMU_STORE);
    if (s->window_fault)
        m->window_fault(m->window_fault_arg, gva, size, MMU_STORE);
    host = find_both(m, gva, size, &place);
    if (!host)
        return sext_word(mmu_mmio_amo(m, gva, place.gpa, size, apply, op, v), size);
    gpa = gpa_of(m->phys, host);
    mmu_watch_ram(m, gpa, size);
    mmu_store_begin(m, gpa);
    if (size == 4)
        old = amo32((uint32_t *)(void *)host, op, (uint32_t)v);
    else
        old = amo64((uint64_t *)(void *)host, op, v);
    mmu_store_end(m, gpa, size);
    wrote(m, gpa, size);
    return sext_word(old, size);
}

/* ---- LR and SC: the reservation is an address and the value that was there -------------- */

static uint64_t load_word(const uint8_t *host, unsigned size)
{
    if (size == 4)
        return __atomic_load_n((const uint32_t *)(const void *)host, __ATOMIC_SEQ_CST);
    return __atomic_load_n((const uint64_t *)(const void *)host, __ATOMIC_SEQ_CST);
}

static bool swap_word(uint8_t *host, unsigned size, uint64_t old, uint64_t value)
{
    uint32_t old32 = (uint32_t)old;

    if (size == 4)
        return __atomic_compare_exchange_n((uint32_t *)(void *)host, &old32, (uint32_t)value, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return __atomic_compare_exchange_n((uint64_t *)(void *)host, &old, value, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* cpu_state.reservation: translated code makes it too (backend-x86_64/emit/emit_atomic.c). */
static uint64_t reservation_of(const struct mmu *m, uint64_t gpa, unsigned size)
{
    uint64_t address = phys_is_ram(m->phys, gpa, size)
                           ? (uint64_t)(uintptr_t)(m->phys->store + (gpa - m->phys->ram_gpa))
                           : gpa | bit(63);

    return address | (size == 8 ? 1 : 2);
}

static void reserve(struct mmu *m, uint64_t gpa, unsigned size, uint64_t value)
{
    mmu_clear_reservation(m);
    m->s->reservation = reservation_of(m, gpa, size);
    m->s->reserved_value = value;
}

/* Which LR it is; two may share a number. */
static unsigned site_of(const struct mmu *m)
{
    uint64_t pc = m->s->page_va + m->s->insn_off;

    return (unsigned)(pc >> 1 ^ pc >> 9) % LR_SITES;
}

static bool must_watch(struct mmu *m)
{
    m->lr_site = site_of(m);
    return (m->lr_watches[m->lr_site / 64] >> m->lr_site % 64 & 1) != 0;
}

/* The watch comes before the load: a store that the load does not see finds the page watched. */
static void reserve_and_watch(struct mmu *m, uint64_t gva, const uint8_t *host, unsigned size)
{
    uint64_t gpa = gpa_of(m->phys, host);

    m->stats.lr_watched++;
    m->s->reservation = 0;
    if (reserve_watch(m->reserve, m->hart, m->track, gpa, size))
        mmu_forget_store(m, gva);
    reserve_lock(m->reserve, gpa);
    m->s->reserved_value = load_word(host, size);
    reserve_take_locked(m->reserve, m->hart);
    reserve_unlock(m->reserve, gpa);
}

uint64_t mmu_lr(struct cpu_state *s, uint64_t gva, unsigned size)
{
    struct mmu *m = s->mmu;
    const uint8_t *host;

    check_aligned(m, gva, size, MMU_LOAD);
    host = tlb_find_load(m, gva, size);
    if (!host) {
        struct mmu_place place = mmu_translate(m, gva, size, MMU_LOAD);

        if (!place.is_ram) {
            reserve(m, place.gpa, size, mmu_mmio_read(m, gva, place.gpa, size, MMU_LOAD));
            return sext_word(m->s->reserved_value, size);
        }
        host = phys_ptr(m->phys, place.gpa);
    }
    if (m->reserve && must_watch(m))
        reserve_and_watch(m, gva, host, size);
    else
        reserve(m, gpa_of(m->phys, host), size, load_word(host, size));
    return sext_word(m->s->reserved_value, size);
}

/* On a device the address alone is compared: to read it again could change it. Strictly nobody can
 * say what has become of a device's register, so that SC fails: the board promises no more of such
 * a region (privileged specification, "Reservability PMA", RsrvNonEventual). */
static uint64_t sc_mmio(struct mmu *m, uint64_t gva, uint64_t gpa, unsigned size, uint64_t value,
                        uint64_t reserved)
{
    if (!phys_find(m->phys, gpa, size))
        mmu_raise_access(m, MMU_STORE, gva);
    if (m->reserve || reserved != reservation_of(m, gpa, size))
        return 1;
    mmu_mmio_write(m, gva, gpa, size, value);
    return 0;
}

/* A store by another hart that puts the same value back goes unnoticed, unlike the letter of the A
 * extension; no lock or list in wide use depends on it. */
static bool sc_by_value(struct mmu *m, uint8_t *host, unsigned size, uint64_t value,
                        uint64_t reserved)
{
    return reserved == reservation_of(m, gpa_of(m->phys, host), size) &&
           swap_word(host, size, m->s->reserved_value, value);
}

/* By value is enough for a pair (docs/memory-model.md, "LR/SC"), and most are pairs; nor is there
 * anything to watch for an LR whose SC never comes, as before wrs.nto. So an LR begins by value. An
 * SC that is not of a pair fails on such a reservation, and from then on that LR watches. */
static bool sc_strict(struct mmu *m, uint8_t *host, unsigned size, uint64_t value,
                      uint64_t reserved, bool paired)
{
    uint64_t gpa = gpa_of(m->phys, host);
    bool by_value = reserved == reservation_of(m, gpa, size), stored;

    reserve_lock(m->reserve, gpa);
    stored = (by_value && paired) || reserve_holds_locked(m->reserve, m->hart, gpa, size);
    stored = stored && swap_word(host, size, m->s->reserved_value, value);
    if (stored)
        reserve_stored_locked(m->reserve, m->hart, gpa, size);
    reserve_unlock(m->reserve, gpa);
    reserve_drop(m->reserve, m->hart);
    if (by_value && !paired)
        m->lr_watches[m->lr_site / 64] |= bit(m->lr_site % 64);
    return stored;
}

/* Faults come first, reservation or not, as on most hardware. */
uint64_t mmu_sc(struct cpu_state *s, uint64_t gva, unsigned size, uint64_t value, bool paired)
{
    struct mmu *m = s->mmu;
    uint64_t reserved = s->reservation;
    struct mmu_place place;
    uint8_t *host;
    uint64_t gpa;
    bool stored;

    s->reservation = 0;
    check_aligned(m, gva, size, MMU_STORE);
    host = find_writable(m, gva, size, &place);
    if (!host) {
        mmu_clear_reservation(m);
        return sc_mmio(m, gva, place.gpa, size, value, reserved);
    }
    gpa = gpa_of(m->phys, host);
    mmu_watch_ram(m, gpa, size);
    if (m->reserve)
        stored = sc_strict(m, host, size, value, reserved, paired);
    else
        stored = sc_by_value(m, host, size, value, reserved);
    if (!stored)
        return 1;
    wrote(m, gpa, size);
    return 0;
}

void mmu_clear_reservation(struct mmu *m)
{
    m->s->reservation = 0;
    if (m->reserve)
        reserve_drop(m->reserve, m->hart);
}

/* ---- Cache blocks -------------------------------------------------------------------------- */

/* By words, not by memset(): that one the thread sanitizer looks at, and it knows nothing of what
 * orders the guest's accesses. */
NOT_SANITIZED static void zero(uint8_t *host, unsigned len)
{
    for (unsigned k = 0; k < len; k += 8)
        *(volatile uint64_t *)(void *)(host + k) = 0;
}

/* The fault's address is the one that the instruction names, not the block's. */
void mmu_zero(struct cpu_state *s, uint64_t gva, unsigned len)
{
    struct mmu *m = s->mmu;
    uint64_t first = align_down(gva, len);
    bool whole_page;
    uint64_t gpa;

    if (s->window_fault)
        m->window_fault(m->window_fault_arg, first, len, MMU_STORE);
    uint8_t *host = tlb_find_store(m, first, len);

    if (!host) {
        struct mmu_place place = mmu_translate(m, gva, 1, MMU_STORE);

        if (!place.is_ram)
            mmu_raise_access(m, MMU_STORE, gva);
        host = phys_ptr(m->phys, place.gpa) - (gva - first);
        gpa = gpa_of(m->phys, host);
        if (!m->guest->allowed(s, gpa, len, MMU_STORE, m->now.data_rights, &whole_page))
            mmu_raise_access(m, MMU_STORE, gva);
    }
    gpa = gpa_of(m->phys, host);
    mmu_watch_ram(m, gpa, len);
    mmu_store_begin(m, gpa);
    zero(host, len);
    mmu_store_end(m, gpa, len);
    if (track_is_code(m->track, gpa)) /* or each block of it would fault in the host */
        mmu_forget_store(m, gva);
    wrote(m, gpa, len);
}

void mmu_probe_cbo(struct cpu_state *s, uint64_t gva)
{
    struct mmu *m = s->mmu;
    struct mmu_place place;
    struct mmu_fault fault;

    if (tlb_find_load(m, gva, 1) || tlb_find_store(m, gva, 1))
        return;
    /* What may not be read may not be written either. Where translation permits reading, it is
     * an access fault even though translation may forbid storing (CMO, "Page Fault"). */
    if (!mmu_try_translate(m, gva, 1, MMU_LOAD, &place, &fault)) {
        if (fault.cause == m->guest->access_fault(MMU_LOAD))
            mmu_raise_access(m, MMU_STORE, gva);
        place = mmu_translate(m, gva, 1, MMU_STORE);
    }
    if (!place.is_ram && !phys_find(m->phys, place.gpa, 1))
        mmu_raise_access(m, MMU_STORE, gva);
}

/* ---- The page walker --------------------------------------------------------------------------
 */

bool mmu_phys_load64(struct cpu_state *s, uint64_t gpa, uint64_t *value)
{
    struct mmu *m = s->mmu;

    if (gpa % 8 || !phys_is_ram(m->phys, gpa, 8))
        return false;
    *value = load_word(phys_read_ptr(m->phys, gpa), 8);
    return true;
}

bool mmu_phys_cas64(struct cpu_state *s, uint64_t gpa, uint64_t old, uint64_t value)
{
    struct mmu *m = s->mmu;

    if (gpa % 8 || !phys_is_ram(m->phys, gpa, 8))
        return false;
    bool stored;

    mmu_watch_ram(m, gpa, 8);
    mmu_store_begin(m, gpa);
    stored = swap_word(phys_ptr(m->phys, gpa), 8, old, value);
    mmu_store_end(m, gpa, stored ? 8 : 0);
    if (!stored)
        return false;
    wrote(m, gpa, 8);
    return true;
}

/* ---- The reservation as data ------------------------------------------------------------ */

struct mmu_reservation mmu_get_reservation(const struct mmu *m)
{
    uint64_t word = m->s->reservation, address = word & ~UINT64_C(3);
    struct mmu_reservation r = {.lr_site = m->lr_site, .value = m->s->reserved_value};
    unsigned size;

    memcpy(r.lr_watches, m->lr_watches, sizeof r.lr_watches);
    if (m->reserve && reserve_get(m->reserve, m->hart, &r.gpa, &size)) {
        r.reserved = r.watched = true;
        r.size = (uint8_t)size;
    } else if (word) {
        r.reserved = true;
        r.size = word & 1 ? 8 : 4;
        r.gpa = word & bit(63) ? address & ~bit(63)
                               : address - (uintptr_t)m->phys->store + m->phys->ram_gpa;
    }
    return r;
}

void mmu_set_reservation(struct mmu *m, const struct mmu_reservation *r)
{
    m->lr_site = r->lr_site;
    memcpy(m->lr_watches, r->lr_watches, sizeof m->lr_watches);
    mmu_clear_reservation(m);
    if (!r->reserved)
        return;
    if (!r->watched) {
        reserve(m, r->gpa, r->size, r->value);
        return;
    }
    reserve_watch(m->reserve, m->hart, m->track, r->gpa, r->size);
    reserve_lock(m->reserve, r->gpa);
    reserve_take_locked(m->reserve, m->hart);
    reserve_unlock(m->reserve, r->gpa);
    m->s->reserved_value = r->value;
}
