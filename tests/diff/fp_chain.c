#include "tests/diff/fp_chain.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/fp_operands.h"

enum { N_F = 4, N_X = 2, MAX_INSNS = 5, CODE_BYTES = 128, CAUSE_ECALL_U = 8 };
/* A chain has f1 to f4 and x5, x6; flags and addresses are elsewhere. */
enum { F_FIRST = 1, X_FIRST = 5, X_FLAGS = 7, X_IN = 10, X_OUT = 11, X_END = 12 };

/* In memory before a run and after it. What comes in as flags is fcsr, what comes out fflags. */
struct record {
    uint64_t f[N_F], x[N_X], flags;
};

struct chain {
    unsigned n;
    struct rv_insn insn[MAX_INSNS];
    const struct fp_rule *rule[MAX_INSNS]; /* NULL: addi, or a csrrs that reads fflags */
    bool flw[N_F];                         /* loaded as a single, known to be boxed */
    unsigned frm, frm_before;              /* the chain's own, and what the run begins with */
};

/* ---- Making ---------------------------------------------------------------------------------- */

static uint8_t float_source(struct fp_operands *o, const struct chain *c)
{
    if (c->n > 0 && fp_operands_below(o, 5) < 3) {
        const struct fp_rule *last = c->rule[c->n - 1];

        if (last && fp_type_is_float(last->result))
            return c->insn[c->n - 1].rd;
    }
    return (uint8_t)(F_FIRST + fp_operands_below(o, N_F));
}

static uint8_t int_register(struct fp_operands *o)
{
    if (fp_operands_below(o, 7) == 0)
        return 0;
    return (uint8_t)(X_FIRST + fp_operands_below(o, N_X));
}

static void add_integer_insn(struct fp_operands *o, struct chain *c)
{
    struct rv_insn *i = &c->insn[c->n];

    c->rule[c->n++] = NULL;
    i->rd = int_register(o);
    if (fp_operands_below(o, 2)) {
        i->row = RV_OP_csrrs;
        i->imm = FP_CSR_FFLAGS;
    } else {
        i->row = RV_OP_addi;
        i->imm = (int64_t)(fp_operands_random(o) & 0xfff) - 0x800;
    }
}

/* Half of the time of the type that the last one had, so that results become operands. */
static const struct fp_rule *pick_rule(struct fp_operands *o, const struct chain *c)
{
    const struct fp_rule *last = c->n ? c->rule[c->n - 1] : NULL, *rule;

    do
        rule = &fp_rules[fp_operands_below(o, fp_n_rules)];
    while (last && fp_operands_below(o, 2) && rule->operands[0] != last->result);
    return rule;
}

static void add_rule(struct fp_operands *o, struct chain *c)
{
    struct rv_insn *i = &c->insn[c->n];
    const struct fp_rule *rule = pick_rule(o, c);
    const unsigned arity = fp_rule_arity(rule);
    const bool from_float = fp_type_is_float(rule->operands[0]);

    i->row = (uint16_t)fp_row_of(rule);
    i->rs1 = from_float ? float_source(o, c) : int_register(o);
    i->rs2 = arity > 1 ? float_source(o, c) : 0;
    i->rs3 = arity > 2 ? float_source(o, c) : 0;
    i->rd = fp_type_is_float(rule->result) ? (uint8_t)(F_FIRST + fp_operands_below(o, N_F))
                                           : int_register(o);
    if (rule->rounds)
        i->rm = (uint8_t)(fp_operands_below(o, 2) ? FP_DYN : fp_operands_below(o, FP_N_MODES));
    c->rule[c->n++] = rule;
}

static void make(struct fp_operands *o, struct chain *c)
{
    const unsigned n = 2 + fp_operands_below(o, MAX_INSNS - 2);

    memset(c, 0, sizeof(*c));
    c->frm = fp_operands_below(o, FP_N_MODES);
    c->frm_before = fp_operands_below(o, 2) ? c->frm : fp_operands_below(o, 8);
    for (unsigned k = 0; k < N_F; k++)
        c->flw[k] = fp_operands_below(o, 3) == 0;
    while (c->n < n) {
        if (fp_operands_below(o, 8) == 0)
            add_integer_insn(o, c);
        else
            add_rule(o, c);
    }
}

