/* When a hart gives away the processor that it shares with others (runtime/proc.h).
 *
 * It is asked to when its slice is over, or when one that sleeps is kicked. It does so in U mode,
 * or where it says itself that it waits (pause, wrs); elsewhere it may hold locks that all others
 * would come to wait for, so it is asked again when it enters U mode. A guest that never does, or
 * is long on its way there, is let have KEEP_TICKS.
 *
 * Firmware does not say that it waits: OpenSBI's harts look for each other's answers to a fence in
 * a plain loop. But it is never long in M mode for anything else. So its slices there are short,
 * also from the moment at which it interrupts another hart. */
#include "runtime/system/machine_int.h"

enum { SLICE_TICKS = 40000, KEEP_TICKS = 20000, FIRMWARE_TICKS = 500 };

static void ask_again(struct machine_hart *h, uint64_t ticks)
{
    hart_set_deadline(h, TIMER_SLICE, machine_ticks(h->m) + ticks);
}

/* M mode with a system below it: a kernel that runs in M mode delegates nothing. */
static bool is_in_firmware(const struct machine_hart *h)
{
    return h->cpu.priv == RV_M && h->cpu.mideleg != 0;
}

void hart_begin_slice(struct machine_hart *h)
{
    h->cpu.yield_in_user = false;
    h->slice_end = machine_ticks(h->m) + SLICE_TICKS;
    if (hart_shares_processor(h->hart))
        ask_again(h, is_in_firmware(h) ? FIRMWARE_TICKS : SLICE_TICKS);
}

void machine_interrupts_another(struct machine *m)
{
    struct machine_hart *h = machine_self(m);

    if (!h)
        return;
    hart_spins_anew(h);
    if (is_in_firmware(h) && hart_shares_processor(h->hart))
        hart_bring_deadline(h, TIMER_SLICE, machine_ticks(m) + FIRMWARE_TICKS);
}

void hart_slice_due(struct machine_hart *h)
{
    /* 0: it is over, also where the guest has set the clock back meanwhile. */
    const uint64_t to_end = h->slice_end - machine_ticks(h->m);
    const uint64_t left = to_end <= SLICE_TICKS ? to_end : 0;

    if (left && is_in_firmware(h)) {
        h->cpu.has_paused = true; /* so it was that alarm */
    } else if (left && !h->cpu.yield_in_user) {
        ask_again(h, left);
        return;
    }
    state_pend(&h->cpu.s, PENDING_YIELD);
}

/* Else its alarm would end the sleep. */
void hart_end_slice(struct machine_hart *h)
{
    if (h->m->n_procs)
        hart_set_deadline(h, TIMER_SLICE, UINT64_MAX);
}

/* Whoever keeps it is asked again: nothing else may come. */
static bool may_keep_it(struct machine_hart *h)
{
    const uint64_t keep = is_in_firmware(h) ? FIRMWARE_TICKS : KEEP_TICKS;
    const uint64_t now = machine_ticks(h->m);

    if (h->cpu.has_paused || h->cpu.priv == RV_U)
        return false;
    if (!h->cpu.yield_in_user) {
        h->cpu.yield_in_user = true;
        h->kept_since = now;
    }
    if (now - h->kept_since >= keep)
        return false;
    ask_again(h, h->kept_since + keep - now);
    return true;
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
