/* Random RV64GC programs, made from the rows of the instruction tables and weighted to what
 * goes wrong: corner operands, few registers, page-crossing and misaligned accesses.
 *
 *     seed --> rv_program --> rv_program_place --> bytes at `start` of the code pages
 *
 * Memory is one run of RAM, nothing around it:
 *
 *     RV_RANDOM_BASE | code, 2 pages | data, 2 pages |
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "frontend/riscv/rv.h"
#include "frontend/riscv/rv_decode.h"

/* Far from every corner value, so that accesses that miss do miss. */
#define RV_RANDOM_BASE UINT64_C(0x2a5000000)
enum {
    RV_RANDOM_CODE_BYTES = 0x2000,
    RV_RANDOM_DATA = RV_RANDOM_CODE_BYTES, /* offset of the data */
    RV_RANDOM_RAM_BYTES = 0x4000,
    RV_RANDOM_MAX = 64,   /* instructions, the ecall at the end included */
    RV_RANDOM_SPARE = 28, /* no instruction names this register, which holds SPARE_VALUE */
};
#define RV_RANDOM_SPARE_VALUE (RV_RANDOM_BASE + 0x1000000) /* nothing is there */

/* What an oracle may ask for. */
enum rv_random_flags {
    /* Singles live in even registers and doubles in odd ones, nearly always: so nearly no
     * instruction gets a single that is not boxed. */
    RV_RANDOM_APART = 1,
    /* Two nops, which no jump leads to, behind each instruction that makes a single. */
    RV_RANDOM_ROOM = 2,
    /* 32-bit minimums and maximums in memory are rare, and an addiw makes their operand a
     * 32-bit number, nearly always. */
    RV_RANDOM_AMO_WORD = 4,
    /* No CSRs but fcsr's; no ecall or ebreak; no jumps to where a register happens to point, which
     * may be back: for pieces of a program with a supervisor. */
    RV_RANDOM_USER = 8,
    /* No sc: what takes a reservation away, and when, is not one thing. */
    RV_RANDOM_NO_SC = 16,
    /* No ctzw, which QEMU 7.2 has wrong for a word that is 0, and no access to where a register
     * happens to point: it executes what a store makes of the code later than others. */
    RV_RANDOM_FOR_QEMU = 32,
};

struct rv_program {
    uint64_t seed;
    uint32_t start; /* offset of the first instruction */
    uint32_t end;   /* one behind the last: always an ecall */
    unsigned n;
    uint32_t word[RV_RANDOM_MAX];
    uint8_t len[RV_RANDOM_MAX];
    uint8_t room[RV_RANDOM_MAX]; /* 1, 2: which of the two nops it is; else 0 */
    uint32_t offset[RV_RANDOM_MAX];
    uint64_t x[32], f[32]; /* what the registers hold before */
    uint32_t fcsr;
    enum rv_priv priv;
};

/* The program of a seed: the same for ever, as long as the tables do not change. Every
 * program ends: the only jumps back are loops that count x31 down. */
void rv_random_program(struct rv_program *p, uint64_t seed, unsigned flags);

/* A program of the seed's memory and registers with other instructions: n words, at start;
 * the last is to be an ecall. */
void rv_program_of(struct rv_program *p, uint64_t seed, uint32_t start, const uint32_t *word,
                   unsigned n, unsigned flags);

/* A piece of a larger program: n words at `start`, the last a nop. p->x, f, fcsr and priv stay 0.
 * `ext` are the extensions it may use, 1 << enum rv_ext; `bases` the registers that point into
 * data, as bits, of which those returned still do behind it. Before it x29 is to point to
 * p->offset[n - 1], x30 to the start, and x31 to be a small number. A jump to one of its
 * instructions must leave out those behind a loop's decrement: rv_random_target. */
uint32_t rv_random_piece(struct rv_program *p, uint64_t seed, unsigned flags, uint64_t ext,
                         uint32_t start, unsigned n, uint32_t bases);
bool rv_random_target(const struct rv_program *p, unsigned k);
/* Registers that a program's data is reached by, as bits. */
#define RV_RANDOM_BASES (1u << 2 | 1u << 8 | 1u << 11 | 1u << 15 | 1u << 20 | 1u << 24)

bool rv_is_memory(uint16_t op); /* loads, stores, atomics, of either kind of register */
/* Does the instruction leave a single in a floating-point register? */
bool rv_makes_single(uint16_t op);

/* Instruction k becomes a nop of its length, so that branches stay as they are. */
void rv_program_drop(struct rv_program *p, unsigned k);

/* Writes code, among zeros, and data: ram is RV_RANDOM_RAM_BYTES. */
void rv_program_place(const struct rv_program *p, uint8_t *ram);

/* Operands: 0, +-1, extremes, powers of two, neighbours; now and then anything. */
uint64_t rv_random_int(uint64_t *rng);
/* The bits of a floating-point register: doubles, boxed and unboxed singles, NaNs of both
 * kinds, infinities, subnormals, halfway cases. */
uint64_t rv_random_fp(uint64_t *rng);

/* Uniform below n. */
unsigned rv_random_below(uint64_t *rng, unsigned n);