/* The first instruction's operands are chosen for it, those of the others are any. */
static void draw(struct fp_operands *o, const struct chain *c, struct record *r)
{
    uint64_t v[3];

    for (unsigned k = 0; k < N_F; k++)
        r->f[k] = fp_operand(o, fp_operands_below(o, 2) ? 's' : 'd');
    for (unsigned k = 0; k < N_X; k++)
        r->x[k] = fp_operand(o, 'l');
    r->flags = c->frm << 5 | (fp_operands_below(o, 2) ? fp_operands_random(o) & 31 : 0);
    if (!c->rule[0] || !fp_type_is_float(c->rule[0]->operands[0]))
        return;
    fp_operands_draw(o, c->rule[0], v);
    const uint8_t source[3] = {c->insn[0].rs1, c->insn[0].rs2, c->insn[0].rs3};

    for (unsigned k = fp_rule_arity(c->rule[0]); k-- > 0;)
        r->f[source[k] - F_FIRST] = v[k];
}

/* ---- What should come out ---------------------------------------------------------------------
 */

static uint64_t read_x(const struct record *r, uint8_t n)
{
    return n == 0 ? 0 : r->x[n - X_FIRST];
}

static void write_x(struct record *r, uint8_t n, uint64_t value)
{
    if (n != 0)
        r->x[n - X_FIRST] = value;
}

static void by_rule(const struct chain *c, unsigned k, struct record *r)
{
    const struct rv_insn *i = &c->insn[k];
    const struct fp_rule *rule = c->rule[k];
    const uint8_t source[3] = {i->rs1, i->rs2, i->rs3};
    uint64_t v[3] = {0, 0, 0};
    unsigned raised = 0;

    for (unsigned n = 0; n < fp_rule_arity(rule); n++)
        v[n] =
            fp_type_is_float(rule->operands[n]) ? r->f[source[n] - F_FIRST] : read_x(r, source[n]);
    uint64_t result = fp_rule_apply(rule, v, i->rm == FP_DYN ? c->frm : i->rm, &raised);

    r->flags |= raised;
    if (fp_type_is_float(rule->result))
        r->f[i->rd - F_FIRST] = result;
    else
        write_x(r, i->rd, result);
}

static void by_rules(const struct chain *c, struct record *r)
{
    r->flags &= 31;
    for (unsigned k = 0; k < N_F; k++)
        if (c->flw[k])
            r->f[k] |= UINT64_C(0xffffffff00000000);
    for (unsigned k = 0; k < c->n; k++) {
        const struct rv_insn *i = &c->insn[k];

        if (c->rule[k])
            by_rule(c, k, r);
        else
            write_x(r, i->rd, i->row == RV_OP_addi ? (uint64_t)i->imm : r->flags);
    }
}

/* ---- The guest ---------------------------------------------------------------------------------
 */

static uint32_t place(struct fp_guest *g, const struct chain *c)
{
    struct fp_asm a = fp_guest_spare(g, CODE_BYTES);
    const uint32_t begin = a.at;

    fp_asm_op(&a, RV_OP_ld, X_FLAGS, X_IN, 0, offsetof(struct record, flags));
    fp_asm_op(&a, RV_OP_csrrw, 0, X_FLAGS, 0,
              c->frm == c->frm_before ? FP_CSR_FFLAGS : FP_CSR_FCSR);
    for (unsigned k = 0; k < N_F; k++)
        fp_asm_op(&a, c->flw[k] ? RV_OP_flw : RV_OP_fld, F_FIRST + k, X_IN, 0, 8 * (int64_t)k);
    for (unsigned k = 0; k < N_X; k++)
        fp_asm_op(&a, RV_OP_ld, X_FIRST + k, X_IN, 0,
                  (int64_t)(offsetof(struct record, x) + 8 * k));
    for (unsigned k = 0; k < c->n; k++)
        fp_asm_word(&a, fp_encode(&c->insn[k]));
    fp_asm_op(&a, RV_OP_csrrs, X_FLAGS, 0, 0, FP_CSR_FFLAGS);
    for (unsigned k = 0; k < N_F; k++)
        fp_asm_op(&a, RV_OP_fsd, 0, X_OUT, F_FIRST + k, 8 * (int64_t)k);
    for (unsigned k = 0; k < N_X + 1; k++) /* X_FLAGS is the next register, flags the next word */
        fp_asm_op(&a, RV_OP_sd, 0, X_OUT, X_FIRST + k,
                  (int64_t)(offsetof(struct record, x) + 8 * k));
    fp_asm_op(&a, RV_OP_addi, X_IN, X_IN, 0, sizeof(struct record));
    fp_asm_op(&a, RV_OP_addi, X_OUT, X_OUT, 0, sizeof(struct record));
    fp_asm_op(&a, RV_OP_bltu, 0, X_IN, X_END, (int64_t)begin - a.at);
    fp_asm_word(&a, FP_ECALL_WORD);
    return begin;
}

