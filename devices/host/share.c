#define _GNU_SOURCE
#include "devices/host/share.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "dbt/base/check.h"
#include "devices/host/share_private.h"

/* Files of these systems are doors into the host's kernel and its processes. */
static bool is_file_system_of_files(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) != 0 || (fs.f_type != PROC_SUPER_MAGIC && fs.f_type != SYSFS_MAGIC &&
                                     fs.f_type != DEBUGFS_MAGIC && fs.f_type != TRACEFS_MAGIC);
}

/* The folder may be named by a symbolic link: the user chose it. */
static bool open_root(struct share *s, const struct share_config *config, struct err *e)
{
    struct stat st;
    int fd;

    s->root = open(config->dir, O_PATH | O_CLOEXEC);
    if (s->root < 0)
        return err_set(e, "cannot share %s: %s", config->dir, strerror(errno));
    if (fstat(s->root, &st) != 0 || !S_ISDIR(st.st_mode))
        return err_set(e, "cannot share %s: it is no folder", config->dir);
    if (!is_file_system_of_files(s->root))
        return err_set(e, "cannot share %s: it is a door into the host's kernel, not files",
                       config->dir);
    fd = openat(s->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, "cannot share %s: it cannot be read: %s", config->dir, strerror(errno));
    close(fd);
    if (!config->read_only && faccessat(s->root, ".", W_OK | X_OK, AT_EACCESS) != 0)
        return err_set(e,
                       "cannot share %s: nothing can be written there: %s; add ,ro to share it "
                       "read-only",
                       config->dir, strerror(errno));
    return true;
}

static bool open_host(struct share *s, const struct share_config *config, struct err *e)
{
    int fd;

    if (!open_root(s, config, e))
        return false;
    fd = share_step(s->root, ".", O_PATH, 0);
    if (fd < 0)
        return err_set(e,
                       "cannot share %s: openat2: %s; Linux 5.6 or newer is needed, and a "
                       "container that allows it",
                       config->dir, strerror(-fd));
    close(fd);
    s->proc = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->proc < 0)
        return err_set(e, "cannot share %s: cannot open /proc/self/fd: %s", config->dir,
                       strerror(errno));
    return share_nodes_init(s, e);
}

static void close_host(struct share *s)
{
    if (s->root >= 0)
        close(s->root);
    if (s->proc >= 0)
        close(s->proc);
}

struct share *share_open(const struct share_config *config, struct err *e)
{
    struct share *s = calloc(1, sizeof *s);

    CHECK(s && "memory for a share");
    s->root = s->proc = -1;
    s->read_only = config->read_only;
    if (!open_host(s, config, e))
        goto fail;
    share_table_init(&s->files, config->max_open);
    pthread_mutex_init(&s->lock, NULL);
    pthread_rwlock_init(&s->tree, NULL);
    if (pool_init(&s->pool, share_serve, s, config->synchronous, e))
        return s;
    pthread_rwlock_destroy(&s->tree);
    pthread_mutex_destroy(&s->lock);
    share_nodes_fini(s);
fail:
    close_host(s);
    free(s);
    return NULL;
}

void share_close(struct share *s)
{
    if (!s)
        return;
    pool_fini(&s->pool);
    share_files_reset(s);
    share_table_fini(&s->files);
    share_nodes_fini(s);
    pthread_rwlock_destroy(&s->tree);
    pthread_mutex_destroy(&s->lock);
    close_host(s);
    free(s);
}

void share_on_done(struct share *s, void (*done)(void *arg), void *arg)
{
    pool_on_done(&s->pool, done, arg);
}

void share_submit(struct share *s, struct share_request *r)
{
    pool_submit(&s->pool, &r->job);
}

struct share_request *share_done(struct share *s)
{
    return (struct share_request *)(void *)pool_done(&s->pool);
}

void share_wait(struct share *s)
{
    pool_wait(&s->pool);
}

void share_reset(struct share *s)
{
    s->is_ready = false;
    share_files_reset(s);
    share_nodes_reset(s);
}
