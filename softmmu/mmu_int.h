/* The soft MMU's insides, for the files of this folder and their tests.
 *
 *   struct mmu -- now: the setting in force ------------------> s->view, s->salt
 *     | combo[]: settings seen lately, with all that they lead to
 *     | spaces[]: (space_key, asid)
 *     |    | slot[]: a view for each value of data rights, with its huge ranges
 *     |    | fetches: pages that code was fetched from
 *     |    | low, high: salts by (fetch rights, mode); what they have seen fetched
 *     | common: the view that all spaces have together in a kernel's rights; its own, or that of
 *     |         another one on the same thread
 *     | high: the salts of all spaces whose upper half holds global code only */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "dbt/base/bits.h"
#include "softmmu/mmu.h"
#include "softmmu/reserve.h"
#include "softmmu/salts.h"
#include "softmmu/track.h"
#include "softmmu/window.h"

enum {
    N_SPACES = 64,
    N_VIEWS = 8,  /* of one space */
    N_SALTS = 16, /* of one salt set */
    N_COMBOS = 64,
    N_FETCH = 256,
    N_EARNED = 256,
    N_CODE = 16,
    CHUNK = 64, /* entries for a bit of mmu_view.touched, and for a word of load_filled[] */
    BLOOM_BITS = 8192,
    SALT_IDS = 1 << 24,
    SALT_MARGIN = 1 << 16, /* several harts: ids that are left when the world is asked to stop */
    N_SETS = 256,
    N_LEAVES = 128,
    N_FENCED = 64,
    N_DOMAINS = 64,
    DOMAIN_BYTES = 1024,
    N_RECENT = 4,
    COMMON_TRIAL = 64,
};

/* TLB_HUGE: of a leaf larger than a page; TLB_MIDDLE: of one of 2 MiB or more, too. TLB_TEXT, of
 * what was fetched: such a one that is not writable. */
enum {
    TLB_GLOBAL = 1,
    TLB_HUGE = 2,
    TLB_MIDDLE = 4,
    TLB_TEXT = 8
}; /* of mmu_view's flags, and of fetch_entry.gpa */

/* Everything that mmu_switch was told. */
struct setting {
    uint64_t space_key, data_rights, fetch_rights;
    uint32_t asid, mode;
};

/* Whose salts: `domain` numbers what physical protection says on the hart (mmu_guest.domain). */
struct salt_key {
    uint64_t space_key;
    uint32_t asid, domain;
    enum salt_half { SALT_LOW = 1, SALT_HIGH, SALT_HIGH_OF_ALL } half; /* 0: no key */
};

/* leaves.c. A leaf, or a page of one below 2 MiB: the first addresses, the leaf's length, and the
 * rights in which it was fetched. */
struct leaf {
    uint64_t va, gpa, len, rights;
};
struct leaves {
    unsigned n;
    bool incomplete; /* there were more */
    struct leaf leaf[N_LEAVES];
};

/* The salt ids of half a space, for all harts. A generation is left as a whole: whatever was
 * entered in a jump cache or linked under its ids is dead from then on. `fetched` (a Bloom filter
 * of page addresses) and `huge` cover every page fetched under the newest generation. With one hart
 * `huge` outlives it, since fetch_entry does not say how far its leaf reaches: it is cleared with
 * the entries. So do `leaves`. */
struct salt_set {
    struct salt_key key;         /* salts.lock, as all that is not atomic */
    _Atomic uint64_t generation; /* unique among all sets, ever */
    uint64_t used;
    struct {
        uint64_t fetch_rights;
        uint32_t mode, id;
    } salt[N_SALTS];
    unsigned n, next; /* in use; the next to replace when all are */
    _Atomic uint64_t huge_first, huge_last;
    _Atomic uint64_t fetched[BLOOM_BITS / 64];
    struct leaves *leaves; /* of SALT_HIGH_OF_ALL, else NULL */
};

