/* --stress=cache: what is rare with one cache and several harts becomes common, at moments that a
 * seed decides. Each hart draws numbers of its own, so that harts in turns (virtual time) do the
 * same again with the same seed; in real time the seed decides what a hart does when it comes by,
 * and the host when that is.
 *
 *   stress_evicts  a segment is given up though it is not full; now and then all that are full
 *   stress_forgets a block that was found is dropped, and made again, while others run it
 *   stress_pause   where another hart may come in between two steps, it gets the time to */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct stress {
    uint64_t state; /* of xorshift64; 0: off */
};

/* ---- The hart's thread --------------------------------------------------------------- */

/* seed 0: off. n: the hart's number. */
void stress_init(struct stress *s, uint64_t seed, unsigned n);

/* How many segments to give up before a block is made; n_segments: of the cache. */
unsigned stress_evicts(struct stress *s, unsigned n_segments);

bool stress_forgets(struct stress *s);

/* Not under a lock. */
void stress_wait(struct stress *s);

static inline void stress_pause(struct stress *s)
{
    if (s->state)
        stress_wait(s);
}
