/* Bytes of host instructions: the encoding rules of the Intel manual, volume 2,
 * chapter 2, and one function for each row of x64_enc.def. Nothing here knows
 * what the instructions are for. A full buffer sets `full` and writes nothing. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum x64_reg {
    RAX,
    RCX,
    RDX,
    RBX,
    RSP,
    RBP,
    RSI,
    RDI,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    X64_NO_REG = 0xff
};

/* [base + index << scale + disp], optionally in gs; base X64_RIP: disp is the
 * offset of the target in the code buffer. */
struct x64_mem {
    uint8_t base;  /* X64_NO_REG: none; not of VEX forms */
    uint8_t index; /* X64_NO_REG: none; never RSP */
    uint8_t scale;
    bool gs;
    int32_t disp;
};
enum { X64_RIP = 0xfe };

struct x64_code {
    uint8_t *start, *p, *end;
    bool full;
};

static inline uint32_t x64_at(const struct x64_code *c)
{
    return (uint32_t)(c->p - c->start);
}

static inline struct x64_mem x64_mem(unsigned base, int32_t disp)
{
    return (struct x64_mem){(uint8_t)base, X64_NO_REG, 0, false, disp};
}

/* One instruction: opcode in `map` behind prefix pp, with ModRM. imm_bytes of
 * immediate follow that the caller writes (rip-relative targets need to know). */
void x64_enc_r(struct x64_code *c, bool w, uint8_t pp, uint8_t map, uint8_t op, unsigned reg,
               unsigned rm, bool byte_reg, bool byte_rm);
void x64_enc_m(struct x64_code *c, bool w, uint8_t pp, uint8_t map, uint8_t op, unsigned reg,
               struct x64_mem m, bool byte_reg, unsigned imm_bytes);
void x64_vex_r(struct x64_code *c, bool w, uint8_t pp, uint8_t map, uint8_t op, unsigned reg,
               unsigned v, unsigned rm);
void x64_vex_m(struct x64_code *c, bool w, uint8_t pp, uint8_t map, uint8_t op, unsigned reg,
               unsigned v, struct x64_mem m);
/* Group-1 arithmetic and mov with an immediate: the short form when it fits. */
void x64_enc_ri(struct x64_code *c, bool w, uint8_t op, uint8_t ext, unsigned reg, int32_t imm);
void x64_enc_mi(struct x64_code *c, bool w, uint8_t op, uint8_t ext, struct x64_mem m, int32_t imm);

static inline void x64_byte(struct x64_code *c, uint8_t b)
{
    if (c->end - c->p < 1) {
        c->full = true;
        return;
    }
    *c->p++ = b;
}

static inline void x64_u32(struct x64_code *c, uint32_t v)
{
    if (c->end - c->p < 4) {
        c->full = true;
        return;
    }
    memcpy(c->p, &v, 4);
    c->p += 4;
}

static inline void x64_u64(struct x64_code *c, uint64_t v)
{
    x64_u32(c, (uint32_t)v);
    x64_u32(c, (uint32_t)(v >> 32));
}

#define X64_RM(name, w, pp, map, op)                                                               \
    static inline void x64_##name##_rr(struct x64_code *c, unsigned reg, unsigned rm)              \
    {                                                                                              \
        x64_enc_r(c, w, pp, map, op, reg, rm, false,                                               \
                  (map) == 1 && ((op) == 0xb6 || (op) == 0xbe));                                   \
    }                                                                                              \
    static inline void x64_##name##_rm(struct x64_code *c, unsigned reg, struct x64_mem m)         \
    {                                                                                              \
        x64_enc_m(c, w, pp, map, op, reg, m, false, 0);                                            \
    }
#define X64_MR(name, w, pp, map, op)                                                               \
    static inline void x64_##name##_mr(struct x64_code *c, struct x64_mem m, unsigned reg)         \
    {                                                                                              \
        x64_enc_m(c, w, pp, map, op, reg, m, (op) == 0x88, 0);                                     \
    }
#define X64_MI(name, w, op, ext)                                                                   \
    static inline void x64_##name##_ri(struct x64_code *c, unsigned reg, int32_t imm)              \
    {                                                                                              \
        x64_enc_ri(c, w, op, ext, reg, imm);                                                       \
    }                                                                                              \
    static inline void x64_##name##_mi(struct x64_code *c, struct x64_mem m, int32_t imm)          \
    {                                                                                              \
        x64_enc_mi(c, w, op, ext, m, imm);                                                         \
    }