struct salts {
    pthread_mutex_t lock; /* innermost: nothing is called under it but the allocator */
    unsigned n_harts;
    _Atomic uint64_t generation; /* the last that was begun */
    _Atomic uint32_t next_id;
    uint64_t tick;
    unsigned n_sets;
    uint32_t n_domains;
    struct salt_set set[N_SETS];
    uint8_t domain[N_DOMAINS][DOMAIN_BYTES];
};

/* A hart's place in a set. */
struct salt_ref {
    struct salt_set *set;
    uint64_t generation; /* in which the hart is; 0: in none yet */
    uint64_t least;      /* which it may go on to */
    bool forget;         /* no fetch is remembered that the new one's `huge` should cover */
};

/* Memory for views, of the harts that share a thread: views.c. */
struct views {
    unsigned n_users;
    unsigned n_rooms;
    struct {
        uint8_t *views; /* backed when touched */
        unsigned n_taken;
    } room[MMU_SHARERS_MAX];
    struct mmu_view *spare; /* given back, the last one first */
};

struct view_slot {
    struct mmu_view *view; /* the window's, or its own; NULL: nothing is in it */
    struct mmu_view *own;  /* or NULL */
    struct window *window; /* or NULL */
    uint64_t rights;       /* if it is live */
    uint64_t ran_ns;       /* since it has been without one, seen by samples */
    uint64_t need_ns;      /* how long it must run to get one */
    uint64_t saving_ns;    /* what one would have saved meanwhile, less what fences would have cost
                            * it (window_would_drop) */
    uint64_t n_fills;      /* since such a fence, of pages that the guest had */
    struct sampled_code {
        uint64_t page;     /* physical, found running by a sample */
        uint64_t saved_ns; /* what the first such would have saved, not yet counted */
    } code[N_CODE];
    unsigned next_code; /* where the next is put */
    uint64_t n_samples; /* samples without a window since the space was taken */
    /* Samples that count, and those that found code which is there for windows, too. */
    uint64_t n_code, n_made;
    bool live;
    uint64_t used;
    struct range huge[2]; /* of huge leaves cached, by bit 63 */
};

/* va: page address | 1, 0 when empty. gpa: page address | TLB flags. */
struct fetch_entry {
    uint64_t va, gpa, rights;
};

/* Pages that code was fetched from. filled: bit i % 64 of word i / 64, entry i may be live. */
struct fetches {
    uint64_t filled[N_FETCH / 64];
    struct range huge; /* of large leaves */
    struct fetch_entry entry[N_FETCH];
};

/* What a space that is new to the hart must not be told: it may have been fenced while the hart had
 * none, or one that it has forgotten. Its generations begin with these, the later of the two. */
struct fenced {
    uint64_t all;               /* behind the last fence of all asids */
    uint64_t of_asid[N_FENCED]; /* behind the last of an asid that is i modulo N_FENCED */
};

/* What a fence of all addresses left to do, before the space is used again. */
enum stale { STALE_NOTHING, STALE_LOCAL, STALE_ALL };

struct space {
    uint64_t used;
    enum stale stale;
    uint64_t n_own; /* fills of pages that are not global since a fence of all */
    bool own_high;  /* upper half: own salts, since non-global code was fetched (or key 0) */
    struct view_slot slot[N_VIEWS];
    struct salt_ref low, high; /* high: when own_high */
    struct fetches fetches;    /* of the upper half when own_high */
};

/* A view for all spaces (mmu_guest.shares_view). Pages of the upper half that are global stay when
 * the space changes; all others are those of the space `of`. */
struct common {
    struct mmu *user[MMU_SHARERS_MAX]; /* the first is whose it is */
    unsigned n_users;
    struct view_slot slot;
    const struct space *of; /* any user's; NULL: one that is gone */
    bool has_others;        /* pages that are not global or not of the upper half */
    bool others_go;         /* they were fenced */
    bool is_of_no_use;      /* each space has its own from now on */
    uint64_t walked_since;  /* a moment: all that is there was walked to behind it */
    uint64_t n_entered, n_lost;
};

/* For --stress=table: an entry that was filled. */
struct recent {
    struct tlb_entry *entry;
    struct mmu_view *view;
};

