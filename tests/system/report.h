/* What a person reads of a program, and of two tellings of it. */
#pragma once

#include "tests/system/program.h"

/* Prints the items, disassembled. */
void sys_report_program(const struct sys_program *p, const uint16_t *item, unsigned n);

/* Does what differs begin with a fault of `a` where only QEMU's board has something, or at an
 * atomic that it handles in two steps? */
bool sys_report_is_qemus(const char *a, const char *b);

/* Prints the last trap that both tell alike, and what comes next in each, to the first difference.
 */
void sys_report_difference(const char *name_a, const char *a, const char *name_b, const char *b);
