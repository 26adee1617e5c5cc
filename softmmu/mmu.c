/* One hart's MMU: making it, and switching it between spaces, rights and modes. */
#define _GNU_SOURCE
#include "softmmu/mmu_int.h"

#include <asm/prctl.h>
#include <immintrin.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dbt/base/check.h"
#include "dbt/ir/ir.h"

#define HWCAP2_FSGSBASE_BIT 2 /* the kernel lets programs write the gs base */

static void *map_zero(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static void unmap(void *p, size_t bytes)
{
    if (p)
        munmap(p, bytes);
}

struct mmu *mmu_create(struct cpu_state *s, struct phys *phys, struct track *track,
                       struct salts *salts, const struct mmu_guest *guest)
{
    struct mmu *m = map_zero(sizeof(*m));

    if (!m)
        return NULL;
    m->s = s;
    m->phys = phys;
    m->track = track;
    m->guest = guest;
    m->fsgsbase = (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT) != 0;
    common_init(m);
    m->views = views_create();
    if (!m->views) {
        mmu_destroy(m);
        return NULL;
    }
    m->serial = 1;
    m->own_salts = !salts;
    m->salts = salts ? salts : salts_create(1);
    salt_init(&m->high, 0);
    state_empty_jumps(s);
    s->mmu = m;
    mmu_refresh(m); /* no translation, rights 0, until the guest says more */
    return m;
}

void mmu_destroy(struct mmu *m)
{
    if (!m)
        return;
    if (m->s->mmu == m) {
        m->s->mmu = NULL;
        m->s->view = NULL;
    }
    for (unsigned i = 0; i < m->n_spaces; i++)
        for (unsigned k = 0; k < N_VIEWS; k++)
            window_forget(m, &m->spaces[i].slot[k]);
    common_fini(m);
    if (m->own_salts)
        salts_destroy(m->salts);
    views_leave(m->views);
    unmap(m, sizeof(*m));
}

void mmu_reserve_strictly(struct mmu *m, struct reserve *r, unsigned hart)
{
    m->reserve = r;
    m->hart = hart;
}

void mmu_set_salt_wrap(struct mmu *m, void (*wrapped)(void *arg), void *arg)
{
    m->salts_wrapped = wrapped;
    m->salts_wrapped_arg = arg;
}

void mmu_set_window_fault(struct mmu *m,
                          void (*fault)(void *arg, uint64_t va, unsigned len,
                                        enum mmu_access access),
                          void *arg)
{
    m->window_fault = fault;
    m->window_fault_arg = arg;
}

void mmu_set_watch(struct mmu *m, const struct mmu_watch *watch)
{
    m->watch = watch;
}

const struct mmu_stats *mmu_stats(const struct mmu *m)
{
    return &m->stats;
}

/* ---- Switching ----------------------------------------------------------------------- */

__attribute__((target("fsgsbase"))) static void write_gs_base(uint64_t base)
{
    _writegsbase_u64(base);
}

void mmu_load_gs(const struct cpu_state *s)
{
    if (s->mmu->fsgsbase)
        write_gs_base((uintptr_t)s->view);
    else
        CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, s->view) == 0);
}

void mmu_set_limit(struct mmu *m)
{
    const struct window *w = m->slot->window; /* without one the view is not touched */
    const uint64_t limit = w ? w->view->window_limit : 0;

    if (atomic_load_explicit(&m->s->limit, memory_order_relaxed) == limit)
        return;
    atomic_store_explicit(&m->s->limit, limit, limit ? memory_order_seq_cst : memory_order_relaxed);
    /* Either we find what was made pending before, or who makes something pending from now on finds
     * our store made, and 0 comes behind it. */
    if (limit && atomic_load(&m->s->pending))
        atomic_store(&m->s->limit, 0);
}

static bool same_setting(const struct setting *a, const struct setting *b)
{
    return a->space_key == b->space_key && a->data_rights == b->data_rights &&
           a->fetch_rights == b->fetch_rights && a->asid == b->asid && a->mode == b->mode;
}

static struct combo *combo_of(struct mmu *m, const struct setting *set)
{
    uint64_t h = (set->space_key + set->asid) * UINT64_C(0x9e3779b97f4a7c15);

    h += set->data_rights * UINT64_C(0xd6e8feb86659fd93);
    h += set->fetch_rights * UINT64_C(0xa0761d6478bd642f);
    h += set->mode * UINT64_C(0xe7037ed1a0b428db);
    return &m->combo[h >> 58];
}

void mmu_note_domain(struct mmu *m)
{
    uint8_t bytes[DOMAIN_BYTES];

    if (m->salts->n_harts > 1 && m->guest->domain)
        m->domain = salts_domain(m->salts, bytes, m->guest->domain(m->s, bytes));
}

static struct salt_key key_of(const struct mmu *m, const struct setting *set,
                              const struct space *sp, bool high)
{
    if (high && !sp->own_high)
        return (struct salt_key){.half = SALT_HIGH_OF_ALL, .domain = m->domain};
    return (struct salt_key){.space_key = set->space_key,
                             .asid = set->asid,
                             .domain = m->domain,
                             .half = high ? SALT_HIGH : SALT_LOW};
}

