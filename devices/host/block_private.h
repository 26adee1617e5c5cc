/* What the pieces of block share. Private to devices/host/block*.c. */
#pragma once

#include "devices/host/block.h"

/* ---- block_file.c: a file, opened, locked, read and written -------------------------------- */

struct block_file {
    int fd;
    uint64_t len;  /* bytes that the file has */
    uint64_t size; /* of the disk: len, up to a multiple of 512 */
};

/* Opens a file or block device and locks it as QEMU does, so that nobody writes to it under us
 * nor we under him. `writable`: for writing. */
bool block_file_open(struct block_file *f, const char *path, bool writable,
                     struct err *e) MUST_CHECK;

/* An unlinked sparse file of that size, for what is thrown away. */
bool block_file_temporary(struct block_file *f, uint64_t size, struct err *e) MUST_CHECK;
void block_file_close(struct block_file *f);

/* Each returns 0 or an errno. Any thread. The iovecs are used up. */
int block_file_read(const struct block_file *f, struct iovec *iov, unsigned n, uint64_t offset);
int block_file_write(const struct block_file *f, struct iovec *iov, unsigned n, uint64_t offset);
int block_file_flush(const struct block_file *f);
int block_file_discard(const struct block_file *f, uint64_t offset, uint64_t len_bytes);
int block_file_zero(const struct block_file *f, uint64_t offset, uint64_t len_bytes, bool unmap);

/* ---- block_overlay.c: changes beside an unchanged file -----------------------------------------
 */

struct block_overlay {
    struct block_file changes;
    _Atomic uint64_t *changed; /* a bit a sector: `changes` holds it, not the base */
    size_t map_bytes;
};

bool block_overlay_open(struct block_overlay *o, uint64_t size, struct err *e) MUST_CHECK;
void block_overlay_close(struct block_overlay *o);

/* As those of block_file, any thread. offset and len are multiples of 512. */
int block_overlay_read(const struct block_overlay *o, const struct block_file *base,
                       struct iovec *iov, unsigned n, uint64_t offset, uint64_t len_bytes);
int block_overlay_write(struct block_overlay *o, struct iovec *iov, unsigned n, uint64_t offset,
                        uint64_t len_bytes);
int block_overlay_zero(struct block_overlay *o, uint64_t offset, uint64_t len_bytes);
