#include "tests/system/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static void usage(void)
{
    fprintf(
        stderr,
        "usage: system_diff [--seed S] [--count PROGRAMS] [--program SEED [--keep LIST]]\n"
        "    [--a KIND] [--b KIND] [--cpu MODEL] [--option 'dbt options'] [--no-chaos] [--kernel]\n"
        "    [--runtime FILE] [--dbt FILE] [--qemu FILE] [--image FILE: the last, kept]\n"
        "kinds: jit interp check qemu\n");
    exit(1);
}

struct sys_options sys_options(int argc, char **argv)
{
    enum {
        SEED = 1,
        COUNT,
        PROGRAM,
        KEEP,
        A,
        B,
        CPU,
        OPTION,
        NO_CHAOS,
        KERNEL,
        RUNTIME,
        DBT,
        QEMU,
        IMAGE
    };
    static const struct option options[] = {
        {"seed", 1, NULL, SEED},       {"count", 1, NULL, COUNT},   {"program", 1, NULL, PROGRAM},
        {"keep", 1, NULL, KEEP},       {"a", 1, NULL, A},           {"b", 1, NULL, B},
        {"cpu", 1, NULL, CPU},         {"option", 1, NULL, OPTION}, {"no-chaos", 0, NULL, NO_CHAOS},
        {"runtime", 1, NULL, RUNTIME}, {"dbt", 1, NULL, DBT},       {"qemu", 1, NULL, QEMU},
        {"image", 1, NULL, IMAGE},     {"kernel", 0, NULL, KERNEL}, {NULL, 0, NULL, 0},
    };
    struct sys_options s = {.seed = 1,
                            .n_programs = 2000,
                            .kind_a = "jit",
                            .kind_b = "interp",
                            .runtime = "out/release/tests/system/runtime.bin",
                            .dbt = "./dbt-run",
                            .qemu = "qemu-system-riscv64"};

    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case SEED: s.seed = strtoull(optarg, NULL, 0); break;
        case COUNT: s.n_programs = strtoull(optarg, NULL, 0); break;
        case PROGRAM: s.program = optarg; break;
        case KEEP: s.keep = optarg; break;
        case A: s.kind_a = optarg; break;
        case B: s.kind_b = optarg; break;
        case CPU: s.cpu = optarg; break;
        case OPTION: s.option = optarg; break;
        case NO_CHAOS: s.no_chaos = true; break;
        case KERNEL: s.kernel = true; break;
        case RUNTIME: s.runtime = optarg; break;
        case DBT: s.dbt = optarg; break;
        case QEMU: s.qemu = optarg; break;
        case IMAGE: s.image = optarg; break;
        default: usage();
        }
    }
    return s;
}
