/* The soft MMU for the eye. */
#include <inttypes.h>

#include "softmmu/mmu_int.h"

/* An entry whose page belongs to another index was never filled (take_view). */
static bool is_live(const struct tlb_entry *e, unsigned i)
{
    return e->tag != TLB_EMPTY && tlb_index(e->tag) == i;
}

static void print_entry(const struct mmu *m, const struct tlb_entry *e, const char *rights,
                        FILE *out)
{
    uint64_t gpa = gpa_of(m->phys, plain_of(m, e->tag + e->addend));

    fprintf(out, "%016" PRIx64 "  %016" PRIx64 "  %s\n", e->tag, gpa, rights);
}

void mmu_print(const struct mmu *m, FILE *out)
{
    const struct mmu_view *v = m->slot->view;

    for (unsigned i = 0; i < TLB_SIZE; i++) {
        bool load = is_live(&v->load[i], i), store = is_live(&v->store[i], i);
        bool same = load && store && v->load[i].tag == v->store[i].tag;

        if (load)
            print_entry(m, &v->load[i], same ? "rw" : "r-", out);
        if (store && !same)
            print_entry(m, &v->store[i], "-w", out);
    }
}
