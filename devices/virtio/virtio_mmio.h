/* The virtio-mmio transport, version 2 (virtio 1.2, section 4.2): a slot of the board, with a
 * device in it or without. */
#pragma once

#include "devices/virtio/virtio.h"

struct virtio_mmio {
    struct virtio_device *device;                                 /* NULL: an empty slot */
    uint32_t device_features_sel, driver_features_sel, queue_sel; /* the device's lock */
};

extern const struct phys_mmio virtio_mmio; /* device: struct virtio_mmio * */

/* ---- Before the first hart runs, after the last has stopped --------------------------------- */

/* As after power-on. */
void virtio_mmio_reset(struct virtio_mmio *t);
void virtio_mmio_state(struct virtio_mmio *t, struct state_io *io);
