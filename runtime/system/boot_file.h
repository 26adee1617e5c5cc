/* The bytes of a file, read only, and of what was packed in it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "dbt/base/err.h"

struct boot_file {
    const char *path;    /* borrowed */
    const uint8_t *data; /* a mapping of map_len bytes */
    size_t len;
    size_t map_len;
};

/* Regular files and pipes; of a pipe, no more than `limit` bytes. */
bool boot_file_open(struct boot_file *f, const char *path, uint64_t limit,
                    struct err *e) MUST_CHECK;
void boot_file_close(struct boot_file *f);

/* For whoever fills f: twice the room, or `first` bytes. False when the host has no memory. */
bool boot_file_grow(struct boot_file *f, size_t first) MUST_CHECK;

enum boot_packing { PACKED_GZIP, PACKED_ZSTD };

/* Unpacks `len` bytes at `data`, part of the file `path`; the result may have up to
 * `limit` bytes. */
bool boot_unpack(struct boot_file *out, const char *path, enum boot_packing packing,
                 const uint8_t *data, size_t len, uint64_t limit, struct err *e) MUST_CHECK;
