/* Random programs of RV64GC in our engine and in Unicorn, to the same end:
 *
 *     unicorn_diff [--seed S] [--count INSTRUCTIONS] [--engine jit|interp|check] [--opt LIST]
 *                  [--stress LIST]           as dbt-run's: regs, cache, table, links, irq, seed=N
 *     unicorn_diff --case SEED:START --words HEX,HEX,...     one program again
 *     unicorn_diff --compressed [--seed S]     every 16-bit word that is no jump
 *     unicorn_diff --known                                   where Unicorn is wrong
 *
 * Registers, fcsr, memory, and the trap that ends the program (cause, epc, tval) are compared. A
 * difference that unicorn_known.def does not explain is shrunk to the fewest
 * instructions and printed with what reproduces it. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dbt/opt/opt.h"
#include "runtime/cli/options.h"
#include "tests/diff/unicorn_known.h"

enum {
    LIMIT = 20000,
    MAX_STEPS = 20000,
    MAX_REPORTS = 5,
    FLAGS = RV_RANDOM_APART | RV_RANDOM_ROOM | RV_RANDOM_AMO_WORD
};

/* Registers and a hash of memory before each instruction. */
struct trace {
    unsigned n;
    struct {
        struct rv_regs regs;
        uint64_t memory;
    } step[MAX_STEPS];
};

struct diff {
    struct rv_machine_config config;
    const char *stress;                /* the list, or NULL */
    struct rv_machine *ours, *stepper; /* stepper: the evaluator, an instruction a block */
    struct unicorn *theirs;
    uint8_t initial[RV_RANDOM_RAM_BYTES];
    struct rv_end end;
    struct unicorn_end uend;
    struct trace a, b;
    uint64_t insns, n_same, n_differ, n_away, n_known[UNICORN_N_KNOWN];
};

/* ---- Running both ------------------------------------------------------------------------- */

static void ours_begin(struct rv_machine *m, const struct diff *d, const struct rv_program *p,
                       struct rv_regs *from)
{
    memcpy(rv_machine_ram(m), d->initial, RV_RANDOM_RAM_BYTES);
    rv_machine_wrote(m, RV_RANDOM_BASE, RV_RANDOM_CODE_BYTES);
    memcpy(from->x, p->x, sizeof(from->x));
    memcpy(from->f, p->f, sizeof(from->f));
    from->fcsr = p->fcsr;
    from->pc = RV_RANDOM_BASE + p->start;
}

static void run_ours(struct diff *d, const struct rv_program *p)
{
    struct rv_regs from;

    ours_begin(d->ours, d, p, &from);
    rv_machine_run(d->ours, &from, p->priv, LIMIT, &d->end);
}

static void watch_nothing(void *arg, const struct rv_regs *r)
{
    (void)arg, (void)r;
}

static void run_theirs(struct diff *d, const struct rv_program *p)
{
    memcpy(unicorn_ram(d->theirs), d->initial, RV_RANDOM_RAM_BYTES);
    unicorn_run(d->theirs, p, &d->uend, NULL, NULL);
    /* Where memory is missing it knows the pc only when it is made to step. */
    if (d->uend.stop != UNICORN_READ && d->uend.stop != UNICORN_WRITE)
        return;
    memcpy(unicorn_ram(d->theirs), d->initial, RV_RANDOM_RAM_BYTES);
    unicorn_run(d->theirs, p, &d->uend, watch_nothing, NULL);
}

/* ---- Comparing ---------------------------------------------------------------------------- */

static bool same_regs(const struct rv_regs *a, const struct rv_regs *b)
{
    return memcmp(a->x + 1, b->x + 1, 31 * 8) == 0 && memcmp(a->f, b->f, sizeof(a->f)) == 0 &&
           a->fcsr == b->fcsr && a->pc == b->pc;
}

static bool same_trap(const struct diff *d, const struct rv_program *p)
{
    uint64_t cause, tval;

    return unicorn_trap(&d->uend, p, unicorn_ram(d->theirs), &cause, &tval) &&
           cause == d->end.cause && tval == d->end.tval;
}

