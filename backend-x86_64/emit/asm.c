#include "backend-x86_64/emit/asm.h"

#include "dbt/base/check.h"

static void put(struct x64_code *c, const uint8_t *bytes, unsigned n)
{
    if (c->end - c->p < (long)n) {
        c->full = true;
        return;
    }
    memcpy(c->p, bytes, n);
    c->p += n;
}

/* Where an instruction is made: in its place. Near the buffer's end, where it may not fit, in
 * `spare`. */
enum { LONGEST = 24 };

static uint8_t *place(const struct x64_code *c, uint8_t *spare)
{
    return c->end - c->p >= LONGEST ? c->p : spare;
}

static void made(struct x64_code *c, const uint8_t *at, unsigned n)
{
    if (at == c->p)
        c->p += n;
    else
        put(c, at, n);
}

/* Legacy prefixes, REX, escape bytes and opcode. What is not there is written all the same, and
 * then written over: a branch would be guessed wrong too often. */
static unsigned head(uint8_t *out, bool gs, uint8_t pp, uint8_t rex, uint8_t map, uint8_t op)
{
    unsigned n = 0;

    out[n] = 0x65;
    n += gs;
    out[n] = pp;
    n += pp != 0;
    out[n] = rex;
    n += rex != 0;
    out[n] = 0x0f;
    n += map != 0;
    out[n] = map == 2 ? 0x38 : 0x3a;
    n += map >= 2;
    out[n++] = op;
    return n;
}

static uint8_t rex_of(bool w, unsigned reg, unsigned index, unsigned base, bool force)
{
    uint8_t rex =
        (uint8_t)((w ? 8 : 0) | (reg >> 3 & 1) << 2 | (index >> 3 & 1) << 1 | (base >> 3 & 1));

    return rex || force ? (uint8_t)(rex | 0x40) : 0;
}

static unsigned base_bits(struct x64_mem m)
{
    return m.base == X64_RIP || m.base == X64_NO_REG ? 0 : m.base;
}

/* ModRM, SIB and displacement of a memory operand. EVEX counts a short displacement in
 * operands: there it is used for 0 only. at: bytes written before,
 * from the instruction's start. */
static unsigned modrm(const struct x64_code *c, uint8_t *out, unsigned at, unsigned reg,
                      struct x64_mem m, unsigned imm_bytes, bool evex)
{
    unsigned n = 0;
    unsigned mod;
    uint8_t r = (uint8_t)((reg & 7) << 3);

    if (m.base == X64_RIP) {
        int32_t rel = (int32_t)((uint32_t)m.disp - (x64_at(c) + at + 5 + imm_bytes));

        out[n++] = r | 5;
        memcpy(out + n, &rel, 4);
        return n + 4;
    }
    if (m.base == X64_NO_REG) {
        unsigned index = m.index == X64_NO_REG ? 4 : m.index & 7;

        out[n++] = r | 4;
        out[n++] = (uint8_t)((m.index == X64_NO_REG ? 0 : m.scale << 6) | index << 3 | 5);
        memcpy(out + n, &m.disp, 4);
        return n + 4;
    }
    if (m.disp == 0 && (m.base & 7) != RBP)
        mod = 0;
    else if (m.disp == (int8_t)m.disp && (!evex || m.disp == 0))
        mod = 1;
    else
        mod = 2;
    if (m.index == X64_NO_REG && (m.base & 7) != RSP) {
        out[n++] = (uint8_t)(mod << 6 | r | (m.base & 7));
    } else {
        unsigned index = m.index == X64_NO_REG ? 4 : m.index & 7;

        out[n++] = (uint8_t)(mod << 6 | r | 4);
        out[n++] = (uint8_t)(m.scale << 6 | index << 3 | (m.base & 7));
    }
    if (mod == 1) {
        out[n++] = (uint8_t)m.disp;
    } else if (mod == 2) {
        memcpy(out + n, &m.disp, 4);
        n += 4;
    }
    return n;
}

