/* Operand values of random programs: integers and floating-point numbers, weighted to corners. */
#include "tests/lib/rv_random.h"
#include "tests/lib/rv_rig.h"

unsigned rv_random_below(uint64_t *rng, unsigned n)
{
    return (unsigned)((rig_random(rng) >> 32) * n >> 32);
}

static bool one_in(uint64_t *rng, unsigned n)
{
    return rv_random_below(rng, n) == 0;
}

uint64_t rv_random_int(uint64_t *rng)
{
    static const uint64_t corner[] = {
        0,
        1,
        UINT64_MAX,
        INT64_MAX,
        (uint64_t)INT64_MIN,
        UINT64_MAX - 1,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        0x100000000,
        0xffffffff80000000,
        0xffffffff7fffffff,
        0x7f,
        0x80,
        0xff,
        0x7fff,
        0x8000,
        0xffff,
        31,
        32,
        63,
        64,
        0x8000000000000001,
        0xaaaaaaaaaaaaaaaa,
    };

    switch (rv_random_below(rng, 8)) {
    case 0: return rig_random(rng);
    case 1: return UINT64_C(1) << rv_random_below(rng, 64);
    case 2: return (UINT64_C(1) << rv_random_below(rng, 64)) - 1;
    case 3: return (uint64_t)(int64_t)(int32_t)rig_random(rng);
    case 4: return rig_random(rng) >> rv_random_below(rng, 64);
    default: return corner[rv_random_below(rng, sizeof(corner) / sizeof(corner[0]))];
    }
}

/* A number of `exp` exponent bits and `frac` fraction bits. */
static uint64_t random_float(uint64_t *rng, unsigned exp, unsigned frac)
{
    const uint64_t top = (UINT64_C(1) << exp) - 1, ones = (UINT64_C(1) << frac) - 1;
    const uint64_t bias = top >> 1;
    uint64_t sign = rig_random(rng) >> 63 << (exp + frac);
    uint64_t any = rig_random(rng) & ones;
    uint64_t ends = one_in(rng, 2) ? UINT64_C(1) << rv_random_below(rng, frac)
                                   : ones & ~(UINT64_C(1) << rv_random_below(rng, frac));

    switch (rv_random_below(rng, 16)) {
    case 0: return sign;               /* zero */
    case 1: return sign | top << frac; /* infinity */
    case 2: return sign | top << frac | UINT64_C(1) << (frac - 1) | (one_in(rng, 2) ? any : 0);
    case 3: return sign | top << frac | (any >> 1 | 1);                      /* signalling */
    case 4: return sign | (one_in(rng, 2) ? any : ends);                     /* subnormal */
    case 5: return sign | (top - 1) << frac | (one_in(rng, 2) ? ones : any); /* huge */
    case 6: return sign | UINT64_C(1) << frac | (one_in(rng, 2) ? 0 : ends); /* least normal */
    case 7: return sign | bias << frac;                                      /* one */
    case 8: /* around the bounds of the integers, and halves */
        return sign | (bias + 30 + rv_random_below(rng, 4)) << frac | (one_in(rng, 2) ? ends : 0);
    case 9:
        return sign | (bias + 62 + rv_random_below(rng, 3)) % top << frac |
               (one_in(rng, 2) ? ends : 0);
    case 10:
    case 11: return sign | (bias - 2 + rv_random_below(rng, 8)) << frac | ends;
    case 12: /* products near the least exponent */
        return sign | (bias / 2 + rv_random_below(rng, 4)) << frac | any;
    default: return sign | (rig_random(rng) % top) << frac | (one_in(rng, 4) ? ends : any);
    }
}

uint64_t rv_random_fp(uint64_t *rng)
{
    switch (rv_random_below(rng, 16)) {
    case 0: /* an integer, or a single that is not boxed */ return rv_random_int(rng);
    case 1: return random_float(rng, 8, 23) | rig_random(rng) << 32;
    case 2:
    case 3: /* a double that a single can nearly hold: ties, overflow, underflow */
        return (random_float(rng, 11, 52) & ~UINT64_C(0x7ff0000000000000)) |
               (UINT64_C(1023 - 150) + rv_random_below(rng, 280)) << 52;
    case 4:
    case 5:
    case 6:
    case 7:
    case 8: return random_float(rng, 11, 52);
    default: return random_float(rng, 8, 23) | UINT64_C(0xffffffff00000000);
    }
}
