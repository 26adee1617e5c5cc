/* The functions that the meanings in ir.def name. RISC-V's and x86's odd cases
 * (division by zero, overflow, shifts by the width) are settled here, once. */
#pragma once

#include <stdint.h>

#include "dbt/ir/ir.h"

static inline uint64_t ir_rotr64(uint64_t a, uint64_t n)
{
    n &= 63;
    return a >> n | a << (-n & 63);
}

static inline uint64_t ir_rotr32(uint64_t a, uint64_t n)
{
    uint32_t v = (uint32_t)a;

    n &= 31;
    return (uint32_t)(v >> n | v << (-n & 31));
}

/* ---- The upper half of a product ------------------------------------------ */

static inline uint64_t ir_mulhu(uint64_t a, uint64_t b)
{
    return (uint64_t)((unsigned __int128)a * b >> 64);
}

static inline uint64_t ir_mulhs(uint64_t a, uint64_t b)
{
    return (uint64_t)((__int128)(int64_t)a * (int64_t)b >> 64);
}

static inline uint64_t ir_mulhsu(uint64_t a, uint64_t b)
{
    return ir_mulhu(a, b) - ((int64_t)a < 0 ? b : 0);
}

/* ---- Division, defined for every operand as RISC-V's M extension does ------- */

static inline uint64_t ir_divu(uint64_t a, uint64_t b)
{
    return b ? a / b : UINT64_MAX;
}

static inline uint64_t ir_remu(uint64_t a, uint64_t b)
{
    return b ? a % b : a;
}

static inline uint64_t ir_divs(uint64_t a, uint64_t b)
{
    if (b == 0)
        return UINT64_MAX;
    if (b == UINT64_MAX) /* -1: a negation, and min / -1 would trap on the host. */
        return -a;
    return (uint64_t)((int64_t)a / (int64_t)b);
}

static inline uint64_t ir_rems(uint64_t a, uint64_t b)
{
    if (b == 0)
        return a;
    if (b == UINT64_MAX)
        return 0;
    return (uint64_t)((int64_t)a % (int64_t)b);
}

/* ---- Bits --------------------------------------------------------------------- */

static inline uint64_t ir_clz(uint64_t a)
{
    return a ? (uint64_t)__builtin_clzll(a) : 64;
}

static inline uint64_t ir_ctz(uint64_t a)
{
    return a ? (uint64_t)__builtin_ctzll(a) : 64;
}

static inline uint64_t ir_popcnt(uint64_t a)
{
    return (uint64_t)__builtin_popcountll(a);
}

/* Bit 0 of each byte says whether the byte is not zero; times 255 spreads it.
 * (x & 0x7f..) + 0x7f.. carries into bit 7 of a byte and never beyond. */
static inline uint64_t ir_orcb(uint64_t a)
{
    const uint64_t low7 = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t high = (((a & low7) + low7) | a) & ~low7;

    return (high >> 7) * 0xff;
}

/* ---- Signs of floating-point numbers -------------------------------------------- */

/* how: 0 takes the sign of b, 1 its opposite, 2 the exclusive or of both signs.
 * The upper half of a 32-bit result is all ones here, and undefined in the IR. */
static inline uint64_t ir_fsgnj(uint8_t aux, uint64_t a, uint64_t b, int how)
{
    uint64_t sign = ir_fp_width(aux) == 64 ? UINT64_C(1) << 63 : UINT64_C(1) << 31;
    uint64_t from = how == 0 ? b : how == 1 ? ~b : a ^ b;
    uint64_t result = (a & ~sign) | (from & sign);

    return ir_fp_width(aux) == 64 ? result : result | UINT64_C(0xffffffff00000000);
}
