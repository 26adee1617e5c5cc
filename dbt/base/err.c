#include "dbt/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool err_set(struct err *e, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    return false;
}

bool err_prefix(struct err *e, const char *prefix)
{
    char old[sizeof e->text];

    memcpy(old, e->text, sizeof old);
    return err_set(e, "%.200s: %.300s", prefix, old);
}

void check_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "dbt-run: internal error: %s (%s:%d)\n", what, file, line);
    exit(EXIT_BUG); /* not _exit: what was registered gives the terminal back */
}