static bool same_memory(const struct diff *d)
{
    return memcmp(rv_machine_ram(d->ours), unicorn_ram(d->theirs), RV_RANDOM_RAM_BYTES) == 0;
}

enum outcome { SAME, AWAY, DIFFER };

static enum outcome try_program(struct diff *d, const struct rv_program *p)
{
    rv_program_place(p, d->initial);
    run_ours(d, p);
    if (!d->end.trapped)
        return AWAY;
    run_theirs(d, p);
    return same_regs(&d->end.regs, &d->uend.regs) && same_trap(d, p) && same_memory(d) ? SAME
                                                                                       : DIFFER;
}

/* ---- Whose fault -------------------------------------------------------------------------- */

static bool is_room(const struct rv_program *p, uint64_t pc)
{
    for (unsigned k = 0; k < p->n; k++)
        if (pc == RV_RANDOM_BASE + p->offset[k])
            return p->room[k] != 0;
    return false;
}

struct tracer {
    struct trace *trace;
    const uint8_t *ram;
    const struct rv_program *p;
};

static uint64_t hash_data(const uint8_t *ram)
{
    uint64_t h = 0;

    for (unsigned at = RV_RANDOM_DATA; at < RV_RANDOM_RAM_BYTES; at += 8) {
        uint64_t v;

        memcpy(&v, ram + at, 8);
        h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 32;
    }
    return h;
}

/* An instruction may be begun twice: the second time does it. */
static void note_step(void *arg, const struct rv_regs *r)
{
    struct tracer *t = arg;
    struct trace *trace = t->trace;

    if (is_room(t->p, r->pc) || trace->n == MAX_STEPS)
        return;
    if (trace->n > 0 && same_regs(&trace->step[trace->n - 1].regs, r))
        return;
    trace->step[trace->n].memory = hash_data(t->ram);
    trace->step[trace->n++].regs = *r;
}

static bool same_step(const struct diff *d, unsigned k)
{
    return same_regs(&d->a.step[k].regs, &d->b.step[k].regs) &&
           d->a.step[k].memory == d->b.step[k].memory;
}

/* c becomes the instruction at r. */
static void look_at_step(const struct diff *d, const struct rv_regs *r, struct culprit *c)
{
    uint64_t offset = r->pc - RV_RANDOM_BASE;
    uint32_t word = 0;

    if (c->i.op == RV_OP_lr_w || c->i.op == RV_OP_lr_d)
        c->lr = c->i.op;
    if (offset <= RV_RANDOM_RAM_BYTES - 4)
        memcpy(&word, d->initial + offset, 4);
    rv_decode(word, &c->i);
    c->before = *r;
    if (rv_is_memory(c->i.op) &&
        r->x[c->i.rs1] + (uint64_t)c->i.imm + 8 - RV_RANDOM_BASE < RV_RANDOM_CODE_BYTES + 8)
        c->touches_code = true;
}

/* Steps through both. False: they agree, so it was the engine that differed. */
static bool find_culprit(struct diff *d, const struct rv_program *p, struct culprit *c)
{
    struct tracer a = {&d->a, rv_machine_ram(d->stepper), p};
    struct tracer b = {&d->b, unicorn_ram(d->theirs), p};
    struct rv_end end;
    struct rv_regs from;
    unsigned k = 0;
    uint64_t cause, tval;

    d->a.n = d->b.n = 0;
    ours_begin(d->stepper, d, p, &from);
    rv_machine_watch(d->stepper, note_step, &a);
    rv_machine_run(d->stepper, &from, p->priv, LIMIT, &end);
    memcpy(unicorn_ram(d->theirs), d->initial, RV_RANDOM_RAM_BYTES);
    unicorn_run(d->theirs, p, &d->uend, note_step, &b);
    while (k < d->a.n && k < d->b.n && same_step(d, k))
        k++;
    if (k == 0)
        return false;
    memset(c, 0, sizeof(*c));
    for (unsigned j = 0; j < k; j++)
        look_at_step(d, &d->a.step[j].regs, c);
    if (k < d->a.n || k < d->b.n)
        return true;
    return !same_regs(&end.regs, &d->uend.regs) ||
           !unicorn_trap(&d->uend, p, unicorn_ram(d->theirs), &cause, &tval) ||
           cause != end.cause || tval != end.tval ||
           memcmp(rv_machine_ram(d->stepper), unicorn_ram(d->theirs), RV_RANDOM_RAM_BYTES) != 0;
}

