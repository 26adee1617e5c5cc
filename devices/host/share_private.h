/* What the pieces of share have in common. Private to devices/host/share*.c.
 *
 *      share.c        threads, the beginning and the end
 *      share_fuse.c   messages: what came is checked and taken apart, answers are laid out
 *      share_name.c   requests on a name in a folder: look up, make, link, rename, remove
 *      share_attr.c   requests on a node: attributes, what a link says
 *      share_open.c   requests on what is open: read, write, allocate
 *      share_dir.c    requests on an open folder
 *      share_node.c   nodes, and how they are found in the folder
 *      share_file.c   the table of what is open
 *
 * Locks: a file's, then `tree`, then `lock`. No file is opened, read or written under `lock`. */
#pragma once

#include <linux/fuse.h>
#include <linux/stat.h>
#include <stdatomic.h>
#include <stddef.h>

#include "devices/host/share.h"

/* ---- share_table.c: numbers for the guest, that are never used twice --------------------- */

struct share_slot {
    void *object; /* NULL: free */
    uint32_t serial;
    uint32_t next_free;
};

/* The first object gets number 1: FUSE's root. */
struct share_table {
    struct share_slot *slot;
    uint32_t n_slots, max_slots;
    uint32_t first_free; /* n_slots: none */
    uint32_t n_used;
};

void share_table_init(struct share_table *t, uint32_t max_slots);
void share_table_fini(struct share_table *t);
/* The number, or 0 when the table is full. */
uint64_t share_table_add(struct share_table *t, void *object) MUST_CHECK;
/* NULL: there is no such number, or no more. */
void *share_table_find(const struct share_table *t, uint64_t number);
void share_table_remove(struct share_table *t, uint64_t number);

/* ---- What there is ------------------------------------------------------------------------ */

enum {
    SHARE_MAX_NODES = 1 << 20,
    SHARE_N_BUCKETS = 1 << 16,
    SHARE_NAME_MAX = 255,
    /* Of 4 KiB, in one message: the most that Linux takes. A guest that asks for more at once
     * breaks what INIT has settled, and would have whoever waits for its requests wait for long. */
    SHARE_MAX_PAGES = 256,
    SHARE_MAX_BYTES = SHARE_MAX_PAGES * 4096,
};

/* Which file it is, on this host, as long as it exists. */
struct share_identity {
    uint64_t dev, ino;
    uint32_t type; /* S_IFMT */
};

/* What a file's contents were when the guest last opened it. */
struct share_seen {
    bool known;
    uint64_t size;
    struct statx_timestamp mtime, ctime;
};

/* A file that the guest knows. All but `number` and `is` under s->lock. */
struct share_node {
    uint64_t number;
    struct share_identity is;
    struct share_node *parent; /* a use of it; NULL: the folder itself */
    char *name;                /* in parent, when it was last looked up */
    struct share_node *next;   /* in the same bucket */
    uint64_t n_lookups;        /* that the guest has not forgotten */
    unsigned n_uses;           /* nodes in it, files open, requests in progress */
    struct share_file *files;  /* open ones */
    struct share_seen seen;
};

/* A file or folder that the guest has open. */
struct share_file {
    uint64_t number;
    int fd;
    bool is_dir, is_writable;
    struct share_node *node; /* a use of it */
    struct share_file *next; /* of the node's: s->lock */
    unsigned n_uses;         /* s->lock: 1 for the table, and requests in progress */

    pthread_mutex_t lock; /* what follows, of a folder: entries read and not yet handed out */
    uint8_t *entries;     /* NULL: none yet */
    size_t at, len;
    uint64_t offset; /* of what comes next */
};

struct share {
    int root; /* the folder, O_PATH */
    int proc; /* /proc/self/fd: gives a descriptor of ours another mode */
    uint64_t root_dev;
    bool read_only;
    atomic_bool is_ready; /* INIT has come */
    struct pool pool;

    /* To be read while a node is looked for, written while one is renamed: else a file would be
     * gone for a moment when its folder is renamed. */
    pthread_rwlock_t tree;
    pthread_mutex_t lock; /* all below, and what they hold */
    struct share_table nodes, files;
    struct share_node **bucket;
};

/* ---- share_node.c -------------------------------------------------------------------------- */

bool share_nodes_init(struct share *s, struct err *e) MUST_CHECK;
void share_nodes_fini(struct share *s);
/* The guest knows none any more. */
void share_nodes_reset(struct share *s);

/* A use of the node, given back by share_node_put(). NULL: there is none with that number. */
struct share_node *share_node_get(struct share *s, uint64_t number);
void share_node_put(struct share *s, struct share_node *n);
void share_node_put_locked(struct share *s, struct share_node *n);

/* The guest learns of a name: its node, which counts one look-up more. 0 or an errno. */
int share_node_enter(struct share *s, struct share_node *parent, const char *name,
                     const struct statx *st, uint64_t *number) MUST_CHECK;
void share_node_forget(struct share *s, uint64_t number, uint64_t n_lookups);
/* A file has another name now. */
void share_node_moved(struct share *s, const struct statx *st, struct share_node *parent,
                      const char *name);

/* Finds the node in the folder: a descriptor (O_PATH) and what it is like, or minus an errno;
 * ESTALE: it is not there any more. */
int share_node_open(struct share *s, struct share_node *n, struct statx *st) MUST_CHECK;
/* The same, and if it is not there the descriptor of an open file of the node's. */
int share_node_open_or_file(struct share *s, struct share_node *n, struct statx *st) MUST_CHECK;

