/* A disk image that qemu-nbd serves. libnbd's calls wait for their answers, so there is a
 * connection a thread of the pool. What is scattered in guest memory goes through a buffer of the
 * connection's: a request apiece would unpack a compressed cluster once for each page.
 *
 * libnbd is loaded when the first image needs it: with what it needs itself (TLS, XML) it would
 * double the time in which a small guest starts and ends. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <libnbd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dbt/base/bits.h"
#include "devices/host/block_private.h"
#include "devices/host/pool.h"

enum { SECTOR = 512, N_CONNECTIONS = POOL_MAX_THREADS, BUFFER = 1 << 20, MAX_RANGE = 1 << 30 };

#define NBD_CALLS(CALL)                                                                            \
    CALL(create)                                                                                   \
    CALL(close)                                                                                    \
    CALL(connect_socket)                                                                           \
    CALL(shutdown)                                                                                 \
    CALL(get_size)                                                                                 \
    CALL(can_multi_conn)                                                                           \
    CALL(can_trim)                                                                                 \
    CALL(pread)                                                                                    \
    CALL(pwrite)                                                                                   \
    CALL(flush)                                                                                    \
    CALL(trim)                                                                                     \
    CALL(zero)                                                                                     \
    CALL(aio_is_ready)                                                                             \
    CALL(get_errno)

struct nbd_calls {
#define CALL(name) __typeof__(&nbd_##name) name;
    NBD_CALLS(CALL)
#undef CALL
};

struct connection {
    struct nbd_handle *nbd; /* NULL: the server wants one connection only */
    uint8_t *buffer;
    struct connection *next; /* of those that are free */
};

struct block_nbd {
    struct block_base base; /* first */
    struct nbd_calls call;
    struct block_server server;
    char *path;
    bool can_trim;
    struct connection connection[N_CONNECTIONS];
    pthread_mutex_t lock; /* all below */
    pthread_cond_t is_free;
    struct connection *free;
    bool ended; /* the server has, and the user was told */
};

static struct block_nbd *nbd_of(struct block_base *b)
{
    return (struct block_nbd *)(void *)b;
}

/* ---- Connections ---------------------------------------------------------------------------- */

static struct connection *borrow(struct block_nbd *b)
{
    struct connection *c;

    pthread_mutex_lock(&b->lock);
    while (!b->free)
        pthread_cond_wait(&b->is_free, &b->lock);
    c = b->free;
    b->free = c->next;
    pthread_mutex_unlock(&b->lock);
    return c;
}

static void give_back(struct block_nbd *b, struct connection *c)
{
    pthread_mutex_lock(&b->lock);
    c->next = b->free;
    b->free = c;
    pthread_cond_signal(&b->is_free);
    pthread_mutex_unlock(&b->lock);
}

/* The server is gone: it is waited for, and its user told why, once. */
static void end_server(struct block_nbd *b)
{
    char said[256];

    pthread_mutex_lock(&b->lock);
    if (!b->ended) {
        block_server_end(&b->server, said, sizeof said);
        fprintf(stderr,
                "dbt-run: %s: qemu-nbd does not answer: %s; the guest's disk gives errors\n",
                b->path, said);
    }
    b->ended = true;
    pthread_mutex_unlock(&b->lock);
}

/* The errno of a call of the connection's that returned `result`. */
static int error_of(struct block_nbd *b, const struct connection *c, int result)
{
    int error;

    if (result == 0)
        return 0;
    error = b->call.get_errno();
    if (b->call.aio_is_ready(c->nbd) == 1)
        return error > 0 ? error : EIO;
    end_server(b);
    return EIO;
}

/* ---- Requests ------------------------------------------------------------------------------- */

/* How much of the pieces goes at once, and is it one piece? */
static size_t next_part(const struct iovec *iov, unsigned n, bool *whole)
{
    size_t len = 0;

    /* What is cut off stays a number of sectors. */
    *whole = n == 1 || iov->iov_len >= BUFFER;
    if (*whole)
        return iov->iov_len < BUFFER ? iov->iov_len : BUFFER;
    for (unsigned i = 0; i < n && len < BUFFER; i++)
        len += iov[i].iov_len;
    return len < BUFFER ? len : BUFFER;
}