static enum unicorn_known explain(struct diff *d, const struct rv_program *p)
{
    struct culprit c;

    if (!find_culprit(d, p, &c))
        return UNICORN_UNKNOWN;
    return unicorn_known(&c, &d->end, &d->uend);
}

/* ---- Reports ------------------------------------------------------------------------------ */

static bool still_fails(struct diff *d, const struct rv_program *p)
{
    return try_program(d, p) == DIFFER && explain(d, p) == UNICORN_UNKNOWN;
}

static bool is_nop(const struct rv_program *p, unsigned k)
{
    return (p->word[k] == 0x13 || p->word[k] == 1) && !p->room[k];
}

/* Without the nops, those before the first instruction or all, if that fails too. */
static void trim(struct diff *d, struct rv_program *p, bool all)
{
    struct rv_program less;
    uint32_t word[RV_RANDOM_MAX], start = p->end;
    unsigned n = 0;

    for (unsigned k = 0; k < p->n; k++) {
        if (is_nop(p, k) && (all || n == 0))
            continue;
        if (n == 0)
            start = p->offset[k];
        word[n++] = p->word[k];
    }
    rv_program_of(&less, p->seed, start, word, n, FLAGS);
    less.priv = p->priv;
    if (still_fails(d, &less))
        *p = less;
}

static void shrink(struct diff *d, struct rv_program *p)
{
    for (unsigned k = p->n - 1; k-- > 0;) {
        struct rv_program less = *p;

        if (p->room[k])
            continue;
        rv_program_drop(&less, k);
        if (still_fails(d, &less))
            *p = less;
    }
    trim(d, p, true);
    trim(d, p, false);
}

static void print_program(const struct rv_program *p)
{
    for (unsigned k = 0; k < p->n; k++) {
        uint64_t pc = RV_RANDOM_BASE + p->offset[k];
        char text[96];

        rv_disasm(p->word[k], pc, text, sizeof(text));
        if (p->len[k] == 2)
            printf("  %" PRIx64 "  %04x      %s\n", pc, p->word[k] & 0xffff, text);
        else
            printf("  %" PRIx64 "  %08x  %s%s\n", pc, p->word[k], text,
                   p->room[k] ? "   (Unicorn: boxes the single)" : "");
    }
}

static void print_reg(const char *name, unsigned n, uint64_t first, uint64_t a, uint64_t b)
{
    if (first != a || a != b)
        printf("%c %s%-3u before %016" PRIx64 "  ours %016" PRIx64 "  theirs %016" PRIx64 "\n",
               a == b ? ' ' : '*', name, n, first, a, b);
}

static void print_states(const struct diff *d, const struct rv_program *p)
{
    static const char *const stop[] = {"lost",
                                       "exception",
                                       "breakpoint",
                                       "no memory to read",
                                       "no memory to write",
                                       "no memory to fetch"};
    const struct rv_regs *a = &d->end.regs, *b = &d->uend.regs;
    uint64_t cause = 0, tval = 0;

    for (unsigned k = 1; k < 32; k++)
        print_reg("x", k, p->x[k], a->x[k], b->x[k]);
    for (unsigned k = 0; k < 32; k++)
        print_reg("f", k, p->f[k], a->f[k], b->f[k]);
    print_reg("fcsr", 0, p->fcsr, a->fcsr, b->fcsr);
    print_reg("pc", 0, 0, a->pc, b->pc);
    unicorn_trap(&d->uend, p, unicorn_ram(d->theirs), &cause, &tval);
    printf("  mode %c, stopped by %s (%s, %" PRIu64 ")\n", "US?M"[p->priv], stop[d->uend.stop],
           d -> uend.text, d->uend.number);
    print_reg("cause", 0, 0, d->end.cause, cause);
    print_reg("tval", 0, 0, d->end.tval, tval);
    for (unsigned at = 0; at < RV_RANDOM_RAM_BYTES; at++)
        if (rv_machine_ram(d->ours)[at] != unicorn_ram(d->theirs)[at])
            printf("* memory %" PRIx64 "  ours %02x  theirs %02x\n", RV_RANDOM_BASE + at,
                   rv_machine_ram(d->ours)[at], unicorn_ram(d->theirs)[at]);
}

