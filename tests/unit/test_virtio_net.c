/* virtio-net, with a host side that keeps what it gets, and has no thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/host/net_private.h"
#include "devices/virtio/virtio_net.h"
#include "tests/lib/virtio_driver.h"

enum {
    F_CSUM = 1 << 0,
    F_GUEST_CSUM = 1 << 1,
    F_MTU = 1 << 3,
    F_MAC = 1 << 5,
    F_GUEST_TSO4 = 1 << 7,
    F_GUEST_TSO6 = 1 << 8,
    F_HOST_TSO4 = 1 << 11,
    F_HOST_TSO6 = 1 << 12,
    F_MRG_RXBUF = 1 << 15,
    F_STATUS = 1 << 16,
};
enum { RX, TX, HEADER = 12, BUFFER = VD_DATA, RX_BUFFERS = VD_DATA + VD_STRIDE };

/* ---- The host's side ---------------------------------------------------------------------- */

struct fake {
    uint8_t sent[8][2048]; /* the last ones */
    struct net_offload offload[8];
    unsigned len[8], n_sent;
    uint32_t next; /* the number that the next frame should begin with */
    bool stuck, numbered, closed;
    unsigned offloads; /* that the guest takes */
};

static void fake_wait(void *backend, struct net_polls *p, bool paused)
{
    (void)backend, (void)p, (void)paused;
}

static void fake_serve(void *backend, const struct net_polls *p)
{
    (void)backend, (void)p;
}

static bool fake_send(void *backend, const struct net_frame *f)
{
    struct fake *k = backend;
    unsigned i = k->n_sent % 8;

    if (k->stuck)
        return false;
    memcpy(k->sent[i], f->bytes, f->len < sizeof k->sent[i] ? f->len : sizeof k->sent[i]);
    k->len[i] = f->len;
    k->offload[i] = f->offload;
    k->n_sent++;
    if (k->numbered)
        assert_memory_equal(f->bytes, &k->next, sizeof k->next);
    k->next++;
    return true;
}

static void fake_offloads(void *backend, unsigned offloads)
{
    ((struct fake *)backend)->offloads = offloads;
}

static void fake_close(void *backend)
{
    ((struct fake *)backend)->closed = true;
}

static const struct net_ops plain_ops = {
    .wait = fake_wait, .serve = fake_serve, .send = fake_send, .close = fake_close};

/* As a tap interface. */
static const struct net_ops able_ops = {.offloads = NET_SEND_TSO4 | NET_SEND_TSO6 | NET_GET_CSUM |
                                                    NET_GET_TSO4 | NET_GET_TSO6,
                                        .takes_csum = true,
                                        .wait = fake_wait,
                                        .serve = fake_serve,
                                        .send = fake_send,
                                        .set_offloads = fake_offloads,
                                        .close = fake_close};

static const uint8_t mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
static struct virtio_driver d;
static struct virtio_net card;
static struct net *net;
static struct fake host;

static void make(const struct net_ops *ops, uint16_t mtu)
{
    struct err e;

    memset(&host, 0, sizeof host);
    net = net_create(ops, &host, &e);
    assert_non_null(net);
    virtio_net_init(&card, net, mac, mtu, &d.host);
    d.slot = (struct virtio_mmio){.device = &card.v};
}

static void unmake(void)
{
    virtio_net_fini(&card);
    net_close(net);
    assert_true(host.closed);
}

