/* What kind of number the bits of a single or a double are. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

static inline bool is_nan(uint64_t v, bool single)
{
    return single ? (v & 0x7fffffff) > 0x7f800000 : (v & INT64_MAX) > UINT64_C(0x7ff0000000000000);
}

static inline bool is_quiet(uint64_t v, bool single)
{
    return (v >> (single ? 22 : 51) & 1) != 0;
}

static inline bool is_inf(uint64_t v, bool single)
{
    return single ? (v & 0x7fffffff) == 0x7f800000
                  : (v & INT64_MAX) == UINT64_C(0x7ff0000000000000);
}

static inline bool is_zero(uint64_t v, bool single)
{
    return single ? (v & 0x7fffffff) == 0 : (v & INT64_MAX) == 0;
}
