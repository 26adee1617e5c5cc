/* What the back end must know of the tables of the soft MMU, which it does not include. */
#pragma once

#include <stddef.h>

#include "backend-x86_64/x64.h"
#include "softmmu/mmu.h"

/* Fields of a struct x64_mmu_layout; the rest are the owner's functions. */
#define MMU_LAYOUT                                                                                 \
    .tlb_bits = TLB_BITS, .load_off = offsetof(struct mmu_view, load),                             \
    .store_off = offsetof(struct mmu_view, store), .cell_off = offsetof(struct mmu_view, cell),    \
    .chunks_of_off = offsetof(struct mmu_view, chunks_of),                                         \
    .cell_chunks_off = offsetof(struct mmu_view, cell_chunks), .n_cells = N_CELLS,                 \
    .window_off = WINDOW_OFF, .window_guard = WINDOW_GUARD,                                        \
    .window_limit_off = offsetof(struct mmu_view, window_limit),                                   \
    .window_floor_off = offsetof(struct mmu_view, window_floor),                                   \
    .window_origin_off = offsetof(struct mmu_view, window_origin)
