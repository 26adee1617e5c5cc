/* Bit fields and alignments, 64 bits wide. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* At any address, and of whatever type it was: one access of the host's. */
typedef uint16_t any_u16 __attribute__((aligned(1), may_alias));
typedef uint32_t any_u32 __attribute__((aligned(1), may_alias));
typedef uint64_t any_u64 __attribute__((aligned(1), may_alias));

/* Bits [lo, lo+n) of v, right aligned; 1 <= n <= 63. */
static inline uint64_t bits_get(uint64_t v, unsigned lo, unsigned n)
{
    return (v >> lo) & ((UINT64_C(1) << n) - 1);
}

/* v with bits [lo, lo+n) replaced by the low bits of f. */
static inline uint64_t bits_set(uint64_t v, unsigned lo, unsigned n, uint64_t f)
{
    uint64_t mask = ((UINT64_C(1) << n) - 1) << lo;

    return (v & ~mask) | ((f << lo) & mask);
}

static inline uint64_t bit(unsigned n)
{
    return UINT64_C(1) << n;
}

/* The low n bits of v as a signed number; 1 <= n <= 64. */
static inline int64_t sign_extend(uint64_t v, unsigned n)
{
    return (int64_t)(v << (64 - n)) >> (64 - n);
}

static inline uint64_t align_down(uint64_t v, uint64_t to)
{
    return v & ~(to - 1);
}

static inline uint64_t align_up(uint64_t v, uint64_t to)
{
    return (v + to - 1) & ~(to - 1);
}
