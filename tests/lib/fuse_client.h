/* A guest's side of a shared folder, for tests: FUSE requests to a share, one at a time, in pieces
 * of odd lengths. */
#pragma once

#include <linux/fuse.h>
#include <stddef.h>

#include "devices/host/share.h"

enum { FC_ANSWER_ROOM = 1 << 16 };

struct fuse_client {
    struct share *share;
    uint64_t unique;
    size_t room;          /* for the answer behind its header; FC_ANSWER_ROOM */
    size_t answer_len;    /* what came, behind the header */
    uint32_t header_adds; /* wrongly, to the length that the header says */
    uint8_t answer[FC_ANSWER_ROOM];
};

/* Without INIT. */
void fc_start(struct fuse_client *c, struct share *share);

/* Sends args and what follows them. Returns the errno of the answer; -1: there was none. */
int fc_send(struct fuse_client *c, uint32_t opcode, uint64_t node, const void *args,
            size_t args_len, const void *more, size_t more_len);

/* Each returns the errno of the answer. */
int fc_init(struct fuse_client *c);
/* The node, 0 if there is none. */
int fc_lookup(struct fuse_client *c, uint64_t parent, const char *name, struct fuse_entry_out *e);
int fc_getattr(struct fuse_client *c, uint64_t node, struct fuse_attr *attr);
int fc_setattr(struct fuse_client *c, uint64_t node, const struct fuse_setattr_in *in);
int fc_open(struct fuse_client *c, uint64_t node, uint32_t flags, uint64_t *fh);
int fc_opendir(struct fuse_client *c, uint64_t node, uint64_t *fh);
int fc_create(struct fuse_client *c, uint64_t parent, const char *name, uint32_t flags,
              uint32_t mode, struct fuse_entry_out *e, uint64_t *fh);
int fc_read(struct fuse_client *c, uint64_t node, uint64_t fh, uint64_t offset, uint32_t size);
int fc_write(struct fuse_client *c, uint64_t node, uint64_t fh, uint64_t offset, const void *bytes,
             uint32_t size, uint32_t flags);
int fc_mkdir(struct fuse_client *c, uint64_t parent, const char *name, uint32_t mode);
int fc_mknod(struct fuse_client *c, uint64_t parent, const char *name, uint32_t mode);
int fc_symlink(struct fuse_client *c, uint64_t parent, const char *name, const char *target);
int fc_link(struct fuse_client *c, uint64_t node, uint64_t parent, const char *name);
int fc_unlink(struct fuse_client *c, uint64_t parent, const char *name);
int fc_rmdir(struct fuse_client *c, uint64_t parent, const char *name);
int fc_rename(struct fuse_client *c, uint64_t from, const char *name, uint64_t to,
              const char *new_name, uint32_t flags);
int fc_release(struct fuse_client *c, uint64_t node, uint64_t fh);
int fc_readdir(struct fuse_client *c, uint32_t opcode, uint64_t node, uint64_t fh, uint64_t offset,
               uint32_t size);
/* Has no answer. */
void fc_forget(struct fuse_client *c, uint64_t node, uint64_t n);
