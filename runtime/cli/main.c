/* The command dbt-run: from the command line to a machine, and its exit status. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dbt/base/log.h"
#include "dbt/opt/opt.h"
#include "runtime/cli/options.h"
#include "runtime/system/machine.h"
#include "runtime/system/signature.h"

/* Of a segment, mostly: code that several threads make lies together, and what is thrown out when
 * the cache is full is little. */
enum { SEGMENT_BYTES = 1 << 20 };
enum { MIN_SEGMENTS = 16, STRESS_CACHE_BYTES = 512 << 10 };

static int complain(int status, const struct err *e)
{
    fprintf(stderr, "dbt-run: %s\n", e->text);
    return status;
}

static unsigned n_segments(uint64_t cache_bytes)
{
    const uint64_t n = cache_bytes / SEGMENT_BYTES;

    return n > MIN_SEGMENTS ? (unsigned)n : MIN_SEGMENTS;
}

static bool run_config(const struct options *o, struct machine_run_config *run, struct err *e)
{
    const bool small = (o->stress & STRESS_CACHE) != 0;
    const uint64_t cache_bytes = small ? STRESS_CACHE_BYTES : o->cache_size;

    *run = (struct machine_run_config){
        .engine = o->engine,
        .translate = {.passes = OPT_ALL,
                      .virtual_time = o->virtual_time,
                      .strict_lrsc = o->strict_lrsc,
                      .stress_regs = o->stress & STRESS_REGS ? o->stress_seed * 2 + 1 : 0,
                      .max_insns = IR_MAX_GUEST},
        .windows = o->windows,
        .huge_pages = o->huge_pages,
        .hart_threads = o->hart_threads,
        .cache_bytes = cache_bytes,
        .cache_segments = n_segments(cache_bytes),
        .stress_seed = small ? o->stress_seed * 2 + 1 : 0,
        .no_links = (o->stress & STRESS_LINKS) != 0,
        .virtual_time = o->virtual_time,
        .stress_table = (o->stress & STRESS_TABLE) != 0,
        .stress_irq = (o->stress & STRESS_IRQ) != 0,
        .max_insns = o->max_insns,
        .evaluate_first = o->engine == ENGINE_JIT && o->tier == TIER_AUTO,
    };
    return !o->opt_list || opt_parse(o->opt_list, &run->translate.passes, e);
}

/* A file that is written at the end is opened before the guest runs, so that a path that cannot
 * be written costs nothing. *out is NULL when there is no such file. */
static bool open_output(const char *option, const char *path, FILE **out, struct err *e)
{
    *out = NULL;
    if (!path)
        return true;
    *out = fopen(path, "w");
    return *out || err_set(e, "%s: cannot write %s: %s", option, path, strerror(errno));
}

static bool close_output(const char *option, const char *path, FILE *out, struct err *e)
{
    bool ok = !out || !ferror(out);

    if (out && fclose(out) != 0)
        ok = false;
    return ok || err_set(e, "%s: cannot write %s: %s", option, path, strerror(errno));
}

struct outputs {
    struct signature signature;
    const char *signature_file; /* NULL: none */
    const char *stats_file;     /* NULL: none */
    FILE *signature_out, *stats_out;
};

static bool open_outputs(struct outputs *f, const struct options *o, struct err *e)
{
    *f = (struct outputs){.stats_file = o->stats_file};
    if (o->machine.signature) {
        if (!signature_parse(&f->signature, o->machine.signature, e))
            return false;
        f->signature_file = f->signature.file;
    }
    return open_output("--stats", f->stats_file, &f->stats_out, e) &&
           open_output("--signature", f->signature_file, &f->signature_out, e);
}

static bool close_outputs(struct outputs *f, struct err *e)
{
    return close_output("--stats", f->stats_file, f->stats_out, e) &&
           close_output("--signature", f->signature_file, f->signature_out, e);
}

/* Under a caller that closed the standard descriptors the first files we open would take their
 * numbers: guest RAM would be standard input, and the guest's console would write into the
 * code cache. */
static bool have_standard_files(struct err *e)
{
    for (;;) {
        int fd = open("/dev/null", O_RDWR);

        if (fd < 0)
            return err_set(e, "cannot open /dev/null: %s", strerror(errno));
        if (fd > STDERR_FILENO) {
            close(fd);
            return true;
        }
    }
}

static int dump_dtb(const struct options *o)
{
    struct boot_plan plan;
    struct err e;

    if (!boot_plan(&plan, &o->machine, &e))
        return complain(CLI_EXIT_USAGE, &e);
    bool ok = boot_dump_dtb(&plan, o->dump_dtb, &e);

    boot_plan_fini(&plan);
    return ok ? CLI_EXIT_OK : complain(CLI_EXIT_USAGE, &e);
}

/* Runs machines until one does not ask to start anew. */
static int run_machines(const struct options *o, const struct machine_run_config *run,
                        struct outputs *f)
{
    struct machine_end end = {.reset = true};
    struct err e;
    bool ok = true;

    while (ok && end.reset) {
        struct machine *m = machine_create(&o->machine, run, &e);

        if (!m) {
            lines_close(&run->ends->lines);
            return complain(CLI_EXIT_USAGE, &e);
        }
        ok = machine_run(m, &end, &e);

        if (ok && f->signature_out && !end.reset)
            machine_print_signature(m, f->signature_out);
        if (ok && o->stats && !end.reset)
            machine_print_stats(m, f->stats_out ? NULL : stderr, f->stats_out);
        machine_destroy(m);
    }
    /* The terminal is as it was before anything is said there. */
    lines_close(&run->ends->lines);
    if (!ok)
        return complain(CLI_EXIT_HOST, &e);
    return close_outputs(f, &e) ? end.code : complain(CLI_EXIT_HOST, &e);
}

int main(int argc, char **argv)
{
    struct options o;
    struct err e;
    struct machine_run_config run;
    struct outputs files;
    struct ends ends;
    int status;

    /* A file that may not grow (ulimit -f) is an error to whoever writes to it, be that a disk
     * of the guest's, and not our end. */
    signal(SIGXFSZ, SIG_IGN);
    if (!have_standard_files(&e))
        return complain(CLI_EXIT_HOST, &e);
    status = cli_parse(&o, argc, argv, &e);
    if (status == CLI_EXIT_OK)
        return status;
    if (status != CLI_RUN || !cli_open_log(&o, &e) || !run_config(&o, &run, &e))
        return complain(CLI_EXIT_USAGE, &e);
    if (!drives_take_image(&o.machine, &e) || !drives_check_boot(&o.machine, &e))
        return complain(CLI_EXIT_USAGE, &e);
    if (o.dump_dtb)
        return dump_dtb(&o);
    if (!open_outputs(&files, &o, &e) || !ends_open(&ends, &o.machine, o.virtual_time, &e))
        return complain(CLI_EXIT_USAGE, &e);
    run.ends = &ends;
    status = run_machines(&o, &run, &files);
    ends_close(&ends);
    return status;
}