void x64_enc_r(struct x64_code *c, bool w, uint8_t pp, uint8_t map, uint8_t op, unsigned reg,
               unsigned rm, bool byte_reg, bool byte_rm)
{
    uint8_t spare[LONGEST], *out = place(c, spare);
    bool force = (byte_reg && reg >= 4) || (byte_rm && rm >= 4);
    unsigned n = head(out, false, pp, rex_of(w, reg, 0, rm, force), map, op);

    out[n++] = (uint8_t)(0xc0 | (reg & 7) << 3 | (rm & 7));
    made(c, out, n);
}

void x64_enc_m(struct x64_code *c, bool w, uint8_t pp, uint8_t map, uint8_t op, unsigned reg,
               struct x64_mem m, bool byte_reg, unsigned imm_bytes)
{
    uint8_t spare[LONGEST], *out = place(c, spare);
    unsigned index = m.index == X64_NO_REG ? 0 : m.index;
    unsigned n =
        head(out, m.gs, pp, rex_of(w, reg, index, base_bits(m), byte_reg && reg >= 4), map, op);

    n += modrm(c, out + n, n, reg, m, imm_bytes, false);
    made(c, out, n);
}

static unsigned vex_head(uint8_t *out, bool gs, bool w, uint8_t pp, uint8_t map, uint8_t op,
                         unsigned reg, unsigned v, unsigned index, unsigned base)
{
    unsigned n = 0;
    uint8_t p = pp == 0x66 ? 1 : pp == 0xf3 ? 2 : pp == 0xf2 ? 3 : 0;

    if (gs)
        out[n++] = 0x65;
    if (map == 1 && !w && index < 8 && base < 8) {
        out[n++] = 0xc5;
        out[n++] = (uint8_t)((reg < 8) << 7 | (~v & 15) << 3 | p);
    } else {
        out[n++] = 0xc4;
        out[n++] = (uint8_t)((reg < 8) << 7 | (index < 8) << 6 | (base < 8) << 5 | map);
        out[n++] = (uint8_t)((w ? 0x80 : 0) | (~v & 15) << 3 | p);
    }
    out[n++] = op;
    return n;
}

/* The EVEX form, for registers from 16 on. Its W tells doubles from singles where VEX ignores
 * the bit; the logical operations are those of integers, since those of floating point want
 * AVX512DQ. */
static unsigned evex_head(uint8_t *out, bool gs, bool w, uint8_t pp, uint8_t map, uint8_t op,
                          unsigned reg, unsigned v, unsigned index, unsigned base, bool base_is_xmm)
{
    static const uint8_t logical[4] = {0xdb, 0xdf, 0xeb, 0xef};
    bool is_logical = map == 1 && op >= 0x54 && op <= 0x57;
    bool from_or_to_gpr = op == 0x2a || op == 0x2c || op == 0x2d || op == 0x6e || op == 0x7e;
    uint8_t p = pp == 0x66 ? 1 : pp == 0xf3 ? 2 : pp == 0xf2 ? 3 : 0;
    unsigned n = 0;

    if (map == 1 && (!from_or_to_gpr || (op == 0x7e && pp == 0xf3)))
        w = pp == 0x66 || pp == 0xf2 || op == 0x7e;
    if (base_is_xmm)
        index = base >> 1; /* X is bit 4 of it */
    if (gs)
        out[n++] = 0x65;
    out[n++] = 0x62;
    out[n++] = (uint8_t)((~reg >> 3 & 1) << 7 | (~index >> 3 & 1) << 6 | (~base >> 3 & 1) << 5 |
                         (~reg >> 4 & 1) << 4 | map);
    out[n++] = (uint8_t)((w ? 0x80 : 0) | (~v & 15) << 3 | 4 | p);
    out[n++] = (uint8_t)((~v >> 4 & 1) << 3);
    out[n++] = is_logical ? logical[op - 0x54] : op;
    return n;
}

