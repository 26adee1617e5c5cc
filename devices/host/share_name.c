#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/host/share_private.h"

/* What a guest makes belongs to the user who runs us. A program that would take that user's
 * rights for whoever runs it is not made for a guest, nor a device. */
static bool is_privileged(uint32_t mode)
{
    return (mode & (S_ISUID | S_ISGID)) != 0;
}

/* The folder that the request names. A descriptor or minus an errno. */
static int open_folder(struct share_call *c, struct share_node *n)
{
    struct statx st;
    int fd = share_node_open(c->s, n, &st);

    if (fd < 0 || S_ISDIR(st.stx_mode))
        return fd;
    close(fd);
    return -ENOTDIR;
}

/* ---- Looking up --------------------------------------------------------------------------- */

static int answer_entry(struct share_call *c, int folder, const char *name)
{
    struct fuse_entry_out out;
    struct statx st;
    int error = share_stat(folder, name, &st);

    if (!error)
        error = share_entry(c, c->node, name, &st, &out);
    if (!error)
        share_answer(c, &out, sizeof out);
    return error;
}

/* That there is no such name is worth remembering, too. */
static int answer_none(struct share_call *c)
{
    const struct fuse_entry_out none = {.entry_valid = 1};

    share_answer(c, &none, sizeof none);
    return 0;
}

int share_lookup(struct share_call *c)
{
    int folder = open_folder(c, c->node), error;

    if (folder < 0)
        return -folder;
    error = answer_entry(c, folder, c->name[0]);
    close(folder);
    return error == ENOENT ? answer_none(c) : error;
}

/* ---- Making -----------------------------------------------------------------------------------
 */

/* Looks up what has just been made. */
static int made(struct share_call *c, int folder, int result)
{
    int error = result == 0 ? 0 : errno;

    if (!error)
        error = answer_entry(c, folder, c->name[0]);
    close(folder);
    return error;
}

int share_mkdir(struct share_call *c)
{
    int folder = open_folder(c, c->node);

    if (folder < 0)
        return -folder;
    return made(c, folder, mkdirat(folder, c->name[0], c->in.mkdir.mode & 01777));
}

int share_mknod(struct share_call *c)
{
    uint32_t type = c->in.mknod.mode & S_IFMT, mode = c->in.mknod.mode & 07777;
    int folder;

    if (is_privileged(mode) || (type && type != S_IFREG && type != S_IFIFO && type != S_IFSOCK))
        return EPERM;
    folder = open_folder(c, c->node);
    if (folder < 0)
        return -folder;
    return made(c, folder, mknodat(folder, c->name[0], type | mode, 0));
}

int share_symlink(struct share_call *c)
{
    int folder = open_folder(c, c->node);

    if (folder < 0)
        return -folder;
    return made(c, folder, symlinkat(c->name[1], folder, c->name[0]));
}

/* Through /proc, since naming a descriptor directly takes privileges. */
int share_link(struct share_call *c)
{
    struct share_node *n = share_node_get(c->s, c->in.link.oldnodeid);
    char name[SHARE_FD_NAME];
    struct statx st;
    int fd, folder, error;

    if (!n)
        return ESTALE;
    fd = share_node_open(c->s, n, &st);
    share_node_put(c->s, n);
    if (fd < 0)
        return -fd;
    folder = S_ISDIR(st.stx_mode) ? -EPERM : open_folder(c, c->node);
    error = folder < 0 ? -folder : 0;
    if (!error)
        error = made(
            c, folder,
            linkat(c->s->proc, share_fd_name(fd, name), folder, c->name[0], AT_SYMLINK_FOLLOW));
    close(fd);
    return error;
}

/* ---- Creating, which opens ---------------------------------------------------------------------
 */

/* A file that was there already is opened only if it is a plain one: opening another may wait for
 * ever, or do something. */
static int open_existing(struct share_call *c, int folder, const char *name, int flags)
{
    int fd = share_step(folder, name, O_PATH, 0), opened;
    struct statx st;
    int error;

    if (fd < 0)
        return fd;
    error = share_stat(fd, "", &st);
    if (error)
        opened = -error;
    else
        opened = S_ISREG(st.stx_mode) ? share_reopen(c->s, fd, flags) : -EEXIST;
    close(fd);
    return opened;
}

