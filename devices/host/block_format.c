#include "devices/host/block_format.h"

#include <string.h>

static const struct {
    struct block_format format;
    uint32_t offset, len;
    const char *bytes;
} rows[] = {
#define BLOCK_FORMAT(name, offset, bytes, what) {{#name, what}, offset, sizeof bytes - 1, bytes},
#include "devices/host/block_format.def"
#undef BLOCK_FORMAT
};

enum { N_ROWS = sizeof rows / sizeof rows[0], RAW = 0 };

const struct block_format *block_format_find(const char *name)
{
    for (unsigned i = 0; i < N_ROWS; i++)
        if (strcmp(rows[i].format.name, name) == 0)
            return &rows[i].format;
    return NULL;
}

const struct block_format *block_format_probe(const uint8_t *bytes, size_t len_bytes)
{
    for (unsigned i = 0; i < N_ROWS; i++)
        if (rows[i].len > 0 && rows[i].offset + rows[i].len <= len_bytes &&
            memcmp(bytes + rows[i].offset, rows[i].bytes, rows[i].len) == 0)
            return &rows[i].format;
    return &rows[RAW].format;
}

bool block_format_is_raw(const struct block_format *f)
{
    return f == &rows[RAW].format;
}

void block_format_list(char *text, size_t room)
{
    const char *last = "";
    size_t n = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < N_ROWS; i++) {
        const char *name = rows[i].format.name;
        size_t len = strlen(name);

        if (strcmp(name, last) == 0 || n + len + 3 > room)
            continue;
        memcpy(text + n, n > 0 ? ", " : "", n > 0 ? 2 : 0);
        n += n > 0 ? 2 : 0;
        memcpy(text + n, name, len + 1);
        n += len;
        last = name;
    }
}
