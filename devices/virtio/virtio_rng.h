/* Random numbers (virtio 1.2, section 5.4). */
#pragma once

#include "devices/virtio/virtio.h"

struct virtio_rng {
    struct virtio_device v; /* first */
    /* Fills the buffer. The one source of what the guest gets, so that it can be repeated. */
    void (*fill)(void *arg, void *to, size_t len_bytes);
    void *fill_arg;
};

/* ---- Before the first hart runs, after the last has stopped --------------------------------- */

void virtio_rng_init(struct virtio_rng *r, void (*fill)(void *arg, void *to, size_t len_bytes),
                     void *fill_arg, const struct virtio_host *host);
void virtio_rng_fini(struct virtio_rng *r);
