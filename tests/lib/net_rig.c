#include "tests/lib/net_rig.h"

#include <string.h>

#include "dbt/base/check.h"

const uint8_t nr_mac[VIRTIO_NET_MAC_BYTES] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

const uint8_t nr_udp_packet[NR_UDP_BYTES] = {
    0x52, 0x55, 0x0a, 0,    0x02, 0x02, 0x52, 0x54, 0,    0x12, 0x34, 0x56, 0x08, 0, /* Ethernet */
    0x45, 0,    0,    0x21, 0,    0x01, 0,    0,    0x40, 0x11, 0x62, 0xb9,          /* IPv4 */
    0x0a, 0,    0x02, 0x0f, 0x0a, 0,    0x02, 0x02,                                  /* */
    0x03, 0xe8, 0x07, 0xd0, 0,    0x0d, 0x18, 0x2f,                                  /* UDP */
    'h',  'e',  'l',  'l',  'o'};

/* ---- The host's side ---------------------------------------------------------------------- */

static void host_wait(void *backend, struct net_polls *p, bool paused)
{
    (void)backend, (void)p, (void)paused;
}

static void host_serve(void *backend, const struct net_polls *p)
{
    (void)backend, (void)p;
}

static bool host_send(void *backend, const struct net_frame *f)
{
    struct nr_host *h = backend;
    unsigned i = h->n_sent % NR_KEPT;

    if (h->stuck)
        return false;
    memcpy(h->sent[i], f->bytes, f->len < NR_SPACING ? f->len : NR_SPACING);
    h->len[i] = f->len;
    h->offload[i] = f->offload;
    h->n_misnumbered += h->numbered && memcmp(f->bytes, &h->n_sent, sizeof h->n_sent) != 0;
    h->n_sent++;
    return true;
}

static void host_offloads(void *backend, unsigned offloads)
{
    ((struct nr_host *)backend)->offloads = offloads;
}

static void host_close(void *backend)
{
    ((struct nr_host *)backend)->closed = true;
}

static const struct net_ops plain_ops = {
    .wait = host_wait, .serve = host_serve, .send = host_send, .close = host_close};

static const struct net_ops able_ops = {.offloads = NET_SEND_TSO4 | NET_SEND_TSO6 | NET_GET_CSUM |
                                                    NET_GET_TSO4 | NET_GET_TSO6,
                                        .takes_csum = true,
                                        .wait = host_wait,
                                        .serve = host_serve,
                                        .send = host_send,
                                        .set_offloads = host_offloads,
                                        .close = host_close};

/* ---- Life --------------------------------------------------------------------------------- */

void nr_init(struct net_rig *r, bool able, uint16_t mtu)
{
    struct err e;

    memset(r, 0, sizeof *r);
    vd_init(&r->d);
    r->net = net_create(able ? &able_ops : &plain_ops, &r->host, &e);
    CHECK(r->net && "a network is made");
    virtio_net_init(&r->card, r->net, nr_mac, mtu, &r->d.host);
    r->d.slot = (struct virtio_mmio){.device = &r->card.v};
}

bool nr_fini(struct net_rig *r)
{
    virtio_net_fini(&r->card);
    net_close(r->net);
    vd_fini(&r->d);
    return r->host.closed;
}

void nr_start(struct net_rig *r, uint64_t features)
{
    CHECK(vd_negotiate(&r->d, features) && "the device agrees");
    vd_select(&r->d, NR_TX);
    vd_make_queue(&r->d, NR_RING);
    vd_select(&r->d, NR_RX);
    vd_start(&r->d, NR_RING);
    vd_poll(&r->d);
}

/* ---- To the host -------------------------------------------------------------------------- */

void nr_offer_packet(struct net_rig *r, unsigned i, struct nr_header h, const void *bytes,
                     uint32_t len)
{
    uint64_t at = NR_PACKETS + NR_SPACING * (uint64_t)i;

    vd_select(&r->d, NR_TX);
    memcpy(vd_at(&r->d, at), &h, NR_HEADER);
    memcpy(vd_at(&r->d, at + NR_HEADER), bytes, len);
    vd_desc(&r->d, i, VD_RAM + at, NR_HEADER + len, 0, 0);
    vd_offer(&r->d, (uint16_t)i);
}

void nr_send(struct net_rig *r, struct nr_header h, const void *bytes, uint32_t len)
{
    nr_offer_packet(r, 0, h, bytes, len);
    vd_notify(&r->d);
    net_round(r->net, false);
}

/* ---- To the guest ------------------------------------------------------------------------- */

void nr_offer_buffers(struct net_rig *r, unsigned first, unsigned last, uint32_t len)
{
    vd_select(&r->d, NR_RX);
    for (unsigned i = first; i <= last; i++) {
        uint64_t at = NR_BUFFERS + NR_SPACING * (uint64_t)i;

        memset(vd_at(&r->d, at), 0xee, len);
        vd_desc(&r->d, i, VD_RAM + at, len, VD_WRITE, 0);
        vd_offer(&r->d, (uint16_t)i);
    }
}

bool nr_bring(struct net_rig *r, const void *bytes, size_t len, struct net_offload o)
{
    struct net_frame *f = net_deliver_begin(r->net, len);

    if (!f)
        return false;
    memcpy(f->bytes, bytes, len);
    f->offload = o;
    net_deliver(r->net, f);
    net_round(r->net, false);
    vd_poll(&r->d);
    return true;
}

const uint8_t *nr_received(struct net_rig *r, unsigned i)
{
    return vd_at(&r->d, NR_BUFFERS + NR_SPACING * (uint64_t)i + NR_HEADER);
}

unsigned nr_n_used(struct net_rig *r, unsigned queue)
{
    vd_select(&r->d, queue);
    return vd_n_used(&r->d);
}

void nr_fill(uint8_t *bytes, unsigned len)
{
    for (unsigned i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
}
