/* virtio-net: what it is, and what it sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/net_rig.h"

static struct net_rig r;

static int begin(void **state)
{
    (void)state;
    nr_init(&r, false, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    return nr_fini(&r) ? 0 : -1;
}

/* Another card. */
static void remake(bool able, uint16_t mtu)
{
    assert_true(nr_fini(&r));
    nr_init(&r, able, mtu);
}

static void assert_well(void)
{
    assert_int_equal(vd_get(&r.d, VD_STATUS), 15);
}

static void assert_broken(void)
{
    assert_int_equal(vd_get(&r.d, VD_STATUS) & VD_NEEDS_RESET, VD_NEEDS_RESET);
}

static uint64_t offered(void)
{
    uint64_t features = 0;

    for (unsigned sel = 0; sel < 2; sel++) {
        vd_set(&r.d, VD_DEVICE_FEATURES_SEL, sel);
        features |= (uint64_t)vd_get(&r.d, VD_DEVICE_FEATURES) << (32 * sel);
    }
    return features;
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
                            VIRTIO_F_ANY_LAYOUT | NR_CSUM | NR_MAC | NR_MRG_RXBUF | NR_STATUS;

    (void)state;
    assert_int_equal(vd_get(&r.d, VD_DEVICE_ID), 1);
    assert_int_equal(offered(), common);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(virtio_mmio.read(&r.d.slot, VD_CONFIG + i, 1), nr_mac[i]);
    assert_int_equal(virtio_mmio.read(&r.d.slot, VD_CONFIG + 6, 2), 1);  /* the link is up */
    assert_int_equal(virtio_mmio.read(&r.d.slot, VD_CONFIG + 8, 2), 1);  /* a pair of queues */
    assert_int_equal(virtio_mmio.read(&r.d.slot, VD_CONFIG + 12, 4), 0); /* the end */
    virtio_mmio.write(&r.d.slot, VD_CONFIG, 1, 0xff);
    assert_int_equal(virtio_mmio.read(&r.d.slot, VD_CONFIG, 1), nr_mac[0]);
    vd_set(&r.d, VD_QUEUE_SEL, 2);
    assert_int_equal(vd_get(&r.d, VD_QUEUE_NUM_MAX), 0);
    remake(true, 9000);
    assert_int_equal(offered(), common | NR_MTU | NR_GUEST_CSUM | NR_GUEST_TSO4 | NR_GUEST_TSO6 |
                                    NR_HOST_TSO4 | NR_HOST_TSO6);
    assert_int_equal(virtio_mmio.read(&r.d.slot, VD_CONFIG + 10, 2), 9000);
}

static void features_that_need_others(void **state)
{
    (void)state;
    remake(true, 0);
    assert_false(vd_negotiate(&r.d, NR_GUEST_TSO4));
    assert_false(vd_negotiate(&r.d, NR_GUEST_TSO6 | NR_CSUM));
    assert_false(vd_negotiate(&r.d, NR_HOST_TSO4 | NR_GUEST_CSUM));
    assert_false(vd_negotiate(&r.d, NR_HOST_TSO6));
    assert_true(vd_negotiate(&r.d, NR_GUEST_TSO4 | NR_GUEST_CSUM | NR_HOST_TSO6 | NR_CSUM));
}

static void the_host_hears_what_is_taken(void **state)
{
    (void)state;
    remake(true, 0);
    nr_start(&r, NR_GUEST_CSUM | NR_GUEST_TSO6);
    assert_int_equal(r.host.offloads, NET_GET_CSUM | NET_GET_TSO6);
    nr_start(&r, 0);
    assert_int_equal(r.host.offloads, 0);
}

static void the_link_goes_down(void **state)
{
    (void)state;
    nr_start(&r, NR_STATUS);
    net_set_link(r.net, false);
    vd_poll(&r.d);
    assert_int_equal(virtio_mmio.read(&r.d.slot, VD_CONFIG + 6, 2), 0);
    assert_int_equal(vd_get(&r.d, VD_INTERRUPT_STATUS), 2);
    vd_set(&r.d, VD_INTERRUPT_ACK, 2);
    vd_poll(&r.d); /* told once */
    assert_int_equal(vd_get(&r.d, VD_INTERRUPT_STATUS), 0);
    net_set_link(r.net, true);
    vd_poll(&r.d);
    assert_int_equal(virtio_mmio.read(&r.d.slot, VD_CONFIG + 6, 2), 1);
}