static void report(struct diff *d, struct rv_program *p)
{
    struct culprit c;

    shrink(d, p);
    (void)try_program(d, p);
    printf("--- the states differ\nunicorn_diff --case 0x%" PRIx64 ":0x%x --words ", p->seed,
           p->start);
    for (unsigned k = 0; k < p->n; k++)
        printf("%s%x", k ? "," : "", p->word[k]);
    printf("%s%s\n", d->stress ? " --stress " : "", d->stress ? d->stress : "");
    print_program(p);
    print_states(d, p);
    if (find_culprit(d, p, &c))
        printf("  the first instruction behind which they differ is at %" PRIx64 "\n", c.before.pc);
    else
        printf("  the evaluator agrees with Unicorn: the fault is the engine's\n");
}

/* False: it differs in a way that is not known. */
static bool check_program(struct diff *d, struct rv_program *p)
{
    unsigned room = 0;

    switch (try_program(d, p)) {
    case AWAY: d->n_away++; return true;
    case SAME:
        for (unsigned k = 0; k < p->n; k++)
            room += p->room[k] != 0;
        /* The nops are not counted; in loops, by their share of the program. */
        d->insns += d->end.insns * (p->n - room) / p->n;
        d->n_same++;
        return true;
    default: break;
    }
    enum unicorn_known k = explain(d, p);

    if (k != UNICORN_UNKNOWN) {
        d->n_known[k]++;
        return true;
    }
    d->n_differ++;
    report(d, p);
    return false;
}

/* ---- The command -------------------------------------------------------------------------- */

static void usage(void)
{
    fprintf(stderr,
            "usage: unicorn_diff [--seed S] [--count N] [--engine jit|interp|check]\n"
            "                    [--opt LIST] [--stress LIST]\n"
            "                    [--case SEED:START --words HEX,...] [--compressed] [--known]\n");
    exit(2);
}

static void list_known(void)
{
    for (unsigned k = 1; k < UNICORN_N_KNOWN; k++)
        printf("%-12s %s: %s\n", unicorn_known_name(k), unicorn_known_clause(k),
               unicorn_known_what(k));
}

static enum engine engine_named(const char *name)
{
    if (strcmp(name, "jit") == 0)
        return ENGINE_JIT;
    if (strcmp(name, "interp") == 0)
        return ENGINE_INTERP;
    if (strcmp(name, "check") == 0)
        return ENGINE_CHECK;
    usage();
    return ENGINE_JIT;
}

/* What dbt-run's option of that name makes of the list. */
static void set_stress(struct diff *d, char *list)
{
    char *argv[] = {(char[]){"unicorn_diff"}, (char[]){"--stress"}, list, NULL};
    struct options o;
    struct err e;

    if (cli_parse(&o, 3, argv, &e) != CLI_RUN) {
        fprintf(stderr, "unicorn_diff: %s\n", e.text);
        exit(2);
    }
    d->stress = list;
    d->config.stress = o.stress;
    if (o.stress & STRESS_REGS)
        d->config.stress_regs = 2 * o.stress_seed + 1;
}

static bool run_case(struct diff *d, const char *name, char *words)
{
    struct rv_program p;
    uint32_t word[RV_RANDOM_MAX];
    unsigned n = 0;
    char *colon;
    uint64_t seed = strtoull(name, &colon, 0);

    if (*colon != ':' || !words)
        usage();
    for (char *w = strtok(words, ","); w && n < RV_RANDOM_MAX; w = strtok(NULL, ","))
        word[n++] = (uint32_t)strtoul(w, NULL, 16);
    if (n == 0)
        usage();
    rv_program_of(&p, seed, (uint32_t)strtoul(colon + 1, NULL, 0), word, n, FLAGS);
    return check_program(d, &p);
}

