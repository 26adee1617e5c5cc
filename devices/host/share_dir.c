#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dbt/base/check.h"
#include "devices/host/share_private.h"

enum { ENTRIES_ROOM = 16384 };

int share_opendir(struct share_call *c)
{
    struct fuse_open_out out = {0};
    struct statx st;
    int fd = share_node_open(c->s, c->node, &st), opened, error;

    if (fd < 0)
        return -fd;
    opened = S_ISDIR(st.stx_mode) ? share_reopen(c->s, fd, O_RDONLY | O_DIRECTORY) : -ENOTDIR;
    close(fd);
    if (opened < 0)
        return -opened;
    error = share_file_add(c->s, c->node, opened, true, false, &out.fh);
    if (!error)
        share_answer(c, &out, sizeof out);
    return error;
}

int share_releasedir(struct share_call *c)
{
    return share_file_release(c->s, c->node, c->in.release.fh);
}

int share_fsyncdir(struct share_call *c)
{
    struct share_file *f = share_file_get(c->s, c->node, c->in.fsync.fh, true);
    int error;

    if (!f)
        return EBADF;
    error = fsync(f->fd) == 0 ? 0 : errno;
    share_file_put(c->s, f);
    return error;
}

/* ---- Entries as the host gives them -------------------------------------------------------- */

/* A folder that was moved away is not read on, though it is open. One that was removed is empty.
 * 0 or an errno. */
static int check_there(struct share_call *c, const struct share_file *f, bool *is_removed)
{
    struct statx st;
    int fd = share_node_open(c->s, c->node, &st);

    *is_removed = false;
    if (fd >= 0) {
        close(fd);
        return 0;
    }
    if (fd == -ESTALE && share_stat(f->fd, "", &st) == 0 && st.stx_nlink == 0) {
        *is_removed = true;
        return 0;
    }
    return -fd;
}

/* Reads the entries that follow those that were handed out; none are left at the end. */
static int refill(struct share_file *f)
{
    ssize_t n;

    f->at = f->len = 0;
    if (!f->entries)
        f->entries = malloc(ENTRIES_ROOM);
    CHECK(f->entries && "memory for a folder's entries");
    n = getdents64(f->fd, f->entries, ENTRIES_ROOM);
    if (n < 0)
        return errno;
    f->len = (size_t)n;
    return 0;
}

/* The entry at the file's offset; *d is NULL at the end. */
static int next_entry(struct share_file *f, const struct dirent64 **d)
{
    int error = f->at == f->len ? refill(f) : 0;

    *d = !error && f->at < f->len ? (const void *)(f->entries + f->at) : NULL;
    return error;
}

static void pass_entry(struct share_file *f, const struct dirent64 *d)
{
    f->offset = (uint64_t)d->d_off;
    f->at += d->d_reclen;
}

/* To where the guest wants to go on: mostly, where it stopped. */
static int seek(struct share_file *f, uint64_t offset)
{
    if (offset == f->offset)
        return 0;
    if (lseek(f->fd, (off_t)offset, SEEK_SET) < 0)
        return errno;
    f->at = f->len = 0;
    f->offset = offset;
    return 0;
}

/* ---- Entries as the guest gets them ---------------------------------------------------------- */

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* What lies above the folder is not the guest's to know. */
static uint64_t number_shown(const struct share_call *c, const struct dirent64 *d)
{
    return c->h.nodeid == FUSE_ROOT_ID && strcmp(d->d_name, "..") == 0 ? c->node->is.ino : d->d_ino;
}

static void put_entry(struct share_call *c, const struct dirent64 *d)
{
    static const uint8_t zeros[8] = {0};
    size_t len = strlen(d->d_name);
    const struct fuse_dirent head = {.ino = number_shown(c, d),
                                     .off = (uint64_t)d->d_off,
                                     .namelen = (uint32_t)len,
                                     .type = d->d_type};

    share_put(c, &head, FUSE_NAME_OFFSET);
    share_put(c, d->d_name, len);
    share_put(c, zeros, FUSE_DIRENT_ALIGN(len) - len);
}

/* With what a look-up would give. Node 0: ask for it. False: the name is gone. */
static bool look_up(struct share_call *c, const struct share_file *f, const char *name,
                    struct fuse_entry_out *out)
{
    struct statx st;
    int error;

    *out = (struct fuse_entry_out){0};
    if (is_dots(name))
        return true;
    error = share_stat(f->fd, name, &st);
    if (!error)
        error = share_entry(c, c->node, name, &st, out);
    if (error)
        out->nodeid = 0;
    return error != ENOENT;
}

static int hand_out(struct share_call *c, struct share_file *f, bool plus)
{
    size_t room = share_room_bytes(c);
    const struct dirent64 *d;
    int error;

    if (room > c->in.read.size)
        room = c->in.read.size;
    if (room > SHARE_MAX_BYTES)
        room = SHARE_MAX_BYTES;
    while (!(error = next_entry(f, &d)) && d) {
        struct fuse_entry_out entry;
        size_t len =
            FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + strlen(d->d_name)) + (plus ? sizeof entry : 0);

        if (len > room - c->answer_len)
            return c->answer_len ? 0 : EINVAL;
        if (!plus) {
            put_entry(c, d);
        } else if (look_up(c, f, d->d_name, &entry)) {
            share_put(c, &entry, sizeof entry);
            put_entry(c, d);
        }
        pass_entry(f, d);
    }
    /* What was handed out has been counted as looked up: it must arrive. */
    return c->answer_len ? 0 : error;
}

static int read_entries(struct share_call *c, bool plus)
{
    struct share_file *f = share_file_get(c->s, c->node, c->in.read.fh, true);
    bool is_removed = false;
    int error;

    if (!f)
        return EBADF;
    pthread_mutex_lock(&f->lock);
    error = check_there(c, f, &is_removed);
    if (!error && !is_removed)
        error = seek(f, c->in.read.offset);
    if (!error && !is_removed)
        error = hand_out(c, f, plus);
    pthread_mutex_unlock(&f->lock);
    share_file_put(c->s, f);
    return error;
}

int share_readdir(struct share_call *c)
{
    return read_entries(c, false);
}

int share_readdirplus(struct share_call *c)
{
    return read_entries(c, true);
}