/* And a page that was mapped in a window. */
struct recent_page {
    struct window *window; /* NULL: it is gone */
    uint64_t va;
};

/* What windows may cost in code of a physical page: earned.c. */
struct earned {
    uint64_t page;
    int64_t ns; /* at most EARNED_MAX_NS, either way */
};

/* Good while its serial is the MMU's. */
struct combo {
    struct setting setting;
    uint64_t serial;
    struct space *space;
    struct view_slot *slot;
    uint64_t salt[2];
};

struct mmu {
    struct cpu_state *s;
    struct phys *phys;
    struct track *track;
    struct windows *windows; /* NULL: off */
    const struct mmu_guest *guest;
    const struct mmu_watch *watch;      /* NULL: off */
    struct reserve *reserve;            /* --lrsc=strict; NULL: off */
    unsigned hart;                      /* its number there */
    unsigned lr_site;                   /* of the last LR: a bit of lr_watches */
    uint64_t lr_watches[LR_SITES / 64]; /* LRs that must watch: sc_strict() */
    void (*salts_wrapped)(void *arg);
    void *salts_wrapped_arg;
    void (*window_fault)(void *arg, uint64_t va, unsigned len, enum mmu_access access);
    void *window_fault_arg;
    bool fsgsbase; /* the gs base may be written without a system call */

    struct setting now;
    struct space *space;
    struct view_slot *slot;
    uint64_t tick;   /* counts uses, for "least recently" */
    uint64_t serial; /* changes when a combo may point at what is gone */

    struct mmu_stats stats;
    bool stress; /* mmu_stress(): only the entries of recent[] live */
    unsigned n_recent;
    struct recent recent[N_RECENT];
    unsigned n_recent_pages;
    struct recent_page recent_page[N_RECENT];

    unsigned n_windows, next_idle;
    uint64_t sampled_at, sampled_blocks, sampled_faults;
    bool sample_soon;            /* the window in force has to go, or its time has come */
    uint64_t paused_at, away_ns; /* how long it has paused, ever */
    uint64_t n_faults;           /* page faults of the guest's */
    struct earned earned[N_EARNED];

    struct common own_common, *common;
    bool is_foreign; /* it has pages that this hart has fenced, or cannot have walked to */

    struct views *views;

    struct salts *salts;
    bool own_salts; /* made here: nobody shares them */
    uint32_t domain;
    struct salt_ref high;
    bool high_in_doubt;   /* all was fenced: before it is used, its leaves are walked to again */
    uint64_t high_moment; /* of that fence */
    struct fetches high_fetches; /* of spaces without their own: all global */
    struct fenced fenced[2];     /* by bit 63 */

    unsigned n_spaces;
    uint64_t space_key[N_SPACES]; /* of spaces[]: a fence looks at all of them */
    uint32_t space_asid[N_SPACES];
    struct combo combo[N_COMBOS];
    struct space spaces[N_SPACES];
};

static inline unsigned tlb_index(uint64_t va)
{
    return (unsigned)(va >> PAGE_BITS) & (TLB_SIZE - 1);
}
static inline uint64_t page_of(uint64_t va)
{
    return va & ~(uint64_t)(PAGE_SIZE - 1);
}
static inline unsigned fetch_index(uint64_t va)
{
    return (unsigned)(va >> PAGE_BITS) & (N_FETCH - 1);
}

/* ---- fetch.c ---------------------------------------------------------------------- */

/* Forgets all, or all that is not global. */
void fetches_forget(struct fetches *f, bool global_too);
/* Forgets the page of va, or its leaf. */
void fetches_fence_page(struct fetches *f, uint64_t va, bool global_too);
/* Of how many pages does it know where they are? About: at most N_FETCH. */
unsigned fetches_n_known(const struct fetches *f);

/* ---- mmu.c ------------------------------------------------------------------------ */

/* What physical protection says has changed, perhaps. */
void mmu_note_domain(struct mmu *m);

/* ---- space.c ----------------------------------------------------------------------- */