/* ---- Sending
 * ---------------------------------------------------------------------------------------- */

static void a_packet_is_sent(void **state)
{
    uint8_t bytes[100];
    uint32_t head, len;

    (void)state;
    nr_fill(bytes, sizeof bytes);
    nr_start(&r, 0);
    nr_send(&r, (struct nr_header){0}, bytes, sizeof bytes);
    assert_int_equal(r.host.n_sent, 1);
    assert_int_equal(r.host.len[0], sizeof bytes);
    assert_memory_equal(r.host.sent[0], bytes, sizeof bytes);
    assert_int_equal(nr_n_used(&r, NR_TX), 1);
    vd_take_used(&r.d, &head, &len);
    assert_int_equal(len, 0);
    assert_int_equal(vd_get(&r.d, VD_INTERRUPT_STATUS), 1);
}

/* The header and the bytes cut up anywhere, the header's end in one piece with the bytes. */
static void any_layout(void **state)
{
    uint8_t bytes[100];

    (void)state;
    nr_fill(bytes, sizeof bytes);
    nr_start(&r, 0);
    vd_select(&r.d, NR_TX);
    memset(vd_at(&r.d, NR_PACKETS), 0, NR_HEADER);
    memcpy(vd_at(&r.d, NR_PACKETS + NR_HEADER), bytes, sizeof bytes);
    vd_desc(&r.d, 0, VD_RAM + NR_PACKETS, 5, VD_NEXT, 1);
    vd_desc(&r.d, 1, VD_RAM + NR_PACKETS + 5, 10, VD_NEXT, 2);
    vd_desc(&r.d, 2, VD_RAM + NR_PACKETS + 15, 97, 0, 0);
    vd_offer(&r.d, 0);
    vd_notify(&r.d);
    net_round(r.net, false);
    assert_int_equal(r.host.len[0], sizeof bytes);
    assert_memory_equal(r.host.sent[0], bytes, sizeof bytes);
}

static void many_at_once(void **state)
{
    uint8_t bytes[64];

    (void)state;
    nr_start(&r, 0);
    r.host.numbered = true;
    for (unsigned i = 0; i < 64; i++) {
        number_frame(bytes, i);
        nr_offer_packet(&r, i, (struct nr_header){0}, bytes, sizeof bytes);
    }
    vd_notify(&r.d);
    vd_poll(&r.d);
    net_round(r.net, false);
    assert_int_equal(r.host.n_sent, 64);
    assert_int_equal(r.host.n_misnumbered, 0);
    assert_int_equal(nr_n_used(&r, NR_TX), 64);
}

static void a_checksum_is_finished(void **state)
{
    const struct nr_header h = {.flags = 1, .csum_start = NR_UDP_START, .csum_offset = NR_UDP_SUM};

    (void)state;
    nr_start(&r, NR_CSUM);
    nr_send(&r, h, nr_udp_packet, NR_UDP_BYTES);
    assert_int_equal(r.host.n_sent, 1);
    assert_int_equal(r.host.offload[0].flags, 0);
    assert_int_equal(r.host.sent[0][NR_UDP_START + NR_UDP_SUM], NR_UDP_GOOD_HIGH);
    assert_int_equal(r.host.sent[0][NR_UDP_START + NR_UDP_SUM + 1], NR_UDP_GOOD_LOW);
    assert_memory_equal(r.host.sent[0], nr_udp_packet, NR_UDP_START + NR_UDP_SUM);
    assert_memory_equal(r.host.sent[0] + NR_UDP_START + 8, "hello", 5);
}

