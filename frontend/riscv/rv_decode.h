/* Instructions as operands: decoding, encoding and what a row of the tables in isa/
 * says. Private to the front end and to its tests.
 *
 *     word --decode--> struct rv_insn --encode--> word      the identity on every row */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "frontend/riscv/rv.h"

/* A row. Compressed rows follow the others; 0 is what matches no row. */
enum rv_op {
    RV_OP_reserved,
#define RV(name, format, bits, needs, kind, builder) RV_OP_##name,
#define RVC(name, format, bits, needs, expands)
#include "frontend/riscv/isa/rv_isa.def"
#undef RV
#undef RVC
    RV_OP_COMPRESSED, /* the first compressed row; it takes no number of its own */
    RV_OP_LAST_LONG = RV_OP_COMPRESSED - 1,
#define RV(name, format, bits, needs, kind, builder)
#define RVC(name, format, bits, needs, expands) RV_OP_##name,
#include "frontend/riscv/isa/rv_isa.def"
#undef RV
#undef RVC
    RV_OP_COUNT
};

enum rv_kind {
    RV_KIND_ALU, /* registers only */
    RV_KIND_LOAD,
    RV_KIND_STORE,
    RV_KIND_AMO,
    RV_KIND_BRANCH,
    RV_KIND_JUMP,
    RV_KIND_SYS,
    RV_KIND_FP,      /* may change floating-point registers or flags */
    RV_KIND_FP_RM,   /* the same, and has a rounding mode */
    RV_KIND_FP_READ, /* only reads floating-point registers */
};

enum rv_field {
    RV_FIELD_rd,
    RV_FIELD_rs1,
    RV_FIELD_rs2,
    RV_FIELD_rs3,
    RV_FIELD_rm,
    RV_FIELD_imm,
    RV_FIELD_COUNT
};

/* n bits of the word from lo on are the field's from `to` on; n == 0: the field has
 * the bits of `to` whatever the word is. */
struct rv_piece {
    uint8_t field, lo, n, to;
};

enum { RV_MAX_PIECES = 10 };

struct rv_format {
    const char *syntax;
    uint8_t sign; /* the immediate's sign bit is number sign - 1; 0: unsigned */
    uint8_t n_pieces;
    struct rv_piece piece[RV_MAX_PIECES];
};

struct rv_row {
    const char *name; /* with _ for a dot */
    const char *bits; /* as in the row */
    uint64_t needs;   /* extensions, as rv_cpu_model.ext */
    uint8_t format;
    uint8_t kind;     /* enum rv_kind */
    uint16_t expands; /* the long form's enum rv_op; of a long row, itself */
};

struct rv_insn {
    uint16_t row; /* enum rv_op of the row that matched; RV_OP_reserved: illegal */
    uint16_t op;  /* enum rv_op of what it means: a compressed row's long form */
    uint8_t len;  /* 2 or 4 */
    uint8_t rd, rs1, rs2, rs3;
    uint8_t rm; /* rounding mode; of an atomic, aq * 2 + rl */
    int64_t imm;
    uint32_t word; /* 16 bits when len is 2 */
};

/* ---- Any thread --------------------------------------------------------------- */

extern const struct rv_row rv_rows[RV_OP_COUNT];
extern const struct rv_format rv_formats[];

/* 4 when the parcel begins a long instruction, else 2. Encodings of more than 32
 * bits are all reserved; they count as 4. */
static inline unsigned rv_len_bytes(uint16_t parcel)
{
    return (parcel & 3) == 3 ? 4 : 2;
}

/* The fixed bits of a row, and their values. */
uint32_t rv_row_mask(enum rv_op row);
uint32_t rv_row_match(enum rv_op row);
static inline bool rv_row_is_compressed(enum rv_op row)
{
    return row >= RV_OP_COMPRESSED;
}

/* The operands that the pieces of format f find in word. */
void rv_operands(const struct rv_format *f, uint32_t word, int64_t field[RV_FIELD_COUNT]);

/* Always fills *i; i->op is RV_OP_reserved when no row matches. Which extensions are
 * enabled is not asked. The upper half of the word is ignored when it is short. */
void rv_decode(uint32_t word, struct rv_insn *i);

/* The word of i->row with i's operands. False when they do not fit. */
bool rv_encode(const struct rv_insn *i, uint32_t *word) MUST_CHECK;
