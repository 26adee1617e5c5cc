/* The host's side of a disk: a raw file or a block device, or an image of another format, which a
 * qemu-nbd of our own reads; read and written by threads of its own. Requests are independent of
 * each other, as a disk's are: whoever needs an order waits. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "dbt/base/err.h"
#include "devices/host/block_format.h"
#include "devices/host/pool.h"

struct block;

struct block_config {
    const char *path; /* borrowed until block_open() returns */
    /* NULL: what its first bytes say. A raw disk that was found so is kept from becoming another
     * format's by what the guest writes: it would choose the files that are read next time. */
    const struct block_format *format;
    bool read_only;
    bool snapshot; /* writes go to a temporary file, and are gone at the end */
    /* A request is done when block_submit() returns. Makes runs repeatable. */
    bool synchronous;
};

enum block_op {
    BLOCK_READ,
    BLOCK_WRITE,
    BLOCK_FLUSH,   /* what was written before survives a loss of power */
    BLOCK_DISCARD, /* the range's contents do not matter any more; may do nothing */
    BLOCK_ZERO,    /* reads as zeros from now on */
};

/* Owned by whoever submits it, untouched by him until block_done() returns it. */
struct block_request {
    struct pool_job job; /* first */
    enum block_op op;
    bool durable;         /* WRITE, ZERO: flushed before it is done */
    bool unmap;           /* ZERO: give the space back if that is possible */
    uint64_t offset, len; /* bytes of the disk, within block_size() */
    const struct iovec *iov;
    unsigned n_iov; /* READ, WRITE: len bytes, IOV_MAX pieces at most */
    int error;      /* afterwards: 0, or the host's errno */
};

/* ---- The main thread --------------------------------------------------------------------- */

/* Opens and locks. NULL: *e says why, and what to do. */
struct block *block_open(const struct block_config *config, struct err *e) MUST_CHECK;

/* Waits for what is in progress. Requests that are done and were not taken are forgotten. */
void block_close(struct block *b);

/* `done` is called, on any thread, when block_done() has something new. */
void block_on_done(struct block *b, void (*done)(void *arg), void *arg);

/* ---- Any one thread at a time ---------------------------------------------------------------- */

/* In bytes, a multiple of 512. */
uint64_t block_size(const struct block *b);
bool block_is_read_only(const struct block *b);

void block_submit(struct block *b, struct block_request *r);

/* The first of the requests that are done since the last call, oldest first; NULL: none. The one
 * behind it is block_next(), to be asked before a request is given up. */
struct block_request *block_done(struct block *b);
struct block_request *block_next(const struct block_request *r);

/* Returns when no request is in progress: block_done() has them all. */
void block_wait(struct block *b);
