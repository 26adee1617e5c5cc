/* Loads and stores that the inline look-up did not serve: the first access to a
 * page, MMIO, misaligned and page-crossing accesses, stores into code, faults. */
#include "softmmu/mmu_int.h"

#include <stdatomic.h>

#include "dbt/base/check.h"
#include "dbt/base/tsan.h"
#include "dbt/ir/ir.h"

/* ---- Host memory: one access of the host's for one of the guest's -------------------- */

/* NOT_SANITIZED: the guest's own races are no business of the thread sanitizer's. */

NOT_SANITIZED static uint64_t read_host(const uint8_t *p, unsigned size)
{
    switch (size) {
    case 1: return *(const volatile uint8_t *)p;
    case 2: return *(const volatile any_u16 *)p;
    case 4: return *(const volatile any_u32 *)p;
    default: return *(const volatile any_u64 *)p;
    }
}

NOT_SANITIZED static void write_host(uint8_t *p, unsigned size, uint64_t value)
{
    switch (size) {
    case 1: *(volatile uint8_t *)p = (uint8_t)value; break;
    case 2: *(volatile any_u16 *)p = (uint16_t)value; break;
    case 4: *(volatile any_u32 *)p = (uint32_t)value; break;
    default: *(volatile any_u64 *)p = value;
    }
}

/* Pieces of a crossing access: 1 to 7 bytes, little endian. */
NOT_SANITIZED static uint64_t read_bytes(const uint8_t *p, unsigned n)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < n; i++)
        value |= (uint64_t)((const volatile uint8_t *)p)[i] << 8 * i;
    return value;
}

