/* For kernels with two threads or processes that take turns: both on one
 * processor, since the guest has one. Needs _GNU_SOURCE. */
#pragma once

#include <sched.h>

static inline void one_cpu(void)
{
    int cpu = sched_getcpu();
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu < 0 ? 0 : cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}
