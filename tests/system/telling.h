/* A telling is what a verbose program prints: tokens of a letter, 16 digits and a space
 * (runtime.S, `tell`). */
#pragma once

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { TOKEN = 18 };

/* How long two tellings are the same. */
static inline size_t same_tokens(const char *a, const char *b)
{
    size_t same = 0;

    while (a[same] && a[same] == b[same])
        same++;
    return same - same % TOKEN;
}

static inline uint64_t token_value(const char *text, size_t at)
{
    uint64_t value = UINT64_MAX;

    if (at + TOKEN <= strlen(text))
        sscanf(text + at + 1, "%16" SCNx64, &value);
    return value;
}

/* UINT64_MAX if another letter stands there. */
static inline uint64_t token(const char *text, size_t at, char letter)
{
    return at < strlen(text) && text[at] == letter ? token_value(text, at) : UINT64_MAX;
}

static inline bool is_trap(char letter)
{
    return letter == 'T' || letter == 'S';
}
