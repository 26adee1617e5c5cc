#define _GNU_SOURCE
#include "devices/host/block.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/host/block_private.h"

struct block {
    struct pool pool;
    struct block_base *base; /* &file, or a server's */
    struct block_file file;
    struct block_overlay overlay;
    bool have_overlay, read_only;
    bool guarded;      /* the first sector stays a raw disk's: see block_config.format */
    _Atomic bool told; /* that a format was refused */
    _Atomic bool said; /* that an error came from the host */
    char *path;
};

/* ---- Doing a request ---------------------------------------------------------------------- */

/* The first sector, and what stands behind it. The guest may change the bytes at any moment: those
 * that are looked at are those that are written. */
static int write_guarded(struct block *b, struct iovec *iov, unsigned n)
{
    uint8_t first[BLOCK_FORMAT_PROBED];
    struct iovec piece = {first, sizeof first};
    const struct block_format *format;
    int error;

    for (size_t at = 0; at < sizeof first;) {
        size_t len = iov->iov_len < sizeof first - at ? iov->iov_len : sizeof first - at;

        memcpy(first + at, iov->iov_base, len);
        block_advance(&iov, &n, len);
        at += len;
    }
    format = block_format_probe(first, sizeof first);
    if (!block_format_is_raw(format)) {
        if (!atomic_exchange(&b->told, true))
            fprintf(stderr,
                    "dbt-run: the guest may not make %s of its raw disk; format=raw lets it\n",
                    format->what);
        return EPERM;
    }
    error = b->base->ops->write(b->base, &piece, 1, 0);
    return error || n == 0 ? error : b->base->ops->write(b->base, iov, n, sizeof first);
}

/* Of the caller's own iovecs nothing is used up. */
static int transfer(struct block *b, const struct block_request *r)
{
    struct iovec iov[IOV_MAX];

    memcpy(iov, r->iov, r->n_iov * sizeof *iov);
    if (r->op == BLOCK_READ)
        return b->have_overlay
                   ? block_overlay_read(&b->overlay, b->base, iov, r->n_iov, r->offset, r->len)
                   : b->base->ops->read(b->base, iov, r->n_iov, r->offset);
    if (b->have_overlay)
        return block_overlay_write(&b->overlay, iov, r->n_iov, r->offset, r->len);
    if (b->guarded && r->offset < BLOCK_FORMAT_PROBED && r->len > 0)
        return write_guarded(b, iov, r->n_iov);
    return b->base->ops->write(b->base, iov, r->n_iov, r->offset);
}

/* What is thrown away need not be safe. */
static int flush(struct block *b)
{
    return b->have_overlay || b->read_only ? 0 : b->base->ops->flush(b->base);
}

static int zero(struct block *b, const struct block_request *r)
{
    if (b->have_overlay)
        return block_overlay_zero(&b->overlay, r->offset, r->len);
    return r->len ? b->base->ops->zero(b->base, r->offset, r->len, r->unmap) : 0;
}

static int discard(struct block *b, const struct block_request *r)
{
    if (b->have_overlay)
        return block_overlay_zero(&b->overlay, r->offset, r->len);
    return r->len ? b->base->ops->discard(b->base, r->offset, r->len) : 0;
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

/* The guest hears of an I/O error; what it was, that the host's disk is full, only a person can
 * mend, who hears it once. */
static void say_error(struct block *b, int error)
{
    if (error == EROFS || error == EPERM || atomic_exchange(&b->said, true))
        return;
    fprintf(stderr, "\r\ndbt-run: %s%s: %s; the guest gets I/O errors\r\n",
            b->have_overlay ? "the snapshot (in TMPDIR) of " : "", b->path, strerror(error));
}

static void run(void *arg, struct pool_job *job)
{
    struct block_request *r = (struct block_request *)(void *)job;
    struct block *b = arg;

    r->error = perform(b, r);
    if (r->error)
        say_error(b, r->error);
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

/* What the file's first bytes say. A file that cannot be read is raw here: opening it will say
 * why. Not blocking: it may be a pipe. */
static const struct block_format *probe(const char *path)
{
    uint8_t first[BLOCK_FORMAT_PROBED];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : pread(fd, first, sizeof first, 0);

    if (fd >= 0)
        close(fd);
    return block_format_probe(first, n < 0 ? 0 : (size_t)n);
}

static bool open_base(struct block *b, const struct block_config *config, struct err *e)
{
    const struct block_format *format = config->format ? config->format : probe(config->path);
    bool writable = !config->read_only && !config->snapshot;

    if (block_format_is_raw(format)) {
        b->guarded = !config->format;
        b->base = &b->file.base;
        return block_file_open(&b->file, config->path, writable, e);
    }
    b->base = block_nbd_open(config->path, format, writable, e);
    return b->base != NULL;
}

struct block *block_open(const struct block_config *config, struct err *e)
{
    struct block *b = calloc(1, sizeof *b);

    CHECK(b && "memory for a disk");
    b->read_only = config->read_only;
    b->path = strdup(config->path);
    CHECK(b->path && "memory for a disk");
    if (!open_base(b, config, e))
        goto fail;
    b->have_overlay = config->snapshot && !config->read_only;
    if (b->have_overlay && !block_overlay_open(&b->overlay, b->base->size, e))
        goto close;
    if (pool_init(&b->pool, run, b, config->synchronous, e))
        return b;
    if (b->have_overlay)
        block_overlay_close(&b->overlay);

close:
    b->base->ops->close(b->base);
fail:
    free(b->path);
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
    b->base->ops->close(b->base);
    free(b->path);
    free(b);
}

uint64_t block_size(const struct block *b)
{
    return b->base->size;
}

bool block_is_read_only(const struct block *b)
{
    return b->read_only;
}
