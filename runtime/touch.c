#include "runtime/touch.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "dbt/base/check.h"

enum { TOUCH_BITS = 7, N_TOUCH = 1 << TOUCH_BITS, MAX_TRIES = 4 };

/* What is not atomic is under the lock. */
struct touch {
    _Atomic uint64_t gpa;
    _Atomic bool counted;
    unsigned n; /* faults, since it is counted or before that */
    unsigned tries;
};

struct touches {
    _Atomic unsigned n_counted; /* mostly 0 */
    struct touch touch[N_TOUCH];
};

struct touches *touches_create(void)
{
    struct touches *t = calloc(1, sizeof *t);

    CHECK(t && "memory for accesses that touch new pages");
    return t;
}

void touches_destroy(struct touches *t)
{
    free(t);
}

static bool is_in(const struct touch *e, uint64_t gpa, uint64_t len_bytes)
{
    return atomic_load_explicit(&e->counted, memory_order_relaxed) &&
           atomic_load_explicit(&e->gpa, memory_order_relaxed) - gpa < len_bytes;
}

bool touch_is_counted(const struct touches *t, uint64_t gpa, uint64_t len_bytes)
{
    if (atomic_load_explicit(&t->n_counted, memory_order_relaxed) == 0)
        return false;
    for (unsigned i = 0; i < N_TOUCH; i++)
        if (is_in(&t->touch[i], gpa, len_bytes))
            return true;
    return false;
}

static void set_counted(struct touches *t, struct touch *e, bool counted)
{
    if (e->counted != counted)
        atomic_fetch_add(&t->n_counted, counted ? 1u : -1u);
    atomic_store(&e->counted, counted);
    e->n = 0;
}

/* Is it the access whose faults are counted in its place? It is when those of the one before are
 * made up for. */
static bool takes_place(struct touches *t, struct touch *e, uint64_t gpa)
{
    if (atomic_load(&e->gpa) == gpa)
        return true;
    if (e->n > 0) {
        e->n--;
        return false;
    }
    set_counted(t, e, false);
    atomic_store(&e->gpa, gpa);
    e->tries = 0;
    return true;
}

enum touch_next touch_fault(struct touches *t, uint64_t gpa)
{
    struct touch *e = &t->touch[gpa * UINT64_C(0x9e3779b97f4a7c15) >> (64 - TOUCH_BITS)];

    if (!takes_place(t, e, gpa))
        return TOUCH_GOES_ON;
    const bool counted = atomic_load(&e->counted);

    if (++e->n < (unsigned)TOUCH_FAULTS << (counted ? 0 : e->tries))
        return TOUCH_GOES_ON;
    set_counted(t, e, !counted);
    e->tries = counted ? 0 : e->tries + (e->tries < MAX_TRIES);
    return counted ? TOUCH_IS_OF_NEW_PAGES : TOUCH_COUNTS;
}

void touch_ran(struct touches *t, uint64_t gpa, uint64_t len_bytes)
{
    for (unsigned i = 0; i < N_TOUCH; i++)
        if (is_in(&t->touch[i], gpa, len_bytes))
            set_counted(t, &t->touch[i], false);
}
