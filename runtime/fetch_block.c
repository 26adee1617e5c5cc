/* From a guest pc to a block: find it, or fetch the bytes and translate them. */
#include <inttypes.h>
#include <string.h>

#include "dbt/base/bits.h"
#include "dbt/base/log.h"
#include "dbt/base/tsan.h"
#include "runtime/hart_int.h"
#include "runtime/quiesce.h"

/* The guest's bytes around one block. */
struct window {
    struct hart *h;
    uint64_t gva, gpa;       /* of the block's page */
    uint64_t gpa2;           /* of the next page, once it was asked for; else 0 */
    struct mmu_fault fault2; /* why there is none, if so */
    bool asked2;
    bool partial; /* physical protection allows a part of the block's page */
    bool single;  /* one instruction, once: partial, or is_last(), or the last before a limit */
};

/* Before bytes of a page are read its store view becomes read-only: see track.h. */
static void protect(struct hart *h, uint64_t gva, uint64_t gpa)
{
    struct track *t = h->tc->track;

    if (mmu_fetched_text(h->mmu, gva) ? track_protect_text(t, gpa) : track_protect(t, gpa))
        mmu_forget_store(h->mmu, gva);
}

/* Makes the page one of those that are read, then protects it: in this order, since a store that
 * comes between the two is seen in the bytes, and one that comes later says so in `making`. */
static void claim(struct hart *h, unsigned which, uint64_t gva, uint64_t gpa)
{
    tcache_lock(h->tc);
    h->making.gpa[which] = gpa;
    tcache_unlock(h->tc);
    protect(h, gva, gpa);
}

/* Of a block at gpa; gives where it ends at the latest. */
static uint32_t begin_making(struct window *w, uint64_t gpa)
{
    struct hart *h = w->h;

    tcache_lock(h->tc);
    h->making = (struct making){.now = true, .gpa = {w->gpa, w->gpa2}};
    uint32_t end = rewrite_block_end(h->tc->rewrite, gpa);

    tcache_unlock(h->tc);
    protect(h, w->gva, w->gpa);
    if (w->gpa2)
        protect(h, w->gva + PAGE_SIZE, w->gpa2);
    return end;
}

static bool next_page(struct window *w)
{
    if (!w->asked2) {
        w->asked2 = true;
        if (mmu_fetch(w->h->mmu, w->gva + PAGE_SIZE, &w->gpa2, &w->fault2))
            claim(w->h, 1, w->gva + PAGE_SIZE, w->gpa2);
        else
            w->gpa2 = 0;
    }
    return w->gpa2 != 0;
}

static bool parcel(void *arg, uint32_t offset, uint16_t *out, uint64_t *cause, uint64_t *tval)
{
    struct window *w = arg;
    uint64_t gpa = w->gpa + offset;

    if (offset >= PAGE_SIZE) {
        if (!next_page(w)) {
            *cause = w->fault2.cause;
            *tval = w->fault2.tval;
            return false;
        }
        gpa = w->gpa2 + (offset - PAGE_SIZE);
    } else if (w->partial) {
        struct mmu_fault fault;

        if (!mmu_fetch(w->h->mmu, w->gva + offset, &gpa, &fault)) {
            *cause = fault.cause;
            *tval = fault.tval;
            return false;
        }
    }
    memcpy(out, phys_code_ptr(w->h->tc->phys, gpa), sizeof *out);
    return true;
}

static bool gpa2_of(void *arg, uint64_t *gpa2)
{
    struct window *w = arg;

    if (!next_page(w))
        return false;
    *gpa2 = w->gpa2;
    return true;
}

static bool gpa2_of_block(void *arg, uint64_t *gpa2)
{
    *gpa2 = ((const struct block *)arg)->gpa2;
    return true;
}

static bool keep_lists(struct hart *h, struct block *b, const struct x64_unit *u)
{
    struct block_exit *exit = cache_meta(h->tc->cache, hart_thread(h), u->n_exits * sizeof *exit);
    struct x64_map *map = cache_meta(h->tc->cache, hart_thread(h), u->n_map * sizeof *map);
    struct x64_site *site = cache_meta(h->tc->cache, hart_thread(h), u->n_sites * sizeof *site);

    if (!exit || !map || !site)
        return false;
    for (unsigned k = 0; k < u->n_exits; k++)
        exit[k] = (struct block_exit){.from = b, .at = u->exit[k]};
    memcpy(map, u->map, u->n_map * sizeof *map);
    memcpy(site, u->site, u->n_sites * sizeof *site);
    b->exit = exit;
    b->map = map;
    b->site = site;
    b->n_exits = u->n_exits;
    b->n_map = u->n_map;
    b->n_sites = u->n_sites;
    return true;
}

static bool keep_ir(struct hart *h, struct block *b, const struct ir_block *ir)
{
    size_t bytes = offsetof(struct ir_block, insn) + ir->n * sizeof ir->insn[0];
    struct ir_block *copy = cache_meta(h->tc->cache, hart_thread(h), bytes);

    if (!copy)
        return false;
    memcpy(copy, ir, bytes);
    b->ir = copy;
    return true;
}

