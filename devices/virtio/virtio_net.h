/* A network card (virtio 1.2, section 5.1), of one pair of queues. The host's side is
 * devices/host/net.h. */
#pragma once

#include "devices/host/net.h"
#include "devices/virtio/virtio.h"

enum { VIRTIO_NET_MAC_BYTES = 6 };

/* struct virtio_net_config, as the driver reads it. */
struct virtio_net_space {
    uint8_t mac[VIRTIO_NET_MAC_BYTES];
    uint16_t status;
    uint16_t max_virtqueue_pairs;
    uint16_t mtu;
};

struct virtio_net {
    struct virtio_device v; /* first */
    struct net *net;        /* borrowed until virtio_net_fini() */
    struct virtio_net_space space;
    bool started; /* the host side brings frames */
};

/* ---- Before the first hart runs, after the last has stopped --------------------------------- */

/* mtu: what the driver is told, or 0. */
void virtio_net_init(struct virtio_net *n, struct net *net, const uint8_t mac[VIRTIO_NET_MAC_BYTES],
                     uint16_t mtu, const struct virtio_host *host);
void virtio_net_fini(struct virtio_net *n);