#define X64_M(name, w, op, ext)                                                                    \
    static inline void x64_##name##_r(struct x64_code *c, unsigned reg)                            \
    {                                                                                              \
        x64_enc_r(c, w, 0, 0, op, ext, reg, false, false);                                         \
    }                                                                                              \
    static inline void x64_##name##_m(struct x64_code *c, struct x64_mem m)                        \
    {                                                                                              \
        x64_enc_m(c, w, 0, 0, op, ext, m, false, 0);                                               \
    }
#define X64_SH(name, w, ext)                                                                       \
    static inline void x64_##name##_ri8(struct x64_code *c, unsigned reg, unsigned imm)            \
    {                                                                                              \
        x64_enc_r(c, w, 0, 0, 0xc1, ext, reg, false, false);                                       \
        x64_byte(c, (uint8_t)imm);                                                                 \
    }
#define X64_V(name, w, pp, map, op)                                                                \
    static inline void x64_##name##_rrr(struct x64_code *c, unsigned d, unsigned v, unsigned rm)   \
    {                                                                                              \
        x64_vex_r(c, w, pp, map, op, d, v, rm);                                                    \
    }                                                                                              \
    static inline void x64_##name##_rrm(struct x64_code *c, unsigned d, unsigned v,                \
                                        struct x64_mem m)                                          \
    {                                                                                              \
        x64_vex_m(c, w, pp, map, op, d, v, m);                                                     \
    }
#define X64_VMR(name, w, pp, map, op)                                                              \
    static inline void x64_##name##_mr(struct x64_code *c, struct x64_mem m, unsigned reg)         \
    {                                                                                              \
        x64_vex_m(c, w, pp, map, op, reg, 0, m);                                                   \
    }                                                                                              \
    static inline void x64_##name##_rr(struct x64_code *c, unsigned rm, unsigned reg)              \
    {                                                                                              \
        x64_vex_r(c, w, pp, map, op, reg, 0, rm);                                                  \
    }
#include "backend-x86_64/x64_enc.def"
#undef X64_RM
#undef X64_MR
#undef X64_MI
#undef X64_M
#undef X64_SH
#undef X64_V
#undef X64_VMR

/* ---- Forms that fit no row -------------------------------------------------------- */

enum x64_cc {
    CC_O = 0,
    CC_NO,
    CC_B,
    CC_AE,
    CC_E,
    CC_NE,
    CC_BE,
    CC_A,
    CC_S,
    CC_NS,
    CC_P,
    CC_NP,
    CC_L,
    CC_GE,
    CC_LE,
    CC_G
};

/* The shortest way to put v into reg. Flags are kept. */
void x64_mov_imm(struct x64_code *c, unsigned reg, uint64_t v);
void x64_setcc(struct x64_code *c, enum x64_cc cc, unsigned reg);
void x64_mov8_imm(struct x64_code *c, struct x64_mem m, int32_t imm);
void x64_mov16_imm(struct x64_code *c, struct x64_mem m, int32_t imm);
void x64_imul_imm(struct x64_code *c, unsigned d, unsigned s, int32_t imm);
/* d = all ones where a equals b, else 0; raises invalid for signalling NaNs only. */
void x64_vcmpeq(struct x64_code *c, bool wide, unsigned d, unsigned a, unsigned b);
void x64_bswap(struct x64_code *c, unsigned reg);
void x64_rorx(struct x64_code *c, unsigned d, unsigned s, unsigned amount);
void x64_rorx32(struct x64_code *c, unsigned d, unsigned s, unsigned amount);
void x64_ror_cl(struct x64_code *c, bool w, unsigned reg);
void x64_cqo(struct x64_code *c);
void x64_lfence(struct x64_code *c);
void x64_rdtsc(struct x64_code *c);
void x64_ldmxcsr(struct x64_code *c, struct x64_mem m);
void x64_stmxcsr(struct x64_code *c, struct x64_mem m);
void x64_push(struct x64_code *c, unsigned reg);
void x64_pop(struct x64_code *c, unsigned reg);
void x64_ret(struct x64_code *c);
/* test esp, imm */
void x64_test_esp(struct x64_code *c, uint32_t imm);
/* No-ops up to the next offset that is `rest` modulo `to`. */
void x64_align(struct x64_code *c, unsigned to, unsigned rest);

/* Jumps whose rel32 field is filled later; they give the field's offset. */
uint32_t x64_jcc(struct x64_code *c, enum x64_cc cc);
uint32_t x64_jmp(struct x64_code *c);
/* The same with the field 4-byte aligned, to be patched while code runs. */
uint32_t x64_jmp_patchable(struct x64_code *c);
uint32_t x64_call_patchable(struct x64_code *c);
/* Fills the field at `at` so that it leads to `target`, an offset in the buffer. */
void x64_fix(struct x64_code *c, uint32_t at, uint32_t target);
