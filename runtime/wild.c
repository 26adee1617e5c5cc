#include "runtime/wild.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dbt/base/bits.h"
#include "dbt/base/check.h"
#include "dbt/base/log.h"
#include "runtime/hart_int.h"

/* Where fewer than WILD_SAME of WILD_TRIAL accesses touch the page of the one before, a cell costs
 * more than it saves: a miss is some 10 ns, and a hit saves one. */
enum { WILD_TRIAL = 32, WILD_SAME = 30 };

enum { WILD_UNFIT = 16, N_UNFIT = 256 };

/* How long what is unfit is left alone. More than N_LATELY at a time stay noted. */
enum { N_LATELY = 256, LOOK_AGAIN_S = 1, LOOK_AGAIN_TIMES = 4, LOOK_AGAIN_MAX_S = 64 };
#define SECOND_NS UINT64_C(1000000000)

struct trial {
    uint64_t page; /* of the last access, in its space: address ^ salt */
    unsigned n, same;
};

/* As wild.noted has it. */
struct note {
    uint64_t gpa;
    uint32_t mode;
};

struct wild {
    const struct tcache *tc; /* whose sets are all harts' */
    struct trial trial[STATE_N_CELLS];
    uint8_t unfit[N_UNFIT]; /* tries, by a hash of the instruction; shared by a few */
    struct note lately[N_LATELY];
    unsigned n_lately;
    uint64_t due_ns; /* when they are forgotten; 0: it is not known yet */
    uint64_t wait_s;
};

struct wild *wild_create(const struct tcache *tc)
{
    struct wild *w = calloc(1, sizeof *w);

    CHECK(w && "memory for the accesses that jump from page to page");
    w->tc = tc;
    w->wait_s = LOOK_AGAIN_S;
    return w;
}

void wild_destroy(struct wild *w)
{
    free(w);
}

_Bool wild_is_noted(void *arg, uint64_t gpa, uint32_t mode)
{
    const struct wild *w = arg;

    return seen_has(w->tc->noted, gpa, mode);
}

_Bool wild_is_hot(void *arg, uint64_t gpa, uint32_t mode)
{
    const struct wild *w = arg;

    return seen_has(w->tc->hot, gpa, mode & ~IR_MODE_WINDOW);
}

_Bool wild_is_counted(void *arg, uint64_t gpa, uint64_t len_bytes)
{
    const struct wild *w = arg;

    return touch_is_counted(w->tc->touches, gpa, len_bytes);
}

void wild_note_hot(struct hart *h, struct block *b)
{
    tcache_lock(h->tc);
    touch_ran(h->tc->touches, b->gpa, b->len_bytes);
    tcache_unlock(h->tc);
    log_line(LOG_cache, "hot %" PRIx64, b->gpa);
    seen_before(h->tc->hot, b->gpa, b->mode & ~IR_MODE_WINDOW);
    hart_drop_block(h, b);
    h->stats.hot++;
}

static void note(struct hart *h, struct block *b, uint64_t gpa)
{
    seen_before(h->tc->noted, gpa, b->mode);
    if (h->check)
        check_drop_later(h->check, b);
    else
        hart_drop_block(h, b);
    h->stats.wild++;
}

/* The instruction whose access is in its slow path, or in the helper. */
static uint64_t slow_gpa(const struct hart *h, const struct block *b)
{
    return align_down(b->gpa, PAGE_SIZE) + h->s->insn_off;
}

void wild_worn(struct hart *h, uint64_t va)
{
    struct cpu_state *s = h->s;
    unsigned cell = s->worn_cell;
    struct trial *t = &h->wild->trial[cell];
    struct block *b = cache_find(h->tc->cache, s->worn_code);
    /* A cell is empty in each process that is new: code that each runs for a moment has cells that
     * never hit, though the page has the same address in all. */
    uint64_t page = align_down(va, PAGE_SIZE) ^ s->salt[va >> 63];

    s->worn_code = NULL;
    s->misses_left[cell] = 0;
    if (t->n == 0)
        mmu_drop_cell(h->mmu, cell);
    else
        t->same += t->page == page;
    t->page = page;
    if (t->n++ < WILD_TRIAL)
        return;
    if (t->same < WILD_SAME && b) {
        log_line(LOG_cache, "the access at %" PRIx64 " jumps from page to page", slow_gpa(h, b));
        note(h, b, slow_gpa(h, b));
    }
    *t = (struct trial){.n = 0};
    s->misses_left[cell] = STATE_CELL_MISSES;
}

/* ---- What code takes for granted ----------------------------------------------------------- */

static void note_for_now(struct hart *h, struct block *b, uint64_t gpa)
{
    if (h->wild->n_lately < N_LATELY)
        h->wild->lately[h->wild->n_lately++] = (struct note){gpa, b->mode};
    note(h, b, gpa);
}

