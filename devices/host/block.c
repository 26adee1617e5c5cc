#define _GNU_SOURCE
#include "devices/host/block.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "devices/host/block_private.h"

struct block {
    struct pool pool;
    struct block_file file;
    struct block_overlay overlay;
    bool have_overlay, read_only;
};

/* ---- Doing a request ---------------------------------------------------------------------- */

/* Of the caller's own iovecs nothing is used up. */
static int transfer(struct block *b, const struct block_request *r)
{
    struct iovec iov[IOV_MAX];

    memcpy(iov, r->iov, r->n_iov * sizeof *iov);
    if (r->op == BLOCK_READ)
        return b->have_overlay
                   ? block_overlay_read(&b->overlay, &b->file, iov, r->n_iov, r->offset, r->len)
                   : block_file_read(&b->file, iov, r->n_iov, r->offset);
    return b->have_overlay ? block_overlay_write(&b->overlay, iov, r->n_iov, r->offset, r->len)
                           : block_file_write(&b->file, iov, r->n_iov, r->offset);
}

/* What is thrown away need not be safe. */
static int flush(const struct block *b)
{
    return b->have_overlay || b->read_only ? 0 : block_file_flush(&b->file);
}

static int zero(struct block *b, const struct block_request *r)
{
    if (b->have_overlay)
        return block_overlay_zero(&b->overlay, r->offset, r->len);
    return block_file_zero(&b->file, r->offset, r->len, r->unmap);
}

static int discard(struct block *b, const struct block_request *r)
{
    if (b->have_overlay)
        return block_overlay_zero(&b->overlay, r->offset, r->len);
    return block_file_discard(&b->file, r->offset, r->len);
}

static int perform(struct block *b, const struct block_request *r)
{
    int error;

    if (r->op == BLOCK_FLUSH)
        return flush(b);
    if (r->op == BLOCK_READ)
        return transfer(b, r);
    if (b->read_only)
        return EROFS;
    if (r->op == BLOCK_DISCARD)
        return discard(b, r);
    error = r->op == BLOCK_ZERO ? zero(b, r) : transfer(b, r);
    return error || !r->durable ? error : flush(b);
}

static void run(void *arg, struct pool_job *job)
{
    struct block_request *r = (struct block_request *)(void *)job;

    r->error = perform(arg, r);
}

/* ---- The pool of threads ----------------------------------------------------------------- */

void block_submit(struct block *b, struct block_request *r)
{
    pool_submit(&b->pool, &r->job);
}

struct block_request *block_done(struct block *b)
{
    return (struct block_request *)(void *)pool_done(&b->pool);
}

struct block_request *block_next(const struct block_request *r)
{
    return (struct block_request *)(void *)r->job.next;
}

void block_wait(struct block *b)
{
    pool_wait(&b->pool);
}

void block_on_done(struct block *b, void (*done)(void *arg), void *arg)
{
    pool_on_done(&b->pool, done, arg);
}

/* ---- Life -------------------------------------------------------------------------------- */

struct block *block_open(const struct block_config *config, struct err *e)
{
    struct block *b = calloc(1, sizeof *b);
    bool writable = !config->read_only && !config->snapshot;

    CHECK(b && "memory for a disk");
    b->read_only = config->read_only;
    if (!block_file_open(&b->file, config->path, writable, e))
        goto fail;
    b->have_overlay = config->snapshot && !config->read_only;
    if (b->have_overlay && !block_overlay_open(&b->overlay, b->file.size, e))
        goto close;
    if (pool_init(&b->pool, run, b, config->synchronous, e))
        return b;
    if (b->have_overlay)
        block_overlay_close(&b->overlay);

close:
    block_file_close(&b->file);
fail:
    free(b);
    return NULL;
}

void block_close(struct block *b)
{
    if (!b)
        return;
    pool_fini(&b->pool);
    if (b->have_overlay)
        block_overlay_close(&b->overlay);
    block_file_close(&b->file);
    free(b);
}

uint64_t block_size(const struct block *b)
{
    return b->file.size;
}

bool block_is_read_only(const struct block *b)
{
    return b->read_only;
}