void x64_vex_r(struct x64_code *c, bool w, uint8_t pp, uint8_t map, uint8_t op, unsigned reg,
               unsigned v, unsigned rm)
{
    uint8_t spare[LONGEST], *out = place(c, spare);
    unsigned n = (reg | v | rm) < 16 ? vex_head(out, false, w, pp, map, op, reg, v, 0, rm)
                                     : evex_head(out, false, w, pp, map, op, reg, v, 0, rm, true);

    out[n++] = (uint8_t)(0xc0 | (reg & 7) << 3 | (rm & 7));
    made(c, out, n);
}

void x64_vex_m(struct x64_code *c, bool w, uint8_t pp, uint8_t map, uint8_t op, unsigned reg,
               unsigned v, struct x64_mem m)
{
    CHECK(m.base != X64_NO_REG && "capstone could not tell whether it is right");
    uint8_t spare[LONGEST], *out = place(c, spare);
    unsigned index = m.index == X64_NO_REG ? 0 : m.index;
    unsigned base = m.base == X64_RIP ? 0 : m.base;
    bool wide = (reg | v) >= 16;
    unsigned n = wide ? evex_head(out, m.gs, w, pp, map, op, reg, v, index, base, false)
                      : vex_head(out, m.gs, w, pp, map, op, reg, v, index, base);

    n += modrm(c, out + n, n, reg, m, 0, wide);
    made(c, out, n);
}

void x64_enc_ri(struct x64_code *c, bool w, uint8_t op, uint8_t ext, unsigned reg, int32_t imm)
{
    bool small = op == 0x81 && imm == (int8_t)imm;

    x64_enc_r(c, w, 0, 0, small ? 0x83 : op, ext, reg, false, false);
    if (small)
        x64_byte(c, (uint8_t)imm);
    else
        x64_u32(c, (uint32_t)imm);
}

void x64_enc_mi(struct x64_code *c, bool w, uint8_t op, uint8_t ext, struct x64_mem m, int32_t imm)
{
    bool small = op == 0x81 && imm == (int8_t)imm;

    x64_enc_m(c, w, 0, 0, small ? 0x83 : op, ext, m, false, small ? 1 : 4);
    if (small)
        x64_byte(c, (uint8_t)imm);
    else
        x64_u32(c, (uint32_t)imm);
}

void x64_mov_imm(struct x64_code *c, unsigned reg, uint64_t v)
{
    if (v <= UINT32_MAX) {
        if (reg >= 8)
            x64_byte(c, 0x41);
        x64_byte(c, (uint8_t)(0xb8 | (reg & 7)));
        x64_u32(c, (uint32_t)v);
    } else if (v == (uint64_t)(int64_t)(int32_t)v) {
        x64_mov_ri(c, reg, (int32_t)v);
    } else {
        x64_byte(c, (uint8_t)(0x48 | (reg >> 3)));
        x64_byte(c, (uint8_t)(0xb8 | (reg & 7)));
        x64_u64(c, v);
    }
}

void x64_setcc(struct x64_code *c, enum x64_cc cc, unsigned reg)
{
    x64_enc_r(c, false, 0, 1, (uint8_t)(0x90 | cc), 0, reg, false, true);
}

void x64_mov8_imm(struct x64_code *c, struct x64_mem m, int32_t imm)
{
    x64_enc_m(c, false, 0, 0, 0xc6, 0, m, false, 1);
    x64_byte(c, (uint8_t)imm);
}

void x64_mov16_imm(struct x64_code *c, struct x64_mem m, int32_t imm)
{
    x64_enc_m(c, false, 0x66, 0, 0xc7, 0, m, false, 2);
    x64_byte(c, (uint8_t)imm);
    x64_byte(c, (uint8_t)(imm >> 8));
}

void x64_imul_imm(struct x64_code *c, unsigned d, unsigned s, int32_t imm)
{
    x64_enc_r(c, true, 0, 0, 0x69, d, s, false, false);
    x64_u32(c, (uint32_t)imm);
}

void x64_vcmpeq(struct x64_code *c, bool wide, unsigned d, unsigned a, unsigned b)
{
    x64_vex_r(c, false, wide ? 0xf2 : 0xf3, 1, 0xc2, d, a, b);
    x64_byte(c, 0);
}