static bool run(struct fp_guest *g, const struct chain *c, const struct record *in,
                struct record *out)
{
    uint8_t *ram = rv_machine_ram(g->machine);
    struct rv_regs from = {.pc = FP_RAM + place(g, c), .fcsr = c->frm_before << 5};
    struct rv_end end;

    from.x[X_IN] = FP_RAM + FP_DATA;
    from.x[X_OUT] = FP_RAM + FP_RESULTS;
    from.x[X_END] = from.x[X_IN] + FP_CHAIN_CASES * sizeof(*in);
    memcpy(ram + FP_DATA, in, FP_CHAIN_CASES * sizeof(*in));
    rv_machine_run(g->machine, &from, RV_U, 0, &end);
    memcpy(out, ram + FP_RESULTS, FP_CHAIN_CASES * sizeof(*out));
    if (end.trapped && end.cause == CAUSE_ECALL_U)
        return true;
    printf("the chain ends at %" PRIx64 " with cause %" PRIu64 "\n", end.regs.pc, end.cause);
    return false;
}

/* ---- Comparing ----------------------------------------------------------------------------------
 */

static void print_word(const char *name, uint64_t before, uint64_t is, uint64_t want)
{
    printf("  %c %-12s before %016" PRIx64 "  rules %016" PRIx64 "  guest %016" PRIx64 "\n",
           is == want ? ' ' : '*', name, before, want, is);
}

static void print_chain(const struct fp_guest *g, const struct chain *c, uint64_t seed)
{
    char text[80];

    printf("DIFFERENCE in a chain, frm %u:\n", c->frm);
    for (unsigned k = 0; k < c->n; k++) {
        rv_disasm(fp_encode(&c->insn[k]), 0, text, sizeof(text));
        printf("    %08x  %s\n", fp_encode(&c->insn[k]), text);
    }
    printf("  again: fp_diff --engine %s --chain 0x%" PRIx64 "\n", g->engine, seed);
}

static void print_record(const struct chain *c, const struct record *in, const struct record *want,
                         const struct record *is)
{
    char name[24];

    for (unsigned k = 0; k < N_F; k++) {
        snprintf(name, sizeof(name), "f%u%s", F_FIRST + k, c->flw[k] ? " by flw" : "");
        print_word(name, in->f[k], is->f[k], want->f[k]);
    }
    for (unsigned k = 0; k < N_X; k++) {
        snprintf(name, sizeof(name), "x%u", X_FIRST + k);
        print_word(name, in->x[k], is->x[k], want->x[k]);
    }
    print_word("fcsr, fflags", in->flags, is->flags, want->flags);
}

bool fp_chain_check(struct fp_guest *g, uint64_t seed)
{
    static struct record in[FP_CHAIN_CASES], out[FP_CHAIN_CASES];
    struct fp_operands o;
    struct chain c;

    fp_operands_init(&o, seed);
    make(&o, &c);
    for (unsigned k = 0; k < FP_CHAIN_CASES; k++)
        draw(&o, &c, &in[k]);
    if (!run(g, &c, in, out)) {
        print_chain(g, &c, seed);
        return false;
    }
    for (unsigned k = 0; k < FP_CHAIN_CASES; k++) {
        struct record want = in[k];

        by_rules(&c, &want);
        if (memcmp(&want, &out[k], sizeof(want)) != 0) {
            print_chain(g, &c, seed);
            print_record(&c, &in[k], &want, &out[k]);
            return false;
        }
    }
    return true;
}
