/* Random system programs on two machines:
 *
 *     system_diff [--seed S] [--count PROGRAMS] [--a jit] [--b interp|check|qemu] [--stress LIST]
 * ... system_diff --program SEED [--keep ITEM,ITEM,...]     one again, item by item
 *
 * A machine prints a digest for each program. Where two differ the program is shrunk to the fewest
 * items that still do, both are run once more with every trap told, and what differs first is shown
 * with the line of options that shows it again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dbt/base/check.h"
#include "tests/system/machine.h"
#include "tests/system/options.h"
#include "tests/system/program.h"
#include "tests/system/report.h"
#include "tests/system/telling.h"

enum {
    BATCH = 400,
    KERNEL_BATCH = 40, /* SYS_KERNEL: in time each space has a view of its own, for good */
    MAX_VARIANTS = 48,
    MAX_REPORTS = 5,
    SHRINK_SECONDS = 60,
    STOPPED = 124,
    /* Of a batch in virtual time: thrice what its programs and their digests take. */
    MAX_INSNS = 60000000
};

struct run {
    struct sys_machine a, b;
    const char *runtime;
    struct rv_cpu_model model;
    unsigned flags;
    char dir[64];
    bool keep_image, qemu; /* b is QEMU */
    char image[96], out_a[96], out_b[96];
    uint64_t n_same, n_differ, n_again, traps;
    uint64_t n_late, n_astray, n_stopped; /* programs that end on neither machine */
    uint64_t n_qemu[SYS_QEMU_N];          /* by row: programs, or traps */
    uint64_t insns; /* in the programs themselves; of `a`, if its minstret counts */
};

static void die(const struct err *e)
{
    fprintf(stderr, "system_diff: %s\n", e->text);
    exit(2);
}

static bool counts_time(const struct run *r)
{
    return r->a.options && strstr(r->a.options, "--time virtual");
}

/* Half a second of a clock, or 200,000 instructions, and a program hangs. */
static void make_program(const struct run *r, struct sys_program *p, uint64_t seed)
{
    sys_random_program(p, seed, r->flags, r->model.ext);
    p->header[SYS_H_PATIENCE] = counts_time(r) && !r->qemu ? 2000 : 5000000;
}

/* ---- Running ------------------------------------------------------------------------------- */

static void run_both(const struct run *r, const struct sys_program *p, size_t n, bool verbose,
                     struct sys_output *a, struct sys_output *b)
{
    struct err e;
    int pid_a, pid_b;

    if (!sys_image_write(r->image, r->runtime, p, n, verbose, &e))
        die(&e);
    pid_a = sys_machine_start(&r->a, r->image, r->out_a);
    pid_b = sys_machine_start(&r->b, r->image, r->out_b);
    if (!sys_machine_wait(pid_a, r->out_a, a, &e) || !sys_machine_wait(pid_b, r->out_b, b, &e))
        die(&e);
}

/* The value of the n-th token, if that is its letter. */
static uint64_t token_or_0(const char *text, size_t n, char letter)
{
    uint64_t value = token(text, n * TOKEN, letter);

    return value == UINT64_MAX ? 0 : value;
}

static const char *line_of(const struct sys_output *o, size_t k)
{
    return k < o->n ? o->line[k] : "";
}

/* An empty line is a machine that did not get there. */
static bool same(const struct sys_output *a, const struct sys_output *b, size_t k)
{
    return line_of(a, k)[0] && strcmp(line_of(a, k), line_of(b, k)) == 0;
}

static size_t first_difference(const struct sys_output *a, const struct sys_output *b, size_t n)
{
    size_t k = 0;

    while (k < n && same(a, b, k))
        k++;
    return k;
}

static bool differs_alone(const struct run *r, const struct sys_program *p)
{
    struct sys_output a, b;
    bool differ;

    run_both(r, p, 1, false, &a, &b);
    differ = first_difference(&a, &b, 1) == 0;
    sys_output_free(&a);
    sys_output_free(&b);
    return differ;
}

/* ---- Shrinking ----------------------------------------------------------------------------- */

struct kept {
    uint16_t item[SYS_MAX_ITEMS];
    unsigned n;
};

