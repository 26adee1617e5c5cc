/* Every instruction of F and D against tests/lib/fp_rules.h, bit for bit: the register that is
 * written, and fflags.
 *
 *     fp_diff [--seed S] [--count CASES] [--engine ir|interp|jit|all] [--op NAME] [--stress-regs
 * SEED] fp_diff --op NAME --case A,B,C,RM [--engine ...]       one case, printed fp_diff --chain
 * SEED [--engine interp|jit]             one chain again (fp_chain.h)
 *
 * `ir` are the functions that give the intermediate code its meaning, the others run the
 * instruction in a guest. --count is for each engine: 7/8 of it is spread over the instructions,
 * their five rounding modes, and rm in the instruction or in frm; the rest are chains. RM is rne,
 * rtz, rdn, rup, rmm for the instruction's own field, dyn-rne and so on for frm. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dbt/base/check.h"
#include "tests/diff/fp_chain.h"
#include "tests/diff/fp_illegal.h"
#include "tests/diff/fp_ir.h"
#include "tests/lib/fp_operands.h"

enum { N_WAYS = 2 * FP_N_MODES, MAX_GUESTS = 2, MAX_PRINTED = 20, FRM_STATIC = 8 };

static const char *const mode_names[FP_N_MODES] = {"rne", "rtz", "rdn", "rup", "rmm"};

struct diff {
    struct fp_guest guest[MAX_GUESTS];
    unsigned n_guests;
    bool ir;
    uint64_t passed, failed, printed; /* rows: an instruction in a mode by an engine */
    uint64_t n_cases;
    struct fp_operands operands;
};

/* An instruction with a rounding mode, in its rm field or through frm. */
struct row {
    const struct fp_rule *rule;
    unsigned mode;
    bool dynamic;
};

struct batch {
    struct fp_case in[FP_BATCH];
    struct fp_outcome want[FP_BATCH], is[FP_BATCH];
    unsigned n;
};

/* ---- Reports ----------------------------------------------------------------------------------
 */

/* fadd.s of fadd_s. */
static const char *mnemonic(const struct fp_rule *rule, char text[24])
{
    snprintf(text, 24, "%s", rule->name);
    for (char *c = text; *c; c++)
        if (*c == '_')
            *c = '.';
    return text;
}

static void print_flags(const char *who, const struct fp_outcome *o)
{
    printf("%s %016" PRIx64 " %s%s%s%s%s%s", who, o->value, o->flags & FP_NV ? " NV" : "",
           o->flags & FP_DZ ? " DZ" : "", o->flags & FP_OF ? " OF" : "",
           o->flags & FP_UF ? " UF" : "", o->flags & FP_NX ? " NX" : "",
           o->flags ? "" : " no flags");
}

static void print_case(const struct row *row, const struct fp_case *c,
                       const struct fp_outcome *want)
{
    char name[24];

    printf("%s %s%s ", mnemonic(row->rule, name), row->dynamic ? "dyn-" : "",
           mode_names[row->mode]);
    for (unsigned k = 0; row->rule->operands[k]; k++)
        printf(" %016" PRIx64, c->v[k]);
    print_flags("\n    rules", want);
}

static void print_difference(const struct row *row, const char *engine, const struct fp_case *c,
                             const struct fp_outcome *want, const struct fp_outcome *is)
{
    char name[24];

    printf("DIFFERENCE in %s: ", engine);
    print_case(row, c, want);
    print_flags("\n    is   ", is);
    printf("\n    again: fp_diff --engine %s --op %s --case 0x%" PRIx64 ",0x%" PRIx64 ",0x%" PRIx64
           ",%s%s\n",
           engine, mnemonic(row->rule, name), c->v[0], c->v[1], c->v[2], row->dynamic ? "dyn-" : "",
           mode_names[row->mode]);
}

/* Compares what came out; false and a report of the first difference. */
static bool compare(struct diff *d, const struct row *row, const char *engine,
                    const struct batch *b)
{
    d->n_cases += b->n;
    for (unsigned k = 0; k < b->n; k++) {
        if (memcmp(&b->is[k], &b->want[k], sizeof(b->is[k])) == 0)
            continue;
        if (d->printed++ < MAX_PRINTED)
            print_difference(row, engine, &b->in[k], &b->want[k], &b->is[k]);
        return false;
    }
    return true;
}

/* ---- Rows -------------------------------------------------------------------------------------
 */

/* rm field and frm. An instruction that has its mode does not look at frm, so frm is anything,
 * the reserved values included. */
static void fields_of(struct diff *d, const struct row *row, unsigned *field, unsigned *frm)
{
    *field = !row->rule->rounds ? 0 : row->dynamic ? FP_DYN : row->mode;
    *frm = row->dynamic ? row->mode : fp_operands_below(&d->operands, FRM_STATIC);
}

