/* Machines that run an image and print a line for each of its programs: our engines, and QEMU. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "dbt/base/err.h"

/* What QEMU 7.2 has, too. */
#define SYS_QEMU_CPU "rv64,zicond=off,zawrs=off,zicbom=off,zicboz=off,svinval=off"

struct sys_machine {
    const char *kind;    /* jit, interp, check: ours; qemu */
    const char *program; /* ./dbt-run, qemu-system-riscv64 */
    const char *cpu;     /* ours: as --cpu takes it */
    const char *options; /* more of them, in words; NULL: none */
    unsigned seconds;    /* until it is stopped */
    unsigned max_insns;  /* ours: the same in virtual time; 0: never */
};

/* What it printed, in lines. */
struct sys_output {
    char *text;
    char **line;            /* into text */
    const char *last_words; /* the last line that is no program's, or NULL */
    size_t n;
    int status; /* as timeout(1) has it: 124 when it was stopped */
};

/* Starts the image; sys_machine_wait gathers. Output goes through the file `path`. */
int sys_machine_start(const struct sys_machine *m, const char *image, const char *path);
bool sys_machine_wait(int pid, const char *path, struct sys_output *out, struct err *e) MUST_CHECK;
void sys_output_free(struct sys_output *out);