/* With several harts a generation that another has begun promises more than what we remember. With
 * one, a set that has been another's in between does not know of it.
 * Combos with salts of the old one go, too: a fence asks about one generation only. */
static uint64_t take_salt(struct mmu *m, const struct setting *set, const struct combo *c,
                          bool high)
{
    struct space *sp = c->space;
    struct salt_ref *r = salt_ref_of(m, sp, high ? bit(63) : 0);
    const uint32_t mode = set->mode | window_mode(m, set, c->slot);
    const struct salt_key key = key_of(m, set, sp, high);
    bool is_another;
    uint64_t salt = salt_take(m, r, &key, set->fetch_rights, mode, &is_another);

    if (is_another) {
        m->serial++;
        fetches_forget(r == &m->high ? &m->high_fetches : &sp->fetches, true);
    }
    return salt;
}

/* All was fenced. What is fetched for all spaces may stay as it was, where a walk leads to it now.
 * Not before the hart may make one: a page table that is not in force says nothing. */
static void settle_high(struct mmu *m)
{
    m->high_in_doubt = false;
    if (leaves_stand(m))
        return;
    fetches_forget(&m->high_fetches, true);
    salt_leave(&m->high, m->high_moment, true);
}

/* Finds or makes all that the setting leads to. */
static void fill_combo(struct mmu *m, struct combo *c, const struct setting *set)
{
    struct space *sp;

    if (m->high_in_doubt && set->space_key)
        settle_high(m);
    salt_reserve(m);
    sp = space_get(m, set->space_key, set->asid);
    c->setting = *set;
    c->space = sp;
    c->slot = space_view(m, sp, set->data_rights);
    c->salt[0] = take_salt(m, set, c, false);
    c->salt[1] = take_salt(m, set, c, true);
    c->serial = m->serial; /* last: making room may have moved it on */
}

/* Has another hart gone on to newer generations? To follow it is what makes links of one serve the
 * other. */
static bool is_left_behind(struct mmu *m, const struct combo *c)
{
    return m->salts->n_harts > 1 && !(salt_is_newest(salt_ref_of(m, c->space, 0)) &&
                                      salt_is_newest(salt_ref_of(m, c->space, bit(63))));
}

static void put_in_force(struct mmu *m, const struct combo *c)
{
    struct cpu_state *s = m->s;

    m->now = c->setting;
    m->space = c->space;
    m->slot = c->slot;
    m->space->used = ++m->tick;
    m->slot->used = m->tick;
    if (is_common_slot(m, m->slot) && !common_is_entered(m))
        common_enter(m, m->space);
    if (s->salt[0] != c->salt[0] || s->salt[1] != c->salt[1])
        s->returns_stale = 1;
    s->salt[0] = c->salt[0];
    s->salt[1] = c->salt[1];
    s->page_tag = s->page_va ^ s->salt[s->page_va >> 63];
    if (s->view == m->slot->view)
        return;
    s->view = m->slot->view;
    mmu_load_gs(s);
    mmu_set_limit(m);
}

static void enter_setting(struct mmu *m, const struct setting *set)
{
    struct combo *c = combo_of(m, set);

    if (c->serial != m->serial || !same_setting(&c->setting, set) || is_left_behind(m, c))
        fill_combo(m, c, set);
    put_in_force(m, c);
}

void mmu_switch(struct mmu *m, uint64_t space_key, uint32_t asid, uint64_t data_rights,
                uint64_t fetch_rights, uint32_t mode)
{
    const struct setting *now = &m->now;

    if (space_key == 0)
        asid = 0;
    /* By itself, since most calls end here: what same_setting() is asked about must be made first.
     */
    if (now->space_key == space_key && now->data_rights == data_rights && now->mode == mode &&
        now->fetch_rights == fetch_rights && now->asid == asid)
        return;
    m->stats.switches++;
    enter_setting(m, &(struct setting){space_key, data_rights, fetch_rights, asid, mode});
}

void mmu_pause(struct mmu *m)
{
    if (m->windows)
        m->paused_at = window_clock();
}

void mmu_resume(struct mmu *m)
{
    const struct setting set = m->now;

    if (m->windows) {
        const uint64_t away = window_clock() - m->paused_at;

        m->away_ns += away;
        m->sampled_at += away;
    }
    if (m->common->n_users > 1)
        enter_setting(m, &set);
}

void mmu_refresh(struct mmu *m)
{
    const struct setting set = m->now;

    m->serial++;
    enter_setting(m, &set);
}

bool mmu_ram_of_load(struct mmu *m, uint64_t gva, unsigned size, uint64_t *gpa)
{
    struct mmu_place place;
    struct mmu_fault fault;

    if (gva & (size - 1) || !mmu_try_translate(m, gva, size, MMU_LOAD, &place, &fault) ||
        !place.is_ram)
        return false;
    *gpa = place.gpa;
    return true;
}
