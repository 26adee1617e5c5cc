/* --stats, and what the monitor calls `info jit`. */
#include <inttypes.h>

#include "runtime/system/machine_int.h"

struct figure {
    const char *name, *help;
    uint64_t value;
};

/* What all harts did together. */
struct sums {
    struct hart_stats hart;
    struct mmu_stats mmu;
    uint64_t clock, retired; /* virtual time: the instructions that all harts counted */
};

/* The counters of a struct are all uint64_t. */
static void add(void *to, const void *from, size_t len_bytes)
{
    uint64_t *sum = to;
    const uint64_t *more = from;

    for (size_t i = 0; i < len_bytes / sizeof *sum; i++)
        sum[i] += more[i];
}

static void add_up(const struct machine *m, struct sums *s)
{
    _Static_assert(sizeof s->hart % sizeof(uint64_t) == 0 && sizeof s->mmu % sizeof(uint64_t) == 0,
                   "counters only");
    *s = (struct sums){0};
    for (unsigned i = 0; i < m->n_harts; i++) {
        add(&s->hart, hart_stats(m->hart[i].hart), sizeof s->hart);
        add(&s->mmu, mmu_stats(m->hart[i].cpu.s.mmu), sizeof s->mmu);
        if (!m->run.virtual_time)
            continue;
        s->retired += m->hart[i].cpu.s.icount - m->hart[i].cpu.s.n_unretired;
        if (s->clock < m->hart[i].cpu.s.icount)
            s->clock = m->hart[i].cpu.s.icount;
    }
}

static uint64_t window_ns(const struct mmu_stats *u, const struct windows_stats *w)
{
    uint64_t ns = u->window_turn_ns + u->window_fill_ns + w->drop_ns + w->code_ns;

    for (unsigned k = 0; k < WINDOW_FAULT_KINDS; k++)
        ns += u->window_fault_ns[k];
    return ns;
}

void machine_print_stats(const struct machine *m, FILE *text, FILE *json)
{
    struct sums sums;
    const struct hart_stats *h = &sums.hart;
    const struct mmu_stats *u = &sums.mmu;
    const struct cache_stats *c = hart_cache_stats(m->hart[0].hart);
    const struct block_stats *b = hart_block_stats(m->hart[0].hart);
    const struct track_stats *t = hart_track_stats(m->hart[0].hart);
    const struct windows_stats w = hart_windows_stats(m->hart[0].hart);

    add_up(m, &sums);
    const struct figure figure[] = {
        {"blocks_translated", "blocks translated", h->translated},
        {"guest_instructions_translated", "guest instructions in them", h->guest_insns},
        {"blocks_evaluated", "blocks evaluated, which ran for the first time", h->evaluated},
        {"host_code_bytes", "bytes of host code made", c->code_bytes},
        {"cache_bytes", "code cache size", c->size_bytes},
        {"cache_evictions", "cache segments emptied", c->evictions},
        {"blocks_dropped", "blocks dropped", b->dropped},
        {"links", "direct links made", b->links},
        {"entries", "entries from the run loop", h->runs},
        {"exits_link", "exits: unlinked jump", h->exits[EXIT_LINK]},
        {"exits_lookup", "exits: jump cache miss", h->exits[EXIT_LOOKUP]},
        {"exits_pending", "exits: pending work", h->exits[EXIT_PENDING]},
        {"exits_trap", "exits: trap", h->exits[EXIT_TRAP]},
        {"traps", "traps taken, but for system calls", h->traps},
        {"interrupts", "interrupts taken", h->interrupts},
        {"word_sleeps", "sleeps for a word that another hart is to change", h->word_sleeps},
        {"wfi_sleeps", "sleeps in a loop whose wfi does not wait", h->wfi_sleeps},
        {"pause_sleeps", "sleeps in a loop of pauses, for the word that it reads", h->pause_sleeps},
        {"mmu_slow_loads", "loads through the slow path", u->loads},
        {"mmu_slow_stores", "stores through the slow path", u->stores},
        {"mmu_walks", "page walks for data", u->walks},
        {"mmu_fetch_walks", "page walks for code", u->fetch_walks},
        {"mmu_switches", "address-space or rights switches", u->switches},
        {"mmu_fences", "sfence.vma executed", u->fences},
        {"mmu_mmio", "device accesses", u->mmio},
        {"lr_watched", "load-reserveds that watch their page", u->lr_watched},
        {"huge_pages", "huge pages of the host's for RAM", atomic_load(&m->phys.huge.n_given)},
        {"huge_pages_refused", "huge pages that it did not have",
         atomic_load(&m->phys.huge.n_refused)},
        {"huge_pages_us", "microseconds spent asking for them",
         atomic_load(&m->phys.huge.ns) / 1000},
        {"code_pages_protected", "pages that became code", t->protects},
        {"code_page_writes", "stores into code pages", t->writes},
        {"store_faults", "host faults on code pages", h->store_faults},
        {"windows_opened", "windows given to address spaces", u->windows_opened},
        {"windows_closed", "windows taken away", u->windows_closed},
        {"windows_open", "windows that there are now", w.open},
        {"window_mappings", "host mappings that they take, at most", w.mappings},
        {"window_pages", "pages mapped in windows", u->window_pages},
        {"window_maps", "pieces of such pages that were mapped by one call of the host", w.maps},
#define WINDOW_FAULT(constant, name, help)                                                         \
    {"window_faults_" #name, "window faults: " help, u->window_faults[WINDOW_##constant]},
#include "softmmu/window_faults.def"
#undef WINDOW_FAULT
        {"window_drops", "fences that took something out of a window", w.drops},
        {"window_protects", "windows in which a page became read-only, for code", w.protects},
        {"window_us", "microseconds spent on windows", window_ns(u, &w) / 1000},
        {"window_us_turns", "microseconds of them: giving and taking away",
         u->window_turn_ns / 1000},
        {"window_us_fill", "microseconds of them: filling from the tables",
         u->window_fill_ns / 1000},
        {"window_us_drops", "microseconds of them: fences", w.drop_ns / 1000},
        {"window_us_protects", "microseconds of them: pages that became code", w.code_ns / 1000},
#define WINDOW_FAULT(constant, name, help)                                                         \
    {"window_us_" #name, "microseconds of them: faults: " help,                                    \
     u->window_fault_ns[WINDOW_##constant] / 1000},
#include "softmmu/window_faults.def"
#undef WINDOW_FAULT
        {"hot", "blocks translated again, for cells", h->hot},
        {"wild", "accesses that lost their cell", h->wild},
        {"instructions_retired", "guest instructions executed (virtual time)", sums.retired},
        {"virtual_ns", "virtual time, in ns: those, traps and sleep", sums.clock},
    };
    unsigned n = sizeof figure / sizeof figure[0];

    for (unsigned k = 0; text && k < n; k++)
        fprintf(text, "%16" PRIu64 "  %s\n", figure[k].value, figure[k].help);
    for (unsigned k = 0; json && k < n; k++)
        fprintf(json, "%s  \"%s\": %" PRIu64 "%s\n", k == 0 ? "{\n" : "", figure[k].name,
                figure[k].value, k + 1 < n ? "," : "\n}");
}
