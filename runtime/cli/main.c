/* The command dbt-run: from the command line to a machine, and its exit status. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dbt/base/log.h"
#include "dbt/opt/opt.h"
#include "runtime/cli/options.h"
#include "runtime/system/machine.h"

enum { CACHE_SEGMENTS = 16, STRESS_CACHE_BYTES = 64 << 10, STRESS_CACHE_SEGMENTS = 4 };

static int complain(int status, const struct err *e)
{
    fprintf(stderr, "dbt-run: %s\n", e->text);
    return status;
}

static bool run_config(const struct options *o, struct machine_run_config *run, struct err *e)
{
    bool small = (o->stress & STRESS_CACHE) != 0;

    *run = (struct machine_run_config){
        .engine = o->engine,
        .translate = {.passes = OPT_ALL,
                      .virtual_time = o->virtual_time,
                      .stress_regs = o->stress & STRESS_REGS ? o->stress_seed * 2 + 1 : 0,
                      .max_insns = IR_MAX_GUEST},
        .cache_bytes = small ? STRESS_CACHE_BYTES : o->cache_size,
        .cache_segments = small ? STRESS_CACHE_SEGMENTS : CACHE_SEGMENTS,
        .no_links = (o->stress & STRESS_LINKS) != 0,
        .virtual_time = o->virtual_time,
        .stress_table = (o->stress & STRESS_TABLE) != 0,
        .stress_irq = (o->stress & STRESS_IRQ) != 0,
        .max_insns = o->max_insns,
    };
    return !o->opt_list || opt_parse(o->opt_list, &run->translate.passes, e);
}

/* Opened before the guest runs, so that a path that cannot be written costs nothing. *out is
 * NULL when there is no such file. */
static bool open_stats(const struct options *o, FILE **out, struct err *e)
{
    *out = NULL;
    if (!o->stats_file)
        return true;
    *out = fopen(o->stats_file, "w");
    return *out || err_set(e, "--stats: cannot write %s: %s", o->stats_file, strerror(errno));
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

int main(int argc, char **argv)
{
    struct options o;
    struct err e;
    struct machine_run_config run;
    struct machine_end end = {.reset = true};
    FILE *stats = NULL;
    int status;

    if (!have_standard_files(&e))
        return complain(CLI_EXIT_HOST, &e);
    status = cli_parse(&o, argc, argv, &e);
    if (status == CLI_EXIT_OK)
        return status;
    if (status != CLI_RUN || !cli_open_log(&o, &e) || !run_config(&o, &run, &e))
        return complain(CLI_EXIT_USAGE, &e);
    if (o.dump_dtb)
        return dump_dtb(&o);
    if (!open_stats(&o, &stats, &e))
        return complain(CLI_EXIT_USAGE, &e);
    while (end.reset) {
        struct machine *m = machine_create(&o.machine, &run, &e);

        if (!m)
            return complain(CLI_EXIT_USAGE, &e);
        bool ok = machine_run(m, &end, &e);

        if (ok && o.stats && !end.reset)
            machine_print_stats(m, stats ? NULL : stderr, stats);
        machine_destroy(m);
        if (!ok)
            return complain(CLI_EXIT_HOST, &e);
    }
    if (stats && fclose(stats) != 0) {
        err_set(&e, "--stats: cannot write %s: %s", o.stats_file, strerror(errno));
        return complain(CLI_EXIT_HOST, &e);
    }
    return end.code;
}
