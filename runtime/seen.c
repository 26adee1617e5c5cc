#include "runtime/seen.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "dbt/base/bits.h"
#include "dbt/base/check.h"

/* Forgotten all at once when a quarter is set: beyond that too many new blocks would be taken for
 * old ones. */
enum { SEEN_BITS = 18, SEEN_MAX = 1 << (SEEN_BITS - 2) };

struct seen {
    _Atomic unsigned n; /* bits that are set, about */
    _Atomic uint64_t word[(1 << SEEN_BITS) / 64];
};

struct seen *seen_create(void)
{
    struct seen *s = calloc(1, sizeof *s);

    CHECK(s && "memory for the blocks that were seen");
    return s;
}

void seen_destroy(struct seen *s)
{
    free(s);
}

static unsigned place_of(uint64_t gpa, uint32_t mode)
{
    uint64_t h = (gpa + mode * UINT64_C(0xd6e8feb86659fd93)) * UINT64_C(0x9e3779b97f4a7c15);

    return (unsigned)(h >> (64 - SEEN_BITS));
}

bool seen_has(const struct seen *s, uint64_t gpa, uint32_t mode)
{
    unsigned n = place_of(gpa, mode);

    return atomic_load_explicit(&s->word[n / 64], memory_order_relaxed) >> (n % 64) & 1;
}

void seen_forget(struct seen *s, uint64_t gpa, uint32_t mode)
{
    unsigned n = place_of(gpa, mode);
    uint64_t old = atomic_fetch_and_explicit(&s->word[n / 64], ~bit(n % 64), memory_order_relaxed);

    if (old >> (n % 64) & 1)
        atomic_fetch_sub_explicit(&s->n, 1, memory_order_relaxed);
}

bool seen_before(struct seen *s, uint64_t gpa, uint32_t mode)
{
    unsigned n = place_of(gpa, mode);

    if (seen_has(s, gpa, mode))
        return true;
    if (atomic_load_explicit(&s->n, memory_order_relaxed) >= SEEN_MAX) {
        for (unsigned k = 0; k < (1u << SEEN_BITS) / 64; k++)
            atomic_store_explicit(&s->word[k], 0, memory_order_relaxed);
        atomic_store_explicit(&s->n, 0, memory_order_relaxed);
    }
    atomic_fetch_or_explicit(&s->word[n / 64], bit(n % 64), memory_order_relaxed);
    atomic_fetch_add_explicit(&s->n, 1, memory_order_relaxed);
    return false;
}
