#include <stdlib.h>
#include <string.h>

#include "dbt/base/bits.h"
#include "devices/host/net_private.h"

/* Some connections' windows of data, and several of the longest frames. */
enum { RING_BYTES = 1 << 20, RING_ALIGN = 16 };
#define WRAP UINT32_MAX /* in place of a length: go on at the beginning */

_Static_assert(RING_BYTES / 4 > NET_MAX_FRAME + 2 * sizeof(struct net_frame),
               "a frame of any length fits into a half that has to be begun anew");

static size_t record_bytes(size_t len_bytes)
{
    return align_up(sizeof(struct net_frame) + len_bytes, RING_ALIGN);
}

static struct net_frame *at(const struct net_ring *r, size_t position)
{
    return (struct net_frame *)(void *)(r->bytes + (position & (r->size - 1)));
}

static size_t to_end(const struct net_ring *r, size_t position)
{
    return r->size - (position & (r->size - 1));
}

void net_ring_init(struct net_ring *r)
{
    *r = (struct net_ring){.bytes = aligned_alloc(RING_ALIGN, RING_BYTES), .size = RING_BYTES};
    CHECK(r->bytes && "memory for frames");
}

void net_ring_fini(struct net_ring *r)
{
    free(r->bytes);
}

struct net_frame *net_ring_reserve(struct net_ring *r, size_t len_bytes)
{
    size_t need = record_bytes(len_bytes), left = to_end(r, r->head);
    size_t skip = left < need ? left : 0;
    struct net_frame *f;

    DCHECK(len_bytes <= NET_MAX_FRAME);
    if (r->size - (r->head - r->tail) < skip + need)
        return NULL;
    if (skip > 0)
        at(r, r->head)->len = WRAP;
    r->head += skip;
    f = at(r, r->head);
    *f = (struct net_frame){.len = (uint32_t)len_bytes};
    return f;
}

void net_ring_commit(struct net_ring *r, struct net_frame *f)
{
    DCHECK(f == at(r, r->head) && f->len <= NET_MAX_FRAME);
    r->head += record_bytes(f->len);
}

struct net_frame *net_ring_first(struct net_ring *r)
{
    if (r->tail != r->head && at(r, r->tail)->len == WRAP)
        r->tail += to_end(r, r->tail);
    return r->tail != r->head ? at(r, r->tail) : NULL;
}

void net_ring_drop(struct net_ring *r, struct net_frame *f)
{
    DCHECK(f == at(r, r->tail));
    r->tail += record_bytes(f->len);
}

void net_ring_clear(struct net_ring *r)
{
    r->tail = r->head;
}

bool net_ring_has_room(const struct net_ring *r)
{
    return r->head - r->tail <= r->size / 2;
}