/* The program of the items that are kept and not `without`. */
static void variant(struct sys_program *v, const struct sys_program *p, const struct kept *kept,
                    const bool *without)
{
    bool keep[SYS_MAX_ITEMS] = {false};

    for (unsigned k = 0; k < kept->n; k++)
        keep[kept->item[k]] = !without || !without[k];
    keep[p->n_items - 1] = true; /* the end */
    *v = *p;
    for (unsigned k = 0; k < p->n_items; k++)
        if (!keep[k])
            sys_program_drop(v, k);
}

static void drop(struct kept *kept, const bool *without)
{
    unsigned n = 0;

    for (unsigned k = 0; k < kept->n; k++)
        if (!without[k])
            kept->item[n++] = kept->item[k];
    kept->n = n;
}

static void mark(bool *without, const struct kept *kept, unsigned from, unsigned size)
{
    for (unsigned k = from; k < from + size && k < kept->n; k++)
        without[k] = true;
}

/* Tries to do without `size` items in a row, for each such row from *from on, in one run. Without
 * all of which can be spared one at a time the difference may be gone: then without the first of
 * them. */
static bool shrink_step(const struct run *r, const struct sys_program *p, struct kept *kept,
                        unsigned size, unsigned *from, struct sys_program *v)
{
    bool all[SYS_MAX_ITEMS] = {false}, one[SYS_MAX_ITEMS] = {false};
    unsigned n = 0, n_spared = 0, at = *from;
    struct sys_output a, b;

    for (; n < MAX_VARIANTS && at < kept->n; n++, at += size) {
        bool without[SYS_MAX_ITEMS] = {false};

        mark(without, kept, at, size);
        variant(&v[n], p, kept, without);
    }
    run_both(r, v, n, false, &a, &b);
    for (unsigned k = 0; k < n; k++) {
        bool reached = line_of(&a, k)[0] || line_of(&b, k)[0]; /* not behind one that hangs */

        if (!reached || same(&a, &b, k))
            continue;
        if (n_spared++ == 0)
            mark(one, kept, *from + k * size, size);
        mark(all, kept, *from + k * size, size);
    }
    sys_output_free(&a);
    sys_output_free(&b);
    *from = at;
    if (n_spared == 0)
        return false;
    variant(v, p, kept, all);
    if (n_spared > 1 && differs_alone(r, v)) {
        drop(kept, all);
        *from -= size * n_spared < *from ? size * n_spared : *from;
    } else {
        drop(kept, one);
        *from -= size;
    }
    return true;
}

static void shrink(struct run *r, const struct sys_program *p, struct kept *kept)
{
    struct sys_program *v = calloc(MAX_VARIANTS, sizeof(*v));
    unsigned seconds = r->a.seconds;
    time_t until = time(NULL) + SHRINK_SECONDS; /* a machine that hangs takes long to say so */
    bool again = true;

    CHECK(v);
    r->a.seconds = r->b.seconds = 4;
    for (unsigned size = kept->n / 2; size > 0; size = size > 1 ? size / 2 : again) {
        again = false;
        for (unsigned from = 0; from < kept->n && time(NULL) < until;)
            again |= shrink_step(r, p, kept, size, &from, v);
    }
    r->a.seconds = r->b.seconds = seconds;
    free(v);
}

/* ---- Telling ------------------------------------------------------------------------------- */

static void reproduce(const struct run *r, const struct sys_program *p, const struct kept *kept)
{
    printf("    again: system_diff --program 0x%" PRIx64 " --a %s --b %s --cpu %s", p->seed,
           r->a.kind, r->b.kind, r->a.cpu);
    if (r->a.options)
        printf(" --option '%s'", r->a.options);
    if (r->flags & SYS_NO_CHAOS)
        printf(" --no-chaos");
    printf(" --keep ");
    for (unsigned k = 0; k < kept->n; k++)
        printf("%s%u", k ? "," : "", kept->item[k]);
    printf("\n");
}

static void report(struct run *r, const struct sys_program *p, struct kept *kept)
{
    struct sys_program *v = calloc(1, sizeof(*v));
    struct sys_output a, b;

    CHECK(v);
    variant(v, p, kept, NULL);
    run_both(r, v, 1, true, &a, &b);
    sys_report_program(p, kept->item, kept->n);
    sys_report_difference(r->a.kind, line_of(&a, 0), r->b.kind, line_of(&b, 0));
    if (a.status || b.status)
        printf("    exit status: %s %d, %s %d\n", r->a.kind, a.status, r->b.kind, b.status);
    reproduce(r, p, kept);
    sys_output_free(&a);
    sys_output_free(&b);
    free(v);
}