/* The space of this key and asid, made (over the one used least recently) if need be, clean. */
struct space *space_get(struct mmu *m, uint64_t space_key, uint32_t asid);
/* Its view for these rights, made if need be. */
struct view_slot *space_view(struct mmu *m, struct space *sp, uint64_t data_rights);

/* Of zeros: makes it one that hits nowhere. */
void view_init(struct mmu_view *v);
/* Makes the slot live: its window or a view of its own, empty. */
void view_fit_out(struct mmu *m, struct view_slot *slot, uint64_t space_key, uint64_t data_rights);
/* Drops all that the slot's view and window hold. */
void view_clear(struct view_slot *slot);
/* But for its window. */
void view_clear_tables(struct view_slot *slot);
/* But for its window and global pages. */
void view_clear_local(struct view_slot *slot);
/* Drops a page, or the large leaf that it is in. */
void view_fence_page(struct view_slot *slot, uint64_t va, bool global_too);

/* ---- views.c ------------------------------------------------------------------------ */

/* NULL: no memory. */
struct views *views_create(void);
/* Who has left knows none of its views any more. The last one destroys it. */
void views_leave(struct views *v);
/* m's views are those of v's users from now on, of whom it is one. */
void views_join(struct mmu *m, struct views *v);
/* The slot, which has no window, has a view of its own, empty. */
void slot_take_own(struct mmu *m, struct view_slot *slot);
/* It has nothing any more, and others may take its memory. Not of the slot in force, nor of one
 * that has a window. */
void slot_give_own(struct mmu *m, struct view_slot *slot);

/* ---- common.c ----------------------------------------------------------------------- */

void common_init(struct mmu *m);
void common_fini(struct mmu *m);
/* Is it what a space has in these rights? */
bool common_is_for(struct mmu *m, uint64_t space_key, uint64_t data_rights);
struct view_slot *common_view(struct mmu *m, uint64_t space_key, uint64_t data_rights);
/* It is taken into use for sp, where common_is_entered() says no. */
void common_enter(struct mmu *m, const struct space *sp);
/* A page of it was walked to: is it one for all spaces, and all users? */
void common_note(struct mmu *m, uint64_t va, bool is_global);
void common_fence(struct mmu *m, uint64_t moment, bool all_va, uint64_t va, bool all_asid,
                  uint32_t asid);
/* What leads to the slot is to be found anew: combos, of all that use it. */
void slot_changed(struct mmu *m, const struct view_slot *slot);
/* Whose window counts: the slot's owner. */
struct mmu *slot_owner(struct mmu *m, const struct view_slot *slot);

static inline bool is_common_slot(const struct mmu *m, const struct view_slot *slot)
{
    return slot == &m->common->slot;
}
static inline bool common_is_entered(const struct mmu *m)
{
    const struct common *c = m->common;

    return c->of == m->space && !c->others_go && !m->is_foreign;
}

/* ---- promote.c ---------------------------------------------------------------------- */

/* A window for a slot that has none, empty, in place of its view. False: it gets none. */
bool window_give(struct mmu *m, struct view_slot *slot, uint64_t space_key, uint64_t rights);
/* IR_MODE_WINDOW, or 0. */
uint32_t window_mode(const struct mmu *m, const struct setting *set, const struct view_slot *slot);
/* A fence takes all that the slot's window holds, or would hold if it had one. */
void window_would_drop(struct view_slot *slot);
/* The slot is another space's from now on; or the MMU goes. */
void window_forget(struct mmu *m, struct view_slot *slot);

/* Between blocks, the window in force may have to go: it failed, or its mappings cost too much. */
void window_sample_soon(struct mmu *m);

/* ---- fill.c -------------------------------------------------------------------------- */

/* Calls f for each entry of a page of the window's (NULL: of any) that the view's tables have, in
 * an order that has neighbours behind each other. Pages that are written have two. */
void view_each_known(const struct mmu_view *v, const struct window *w,
                     void (*f)(void *arg, const struct tlb_entry *e, unsigned flags), void *arg);
/* How many entries for loads it has, at most. */
unsigned view_n_loads(const struct mmu_view *v);
/* Maps in the window in force what `known` has of it; what that takes is spent. */
void window_fill(struct mmu *m, const struct mmu_view *known);
/* After a fence of all addresses: the window in force keeps what is as it was. */
void window_recheck(struct mmu *m);

