/* Changing code that may be running: one aligned 4-byte store, which x86 makes
 * visible whole to a processor that fetches it. */
#include <stdatomic.h>

#include "backend-x86_64/x64.h"
#include "dbt/base/check.h"

void x64_patch(uint8_t *rw_field, const uint8_t *rx_field, const void *rx_target)
{
    int64_t rel = (const uint8_t *)rx_target - (rx_field + 4);

    CHECK(rel == (int32_t)rel && "the code cache is smaller than 2 GiB");
    CHECK(((uintptr_t)rw_field & 3) == 0 && "a patchable field is aligned");
    atomic_store_explicit((_Atomic int32_t *)(void *)rw_field, (int32_t)rel, memory_order_release);
}