/* Moves the code on to where it runs best, both parts: each knows how far away the other is. */
static void find_place(struct hart *h, const struct x64_unit *u, const struct x64_room *room)
{
    size_t lead = x64_lead(u, (uintptr_t)room->hot); /* where it runs has the same low bits */

    if (lead == 0 || u->size_bytes + lead > room->hot_bytes ||
        u->cold_bytes + lead > room->cold_bytes)
        return;
    memmove(room->hot + lead, room->hot, u->size_bytes);
    memmove(room->cold + lead, room->cold, u->cold_bytes);
    cache_skip(h->tc->cache, hart_thread(h), lead);
}

static uint8_t at_most_255(unsigned n)
{
    return (uint8_t)(n < UINT8_MAX ? n : UINT8_MAX);
}

static uint8_t n_accesses(const struct ir_block *ir)
{
    unsigned n = 0;

    for (unsigned i = 0; i < ir->n; i++)
        n += (ir_ops[ir->insn[i].op].flags & (LOAD | STORE)) != 0;
    return at_most_255(n);
}

/* The block in its thread's segment of the cache, not yet known to anybody nor its host code
 * committed, or NULL when that is full. */
static struct block *place(struct hart *h, const struct translate_job *job,
                           const struct ir_block *ir)
{
    struct block *b = cache_meta_line(h->tc->cache, hart_thread(h), sizeof *b);

    if (!b)
        return NULL;
    *b = (struct block){.gpa = ir->gpa,
                        .mode = ir->mode,
                        .len_bytes = ir->len_bytes,
                        .n_insns = (uint8_t)ir->n_guest,
                        .n_accesses = n_accesses(ir)};
    if (h->tc->config.engine != ENGINE_JIT && !keep_ir(h, b, ir))
        return NULL;
    if (h->tc->config.engine != ENGINE_INTERP) {
        const struct x64_room room = cache_room(h->tc->cache, hart_thread(h));
        const struct x64_unit *u = translate_host(h->translator, job, &room);

        if (!u || !keep_lists(h, b, u))
            return NULL;
        find_place(h, u, &room);
        b->size_bytes = u->size_bytes;
        b->cold_bytes = u->cold_bytes;
        b->loop = u->loop;
        b->onward = u->onward;
        b->touches_fp = u->touches_fp;
        b->n_lookups = at_most_255(u->n_lookups);
    }
    return b;
}

/* A block whose first instruction reaches into a page that cannot be fetched is the trap
 * of this moment: it runs once, and is found by nobody, since the page may be mapped by the
 * next time. So does one from a page of which protection allows a part: nothing else would
 * ask again for its later instructions; and one that is cut before the limit of instructions. */
static bool is_for_once(const struct window *w, struct block *b)
{
    if (w->single)
        return true;
    if ((b->gpa & (PAGE_SIZE - 1)) + b->len_bytes <= PAGE_SIZE)
        return false;
    b->gpa2 = w->gpa2;
    return b->gpa2 == 0;
}

/* Another hart may have stored to the bytes since they were read: NULL, and they must be read
 * again; but not for ever: one that was read between two of many stores may run once. It may also
 * have made the same block, which is the one then. What is given up here was never committed. */
static struct block *publish(struct hart *h, struct window *w, struct block *b, bool last_try)
{
    struct tcache *t = h->tc;
    struct block *other = NULL;

    tcache_lock(t);
    bool stale = h->making.stale, once = is_for_once(w, b) || stale;

    h->making.stale = false;
    if (stale && !last_try) {
        tcache_unlock(t);
        return NULL;
    }
    if (!once)
        other = block_find(t->blocks, b->gpa, b->mode, gpa2_of_block, b);
    if (!other) {
        if (t->config.engine != ENGINE_INTERP)
            cache_commit(t->cache, hart_thread(h), b);
        cache_own(t->cache, hart_thread(h), b);
        if (once)
            b->dropped = true;
        else
            block_insert(t->blocks, b);
        /* Another hart may come to it by a jump that was patched, see neither table nor lock, and
         * leave it for C: the patch is stored after all this, and executed before (block_left). */
        tsan_release(b);
    }
    h->making.now = false;
    tcache_unlock(t);
    return other ? other : b;
}

/* Goes on in another segment when no hart can be in its old blocks any more. */
static void advance(struct hart *h)
{
    struct tcache *t = h->tc;

    tcache_lock(t);
    const bool had_blocks = cache_retire(t->cache, hart_thread(h));
    const uint64_t epoch = quiesce_begin(t);

    tcache_unlock(t);
    if (had_blocks)
        quiesce_wait(t, h, epoch);
    tcache_lock(t);
    cache_take(t->cache, hart_thread(h));
    tcache_unlock(t);
}

/* Its page is protected as for blocks that are kept, so that a store into the block is noticed and
 * ends it (on_write). */