void x64_bswap(struct x64_code *c, unsigned reg)
{
    x64_byte(c, (uint8_t)(0x48 | (reg >> 3)));
    x64_byte(c, 0x0f);
    x64_byte(c, (uint8_t)(0xc8 | (reg & 7)));
}

void x64_rorx(struct x64_code *c, unsigned d, unsigned s, unsigned amount)
{
    x64_vex_r(c, true, 0xf2, 3, 0xf0, d, 0, s);
    x64_byte(c, (uint8_t)amount);
}

void x64_rorx32(struct x64_code *c, unsigned d, unsigned s, unsigned amount)
{
    x64_vex_r(c, false, 0xf2, 3, 0xf0, d, 0, s);
    x64_byte(c, (uint8_t)amount);
}

void x64_ror_cl(struct x64_code *c, bool w, unsigned reg)
{
    x64_enc_r(c, w, 0, 0, 0xd3, 1, reg, false, false);
}

void x64_cqo(struct x64_code *c)
{
    x64_byte(c, 0x48);
    x64_byte(c, 0x99);
}

void x64_lfence(struct x64_code *c)
{
    x64_byte(c, 0x0f);
    x64_byte(c, 0xae);
    x64_byte(c, 0xe8);
}

void x64_rdtsc(struct x64_code *c)
{
    x64_byte(c, 0x0f);
    x64_byte(c, 0x31);
}

void x64_ldmxcsr(struct x64_code *c, struct x64_mem m)
{
    x64_enc_m(c, false, 0, 1, 0xae, 2, m, false, 0);
}

void x64_stmxcsr(struct x64_code *c, struct x64_mem m)
{
    x64_enc_m(c, false, 0, 1, 0xae, 3, m, false, 0);
}

void x64_push(struct x64_code *c, unsigned reg)
{
    if (reg >= 8)
        x64_byte(c, 0x41);
    x64_byte(c, (uint8_t)(0x50 | (reg & 7)));
}

void x64_pop(struct x64_code *c, unsigned reg)
{
    if (reg >= 8)
        x64_byte(c, 0x41);
    x64_byte(c, (uint8_t)(0x58 | (reg & 7)));
}

void x64_ret(struct x64_code *c)
{
    x64_byte(c, 0xc3);
}

void x64_test_esp(struct x64_code *c, uint32_t imm)
{
    x64_byte(c, 0xf7);
    x64_byte(c, 0xc4);
    x64_u32(c, imm);
}

void x64_align(struct x64_code *c, unsigned to, unsigned rest)
{
    /* The multi-byte no-ops that Intel and AMD both recommend. */
    static const uint8_t nops[4][4] = {
        {0x90}, {0x66, 0x90}, {0x0f, 0x1f, 0x00}, {0x0f, 0x1f, 0x40, 0x00}};
    unsigned n = (rest - x64_at(c)) & (to - 1);

    while (n > 0) {
        unsigned step = n < 4 ? n : 4;

        put(c, nops[step - 1], step);
        n -= step;
    }
}

static uint32_t field(struct x64_code *c)
{
    uint32_t at = x64_at(c);

    x64_u32(c, 0);
    return at;
}

uint32_t x64_jcc(struct x64_code *c, enum x64_cc cc)
{
    x64_byte(c, 0x0f);
    x64_byte(c, (uint8_t)(0x80 | cc));
    return field(c);
}

uint32_t x64_jmp(struct x64_code *c)
{
    x64_byte(c, 0xe9);
    return field(c);
}

uint32_t x64_jmp_patchable(struct x64_code *c)
{
    x64_align(c, 4, 3);
    return x64_jmp(c);
}

uint32_t x64_call_patchable(struct x64_code *c)
{
    x64_align(c, 4, 3);
    x64_byte(c, 0xe8);
    return field(c);
}

void x64_fix(struct x64_code *c, uint32_t at, uint32_t target)
{
    int32_t rel = (int32_t)(target - (at + 4));

    if (!c->full)
        memcpy(c->start + at, &rel, 4);
}