/* ---- earned.c ----------------------------------------------------------------------- */

/* What windows may cost before it is seen that they do not pay any more. */
#define EARNED_MAX_NS INT64_C(30000000)

/* The account of the physical page of gpa. ns: less than 0 for what was spent. */
int64_t earned_of(struct mmu *m, uint64_t gpa);
void earned_add(struct mmu *m, uint64_t gpa, int64_t ns);
/* Does it owe nothing, and is there an account, or an empty place for one? */
bool earned_can_lend(struct mmu *m, uint64_t gpa);
/* Takes it from the account, which is opened for that where its place is empty. gpa: not 0. */
void earned_lend(struct mmu *m, uint64_t gpa, int64_t ns);
void earned_forget(struct mmu *m, uint64_t gpa);

/* ---- cell.c ------------------------------------------------------------------------ */

/* Of a view that was never used. */
void cells_init(struct mmu_view *v);
void cells_drop_all(struct mmu_view *v);
/* Those of va's page, and of what shares its index. */
void cells_drop_page(struct mmu_view *v, uint64_t va);

/* ---- salt.c ------------------------------------------------------------------------ */

/* Makes sure that the next two salt_take() need no new beginning. */
void salt_reserve(struct mmu *m);
/* The set of this key, or NULL. salts.lock is held. */
struct salt_set *salt_set_of(struct salts *s, const struct salt_key *key);
/* The hart goes on to the set's newest generation (or begins one, if that is too old): the salt for
 * these rights and mode. *is_another: what it remembers of
 * fetches may be of another one, or of a set that does not know of them any more. */
uint64_t salt_take(struct mmu *m, struct salt_ref *r, const struct salt_key *key,
                   uint64_t fetch_rights, uint32_t mode, bool *is_another);
/* least: the first generation that it may be in. */
void salt_init(struct salt_ref *r, uint64_t least);
/* *least is behind the moment from now on, if it was not: a fence that was made earlier may come
 * later. */
void salt_demand(uint64_t *least, uint64_t moment);
/* Generations begun before the moment are forbidden from now on. fetches_go: what was fetched is
 * forgotten, too. */
void salt_leave(struct salt_ref *r, uint64_t moment, bool fetches_go);
/* Before the walk. */
void salt_note_fetch(struct salt_ref *r, uint64_t va);
/* A leaf larger than a page: true when it is news, and the walk has to be made again. */
bool salt_note_leaf(struct mmu *m, struct salt_ref *r, uint64_t va, uint64_t page_len);
/* May the page of va, or its leaf, have been fetched, by any hart, under the ids of this one? */
bool salt_may_have_fetched(const struct salt_ref *r, uint64_t va);
/* What va's half of the space takes its salts from. */
struct salt_ref *salt_ref_of(struct mmu *m, struct space *sp, uint64_t va);

static inline bool salt_is_newest(const struct salt_ref *r)
{
    return atomic_load(&r->set->generation) == r->generation;
}
/* The number of what these bytes say. */
uint32_t salts_domain(struct salts *s, const void *bytes, size_t len);

/* ---- leaves.c ---------------------------------------------------------------------- */

struct leaves *leaves_create(void);
void leaves_clear(struct leaves *l);
/* Code at va was walked to. True when its leaf is news, and the walk has to be made again. */
bool leaves_note(struct mmu *m, const struct salt_ref *r, uint64_t va, uint64_t rights,
                 const struct mmu_map *map);
/* After stores to the page table: may any hart have fetched the page of va, or its leaf, for the
 * upper half of all spaces in the newest generation of the set that this hart's salts are of? */
bool leaves_may_have(struct mmu *m, uint64_t va);
/* The same: does all that was fetched there lie where it did, by a walk that the hart may make now?
 * False where nobody knows. */
bool leaves_stand(struct mmu *m);

/* ---- access.c ----------------------------------------------------------------------- */

