/* The rows of isa/ as constant arrays. */
#include "frontend/riscv/rv_decode.h"

enum rv_format_id {
#define RV_FORMAT(name, syntax, sign, ...) RV_FORMAT_##name,
#include "frontend/riscv/rv_format.def"
#undef RV_FORMAT
};

/* clang-format off */
#define P(field, lo, n, to) {RV_FIELD_##field, lo, n, to}
#define K(field, value) {RV_FIELD_##field, 0, 0, value}
/* clang-format on */
#define N_PIECES(...) (sizeof((struct rv_piece[]){__VA_ARGS__}) / sizeof(struct rv_piece))
const struct rv_format rv_formats[] = {
#define RV_FORMAT(name, syntax, sign, ...) {syntax, sign, N_PIECES(__VA_ARGS__), {__VA_ARGS__}},
#include "frontend/riscv/rv_format.def"
#undef RV_FORMAT
};

/* What a row may name as its extension. */
enum needs {
    NEEDS_i = 0,
#define RV_EXT(name, text, single, help) NEEDS_##name = 1 << RV_EXT_##name,
#include "frontend/riscv/isa/rv_ext.def"
#undef RV_EXT
    NEEDS_cd = NEEDS_c | NEEDS_d,
};

const struct rv_row rv_rows[RV_OP_COUNT] = {
    [RV_OP_reserved] = {"reserved", "", 0, RV_FORMAT_NONE, RV_KIND_SYS, RV_OP_reserved},
#define RV(name, format, bits, needs, kind, builder)                                               \
    [RV_OP_##name] = {#name, bits, NEEDS_##needs, RV_FORMAT_##format, RV_KIND_##kind, RV_OP_##name},
#define RVC(name, format, bits, needs, expands)                                                    \
    [RV_OP_##name] = {#name, bits, NEEDS_##needs, RV_FORMAT_##format, RV_KIND_ALU, RV_OP_##expands},
#include "frontend/riscv/isa/rv_isa.def"
#undef RV
#undef RVC
};