static void run_rules(const struct row *row, struct batch *b)
{
    for (unsigned k = 0; k < b->n; k++) {
        unsigned flags = 0;

        b->want[k].value = fp_rule_apply(row->rule, b->in[k].v, row->mode, &flags);
        b->want[k].flags = flags;
    }
}

static bool run_ir(struct diff *d, const struct row *row, struct batch *b)
{
    const struct fp_meaning *m = fp_ir_find(row->rule);
    unsigned field, frm;

    if (!m)
        return true;
    fields_of(d, row, &field, &frm);
    for (unsigned k = 0; k < b->n; k++) {
        unsigned flags = 0;

        b->is[k].value = fp_ir_apply(m, row->rule, b->in[k].v, field, frm, &flags);
        b->is[k].flags = flags;
    }
    return compare(d, row, "ir", b);
}

static bool run_guest(struct diff *d, struct fp_guest *g, const struct row *row, struct batch *b)
{
    unsigned field, frm;
    struct rv_end end;
    char name[24];

    fields_of(d, row, &field, &frm);
    if (fp_guest_run(g, row->rule, field, frm, b->in, b->n, b->is, &end))
        return compare(d, row, g->engine, b);
    printf("%s: %s, rm %u, frm %u: the guest stopped with cause %" PRIu64 ", tval %" PRIx64 "\n",
           g->engine, mnemonic(row->rule, name), field, frm, end.cause, end.tval);
    return false;
}

/* failed[0] is the IR's, the others are the guests'. */
static void run_batch(struct diff *d, const struct row *row, struct batch *b,
                      bool failed[MAX_GUESTS + 1])
{
    run_rules(row, b);
    if (d->ir && !failed[0])
        failed[0] = !run_ir(d, row, b);
    for (unsigned k = 0; k < d->n_guests; k++)
        if (!failed[k + 1])
            failed[k + 1] = !run_guest(d, &d->guest[k], row, b);
}

static void count_row(struct diff *d, const struct row *row, const bool failed[MAX_GUESTS + 1])
{
    if (d->ir && fp_ir_find(row->rule)) {
        d->passed += !failed[0];
        d->failed += failed[0];
    }
    for (unsigned k = 0; k < d->n_guests; k++) {
        d->passed += !failed[k + 1];
        d->failed += failed[k + 1];
    }
}

static void run_row(struct diff *d, const struct row *row, uint64_t count)
{
    static struct batch b;
    bool failed[MAX_GUESTS + 1] = {false};

    for (uint64_t done = 0; done < count; done += b.n) {
        b.n = count - done < FP_BATCH ? (unsigned)(count - done) : FP_BATCH;
        for (unsigned k = 0; k < b.n; k++)
            fp_operands_draw(&d->operands, row->rule, b.in[k].v);
        run_batch(d, row, &b, failed);
    }
    count_row(d, row, failed);
}

static unsigned ways_of(const struct fp_rule *rule)
{
    return rule->rounds ? N_WAYS : 1;
}

static unsigned count_rows(const struct fp_rule *only)
{
    unsigned n = 0;

    for (unsigned k = 0; k < fp_n_rules; k++)
        if (!only || only == &fp_rules[k])
            n += ways_of(&fp_rules[k]);
    CHECK(n > 0 && "a rule is named");
    return n;
}

static void run_rows(struct diff *d, const struct fp_rule *only, uint64_t count)
{
    const uint64_t each = count / count_rows(only) + 1;

    for (unsigned k = 0; k < fp_n_rules; k++) {
        const struct fp_rule *rule = &fp_rules[k];

        for (unsigned way = 0; (!only || only == rule) && way < ways_of(rule); way++) {
            const struct row row = {rule, way % FP_N_MODES, way >= FP_N_MODES};

            run_row(d, &row, each);
        }
    }
}

/* ---- Chains, and what is illegal ---------------------------------------------------------------
 */

/* One row an engine; it ends at its first difference. */
static void run_chains(struct diff *d, struct fp_guest *g, uint64_t seed, uint64_t count)
{
    struct fp_operands seeds;
    uint64_t done = 0;
    bool same = true;

    fp_operands_init(&seeds, seed ^ 0x636861696e);
    for (; done < count && same; done += FP_CHAIN_CASES)
        same = fp_chain_check(g, fp_operands_random(&seeds));
    d->n_cases += done;
    d->passed += same;
    d->failed += !same;
}

/* ---- The command --------------------------------------------------------------------------------
 */

struct options {
    uint64_t seed, count, stress_regs;
    const char *engine;
    const struct fp_rule *op;
    const char *one_case, *chain;
};

