/* --stats, and what the monitor calls `info jit`. */
#include <inttypes.h>

#include "runtime/system/machine_int.h"

struct figure {
    const char *name, *help;
    uint64_t value;
};

void machine_print_stats(const struct machine *m, FILE *text, FILE *json)
{
    const struct hart_stats *h = hart_stats(m->hart);
    const struct cache_stats *c = hart_cache_stats(m->hart);
    const struct block_stats *b = hart_block_stats(m->hart);
    const struct track_stats *t = hart_track_stats(m->hart);
    const struct mmu_stats *u = mmu_stats(m->cpu.s.mmu);
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
        {"traps", "traps taken", h->traps},
        {"interrupts", "interrupts taken", h->interrupts},
        {"mmu_slow_loads", "loads through the slow path", u->loads},
        {"mmu_slow_stores", "stores through the slow path", u->stores},
        {"mmu_walks", "page walks for data", u->walks},
        {"mmu_fetch_walks", "page walks for code", u->fetch_walks},
        {"mmu_switches", "address-space or rights switches", u->switches},
        {"mmu_fences", "sfence.vma executed", u->fences},
        {"mmu_mmio", "device accesses", u->mmio},
        {"code_pages_protected", "pages that became code", t->protects},
        {"code_page_writes", "stores into code pages", t->writes},
        {"store_faults", "host faults on code pages", h->store_faults},
        {"hot", "blocks translated again, for cells", h->hot},
        {"wild", "accesses that lost their cell", h->wild},
    };
    unsigned n = sizeof figure / sizeof figure[0];

    for (unsigned k = 0; text && k < n; k++)
        fprintf(text, "%16" PRIu64 "  %s\n", figure[k].value, figure[k].help);
    for (unsigned k = 0; json && k < n; k++)
        fprintf(json, "%s  \"%s\": %" PRIu64 "%s\n", k == 0 ? "{\n" : "", figure[k].name,
                figure[k].value, k + 1 < n ? "," : "\n}");
}
