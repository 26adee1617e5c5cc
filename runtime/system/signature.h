/* --signature=FILE[,BEGIN,END]: what a test program computed, as the RISC-V architecture tests
 * compare it. The memory between two symbols of its ELF file becomes text: a 32-bit word a
 * line, eight lower-case hexadecimal digits, the lowest address first. That is Spike's
 * `+signature=FILE +signature-granularity=4`; a last word that is not whole is filled with
 * zeros, as there. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "dbt/base/err.h"

enum { SIGNATURE_FILE_ROOM = 4096, SIGNATURE_SYMBOL_ROOM = 256 };

struct signature {
    char file[SIGNATURE_FILE_ROOM];
    char begin[SIGNATURE_SYMBOL_ROOM], end[SIGNATURE_SYMBOL_ROOM];
};

/* Takes the option's value apart. */
bool signature_parse(struct signature *s, const char *text, struct err *e) MUST_CHECK;

void signature_print(FILE *out, const uint8_t *data, size_t len_bytes);