/* A sum of 0 would say to UDP that there is none. */
static void a_checksum_of_zero(void **state)
{
    const struct nr_header h = {.flags = 1, .csum_start = NR_UDP_START, .csum_offset = NR_UDP_SUM};
    uint8_t packet[NR_UDP_BYTES];

    (void)state;
    memcpy(packet, nr_udp_packet, sizeof packet);
    packet[NR_UDP_START] = 0x9c; /* the source port: more by 0x9839 */
    packet[NR_UDP_START + 1] = 0x21;
    nr_start(&r, NR_CSUM);
    nr_send(&r, h, packet, sizeof packet);
    assert_int_equal(r.host.sent[0][NR_UDP_START + NR_UDP_SUM], 0xff);
    assert_int_equal(r.host.sent[0][NR_UDP_START + NR_UDP_SUM + 1], 0xff);
}

/* The host's kernel finishes what it can. */
static void an_able_host_gets_it_as_it_is(void **state)
{
    const struct nr_header h = {.flags = 1,
                                .gso_type = 1,
                                .hdr_len = 54,
                                .gso_size = 1448,
                                .csum_start = 34,
                                .csum_offset = 16};
    uint8_t bytes[1900];

    (void)state;
    nr_fill(bytes, sizeof bytes);
    remake(true, 0);
    nr_start(&r, NR_CSUM | NR_HOST_TSO4);
    nr_send(&r, h, bytes, sizeof bytes);
    assert_int_equal(r.host.n_sent, 1);
    assert_int_equal(r.host.len[0], sizeof bytes);
    assert_memory_equal(r.host.sent[0], bytes, sizeof bytes);
    assert_memory_equal(&r.host.offload[0], &h, sizeof r.host.offload[0]);
}

static const struct {
    const char *what;
    uint64_t features;
    struct nr_header h;
    uint32_t len;
} bad_packets[] = {
    {"shorter than Ethernet's header", NR_CSUM, {.flags = 0}, 13},
    {"nothing", NR_CSUM, {.flags = 0}, 0},
    {"checksum without the feature", 0, {.flags = 1, .csum_start = 20, .csum_offset = 2}, 60},
    {"checksum behind the end", NR_CSUM, {.flags = 1, .csum_start = 20, .csum_offset = 39}, 60},
    {"checksum far behind", NR_CSUM, {.flags = 1, .csum_start = 65535, .csum_offset = 65535}, 60},
    {"segments without the feature", NR_CSUM, {.flags = 1, .gso_type = 1, .gso_size = 100}, 60},
    {"IPv6's without the feature",
     NR_CSUM | NR_HOST_TSO4,
     {.flags = 1, .gso_type = 4, .gso_size = 9},
     60},
    {"segments without checksum", NR_CSUM | NR_HOST_TSO4, {.gso_type = 1, .gso_size = 100}, 60},
    {"segments of nothing", NR_CSUM | NR_HOST_TSO4, {.flags = 1, .gso_type = 1}, 60},
    {"UDP's fragments", NR_CSUM | NR_HOST_TSO4, {.flags = 1, .gso_type = 3, .gso_size = 100}, 60},
    {"ECN", NR_CSUM | NR_HOST_TSO4, {.flags = 1, .gso_type = 0x81, .gso_size = 100}, 60},
};

/* They are dropped and given back, and the next one is sent. */
static void bad_packets_are_dropped(void **state)
{
    uint8_t bytes[100];

    (void)state;
    nr_fill(bytes, sizeof bytes);
    remake(true, 0);
    for (unsigned i = 0; i < sizeof bad_packets / sizeof bad_packets[0]; i++) {
        nr_start(&r, bad_packets[i].features);
        r.host.n_sent = 0;
        nr_send(&r, bad_packets[i].h, bytes, bad_packets[i].len);
        if (r.host.n_sent != 0 || nr_n_used(&r, NR_TX) != 1)
            fail_msg("%s: taken", bad_packets[i].what);
        nr_send(&r, (struct nr_header){0}, bytes, 60);
        assert_int_equal(r.host.n_sent, 1);
        assert_well();
    }
}