static int begin(void **state)
{
    (void)state;
    vd_init(&d);
    make(&plain_ops, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    unmake();
    vd_fini(&d);
    return 0;
}

/* A host side that can do more. */
static void remake(uint16_t mtu)
{
    unmake();
    make(&able_ops, mtu);
}

static void start(uint64_t features)
{
    assert_true(vd_negotiate(&d, features));
    vd_select(&d, TX);
    vd_make_queue(&d, 64);
    vd_select(&d, RX);
    vd_start(&d, 64);
    vd_poll(&d);
}

static uint64_t offered(void)
{
    uint64_t features = 0;

    for (unsigned sel = 0; sel < 2; sel++) {
        vd_set(&d, VD_DEVICE_FEATURES_SEL, sel);
        features |= (uint64_t)vd_get(&d, VD_DEVICE_FEATURES) << (32 * sel);
    }
    return features;
}

/* ---- What a driver does -----------------------------------------------------------------------
 */

struct header {
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset, n_buffers;
};

static void put_packet(uint64_t at, struct header h, const void *bytes, uint32_t len)
{
    memcpy(vd_at(&d, at), &h, HEADER);
    memcpy(vd_at(&d, at + HEADER), bytes, len);
}

/* One packet in descriptor i, not yet told. */
static void offer_packet(unsigned i, struct header h, const void *bytes, uint32_t len)
{
    uint64_t at = BUFFER + 0x800 * (uint64_t)i;

    vd_select(&d, TX);
    put_packet(at, h, bytes, len);
    vd_desc(&d, i, VD_RAM + at, HEADER + len, 0, 0);
    vd_offer(&d, (uint16_t)i);
}

static void send(struct header h, const void *bytes, uint32_t len)
{
    offer_packet(0, h, bytes, len);
    vd_notify(&d);
    net_round(net, false);
}

/* Offers receive buffers `first` to `last`, each of len bytes. */
static void offer_buffers(unsigned first, unsigned last, uint32_t len)
{
    vd_select(&d, RX);
    for (unsigned i = first; i <= last; i++) {
        uint64_t at = RX_BUFFERS + 0x800 * (uint64_t)i;

        memset(vd_at(&d, at), 0xee, len);
        vd_desc(&d, i, VD_RAM + at, len, VD_WRITE, 0);
        vd_offer(&d, (uint16_t)i);
    }
}

/* False: the frame is lost. */
static bool bring_offload(const void *bytes, size_t len, struct net_offload o)
{
    struct net_frame *f = net_deliver_begin(net, len);

    if (!f)
        return false;
    memcpy(f->bytes, bytes, len);
    f->offload = o;
    net_deliver(net, f);
    net_round(net, false);
    vd_poll(&d);
    return true;
}

static bool bring(const void *bytes, size_t len)
{
    return bring_offload(bytes, len, (struct net_offload){0});
}

static void assert_received(unsigned i, uint32_t len, struct header want)
{
    uint32_t head, got;
    struct header h;

    vd_select(&d, RX);
    vd_take_used(&d, &head, &got);
    assert_int_equal(head, i);
    assert_int_equal(got, len);
    memcpy(&h, vd_at(&d, RX_BUFFERS + 0x800 * (uint64_t)i), HEADER);
    assert_memory_equal(&h, &want, HEADER);
}

static const char *received(unsigned i)
{
    return vd_at(&d, RX_BUFFERS + 0x800 * (uint64_t)i + HEADER);
}

static unsigned n_used(unsigned queue)
{
    vd_select(&d, queue);
    return vd_n_used(&d);
}

static void assert_well(void)
{
    assert_int_equal(vd_get(&d, VD_STATUS), 15);
}

static void assert_broken(void)
{
    assert_int_equal(vd_get(&d, VD_STATUS) & VD_NEEDS_RESET, VD_NEEDS_RESET);
}

static void fill(uint8_t *bytes, unsigned len)
{
    for (unsigned i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
}

static void number_frame(uint8_t bytes[64], uint32_t n)
{
    memset(bytes, 0, 64);
    memcpy(bytes, &n, sizeof n);
}

/* ---- Configuration
 * -------------------------------------------------------------------------------- */

static void configuration(void **state)
{
    const uint64_t common = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX |
                            VIRTIO_F_ANY_LAYOUT | F_CSUM | F_MAC | F_MRG_RXBUF | F_STATUS;

    (void)state;
    assert_int_equal(vd_get(&d, VD_DEVICE_ID), 1);
    assert_int_equal(offered(), common);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(virtio_mmio.read(&d.slot, VD_CONFIG + i, 1), mac[i]);
    assert_int_equal(virtio_mmio.read(&d.slot, VD_CONFIG + 6, 2), 1);  /* the link is up */
    assert_int_equal(virtio_mmio.read(&d.slot, VD_CONFIG + 8, 2), 1);  /* a pair of queues */
    assert_int_equal(virtio_mmio.read(&d.slot, VD_CONFIG + 12, 4), 0); /* the end */
    virtio_mmio.write(&d.slot, VD_CONFIG, 1, 0xff);
    assert_int_equal(virtio_mmio.read(&d.slot, VD_CONFIG, 1), mac[0]);
    vd_set(&d, VD_QUEUE_SEL, 2);
    assert_int_equal(vd_get(&d, VD_QUEUE_NUM_MAX), 0);
    remake(9000);
    assert_int_equal(offered(), common | F_MTU | F_GUEST_CSUM | F_GUEST_TSO4 | F_GUEST_TSO6 |
                                    F_HOST_TSO4 | F_HOST_TSO6);
    assert_int_equal(virtio_mmio.read(&d.slot, VD_CONFIG + 10, 2), 9000);
}

static void features_that_need_others(void **state)
{
    (void)state;
    remake(0);
    assert_false(vd_negotiate(&d, F_GUEST_TSO4));
    assert_false(vd_negotiate(&d, F_GUEST_TSO6 | F_CSUM));
    assert_false(vd_negotiate(&d, F_HOST_TSO4 | F_GUEST_CSUM));
    assert_false(vd_negotiate(&d, F_HOST_TSO6));
    assert_true(vd_negotiate(&d, F_GUEST_TSO4 | F_GUEST_CSUM | F_HOST_TSO6 | F_CSUM));
}

static void the_host_hears_what_is_taken(void **state)
{
    (void)state;
    remake(0);
    start(F_GUEST_CSUM | F_GUEST_TSO6);
    assert_int_equal(host.offloads, NET_GET_CSUM | NET_GET_TSO6);
    start(0);
    assert_int_equal(host.offloads, 0);
}

static void the_link_goes_down(void **state)
{
    (void)state;
    start(F_STATUS);
    net_set_link(net, false);
    vd_poll(&d);
    assert_int_equal(virtio_mmio.read(&d.slot, VD_CONFIG + 6, 2), 0);
    assert_int_equal(vd_get(&d, VD_INTERRUPT_STATUS), 2);
    vd_set(&d, VD_INTERRUPT_ACK, 2);
    vd_poll(&d); /* told once */
    assert_int_equal(vd_get(&d, VD_INTERRUPT_STATUS), 0);
    net_set_link(net, true);
    vd_poll(&d);
    assert_int_equal(virtio_mmio.read(&d.slot, VD_CONFIG + 6, 2), 1);
}

/* ---- Sending
 * ---------------------------------------------------------------------------------------- */

static void a_packet_is_sent(void **state)
{
    uint8_t bytes[100];
    uint32_t head, len;

    (void)state;
    fill(bytes, sizeof bytes);
    start(0);
    send((struct header){0}, bytes, sizeof bytes);
    assert_int_equal(host.n_sent, 1);
    assert_int_equal(host.len[0], sizeof bytes);
    assert_memory_equal(host.sent[0], bytes, sizeof bytes);
    assert_int_equal(n_used(TX), 1);
    vd_take_used(&d, &head, &len);
    assert_int_equal(len, 0);
    assert_int_equal(vd_get(&d, VD_INTERRUPT_STATUS), 1);
}

/* The header and the bytes cut up anywhere, the header's end in one piece with the bytes. */
static void any_layout(void **state)
{
    uint8_t bytes[100];

    (void)state;
    fill(bytes, sizeof bytes);
    start(0);
    vd_select(&d, TX);
    put_packet(BUFFER, (struct header){0}, bytes, sizeof bytes);
    vd_desc(&d, 0, VD_RAM + BUFFER, 5, VD_NEXT, 1);
    vd_desc(&d, 1, VD_RAM + BUFFER + 5, 10, VD_NEXT, 2);
    vd_desc(&d, 2, VD_RAM + BUFFER + 15, 97, 0, 0);
    vd_offer(&d, 0);
    vd_notify(&d);
    net_round(net, false);
    assert_int_equal(host.len[0], sizeof bytes);
    assert_memory_equal(host.sent[0], bytes, sizeof bytes);
}

static void many_at_once(void **state)
{
    uint8_t bytes[64];

    (void)state;
    start(0);
    host.numbered = true;
    for (unsigned i = 0; i < 64; i++) {
        number_frame(bytes, i);
        offer_packet(i, (struct header){0}, bytes, sizeof bytes);
    }
    vd_notify(&d);
    vd_poll(&d);
    net_round(net, false);
    assert_int_equal(host.n_sent, 64);
    assert_int_equal(n_used(TX), 64);
}

/* An IPv4 and UDP packet, of which the driver has summed up the pseudo header only. */
static const uint8_t udp_packet[] = {
    0x52, 0x55, 0x0a, 0,    0x02, 0x02, 0x52, 0x54, 0,    0x12, 0x34, 0x56, 0x08, 0, /* Ethernet */
    0x45, 0,    0,    0x21, 0,    0x01, 0,    0,    0x40, 0x11, 0x62, 0xb9,          /* IPv4 */
    0x0a, 0,    0x02, 0x0f, 0x0a, 0,    0x02, 0x02,                                  /* */
    0x03, 0xe8, 0x07, 0xd0, 0,    0x0d, 0x18, 0x2f,                                  /* UDP */
    'h',  'e',  'l',  'l',  'o'};
enum { UDP_START = 34, UDP_SUM = 6 };

/* By hand: 0x182f, the ports, the length and "he", "ll", "o\0" make 1_67c5; with the carry 67c6, of
 * which the complement is 9839. */
static void a_checksum_is_finished(void **state)
{
    const struct header h = {.flags = 1, .csum_start = UDP_START, .csum_offset = UDP_SUM};

    (void)state;
    start(F_CSUM);
    send(h, udp_packet, sizeof udp_packet);
    assert_int_equal(host.n_sent, 1);
    assert_int_equal(host.offload[0].flags, 0);
    assert_int_equal(host.sent[0][UDP_START + UDP_SUM], 0x98);
    assert_int_equal(host.sent[0][UDP_START + UDP_SUM + 1], 0x39);
    assert_memory_equal(host.sent[0], udp_packet, UDP_START + UDP_SUM);
    assert_memory_equal(host.sent[0] + UDP_START + 8, "hello", 5);
}

/* A sum of 0 would say to UDP that there is none. */
static void a_checksum_of_zero(void **state)
{
    const struct header h = {.flags = 1, .csum_start = UDP_START, .csum_offset = UDP_SUM};
    uint8_t packet[sizeof udp_packet];

    (void)state;
    memcpy(packet, udp_packet, sizeof packet);
    packet[UDP_START] = 0x9c; /* the source port: more by 0x9839 */
    packet[UDP_START + 1] = 0x21;
    start(F_CSUM);
    send(h, packet, sizeof packet);
    assert_int_equal(host.sent[0][UDP_START + UDP_SUM], 0xff);
    assert_int_equal(host.sent[0][UDP_START + UDP_SUM + 1], 0xff);
}

/* The host's kernel finishes what it can. */
static void an_able_host_gets_it_as_it_is(void **state)
{
    const struct header h = {.flags = 1,
                             .gso_type = 1,
                             .hdr_len = 54,
                             .gso_size = 1448,
                             .csum_start = 34,
                             .csum_offset = 16};
    uint8_t bytes[1900];

    (void)state;
    fill(bytes, sizeof bytes);
    remake(0);
    start(F_CSUM | F_HOST_TSO4);
    send(h, bytes, sizeof bytes);
    assert_int_equal(host.n_sent, 1);
    assert_int_equal(host.len[0], sizeof bytes);
    assert_memory_equal(host.sent[0], bytes, sizeof bytes);
    assert_memory_equal(&host.offload[0], &h, sizeof host.offload[0]);
}

static const struct {
    const char *what;
    uint64_t features;
    struct header h;
    uint32_t len;
} bad_packets[] = {
    {"shorter than Ethernet's header", F_CSUM, {.flags = 0}, 13},
    {"nothing", F_CSUM, {.flags = 0}, 0},
    {"checksum without the feature", 0, {.flags = 1, .csum_start = 20, .csum_offset = 2}, 60},
    {"checksum behind the end", F_CSUM, {.flags = 1, .csum_start = 20, .csum_offset = 39}, 60},
    {"checksum far behind", F_CSUM, {.flags = 1, .csum_start = 65535, .csum_offset = 65535}, 60},
    {"segments without the feature", F_CSUM, {.flags = 1, .gso_type = 1, .gso_size = 100}, 60},
    {"IPv6's without the feature",
     F_CSUM | F_HOST_TSO4,
     {.flags = 1, .gso_type = 4, .gso_size = 9},
     60},
    {"segments without checksum", F_CSUM | F_HOST_TSO4, {.gso_type = 1, .gso_size = 100}, 60},
    {"segments of nothing", F_CSUM | F_HOST_TSO4, {.flags = 1, .gso_type = 1}, 60},
    {"UDP's fragments", F_CSUM | F_HOST_TSO4, {.flags = 1, .gso_type = 3, .gso_size = 100}, 60},
    {"ECN", F_CSUM | F_HOST_TSO4, {.flags = 1, .gso_type = 0x81, .gso_size = 100}, 60},
};

/* They are dropped and given back, and the next one is sent. */
static void bad_packets_are_dropped(void **state)
{
    uint8_t bytes[100];

    (void)state;
    fill(bytes, sizeof bytes);
    remake(0);
    for (unsigned i = 0; i < sizeof bad_packets / sizeof bad_packets[0]; i++) {
        start(bad_packets[i].features);
        host.n_sent = 0;
        send(bad_packets[i].h, bytes, bad_packets[i].len);
        if (host.n_sent != 0 || n_used(TX) != 1)
            fail_msg("%s: taken", bad_packets[i].what);
        send((struct header){0}, bytes, 60);
        assert_int_equal(host.n_sent, 1);
        assert_well();
    }
}

/* A packet of any length is in one piece or many: here over the same page again and again. */
static void a_packet_that_is_too_long(void **state)
{
    (void)state;
    for (uint32_t extra = 0; extra < 2; extra++) {
        start(0);
        host.n_sent = 0;
        vd_select(&d, TX);
        for (unsigned i = 0; i < 16; i++)
            vd_desc(&d, i, VD_RAM + BUFFER, 4096, VD_NEXT, (uint16_t)(i + 1));
        vd_desc(&d, 16, VD_RAM + BUFFER, NET_MAX_FRAME + HEADER - 65536 + extra, 0, 0);
        memset(vd_at(&d, BUFFER), 0, HEADER);
        vd_offer(&d, 0);
        vd_notify(&d);
        net_round(net, false);
        assert_int_equal(host.n_sent, 1 - extra);
        assert_int_equal(n_used(TX), 1);
        assert_well();
    }
}

static void a_packet_without_header(void **state)
{
    (void)state;
    start(0);
    vd_select(&d, TX);
    vd_desc(&d, 0, VD_RAM + BUFFER, HEADER - 1, VD_NEXT, 1);
    vd_desc(&d, 1, VD_RAM + BUFFER, 100, VD_WRITE, 0);
    vd_offer(&d, 0);
    vd_notify(&d);
    assert_broken();
    assert_int_equal(n_used(TX), 0);
}

/* ---- Receiving
 * ------------------------------------------------------------------------------------- */

static void a_frame_comes(void **state)
{
    uint8_t bytes[300];

    (void)state;
    fill(bytes, sizeof bytes);
    start(0);
    offer_buffers(0, 1, 1600);
    vd_notify(&d);
    d.wrote_low = UINT64_MAX;
    d.wrote_high = 0;
    assert_true(bring(bytes, sizeof bytes));
    assert_received(0, sizeof bytes + HEADER, (struct header){.n_buffers = 1});
    assert_memory_equal(received(0), bytes, sizeof bytes);
    assert_int_equal(*(uint8_t *)vd_at(&d, RX_BUFFERS + HEADER + sizeof bytes), 0xee);
    assert_int_equal(vd_get(&d, VD_INTERRUPT_STATUS), 1);
    assert_true(d.wrote_low <= VD_USED && d.wrote_high >= RX_BUFFERS + HEADER + sizeof bytes);
}

/* Each buffer in pieces, the header in several of them. */
static void received_into_any_layout(void **state)
{
    uint8_t bytes[60];

    (void)state;
    fill(bytes, sizeof bytes);
    start(0);
    vd_desc(&d, 0, VD_RAM + RX_BUFFERS, 1, VD_WRITE | VD_NEXT, 1);
    vd_desc(&d, 1, VD_RAM + RX_BUFFERS + 1, 10, VD_WRITE | VD_NEXT, 2);
    vd_desc(&d, 2, VD_RAM + RX_BUFFERS + 11, 20, VD_WRITE | VD_NEXT, 3);
    vd_desc(&d, 3, VD_RAM + RX_BUFFERS + 31, 100, VD_WRITE, 0);
    vd_offer(&d, 0);
    vd_notify(&d);
    assert_true(bring(bytes, sizeof bytes));
    assert_received(0, sizeof bytes + HEADER, (struct header){.n_buffers = 1});
    assert_memory_equal(received(0), bytes, sizeof bytes);
}

static void merged_buffers(void **state)
{
    uint8_t bytes[250];
    uint32_t head, len;

    (void)state;
    fill(bytes, sizeof bytes);
    start(F_MRG_RXBUF);
    offer_buffers(0, 3, 100);
    vd_notify(&d);
    assert_true(bring(bytes, sizeof bytes));
    assert_received(0, 100, (struct header){.n_buffers = 3});
    vd_take_used(&d, &head, &len);
    assert_int_equal(head, 1);
    assert_int_equal(len, 100);
    vd_take_used(&d, &head, &len);
    assert_int_equal(head, 2);
    assert_int_equal(len, 62);
    assert_int_equal(vd_n_used(&d), 0);
    assert_memory_equal(received(0), bytes, 88);
    assert_memory_equal(received(1) - HEADER, bytes + 88, 100);
    assert_memory_equal(received(2) - HEADER, bytes + 188, 62);
    assert_int_equal((uint8_t)received(2)[62 - HEADER], 0xee);
    /* The one that fits into the last buffer exactly. */
    assert_true(bring(bytes, 88));
    assert_received(3, 100, (struct header){.n_buffers = 1});
}

/* A frame that no buffers of this driver could hold must not stop those behind it. */
static void a_frame_that_is_too_long(void **state)
{
    uint8_t bytes[1000];

    (void)state;
    fill(bytes, sizeof bytes);
    start(0);
    offer_buffers(0, 7, 500);
    vd_notify(&d);
    assert_true(bring(bytes, sizeof bytes));
    assert_int_equal(n_used(RX), 0);
    assert_true(bring(bytes, 488));
    assert_received(0, 500, (struct header){.n_buffers = 1});

    assert_true(vd_negotiate(&d, F_MRG_RXBUF));
    vd_start(&d, 4);
    vd_poll(&d);
    offer_buffers(0, 3, 100);
    assert_true(bring(bytes, sizeof bytes));
    assert_int_equal(n_used(RX), 0);
    assert_true(bring(bytes, 388));
    assert_int_equal(n_used(RX), 4);
    assert_well();
}

static void a_buffer_without_room_for_a_header(void **state)
{
    uint8_t bytes[100] = {0};

    (void)state;
    for (unsigned merge = 0; merge < 2; merge++) {
        start(merge ? F_MRG_RXBUF : 0);
        if (merge)
            offer_buffers(0, 0, 50);
        offer_buffers(merge, merge, HEADER - 1);
        vd_notify(&d);
        assert_well();
        bring(bytes, sizeof bytes);
        assert_broken();
        assert_int_equal(n_used(RX), 0);
    }
}

/* Two buffers are there and three are needed: the driver is asked to tell of the third, and of no
 * other (with event_idx, avail_event lies behind RX's used ring of 64). */
static void buffers_run_short(void **state)
{
    uint8_t bytes[250];
    uint16_t event;

    (void)state;
    fill(bytes, sizeof bytes);
    for (unsigned with_event = 0; with_event < 2; with_event++) {
        start(F_MRG_RXBUF | (with_event ? VIRTIO_F_EVENT_IDX : 0));
        offer_buffers(0, 1, 100);
        vd_notify(&d);
        assert_true(bring(bytes, sizeof bytes));
        assert_int_equal(n_used(RX), 0);
        memcpy(&event, vd_at(&d, VD_USED + 4 + 8 * 64), 2);
        assert_int_equal(event, with_event ? 2 : 0);
        assert_int_equal(*(uint16_t *)vd_at(&d, VD_USED), 0); /* or by its flags */
        offer_buffers(2, 4, 100);
        vd_notify(&d);
        assert_int_equal(n_used(RX), 3);
        assert_received(0, 100, (struct header){.n_buffers = 3});
        assert_memory_equal(received(2) - HEADER, bytes + 188, 62);
        assert_int_equal(*(uint16_t *)vd_at(&d, VD_USED), !with_event); /* not any more */
        assert_true(bring(bytes, 80));
        vd_take_used(&d, &(uint32_t){0}, &(uint32_t){0});
        vd_take_used(&d, &(uint32_t){0}, &(uint32_t){0});
        assert_received(3, 92, (struct header){.n_buffers = 1});
    }
}

/* ---- Offloads to the guest --------------------------------------------------------------------
 */

static void checksums_for_the_guest(void **state)
{
    const struct net_offload partial = {
        .flags = NET_NEEDS_CSUM, .csum_start = UDP_START, .csum_offset = UDP_SUM};
    const struct net_offload valid = {.flags = NET_DATA_VALID};
    const struct header same = {
        .flags = 1, .csum_start = UDP_START, .csum_offset = UDP_SUM, .n_buffers = 1};
    const struct header finished = {
        .csum_start = UDP_START, .csum_offset = UDP_SUM, .n_buffers = 1};

    (void)state;
    remake(0);
    start(F_GUEST_CSUM);
    offer_buffers(0, 1, 1600);
    assert_true(bring_offload(udp_packet, sizeof udp_packet, partial));
    assert_received(0, sizeof udp_packet + HEADER, same);
    assert_memory_equal(received(0), udp_packet, sizeof udp_packet);
    assert_true(bring_offload(udp_packet, sizeof udp_packet, valid));
    assert_received(1, sizeof udp_packet + HEADER, (struct header){.flags = 2, .n_buffers = 1});

    start(0); /* It takes none that is not finished. */
    offer_buffers(0, 1, 1600);
    assert_true(bring_offload(udp_packet, sizeof udp_packet, partial));
    assert_received(0, sizeof udp_packet + HEADER, finished);
    assert_int_equal((uint8_t)received(0)[UDP_START + UDP_SUM], 0x98);
    assert_int_equal((uint8_t)received(0)[UDP_START + UDP_SUM + 1], 0x39);
    assert_true(bring_offload(udp_packet, sizeof udp_packet, valid));
    assert_received(1, sizeof udp_packet + HEADER, (struct header){.n_buffers = 1});
}

static void segments_for_the_guest(void **state)
{
    uint8_t bytes[1500];
    struct net_offload o = {
        .flags = 1, .gso_type = 1, .gso_size = 500, .csum_start = 34, .csum_offset = 16};

    (void)state;
    fill(bytes, sizeof bytes);
    remake(0);
    start(F_GUEST_CSUM | F_GUEST_TSO4);
    offer_buffers(0, 0, 1600);
    assert_true(bring_offload(bytes, sizeof bytes, o));
    assert_received(0, sizeof bytes + HEADER,
                    (struct header){.flags = 1,
                                    .gso_type = 1,
                                    .gso_size = 500,
                                    .csum_start = 34,
                                    .csum_offset = 16,
                                    .n_buffers = 1});
    /* What the driver has not agreed on is lost, and what comes next is not. */
    for (unsigned six = 0; six < 2; six++) {
        start(F_GUEST_CSUM | (six ? F_GUEST_TSO4 : F_GUEST_TSO6));
        offer_buffers(0, 0, 1600);
        o.gso_type = six ? NET_GSO_TCPV6 : NET_GSO_TCPV4;
        assert_true(bring_offload(bytes, sizeof bytes, o));
        assert_int_equal(n_used(RX), 0);
        assert_true(bring(bytes, 100));
        assert_int_equal(n_used(RX), 1);
    }
}

/* ---- Back pressure
 * ---------------------------------------------------------------------------------- */

/* A guest that takes nothing: so many frames wait, the rest is lost, and those that waited come in
 * order. */
static void frames_wait_and_are_lost(void **state)
{
    uint8_t bytes[64];
    uint32_t n_waiting = 0, n_got = 0;

    (void)state;
    start(0);
    do
        number_frame(bytes, n_waiting);
    while (bring(bytes, sizeof bytes) && ++n_waiting < 1000000);
    assert_in_range(n_waiting, 1000, 100000);
    assert_false(bring(bytes, sizeof bytes));
    assert_false(net_may_deliver(net));
    while (n_got < n_waiting) {
        offer_buffers(0, 63, 1600);
        vd_notify(&d);
        for (unsigned i = 0; i < 64 && n_got < n_waiting; i++, n_got++) {
            assert_received(i, sizeof bytes + HEADER, (struct header){.n_buffers = 1});
            assert_memory_equal(received(i), &n_got, sizeof n_got);
        }
        while (vd_n_used(&d) > 0)
            vd_take_used(&d, &(uint32_t){0}, &(uint32_t){0});
        if (n_got < n_waiting)
            continue;
        assert_true(net_may_deliver(net));
    }
    assert_well();
}

/* A host side that takes nothing: what it has no room for stays in the queue, nothing is lost, and
 * it goes on by itself. */
static void the_host_is_slow(void **state)
{
    static uint8_t bytes[1400];
    uint32_t n_offered = 0, n_stalled = 0, head, len;

    (void)state;
    start(VIRTIO_F_EVENT_IDX);
    host.stuck = host.numbered = true;
    for (;;) {
        memcpy(bytes, &n_offered, sizeof n_offered);
        offer_packet(n_offered++ % 64, (struct header){0}, bytes, sizeof bytes);
        vd_notify(&d);
        net_round(net, false);
        if (n_used(TX) == 0)
            break;
        vd_take_used(&d, &head, &len);
        assert_true(n_offered < 5000);
    }
    assert_int_equal(host.n_sent, 0);
    for (n_stalled = 1; n_stalled < 50; n_stalled++) {
        memcpy(bytes, &n_offered, sizeof n_offered);
        offer_packet(n_offered++ % 64, (struct header){0}, bytes, sizeof bytes);
        vd_notify(&d);
        assert_int_equal(n_used(TX), 0);
    }
    host.stuck = false;
    d.n_kicks = 0;
    net_round(net, false);
    assert_true(d.n_kicks > 0); /* It tells that there is room. */
    vd_poll(&d);
    assert_int_equal(n_used(TX), n_stalled);
    net_round(net, false);
    assert_int_equal(host.n_sent, n_offered);
    assert_well();
}

/* ---- Reset at any moment
 * -------------------------------------------------------------------------- */

static void reset_while_frames_wait(void **state)
{
    uint8_t bytes[100];

    (void)state;
    fill(bytes, sizeof bytes);
    assert_false(bring(bytes, sizeof bytes)); /* before there is a driver */
    start(F_MRG_RXBUF);
    offer_buffers(0, 0, 60);
    assert_true(bring(bytes, sizeof bytes));
    vd_set(&d, VD_STATUS, 0);
    assert_false(bring(bytes, sizeof bytes));
    start(0);
    offer_buffers(0, 3, 1600);
    vd_notify(&d);
    assert_int_equal(n_used(RX), 0); /* Nothing of before. */
    assert_true(bring(bytes, 50));
    assert_received(0, 62, (struct header){.n_buffers = 1});
}

static void reset_while_the_host_is_slow(void **state)
{
    static uint8_t bytes[1400];

    (void)state;
    start(0);
    host.stuck = true;
    for (unsigned i = 0; i < 2000; i++) {
        offer_packet(i % 64, (struct header){0}, bytes, sizeof bytes);
        vd_notify(&d);
        if (n_used(TX) == 0)
            break;
        vd_take_used(&d, &(uint32_t){0}, &(uint32_t){0});
    }
    assert_true(card.waiting_for_room);
    start(0);
    host.stuck = false;
    net_round(net, false);
    vd_poll(&d);
    assert_int_equal(n_used(TX), 0);
    host.n_sent = 0;
    send((struct header){0}, bytes, 60);
    assert_int_equal(host.n_sent, 1);
}

/* A saved state is that of the device, not of the network. */
static void saved(void **state)
{
    char *text;
    size_t len;
    struct state_io io = {.saving = true};

    (void)state;
    start(0);
    offer_buffers(0, 0, 1600);
    io.f = open_memstream(&text, &len);
    virtio_mmio_state(&d.slot, &io);
    fclose(io.f);
    vd_set(&d, VD_STATUS, 0);
    io = (struct state_io){.f = fmemopen(text, len, "r")};
    virtio_mmio_state(&d.slot, &io);
    fclose(io.f);
    free(text);
    assert_false(io.failed);
    vd_poll(&d);
    assert_true(bring(udp_packet, sizeof udp_packet));
    assert_int_equal(n_used(RX), 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(configuration),
        TEST(features_that_need_others),
        TEST(the_host_hears_what_is_taken),
        TEST(the_link_goes_down),
        TEST(a_packet_is_sent),
        TEST(any_layout),
        TEST(many_at_once),
        TEST(a_checksum_is_finished),
        TEST(a_checksum_of_zero),
        TEST(an_able_host_gets_it_as_it_is),
        TEST(bad_packets_are_dropped),
        TEST(a_packet_that_is_too_long),
        TEST(a_packet_without_header),
        TEST(a_frame_comes),
        TEST(received_into_any_layout),
        TEST(merged_buffers),
        TEST(a_frame_that_is_too_long),
        TEST(a_buffer_without_room_for_a_header),
        TEST(buffers_run_short),
        TEST(checksums_for_the_guest),
        TEST(segments_for_the_guest),
        TEST(frames_wait_and_are_lost),
        TEST(the_host_is_slow),
        TEST(reset_while_frames_wait),
        TEST(reset_while_the_host_is_slow),
        TEST(saved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
