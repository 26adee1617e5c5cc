/* Errors that come from outside: one line for a person, passed up by the
 * functions that return false or NULL. The text says what was wrong, with which
 * file or address, and what to do. */
#pragma once

#include <stdbool.h>

#include "dbt/base/check.h"

struct err {
    char text[512];
};

/* Writes the line (cut at 511 bytes). Always returns false, so that a caller
 * can `return err_set(...)`. Any thread; `e` is the caller's. */
bool err_set(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts `prefix: ` before the text that is there. Always returns false. */
bool err_prefix(struct err *e, const char *prefix);
