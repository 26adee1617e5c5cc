#include "runtime/stress.h"

#include <sched.h>

/* So that a boot takes ten to twenty times as long as without, and most of that is translation. */
enum { EVICT_ONE_IN = 512, EVICT_ALL_ONE_IN = 16, FORGET_ONE_IN = 64 };
enum { PAUSE_ONE_IN = 64, YIELD_ONE_IN = 64, MAX_SPINS = 64 };

/* splitmix64's last step: neighbouring seeds and harts have nothing in common. Never 0. */
static uint64_t mixed(uint64_t n)
{
    n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    n = (n ^ n >> 27) * UINT64_C(0x94d049bb133111eb);
    return (n ^ n >> 31) | 1;
}

void stress_init(struct stress *s, uint64_t seed, unsigned n)
{
    s->state = seed ? mixed(seed * UINT64_C(0x9e3779b97f4a7c15) + n) : 0;
}

static unsigned below(struct stress *s, unsigned n)
{
    s->state ^= s->state << 13;
    s->state ^= s->state >> 7;
    s->state ^= s->state << 17;
    return (unsigned)((s->state >> 32) * n >> 32);
}

static bool one_in(struct stress *s, unsigned n)
{
    return s->state && below(s, n) == 0;
}

unsigned stress_evicts(struct stress *s, unsigned n_segments)
{
    if (!one_in(s, EVICT_ONE_IN))
        return 0;
    return one_in(s, EVICT_ALL_ONE_IN) ? n_segments : 1;
}

bool stress_forgets(struct stress *s)
{
    return one_in(s, FORGET_ONE_IN);
}

/* Most often a microsecond or so, for one that runs beside us; or the host's processor for one that
 * has none. */
void stress_wait(struct stress *s)
{
    if (!one_in(s, PAUSE_ONE_IN))
        return;
    if (one_in(s, YIELD_ONE_IN)) {
        sched_yield();
        return;
    }
    for (unsigned n = below(s, MAX_SPINS); n; n--)
        __builtin_ia32_pause();
}