static void evaluate(struct hart *h, const struct window *w, const struct translate_job *job,
                     unsigned max_insns)
{
    struct cpu_state *s = h->s;
    const struct ir_block *ir = translate_build(h->translator, job, max_insns);

    stress_pause(&h->stress);
    tcache_lock(h->tc);
    h->evaluated = (struct block){.gpa = job->gpa, .gpa2 = w->gpa2, .len_bytes = ir->len_bytes};
    h->making.now = false;
    tcache_unlock(h->tc);
    h->link_from = NULL;
    h->stats.evaluated++;
    log_exec(h, job->gpa);
    state_set_page(s, s->pc);
    block_left(h, ir_eval(ir, s, &h->env));
}

enum { MAX_TRIES = 8 };

static struct block *translate(struct hart *h, struct window *w, const struct translate_job *job)
{
    unsigned n_tries = 0;

    for (unsigned n = stress_evicts(&h->stress, cache_n_segments(h->tc->cache)); n; n--)
        advance(h);
    for (unsigned max = w->single ? 1 : IR_MAX_GUEST;;) {
        const struct ir_block *ir = translate_ir(h->translator, job, max);
        struct block *b = place(h, job, ir);

        stress_pause(&h->stress);
        if (b) {
            b = publish(h, w, b, ++n_tries == MAX_TRIES);
            if (!b)
                continue;
            h->stats.translated++;
            h->stats.guest_insns += ir->n_guest;
            return b;
        }
        /* The segment is full; a block that a whole one cannot hold is cut. */
        if (cache_segment_empty(h->tc->cache, hart_thread(h))) {
            CHECK(max > 1 && "a segment holds one instruction");
            max /= 2;
        }
        advance(h);
    }
}

void hart_drop_block(struct hart *h, struct block *b)
{
    tcache_lock(h->tc);
    block_drop(h->tc->blocks, b);
    tcache_unlock(h->tc);
}

/* The last bytes of all addresses: what straddles there ends in page 0, which has the other half's
 * salt, and no tag holds two. */
static bool is_last(uint64_t va)
{
    return va >= UINT64_C(0) - 2;
}

struct block *fetch_block(struct hart *h)
{
    struct cpu_state *s = h->s;
    struct mmu_fault fault;
    uint64_t gpa;

    if (!mmu_fetch(h->mmu, s->pc, &gpa, &fault)) {
        h->link_from = NULL;
        take_trap(h, fault.cause, fault.tval);
        return NULL;
    }
    uint32_t guest_mode = h->config.guest->mode_key(s);
    uint32_t mode = guest_mode | mmu_code_mode(h->mmu);
    struct window w = {.h = h,
                       .gva = align_down(s->pc, PAGE_SIZE),
                       .gpa = align_down(gpa, PAGE_SIZE),
                       .partial = !mmu_fetched_whole(h->mmu, s->pc)};
    struct block *b;

    w.single = w.partial || is_last(s->pc) || turns_are_last(h);
    b = block_find(h->tc->blocks, gpa, mode, gpa2_of, &w);

    /* Another block, where an interrupt came in between: then that one gets cells early. */
    if (s->is_hot && b) {
        wild_note_hot(h, b);
        b = NULL;
    }
    s->is_hot = 0;
    if (b && stress_forgets(&h->stress)) {
        hart_drop_block(h, b);
        b = NULL;
    }
    const bool look = look_goes_on(h);

    if (b && !w.single && !s->plain && !look)
        return b;

    const struct guest_fetch fetch = {.parcel = parcel, .arg = &w, .end = begin_making(&w, gpa)};
    const struct translate_job job = {.s = s,
                                      .gpa = gpa,
                                      .gva = s->pc,
                                      .mode = mode,
                                      .window = mmu_code_window(h->mmu),
                                      .fetch = &fetch};

    if (s->plain) {
        wild_plain(h, gpa, mode);
        evaluate(h, &w, &job, 1);
        return NULL;
    }
    if (look ||
        (h->config.evaluate_first && !w.single && !seen_before(h->tc->seen, gpa, guest_mode))) {
        evaluate(h, &w, &job, w.single ? 1 : IR_MAX_GUEST);
        return NULL;
    }
    return translate(h, &w, &job);
}

static bool no_gpa2(void *arg, uint64_t *gpa2)
{
    (void)arg;
    (void)gpa2;
    return false;
}

struct mmu_density hart_density(const struct hart *h)
{
    const uint64_t gpa = mmu_sampled_code(h->mmu);
    const uint32_t mode = h->config.guest->mode_key(h->s) | mmu_code_mode(h->mmu);
    const struct block *b = gpa ? block_find(h->tc->blocks, gpa, mode, no_gpa2, NULL) : NULL;

    if (!b)
        return (struct mmu_density){.n_insns = 0};
    return (struct mmu_density){
        b->n_insns, b->n_accesses, b->n_lookups,
        block_find(h->tc->blocks, gpa, mode | IR_MODE_WINDOW, no_gpa2, NULL) != NULL};
}