static void all_items(const struct sys_program *p, struct kept *kept)
{
    kept->n = 0;
    for (unsigned k = 0; k + 1 < p->n_items; k++)
        kept->item[kept->n++] = (uint16_t)k;
}

/* What a difference in a batch turns out to be. */
enum verdict { OURS_OR_THEIRS, QEMUS, NOT_ALONE };

/* Both tell the program, alone. */
static enum verdict judge(struct run *r, const struct sys_program *p)
{
    unsigned seconds = r->b.seconds;
    enum sys_qemu row = SYS_QEMU_UNKNOWN;
    struct sys_output a, b;
    bool differ;

    r->b.seconds = 4;
    run_both(r, p, 1, true, &a, &b);
    r->b.seconds = seconds;
    differ = !same(&a, &b, 0);
    if (differ && r->qemu)
        row = sys_qemu_known(line_of(&a, 0), line_of(&b, 0));
    sys_output_free(&a);
    sys_output_free(&b);
    if (row != SYS_QEMU_UNKNOWN)
        r->n_qemu[row]++;
    return !differ ? NOT_ALONE : row != SYS_QEMU_UNKNOWN ? QEMUS : OURS_OR_THEIRS;
}

static void investigate(struct run *r, const struct sys_program *p, enum verdict verdict)
{
    struct kept kept;

    r->n_differ++;
    if (r->n_differ > MAX_REPORTS)
        return;
    printf("DIFFERENCE in program 0x%" PRIx64 "\n", p->seed);
    if (verdict == NOT_ALONE) {
        printf(
            "    not when it runs alone: run the batch again with the same --seed and --count\n");
        return;
    }
    all_items(p, &kept);
    shrink(r, p, &kept);
    report(r, p, &kept);
    fflush(stdout);
}

/* ---- Batches ------------------------------------------------------------------------------- */

static void count(struct run *r, const char *line)
{
    const char *traps = strchr(line, '#');

    if (line[0] == 'H') {
        r->n_late++;
    } else if (line[0] == 'R') {
        r->n_astray++;
    } else {
        r->n_same++;
        r->traps += traps ? strtoull(traps + 1, NULL, 16) : 0;
    }
}

static void tell_status(const struct run *r, const struct sys_output *a, const struct sys_output *b)
{
    if (a->status == 0 && b->status == 0)
        return;
    printf("%s: %zu programs, exit status %d %s\n", r->a.kind, a->n, a->status,
           a->last_words ? a->last_words : "");
    printf("%s: %zu programs, exit status %d %s\n", r->b.kind, b->n, b->status,
           b->last_words ? b->last_words : "");
}

/* A machine's last words are its instructions, which a clock does not count, and the traps that it
 * told alike. */
static void count_last_words(struct run *r, const struct sys_output *a, const struct sys_output *b)
{
    if (counts_time(r) && a->last_words)
        r->insns += token_or_0(a->last_words, 0, 'I');
    if (!r->qemu || !a->last_words || !b->last_words)
        return;
    r->n_qemu[SYS_QEMU_amo_name] += token_or_0(b->last_words, 1, 'B');
    r->n_qemu[SYS_QEMU_fault_tval] += token_or_0(b->last_words, 2, 'B');
    r->n_qemu[SYS_QEMU_ebreak_tval] += token_or_0(a->last_words, 3, 'B');
}

/* By timeout, or by --max-insns before the last words. */
static bool was_stopped(const struct sys_output *o)
{
    return o->status == STOPPED || (o->status == 0 && (!o->last_words || o->last_words[0] != 'I'));
}

/* In virtual time minstret is exact, so our engines agree in it, whatever their blocks. */
static void compare_insns(struct run *r, const struct sys_output *a, const struct sys_output *b)
{
    if (!counts_time(r) || r->qemu || was_stopped(a) || was_stopped(b) || !a->last_words ||
        !b->last_words || strcmp(a->last_words, b->last_words) == 0)
        return;
    r->n_differ++;
    printf("DIFFERENCE: the programs up to the last of %s and %s retire other numbers of "
           "instructions\n    %s: %s\n    %s: %s\n",
           line_of(a, 0), line_of(b, 0), r->a.kind, a->last_words, r->b.kind, b->last_words);
}

