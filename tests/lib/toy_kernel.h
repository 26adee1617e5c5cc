/* A toy guest whose kernel has the upper half alike in all spaces, in supervisor rights: these
 * share a view, which may have a window over that half. */
#pragma once

#include "tests/lib/toy_guest.h"

static inline bool toy_shares_view(uint64_t space_key, uint64_t rights)
{
    return space_key && rights == TOY_SUPER;
}

static inline bool toy_shares_code(uint64_t space_key, uint64_t rights)
{
    return space_key && (rights == TOY_SUPER || rights == TOY_SUM);
}

static inline uint64_t toy_kernel_bound(uint64_t space_key, uint64_t rights)
{
    return toy_shares_view(space_key, rights) ? -TOY_LIMIT : toy_window_bound(space_key, rights);
}

static const struct mmu_guest toy_kernel = {.walk = toy_walk,
                                            .peek = toy_peek_map,
                                            .shares_view = toy_shares_view,
                                            .shares_code = toy_shares_code,
                                            .window_bound = toy_kernel_bound,
                                            .allowed = toy_allowed,
                                            .access_fault = toy_access_fault,
                                            .misaligned = toy_misaligned};
