#include "dbt/base/log.h"

#include <stdarg.h>
#include <string.h>

struct log log_state = {.mask = 0, .out = NULL, .first = 0, .last = UINT64_MAX};

static const struct {
    const char *name;
    const char *help;
} rows[] = {
#define LOG(name, help) {#name, help},
#include "dbt/base/log.def"
#undef LOG
};

const char *log_name(unsigned i)
{
    return rows[i].name;
}

const char *log_help(unsigned i)
{
    return rows[i].help;
}

void log_line(uint32_t cats, const char *format, ...)
{
    va_list args;
    FILE *out = log_state.out ? log_state.out : stderr;

    if (!log_on(cats))
        return;
    /* gcc's undefined-behaviour checks make a path on which it is NULL, and then warn of it. */
    CHECK(format);
    flockfile(out);
    va_start(args, format);
    vfprintf(out, format, args);
    va_end(args);
    fputc('\n', out);
    funlockfile(out);
}

static bool add_name(const char *name, size_t len, struct err *e)
{
    for (unsigned i = 0; i < LOG_COUNT; i++) {
        if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0) {
            log_state.mask |= 1u << i;
            return true;
        }
    }
    return err_set(e, "-d %.*s: no such category; see `dbt-run -d help`", (int)len, name);
}

bool log_parse(const char *list, struct err *e)
{
    for (const char *p = list;;) {
        size_t len = strcspn(p, ",");

        if (!add_name(p, len, e))
            return false;
        if (p[len] == '\0')
            return true;
        p += len + 1;
    }
}
