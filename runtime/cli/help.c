#include <stdio.h>
#include <string.h>

#include "dbt/base/log.h"
#include "runtime/cli/options.h"

#define DBT_VERSION "0.1"

static const char *const group_title[] = {
    [GROUP_WHAT] = "What runs",
    [GROUP_MACHINE] = "The machine",
    [GROUP_ENGINE] = "The translator",
    [GROUP_LOOK] = "Looking inside",
};

static void print_row(const struct option_row *row)
{
    char left[64];
    int name_len = (int)strcspn(row->names, " ");
    const char *gap = row->arg[0] == '\0' || row->arg[0] == '[' ? "" : " ";

    snprintf(left, sizeof left, "%.*s%s%s", name_len, row->names, gap, row->arg);
    printf("  %-18s %s\n", left, row->help);
}

void help_print(void)
{
    printf(
        "dbt-run [options] IMAGE   runs a riscv64 machine: a Linux Image, an ELF, a flat binary\n");
    for (unsigned group = GROUP_WHAT; group < GROUP_COMPAT; group++) {
        printf("%s:\n", group_title[group]);
        for (unsigned i = 0; i < option_n_rows; i++)
            if (option_rows[i].group == group)
                print_row(&option_rows[i]);
    }
    printf(
        "In a terminal: Ctrl-A x ends, Ctrl-A c is the monitor, Ctrl-A h helps. Exit status: the\n"
        "guest's; 1 bad input, 2 the host failed, 70 a bug of ours. QEMU's -M virt, -nographic "
        "and\n"
        "so on are taken too.\n");
}

void help_version(void)
{
    printf("dbt-run " DBT_VERSION ", a translator of riscv64 machines for x86-64 Linux\n");
}

void help_log(void)
{
    printf("-d takes a comma list of:\n");
    for (unsigned i = 0; i < LOG_COUNT; i++)
        printf("  %-10s %s\n", log_name(i), log_help(i));
}

void help_cpu(void)
{
    printf("--cpu takes default, rv64gc or max, then extensions to add or leave out, as in\n"
           "default,zba=off,sstc=off or rv64gc,+zbb:\n");
#define RV_EXT(name, text, single, help) printf("  %-12s %s\n", text, help);
#include "frontend/riscv/isa/rv_ext.def"
#undef RV_EXT
}
