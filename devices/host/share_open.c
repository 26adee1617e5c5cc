#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "devices/host/share_private.h"
#include "devices/virtio/dma.h"

enum { MAX_COPY_BYTES = 64 << 20 };

/* ---- Opening ------------------------------------------------------------------------------- */

/* Flags have the same numbers in the guest (asm-generic/fcntl.h). O_APPEND comes with each write;
 * the rest of what a program may give is its kernel's business. */
int share_open_flags(const struct share *s, uint32_t flags, int *host_flags)
{
    uint32_t access = flags & O_ACCMODE;

    if (access != O_RDONLY && access != O_WRONLY && access != O_RDWR)
        return EINVAL;
    if (s->read_only && (access != O_RDONLY || (flags & O_TRUNC)))
        return EROFS;
    *host_flags = (int)(flags & (O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC));
    return 0;
}

static bool is_equal(const struct statx_timestamp *a, const struct statx_timestamp *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* A change that comes right behind another may leave no trace in the times, which move in
 * steps (at most 10 ms): nothing is concluded from them while they are fresh. */
static bool is_settled(const struct statx_timestamp *t)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (now.tv_sec - t->tv_sec) * 1000 + (now.tv_nsec - t->tv_nsec) / 1000000 > 50;
}

/* Are the contents those of when the guest last opened it? Then what it keeps of them holds. */
static bool is_unchanged(struct share *s, struct share_node *n, int fd)
{
    struct share_seen *seen = &n->seen;
    struct statx st;
    bool unchanged;

    if (share_stat(fd, "", &st) != 0)
        return false;
    pthread_mutex_lock(&s->lock);
    unchanged = seen->known && seen->size == st.stx_size && is_equal(&seen->mtime, &st.stx_mtime) &&
                is_equal(&seen->ctime, &st.stx_ctime);
    *seen = (struct share_seen){.known = is_settled(&st.stx_ctime) && is_settled(&st.stx_mtime),
                                .size = st.stx_size,
                                .mtime = st.stx_mtime,
                                .ctime = st.stx_ctime};
    pthread_mutex_unlock(&s->lock);
    return unchanged;
}

int share_opened(struct share_call *c, struct share_node *n, int fd, int flags,
                 struct fuse_open_out *out)
{
    bool keep = is_unchanged(c->s, n, fd);

    *out = (struct fuse_open_out){.open_flags = keep ? FOPEN_KEEP_CACHE : 0};
    return share_file_add(c->s, n, fd, false, (flags & O_ACCMODE) != O_RDONLY, &out->fh);
}

/* Only plain files: the guest's own kernel serves its pipes, sockets and devices. */
static int open_plain(struct share_call *c, int flags)
{
    struct statx st;
    int fd = share_node_open(c->s, c->node, &st), opened;

    if (fd < 0)
        return fd;
    if (S_ISREG(st.stx_mode))
        opened = share_reopen(c->s, fd, flags);
    else
        opened = S_ISDIR(st.stx_mode) ? -EISDIR : S_ISLNK(st.stx_mode) ? -ELOOP : -ENXIO;
    close(fd);
    return opened;
}

int share_open_file(struct share_call *c)
{
    struct fuse_open_out out;
    int fd, flags, error = share_open_flags(c->s, c->in.open.flags, &flags);

    if (error)
        return error;
    fd = open_plain(c, flags);
    if (fd < 0)
        return -fd;
    error = share_opened(c, c->node, fd, flags, &out);
    if (!error)
        share_answer(c, &out, sizeof out);
    return error;
}

int share_release(struct share_call *c)
{
    return share_file_release(c->s, c->node, c->in.release.fh);
}

/* ---- Reading and writing ------------------------------------------------------------------- */

/* Fewer bytes than were asked for would be the file's end to the guest. */
static int read_all(struct share_call *c, int fd, size_t len)
{
    struct iovec iov[IOV_MAX];
    ssize_t n;

    c->is_answered = true;
    while (c->answer_len < len) {
        unsigned n_iov = share_room(c, c->answer_len, len - c->answer_len, iov);

        n = preadv(fd, iov, (int)n_iov, (off_t)(c->in.read.offset + c->answer_len));
        if (n < 0)
            return errno;
        if (n == 0)
            break;
        c->answer_len += (size_t)n;
    }
    return 0;
}

int share_read(struct share_call *c)
{
    struct share_file *f = share_file_get(c->s, c->node, c->in.read.fh, false);
    size_t room = share_room_bytes(c);
    int error;

    if (!f)
        return EBADF;
    error = c->in.read.offset > INT64_MAX - UINT32_MAX || c->in.read.size > SHARE_MAX_BYTES
                ? EINVAL
                : read_all(c, f->fd, c->in.read.size < room ? c->in.read.size : room);
    share_file_put(c->s, f);
    return error;
}

