#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "dbt/base/check.h"
#include "devices/host/share_private.h"

enum { MAX_PATH_BYTES = 16384 };

/* ---- Files of the host's ------------------------------------------------------------------- */

int share_step(int fd, const char *path, uint64_t flags, uint32_t mode)
{
    struct open_how how = {.flags = flags | O_NOFOLLOW | O_CLOEXEC,
                           .mode = mode,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
                                      RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};
    int got = (int)syscall(SYS_openat2, fd, path, &how, sizeof how);

    return got >= 0 ? got : -errno;
}

/* Where another file system is mounted the guest sees a name and nothing behind it: what is
 * there was not given to it, and may be the host's /proc. */
int share_stat(int fd, const char *name, struct statx *st)
{
    int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;

    if (statx(fd, name, flags, STATX_BASIC_STATS, st) != 0)
        return errno;
    return name[0] != '\0' && (st->stx_attributes & STATX_ATTR_MOUNT_ROOT) ? EXDEV : 0;
}

const char *share_fd_name(int fd, char name[SHARE_FD_NAME])
{
    snprintf(name, SHARE_FD_NAME, "%d", fd);
    return name;
}

int share_reopen(const struct share *s, int fd, int flags)
{
    char name[SHARE_FD_NAME];
    int got;

    DCHECK((flags & (O_CREAT | O_NOFOLLOW)) == 0);
    got = openat(s->proc, share_fd_name(fd, name), flags | O_CLOEXEC | O_NOCTTY);
    return got >= 0 ? got : -errno;
}

/* ---- The table of nodes ---------------------------------------------------------------------- */

static struct share_identity identity(const struct statx *st)
{
    return (struct share_identity){.dev = makedev(st->stx_dev_major, st->stx_dev_minor),
                                   .ino = st->stx_ino,
                                   .type = st->stx_mode & S_IFMT};
}

static bool is_same(const struct share_identity *a, const struct share_identity *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->type == b->type;
}

static struct share_node **bucket(struct share *s, const struct share_identity *is)
{
    uint64_t mixed = (is->ino + is->dev * 31) * UINT64_C(0x9e3779b97f4a7c15);

    return &s->bucket[mixed >> 48 & (SHARE_N_BUCKETS - 1)];
}

static struct share_node *find_locked(struct share *s, const struct share_identity *is)
{
    for (struct share_node *n = *bucket(s, is); n; n = n->next)
        if (is_same(&n->is, is))
            return n;
    return NULL;
}

/* Nobody has it: it goes, and folders that it was the last use of. */
static void drop_locked(struct share *s, struct share_node *n)
{
    while (n && n->n_uses == 0 && n->n_lookups == 0 && n->parent) {
        struct share_node *parent = n->parent, **at = bucket(s, &n->is);

        while (*at != n)
            at = &(*at)->next;
        *at = n->next;
        share_table_remove(&s->nodes, n->number);
        free(n->name);
        free(n);
        parent->n_uses--;
        n = parent;
    }
}

struct share_node *share_node_get(struct share *s, uint64_t number)
{
    struct share_node *n;

    pthread_mutex_lock(&s->lock);
    n = share_table_find(&s->nodes, number);
    if (n)
        n->n_uses++;
    pthread_mutex_unlock(&s->lock);
    return n;
}

void share_node_put_locked(struct share *s, struct share_node *n)
{
    n->n_uses--;
    drop_locked(s, n);
}

void share_node_put(struct share *s, struct share_node *n)
{
    if (!n)
        return;
    pthread_mutex_lock(&s->lock);
    share_node_put_locked(s, n);
    pthread_mutex_unlock(&s->lock);
}

void share_node_forget(struct share *s, uint64_t number, uint64_t n_lookups)
{
    struct share_node *n;

    pthread_mutex_lock(&s->lock);
    n = share_table_find(&s->nodes, number);
    if (n) {
        n->n_lookups -= n_lookups < n->n_lookups ? n_lookups : n->n_lookups;
        drop_locked(s, n);
    }
    pthread_mutex_unlock(&s->lock);
}

/* Is n the folder `in`, or does it lie in it, as far as is known? */
static bool is_within(const struct share_node *n, const struct share_node *in)
{
    for (; n; n = n->parent)
        if (n == in)
            return true;
    return false;
}

/* Only while others rename folders can one be found in what lies in it: a ring of parents must not
 * come of it. */
static bool set_name_locked(struct share *s, struct share_node *n, struct share_node *parent,
                            const char *name)
{
    struct share_node *before = n->parent;
    char *copy;

    if (before == parent && strcmp(n->name, name) == 0)
        return true;
    if (is_within(parent, n))
        return false;
    copy = strdup(name);
    CHECK(copy && "memory for a name");
    free(n->name);
    n->name = copy;
    n->parent = parent;
    parent->n_uses++;
    if (before)
        share_node_put_locked(s, before);
    return true;
}

static struct share_node *add_locked(struct share *s, const struct share_identity *is)
{
    struct share_node *n = calloc(1, sizeof *n), **first = bucket(s, is);

    CHECK(n && "memory for a node");
    n->number = share_table_add(&s->nodes, n);
    if (n->number == 0) {
        free(n);
        return NULL;
    }
    n->is = *is;
    n->next = *first;
    *first = n;
    return n;
}

int share_node_enter(struct share *s, struct share_node *parent, const char *name,
                     const struct statx *st, uint64_t *number)
{
    const struct share_identity is = identity(st);
    struct share_node *n;
    int error = 0;

    pthread_mutex_lock(&s->lock);
    n = find_locked(s, &is);
    if (!n)
        n = add_locked(s, &is);
    if (!n)
        error = ENFILE;
    else if (!set_name_locked(s, n, parent, name))
        error = ESTALE;
    else {
        n->n_lookups++;
        *number = n->number;
    }
    pthread_mutex_unlock(&s->lock);
    return error;
}

