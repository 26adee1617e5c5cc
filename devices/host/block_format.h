/* What the file of a disk may be: the disk's bytes, or a format that qemu-nbd reads
 * (block_format.def). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The rows that share a name are one format. */
struct block_format {
    const char *name; /* QEMU's */
    const char *what; /* "a qcow2 disk image" */
};

enum { BLOCK_FORMAT_PROBED = 512 }; /* bytes of a file that tell its format */

/* ---- Any thread ------------------------------------------------------------------------------ */

/* NULL: there is none of that name. */
const struct block_format *block_format_find(const char *name);

/* By the first bytes of a file; raw when they are nothing known. */
const struct block_format *block_format_probe(const uint8_t *bytes, size_t len_bytes);

bool block_format_is_raw(const struct block_format *f);

/* All names, for a message. */
void block_format_list(char *text, size_t room);