/* gpa: IR_START_AT() of the block's, or of the instruction whose access is not for a window. */
static void note_unfit(struct hart *h, struct block *b, uint64_t gpa)
{
    uint8_t *n = &h->wild->unfit[(gpa >> 1 ^ gpa >> 9) % N_UNFIT];

    if (!b || ++*n < WILD_UNFIT)
        return;
    *n = 0;
    log_line(LOG_cache,
             gpa & 1 ? "the block at %" PRIx64 " is entered otherwise than it takes for granted"
                     : "the access at %" PRIx64 " is not for a window",
             gpa & ~UINT64_C(1));
    note_for_now(h, b, gpa);
}

/* The access at gpa has brought a page into the window. */
static void note_touch(struct hart *h, struct block *b, uint64_t gpa)
{
    enum touch_next next;

    tcache_lock(h->tc);
    next = touch_fault(h->tc->touches, gpa);
    if (next == TOUCH_COUNTS)
        block_drop_range(h->tc->blocks, gpa, 2);
    tcache_unlock(h->tc);
    if (next != TOUCH_IS_OF_NEW_PAGES)
        return;
    log_line(LOG_cache, "the access at %" PRIx64 " touches new pages", gpa);
    note_for_now(h, b, gpa);
}

static void forget_lately(struct hart *h)
{
    struct wild *w = h->wild;

    log_line(LOG_cache, "%u notes of what is unfit are forgotten", w->n_lately);
    tcache_lock(h->tc);
    for (unsigned k = 0; k < w->n_lately; k++) {
        seen_forget(h->tc->noted, w->lately[k].gpa, w->lately[k].mode);
        block_drop_range(h->tc->blocks, w->lately[k].gpa & ~UINT64_C(1), 2);
    }
    tcache_unlock(h->tc);
    w->n_lately = 0;
    memset(w->unfit, 0, sizeof w->unfit);
}

void wild_look_again(struct hart *h, uint64_t now_ns)
{
    struct wild *w = h->wild;

    if (!w->n_lately || h->check || h->tc->config.translate.virtual_time)
        return;
    if (!w->due_ns)
        w->due_ns = now_ns + w->wait_s * SECOND_NS;
    if (now_ns < w->due_ns)
        return;
    forget_lately(h);
    w->due_ns = 0;
    if (w->wait_s < LOOK_AGAIN_MAX_S)
        w->wait_s *= LOOK_AGAIN_TIMES;
}

/* Before the instruction whose access is in its slow path. */
static _Noreturn void leave_plain(struct hart *h, const void *code, uint32_t why)
{
    struct cpu_state *s = h->s;

    s->plain = why;
    s->plain_code = code;
    s->pc = s->page_va + s->insn_off;
    state_leave(s, EXIT_PENDING);
}

void hart_window_fault(struct hart *h, uint64_t va, unsigned len, enum mmu_access access)
{
    const void *code = h->s->window_fault;
    struct block *b = cache_find(h->tc->cache, code);

    h->s->window_fault = NULL;
    switch (mmu_window_fault(h->mmu, va, len, access)) {
    case WINDOW_DEVICE:
    case WINDOW_CODE:
    case WINDOW_PART:
    case WINDOW_LOCAL:
    case WINDOW_SHUNNED:
    case WINDOW_REFUSED:
        if (b)
            note_unfit(h, b, slow_gpa(h, b));
        break;
    case WINDOW_MAPPED:
        /* The engines of a check leave a block in the same way: none counts. */
        if (b && !h->check && mmu_code_window(h->mmu) == IR_WINDOW_UPPER)
            note_touch(h, b, slow_gpa(h, b));
        break;
    case WINDOW_OUTSIDE:
        /* Accesses behind this one count on the base's having been found inside. Under virtual time
         * none does, and a block is left at its ends only. */
        if (!h->tc->config.translate.virtual_time)
            leave_plain(h, code, PLAIN_ACCESS);
        break;
    default: break;
    }
}

/* No page table says of a store that it was before the guest comes to it: D is exact,
 * unlike A (privileged specification, "Sv32", "Addressing and Memory Protection"). The bytes' own
 * stores will set it, and the next joined one finds it set. */
void hart_part_joined(struct hart *h, uint64_t va, unsigned len, enum mmu_access access)
{
    if (access == MMU_STORE && mmu_window_is_clean(h->mmu, va, len))
        h->s->window_fault = NULL;
    else
        hart_window_fault(h, va, len, access);
    leave_plain(h, NULL, PLAIN_JOINED);
}

void wild_plain(struct hart *h, uint64_t gpa, uint32_t mode)
{
    struct cpu_state *s = h->s;
    struct block *b = s->plain == PLAIN_JOINED ? NULL : cache_find(h->tc->cache, s->plain_code);
    bool at_start = s->plain == PLAIN_START;

    s->plain = 0;
    /* An interrupt may have come in between. */
    if (b && b->mode == mode &&
        (at_start ? b->gpa == gpa : b->gpa >> PAGE_BITS == gpa >> PAGE_BITS))
        note_unfit(h, b, at_start ? IR_START_AT(gpa) : gpa);
}