void share_node_moved(struct share *s, const struct statx *st, struct share_node *parent,
                      const char *name)
{
    const struct share_identity is = identity(st);
    struct share_node *n;

    pthread_mutex_lock(&s->lock);
    n = find_locked(s, &is);
    if (n && n->parent)
        (void)set_name_locked(s, n, parent, name);
    pthread_mutex_unlock(&s->lock);
}

/* ---- Finding a node in the folder ------------------------------------------------------------ */

/* Its name from the folder on, at the end of `path`. NULL: too long. */
static char *path_locked(const struct share_node *n, char path[MAX_PATH_BYTES])
{
    char *at = path + MAX_PATH_BYTES - 1;

    *at = '\0';
    for (; n->parent; n = n->parent) {
        size_t len = strlen(n->name);
        bool is_last = *at == '\0';

        if ((size_t)(at - path) < len + !is_last)
            return NULL;
        if (!is_last)
            *--at = '/';
        at -= len;
        memcpy(at, n->name, len);
    }
    return at;
}

/* The host takes less than PATH_MAX bytes at a time; `path` is cut up. */
static int walk(const struct share *s, char *path)
{
    int fd = s->root, next;

    while (strlen(path) >= PATH_MAX) {
        char *cut = path + PATH_MAX - 1;

        while (*cut != '/')
            cut--;
        *cut = '\0';
        next = share_step(fd, path, O_PATH | O_DIRECTORY, 0);
        if (fd != s->root)
            close(fd);
        if (next < 0)
            return next;
        fd = next;
        path = cut + 1;
    }
    next = share_step(fd, path, O_PATH, 0);
    if (fd != s->root)
        close(fd);
    return next;
}

static int open_root(const struct share *s)
{
    int fd = fcntl(s->root, F_DUPFD_CLOEXEC, 0);

    return fd >= 0 ? fd : -errno;
}

/* Whoever holds `tree`. */
static int open_path(struct share *s, struct share_node *n)
{
    char room[MAX_PATH_BYTES], *path;

    if (!n->parent)
        return open_root(s);
    pthread_mutex_lock(&s->lock);
    path = path_locked(n, room);
    pthread_mutex_unlock(&s->lock);
    return path ? walk(s, path) : -ENAMETOOLONG;
}

/* Is the way there gone? The guest looks for another one when it hears ESTALE. */
static bool is_gone(int error)
{
    return error == ENOENT || error == ENOTDIR || error == ELOOP || error == EXDEV;
}

int share_node_open(struct share *s, struct share_node *n, struct statx *st)
{
    struct share_identity is;
    int fd, error;

    pthread_rwlock_rdlock(&s->tree);
    fd = open_path(s, n);
    pthread_rwlock_unlock(&s->tree);
    if (fd < 0)
        return is_gone(-fd) ? -ESTALE : fd;
    error = share_stat(fd, "", st);
    is = identity(st);
    if (error == 0 && is_same(&is, &n->is))
        return fd;
    close(fd);
    return error ? -error : -ESTALE;
}

/* A descriptor of an open file's, which may be one whose name is gone. */
static int dup_file(struct share *s, const struct share_node *n)
{
    int fd = -ESTALE;

    pthread_mutex_lock(&s->lock);
    if (n->files && !n->files->is_dir) {
        fd = fcntl(n->files->fd, F_DUPFD_CLOEXEC, 0);
        fd = fd >= 0 ? fd : -errno;
    }
    pthread_mutex_unlock(&s->lock);
    return fd;
}

int share_node_open_or_file(struct share *s, struct share_node *n, struct statx *st)
{
    int fd = share_node_open(s, n, st), error;

    if (fd != -ESTALE)
        return fd;
    fd = dup_file(s, n);
    if (fd < 0)
        return fd;
    error = share_stat(fd, "", st);
    if (error == 0)
        return fd;
    close(fd);
    return -error;
}

/* ---- Life ----------------------------------------------------------------------------------- */

bool share_nodes_init(struct share *s, struct err *e)
{
    struct share_identity is;
    struct share_node *root;
    struct statx st;
    int error = share_stat(s->root, "", &st);

    if (error)
        return err_set(e, "cannot look at the folder: %s", strerror(error));
    is = identity(&st);
    s->root_dev = is.dev;
    s->bucket = calloc(SHARE_N_BUCKETS, sizeof(*s->bucket));
    CHECK(s->bucket && "memory for a share");
    share_table_init(&s->nodes, SHARE_MAX_NODES);
    root = add_locked(s, &is);
    CHECK(root && root->number == FUSE_ROOT_ID);
    return true;
}

/* Nodes that requests or open files use stay until they are given back. */
void share_nodes_reset(struct share *s)
{
    struct share_node *n;

    pthread_mutex_lock(&s->lock);
    for (uint32_t i = 0; i < s->nodes.n_slots; i++)
        if ((n = s->nodes.slot[i].object))
            n->n_lookups = 0;
    for (uint32_t i = 0; i < s->nodes.n_slots; i++)
        if ((n = s->nodes.slot[i].object))
            drop_locked(s, n);
    pthread_mutex_unlock(&s->lock);
}

void share_nodes_fini(struct share *s)
{
    share_nodes_reset(s);
    CHECK(s->nodes.n_used == 1 && "all that used a node has gone");
    free(share_table_find(&s->nodes, FUSE_ROOT_ID));
    share_table_fini(&s->nodes);
    free(s->bucket);
}