/* 0 or an errno, of what a descriptor stands for, or of a name in it, without following links. */
int share_stat(int fd, const char *name, struct statx *st) MUST_CHECK;

/* Another descriptor for the file, with flags that must not create; or minus an errno. Only for
 * regular files and folders: opening is without effect on them. */
int share_reopen(const struct share *s, int fd, int flags) MUST_CHECK;
/* The name of a descriptor in s->proc. */
enum { SHARE_FD_NAME = 16 };
const char *share_fd_name(int fd, char name[SHARE_FD_NAME]);

/* openat2() that leads nowhere but down. A descriptor or minus an errno. */
int share_step(int fd, const char *path, uint64_t flags, uint32_t mode) MUST_CHECK;

/* ---- share_file.c ---------------------------------------------------------------------------- */

void share_files_reset(struct share *s);
/* Takes fd over. 0 or an errno, when it is closed. */
int share_file_add(struct share *s, struct share_node *n, int fd, bool is_dir, bool is_writable,
                   uint64_t *number) MUST_CHECK;
/* A use of the open file, if it is one of this node's. */
struct share_file *share_file_get(struct share *s, const struct share_node *n, uint64_t number,
                                  bool is_dir);
void share_file_put(struct share *s, struct share_file *f);
int share_file_release(struct share *s, const struct share_node *n, uint64_t number);

/* ---- share_fuse.c ------------------------------------------------------------------------------
 */

enum { SHARE_TEXT_ROOM = 4096 + 256, SHARE_ANSWER_ROOM = 256 };

/* A request, taken apart; a copy, which the guest cannot change. */
struct share_call {
    struct share *s;
    const struct share_request *r;
    struct fuse_in_header h;
    struct share_node *node; /* h.nodeid's */
    union {
        uint64_t align;
        uint8_t bytes[128];
        uint8_t none[0];
        struct {
            uint32_t major, minor, max_readahead, flags; /* what follows came with 7.36 */
        } init;
        struct fuse_interrupt_in interrupt;
        struct fuse_forget_in forget;
        struct fuse_batch_forget_in batch_forget;
        struct fuse_getattr_in getattr;
        struct fuse_setattr_in setattr;
        struct fuse_mknod_in mknod;
        struct fuse_mkdir_in mkdir;
        struct fuse_rename_in rename;
        struct fuse_rename2_in rename2;
        struct fuse_link_in link;
        struct fuse_open_in open;
        struct fuse_create_in create;
        struct fuse_read_in read;
        struct fuse_write_in write;
        struct fuse_release_in release;
        struct fuse_fsync_in fsync;
        struct fuse_fallocate_in fallocate;
        struct fuse_lseek_in lseek;
        struct fuse_copy_file_range_in copy;
    } in;
    char text[SHARE_TEXT_ROOM];
    const char *name[2]; /* in text: what stands behind `in` */

    size_t answer_len; /* behind the header: in `answer`, or in the guest's pieces already */
    bool is_answered;  /* the latter */
    uint64_t align;
    uint8_t answer[SHARE_ANSWER_ROOM];
};

/* Obeys a request of this share's. */
void share_serve(void *share, struct pool_job *job);

/* The next bytes of an answer, all of which fits into its room in share_call. */
void share_answer(struct share_call *c, const void *bytes, size_t len);
/* The next bytes of a longer one, into the guest's room, which they must fit. */
void share_put(struct share_call *c, const void *bytes, size_t len);

struct fuse_attr share_attr(const struct share *s, const struct statx *st);
/* Of a name that was looked up. 0 or an errno. */
int share_entry(struct share_call *c, struct share_node *parent, const char *name,
                const struct statx *st, struct fuse_entry_out *out) MUST_CHECK;

/* The room behind the answer's header, `skip` bytes of it left out, at most len bytes: pieces for
 * readv(). iov has IOV_MAX. */
unsigned share_room(const struct share_call *c, size_t skip, size_t len, struct iovec *iov);
size_t share_room_bytes(const struct share_call *c);

/* ---- share_name.c, share_attr.c, share_open.c, share_dir.c: each 0 or an errno ------------------
 */

int share_lookup(struct share_call *c);
int share_create(struct share_call *c);
int share_mknod(struct share_call *c);
int share_mkdir(struct share_call *c);
int share_symlink(struct share_call *c);
int share_link(struct share_call *c);
int share_unlink(struct share_call *c);
int share_rmdir(struct share_call *c);
int share_rename(struct share_call *c);
int share_rename2(struct share_call *c);

int share_getattr(struct share_call *c);
int share_setattr(struct share_call *c);
int share_readlink(struct share_call *c);
int share_statfs(struct share_call *c);

int share_open_file(struct share_call *c);
int share_read(struct share_call *c);
int share_write(struct share_call *c);
int share_release(struct share_call *c);
int share_fsync(struct share_call *c);
int share_fallocate(struct share_call *c);
int share_lseek(struct share_call *c);
int share_copy(struct share_call *c);
/* Of an open file whose flags are the guest's: those that have an effect here. */
int share_open_flags(const struct share *s, uint32_t flags, int *host_flags) MUST_CHECK;
/* Hands the open file to the guest; takes fd over. */
int share_opened(struct share_call *c, struct share_node *n, int fd, int flags,
                 struct fuse_open_out *out) MUST_CHECK;

int share_opendir(struct share_call *c);
int share_readdir(struct share_call *c);
int share_readdirplus(struct share_call *c);
int share_fsyncdir(struct share_call *c);
int share_releasedir(struct share_call *c);