static int create(struct share_call *c, int folder, int flags)
{
    uint32_t mode = c->in.create.mode & 07777;
    int fd = share_step(folder, c->name[0],
                        (uint32_t)(flags & ~O_TRUNC) | O_CREAT | O_EXCL | O_NOCTTY, mode);

    if (fd == -EEXIST && !(c->in.create.flags & O_EXCL))
        return open_existing(c, folder, c->name[0], flags);
    return fd;
}

/* What was opened may have been renamed since: it is what the guest gets, by the name it
 * asked for. */
static int answer_created(struct share_call *c, int fd, int flags)
{
    struct fuse_entry_out entry;
    struct fuse_open_out opened;
    struct share_node *n;
    struct statx st;
    int error = share_stat(fd, "", &st);

    if (!error)
        error = share_entry(c, c->node, c->name[0], &st, &entry);
    if (error) {
        close(fd);
        return error;
    }
    n = share_node_get(c->s, entry.nodeid);
    if (!n) {
        close(fd);
        return EIO; /* The guest has ended the session beside this request. */
    }
    error = share_opened(c, n, fd, flags, &opened);
    share_node_put(c->s, n);
    if (error) {
        share_node_forget(c->s, entry.nodeid, 1);
        return error;
    }
    share_answer(c, &entry, sizeof entry);
    share_answer(c, &opened, sizeof opened);
    return 0;
}

int share_create(struct share_call *c)
{
    int folder, fd, flags, error = share_open_flags(c->s, c->in.create.flags, &flags);

    if (error)
        return error;
    if (is_privileged(c->in.create.mode))
        return EPERM;
    folder = open_folder(c, c->node);
    if (folder < 0)
        return -folder;
    fd = create(c, folder, flags);
    close(folder);
    return fd < 0 ? -fd : answer_created(c, fd, flags);
}

/* ---- Removing ----------------------------------------------------------------------------------
 */

static int remove_name(struct share_call *c, int flags)
{
    int folder = open_folder(c, c->node), error;

    if (folder < 0)
        return -folder;
    error = unlinkat(folder, c->name[0], flags) == 0 ? 0 : errno;
    close(folder);
    return error;
}

int share_unlink(struct share_call *c)
{
    return remove_name(c, 0);
}

int share_rmdir(struct share_call *c)
{
    return remove_name(c, AT_REMOVEDIR);
}

/* ---- Renaming ----------------------------------------------------------------------------------
 */

struct place {
    struct share_node *node;
    int fd;
    const char *name;
};

static void note_moved(struct share_call *c, const struct place *at)
{
    struct statx st;

    if (share_stat(at->fd, at->name, &st) == 0)
        share_node_moved(c->s, &st, at->node, at->name);
}

static int move(struct share_call *c, const struct place *from, const struct place *to,
                uint32_t flags)
{
    int error;

    pthread_rwlock_wrlock(&c->s->tree);
    error = renameat2(from->fd, from->name, to->fd, to->name, flags) == 0 ? 0 : errno;
    if (!error) {
        note_moved(c, to);
        if (flags & RENAME_EXCHANGE)
            note_moved(c, from);
    }
    pthread_rwlock_unlock(&c->s->tree);
    return error;
}

static int rename_to(struct share_call *c, uint64_t new_folder, uint32_t flags)
{
    struct place from = {.node = c->node, .name = c->name[0]};
    struct place to = {.node = share_node_get(c->s, new_folder), .name = c->name[1]};
    int error;

    if (!to.node)
        return ESTALE;
    from.fd = open_folder(c, from.node);
    to.fd = open_folder(c, to.node);
    if (from.fd < 0 || to.fd < 0)
        error = from.fd < 0 ? -from.fd : -to.fd;
    else
        error = move(c, &from, &to, flags);
    if (from.fd >= 0)
        close(from.fd);
    if (to.fd >= 0)
        close(to.fd);
    share_node_put(c->s, to.node);
    return error;
}

int share_rename(struct share_call *c)
{
    return rename_to(c, c->in.rename.newdir, 0);
}

/* RENAME_WHITEOUT would make a device. */
int share_rename2(struct share_call *c)
{
    if (c->in.rename2.flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE))
        return EINVAL;
    return rename_to(c, c->in.rename2.newdir, c->in.rename2.flags);
}
