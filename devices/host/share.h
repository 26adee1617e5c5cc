/* The host's side of a shared folder: a file server that speaks FUSE (version 7, as Linux's
 * <linux/fuse.h> has it) for one folder, on threads of its own.
 *
 * The guest cannot leave the folder. It names a file by a node, which the server knows as a name in
 * another node, up to the folder itself; there are no descriptors kept for nodes. Each request
 * finds its nodes anew, by openat2() from the folder, which follows no symbolic link and crosses no
 * mount, and is only obeyed if the file found is the one that the node stands for. So whatever
 * the guest sends and whatever other processes rename, a request acts on what lies beneath the
 * folder at the moment in which it looks. Only a file that the guest has open stays open if it is
 * moved away. */
#pragma once

#include <stdint.h>
#include <sys/uio.h>

#include "devices/host/pool.h"

struct share;

struct share_config {
    const char *dir; /* borrowed until share_open() returns */
    bool read_only;
    bool synchronous;  /* a request is answered when share_submit() returns */
    unsigned max_open; /* files and folders that the guest may have open at a time */
};

/* What the guest says and the room for the answer. Owned by whoever submits it, untouched by him
 * until share_done() returns it. The guest may change the bytes at any moment. */
struct share_request {
    struct pool_job job; /* first */
    const struct iovec *out, *in;
    unsigned n_out, n_in; /* together IOV_MAX pieces at most */
    uint64_t out_bytes, in_bytes;
    uint64_t written; /* afterwards: bytes of the answer, 0 if there is none */
};

/* ---- The main thread --------------------------------------------------------------------- */

/* NULL: *e says why, and what to do. */
struct share *share_open(const struct share_config *config, struct err *e) MUST_CHECK;

/* Waits for what is in progress. Requests that are done and were not taken are forgotten. */
void share_close(struct share *s);

/* ---- Any one thread at a time ---------------------------------------------------------------- */

/* `done` is called, on any thread, when share_done() has something new. */
void share_on_done(struct share *s, void (*done)(void *arg), void *arg);

void share_submit(struct share *s, struct share_request *r);

/* The requests that are done since the last call, linked by job.next; NULL: none. */
struct share_request *share_done(struct share *s);

/* Returns when no request is in progress: share_done() has them all. */
void share_wait(struct share *s);

/* The guest is gone or starts anew: closes what it has open, forgets its nodes. After
 * share_wait(). */
void share_reset(struct share *s);
