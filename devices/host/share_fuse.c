#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "dbt/base/check.h"
#include "dbt/base/log.h"
#include "devices/host/share_private.h"
#include "devices/virtio/dma.h"

enum {
    MAX_BACKGROUND = 64,
    /* For how long the guest may believe a name or attributes without asking again: what the
     * host changes is seen after that at the latest. */
    VALID_SECONDS = 1,
    MIN_MINOR = 31, /* Linux 5.4, the first with virtiofs */
    OUR_MINOR = 36,
};

/* ---- Sessions ------------------------------------------------------------------------------- */

static int init(struct share_call *c)
{
    const uint32_t wanted = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
                            FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO |
                            FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES;
    struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
                                .minor = OUR_MINOR,
                                .max_readahead = c->in.init.max_readahead,
                                .flags = c->in.init.flags & wanted,
                                .max_background = MAX_BACKGROUND,
                                .congestion_threshold = MAX_BACKGROUND * 3 / 4,
                                .max_write = SHARE_MAX_BYTES,
                                .time_gran = 1,
                                .max_pages = SHARE_MAX_PAGES};

    if (c->in.init.major < FUSE_KERNEL_VERSION ||
        (c->in.init.major == FUSE_KERNEL_VERSION && c->in.init.minor < MIN_MINOR))
        return EPROTO;
    share_answer(c, &out, sizeof out);
    /* Newer than we know: the guest asks again, with our version. */
    if (c->in.init.major > FUSE_KERNEL_VERSION)
        return 0;
    share_reset(c->s);
    c->s->is_ready = true;
    return 0;
}

static int destroy(struct share_call *c)
{
    share_reset(c->s);
    return 0;
}

static int forget(struct share_call *c)
{
    share_node_forget(c->s, c->h.nodeid, c->in.forget.nlookup);
    return 0;
}

static int batch_forget(struct share_call *c)
{
    size_t at = sizeof c->h + sizeof c->in.batch_forget;
    struct fuse_forget_one one;

    for (uint32_t i = 0; i < c->in.batch_forget.count && at + sizeof one <= c->h.len; i++) {
        dma_gather(c->r->out, c->r->n_out, at, &one, sizeof one);
        share_node_forget(c->s, one.nodeid, one.nlookup);
        at += sizeof one;
    }
    return 0;
}

/* A request that goes on is not broken off: none takes long. */
static int interrupt(struct share_call *c)
{
    (void)c;
    return 0;
}

/* ---- The requests ------------------------------------------------------------------------------
 */

enum { CHANGES = 1, NO_NODE = 2, MORE = 4, SILENT = 8, ANY_TIME = 16 };

/* Bytes. */
enum {
    ANSWER_none = 0,
    ANSWER_entry_out = sizeof(struct fuse_entry_out),
    ANSWER_attr_out = sizeof(struct fuse_attr_out),
    ANSWER_open_out = sizeof(struct fuse_open_out),
    ANSWER_created_out = ANSWER_entry_out + ANSWER_open_out,
    ANSWER_write_out = sizeof(struct fuse_write_out),
    ANSWER_statfs_out = sizeof(struct fuse_statfs_out),
    ANSWER_init_out = sizeof(struct fuse_init_out),
    ANSWER_lseek_out = sizeof(struct fuse_lseek_out),
};

struct op {
    int (*run)(struct share_call *c);
    uint8_t args; /* bytes, as all here */
    uint8_t n_names;
    uint8_t flags;
    uint8_t room;
};

