/* From a guest pc to a block: find it, or fetch the bytes and translate them. */
#include <inttypes.h>
#include <string.h>

#include "dbt/base/bits.h"
#include "dbt/base/log.h"
#include "runtime/hart_int.h"

/* The guest's bytes around one block. */
struct window {
    struct hart *h;
    uint64_t gva, gpa;       /* of the block's page */
    uint64_t gpa2;           /* of the next page, once it was asked for; else 0 */
    struct mmu_fault fault2; /* why there is none, if so */
    bool asked2;
    bool partial; /* physical protection allows a part of the block's page */
};

/* Before bytes of a page are read its store view becomes read-only: see track.h. */
static void protect(struct hart *h, uint64_t gva, uint64_t gpa)
{
    if (track_protect(h->track, gpa))
        mmu_forget_store(h->mmu, gva);
}

static bool next_page(struct window *w)
{
    if (!w->asked2) {
        w->asked2 = true;
        if (mmu_fetch(w->h->mmu, w->gva + PAGE_SIZE, &w->gpa2, &w->fault2))
            protect(w->h, w->gva + PAGE_SIZE, w->gpa2);
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
    memcpy(out, phys_code_ptr(w->h->phys, gpa), sizeof *out);
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

static bool keep_lists(struct hart *h, struct block *b, const struct x64_unit *u)
{
    struct block_exit *exit = cache_meta(h->cache, u->n_exits * sizeof *exit);
    struct x64_map *map = cache_meta(h->cache, u->n_map * sizeof *map);
    struct x64_site *site = cache_meta(h->cache, u->n_sites * sizeof *site);

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
    struct ir_block *copy = cache_meta(h->cache, bytes);

    if (!copy)
        return false;
    memcpy(copy, ir, bytes);
    b->ir = copy;
    return true;
}

/* The block in the current segment of the cache, or NULL when that is full. */
static struct block *place(struct hart *h, const struct translate_job *job,
                           const struct ir_block *ir)
{
    struct block *b = cache_meta(h->cache, sizeof *b);

    if (!b)
        return NULL;
    *b = (struct block){.gpa = ir->gpa, .mode = ir->mode, .len_bytes = ir->len_bytes};
    if (h->config.engine != ENGINE_JIT && !keep_ir(h, b, ir))
        return NULL;
    if (h->config.engine != ENGINE_INTERP) {
        size_t cap;
        uint8_t *rw = cache_room(h->cache, &cap);
        const struct x64_unit *u = translate_host(h->translator, job, rw, cap);

        if (!u || !keep_lists(h, b, u))
            return NULL;
        b->size_bytes = u->size_bytes;
        b->code = cache_commit(h->cache, u->size_bytes, b);
    }
    cache_own(h->cache, b);
    return b;
}

/* A block whose first instruction reaches into a page that cannot be fetched is the trap
 * of this moment: it runs once, and is found by nobody, since the page may be mapped by the
 * next time. So does one from a page of which protection allows a part: nothing else would
 * ask again for its later instructions. */
static void make_known(struct hart *h, const struct window *w, struct block *b)
{
    if (w->partial) {
        b->dropped = true;
        return;
    }
    if ((b->gpa & (PAGE_SIZE - 1)) + b->len_bytes > PAGE_SIZE) {
        b->gpa2 = w->gpa2;
        if (!b->gpa2) {
            b->dropped = true;
            return;
        }
    }
    block_insert(h->blocks, b);
}

/* Its page is protected as for blocks that are kept, so that a store into the block is noticed and
 * ends it (on_write). */
static void evaluate(struct hart *h, const struct window *w, const struct translate_job *job)
{
    struct cpu_state *s = h->s;
    const struct ir_block *ir = translate_build(h->translator, job, IR_MAX_GUEST);

    h->evaluated = (struct block){.gpa = job->gpa, .gpa2 = w->gpa2, .len_bytes = ir->len_bytes};
    h->link_from = NULL;
    h->stats.evaluated++;
    log_exec(h, job->gpa);
    state_set_page(s, s->pc);
    block_left(h, ir_eval(ir, s, &h->env));
}

static struct block *translate(struct hart *h, struct window *w, const struct translate_job *job)
{
    for (unsigned max = w->partial ? 1 : IR_MAX_GUEST;;) {
        const struct ir_block *ir = translate_ir(h->translator, job, max);
        struct block *b = place(h, job, ir);

        if (b) {
            make_known(h, w, b);
            h->stats.translated++;
            h->stats.guest_insns += ir->n_guest;
            return b;
        }
        /* The segment is full; a block that a whole one cannot hold is cut. */
        if (cache_segment_empty(h->cache)) {
            CHECK(max > 1 && "a segment holds one instruction");
            max /= 2;
        }
        cache_advance(h->cache);
    }
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
    uint32_t mode = h->config.guest->mode_key(s);
    struct window w = {.h = h,
                       .gva = align_down(s->pc, PAGE_SIZE),
                       .gpa = align_down(gpa, PAGE_SIZE),
                       .partial = !mmu_fetched_whole(h->mmu, s->pc)};
    struct block *b = block_find(h->blocks, gpa, mode, gpa2_of, &w);

    /* Another block, where an interrupt came in between: then that one gets cells early. */
    if (s->is_hot && b) {
        wild_note_hot(h, b);
        b = NULL;
    }
    s->is_hot = 0;
    if (b && !w.partial)
        return b;

    const struct guest_fetch fetch = {
        .parcel = parcel, .arg = &w, .end = rewrite_block_end(h->rewrite, gpa)};
    const struct translate_job job = {
        .s = s, .gpa = gpa, .gva = s->pc, .mode = mode, .fetch = &fetch};

    protect(h, w.gva, gpa);
    if (h->config.evaluate_first && !w.partial && !seen_before(h->seen, gpa, mode)) {
        evaluate(h, &w, &job);
        return NULL;
    }
    return translate(h, &w, &job);
}