NOT_SANITIZED static void write_bytes(uint8_t *p, unsigned n, uint64_t value)
{
    for (unsigned i = 0; i < n; i++)
        ((volatile uint8_t *)p)[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t low_bytes(uint64_t value, unsigned size)
{
    return size < 8 ? value & (bit(8 * size) - 1) : value;
}

static uint64_t extend(uint64_t value, uint8_t aux)
{
    unsigned bits = 8 * ir_mem_size(aux);

    return ir_mem_signed(aux) ? (uint64_t)sign_extend(value, bits) : value;
}

/* ---- Translation -------------------------------------------------------------------- */

_Noreturn void mmu_raise_access(struct mmu *m, enum mmu_access access, uint64_t tval)
{
    state_raise(m->s, m->guest->access_fault(access), tval);
}

static void note_fill(struct mmu *m, uint64_t gva, const struct mmu_map *map, uint8_t *flags,
                      uint64_t *filled)
{
    struct view_slot *slot = m->slot;
    unsigned i = tlb_index(gva);

    slot->view->touched |= bit(i / CHUNK);
    filled[i / CHUNK] |= bit(i % CHUNK);
    slot->n_fills++;
    m->space->n_own += !map->global;
    *flags = map->global ? TLB_GLOBAL : 0;
    if (is_common_slot(m, slot)) {
        const bool is_for_all = map->global && gva >> 63;

        *flags = is_for_all ? TLB_GLOBAL : 0;
        common_note(m, gva, is_for_all);
    }
    if (map->page_len <= PAGE_SIZE)
        return;
    *flags |= TLB_HUGE | (map->page_len >= MIDDLE_BYTES ? TLB_MIDDLE : 0);
    range_add_leaf(&slot->huge[gva >> 63], gva, map->page_len);
}

void mmu_stress(struct mmu *m)
{
    m->stress = true;
}

/* The entry that was filled longest ago goes, and what was copied from it. Its view may have been
 * given back since, and hold another space's: that one's entry goes. A window that is given back is
 * forgotten here. */
static void stress_fill(struct mmu *m, struct tlb_entry *e)
{
    struct recent *oldest = &m->recent[m->n_recent++ % N_RECENT];

    if (oldest->entry) {
        cells_drop_page(oldest->view, oldest->entry->tag);
        oldest->entry->tag = TLB_EMPTY;
    }
    *oldest = (struct recent){e, m->slot->view};
}

/* Loads go through the store view too, which can always be read: a line that is loaded and
 * stored through two host addresses costs a first-level miss each time on processors that
 * predict the way by the address (measured: 2 to 4 times on store-heavy kernels), and each
 * page would take two entries of the host's TLB. */
static void fill_load(struct mmu *m, uint64_t gva, const struct mmu_map *map)
{
    struct mmu_view *v = m->slot->view;
    unsigned i = tlb_index(gva);

    note_fill(m, gva, map, &v->load_flags[i], v->load_filled);
    if (m->stress)
        stress_fill(m, &v->load[i]);
    v->load[i].tag = page_of(gva);
    v->load[i].addend =
        (uintptr_t)m->phys->store + (page_of(map->gpa) - m->phys->ram_gpa) - page_of(gva);
}

static void fill_store(struct mmu *m, uint64_t gva, const struct mmu_map *map)
{
    struct mmu_view *v = m->slot->view;
    uint64_t offset = page_of(map->gpa) - m->phys->ram_gpa;
    unsigned i = tlb_index(gva);

    note_fill(m, gva, map, &v->store_flags[i], v->store_filled);
    if (m->stress)
        stress_fill(m, &v->store[i]);
    v->store[i].tag = page_of(gva);
    v->store[i].addend = (uintptr_t)m->phys->store + offset - page_of(gva);
}

/* Who writes a page reads it, too, as a rule: one walk for both, which a window that is weighed
 * counts once. */
static void fill_for_both(struct mmu *m, uint64_t gva, const struct mmu_map *map)
{
    bool whole_page = false;

    fill_store(m, gva, map);
    if (m->stress || m->slot->view->load[tlb_index(gva)].tag == page_of(gva) ||
        !m->guest->allowed(m->s, map->gpa, 1, MMU_LOAD, m->now.data_rights, &whole_page) ||
        !whole_page)
        return;
    fill_load(m, gva, map);
    m->slot->n_fills--;
}

bool mmu_try_translate(struct mmu *m, uint64_t gva, unsigned len, enum mmu_access access,
                       struct mmu_place *place, struct mmu_fault *fault)
{
    const uint64_t rights = m->now.data_rights;
    struct mmu_map map;
    bool whole_page = false;

    m->stats.walks++;
    if (!m->guest->walk(m->s, gva, access, rights, &map, fault)) {
        m->n_faults++;
        if (m->slot->n_fills > 0)
            m->slot->n_fills--; /* the next one is of a page that is as new to a window */
        return false;
    }
    if (!m->guest->allowed(m->s, map.gpa, len, access, rights, &whole_page)) {
        *fault = (struct mmu_fault){m->guest->access_fault(access), gva};
        return false;
    }
    *place = (struct mmu_place){map.gpa, phys_is_ram(m->phys, map.gpa, len)};
    if (place->is_ram)
        phys_touch(m->phys, map.gpa);
    if (!place->is_ram || !whole_page)
        return true;
    if (access == MMU_LOAD && map.read)
        fill_load(m, gva, &map);
    else if (access == MMU_STORE && map.read && map.write && !track_is_code(m->track, map.gpa))
        fill_for_both(m, gva, &map);
    return true;
}

struct mmu_place mmu_translate(struct mmu *m, uint64_t gva, unsigned len, enum mmu_access access)
{
    struct mmu_place place;
    struct mmu_fault fault;

    if (!mmu_try_translate(m, gva, len, access, &place, &fault))
        state_raise(m->s, fault.cause, fault.tval);
    return place;
}

/* ---- MMIO ------------------------------------------------------------------------------ */

/* The region, if it takes such an access; raises if not. */
static const struct phys_region *mmio_region(struct mmu *m, uint64_t gva, uint64_t gpa,
                                             unsigned size, enum mmu_access access)
{
    const struct phys_region *r = phys_find(m->phys, gpa, size);

    m->stats.mmio++;
    if (!r || size < r->ops->min_size || size > r->ops->max_size || gpa % size)
        mmu_raise_access(m, access, gva);
    return r;
}

static uint64_t region_read(const struct mmu *m, const struct phys_region *r, uint64_t gpa,
                            unsigned size)
{
    const struct mmu_watch *w = m->watch;

    if (w && w->mmio_read)
        return low_bytes(w->mmio_read(w->arg, r, gpa - r->gpa, size), size);
    return low_bytes(r->ops->read(r->device, gpa - r->gpa, size), size);
}

static void region_write(const struct mmu *m, const struct phys_region *r, uint64_t gpa,
                         unsigned size, uint64_t value)
{
    const struct mmu_watch *w = m->watch;

    value = low_bytes(value, size);
    if (w && w->mmio_write)
        w->mmio_write(w->arg, r, gpa - r->gpa, size, value);
    else
        r->ops->write(r->device, gpa - r->gpa, size, value);
}

uint64_t mmu_mmio_read(struct mmu *m, uint64_t gva, uint64_t gpa, unsigned size,
                       enum mmu_access access)
{
    const struct phys_region *r = mmio_region(m, gva, gpa, size, access);
    uint64_t value;

    pthread_rwlock_rdlock(&m->phys->mmio_lock);
    value = region_read(m, r, gpa, size);
    pthread_rwlock_unlock(&m->phys->mmio_lock);
    return value;
}

void mmu_mmio_write(struct mmu *m, uint64_t gva, uint64_t gpa, unsigned size, uint64_t value)
{
    const struct phys_region *r = mmio_region(m, gva, gpa, size, MMU_STORE);

    pthread_rwlock_rdlock(&m->phys->mmio_lock);
    region_write(m, r, gpa, size, value);
    pthread_rwlock_unlock(&m->phys->mmio_lock);
}

uint64_t mmu_mmio_amo(struct mmu *m, uint64_t gva, uint64_t gpa, unsigned size,
                      uint64_t (*apply)(enum mmu_amo op, unsigned size, uint64_t old, uint64_t v),
                      enum mmu_amo op, uint64_t v)
{
    const struct phys_region *r = mmio_region(m, gva, gpa, size, MMU_STORE);
    uint64_t old;

    pthread_rwlock_wrlock(&m->phys->mmio_lock);
    old = region_read(m, r, gpa, size);
    region_write(m, r, gpa, size, apply(op, size, old, v));
    pthread_rwlock_unlock(&m->phys->mmio_lock);
    return old;
}

/* ---- Loads ------------------------------------------------------------------------------- */

/* One page's part of a crossing access is translated before anything is read or written. MMIO takes
 * no part in one. */
/* The ROM is memory, too: there loads may be misaligned and cross, and then see its bytes whatever
 * its device shows at the time. */
static const uint8_t *load_part(struct mmu *m, uint64_t gva, unsigned len)
{
    const uint8_t *host = tlb_find_load(m, gva, len);
    struct mmu_place place;

    if (host)
        return host;
    place = mmu_translate(m, gva, len, MMU_LOAD);
    if (!place.is_ram && !phys_is_rom(m->phys, place.gpa, len))
        mmu_raise_access(m, MMU_LOAD, gva);
    return place.is_ram ? phys_ptr(m->phys, place.gpa) : phys_code_ptr(m->phys, place.gpa);
}

static uint64_t load_crossing(struct mmu *m, uint64_t gva, unsigned size)
{
    unsigned in_first = PAGE_SIZE - (unsigned)(gva & (PAGE_SIZE - 1));
    unsigned in_second = size - in_first;
    const uint8_t *first = load_part(m, gva, in_first);
    const uint8_t *second = load_part(m, gva + in_first, in_second);

    return read_bytes(first, in_first) | read_bytes(second, in_second) << 8 * in_first;
}

static bool crosses_page(uint64_t gva, unsigned size)
{
    return (gva & (PAGE_SIZE - 1)) + size > PAGE_SIZE;
}

static uint64_t load_missed(struct mmu *m, uint64_t gva, unsigned size)
{
    struct mmu_place place;

    if (crosses_page(gva, size))
        return load_crossing(m, gva, size);
    place = mmu_translate(m, gva, size, MMU_LOAD);
    if (!place.is_ram && place.gpa % size != 0 && phys_is_rom(m->phys, place.gpa, size))
        return read_host(phys_code_ptr(m->phys, place.gpa), size);
    if (!place.is_ram)
        return mmu_mmio_read(m, gva, place.gpa, size, MMU_LOAD);
    return read_host(phys_read_ptr(m->phys, place.gpa), size);
}

uint64_t mmu_load(struct cpu_state *s, uint64_t gva, uint8_t aux)
{
    struct mmu *m = s->mmu;
    unsigned size = ir_mem_size(aux);
    const uint8_t *host = tlb_find_read(m, gva, size);

    m->stats.loads++;
    return extend(host ? read_host(host, size) : load_missed(m, gva, size), aux);
}

/* ---- Stores -------------------------------------------------------------------------------- */

bool mmu_wrote(struct mmu *m, uint64_t gpa, unsigned len)
{
    const struct mmu_watch *w = m->watch;

    /* The store must not pass the look at the mark: a translator on another thread marks the
     * page, then reads its bytes (track.c). x86 orders the two only by a fence. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!track_is_code(m->track, gpa))
        return false;
    if (w && w->code_write)
        return w->code_write(w->arg, gpa, len);
    return track_wrote(m->track, gpa, len);
}

static uint8_t *store_part(struct mmu *m, uint64_t gva, unsigned len)
{
    uint8_t *host = tlb_find_store(m, gva, len);
    struct mmu_place place;

    if (host)
        return host;
    place = mmu_translate(m, gva, len, MMU_STORE);
    if (!place.is_ram)
        mmu_raise_access(m, MMU_STORE, gva);
    return phys_ptr(m->phys, place.gpa);
}

static void write_part(struct mmu *m, uint8_t *host, unsigned len, uint64_t value)
{
    uint64_t gpa = gpa_of(m->phys, host);

    mmu_store_begin(m, gpa);
    write_bytes(host, len, value);
    mmu_store_end(m, gpa, len);
}

static bool store_crossing(struct mmu *m, uint64_t gva, unsigned size, uint64_t value)
{
    unsigned in_first = PAGE_SIZE - (unsigned)(gva & (PAGE_SIZE - 1));
    unsigned in_second = size - in_first;
    uint8_t *first = store_part(m, gva, in_first);
    uint8_t *second = store_part(m, gva + in_first, in_second);
    bool leave;

    mmu_watch_ram(m, gpa_of(m->phys, first), in_first);
    mmu_watch_ram(m, gpa_of(m->phys, second), in_second);
    write_part(m, first, in_first, value);
    write_part(m, second, in_second, value >> 8 * in_first);
    leave = mmu_wrote(m, gpa_of(m->phys, first), in_first);
    leave |= mmu_wrote(m, gpa_of(m->phys, second), in_second);
    return leave;
}

/* A store entry of a page that has become code (mmu_forget_store; on another hart; as a
 * neighbour: track.c) would fault in the host at every store. */
static void forget_code_page(struct mmu *m, uint64_t gva, uint64_t gpa)
{
    if (track_is_code(m->track, gpa))
        mmu_forget_store(m, gva);
}

static bool store_ram(struct mmu *m, uint64_t gva, uint64_t gpa, unsigned size, uint64_t value)
{
    bool aligned = (gpa & (size - 1)) == 0;

    mmu_watch_ram(m, gpa, size);
    if (!aligned || track_is_code(m->track, gpa) ||
        !phys_try_store(m->phys->store + (gpa - m->phys->ram_gpa), value, size)) {
        mmu_store_begin(m, gpa);
        write_host(phys_ptr(m->phys, gpa), size, value);
        mmu_store_end(m, gpa, size);
    }
    forget_code_page(m, gva, gpa);
    return mmu_wrote(m, gpa, size);
}

bool mmu_store(struct cpu_state *s, uint64_t gva, uint8_t aux, uint64_t value)
{
    struct mmu *m = s->mmu;
    unsigned size = ir_mem_size(aux);
    uint8_t *host = tlb_find_store(m, gva, size);
    struct mmu_place place;

    m->stats.stores++;
    if (host)
        return store_ram(m, gva, gpa_of(m->phys, host), size, value);
    if (crosses_page(gva, size))
        return store_crossing(m, gva, size, value);
    place = mmu_translate(m, gva, size, MMU_STORE);
    if (place.is_ram)
        return store_ram(m, gva, place.gpa, size, value);
    mmu_mmio_write(m, gva, place.gpa, size, value);
    return false;
}
