/* A split virtqueue (virtio 1.2, section 2.7), the device's side. All that the guest writes into
 * it is checked before it is used, and read once: it may change at any moment.
 *
 *     descriptors:  addr len flags next | ...      what a buffer is made of
 *     driver area:  flags idx ring[num] used_event heads that the guest makes available
 *     device area:  flags idx ring[num] avail_event heads that the device gives back
 *
 * Invariants while `ready`: num is a power of two up to VIRTQ_MAX_SIZE, the three areas lie in RAM.
 */
#pragma once

#include <stdbool.h>

#include "devices/device.h"
#include "devices/virtio/dma.h"

enum {
    VIRTQ_MAX_SIZE = 1024,
    /* Pieces that one chain may have, tables of indirect descriptors included. */
    VIRTQ_MAX_PIECES = 1024,
};

struct virtq {
    const struct virtio_dma *dma;
    uint16_t max; /* what the device offers */
    uint16_t num; /* what the driver chose */
    bool ready;
    bool indirect, event_idx; /* negotiated */
    uint64_t desc_gpa, driver_gpa, device_gpa;

    uint16_t next_avail; /* the next entry of the driver area to look at, modulo 2^16 */
    uint16_t next_used;  /* the next entry of the device area to fill */
    uint16_t shown_used; /* idx of the device area: what the driver can see */
    uint16_t n_taken;    /* chains taken and not given back */
};

/* One buffer: what the device reads, then what it writes. Empty pieces are left out. */
struct virtq_chain {
    uint16_t head;
    unsigned n_out, n_in;
    uint64_t out_bytes, in_bytes; /* together less than 2^32 */
    struct iovec iov[VIRTQ_MAX_PIECES];
};

static inline const struct iovec *virtq_in(const struct virtq_chain *c)
{
    return c->iov + c->n_out;
}

enum virtq_found { VIRTQ_EMPTY, VIRTQ_CHAIN, VIRTQ_BAD };

/* ---- The device, on the thread that serves it, with its lock held ------------------------- */

/* Makes the queue usable from num and the three addresses. False: *why says what is wrong. */
bool virtq_enable(struct virtq *q, const char **why) MUST_CHECK;

/* As before the driver touched it; max and dma stay. */
void virtq_reset(struct virtq *q);

/* Takes the next buffer. BAD: *why says what; the queue must not be used any more. */
enum virtq_found virtq_take(struct virtq *q, struct virtq_chain *c, const char **why) MUST_CHECK;

/* The n buffers that were taken last have not been taken: they come again. */
void virtq_untake(struct virtq *q, unsigned n);

/* Gives a buffer back, of which the device wrote the first `written` bytes. The guest sees it with
 * the next virtq_publish(). */
void virtq_give(struct virtq *q, uint16_t head, uint32_t written);

/* Shows the guest what was given back. True: it wants an interrupt. */
bool virtq_publish(struct virtq *q) MUST_CHECK;

/* The guest need not notify us of what it adds (a hint: it may). */
void virtq_deaf(struct virtq *q);

/* It must from now on. True: something has been added meanwhile, unheard. */
bool virtq_listen(struct virtq *q) MUST_CHECK;

void virtq_state(struct virtq *q, struct state_io *io);
