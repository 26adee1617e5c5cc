/* The host's clock as the guest's: the processor's counter, scaled to 10 MHz, so that
 * translated code reads it without a call. Measured once against CLOCK_MONOTONIC. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dbt/ir/state.h"

struct host_time {
    uint64_t tsc0, ns0;
};

/* The first of the two readings; give it some milliseconds before the second. */
void host_time_begin(struct host_time *t);

/* The second reading: sets tsc_base, tsc_mult and time_add of s, time 0 being now. */
void host_time_set(const struct host_time *t, struct cpu_state *s);

/* Virtual time instead: 1 ns an instruction. */
enum { VIRTUAL_INSNS_PER_TICK = 100 };
void host_time_set_virtual(struct cpu_state *s);

/* What the IR's `time` gives. */
uint64_t host_time_ticks(const struct cpu_state *s, bool is_virtual);

/* Virtual time: the least icount at which host_time_ticks() is `ticks` or more, or icount when it
 * is already; UINT64_MAX: it never is. */
uint64_t host_time_icount_at(const struct cpu_state *s, uint64_t ticks);
