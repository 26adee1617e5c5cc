#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "devices/host/share_private.h"

static void answer_attr(struct share_call *c, const struct statx *st)
{
    const struct fuse_attr_out out = {.attr_valid = 1, .attr = share_attr(c->s, st)};

    share_answer(c, &out, sizeof out);
}

int share_getattr(struct share_call *c)
{
    struct statx st;
    int fd = share_node_open_or_file(c->s, c->node, &st);

    if (fd < 0)
        return -fd;
    close(fd);
    answer_attr(c, &st);
    return 0;
}

/* ---- Setting ------------------------------------------------------------------------------- */

/* A guest cannot add the bits that lend a user's rights to whoever runs a program; see
 * share_name.c. Folders' set-group bit lends none. */
static int set_mode(struct share_call *c, int fd, const struct statx *st)
{
    uint32_t mode = c->in.setattr.mode & 07777, added = mode & ~(uint32_t)st->stx_mode;
    char name[SHARE_FD_NAME];

    if ((added & S_ISUID) || ((added & S_ISGID) && !S_ISDIR(st->stx_mode)))
        return EPERM;
    return fchmodat(c->s->proc, share_fd_name(fd, name), mode, 0) == 0 ? 0 : errno;
}

static int set_owner(struct share_call *c, int fd)
{
    const struct fuse_setattr_in *in = &c->in.setattr;
    uid_t uid = in->valid & FATTR_UID ? in->uid : (uid_t)-1;
    gid_t gid = in->valid & FATTR_GID ? in->gid : (gid_t)-1;

    return fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
}

static int truncate_node(struct share_call *c, int fd, const struct statx *st)
{
    int writable, error;

    if (!S_ISREG(st->stx_mode))
        return S_ISDIR(st->stx_mode) ? EISDIR : EINVAL;
    writable = share_reopen(c->s, fd, O_WRONLY);
    if (writable < 0)
        return -writable;
    error = ftruncate(writable, (off_t)c->in.setattr.size) == 0 ? 0 : errno;
    close(writable);
    return error;
}

/* What the guest has open to write it may cut, whatever the mode says now. */
static int set_size(struct share_call *c, int fd, const struct statx *st)
{
    struct share_file *f;
    int error = EBADF;

    if (!(c->in.setattr.valid & FATTR_FH))
        return truncate_node(c, fd, st);
    f = share_file_get(c->s, c->node, c->in.setattr.fh, false);
    if (f && f->is_writable)
        error = ftruncate(f->fd, (off_t)c->in.setattr.size) == 0 ? 0 : errno;
    share_file_put(c->s, f);
    return error;
}

static struct timespec time_of(uint32_t valid, uint32_t set, uint32_t now, uint64_t s, uint32_t ns)
{
    if (!(valid & set))
        return (struct timespec){.tv_nsec = UTIME_OMIT};
    if (valid & now)
        return (struct timespec){.tv_nsec = UTIME_NOW};
    return (struct timespec){.tv_sec = (time_t)s, .tv_nsec = ns};
}

static int set_times(struct share_call *c, int fd)
{
    const struct fuse_setattr_in *in = &c->in.setattr;
    const struct timespec times[2] = {
        time_of(in->valid, FATTR_ATIME, FATTR_ATIME_NOW, in->atime, in->atimensec),
        time_of(in->valid, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime, in->mtimensec)};
    char name[SHARE_FD_NAME];

    return utimensat(c->s->proc, share_fd_name(fd, name), times, 0) == 0 ? 0 : errno;
}

/* The owner before the mode, which a new owner changes; times last, which the size changes. */
static int set_all(struct share_call *c, int fd, const struct statx *st)
{
    uint32_t valid = c->in.setattr.valid;
    int error = 0;

    if (valid & (FATTR_UID | FATTR_GID))
        error = set_owner(c, fd);
    if (!error && (valid & FATTR_MODE))
        error = set_mode(c, fd, st);
    if (!error && (valid & FATTR_SIZE))
        error = set_size(c, fd, st);
    if (!error && (valid & (FATTR_ATIME | FATTR_MTIME)))
        error = set_times(c, fd);
    return error;
}

int share_setattr(struct share_call *c)
{
    uint32_t valid = c->in.setattr.valid;
    /* A file that is open and has no name here any more is not opened anew. */
    bool by_name = (valid & FATTR_SIZE) && !(valid & FATTR_FH);
    struct statx st;
    int fd =
        by_name ? share_node_open(c->s, c->node, &st) : share_node_open_or_file(c->s, c->node, &st);
    int error;

    if (fd < 0)
        return -fd;
    error = set_all(c, fd, &st);
    if (!error)
        error = share_stat(fd, "", &st);
    close(fd);
    if (!error)
        answer_attr(c, &st);
    return error;
}

/* ---- Links and the file system ------------------------------------------------------------- */

int share_readlink(struct share_call *c)
{
    struct statx st;
    char target[PATH_MAX];
    ssize_t len = 0;
    int fd = share_node_open(c->s, c->node, &st), error = 0;

    if (fd < 0)
        return -fd;
    if (!S_ISLNK(st.stx_mode))
        error = EINVAL;
    else if ((len = readlinkat(fd, "", target, sizeof target)) < 0)
        error = errno;
    else if ((size_t)len > share_room_bytes(c))
        error = EINVAL;
    close(fd);
    if (!error)
        share_put(c, target, (size_t)len);
    return error;
}

int share_statfs(struct share_call *c)
{
    struct statfs fs;
    struct fuse_statfs_out out = {0};

    if (fstatfs(c->s->root, &fs) != 0)
        return errno;
    out.st = (struct fuse_kstatfs){.blocks = fs.f_blocks,
                                   .bfree = fs.f_bfree,
                                   .bavail = fs.f_bavail,
                                   .files = fs.f_files,
                                   .ffree = fs.f_ffree,
                                   .bsize = (uint32_t)fs.f_bsize,
                                   .namelen = SHARE_NAME_MAX,
                                   .frsize = (uint32_t)fs.f_frsize};
    share_answer(c, &out, sizeof out);
    return 0;
}