static const struct op ops[] = {
#define OP(request, run, args, n_names, flags, answer)                                             \
    [FUSE_##request] = {run, sizeof(((struct share_call *)0)->in.args), n_names, flags,            \
                        ANSWER_##answer},
#include "devices/host/share_fuse.def"
#undef OP
};

static const struct op *find_op(uint32_t opcode)
{
    return opcode < sizeof ops / sizeof ops[0] && ops[opcode].run ? &ops[opcode] : NULL;
}

/* ---- Taking apart ---------------------------------------------------------------------------- */

/* One name in a folder, and no way to anywhere. */
static int check_name(const char *name)
{
    size_t len = strlen(name);

    if (len > SHARE_NAME_MAX)
        return ENAMETOOLONG;
    if (len == 0 || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return EINVAL;
    return 0;
}

/* What a link says is the guest's business: the host does not follow it. */
static int check_target(const char *target)
{
    size_t len = strlen(target);

    return len == 0 ? ENOENT : len >= PATH_MAX ? ENAMETOOLONG : 0;
}

static int take_names(struct share_call *c, const struct op *op, size_t at)
{
    size_t len = c->h.len - at;
    char *p = c->text;
    int error = 0;

    if (len > sizeof c->text)
        return ENAMETOOLONG;
    dma_gather(c->r->out, c->r->n_out, at, c->text, len);
    for (unsigned i = 0; i < op->n_names && !error; i++) {
        char *end = memchr(p, '\0', len);

        if (!end)
            return EINVAL;
        c->name[i] = p;
        error = i == 1 && op->run == share_symlink ? check_target(p) : check_name(p);
        len -= (size_t)(end + 1 - p);
        p = end + 1;
    }
    return error ? error : len ? EINVAL : 0;
}

static int take_apart(struct share_call *c, const struct op *op)
{
    size_t at = sizeof c->h + op->args;

    if (c->h.len > c->r->out_bytes || c->h.len < at)
        return EINVAL;
    dma_gather(c->r->out, c->r->n_out, sizeof c->h, c->in.bytes, op->args);
    return op->flags & MORE ? 0 : take_names(c, op, at);
}

static int obey(struct share_call *c, const struct op *op)
{
    int error;

    if (!op)
        return ENOSYS;
    if (!c->s->is_ready && !(op->flags & ANY_TIME))
        return EIO;
    error = take_apart(c, op);
    if (error)
        return error;
    if (share_room_bytes(c) < op->room)
        return EINVAL;
    if ((op->flags & CHANGES) && c->s->read_only)
        return EROFS;
    if (!(op->flags & NO_NODE)) {
        c->node = share_node_get(c->s, c->h.nodeid);
        if (!c->node)
            return ESTALE;
    }
    error = op->run(c);
    share_node_put(c->s, c->node);
    return error;
}

/* ---- Answers ------------------------------------------------------------------------------------
 */

size_t share_room_bytes(const struct share_call *c)
{
    size_t header = sizeof(struct fuse_out_header);

    return c->r->in_bytes < header ? 0 : c->r->in_bytes - header;
}

unsigned share_room(const struct share_call *c, size_t skip, size_t len, struct iovec *iov)
{
    return dma_slice(c->r->in, c->r->n_in, sizeof(struct fuse_out_header) + skip, len, iov);
}

static void put(const struct share_request *r, size_t skip, const void *bytes, size_t len)
{
    const uint8_t *from = bytes;

    for (unsigned i = 0; i < r->n_in && len > 0; i++) {
        size_t n = r->in[i].iov_len;

        if (skip >= n) {
            skip -= n;
            continue;
        }
        n = n - skip < len ? n - skip : len;
        memcpy((uint8_t *)r->in[i].iov_base + skip, from, n);
        skip = 0;
        from += n;
        len -= n;
    }
}

void share_put(struct share_call *c, const void *bytes, size_t len)
{
    DCHECK(c->answer_len + len <= share_room_bytes(c));
    put(c->r, sizeof(struct fuse_out_header) + c->answer_len, bytes, len);
    c->answer_len += len;
    c->is_answered = true;
}

void share_answer(struct share_call *c, const void *bytes, size_t len)
{
    CHECK(c->answer_len + len <= sizeof c->answer);
    memcpy(c->answer + c->answer_len, bytes, len);
    c->answer_len += len;
}

static void answer(struct share_call *c, struct share_request *r, int error)
{
    struct fuse_out_header h = {.error = -error, .unique = c->h.unique};

    if (r->in_bytes < sizeof h)
        return;
    if (error)
        c->answer_len = 0;
    DCHECK(c->answer_len <= share_room_bytes(c));
    h.len = (uint32_t)(sizeof h + c->answer_len);
    if (!c->is_answered)
        put(r, sizeof h, c->answer, c->answer_len);
    put(r, 0, &h, sizeof h);
    r->written = h.len;
}

void share_serve(void *share, struct pool_job *job)
{
    struct share_request *r = (struct share_request *)(void *)job;
    const struct op *op;
    struct share_call c;
    int error;

    r->written = 0;
    c.s = share;
    c.r = r;
    c.node = NULL;
    c.answer_len = 0;
    c.is_answered = false;
    if (dma_gather(r->out, r->n_out, 0, &c.h, sizeof c.h) != sizeof c.h)
        return;
    op = find_op(c.h.opcode);
    error = obey(&c, op);
    if (error && error != ENOENT && error != ENOSYS)
        log_line(LOG_guest, "share: request %u on node %llu: %s", c.h.opcode,
                 (unsigned long long)c.h.nodeid, strerror(error));
    if (!op || !(op->flags & SILENT))
        answer(&c, r, error);
}

/* ---- What several requests answer -------------------------------------------------------------
 */

/* Linux takes files with equal numbers for one. The folder's own file system has them as they are;
 * of others (btrfs's subvolumes, overlayfs) the device is mixed in. */
static uint64_t file_number(const struct share *s, const struct statx *st)
{
    uint64_t dev = makedev(st->stx_dev_major, st->stx_dev_minor);

    return dev == s->root_dev ? st->stx_ino : st->stx_ino ^ dev * UINT64_C(0x9e37) << 48;
}

struct fuse_attr share_attr(const struct share *s, const struct statx *st)
{
    return (struct fuse_attr){
        .ino = file_number(s, st),
        .size = st->stx_size,
        .blocks = st->stx_blocks,
        .atime = (uint64_t)st->stx_atime.tv_sec,
        .mtime = (uint64_t)st->stx_mtime.tv_sec,
        .ctime = (uint64_t)st->stx_ctime.tv_sec,
        .atimensec = st->stx_atime.tv_nsec,
        .mtimensec = st->stx_mtime.tv_nsec,
        .ctimensec = st->stx_ctime.tv_nsec,
        .mode = st->stx_mode,
        .nlink = st->stx_nlink,
        .uid = st->stx_uid,
        .gid = st->stx_gid,
        /* As Linux packs it: new_encode_dev(). */
        .rdev = (st->stx_rdev_minor & 0xff) | st->stx_rdev_major << 8 |
                (st->stx_rdev_minor & ~UINT32_C(0xff)) << 12,
        .blksize = st->stx_blksize,
    };
}

int share_entry(struct share_call *c, struct share_node *parent, const char *name,
                const struct statx *st, struct fuse_entry_out *out)
{
    *out = (struct fuse_entry_out){
        .entry_valid = VALID_SECONDS, .attr_valid = VALID_SECONDS, .attr = share_attr(c->s, st)};
    return share_node_enter(c->s, parent, name, st, &out->nodeid);
}
