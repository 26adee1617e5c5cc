/* What a hart does that spins: one that waits in a loop for what others are to do.
 *
 * Who is to do it may be waiting for a host processor; where there is one for each hart he runs,
 * and spinning for a moment is sooner over than sleep. But not all waits are that short: Linux
 * waits for milliseconds when it asks something of all processors and one of them measures, or when
 * it measures itself, from one tick of its clock to the next. So whoever has spun for some time
 * sleeps:
 *
 *     it spins by                      sleeps after     until
 *     wrs, for the word that LR read   spins_until_rest that word changes
 *     a wfi that does not wait         spins_until_rest it has waited twice as long
 *     pause, for one word in memory    PAUSE_TICKS      that changes, or a quarter of that later
 *
 * or an interrupt comes. */
#include <string.h>

#include "runtime/system/machine_int.h"

enum {
    SPINS_SHARED = 1,
    SPINS_CROWDED = 4,
    SPINS_ALONE = 32,
    REST_NS = 200000,
    SPIN_GAP_TICKS = 100
};
enum { REST_TICKS_MAX = 1000000 };
enum { PAUSE_TICKS = 2000, PAUSE_PART = 4 };

static uint64_t now_of(struct machine_hart *h)
{
    return h->cpu.now_ticks(h->cpu.now_arg);
}

static unsigned spins_until_rest(const struct machine *m)
{
    if (m->n_procs)
        return SPINS_SHARED;
    return m->cfg.n_harts > m->n_processors ? SPINS_CROWDED : SPINS_ALONE;
}

/* Pause says that somebody waits, not for what. While all registers are as they were it may be one
 * wait, or many short ones: two harts that answer each other by a word have the same each time. */
static bool is_as_before(struct machine_hart *h)
{
    const struct cpu_state *s = &h->cpu.s;

    if (memcmp(h->spins_with, s->reg, sizeof h->spins_with) == 0)
        return true;
    memcpy(h->spins_with, s->reg, sizeof h->spins_with);
    return false;
}

static void waits_anew(struct machine_hart *h, uint64_t now)
{
    h->n_spins = 0;
    h->spins_since = now;
    h->look_after = PAUSE_TICKS;
    hart_look_away(h->hart);
}

/* So long that it should rest, or be looked at. */
static bool waits_for_long(const struct machine_hart *h, uint64_t now)
{
    const uint64_t waited = now - h->spins_since;

    return waited >= (hart_has_found(h->hart) ? PAUSE_TICKS : h->look_after);
}

/* Called for every few turns of a loop, some 2 us. */
void hart_spins(void *arg, enum rv_spin what)
{
    struct machine_hart *h = arg;
    uint64_t now = now_of(h);
    bool same = what == h->spins_for && now - h->spun_at <= SPIN_GAP_TICKS;

    if (what == RV_SPIN_PAUSE)
        same &= is_as_before(h);
    if (!same || now < h->spins_since)
        waits_anew(h, now);
    hart_look_at_words(h->hart);
    h->spins_for = what;
    h->n_spins++;
    if (what == RV_SPIN_PAUSE ? waits_for_long(h, now) : h->n_spins >= spins_until_rest(h->m))
        hart_kick(h->hart, PENDING_REST);
    if (what == RV_SPIN_PAUSE)
        rv_let_others_run(&h->cpu);
    h->spun_at = now_of(h); /* others may have run meanwhile */
}

void hart_spins_anew(struct machine_hart *h)
{
    h->spun_at = 0;
}

/* Who spins in wfi has an interrupt pending that it does not take, and looks for something else in
 * memory: OpenSBI's harts do so for 0.1 s, until the kernel starts them. What that is nobody can
 * know. So it sleeps for as long as it has waited already, and waits twice as long at most; an
 * interrupt that is sent ends the sleep, also one that is pending. (wfi may wait, as long as it
 * ends: privileged specification, 3.3.3.)
 *
 * Looking seldom also keeps OpenSBI before 1.3 from a race of its own: who starts a hart tells it
 * so first, where to begin next, and then sends the interrupt. One that looks in between begins
 * where the first did, and writes the kernel's page tables anew under it. */
static void rest_in_wfi(struct machine_hart *h)
{
    const uint64_t waited = now_of(h) - h->spins_since;

    hart_end_slice(h);
    rv_away(&h->cpu);
    hart_sleep_in_wfi(h->hart, NS_PER_TICK * (waited < REST_TICKS_MAX ? waited : REST_TICKS_MAX));
    rv_back(&h->cpu);
    hart_begin_slice(h);
}

/* A pause takes some time, of which nothing is said but that it ends (Zihintpause). What it waits
 * for is looked at first (look.c); where that is no word it goes on spinning, and is looked at
 * again when it has waited for twice as long. */
static void rest_in_pause(struct machine_hart *h)
{
    const uint64_t waited = now_of(h) - h->spins_since;
    const uint64_t rest = (waited < REST_TICKS_MAX ? waited : REST_TICKS_MAX) / PAUSE_PART;
    const uint64_t n_sleeps = hart_stats(h->hart)->pause_sleeps;

    if (!hart_has_found(h->hart)) {
        h->look_after = 2 * waited;
        hart_look(h->hart);
        return;
    }
    rv_away(&h->cpu);
    const bool has_changed = hart_sleep_in_pause(h->hart, NS_PER_TICK * rest);

    rv_back(&h->cpu);
    if (has_changed)
        waits_anew(h, now_of(h)); /* the next wait is another one, and may be short */
    if (hart_stats(h->hart)->pause_sleeps != n_sleeps) /* else nobody else has run */
        hart_begin_slice(h);
}

static void rest_on_word(struct machine_hart *h)
{
    struct mmu_reservation r = mmu_get_reservation(h->cpu.s.mmu);
    const uint64_t n_sleeps = hart_stats(h->hart)->word_sleeps;

    if (!r.reserved || !phys_is_ram(&h->m->phys, r.gpa, r.size))
        return;
    rv_away(&h->cpu);
    if (hart_sleep_on_word(h->hart, phys_ptr(&h->m->phys, r.gpa), r.size, r.value, REST_NS))
        h->n_spins = 0;
    rv_back(&h->cpu);
    if (hart_stats(h->hart)->word_sleeps != n_sleeps) /* as above */
        hart_begin_slice(h);
}

void hart_rest(void *arg)
{
    struct machine_hart *h = arg;

    switch (h->spins_for) {
    case RV_SPIN_WORD: rest_on_word(h); break;
    case RV_SPIN_WFI: rest_in_wfi(h); break;
    default: rest_in_pause(h);
    }
    h->spun_at = now_of(h);
}
