/* What a person reads of a program, and of two tellings of it. */
#pragma once

#include "tests/system/program.h"

/* Prints the items, disassembled. */
void sys_report_program(const struct sys_program *p, const uint16_t *item, unsigned n);

/* Prints the last trap that both tell alike, and what comes next in each, to the first difference.
 */
void sys_report_difference(const char *name_a, const char *a, const char *name_b, const char *b);
