/* Operands to text, spelled as binutils does with -M no-aliases: what a row's name and
 * its format's syntax say. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "dbt/base/bits.h"
#include "frontend/riscv/rv_decode.h"

static const char *const int_names[32] = {
    "zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
    "a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
    "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
};

static const char *const fp_names[32] = {
    "ft0", "ft1", "ft2", "ft3", "ft4",  "ft5",  "ft6", "ft7", "fs0",  "fs1",  "fa0",
    "fa1", "fa2", "fa3", "fa4", "fa5",  "fa6",  "fa7", "fs2", "fs3",  "fs4",  "fs5",
    "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
};

static const char *const rounding_names[8] = {
    "rne", "rtz", "rdn", "rup", "rmm", "unknown", "unknown", "dyn",
};

/* Text that is cut where the caller's room ends. */
struct text {
    char *at;
    size_t len, used;
};

static void put(struct text *x, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *x, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(x->at + x->used, x->len - x->used, format, args);
    va_end(args);
    if (n > 0)
        x->used += (size_t)n < x->len - x->used ? (size_t)n : x->len - x->used - 1;
}

static void put_csr(struct text *x, unsigned number)
{
    static const struct {
        uint16_t number, count, first;
        const char *name;
    } rows[] = {
#define CSR(number, count, name, first, exists, reads, writes) {number, count, first, #name},
#include "frontend/riscv/rv_csr.def"
#undef CSR
    };

    for (unsigned k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
        unsigned n = number - rows[k].number;

        if (number < rows[k].number || n >= rows[k].count)
            continue;
        put(x, "%s", rows[k].name);
        if (rows[k].count > 1)
            put(x, "%u", rows[k].first + n);
        return;
    }
    put(x, "0x%x", number);
}

static void put_fence_set(struct text *x, unsigned set)
{
    if (set == 0)
        put(x, "unknown");
    for (unsigned k = 0; k < 4; k++) {
        if (set & (8u >> k))
            put(x, "%c", "iorw"[k]);
    }
}

/* One letter of a syntax, see rv_format.def. */
static void put_operand(struct text *x, char letter, const struct rv_insn *i, uint64_t pc)
{
    /* clang-format off */
    switch (letter) {
    case 'd': put(x, "%s", int_names[i->rd]); break;
    case 's': put(x, "%s", int_names[i->rs1]); break;
    case 't': put(x, "%s", int_names[i->rs2]); break;
    case 'D': put(x, "%s", fp_names[i->rd]); break;
    case 'S': put(x, "%s", fp_names[i->rs1]); break;
    case 'T': put(x, "%s", fp_names[i->rs2]); break;
    case 'R': put(x, "%s", fp_names[i->rs3]); break;
    case 'i': put(x, "%" PRId64, i->imm); break;
    case 'x': put(x, "0x%" PRIx64, (uint64_t)i->imm); break;
    case 'u': put(x, "0x%" PRIx64, bits_get((uint64_t)i->imm, 12, 20)); break;
    case 'p': put(x, "0x%" PRIx64, pc + (uint64_t)i->imm); break;
    case 'c': put_csr(x, (unsigned)i->imm); break;
    case 'z': put(x, "%u", i->rs1); break;
    case 'm':
        if (i->rm != IR_RM_DYN)
            put(x, ",%s", rounding_names[i->rm & 7]);
        break;
    case 'M':
        if (i->rm != 0)
            put(x, ",%s", rounding_names[i->rm & 7]);
        break;
    case 'f':
        put_fence_set(x, (unsigned)bits_get((uint64_t)i->imm, 4, 4));
        put(x, ",");
        put_fence_set(x, (unsigned)bits_get((uint64_t)i->imm, 0, 4));
        break;
    default: put(x, "%c", letter); break;
    }
    /* clang-format on */
}

static void put_name(struct text *x, const char *name)
{
    for (; *name; name++)
        put(x, "%c", *name == '_' ? '.' : *name);
}

unsigned rv_disasm(uint32_t word, uint64_t pc, char *text, size_t len)
{
    static const char *const suffix[4] = {"", ".rl", ".aq", ".aqrl"};
    struct text x = {text, len, 0};
    const char *syntax;
    struct rv_insn i;

    CHECK(len > 0);
    rv_decode(word, &i);
    if (i.op == RV_OP_reserved) {
        put(&x, i.len == 2 ? ".half\t0x%x" : ".word\t0x%x", i.word);
        return i.len;
    }
    put_name(&x, rv_rows[i.row].name);
    syntax = rv_formats[rv_rows[i.row].format].syntax;
    if (*syntax == 'q') {
        put(&x, "%s", suffix[i.rm & 3]);
        syntax++;
    }
    if (*syntax)
        put(&x, "\t");
    for (; *syntax; syntax++)
        put_operand(&x, *syntax, &i, pc);
    return i.len;
}
