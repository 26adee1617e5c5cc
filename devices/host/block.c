#define _GNU_SOURCE
#include "devices/host/block.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "devices/host/block_private.h"

enum { MAX_THREADS = 4 };

struct list {
    struct block_request *first, **last;
};

struct block {
    struct block_file file;
    struct block_overlay overlay;
    bool have_overlay, read_only, synchronous;
    void (*done)(void *arg);
    void *done_arg;

    pthread_mutex_t lock; /* all below; nothing is called under it */
    pthread_cond_t work;  /* queued is not empty, or closing */
    pthread_cond_t idle;  /* n_open is 0 */
    struct list queued, finished;
    unsigned n_open; /* submitted and not finished */
    unsigned n_threads, n_waiting;
    bool closing;
    pthread_t thread[MAX_THREADS];
};

static void append(struct list *l, struct block_request *r)
{
    r->next = NULL;
    *l->last = r;
    l->last = &r->next;
}

static struct block_request *take_first(struct list *l)
{
    struct block_request *r = l->first;

    l->first = r->next;
    if (!l->first)
        l->last = &l->first;
    return r;
}

static void list_init(struct list *l)
{
    l->first = NULL;
    l->last = &l->first;
}

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

/* ---- Threads --------------------------------------------------------------------------------- */

static void finish_locked(struct block *b, struct block_request *r)
{
    append(&b->finished, r);
    if (--b->n_open == 0)
        pthread_cond_broadcast(&b->idle);
}

/* `done` is called before idle is told: who waits for idle may then take `done` away. */
static void *work(void *arg)
{
    struct block *b = arg;

    pthread_mutex_lock(&b->lock);
    for (;;) {
        while (!b->queued.first && !b->closing) {
            b->n_waiting++;
            pthread_cond_wait(&b->work, &b->lock);
            b->n_waiting--;
        }
        if (!b->queued.first)
            break;
        struct block_request *r = take_first(&b->queued);
        void (*done)(void *arg) = b->done;
        void *done_arg = b->done_arg;

        pthread_mutex_unlock(&b->lock);
        r->error = perform(b, r);
        pthread_mutex_lock(&b->lock);
        append(&b->finished, r);
        pthread_mutex_unlock(&b->lock);
        if (done)
            done(done_arg);
        pthread_mutex_lock(&b->lock);
        if (--b->n_open == 0)
            pthread_cond_broadcast(&b->idle);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

/* Signals are for the others. */
static bool add_thread_locked(struct block *b)
{
    sigset_t all, old;
    bool ok;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    ok = pthread_create(&b->thread[b->n_threads], NULL, work, b) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    b->n_threads += ok;
    return ok;
}

void block_submit(struct block *b, struct block_request *r)
{
    pthread_mutex_lock(&b->lock);
    b->n_open++;
    if (!b->synchronous) {
        append(&b->queued, r);
        if (b->n_waiting == 0 && b->n_threads < MAX_THREADS)
            add_thread_locked(b);
        if (b->n_threads > 0) {
            pthread_cond_signal(&b->work);
            pthread_mutex_unlock(&b->lock);
            return;
        }
        take_first(&b->queued); /* No thread to be had: the queue is empty but for this. */
    }
    pthread_mutex_unlock(&b->lock);
    r->error = perform(b, r);
    pthread_mutex_lock(&b->lock);
    finish_locked(b, r);
    pthread_mutex_unlock(&b->lock);
    if (b->done)
        b->done(b->done_arg);
}

struct block_request *block_done(struct block *b)
{
    struct block_request *first;

    pthread_mutex_lock(&b->lock);
    first = b->finished.first;
    list_init(&b->finished);
    pthread_mutex_unlock(&b->lock);
    return first;
}

void block_wait(struct block *b)
{
    pthread_mutex_lock(&b->lock);
    while (b->n_open > 0)
        pthread_cond_wait(&b->idle, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

void block_on_done(struct block *b, void (*done)(void *arg), void *arg)
{
    pthread_mutex_lock(&b->lock);
    b->done = done;
    b->done_arg = arg;
    pthread_mutex_unlock(&b->lock);
}

/* ---- Life
 * ---------------------------------------------------------------------------------------- */

struct block *block_open(const struct block_config *config, struct err *e)
{
    struct block *b = calloc(1, sizeof *b);
    bool writable = !config->read_only && !config->snapshot;

    CHECK(b && "memory for a disk");
    b->read_only = config->read_only;
    b->synchronous = config->synchronous;
    if (!block_file_open(&b->file, config->path, writable, e))
        goto fail;
    b->have_overlay = config->snapshot && !config->read_only;
    if (b->have_overlay && !block_overlay_open(&b->overlay, b->file.size, e))
        goto close;
    list_init(&b->queued);
    list_init(&b->finished);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->work, NULL);
    pthread_cond_init(&b->idle, NULL);
    return b;

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
    block_wait(b);
    pthread_mutex_lock(&b->lock);
    b->closing = true;
    pthread_cond_broadcast(&b->work);
    pthread_mutex_unlock(&b->lock);
    for (unsigned i = 0; i < b->n_threads; i++)
        pthread_join(b->thread[i], NULL);
    if (b->have_overlay)
        block_overlay_close(&b->overlay);
    block_file_close(&b->file);
    pthread_cond_destroy(&b->work);
    pthread_cond_destroy(&b->idle);
    pthread_mutex_destroy(&b->lock);
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
