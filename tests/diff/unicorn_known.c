#include "tests/diff/unicorn_known.h"

#include <string.h>

#include "frontend/riscv/sys/sys.h"

static bool has(uint16_t op, char letter)
{
    return strchr(rv_formats[rv_rows[op].format].syntax, letter) != NULL;
}

static bool is_boxed(uint64_t f)
{
    return f >> 32 == UINT32_MAX;
}

/* Does an operand have to be a single? By the name: all ends in _s but the conversions from
 * singles' integers, and moves and stores take any bits. */
static bool wants_single(uint16_t op)
{
    size_t n = strlen(rv_rows[op].name);

    return n > 2 && strcmp(rv_rows[op].name + n - 2, "_s") == 0 && has(op, 'S');
}

static bool reads_unboxed(const struct culprit *c)
{
    const uint64_t *f = c->before.f;

    if (!wants_single(c->i.op))
        return false;
    return !is_boxed(f[c->i.rs1]) || (has(c->i.op, 'T') && !is_boxed(f[c->i.rs2])) ||
           (has(c->i.op, 'R') && !is_boxed(f[c->i.rs3]));
}

static bool is_float_minmax(uint16_t op)
{
    return op == RV_OP_fmin_s || op == RV_OP_fmax_s || op == RV_OP_fmin_d || op == RV_OP_fmax_d;
}

static bool is_signalling(uint64_t f, bool single)
{
    uint64_t inf = single ? UINT64_C(0x7f800000) : UINT64_C(0x7ff) << 52;
    uint64_t quiet = single ? UINT64_C(1) << 22 : UINT64_C(1) << 51;
    uint64_t magnitude = single ? f & 0x7fffffff : f & INT64_MAX;

    return magnitude > inf && !(magnitude & quiet);
}

static bool reads_signalling(const struct culprit *c)
{
    bool single = wants_single(c->i.op);

    return is_signalling(c->before.f[c->i.rs1], single) ||
           is_signalling(c->before.f[c->i.rs2], single);
}

static bool is_inf(uint64_t f, bool single)
{
    return single ? (f & 0x7fffffff) == 0x7f800000 : (f & INT64_MAX) == UINT64_C(0x7ff) << 52;
}

static bool is_zero(uint64_t f, bool single)
{
    return (single ? f & 0x7fffffff : f & INT64_MAX) == 0;
}

static bool multiplies_inf_by_zero(const struct culprit *c)
{
    bool single = wants_single(c->i.op);
    uint64_t a = c->before.f[c->i.rs1], b = c->before.f[c->i.rs2];

    return has(c->i.op, 'R') &&
           ((is_inf(a, single) && is_zero(b, single)) || (is_zero(a, single) && is_inf(b, single)));
}

enum unicorn_known unicorn_known(const struct culprit *c, const struct rv_end *ours,
                                 const struct unicorn_end *theirs)
{
#define KNOWN(name, clause, what, when)                                                            \
    if (when)                                                                                      \
        return UNICORN_##name;
#include "tests/diff/unicorn_known.def"
#undef KNOWN
    return UNICORN_UNKNOWN;
}

static const struct {
    const char *name, *clause, *what;
} rows[] = {
    {"unknown", "", ""},
#define KNOWN(name, clause, what, when) {#name, clause, what},
#include "tests/diff/unicorn_known.def"
#undef KNOWN
};

const char *unicorn_known_name(enum unicorn_known k)
{
    return rows[k].name;
}

const char *unicorn_known_clause(enum unicorn_known k)
{
    return rows[k].clause;
}

const char *unicorn_known_what(enum unicorn_known k)
{
    return rows[k].what;
}
