/* Random programs in our engine and in Unicorn, whose errors oracle.c puts right as it runs:
 *
 *     unicorn_hooks [--seed N] [--count INSTRUCTIONS] [--engine jit|interp|check]
 *     unicorn_hooks --program SEED [--keep K,K,...] [--engine ...]      one program, printed
 *
 * A difference is shrunk to the instructions that it needs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/diff/oracle.h"

enum { MAX_FAILURES = 10 };

struct pair {
    struct diff_engine *ours;
    struct oracle *theirs;
};

struct run {
    struct pair mode[RV_M + 1]; /* by privilege; there is no 2 */
    const char *engine;
    uint64_t passed, failed, astray;
};

struct outcome {
    struct diff_state ours, theirs;
    bool finished, same;
    uint32_t first_byte; /* of the RAM that differs; RV_RANDOM_RAM_BYTES: none */
};

/* ---- One program -------------------------------------------------------------------------- */

static bool is_address_cause(uint64_t cause)
{
    return cause != 3; /* a breakpoint's tval is 0 or its address (privileged, 3.1.16) */
}

static bool same_state(const struct diff_state *a, const struct diff_state *b)
{
    return memcmp(a->x, b->x, sizeof(a->x)) == 0 && memcmp(a->f, b->f, sizeof(a->f)) == 0 &&
           a->fcsr == b->fcsr && a->cause == b->cause && a->epc == b->epc &&
           a->mscratch == b->mscratch && a->sscratch == b->sscratch &&
           (a->tval == b->tval || !is_address_cause(a->cause));
}

static uint32_t first_difference(const uint8_t *a, const uint8_t *b)
{
    uint32_t k = 0;

    if (memcmp(a, b, RV_RANDOM_RAM_BYTES) == 0)
        return RV_RANDOM_RAM_BYTES;
    while (a[k] == b[k])
        k++;
    return k;
}

static void run_both(struct run *r, const struct rv_program *p, struct outcome *o)
{
    struct pair *m = &r->mode[p->priv];
    uint8_t *ours = diff_engine_ram(m->ours), *theirs = oracle_ram(m->theirs);
    struct diff_state s = {.fcsr = p->fcsr};

    memcpy(s.x, p->x, sizeof(s.x));
    memcpy(s.f, p->f, sizeof(s.f));
    o->ours = o->theirs = s;
    rv_program_place(p, theirs);
    /* Also what an earlier program left, were it to store there. */
    memcpy(ours, theirs, RV_RANDOM_RAM_BYTES);
    o->same = false;
    o->finished = oracle_run(m->theirs, p, &o->theirs);
    if (!o->finished)
        return;
    diff_engine_run(m->ours, &o->ours, RV_RANDOM_BASE + p->start, p->start, p->end - p->start);
    o->first_byte = first_difference(ours, theirs);
    o->same = o->first_byte == RV_RANDOM_RAM_BYTES && same_state(&o->ours, &o->theirs);
}

/* ---- Printing ------------------------------------------------------------------------------ */

static void print_value(const char *name, unsigned n, uint64_t before, uint64_t a, uint64_t b,
                        bool all)
{
    if (!all && a == b && a == before)
        return;
    printf("  %c %s%-3u before %016" PRIx64 "  ours %016" PRIx64 "  theirs %016" PRIx64 "\n",
           a == b ? ' ' : '*', name, n, before, a, b);
}

static void print_word(const char *name, uint64_t a, uint64_t b)
{
    printf("  %c %-8s ours %016" PRIx64 "  theirs %016" PRIx64 "\n", a == b ? ' ' : '*', name, a,
           b);
}

static void print_program(const struct rv_program *p, const bool *kept)
{
    char text[80];

    for (unsigned k = 0; k < p->n; k++) {
        if (!kept[k])
            continue;
        rv_disasm(p->word[k], RV_RANDOM_BASE + p->offset[k], text, sizeof(text));
        printf("  %3u  %" PRIx64 ":  %0*x%*s  %s\n", k, RV_RANDOM_BASE + p->offset[k],
               p->len[k] * 2, p->word[k], 8 - p->len[k] * 2, "", text);
    }
}

static void print_outcome(struct run *r, const struct rv_program *p, const struct outcome *o)
{
    const struct diff_state *a = &o->ours, *b = &o->theirs;

    if (!o->finished) {
        printf("  left or changed its own instructions\n");
        return;
    }
    for (unsigned k = 1; k < 32; k++)
        print_value("x", k, p->x[k], a->x[k], b->x[k], false);
    for (unsigned k = 0; k < 32; k++)
        print_value("f", k, p->f[k], a->f[k], b->f[k], false);
    print_value("fcsr", 0, p->fcsr, a->fcsr, b->fcsr, true);
    print_word("cause", a->cause, b->cause);
    print_word("epc", a->epc, b->epc);
    print_word("tval", a->tval, b->tval);
    print_word("mscratch", a->mscratch, b->mscratch);
    print_word("sscratch", a->sscratch, b->sscratch);
    if (o->first_byte < RV_RANDOM_RAM_BYTES) {
        struct pair *m = &r->mode[p->priv];
        uint32_t at = o->first_byte & ~7u;
        uint64_t va, vb;

        memcpy(&va, diff_engine_ram(m->ours) + at, 8);
        memcpy(&vb, oracle_ram(m->theirs) + at, 8);
        printf("  * memory at %" PRIx64 ", the first of it: ours %016" PRIx64 "  theirs %016" PRIx64
               "\n",
               RV_RANDOM_BASE + at, va, vb);
    }
}

