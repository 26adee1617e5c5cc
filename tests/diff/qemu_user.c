/* What Unicorn does not know, or gets wrong, against qemu-riscv64: Zba, Zbb, Zbs, atomics, and
 * floating point with any operands, singles that are not boxed included. Zicond, of which QEMU 7.2
 * has not heard, against a transcription of the specification's pseudo-code.
 *
 *     qemu_user [--seed N] [--count EXECUTIONS] [--engine jit|interp|check]
 *     qemu_user --word W --operands a,b,fa0,fa1,fa2,fcsr       one execution, printed */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dbt/opt/opt.h"
#include "tests/diff/qemu_program.h"
#include "tests/lib/rv_machine.h"
#include "tests/lib/rv_random.h"
#include "tests/lib/rv_rig.h"

enum { MAX_PRINTED = 10 };

/* Where qemu-user 7.2 is wrong; README.md has the clauses. */
enum known { KNOWN_CTZW, KNOWN_COUNT };
static const char *const known_name[KNOWN_COUNT] = {
    [KNOWN_CTZW] = "ctzw of a zero word",
};

struct run {
    struct rv_machine *ours;
    const char *engine;
    char dir[64];
    uint8_t *theirs; /* image */
    uint64_t passed, failed, known[KNOWN_COUNT];
};

/* ---- Words and operands ------------------------------------------------------------------- */

static bool is_zicond(uint16_t op)
{
    return op == RV_OP_czero_eqz || op == RV_OP_czero_nez;
}

static bool qemu_knows(uint32_t word)
{
    struct rv_insn i;

    rv_decode(word, &i);
    return !is_zicond(i.op);
}

static bool is_bits(uint16_t row)
{
    const uint64_t b = UINT64_C(1) << RV_EXT_zba | UINT64_C(1) << RV_EXT_zbb |
                       UINT64_C(1) << RV_EXT_zbs | UINT64_C(1) << RV_EXT_zicond;

    return (rv_rows[row].needs & b) != 0;
}

static bool is_float(uint16_t row)
{
    uint8_t kind = rv_rows[row].kind;
    const char *syntax = rv_formats[rv_rows[row].format].syntax;

    return (kind == RV_KIND_FP || kind == RV_KIND_FP_RM || kind == RV_KIND_FP_READ) &&
           !rv_row_is_compressed(row) && !strchr(syntax, '(');
}

static uint32_t random_word(uint64_t *rng)
{
    unsigned choice = rv_random_below(rng, 16);
    struct rv_insn i;
    uint32_t word;

    for (;;) {
        uint16_t row = (uint16_t)(1 + rv_random_below(rng, RV_OP_COUNT - 1));

        if (choice < 8 ? !is_bits(row) : choice < 14 ? !is_float(row) : !qemu_is_atomic(row))
            continue;
        word = ((uint32_t)rig_random(rng) & ~rv_row_mask(row)) | rv_row_match(row);
        rv_decode(word, &i);
        if (i.row != row)
            continue;
        qemu_registers(&i, rig_random(rng));
        if (i.rm == 5 || i.rm == 6)
            i.rm = 7;
        if (rv_encode(&i, &word))
            return word;
    }
}

static void random_operands(struct qemu_operands *r, uint64_t *rng)
{
    r->a = rv_random_int(rng);
    r->b = rv_random_int(rng);
    for (unsigned k = 0; k < 3; k++)
        r->f[k] = rv_random_fp(rng);
    r->fcsr = rv_random_below(rng, 5) << 5;
    if (rv_random_below(rng, 4) == 0)
        r->fcsr |= rig_random(rng) & 31;
}

/* ---- What should come out ----------------------------------------------------------------- */

static uint64_t operand(const struct qemu_operands *r, uint8_t reg)
{
    return reg == 10 ? r->a : r->b;
}

/* Zicond, chapter "Integer Conditional Operations": condition is rs2, value is rs1. */
static void transcribe(const struct rv_insn *i, const struct qemu_operands *r,
                       struct qemu_result *want)
{
    uint64_t condition = operand(r, i->rs2), value = operand(r, i->rs1);

    want->x = (condition == 0) == (i->op == RV_OP_czero_eqz) ? 0 : value;
    want->f = r->f[0];
    want->fcsr = r->fcsr;
}

/* Puts right what QEMU got wrong. */
static void correct(struct run *run, const struct rv_insn *i, const struct qemu_operands *r,
                    struct qemu_result *want)
{
    if (i->op == RV_OP_ctzw && (uint32_t)operand(r, i->rs1) == 0 && want->x != 32) {
        want->x = 32;
        run->known[KNOWN_CTZW]++;
    }
}

static void print_difference(const struct run *run, uint32_t word, const struct qemu_operands *r,
                             const struct qemu_result *ours, const struct qemu_result *want)
{
    char text[80];

    rv_disasm(word, QEMU_BASE, text, sizeof(text));
    printf("DIFFERENCE  %08x  %s\n", word, text);
    printf("  a0 %016" PRIx64 "  a1 %016" PRIx64 "\n  fa0 %016" PRIx64 "  fa1 %016" PRIx64
           "  fa2 %016" PRIx64 "  fcsr %02" PRIx64 "\n",
           r->a, r->b, r->f[0], r->f[1], r->f[2], r->fcsr);
    printf("  %c x    ours %016" PRIx64 "  theirs %016" PRIx64 "\n", ours->x == want->x ? ' ' : '*',
           ours->x, want->x);
    printf("  %c f    ours %016" PRIx64 "  theirs %016" PRIx64 "\n", ours->f == want->f ? ' ' : '*',
           ours->f, want->f);
    printf("  %c fcsr ours %02" PRIx64 "  theirs %02" PRIx64 "\n",
           ours->fcsr == want->fcsr ? ' ' : '*', ours->fcsr, want->fcsr);
    printf("  again: qemu_user --engine %s --word 0x%08x --operands 0x%" PRIx64 ",0x%" PRIx64
           ",0x%" PRIx64 ",0x%" PRIx64 ",0x%" PRIx64 ",0x%" PRIx64 "\n\n",
           run->engine, word, r->a, r->b, r->f[0], r->f[1], r->f[2], r->fcsr);
}

