/* A network card for tests: a driver of its two queues, and a host side that keeps what it gets and
 * has no thread. */
#pragma once

#include "devices/host/net_private.h"
#include "devices/virtio/virtio_net.h"
#include "tests/lib/virtio_driver.h"

enum { /* features */
       NR_CSUM = 1 << 0,
       NR_GUEST_CSUM = 1 << 1,
       NR_MTU = 1 << 3,
       NR_MAC = 1 << 5,
       NR_GUEST_TSO4 = 1 << 7,
       NR_GUEST_TSO6 = 1 << 8,
       NR_HOST_TSO4 = 1 << 11,
       NR_HOST_TSO6 = 1 << 12,
       NR_MRG_RXBUF = 1 << 15,
       NR_STATUS = 1 << 16,
};

enum {
    NR_RX,
    NR_TX,
    NR_HEADER = 12,
    NR_PACKETS = VD_DATA, /* where what is sent lies, and what is received */
    NR_BUFFERS = VD_DATA + VD_STRIDE,
    NR_SPACING = 0x800,
    NR_KEPT = 8,
    NR_RING = 64,
};

/* struct virtio_net_hdr. */
struct nr_header {
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset, n_buffers;
};

/* The host's side. */
struct nr_host {
    uint8_t sent[NR_KEPT][NR_SPACING]; /* the last ones */
    struct net_offload offload[NR_KEPT];
    unsigned len[NR_KEPT], n_sent;
    bool stuck; /* it takes nothing */
    bool closed;
    bool numbered; /* frames should begin with 0, 1, 2, ... */
    unsigned n_misnumbered;
    unsigned offloads; /* that the guest takes */
};

struct net_rig {
    struct virtio_driver d;
    struct virtio_net card;
    struct net *net;
    struct nr_host host;
};

extern const uint8_t nr_mac[VIRTIO_NET_MAC_BYTES];

/* able: with all offloads, as a tap interface; else with none. */
void nr_init(struct net_rig *r, bool able, uint16_t mtu);
/* True: the host's side was closed. */
bool nr_fini(struct net_rig *r);

/* Negotiates, and makes both queues, of NR_RING descriptors. */
void nr_start(struct net_rig *r, uint64_t features);

/* One packet in descriptor i, not yet told. */
void nr_offer_packet(struct net_rig *r, unsigned i, struct nr_header h, const void *bytes,
                     uint32_t len);
/* A packet, all the way to the host's side. */
void nr_send(struct net_rig *r, struct nr_header h, const void *bytes, uint32_t len);

/* Offers receive buffers `first` to `last`, each of len bytes. */
void nr_offer_buffers(struct net_rig *r, unsigned first, unsigned last, uint32_t len);

/* A frame from the host's side, and the device served. False: it is lost. */
bool nr_bring(struct net_rig *r, const void *bytes, size_t len, struct net_offload o);

/* What buffer i holds behind the header. */
const uint8_t *nr_received(struct net_rig *r, unsigned i);
unsigned nr_n_used(struct net_rig *r, unsigned queue);

void nr_fill(uint8_t *bytes, unsigned len);

/* An IPv4 and UDP packet to port 2000, of which the driver has summed up the pseudo header only. By
 * hand: 0x182f, the ports, the length and "he", "ll", "o\0" make 1_67c5; with the carry 67c6, of
 * which the complement is 9839. */
enum {
    NR_UDP_BYTES = 47,
    NR_UDP_START = 34,
    NR_UDP_SUM = 6,
    NR_UDP_GOOD_HIGH = 0x98,
    NR_UDP_GOOD_LOW = 0x39
};
extern const uint8_t nr_udp_packet[NR_UDP_BYTES];