/* ---- Failures ------------------------------------------------------------------------------- */

/* Drops what the difference does not need; kept says what is left. */
static void shrink(struct run *r, struct rv_program *p, bool *kept)
{
    bool again = true;

    while (again) {
        again = false;
        for (unsigned k = 0; k + 1 < p->n; k++) {
            struct rv_program less = *p;
            struct outcome o;

            if (!kept[k])
                continue;
            rv_program_drop(&less, k);
            run_both(r, &less, &o);
            if (!o.finished || o.same)
                continue;
            *p = less;
            kept[k] = false;
            again = true;
        }
    }
}

static void report(struct run *r, struct rv_program *p)
{
    bool kept[RV_RANDOM_MAX];
    struct outcome o;
    const char *comma = "";

    memset(kept, 1, sizeof(kept));
    run_both(r, p, &o);
    shrink(r, p, kept);
    run_both(r, p, &o);
    printf("DIFFERENCE in program %" PRIu64 " (%s), the rest of it is nops:\n", p->seed,
           (const char *[]){"U", "S", "", "M"}[p->priv]);
    print_program(p, kept);
    print_outcome(r, p, &o);
    printf("  again: unicorn_hooks --engine %s --program %" PRIu64 " --keep ", r->engine, p->seed);
    for (unsigned k = 0; k < p->n; k++)
        if (kept[k]) {
            printf("%s%u", comma, k);
            comma = ",";
        }
    printf("\n\n");
    fflush(stdout);
}

/* ---- The command ------------------------------------------------------------------------------
 */

static void keep_only(struct rv_program *p, bool *kept, const char *list)
{
    memset(kept, list == NULL, RV_RANDOM_MAX);
    kept[p->n - 1] = true;
    while (list && *list) {
        char *end;
        unsigned long k = strtoul(list, &end, 10);

        if (k < p->n)
            kept[k] = true;
        list = *end == ',' ? end + 1 : "";
    }
    for (unsigned k = 0; k < p->n; k++)
        if (!kept[k])
            rv_program_drop(p, k);
}

static void one_program(struct run *r, uint64_t seed, const char *list)
{
    struct rv_program p;
    struct outcome o;
    bool kept[RV_RANDOM_MAX];

    rv_random_program(&p, seed, 0);
    keep_only(&p, kept, list);
    run_both(r, &p, &o);
    print_program(&p, kept);
    print_outcome(r, &p, &o);
    r->astray += !o.finished;
    r->passed += o.same;
    r->failed += o.finished && !o.same;
}

static uint64_t executed(const struct run *r)
{
    return oracle_steps(r->mode[RV_U].theirs) + oracle_steps(r->mode[RV_S].theirs) +
           oracle_steps(r->mode[RV_M].theirs);
}

static void many_programs(struct run *r, uint64_t seed, uint64_t count)
{
    for (uint64_t k = 0; executed(r) < count && r->failed < MAX_FAILURES; k++) {
        struct rv_program p;
        struct outcome o;

        rv_random_program(&p, seed << 32 | k, 0);
        run_both(r, &p, &o);
        r->passed += o.same;
        r->astray += !o.finished;
        if (o.same || !o.finished)
            continue;
        r->failed++;
        report(r, &p);
    }
}

static void print_corrections(const struct run *r)
{
    for (unsigned k = 0; k < ORACLE_N_ERRORS; k++)
        printf("Unicorn corrected: %-34s %" PRIu64 " times\n", oracle_error_name[k],
               oracle_errors(r->mode[RV_U].theirs)[k] + oracle_errors(r->mode[RV_S].theirs)[k] +
                   oracle_errors(r->mode[RV_M].theirs)[k]);
}

static enum engine engine_of(const char *name)
{
    if (strcmp(name, "interp") == 0)
        return ENGINE_INTERP;
    return strcmp(name, "check") == 0 ? ENGINE_CHECK : ENGINE_JIT;
}

int main(int argc, char **argv)
{
    struct run r = {.engine = "jit"};
    uint64_t seed = 1, count = 1000000, program = 0;
    const char *keep = NULL;
    bool one = false;

    for (int k = 1; k + 1 < argc; k += 2) {
        const char *v = argv[k + 1];

        if (strcmp(argv[k], "--seed") == 0)
            seed = strtoull(v, NULL, 0);
        else if (strcmp(argv[k], "--count") == 0)
            count = strtoull(v, NULL, 0);
        else if (strcmp(argv[k], "--engine") == 0)
            r.engine = v;
        else if (strcmp(argv[k], "--keep") == 0)
            keep = v;
        else if (strcmp(argv[k], "--program") == 0)
            one = true, program = strtoull(v, NULL, 0);
    }
    for (enum rv_priv m = RV_U; m <= RV_M; m++) {
        if (m != RV_U && m != RV_S && m != RV_M)
            continue;
        r.mode[m].ours = diff_engine_create(engine_of(r.engine), "rv64gc", m, RV_RANDOM_BASE,
                                            RV_RANDOM_RAM_BYTES);
        r.mode[m].theirs = oracle_create(m);
    }
    if (one)
        one_program(&r, program, keep);
    else
        many_programs(&r, seed, count);
    printf("%" PRIu64 " instructions executed in %" PRIu64 " programs, engine %s, seed %" PRIu64
           "\n",
           executed(&r), r.passed + r.failed, r.engine, seed);
    printf("%" PRIu64 " programs left or changed their own code and were not compared\n", r.astray);
    print_corrections(&r);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", r.passed, r.failed);
    return r.failed != 0;
}
