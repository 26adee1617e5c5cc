/* What the pieces of block share. Private to devices/host/block*.c. */
#pragma once

#include "devices/host/block.h"

/* ---- Where a disk's bytes are -------------------------------------------------------------- */

struct block_base;

/* Each returns 0 or an errno, on any thread. The iovecs are used up. */
struct block_base_ops {
    int (*read)(struct block_base *b, struct iovec *iov, unsigned n, uint64_t offset);
    int (*write)(struct block_base *b, struct iovec *iov, unsigned n, uint64_t offset);
    int (*flush)(struct block_base *b);
    int (*discard)(struct block_base *b, uint64_t offset, uint64_t len_bytes);
    int (*zero)(struct block_base *b, uint64_t offset, uint64_t len_bytes, bool unmap);
    /* No request is in progress. */
    void (*close)(struct block_base *b);
};

/* The first member of whatever it is. */
struct block_base {
    const struct block_base_ops *ops;
    uint64_t size; /* of the disk, a multiple of 512 */
};

/* Drops the first `done` bytes. */
void block_advance(struct iovec **iov, unsigned *n, size_t done);

/* ---- block_file.c: a file, opened, locked, read and written -------------------------------- */

struct block_file {
    struct block_base base; /* first; its size is len, up to a multiple of 512 */
    int fd;
    uint64_t len; /* bytes that the file has */
};

/* Opens a file or block device and locks it as QEMU does, so that nobody writes to it under us
 * nor we under him. `writable`: for writing. */
bool block_file_open(struct block_file *f, const char *path, bool writable,
                     struct err *e) MUST_CHECK;

/* An unlinked sparse file of that size, for what is thrown away. */
bool block_file_temporary(struct block_file *f, uint64_t size, struct err *e) MUST_CHECK;

/* ---- block_nbd.c: an image of another format, read by a server of our own ------------------- */

/* Starts a server for the image, which ends with us, and connects to it. NULL: *e says why. */
struct block_base *block_nbd_open(const char *path, const struct block_format *format,
                                  bool writable, struct err *e) MUST_CHECK;

/* ---- block_server.c: that server, as a process ---------------------------------------------- */

struct block_server {
    int pid;
    int said; /* a pipe: what it wrote to its standard error */
};

/* Starts qemu-nbd. fd[0..n) are connections to it, which are the caller's; when the last of them is
 * closed it ends. It has read nothing yet: whether it can serve the image, the first answer says,
 * or block_server_end(). */
bool block_server_start(struct block_server *s, const char *path, const char *format, bool writable,
                        int *fd, unsigned n, struct err *e) MUST_CHECK;

/* Waits until it has ended, tells it to before if it has not. Its last words, a line, are written
 * to text. */
void block_server_end(struct block_server *s, char *text, size_t room);

/* ---- block_overlay.c: changes beside an unchanged disk -----------------------------------------
 */

struct block_overlay {
    struct block_file changes;
    _Atomic uint64_t *changed; /* a bit a sector: `changes` holds it, not the base */
    size_t map_bytes;
};

bool block_overlay_open(struct block_overlay *o, uint64_t size, struct err *e) MUST_CHECK;
void block_overlay_close(struct block_overlay *o);

/* As those of block_base_ops. offset and len are multiples of 512. */
int block_overlay_read(struct block_overlay *o, struct block_base *base, struct iovec *iov,
                       unsigned n, uint64_t offset, uint64_t len_bytes);
int block_overlay_write(struct block_overlay *o, struct iovec *iov, unsigned n, uint64_t offset,
                        uint64_t len_bytes);
int block_overlay_zero(struct block_overlay *o, uint64_t offset, uint64_t len_bytes);