static void run_random(struct diff *d, uint64_t seed, uint64_t count)
{
    for (uint64_t k = 0; d->insns < count && d->n_differ < MAX_REPORTS; k++) {
        struct rv_program p;

        rv_random_program(&p, seed << 32 | k, FLAGS);
        check_program(d, &p);
    }
}

/* Every 16-bit word but the jumps that lead out of the program, once. */
static void run_compressed(struct diff *d, uint64_t seed)
{
    for (uint32_t word = 0; word < 0x10000 && d->n_differ < MAX_REPORTS; word++) {
        const uint32_t words[] = {word, 0x13, 0x13, 0x73};
        struct rv_program p;
        struct rv_insn i;

        rv_decode(word, &i);
        if (i.len != 2 || i.op == RV_OP_jal || i.op == RV_OP_jalr || i.op == RV_OP_beq ||
            i.op == RV_OP_bne)
            continue;
        rv_program_of(&p, seed << 32 | word, 0x800, words, 4, FLAGS);
        check_program(d, &p);
    }
}

static void summary(const struct diff *d)
{
    for (unsigned k = 1; k < UNICORN_N_KNOWN; k++)
        if (d->n_known[k])
            printf("skipped: %" PRIu64 " %s (%s)\n", d->n_known[k], unicorn_known_name(k),
                   unicorn_known_clause(k));
    if (d->n_away)
        printf("skipped: %" PRIu64 " without end\n", d->n_away);
    printf("unicorn: %" PRIu64 " instructions in %" PRIu64 " programs\n", d->insns,
           d->n_same + d->n_differ);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", d->n_same, d->n_differ);
}

static void create(struct diff *d)
{
    struct rv_machine_config step = d->config;
    struct err e;

    d->config.model = step.model = "rv64gc";
    d->config.ram_gpa = step.ram_gpa = RV_RANDOM_BASE;
    d->config.ram_len = step.ram_len = RV_RANDOM_RAM_BYTES;
    step.engine = ENGINE_INTERP;
    step.passes = 0;
    step.stress = 0;
    step.max_insns = 1;
    if (!(d->ours = rv_machine_create(&d->config, &e)) ||
        !(d->stepper = rv_machine_create(&step, &e))) {
        fprintf(stderr, "unicorn_diff: %s\n", e.text);
        exit(1);
    }
    d->theirs = unicorn_create();
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seed", 1, NULL, 's'},       {"count", 1, NULL, 'n'},
                                            {"engine", 1, NULL, 'e'},     {"opt", 1, NULL, 'o'},
                                            {"stress", 1, NULL, 't'},     {"case", 1, NULL, 'c'},
                                            {"words", 1, NULL, 'w'},      {"known", 0, NULL, 'k'},
                                            {"compressed", 0, NULL, 'C'}, {NULL, 0, NULL, 0}};
    struct diff *d = calloc(1, sizeof(*d));
    uint64_t seed = 1, count = 200000;
    const char *name = NULL;
    bool compressed = false;
    char *words = NULL;
    struct err e;
    int c;

    if (!d)
        return 1;
    d->config.passes = OPT_ALL;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 's')
            seed = strtoull(optarg, NULL, 0);
        else if (c == 'n')
            count = strtoull(optarg, NULL, 0);
        else if (c == 'e')
            d->config.engine = engine_named(optarg);
        else if (c == 'o' && !opt_parse(optarg, &d->config.passes, &e))
            usage();
        else if (c == 't')
            set_stress(d, optarg);
        else if (c == 'c')
            name = optarg;
        else if (c == 'w')
            words = optarg;
        else if (c == 'C')
            compressed = true;
        else if (c == 'k')
            return list_known(), 0;
        else if (c == '?')
            usage();
    }
    create(d);
    if (name)
        run_case(d, name, words);
    else if (compressed)
        run_compressed(d, seed);
    else
        run_random(d, seed, count);
    summary(d);
    return d->n_differ ? 1 : 0;
}