struct mmu_place {
    uint64_t gpa;
    bool is_ram; /* all of it; else MMIO, or nothing at all */
};

/* Walks and asks for physical rights to [gva, gva+len), which lies in one page. Fills
 * the TLB where that is allowed. False: *fault says what to raise. */
bool mmu_try_translate(struct mmu *m, uint64_t gva, unsigned len, enum mmu_access access,
                       struct mmu_place *place, struct mmu_fault *fault);
/* The same, raising. */
struct mmu_place mmu_translate(struct mmu *m, uint64_t gva, unsigned len, enum mmu_access access);
/* After a write to RAM through the plain view: tells track. True when the running block
 * was dropped. */
bool mmu_wrote(struct mmu *m, uint64_t gpa, unsigned len);
/* A device's register, found by mmu_translate(); raises `access`'s fault when it takes no such
 * access. */
uint64_t mmu_mmio_read(struct mmu *m, uint64_t gva, uint64_t gpa, unsigned size,
                       enum mmu_access access);
void mmu_mmio_write(struct mmu *m, uint64_t gva, uint64_t gpa, unsigned size, uint64_t value);
/* Reads a register and writes apply(op, size, old, v); no other hart's access to a device comes
 * between. Returns the old value. */
uint64_t mmu_mmio_amo(struct mmu *m, uint64_t gva, uint64_t gpa, unsigned size,
                      uint64_t (*apply)(enum mmu_amo op, unsigned size, uint64_t old, uint64_t v),
                      enum mmu_amo op, uint64_t v);
_Noreturn void mmu_raise_access(struct mmu *m, enum mmu_access access, uint64_t tval);

static inline void mmu_watch_ram(const struct mmu *m, uint64_t gpa, unsigned len)
{
    if (m->watch && m->watch->ram_write)
        m->watch->ram_write(m->watch->arg, gpa, len);
}

/* Around each store to RAM through the plain view, [gpa, gpa+len) of one page: with --lrsc=strict
 * the store and the end of others' reservations are one step. A store through the store view needs
 * none of this: it faults when the page is watched. len 0: it was not made. */
static inline void mmu_store_begin(const struct mmu *m, uint64_t gpa)
{
    if (m->reserve)
        reserve_lock(m->reserve, gpa);
}
static inline void mmu_store_end(const struct mmu *m, uint64_t gpa, unsigned len)
{
    if (!m->reserve)
        return;
    if (len > 0)
        reserve_stored_locked(m->reserve, m->hart, gpa, len);
    reserve_unlock(m->reserve, gpa);
}

/* An entry leads to the store view, which C code may not write to: it can be read-only. */
static inline uint8_t *plain_of(const struct mmu *m, uint64_t store_view_address)
{
    return m->phys->ram + (store_view_address - (uintptr_t)m->phys->store);
}

/* The host address (plain view) of [gva, gva+len) in one page, when the TLB knows it. */
static inline uint8_t *tlb_find_load(const struct mmu *m, uint64_t gva, unsigned len)
{
    const struct tlb_entry *e = &m->slot->view->load[tlb_index(gva)];

    if (e->tag != page_of(gva) || (gva & (PAGE_SIZE - 1)) + len > PAGE_SIZE)
        return NULL;
    return plain_of(m, gva + e->addend);
}
/* The same in the store view, to be read only. */
static inline const uint8_t *tlb_find_read(const struct mmu *m, uint64_t gva, unsigned len)
{
    const uint8_t *plain = tlb_find_load(m, gva, len);

    return plain ? m->phys->store + (plain - m->phys->ram) : NULL;
}
static inline uint8_t *tlb_find_store(const struct mmu *m, uint64_t gva, unsigned len)
{
    const struct tlb_entry *e = &m->slot->view->store[tlb_index(gva)];

    if (e->tag != page_of(gva) || (gva & (PAGE_SIZE - 1)) + len > PAGE_SIZE)
        return NULL;
    return plain_of(m, gva + e->addend);
}
static inline uint64_t gpa_of(const struct phys *p, const uint8_t *plain)
{
    return p->ram_gpa + (uint64_t)(plain - p->ram);
}
