/* Cells: dropping those whose translation may have changed. To drop too many is always right.
 *
 * A cell outlives the table's entry that it was copied from when another page takes the entry's
 * place: the translation is as good as before. Whatever drops entries for another reason drops the
 * cells here. */
#include "softmmu/mmu_int.h"

#include "dbt/base/check.h"

void cells_init(struct mmu_view *v)
{
    for (unsigned n = 0; n < 2 * N_CELLS; n++)
        v->cell[n].tag = TLB_EMPTY;
}

static void clear_chunks(struct mmu_view *v, uint32_t chunks, uint64_t tag_mask, uint64_t tag)
{
    for (; chunks; chunks &= chunks - 1) {
        unsigned first = (unsigned)__builtin_ctz(chunks) * CELL_CHUNK;

        for (unsigned n = first; n < first + CELL_CHUNK; n++) {
            if ((v->cell[n].tag & tag_mask) == tag)
                v->cell[n].tag = TLB_EMPTY;
        }
    }
}

void cells_drop_all(struct mmu_view *v)
{
    if (!v->cell_chunks)
        return;
    clear_chunks(v, v->cell_chunks, 0, 0);
    v->cell_chunks = 0;
    memset(v->chunks_of, 0, sizeof v->chunks_of);
}

/* Linux fences a page at each page fault: mostly one that no cell holds. */
void cells_drop_page(struct mmu_view *v, uint64_t va)
{
    const uint64_t index_mask = (uint64_t)(TLB_SIZE - 1) << PAGE_BITS;
    unsigned i = tlb_index(va);

    clear_chunks(v, v->chunks_of[i], index_mask, va & index_mask);
    v->chunks_of[i] = 0;
}

void mmu_drop_cell(struct mmu *m, unsigned cell)
{
    CHECK(cell < 2 * N_CELLS);
    m->slot->view->cell[cell].tag = TLB_EMPTY;
}