/* Copies between the buffer and the pieces, which are used up. */
static void copy(uint8_t *buffer, struct iovec **iov, unsigned *n, size_t len_bytes, bool to_buffer)
{
    while (len_bytes > 0) {
        size_t len = (*iov)->iov_len < len_bytes ? (*iov)->iov_len : len_bytes;

        if (to_buffer)
            memcpy(buffer, (*iov)->iov_base, len);
        else
            memcpy((*iov)->iov_base, buffer, len);
        block_advance(iov, n, len);
        buffer += len;
        len_bytes -= len;
    }
}

static int nbd_read(struct block_base *base, struct iovec *iov, unsigned n, uint64_t offset)
{
    struct block_nbd *b = nbd_of(base);
    struct connection *c = borrow(b);
    int error = 0;

    while (n > 0 && !error) {
        bool whole;
        size_t len = next_part(iov, n, &whole);
        uint8_t *to = whole ? iov->iov_base : c->buffer;

        error = error_of(b, c, b->call.pread(c->nbd, to, len, offset, 0));
        if (whole)
            block_advance(&iov, &n, len);
        else if (!error)
            copy(c->buffer, &iov, &n, len, false);
        offset += len;
    }
    give_back(b, c);
    return error;
}

static int nbd_write(struct block_base *base, struct iovec *iov, unsigned n, uint64_t offset)
{
    struct block_nbd *b = nbd_of(base);
    struct connection *c = borrow(b);
    int error = 0;

    while (n > 0 && !error) {
        bool whole;
        size_t len = next_part(iov, n, &whole);
        const uint8_t *from = whole ? iov->iov_base : c->buffer;

        if (whole)
            block_advance(&iov, &n, len);
        else
            copy(c->buffer, &iov, &n, len, true);
        error = error_of(b, c, b->call.pwrite(c->nbd, from, len, offset, 0));
        offset += len;
    }
    give_back(b, c);
    return error;
}

/* Of what was written through any connection: there is one image behind all. */
static int nbd_flush_all(struct block_base *base)
{
    struct block_nbd *b = nbd_of(base);
    struct connection *c = borrow(b);
    int error = error_of(b, c, b->call.flush(c->nbd, 0));

    give_back(b, c);
    return error;
}

static int each_range(struct block_base *base, uint64_t offset, uint64_t len_bytes, uint32_t flags,
                      int (*call)(struct nbd_handle *h, uint64_t len, uint64_t offset,
                                  uint32_t flags))
{
    struct block_nbd *b = nbd_of(base);
    struct connection *c = borrow(b);
    int error = 0;

    while (len_bytes > 0 && !error) {
        uint64_t len = len_bytes < MAX_RANGE ? len_bytes : MAX_RANGE;

        error = error_of(b, c, call(c->nbd, len, offset, flags));
        offset += len;
        len_bytes -= len;
    }
    give_back(b, c);
    return error;
}

/* A format that cannot need not. */
static int nbd_discard(struct block_base *base, uint64_t offset, uint64_t len_bytes)
{
    struct block_nbd *b = nbd_of(base);
    int error = b->can_trim ? each_range(base, offset, len_bytes, 0, b->call.trim) : 0;

    return error == EOPNOTSUPP ? 0 : error;
}

static int nbd_zero_range(struct block_base *base, uint64_t offset, uint64_t len_bytes, bool unmap)
{
    return each_range(base, offset, len_bytes, unmap ? 0 : LIBNBD_CMD_FLAG_NO_HOLE,
                      nbd_of(base)->call.zero);
}

/* ---- Life -------------------------------------------------------------------------------------
 */

static void close_connections(struct block_nbd *b)
{
    for (unsigned i = 0; i < N_CONNECTIONS; i++) {
        struct connection *c = &b->connection[i];

        if (c->nbd && b->call.aio_is_ready(c->nbd) == 1)
            b->call.shutdown(c->nbd, 0);
        if (c->nbd)
            b->call.close(c->nbd);
        free(c->buffer);
    }
}

static void destroy(struct block_nbd *b)
{
    pthread_cond_destroy(&b->is_free);
    pthread_mutex_destroy(&b->lock);
    free(b->path);
    free(b);
}

static void nbd_end(struct block_base *base)
{
    struct block_nbd *b = nbd_of(base);
    char said[256];

    close_connections(b);
    if (!b->ended)
        block_server_end(&b->server, said, sizeof said);
    destroy(b);
}

