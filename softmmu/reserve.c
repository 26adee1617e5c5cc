#include "softmmu/reserve.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "dbt/base/bits.h"
#include "dbt/base/check.h"
#include "softmmu/track.h"

enum {
    N_LOCKS = 64, /* a page's is that of its number, modulo this */
    LINE = 64,
    PAGE = 4096,
    SIZE_8 = 1, /* of a hart's word */
    SIZE_4 = 2,
};
#define TAKEN bit(63)

/* word: 0, or an address, its size, and TAKEN from the LR's load until another's store. Its hart
 * stores it; others only take TAKEN away, under the page's lock. So whether there is a watch is the
 * hart's own to say, and whether the reservation holds is known under the lock. */
struct reserve_hart {
    _Alignas(LINE) _Atomic uint64_t word;
};

struct reserve_lock {
    _Alignas(LINE) pthread_mutex_t mutex;
};

struct reserve {
    struct reserve_lock lock[N_LOCKS];
    struct reserve_hart hart[RESERVE_MAX_HARTS];
    /* Words that are not 0. Counted up before the LR's load, so that a store that finds 0 under the
     * page's lock, or behind a fence, is seen by that load. */
    _Alignas(LINE) _Atomic unsigned n_watches;
    unsigned n_harts;
};

struct reserve *reserve_create(unsigned n_harts)
{
    struct reserve *r = aligned_alloc(LINE, sizeof *r);

    CHECK(r && "memory for reservations");
    CHECK(n_harts <= RESERVE_MAX_HARTS);
    *r = (struct reserve){.n_harts = n_harts};
    for (unsigned i = 0; i < N_LOCKS; i++)
        pthread_mutex_init(&r->lock[i].mutex, NULL);
    return r;
}

void reserve_destroy(struct reserve *r)
{
    if (!r)
        return;
    for (unsigned i = 0; i < N_LOCKS; i++)
        pthread_mutex_destroy(&r->lock[i].mutex);
    free(r);
}

/* ---- A hart's word ---------------------------------------------------------------------- */

static uint64_t word_of(uint64_t gpa, unsigned size)
{
    return gpa | (size == 8 ? SIZE_8 : SIZE_4);
}

static uint64_t gpa_of_word(uint64_t word)
{
    return word & ~(TAKEN | SIZE_8 | SIZE_4);
}

static unsigned size_of_word(uint64_t word)
{
    return word & SIZE_8 ? 8 : 4;
}

static bool overlaps(uint64_t word, uint64_t gpa, uint64_t len)
{
    uint64_t at = gpa_of_word(word);

    return at < gpa ? gpa - at < size_of_word(word) : at - gpa < len;
}

/* The watch is there before the page is protected: who finds the page without blocks and wants to
 * open it either sees the watch, or that track_protect was called since it looked (track.c). */
bool reserve_watch(struct reserve *r, unsigned hart, struct track *track, uint64_t gpa,
                   unsigned size)
{
    if (atomic_exchange(&r->hart[hart].word, word_of(gpa, size)) == 0)
        atomic_fetch_add(&r->n_watches, 1);
    return track_protect(track, gpa);
}

void reserve_drop(struct reserve *r, unsigned hart)
{
    if (atomic_load(&r->hart[hart].word) == 0)
        return;
    atomic_store(&r->hart[hart].word, 0);
    atomic_fetch_sub(&r->n_watches, 1);
}

bool reserve_get(const struct reserve *r, unsigned hart, uint64_t *gpa, unsigned *size)
{
    uint64_t word = atomic_load(&r->hart[hart].word);

    *gpa = gpa_of_word(word);
    *size = size_of_word(word);
    return (word & TAKEN) != 0;
}

/* ---- Under the page's lock -------------------------------------------------------------- */

static pthread_mutex_t *lock_of(struct reserve *r, uint64_t gpa)
{
    return &r->lock[gpa / PAGE % N_LOCKS].mutex;
}

void reserve_lock(struct reserve *r, uint64_t gpa)
{
    pthread_mutex_lock(lock_of(r, gpa));
}

void reserve_unlock(struct reserve *r, uint64_t gpa)
{
    pthread_mutex_unlock(lock_of(r, gpa));
}

void reserve_take_locked(struct reserve *r, unsigned hart)
{
    atomic_fetch_or(&r->hart[hart].word, TAKEN);
}

bool reserve_holds_locked(const struct reserve *r, unsigned hart, uint64_t gpa, unsigned size)
{
    return atomic_load(&r->hart[hart].word) == (word_of(gpa, size) | TAKEN);
}

/* The hart may be on its way to another word: that one stays as it is. */
static void clear_locked(struct reserve_hart *h, uint64_t gpa, uint64_t len)
{
    uint64_t word = atomic_load(&h->word);

    if ((word & TAKEN) && overlaps(word, gpa, len))
        atomic_compare_exchange_strong(&h->word, &word, word & ~TAKEN);
}

void reserve_stored_locked(struct reserve *r, unsigned hart, uint64_t gpa, unsigned len)
{
    if (atomic_load(&r->n_watches) == 0)
        return;
    for (unsigned i = 0; i < r->n_harts; i++)
        if (i != hart)
            clear_locked(&r->hart[i], gpa, len);
}

/* ---- Anybody -------------------------------------------------------------------------------- */

/* The fence: the bytes before the look at what is watched. */
void reserve_wrote(struct reserve *r, uint64_t gpa, uint64_t len)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(&r->n_watches) == 0)
        return;
    for (unsigned i = 0; i < r->n_harts; i++) {
        uint64_t word = atomic_load(&r->hart[i].word);

        if (!word || !overlaps(word, gpa, len))
            continue;
        reserve_lock(r, gpa_of_word(word));
        clear_locked(&r->hart[i], gpa, len);
        reserve_unlock(r, gpa_of_word(word));
    }
}

bool reserve_watches(const struct reserve *r, uint64_t gpa)
{
    for (unsigned i = 0; i < r->n_harts; i++) {
        uint64_t word = atomic_load(&r->hart[i].word);

        if (word && gpa_of_word(word) / PAGE == gpa / PAGE)
            return true;
    }
    return false;
}