/* A packet of any length is in one piece or many: here over the same page again and again. */
static void a_packet_that_is_too_long(void **state)
{
    (void)state;
    for (uint32_t extra = 0; extra < 2; extra++) {
        nr_start(&r, 0);
        r.host.n_sent = 0;
        vd_select(&r.d, NR_TX);
        for (unsigned i = 0; i < 16; i++)
            vd_desc(&r.d, i, VD_RAM + NR_PACKETS, 4096, VD_NEXT, (uint16_t)(i + 1));
        vd_desc(&r.d, 16, VD_RAM + NR_PACKETS, NET_MAX_FRAME + NR_HEADER - 65536 + extra, 0, 0);
        memset(vd_at(&r.d, NR_PACKETS), 0, NR_HEADER);
        vd_offer(&r.d, 0);
        vd_notify(&r.d);
        net_round(r.net, false);
        assert_int_equal(r.host.n_sent, 1 - extra);
        assert_int_equal(nr_n_used(&r, NR_TX), 1);
        assert_well();
    }
}

static void a_packet_without_header(void **state)
{
    (void)state;
    nr_start(&r, 0);
    vd_select(&r.d, NR_TX);
    vd_desc(&r.d, 0, VD_RAM + NR_PACKETS, NR_HEADER - 1, VD_NEXT, 1);
    vd_desc(&r.d, 1, VD_RAM + NR_PACKETS, 100, VD_WRITE, 0);
    vd_offer(&r.d, 0);
    vd_notify(&r.d);
    assert_broken();
    assert_int_equal(nr_n_used(&r, NR_TX), 0);
}

/* ---- Back pressure ---------------------------------------------------------------------- */

/* A host side that takes nothing: what it has no room for stays in the queue, nothing is lost, and
 * it goes on by itself. */
static void the_host_is_slow(void **state)
{
    static uint8_t bytes[1400];
    uint32_t n_offered = 0, n_stalled = 0, head, len;

    (void)state;
    nr_start(&r, VIRTIO_F_EVENT_IDX);
    r.host.stuck = r.host.numbered = true;
    for (;;) {
        memcpy(bytes, &n_offered, sizeof n_offered);
        nr_offer_packet(&r, n_offered++ % 64, (struct nr_header){0}, bytes, sizeof bytes);
        vd_notify(&r.d);
        net_round(r.net, false);
        if (nr_n_used(&r, NR_TX) == 0)
            break;
        vd_take_used(&r.d, &head, &len);
        assert_true(n_offered < 5000);
    }
    assert_int_equal(r.host.n_sent, 0);
    for (n_stalled = 1; n_stalled < 50; n_stalled++) {
        memcpy(bytes, &n_offered, sizeof n_offered);
        nr_offer_packet(&r, n_offered++ % 64, (struct nr_header){0}, bytes, sizeof bytes);
        vd_notify(&r.d);
        assert_int_equal(nr_n_used(&r, NR_TX), 0);
    }
    r.host.stuck = false;
    r.d.n_kicks = 0;
    net_round(r.net, false);
    assert_true(r.d.n_kicks > 0); /* It tells that there is room. */
    vd_poll(&r.d);
    assert_int_equal(nr_n_used(&r, NR_TX), n_stalled);
    net_round(r.net, false);
    assert_int_equal(r.host.n_sent, n_offered);
    assert_int_equal(r.host.n_misnumbered, 0);
    assert_well();
}

/* ---- Reset at any moment --------------------------------------------------------------------- */

static void reset_while_the_host_is_slow(void **state)
{
    static uint8_t bytes[1400];

    (void)state;
    nr_start(&r, 0);
    r.host.stuck = true;
    for (unsigned i = 0; i < 2000; i++) {
        nr_offer_packet(&r, i % 64, (struct nr_header){0}, bytes, sizeof bytes);
        vd_notify(&r.d);
        if (nr_n_used(&r, NR_TX) == 0)
            break;
        vd_take_used(&r.d, &(uint32_t){0}, &(uint32_t){0});
    }
    assert_false(net_may_send(r.net));
    nr_start(&r, 0);
    r.host.stuck = false;
    net_round(r.net, false);
    vd_poll(&r.d);
    assert_int_equal(nr_n_used(&r, NR_TX), 0);
    r.host.n_sent = 0;
    nr_send(&r, (struct nr_header){0}, bytes, 60);
    assert_int_equal(r.host.n_sent, 1);
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
        TEST(the_host_is_slow),
        TEST(reset_while_the_host_is_slow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
