/* When a hart gives away the processor that it shares with others (runtime/proc.h).
 *
 * It is asked to when its slice is over, or when one that sleeps is kicked. It does so in U mode,
 * or where it says itself that it waits (pause, wrs); elsewhere it may hold locks that all others
 * would come to wait for, so it is asked again when it enters U mode. A guest that never does, or
 * is long on its way there, is let have KEEP_NS.
 *
 * Firmware does not say that it waits: OpenSBI's harts look for each other's answers to a fence in
 * a plain loop. But it is never long in M mode for anything else. So its slices there are short,
 * also from the moment at which it interrupts another hart.
 *
 * The alarm is the thread's, not the hart's: that of a hart which sleeps would come all the same,
 * find nothing due, and by that wake it, in whose next slice it would be set anew. Its time is the
 * host's. */
#define _GNU_SOURCE
#include "runtime/system/machine_int.h"

#include <stdlib.h>

#include "dbt/base/clock.h"
#include "dbt/base/tsan.h"

enum { SLICE_NS = 4000000, KEEP_NS = 2000000, FIRMWARE_NS = 50000 };

/* All of it is its thread's, and of the handler that interrupts this one. */
struct slice_alarm {
    struct host_alarm host;
    _Atomic uint64_t due; /* when who runs there is to be asked; UINT64_MAX: never */
    uint64_t armed;       /* UINT64_MAX: not */
    _Atomic bool rang;    /* so it is not armed any more */
};

static uint64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* ---- The thread's alarm ---------------------------------------------------------------------- */

static struct slice_alarm *alarm_of(const struct machine_hart *h)
{
    return &h->m->slices[h->index % h->m->n_procs];
}

NOT_SANITIZED static void on_slice_alarm(int number, siginfo_t *info, void *context)
{
    struct slice_alarm *a = info->si_value.sival_ptr;
    struct hart *running = hart_running();

    (void)number;
    (void)context;
    if (info->si_code != SI_TIMER)
        return; /* somebody sent it */
    atomic_store(&a->rang, true);
    if (running && atomic_load(&a->due) != UINT64_MAX)
        hart_kick(running, PENDING_EVENT);
}

void machine_slices_create(struct machine *m)
{
    m->slices = calloc(m->n_procs, sizeof *m->slices);
    CHECK((m->slices || !m->n_procs) && "memory for the threads' slices");
    for (unsigned k = 0; k < m->n_procs; k++) {
        atomic_init(&m->slices[k].due, UINT64_MAX);
        m->slices[k].armed = UINT64_MAX;
    }
}

void machine_slices_destroy(struct machine *m)
{
    for (unsigned k = 0; m->slices && k < m->n_procs; k++)
        host_alarm_fini(&m->slices[k].host);
    free(m->slices);
}

bool hart_slices_start(struct machine_hart *h, struct err *e)
{
    struct slice_alarm *a = h->index < h->m->n_procs ? alarm_of(h) : NULL;

    return !a || host_alarm_init(&a->host, SIGNAL_SLICE, on_slice_alarm, a, h->tid, e);
}

/* An earlier one that is set already stands: it comes, finds nothing due, and arms again. */
static void arm(struct slice_alarm *a)
{
    const uint64_t due = atomic_load(&a->due);

    if (atomic_exchange(&a->rang, false))
        a->armed = UINT64_MAX;
    if (due >= a->armed)
        return;
    a->armed = due;
    host_alarm_set(&a->host, due);
}

static void ask_at(struct machine_hart *h, uint64_t ns)
{
    struct slice_alarm *a = alarm_of(h);

    atomic_store(&a->due, ns);
    arm(a);
}

/* ---- Slices ---------------------------------------------------------------------------------- */

/* M mode with a system below it: a kernel that runs in M mode delegates nothing. */
static bool is_in_firmware(const struct machine_hart *h)
{
    return h->cpu.priv == RV_M && h->cpu.mideleg != 0;
}

void hart_begin_slice(struct machine_hart *h)
{
    h->cpu.yield_in_user = false;
    if (!hart_shares_processor(h->hart)) {
        hart_end_slice(h);
        return;
    }
    const uint64_t now = now_ns();

    h->slice_end = now + SLICE_NS;
    ask_at(h, is_in_firmware(h) ? now + FIRMWARE_NS : h->slice_end);
}

void hart_end_slice(struct machine_hart *h)
{
    if (h->m->n_procs)
        atomic_store(&alarm_of(h)->due, UINT64_MAX);
}

void machine_interrupts_another(struct machine *m)
{
    struct machine_hart *h = machine_self(m);

    if (!h)
        return;
    hart_spins_anew(h);
    if (!is_in_firmware(h) || !hart_shares_processor(h->hart))
        return;
    const uint64_t soon = now_ns() + FIRMWARE_NS;

    if (soon < atomic_load(&alarm_of(h)->due))
        ask_at(h, soon);
}

static void ask(struct machine_hart *h)
{
    const bool is_over = h->slice_end <= now_ns();

    if (!is_over && is_in_firmware(h)) {
        h->cpu.has_paused = true; /* so it was that alarm */
    } else if (!is_over && !h->cpu.yield_in_user) {
        ask_at(h, h->slice_end);
        return;
    }
    state_pend(&h->cpu.s, PENDING_YIELD);
}

void hart_serve_slice(struct machine_hart *h)
{
    struct slice_alarm *a = h->m->n_procs ? alarm_of(h) : NULL;

    if (!a || !atomic_load(&a->rang))
        return;
    if (atomic_load(&a->due) <= now_ns()) {
        atomic_store(&a->due, UINT64_MAX);
        ask(h);
    }
    arm(a);
}

/* Whoever keeps it is asked again: nothing else may come. */
static bool may_keep_it(struct machine_hart *h)
{
    const uint64_t keep = is_in_firmware(h) ? FIRMWARE_NS : KEEP_NS;
    const uint64_t now = now_ns();

    if (h->cpu.has_paused || h->cpu.priv == RV_U)
        return false;
    if (!h->cpu.yield_in_user) {
        h->cpu.yield_in_user = true;
        h->kept_since = now;
    }
    if (now - h->kept_since >= keep)
        return false;
    ask_at(h, h->kept_since + keep);
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
