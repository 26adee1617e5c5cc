/* When a hart gives away the processor that it shares with others (runtime/proc.h).
 *
 * It is asked to when its slice is over, or when one that sleeps is kicked. It does so in U mode,
 * or where it says itself that it waits (pause, wrs); elsewhere it may hold locks that all others
 * would come to wait for, so it is asked again when it enters U mode. A guest that never does, or
 * is long on its way there, is let have KEEP_TICKS. */
#include "runtime/system/machine_int.h"

enum { SLICE_TICKS = 40000, KEEP_TICKS = 20000 };

static void ask_again(struct machine_hart *h, uint64_t ticks)
{
    hart_set_deadline(h, TIMER_SLICE, machine_ticks(h->m) + ticks);
}

void hart_begin_slice(struct machine_hart *h)
{
    h->cpu.yield_in_user = false;
    if (hart_shares_processor(h->hart))
        ask_again(h, SLICE_TICKS);
}

/* Else its alarm would end the sleep. */
void hart_end_slice(struct machine_hart *h)
{
    if (h->m->n_procs)
        hart_set_deadline(h, TIMER_SLICE, UINT64_MAX);
}

static bool may_keep_it(struct machine_hart *h)
{
    if (h->cpu.has_paused || h->cpu.priv == RV_U)
        return false;
    if (!h->cpu.yield_in_user) {
        h->cpu.yield_in_user = true;
        h->kept_since = machine_ticks(h->m);
        ask_again(h, KEEP_TICKS);
        return true;
    }
    return machine_ticks(h->m) - h->kept_since < KEEP_TICKS;
}

void hart_give_way(void *arg)
{
    struct machine_hart *h = arg;

    if (may_keep_it(h))
        return;
    h->cpu.has_paused = false;
    rv_away(&h->cpu);
    hart_yield(h->hart);
    rv_back(&h->cpu);
    hart_begin_slice(h);
}
