/* What the pieces of net share. Private to devices/host/net*.c and their tests. */
#pragma once

#include <poll.h>
#include <pthread.h>

#include "devices/host/net.h"

/* ---- net_ring.c: frames in a row, with a thread at each end ---------------------------------- */

/* Positions count bytes for ever; where they point is position modulo size. Frames lie whole: one
 * that would cross the end begins anew, behind a mark. Positions are changed under a lock of the
 * owner's; the bytes of a frame belong to who reserved it until it is committed, and to who looks
 * at it until it is dropped. */
struct net_ring {
    uint8_t *bytes;
    size_t size, head, tail;
};

void net_ring_init(struct net_ring *r);
void net_ring_fini(struct net_ring *r);

/* At the head: room for a frame, or NULL. The same again, until it is committed. */
struct net_frame *net_ring_reserve(struct net_ring *r, size_t len_bytes);
/* f->len may have become less. */
void net_ring_commit(struct net_ring *r, struct net_frame *f);

/* At the tail: the oldest frame, or NULL. */
struct net_frame *net_ring_first(struct net_ring *r);
void net_ring_drop(struct net_ring *r, struct net_frame *f);
void net_ring_clear(struct net_ring *r);

/* Is a half of it free? Any frame fits into that. */
bool net_ring_has_room(const struct net_ring *r);

/* ---- What one kind of host side is: all on its thread but close -------------------------------
 */

/* What its thread waits for. */
struct net_polls {
    struct pollfd *fd;
    unsigned n, room;
    int timeout_ms; /* -1: none */
};

/* Returns the index. */
unsigned net_polls_add(struct net_polls *p, int fd, short events);

struct net_ops {
    unsigned offloads; /* enum net_offloads */
    /* NEEDS_CSUM frames may be sent: else they are finished first. */
    bool takes_csum;
    /* Adds what it waits for, and makes timeout_ms smaller. paused: what comes from outside should
     * wait there, the guest does not take it at present. */
    void (*wait)(void *backend, struct net_polls *p, bool paused);
    /* Looks at what wait() added, and brings frames with net_deliver(). */
    void (*serve)(void *backend, const struct net_polls *p);
    /* False: not now; wait() must see to it that there is a next time. */
    bool (*send)(void *backend, const struct net_frame *f);
    /* Which frames the guest takes, NET_GET_*. Any thread. NULL: it does not matter. */
    void (*set_offloads)(void *backend, unsigned offloads);
    /* Begins or ends a forward. NULL: it has none. */
    bool (*forward)(void *backend, const struct net_forward *f, bool begin, struct err *e);
    /* For a person. NULL: nothing to say. */
    void (*print)(void *backend, FILE *out);
    /* After the thread has ended. */
    void (*close)(void *backend);
};

/* ---- net.c ------------------------------------------------------------------------------------
 */

/* Made without its thread. The backend is closed with it, and when it cannot be made. */
struct net *net_create(const struct net_ops *ops, void *backend, struct err *e) MUST_CHECK;
bool net_start(struct net *n, struct err *e) MUST_CHECK;

/* What its thread does in a round: waits if it may, sends, serves. False: the net is closing. */
bool net_round(struct net *n, bool may_wait);

/* For the backend, on its thread: room for a frame that came, or NULL, when it is lost. Then
 * net_deliver(), whose frame may have become shorter. */
struct net_frame *net_deliver_begin(struct net *n, size_t len_bytes);
void net_deliver(struct net *n, struct net_frame *f);

/* False: what comes had better wait where it is. */
bool net_may_deliver(struct net *n);
void net_set_link(struct net *n, bool up);

/* ---- The kinds ---------------------------------------------------------------------------------
 */

struct net *net_slirp_open(const struct net_config *config, struct err *e) MUST_CHECK;
struct net *net_tap_open(const struct net_config *config, struct err *e) MUST_CHECK;
struct net *net_passt_open(const struct net_config *config, struct err *e) MUST_CHECK;