static void answer_written(struct share_call *c, size_t n)
{
    const struct fuse_write_out out = {.size = (uint32_t)n};

    share_answer(c, &out, sizeof out);
}

/* What a program appends goes to the end as it is now, wherever the guest believes it; what its
 * kernel writes back from a mapping goes where that says. */
static int write_some(struct share_call *c, int fd)
{
    const struct fuse_write_in *in = &c->in.write;
    bool append = (in->flags & O_APPEND) && !(in->write_flags & FUSE_WRITE_CACHE);
    struct iovec iov[IOV_MAX];
    unsigned n_iov = dma_slice(c->r->out, c->r->n_out, sizeof c->h + sizeof *in, in->size, iov);
    ssize_t n = pwritev2(fd, iov, (int)n_iov, (off_t)in->offset, append ? RWF_APPEND : 0);

    if (n < 0)
        return errno;
    answer_written(c, (size_t)n);
    return 0;
}

int share_write(struct share_call *c)
{
    const struct fuse_write_in *in = &c->in.write;
    struct share_file *f;
    int error;

    if (in->size > c->h.len - sizeof c->h - sizeof *in || in->size > SHARE_MAX_BYTES ||
        in->offset > INT64_MAX)
        return EINVAL;
    f = share_file_get(c->s, c->node, in->fh, false);
    if (!f)
        return EBADF;
    error = write_some(c, f->fd);
    share_file_put(c->s, f);
    return error;
}

int share_fsync(struct share_call *c)
{
    struct share_file *f = share_file_get(c->s, c->node, c->in.fsync.fh, false);
    int result, error;

    if (!f)
        return EBADF;
    result = c->in.fsync.fsync_flags & FUSE_FSYNC_FDATASYNC ? fdatasync(f->fd) : fsync(f->fd);
    error = result == 0 ? 0 : errno;
    share_file_put(c->s, f);
    return error;
}

/* ---- Less usual -------------------------------------------------------------------------------
 */

int share_fallocate(struct share_call *c)
{
    const struct fuse_fallocate_in *in = &c->in.fallocate;
    const uint32_t known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
    struct share_file *f;
    int error;

    if (in->mode & ~known)
        return EOPNOTSUPP;
    f = share_file_get(c->s, c->node, in->fh, false);
    if (!f)
        return EBADF;
    error = fallocate(f->fd, (int)in->mode, (off_t)in->offset, (off_t)in->length) == 0 ? 0 : errno;
    share_file_put(c->s, f);
    return error;
}

/* The guest seeks by itself but for where data and holes begin. */
int share_lseek(struct share_call *c)
{
    const struct fuse_lseek_in *in = &c->in.lseek;
    struct fuse_lseek_out out;
    struct share_file *f;
    off_t at;
    int error;

    if (in->whence != SEEK_DATA && in->whence != SEEK_HOLE)
        return EINVAL;
    f = share_file_get(c->s, c->node, in->fh, false);
    if (!f)
        return EBADF;
    at = lseek(f->fd, (off_t)in->offset, (int)in->whence);
    error = at >= 0 ? 0 : errno;
    share_file_put(c->s, f);
    out.offset = (uint64_t)at;
    if (!error)
        share_answer(c, &out, sizeof out);
    return error;
}

static int copy(struct share_call *c, int from, int to)
{
    const struct fuse_copy_file_range_in *in = &c->in.copy;
    off_t at_from = (off_t)in->off_in, at_to = (off_t)in->off_out;
    size_t len = in->len < MAX_COPY_BYTES ? in->len : MAX_COPY_BYTES;
    ssize_t n = copy_file_range(from, &at_from, to, &at_to, len, 0);

    if (n < 0)
        return errno;
    answer_written(c, (size_t)n);
    return 0;
}

int share_copy(struct share_call *c)
{
    const struct fuse_copy_file_range_in *in = &c->in.copy;
    struct share_node *to_node = share_node_get(c->s, in->nodeid_out);
    struct share_file *from = share_file_get(c->s, c->node, in->fh_in, false);
    struct share_file *to = to_node ? share_file_get(c->s, to_node, in->fh_out, false) : NULL;
    int error = EBADF;

    if (from && to && in->flags == 0)
        error = copy(c, from->fd, to->fd);
    else if (in->flags != 0)
        error = EINVAL;
    share_file_put(c->s, to);
    share_file_put(c->s, from);
    share_node_put(c->s, to_node);
    return error;
}
