/* The host's clocks as one number. */
#pragma once

#include <stdint.h>
#include <time.h>

/* Nanoseconds that the clock shows (clock_gettime(2): CLOCK_MONOTONIC, CLOCK_REALTIME, a thread's
 * own, ...). Any thread, also a signal handler. */
static inline uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}
