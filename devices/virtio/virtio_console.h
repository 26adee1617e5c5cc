/* A console (virtio 1.2, section 5.3), of one port: bytes both ways, and the size of the terminal.
 */
#pragma once

#include "devices/virtio/virtio.h"

/* Where the bytes go. All are called with the device's lock held, and put() waits for nobody. */
struct virtio_console_wire {
    void (*put)(void *arg, uint8_t byte);
    /* Is the driver's next buffer to be sent? Else virtio_console_room() says when. NULL: always.
     */
    bool (*has_room)(void *arg);
    void (*ready)(void *arg); /* there is room again for what comes in */
    void *arg;
};

/* struct virtio_console_config, as the driver reads it. */
struct virtio_console_space {
    uint16_t columns, rows;
    uint32_t max_ports;
    uint32_t emergency;
};

enum { VIRTIO_CONSOLE_RING = 4096 };

struct virtio_console {
    struct virtio_device v; /* first */
    struct virtio_console_wire wire;
    struct virtio_console_space space;

    pthread_mutex_t ring_lock; /* what follows; nothing is called under it */
    uint8_t ring[VIRTIO_CONSOLE_RING];
    unsigned ring_head, ring_len; /* came in, not yet with the driver */
    bool refused;                 /* more came than there was room for */
    uint16_t columns, rows;       /* of the terminal */
};

/* ---- Before the first hart runs, after the last has stopped --------------------------------- */

void virtio_console_init(struct virtio_console *c, struct virtio_console_wire wire,
                         const struct virtio_host *host);
void virtio_console_fini(struct virtio_console *c);

/* ---- Any thread -------------------------------------------------------------------------------
 */

/* Bytes come in. Returns how many were taken; if not all, wire.ready says when to come again. */
size_t virtio_console_receive(struct virtio_console *c, const uint8_t *data, size_t n);

/* There is room for what the driver sends. */
void virtio_console_room(struct virtio_console *c);

/* The terminal has another size. */
void virtio_console_resize(struct virtio_console *c, uint16_t columns, uint16_t rows);
