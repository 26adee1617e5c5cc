#include "runtime/host_time.h"

#include <x86intrin.h>

#include "dbt/base/clock.h"

enum { NS_PER_TICK = 100, MIN_NS = 5000000 };

/* A pair of readings that belong together: the closest of a few tries, so that a
 * preemption between the two does not count. */
static void read_pair(uint64_t *tsc, uint64_t *ns)
{
    uint64_t best = UINT64_MAX;

    for (unsigned k = 0; k < 8; k++) {
        uint64_t before = __rdtsc();
        uint64_t now = clock_ns(CLOCK_MONOTONIC);
        uint64_t after = __rdtsc();

        if (after - before < best) {
            best = after - before;
            *tsc = before + (after - before) / 2;
            *ns = now;
        }
    }
}

void host_time_begin(struct host_time *t)
{
    read_pair(&t->tsc0, &t->ns0);
}

void host_time_set(const struct host_time *t, struct cpu_state *s)
{
    uint64_t tsc, ns;

    read_pair(&tsc, &ns);
    if (ns - t->ns0 < MIN_NS) {
        const struct timespec rest = {.tv_nsec = (long)(MIN_NS - (ns - t->ns0))};

        nanosleep(&rest, NULL);
        read_pair(&tsc, &ns);
    }
    s->tsc_mult = (uint64_t)(((unsigned __int128)(ns - t->ns0) << 64) /
                             ((unsigned __int128)(tsc - t->tsc0) * NS_PER_TICK));
    s->tsc_base = tsc;
    s->time_add = 0;
}

void host_time_set_virtual(struct cpu_state *s)
{
    s->tsc_base = 0;
    /* One more than the quotient, so that a whole number of ticks is never one short. */
    s->tsc_mult = UINT64_MAX / VIRTUAL_INSNS_PER_TICK + 1;
    s->time_add = 0;
}

uint64_t host_time_ticks(const struct cpu_state *s, bool is_virtual)
{
    uint64_t clock;

    if (is_virtual) {
        clock = s->icount;
    } else {          /* icount is that hart's own then */
        _mm_lfence(); /* as in translated code: backend-x86_64/emit/emit_call.c */
        clock = __rdtsc();
    }
    return (uint64_t)(((unsigned __int128)(clock - s->tsc_base) * s->tsc_mult) >> 64) +
           __atomic_load_n(&s->time_add, __ATOMIC_RELAXED);
}

uint64_t host_time_icount_at(const struct cpu_state *s, uint64_t ticks)
{
    uint64_t now = host_time_ticks(s, true), then;

    if (ticks <= now)
        return s->icount;
    /* time_add may be less than 0: what counts is how far it is from now. */
    if (__builtin_mul_overflow(now - s->time_add + (ticks - now), VIRTUAL_INSNS_PER_TICK, &then))
        return UINT64_MAX;
    return then;
}
