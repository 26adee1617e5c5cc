/* What system_diff is asked for. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sys_options {
    uint64_t seed, n_programs;
    const char *program; /* the one of this seed; NULL: n_programs from `seed` on */
    const char *keep;    /* its items; NULL: all */
    const char *kind_a, *kind_b;
    const char *cpu;    /* NULL: what both kinds have */
    const char *option; /* more of dbt's; NULL: none */
    const char *runtime, *dbt, *qemu;
    const char *image; /* where to keep the last; NULL: nowhere */
    bool no_chaos;
    bool kernel; /* SYS_KERNEL */
};

/* Ends the program, with its usage, where it cannot be understood. */
struct sys_options sys_options(int argc, char **argv);
