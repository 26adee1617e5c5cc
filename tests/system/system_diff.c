/* Random system programs on two machines:
 *
 *     system_diff [--seed S] [--count PROGRAMS] [--a jit] [--b interp|check|qemu] [--stress LIST]
 * ... system_diff --program SEED [--keep ITEM,ITEM,...]     one again, item by item
 *
 * A machine prints a digest for each program. Where two differ the program is shrunk to the fewest
 * items that still do, both are run once more with every trap told, and what differs first is shown
 * with the line of options that shows it again. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dbt/base/check.h"
#include "tests/system/machine.h"
#include "tests/system/program.h"
#include "tests/system/report.h"

enum { BATCH = 400, MAX_VARIANTS = 48, MAX_REPORTS = 5, SHRINK_SECONDS = 60, STOPPED = 124 };

struct run {
    struct sys_machine a, b;
    const char *runtime;
    struct rv_cpu_model model;
    unsigned flags;
    char dir[64];
    bool keep_image;
    char image[96], out_a[96], out_b[96];
    uint64_t n_same, n_differ, n_qemus, n_hang, traps;
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

/* Half a second of a clock, or two million instructions, and a program hangs. */
static void make_program(const struct run *r, struct sys_program *p, uint64_t seed)
{
    sys_random_program(p, seed, r->flags, r->model.ext);
    p->header[SYS_H_PATIENCE] = counts_time(r) ? 20000 : 5000000;
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

/* What only QEMU's board has, and what only QEMU does: report.h. */
static bool is_qemus(struct run *r, const struct sys_program *p)
{
    struct sys_output a, b;
    bool qemus;

    if (strcmp(r->b.kind, "qemu") != 0)
        return false;
    r->b.seconds = 4;
    run_both(r, p, 1, true, &a, &b);
    r->b.seconds = r->a.seconds;
    qemus = sys_report_is_qemus(line_of(&a, 0), line_of(&b, 0));
    sys_output_free(&a);
    sys_output_free(&b);
    return qemus;
}

/* True: it is QEMU's. */
static bool investigate(struct run *r, const struct sys_program *p)
{
    struct kept kept;

    if (is_qemus(r, p)) {
        r->n_qemus++;
        return true;
    }
    r->n_differ++;
    if (r->n_differ > MAX_REPORTS)
        return false;
    printf("DIFFERENCE in program 0x%" PRIx64 "\n", p->seed);
    if (!differs_alone(r, p)) {
        printf(
            "    not when it runs alone: run the batch again with the same --seed and --count\n");
        return false;
    }
    all_items(p, &kept);
    shrink(r, p, &kept);
    report(r, p, &kept);
    fflush(stdout);
    return false;
}

/* ---- Batches ------------------------------------------------------------------------------- */

static void count(struct run *r, const char *line)
{
    const char *traps = strchr(line, '#');

    r->n_same++;
    if (traps)
        r->traps += strtoull(traps + 1, NULL, 16);
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

/* The machine's last words are its count, which a clock's is not. */
static void count_insns(struct run *r, const struct sys_output *a)
{
    if (counts_time(r) && a->last_words && a->last_words[0] == 'I')
        r->insns += strtoull(a->last_words + 1, NULL, 16);
}

/* Returns how many of the n programs have been dealt with: fewer where a machine stopped at one. */
static size_t run_some(struct run *r, struct sys_program *p, size_t n)
{
    struct sys_output a, b;
    size_t k = 0;
    bool reached = true;

    run_both(r, p, n, false, &a, &b);
    for (; k < n && reached; k++) {
        if (same(&a, &b, k)) {
            count(r, a.line[k]);
            continue;
        }
        reached = k < a.n && k < b.n;
        if (k >= a.n && k >= b.n && a.status == STOPPED && b.status == STOPPED) {
            r->n_hang++; /* M, with interrupts off: no timer ends it */
            continue;
        }
        if (!investigate(r, &p[k]))
            tell_status(r, &a, &b);
    }
    count_insns(r, &a);
    sys_output_free(&a);
    sys_output_free(&b);
    return k;
}

static void run_batch(struct run *r, struct sys_program *p, uint64_t seed, size_t n)
{
    for (size_t k = 0; k < n; k++)
        make_program(r, &p[k], seed + k);
    for (size_t done = 0; done < n && r->n_differ <= MAX_REPORTS;)
        done += run_some(r, p + done, n - done);
}

static void run_all(struct run *r, uint64_t seed, uint64_t n_programs)
{
    struct sys_program *p = calloc(BATCH, sizeof(*p));

    CHECK(p);
    for (uint64_t done = 0; done < n_programs && r->n_differ <= MAX_REPORTS; done += BATCH)
        run_batch(r, p, seed * UINT64_C(0x100000000) + done,
                  n_programs - done < BATCH ? (size_t)(n_programs - done) : BATCH);
    free(p);
    printf("%" PRIu64 " programs, %" PRIu64 " traps, %" PRIu64 " differ\n", r->n_same + r->n_differ,
           r->traps, r->n_differ);
    if (r->insns)
        printf("%" PRIu64 " instructions in them\n", r->insns);
    if (r->n_hang)
        printf("%" PRIu64 " do not end on either machine\n", r->n_hang);
    if (r->n_qemus)
        printf("%" PRIu64 " left out, for they reached what only QEMU's board has or QEMU does\n",
               r->n_qemus);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", r->n_same, r->n_differ);
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

/* ---- Options ------------------------------------------------------------------------------- */

static void usage(void)
{
    fprintf(stderr,
            "usage: system_diff [--seed S] [--count PROGRAMS] [--program SEED [--keep LIST]]\n"
            "    [--a KIND] [--b KIND] [--cpu MODEL] [--option 'dbt options'] [--no-chaos]\n"
            "    [--runtime FILE] [--dbt FILE] [--qemu FILE] [--image FILE: the last, kept]\n"
            "kinds: jit interp check qemu\n");
    exit(1);
}

static void machine(struct sys_machine *m, const char *kind, const char *dbt, const char *qemu)
{
    m->kind = kind;
    m->program = strcmp(kind, "qemu") == 0 ? qemu : dbt;
    m->seconds = 60;
}

static void make_files(struct run *r)
{
    snprintf(r->dir, sizeof(r->dir), "/tmp/system_diff.XXXXXX");
    if (!mkdtemp(r->dir)) {
        perror("system_diff: /tmp");
        exit(2);
    }
    r->keep_image = r->image[0] != 0;
    if (!r->keep_image)
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
    enum { SEED = 1, COUNT, PROGRAM, KEEP, A, B, CPU, OPTION, NO_CHAOS, RUNTIME, DBT, QEMU, IMAGE };
    static const struct option options[] = {
        {"seed", 1, NULL, SEED},       {"count", 1, NULL, COUNT},   {"program", 1, NULL, PROGRAM},
        {"keep", 1, NULL, KEEP},       {"a", 1, NULL, A},           {"b", 1, NULL, B},
        {"cpu", 1, NULL, CPU},         {"option", 1, NULL, OPTION}, {"no-chaos", 0, NULL, NO_CHAOS},
        {"runtime", 1, NULL, RUNTIME}, {"dbt", 1, NULL, DBT},       {"qemu", 1, NULL, QEMU},
        {"image", 1, NULL, IMAGE},     {NULL, 0, NULL, 0},
    };
    struct run r = {.runtime = "out/release/tests/system/runtime.bin"};
    const char *kind_a = "jit", *kind_b = "interp", *cpu = NULL, *option = NULL, *keep = NULL;
    const char *dbt = "./dbt-run", *qemu = "qemu-system-riscv64", *program = NULL;
    uint64_t seed = 1, n = 2000;
    struct err e;

    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case SEED: seed = strtoull(optarg, NULL, 0); break;
        case COUNT: n = strtoull(optarg, NULL, 0); break;
        case PROGRAM: program = optarg; break;
        case KEEP: keep = optarg; break;
        case A: kind_a = optarg; break;
        case B: kind_b = optarg; break;
        case CPU: cpu = optarg; break;
        case OPTION: option = optarg; break;
        case NO_CHAOS: r.flags |= SYS_NO_CHAOS; break;
        case RUNTIME: r.runtime = optarg; break;
        case DBT: dbt = optarg; break;
        case QEMU: qemu = optarg; break;
        case IMAGE: snprintf(r.image, sizeof(r.image), "%s", optarg); break;
        default: usage();
        }
    }
    machine(&r.a, kind_a, dbt, qemu);
    machine(&r.b, kind_b, dbt, qemu);
    if (!cpu)
        cpu = strcmp(kind_b, "qemu") == 0 ? SYS_QEMU_CPU : "default";
    r.a.cpu = r.b.cpu = cpu;
    r.a.options = option;
    if (counts_time(&r)) /* both clocks, or neither */
        r.b.options = "--time virtual";
    if (!rv_model_parse(&r.model, cpu, &e))
        die(&e);
    if (strcmp(kind_b, "qemu") == 0)
        r.flags |= SYS_FOR_QEMU;
    setvbuf(stdout, NULL, _IOLBF, 0);
    make_files(&r);
    if (program)
        run_one(&r, strtoull(program, NULL, 0), keep);
    else
        run_all(&r, seed, n);
    remove_files(&r);
    return r.n_differ != 0;
}