/* Line k becomes that of program k, for one that M leads astray in the runtime may print none. */
static void align(struct sys_output *o, const struct sys_program *p, size_t n)
{
    static char nothing[1];
    char **line = calloc(n, sizeof(*line));
    size_t done = 0;

    CHECK(line);
    for (size_t k = 0; k < n; k++)
        line[k] = nothing;
    for (size_t i = 0; i < o->n; i++) {
        uint64_t k = token_value(o->line[i], 0) - p[0].seed;

        if (k < done || k >= n)
            continue;
        line[k] = o->line[i];
        done = (size_t)k + 1;
    }
    free(o->line);
    o->line = line;
    o->n = done;
}

/* Returns how many of the n programs have been dealt with: fewer where a machine stopped at one, or
 * where one found the memory of another that had differed. */
static size_t run_some(struct run *r, struct sys_program *p, size_t n)
{
    struct sys_output a, b;
    size_t k = 0;
    bool reached = true, differed = false;

    run_both(r, p, n, false, &a, &b);
    align(&a, p, n);
    align(&b, p, n);
    for (; k < n && reached; k++) {
        enum verdict verdict;

        if (same(&a, &b, k)) {
            count(r, a.line[k]);
            differed |= a.line[k][0] == 'H'; /* it ended where it stood, here and there */
            continue;
        }
        reached = k < a.n && k < b.n;
        if (reached && !line_of(&a, k)[0] && !line_of(&b, k)[0]) {
            r->n_astray++;
            continue;
        }
        if (k >= a.n && k >= b.n && was_stopped(&a) && was_stopped(&b)) {
            r->n_stopped++; /* M, with interrupts off: no timer ends it */
            continue;
        }
        verdict = judge(r, &p[k]);
        if (verdict == NOT_ALONE && differed) {
            r->n_again++;
            break;
        }
        differed = true;
        if (verdict != QEMUS) {
            investigate(r, &p[k], verdict);
            if (verdict == NOT_ALONE)
                printf("    %s: %s\n    %s: %s\n", r->a.kind, line_of(&a, k), r->b.kind,
                       line_of(&b, k));
            tell_status(r, &a, &b);
        }
    }
    count_last_words(r, &a, &b);
    if (k == n && !differed)
        compare_insns(r, &a, &b);
    sys_output_free(&a);
    sys_output_free(&b);
    return k;
}

static void run_batch(struct run *r, struct sys_program *p, uint64_t seed, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        make_program(r, &p[k], seed + k);
        for (unsigned row = 0; row < SYS_QEMU_N; row++)
            r->n_qemu[row] += p[k].left_out >> row & 1;
    }
    for (size_t done = 0; done < n && r->n_differ <= MAX_REPORTS;)
        done += run_some(r, p + done, n - done);
}

static void tell_qemus(const struct run *r)
{
    static const char *const kinds[] = {
        "K programs met, and not compared further:", "A traps told alike:",
        "L programs made without (tests/system/qemu_known.def):"};

    for (unsigned k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        printf("%s\n", kinds[k] + 2);
        for (unsigned row = 1; row < SYS_QEMU_N; row++)
            if (sys_qemu_rows[row].kind == kinds[k][0])
                printf("%8" PRIu64 "  %s: %s\n", r->n_qemu[row], sys_qemu_rows[row].name,
                       sys_qemu_rows[row].what);
    }
}

static void sum_up(const struct run *r)
{
    printf("%" PRIu64 " programs, %" PRIu64 " traps, %" PRIu64 " differ\n", r->n_same + r->n_differ,
           r->traps, r->n_differ);
    if (r->insns)
        printf("%" PRIu64 " instructions in them\n", r->insns);
    printf("%" PRIu64 " end on neither machine: the timer ended %" PRIu64 ", %" PRIu64
           " ran astray in the runtime, %" PRIu64 " stopped the batch\n",
           r->n_late + r->n_astray + r->n_stopped, r->n_late, r->n_astray, r->n_stopped);
    if (r->n_again)
        printf("%" PRIu64 " batches run on again behind a program that left other memory\n",
               r->n_again);
    if (r->qemu)
        tell_qemus(r);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", r->n_same, r->n_differ);
}