static void usage(void)
{
    fprintf(stderr,
            "usage: fp_diff [--seed S] [--count CASES] [--engine ir|interp|jit|all]\n"
            "               [--op NAME [--case A,B,C,RM]] [--chain SEED] [--stress-regs SEED]\n");
    exit(2);
}

static const struct fp_rule *rule_named(const char *text)
{
    char name[24];
    const struct fp_rule *rule;

    snprintf(name, sizeof(name), "%s", text);
    for (char *c = name; *c; c++)
        if (*c == '.')
            *c = '_';
    rule = fp_rule_find(name);
    if (!rule)
        usage();
    return rule;
}

static void parse(struct options *o, int argc, char **argv)
{
    for (int k = 1; k < argc; k += 2) {
        const char *v = k + 1 < argc ? argv[k + 1] : NULL;

        if (!v)
            usage();
        if (strcmp(argv[k], "--seed") == 0)
            o->seed = strtoull(v, NULL, 0);
        else if (strcmp(argv[k], "--count") == 0)
            o->count = strtoull(v, NULL, 0);
        else if (strcmp(argv[k], "--stress-regs") == 0)
            o->stress_regs = strtoull(v, NULL, 0);
        else if (strcmp(argv[k], "--engine") == 0)
            o->engine = v;
        else if (strcmp(argv[k], "--op") == 0)
            o->op = rule_named(v);
        else if (strcmp(argv[k], "--case") == 0)
            o->one_case = v;
        else if (strcmp(argv[k], "--chain") == 0)
            o->chain = v;
        else
            usage();
    }
    if (o->one_case && !o->op)
        usage();
}

static void add_guest(struct diff *d, enum engine engine, const char *name, uint64_t stress_regs)
{
    struct err e;

    if (!fp_guest_init(&d->guest[d->n_guests++], engine, name, stress_regs, &e)) {
        fprintf(stderr, "fp_diff: %s\n", e.text);
        exit(2);
    }
}

static void open_engines(struct diff *d, const struct options *o)
{
    const char *name = o->engine;
    const bool all = strcmp(name, "all") == 0;

    d->ir = all || strcmp(name, "ir") == 0;
    if (all || strcmp(name, "interp") == 0)
        add_guest(d, ENGINE_INTERP, "interp", 0);
    if (all || strcmp(name, "jit") == 0)
        add_guest(d, ENGINE_JIT, "jit", o->stress_regs);
    if (!d->ir && d->n_guests == 0)
        usage();
}

static void run_case(struct diff *d, const struct fp_rule *rule, const char *text)
{
    static struct batch b = {.n = 1};
    struct row row = {.rule = rule, .mode = FP_N_MODES};
    bool failed[MAX_GUESTS + 1] = {false};
    char *end;

    for (unsigned k = 0; k < 3; k++) {
        b.in[0].v[k] = strtoull(text, &end, 0);
        if (*end != ',')
            usage();
        text = end + 1;
    }
    row.dynamic = strncmp(text, "dyn-", 4) == 0;
    for (unsigned m = 0; m < FP_N_MODES; m++)
        if (strcmp(text + (row.dynamic ? 4 : 0), mode_names[m]) == 0)
            row.mode = m;
    if (row.mode == FP_N_MODES)
        usage();
    run_batch(d, &row, &b, failed);
    count_row(d, &row, failed);
    print_case(&row, &b.in[0], &b.want[0]);
    printf("\n");
}

static void run_all(struct diff *d, const struct options *o)
{
    if (o->op) {
        run_rows(d, o->op, o->count);
        return;
    }
    run_rows(d, NULL, o->count - o->count / 8);
    for (unsigned k = 0; k < d->n_guests; k++) {
        run_chains(d, &d->guest[k], o->seed, o->count / 8);
        fp_illegal_check(&d->guest[k], &d->passed, &d->failed);
    }
}

int main(int argc, char **argv)
{
    static struct diff d;
    struct options o = {.seed = 1, .count = 1000000, .engine = "all"};
    struct timespec begin, end;

    parse(&o, argc, argv);
    open_engines(&d, &o);
    fp_operands_init(&d.operands, o.seed);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (o.chain) {
        for (unsigned k = 0; k < d.n_guests; k++)
            d.failed += !fp_chain_check(&d.guest[k], strtoull(o.chain, NULL, 0));
        d.passed = d.n_guests - d.failed;
    } else if (o.one_case) {
        run_case(&d, o.op, o.one_case);
    } else {
        run_all(&d, &o);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds =
        (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;

    if (d.n_cases > 0)
        printf("%" PRIu64 " cases from seed %" PRIu64 " in %.1f s, %.0f a second\n", d.n_cases,
               o.seed, seconds, (double)d.n_cases / seconds);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", d.passed, d.failed);
    for (unsigned k = 0; k < d.n_guests; k++)
        fp_guest_fini(&d.guest[k]);
    return d.failed != 0;
}
