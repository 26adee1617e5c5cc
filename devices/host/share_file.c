#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "dbt/base/check.h"
#include "devices/host/share_private.h"

static void close_file(struct share_file *f)
{
    close(f->fd);
    pthread_mutex_destroy(&f->lock);
    free(f->entries);
    free(f);
}

int share_file_add(struct share *s, struct share_node *n, int fd, bool is_dir, bool is_writable,
                   uint64_t *number)
{
    struct share_file *f = calloc(1, sizeof *f);

    CHECK(f && "memory for an open file");
    *f = (struct share_file){
        .fd = fd, .is_dir = is_dir, .is_writable = is_writable, .node = n, .n_uses = 1};
    pthread_mutex_init(&f->lock, NULL);
    pthread_mutex_lock(&s->lock);
    f->number = *number = share_table_add(&s->files, f);
    if (f->number) {
        n->n_uses++;
        f->next = n->files;
        n->files = f;
    }
    pthread_mutex_unlock(&s->lock);
    if (*number)
        return 0;
    close_file(f);
    return ENFILE;
}

static struct share_file *find_locked(struct share *s, const struct share_node *n, uint64_t number)
{
    struct share_file *f = share_table_find(&s->files, number);

    return f && f->node == n ? f : NULL;
}

struct share_file *share_file_get(struct share *s, const struct share_node *n, uint64_t number,
                                  bool is_dir)
{
    struct share_file *f;

    pthread_mutex_lock(&s->lock);
    f = find_locked(s, n, number);
    if (f && f->is_dir != is_dir)
        f = NULL;
    if (f)
        f->n_uses++;
    pthread_mutex_unlock(&s->lock);
    return f;
}

/* Whoever was the last closes, without the lock. */
void share_file_put(struct share *s, struct share_file *f)
{
    bool is_last;

    if (!f)
        return;
    pthread_mutex_lock(&s->lock);
    is_last = --f->n_uses == 0;
    pthread_mutex_unlock(&s->lock);
    if (is_last)
        close_file(f);
}

/* Out of the tables: no request finds it any more. */
static void unlist_locked(struct share *s, struct share_file *f)
{
    struct share_file **at = &f->node->files;

    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    share_table_remove(&s->files, f->number);
    share_node_put_locked(s, f->node);
}

int share_file_release(struct share *s, const struct share_node *n, uint64_t number)
{
    struct share_file *f;

    pthread_mutex_lock(&s->lock);
    f = find_locked(s, n, number);
    if (f)
        unlist_locked(s, f);
    pthread_mutex_unlock(&s->lock);
    share_file_put(s, f);
    return f ? 0 : EBADF;
}

void share_files_reset(struct share *s)
{
    for (uint32_t i = 0;; i++) {
        struct share_file *f = NULL;
        bool is_end;

        pthread_mutex_lock(&s->lock);
        is_end = i >= s->files.n_slots;
        if (!is_end)
            f = s->files.slot[i].object;
        if (f)
            unlist_locked(s, f);
        pthread_mutex_unlock(&s->lock);
        if (is_end)
            return;
        share_file_put(s, f);
    }
}