static void run_all(struct run *r, uint64_t seed, uint64_t n_programs)
{
    const uint64_t batch = r->flags & SYS_KERNEL ? KERNEL_BATCH : BATCH;
    struct sys_program *p = calloc(batch, sizeof(*p));

    CHECK(p);
    for (uint64_t done = 0; done < n_programs && r->n_differ <= MAX_REPORTS; done += batch)
        run_batch(r, p, seed * UINT64_C(0x100000000) + done,
                  (size_t)(n_programs - done < batch ? n_programs - done : batch));
    free(p);
    sum_up(r);
}

static void run_one(struct run *r, uint64_t seed, const char *keep)
{
    struct sys_program *p = calloc(1, sizeof(*p)), *v = calloc(1, sizeof(*v));
    struct kept kept = {.n = 0};

    CHECK(p && v);
    make_program(r, p, seed);
    all_items(p, &kept);
    if (keep) {
        kept.n = 0;
        for (const char *s = keep; *s && kept.n < p->n_items; s += *s == ',')
            kept.item[kept.n++] = (uint16_t)strtoul(s, (char **)(uintptr_t)&s, 10);
    }
    variant(v, p, &kept, NULL);
    r->n_differ = differs_alone(r, v);
    report(r, p, &kept);
    printf("%d passed, %" PRIu64 " failed\n", r->n_differ == 0, r->n_differ);
    free(v);
    free(p);
}

/* ---- From the command line ----------------------------------------------------------------- */

static void machine(struct sys_machine *m, const char *kind, const struct sys_options *s)
{
    m->kind = kind;
    m->program = strcmp(kind, "qemu") == 0 ? s->qemu : s->dbt;
    m->seconds = 60;
}

static void make_files(struct run *r, const char *image)
{
    snprintf(r->dir, sizeof(r->dir), "/tmp/system_diff.XXXXXX");
    if (!mkdtemp(r->dir)) {
        perror("system_diff: /tmp");
        exit(2);
    }
    r->keep_image = image != NULL;
    if (image)
        snprintf(r->image, sizeof(r->image), "%s", image);
    else
        snprintf(r->image, sizeof(r->image), "%s/image", r->dir);
    snprintf(r->out_a, sizeof(r->out_a), "%s/a", r->dir);
    snprintf(r->out_b, sizeof(r->out_b), "%s/b", r->dir);
}

static void remove_files(const struct run *r)
{
    if (!r->keep_image)
        unlink(r->image);
    unlink(r->out_a);
    unlink(r->out_b);
    rmdir(r->dir);
}

int main(int argc, char **argv)
{
    struct sys_options s = sys_options(argc, argv);
    struct run r = {.runtime = s.runtime,
                    .flags = (s.no_chaos ? SYS_NO_CHAOS : 0) | (s.kernel ? SYS_KERNEL : 0)};
    struct err e;

    machine(&r.a, s.kind_a, &s);
    machine(&r.b, s.kind_b, &s);
    r.qemu = strcmp(s.kind_b, "qemu") == 0;
    if (r.qemu)
        r.flags |= SYS_FOR_QEMU;
    if (strcmp(s.kind_a, "check") == 0) /* block by block: one side asks tables, one a window */
        r.flags |= SYS_FENCED;
    r.a.cpu = r.b.cpu = s.cpu ? s.cpu : r.qemu ? SYS_QEMU_CPU : "default";
    r.a.options = s.option;
    if (counts_time(&r)) { /* both clocks, or neither */
        r.b.options = "--time virtual";
        if (!r.qemu)
            r.a.max_insns = r.b.max_insns = MAX_INSNS;
    }
    if (!rv_model_parse(&r.model, r.a.cpu, &e))
        die(&e);
    setvbuf(stdout, NULL, _IOLBF, 0);
    make_files(&r, s.image);
    if (s.program)
        run_one(&r, strtoull(s.program, NULL, 0), s.keep);
    else
        run_all(&r, s.seed, s.n_programs);
    remove_files(&r);
    return r.n_differ != 0;
}