static const struct block_base_ops nbd_ops = {
    .read = nbd_read,
    .write = nbd_write,
    .flush = nbd_flush_all,
    .discard = nbd_discard,
    .zero = nbd_zero_range,
    .close = nbd_end,
};

static bool load(struct nbd_calls *calls, const char *path, struct err *e)
{
    void *lib = dlopen("libnbd.so.0", RTLD_NOW); /* stays for good */
    bool ok = lib != NULL;

#define CALL(name)                                                                                 \
    if (ok) {                                                                                      \
        *(void **)(void *)&calls->name = dlsym(lib, "nbd_" #name);                                 \
        ok = calls->name != NULL;                                                                  \
    }
    NBD_CALLS(CALL)
#undef CALL
    return ok || err_set(e, "%s: %s; install the package libnbd0 (scripts/deps.sh formats)", path,
                         dlerror());
}

/* The socket is the handle's from now on. */
static bool connect_one(struct block_nbd *b, struct connection *c, int fd)
{
    c->nbd = b->call.create();
    c->buffer = malloc(BUFFER);
    CHECK(c->nbd && c->buffer && "memory for a connection");
    if (b->call.connect_socket(c->nbd, fd) != 0)
        return false;
    give_back(b, c);
    return true;
}

/* What was written through one connection must be there for the flush of another: a server that
 * does not promise that gets one. */
static bool connect_all(struct block_nbd *b, const int *fd)
{
    bool ok = connect_one(b, &b->connection[0], fd[0]);
    bool many = ok && b->call.can_multi_conn(b->connection[0].nbd) == 1;

    for (unsigned i = 1; i < N_CONNECTIONS; i++) {
        if (ok && many)
            ok = connect_one(b, &b->connection[i], fd[i]);
        else
            close(fd[i]);
    }
    return ok;
}

/* qemu-nbd's words without what is said anyway: "qemu-nbd: Failed to blk_new_open 'x': ". */
static bool refuse(const char *path, bool writable, const char *said, struct err *e)
{
    const char *why = strstr(said, "': ");

    if (strstr(said, "\" lock")) /* "Failed to get "write" lock" */
        return err_set(e,
                       writable ? "%s is in use by another machine; end that first, or give both "
                                  "readonly=on or snapshot=on"
                                : "%s is being written to by another machine; end that first",
                       path);
    if (strncmp(said, "qemu-nbd: ", 10) == 0)
        said += 10;
    if (why && strncmp(said, "Failed to", 9) == 0)
        said = why + 3;
    return err_set(e, "%s: qemu-nbd cannot open it: %s", path, said);
}

struct block_base *block_nbd_open(const char *path, const struct block_format *format,
                                  bool writable, struct err *e)
{
    struct block_nbd *b = calloc(1, sizeof *b);
    int fd[N_CONNECTIONS];
    char said[256];
    int64_t size;

    CHECK(b && "memory for a disk");
    b->base.ops = &nbd_ops;
    b->path = strdup(path);
    CHECK(b->path && "memory for a disk");
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->is_free, NULL);
    if (access(path, F_OK) != 0) {
        err_set(e, "cannot open %s: %s", path, strerror(errno));
        goto fail;
    }
    if (writable && access(path, W_OK) != 0) {
        err_set(e,
                "cannot open %s for writing: %s; readonly=on or snapshot=on leave it "
                "as it is",
                path, strerror(errno));
        goto fail;
    }
    if (!load(&b->call, path, e) ||
        !block_server_start(&b->server, path, format->name, writable, fd, N_CONNECTIONS, e))
        goto fail;
    if (!connect_all(b, fd)) {
        close_connections(b);
        block_server_end(&b->server, said, sizeof said);
        refuse(path, writable, said, e);
        goto fail;
    }
    size = b->call.get_size(b->connection[0].nbd);
    b->can_trim = b->call.can_trim(b->connection[0].nbd) == 1;
    b->base.size = size > 0 ? align_down((uint64_t)size, SECTOR) : 0;
    if (b->base.size > 0)
        return &b->base;
    nbd_end(&b->base);
    err_set(e, "%s is an empty disk; qemu-img resize %s 1G would give it room", path, path);
    return NULL;

fail:
    destroy(b);
    return NULL;
}