/* ---- Runs --------------------------------------------------------------------------------- */

static void compare(struct run *run, const struct qemu_program *p, unsigned w, unsigned r)
{
    struct qemu_result ours = qemu_result(p, rv_machine_ram(run->ours), w, r);
    struct qemu_result want = qemu_result(p, run->theirs, w, r);
    struct rv_insn i;

    rv_decode(p->word[w], &i);
    if (is_zicond(i.op))
        transcribe(&i, &p->row[r], &want);
    else
        correct(run, &i, &p->row[r], &want);
    if (memcmp(&ours, &want, sizeof(ours)) == 0) {
        run->passed++;
        return;
    }
    if (run->failed++ < MAX_PRINTED)
        print_difference(run, p->word[w], &p->row[r], &ours, &want);
}

static bool always(uint32_t word)
{
    (void)word;
    return true;
}

static void run_program(struct run *run, const struct qemu_program *p)
{
    const struct rv_regs from = {.pc = QEMU_BASE};
    struct rv_end end;

    qemu_place(p, rv_machine_ram(run->ours), always);
    rv_machine_wrote(run->ours, QEMU_BASE, QEMU_OPERANDS);
    rv_machine_run(run->ours, &from, RV_U, 0, &end);
    qemu_place(p, run->theirs, qemu_knows);
    if (end.cause != 8 || !qemu_run(p, run->dir, run->theirs)) {
        printf("the program did not end as it should: cause %" PRIu64 " at %" PRIx64 "\n",
               end.cause, end.regs.pc);
        run->failed += p->n_words * p->n_rows;
        return;
    }
    for (unsigned r = 0; r < p->n_rows; r++)
        for (unsigned w = 0; w < p->n_words; w++)
            compare(run, p, w, r);
}

static void random_programs(struct run *run, uint64_t seed, uint64_t count)
{
    static struct qemu_program p;
    uint64_t rng = seed * UINT64_C(0x2545f4914f6cdd1d) + 7;

    while (run->passed + run->failed < count && run->failed == 0) {
        p.n_words = QEMU_MAX_WORDS;
        p.n_rows = QEMU_MAX_ROWS;
        for (unsigned w = 0; w < p.n_words; w++)
            p.word[w] = random_word(&rng);
        for (unsigned r = 0; r < p.n_rows; r++)
            random_operands(&p.row[r], &rng);
        run_program(run, &p);
    }
}

static void one_execution(struct run *run, uint32_t word, const char *operands)
{
    static struct qemu_program p = {.n_words = 1, .n_rows = 1};
    struct qemu_operands *r = &p.row[0];
    uint64_t *const to[] = {&r->a, &r->b, &r->f[0], &r->f[1], &r->f[2], &r->fcsr};
    char *end;

    p.word[0] = word;
    for (unsigned k = 0; k < 6 && *operands; k++) {
        *to[k] = strtoull(operands, &end, 0);
        operands = *end ? end + 1 : end;
    }
    run_program(run, &p);
}

static enum engine engine_of(const char *name)
{
    if (strcmp(name, "interp") == 0)
        return ENGINE_INTERP;
    return strcmp(name, "check") == 0 ? ENGINE_CHECK : ENGINE_JIT;
}

int main(int argc, char **argv)
{
    struct run run = {.engine = "jit", .dir = "/tmp/qemu_user.XXXXXX"};
    uint64_t seed = 1, count = 1000000;
    const char *word = NULL, *operands = "";
    char command[128];

    for (int k = 1; k + 1 < argc; k += 2) {
        const char *v = argv[k + 1];

        if (strcmp(argv[k], "--seed") == 0)
            seed = strtoull(v, NULL, 0);
        else if (strcmp(argv[k], "--count") == 0)
            count = strtoull(v, NULL, 0);
        else if (strcmp(argv[k], "--engine") == 0)
            run.engine = v;
        else if (strcmp(argv[k], "--word") == 0)
            word = v;
        else if (strcmp(argv[k], "--operands") == 0)
            operands = v;
    }
    const struct rv_machine_config config = {.model = "rv64gc,zba=on,zbb=on,zbs=on,zicond=on",
                                             .engine = engine_of(run.engine),
                                             .passes = OPT_ALL,
                                             .uncounted = true,
                                             .ram_gpa = QEMU_BASE,
                                             .ram_len = QEMU_BYTES};
    struct err e;

    run.ours = rv_machine_create(&config, &e);
    if (!run.ours) {
        fprintf(stderr, "qemu_user: %s\n", e.text);
        return 2;
    }
    run.theirs = malloc(QEMU_BYTES);
    if (!run.theirs || !mkdtemp(run.dir)) {
        perror(run.dir);
        return 2;
    }
    if (word)
        one_execution(&run, (uint32_t)strtoul(word, NULL, 0), operands);
    else
        random_programs(&run, seed, count);
    snprintf(command, sizeof(command), "rm -rf %s", run.dir);
    if (system(command) != 0)
        fprintf(stderr, "%s is left behind\n", run.dir);
    for (unsigned k = 0; k < KNOWN_COUNT; k++)
        printf("QEMU corrected: %s %" PRIu64 " times\n", known_name[k], run.known[k]);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", run.passed, run.failed);
    return run.failed != 0;
}
