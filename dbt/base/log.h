/* The -d categories: a bit each, and where their lines go. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "dbt/base/err.h"

enum log_bit {
#define LOG(name, help) LOG_##name##_bit,
#include "dbt/base/log.def"
#undef LOG
    LOG_COUNT
};

enum log_cat {
#define LOG(name, help) LOG_##name = 1u << LOG_##name##_bit,
#include "dbt/base/log.def"
#undef LOG
};

struct log {
    uint32_t mask;  /* log_cat bits that are on */
    FILE *out;      /* borrowed; stderr by default */
    uint64_t first; /* --filter: guest pc in [first, last] for block dumps */
    uint64_t last;
};

/* The one log of the process: set before the first hart runs, only read then
 * (one of the two mutable globals that README.md names). */
extern struct log log_state;

static inline bool log_on(uint32_t cats)
{
    return __builtin_expect((log_state.mask & cats) != 0, 0);
}

/* Is this guest pc inside --filter? */
static inline bool log_in_filter(uint64_t pc)
{
    return pc >= log_state.first && pc <= log_state.last;
}

/* One line into the log, when `cats` is on. Any thread. */
void log_line(uint32_t cats, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Parses a comma list of category names into log_state.mask. */
bool log_parse(const char *list, struct err *e) MUST_CHECK;

/* Name and help of category i, 0 <= i < LOG_COUNT. */
const char *log_name(unsigned i);
const char *log_help(unsigned i);
