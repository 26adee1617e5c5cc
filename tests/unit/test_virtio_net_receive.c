/* virtio-net: what it receives. */
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

static bool bring(const void *bytes, size_t len)
{
    return nr_bring(&r, bytes, len, (struct net_offload){0});
}

static void assert_received(unsigned i, uint32_t len, struct nr_header want)
{
    uint32_t head, got;
    struct nr_header h;

    vd_select(&r.d, NR_RX);
    vd_take_used(&r.d, &head, &got);
    assert_int_equal(head, i);
    assert_int_equal(got, len);
    memcpy(&h, vd_at(&r.d, NR_BUFFERS + NR_SPACING * (uint64_t)i), NR_HEADER);
    assert_memory_equal(&h, &want, NR_HEADER);
}

static void number_frame(uint8_t bytes[64], uint32_t n)
{
    memset(bytes, 0, 64);
    memcpy(bytes, &n, sizeof n);
}

/* ---- Receiving
 * ------------------------------------------------------------------------------------- */

static void a_frame_comes(void **state)
{
    uint8_t bytes[300];

    (void)state;
    nr_fill(bytes, sizeof bytes);
    nr_start(&r, 0);
    nr_offer_buffers(&r, 0, 1, 1600);
    vd_notify(&r.d);
    r.d.wrote_low = UINT64_MAX;
    r.d.wrote_high = 0;
    assert_true(bring(bytes, sizeof bytes));
    assert_received(0, sizeof bytes + NR_HEADER, (struct nr_header){.n_buffers = 1});
    assert_memory_equal(nr_received(&r, 0), bytes, sizeof bytes);
    assert_int_equal(*(uint8_t *)vd_at(&r.d, NR_BUFFERS + NR_HEADER + sizeof bytes), 0xee);
    assert_int_equal(vd_get(&r.d, VD_INTERRUPT_STATUS), 1);
    assert_true(r.d.wrote_low <= VD_USED &&
                r.d.wrote_high >= NR_BUFFERS + NR_HEADER + sizeof bytes);
}

/* Each buffer in pieces, the header in several of them. */
static void received_into_any_layout(void **state)
{
    uint8_t bytes[60];

    (void)state;
    nr_fill(bytes, sizeof bytes);
    nr_start(&r, 0);
    vd_desc(&r.d, 0, VD_RAM + NR_BUFFERS, 1, VD_WRITE | VD_NEXT, 1);
    vd_desc(&r.d, 1, VD_RAM + NR_BUFFERS + 1, 10, VD_WRITE | VD_NEXT, 2);
    vd_desc(&r.d, 2, VD_RAM + NR_BUFFERS + 11, 20, VD_WRITE | VD_NEXT, 3);
    vd_desc(&r.d, 3, VD_RAM + NR_BUFFERS + 31, 100, VD_WRITE, 0);
    vd_offer(&r.d, 0);
    vd_notify(&r.d);
    assert_true(bring(bytes, sizeof bytes));
    assert_received(0, sizeof bytes + NR_HEADER, (struct nr_header){.n_buffers = 1});
    assert_memory_equal(nr_received(&r, 0), bytes, sizeof bytes);
}

static void merged_buffers(void **state)
{
    uint8_t bytes[250];
    uint32_t head, len;

    (void)state;
    nr_fill(bytes, sizeof bytes);
    nr_start(&r, NR_MRG_RXBUF);
    nr_offer_buffers(&r, 0, 3, 100);
    vd_notify(&r.d);
    assert_true(bring(bytes, sizeof bytes));
    assert_received(0, 100, (struct nr_header){.n_buffers = 3});
    vd_take_used(&r.d, &head, &len);
    assert_int_equal(head, 1);
    assert_int_equal(len, 100);
    vd_take_used(&r.d, &head, &len);
    assert_int_equal(head, 2);
    assert_int_equal(len, 62);
    assert_int_equal(vd_n_used(&r.d), 0);
    assert_memory_equal(nr_received(&r, 0), bytes, 88);
    assert_memory_equal(nr_received(&r, 1) - NR_HEADER, bytes + 88, 100);
    assert_memory_equal(nr_received(&r, 2) - NR_HEADER, bytes + 188, 62);
    assert_int_equal(nr_received(&r, 2)[62 - NR_HEADER], 0xee);
    /* The one that fits into the last buffer exactly. */
    assert_true(bring(bytes, 88));
    assert_received(3, 100, (struct nr_header){.n_buffers = 1});
}

/* A frame that no buffers of this driver could hold must not stop those behind it. */
static void a_frame_that_is_too_long(void **state)
{
    uint8_t bytes[1000];

    (void)state;
    nr_fill(bytes, sizeof bytes);
    nr_start(&r, 0);
    nr_offer_buffers(&r, 0, 7, 500);
    vd_notify(&r.d);
    assert_true(bring(bytes, sizeof bytes));
    assert_int_equal(nr_n_used(&r, NR_RX), 0);
    assert_true(bring(bytes, 488));
    assert_received(0, 500, (struct nr_header){.n_buffers = 1});

    assert_true(vd_negotiate(&r.d, NR_MRG_RXBUF));
    vd_start(&r.d, 4);
    vd_poll(&r.d);
    nr_offer_buffers(&r, 0, 3, 100);
    assert_true(bring(bytes, sizeof bytes));
    assert_int_equal(nr_n_used(&r, NR_RX), 0);
    assert_true(bring(bytes, 388));
    assert_int_equal(nr_n_used(&r, NR_RX), 4);
    assert_well();
}

static void a_buffer_without_room_for_a_header(void **state)
{
    uint8_t bytes[100] = {0};

    (void)state;
    for (unsigned merge = 0; merge < 2; merge++) {
        nr_start(&r, merge ? NR_MRG_RXBUF : 0);
        if (merge)
            nr_offer_buffers(&r, 0, 0, 50);
        nr_offer_buffers(&r, merge, merge, NR_HEADER - 1);
        vd_notify(&r.d);
        assert_well();
        bring(bytes, sizeof bytes);
        assert_broken();
        assert_int_equal(nr_n_used(&r, NR_RX), 0);
    }
}

/* Two buffers are there and three are needed: the driver is asked to tell of the third, and of no
 * other (with event_idx, avail_event lies behind RX's used ring of 64). */
static void buffers_run_short(void **state)
{
    uint8_t bytes[250];
    uint16_t event;

    (void)state;
    nr_fill(bytes, sizeof bytes);
    for (unsigned with_event = 0; with_event < 2; with_event++) {
        nr_start(&r, NR_MRG_RXBUF | (with_event ? VIRTIO_F_EVENT_IDX : 0));
        nr_offer_buffers(&r, 0, 1, 100);
        vd_notify(&r.d);
        assert_true(bring(bytes, sizeof bytes));
        assert_int_equal(nr_n_used(&r, NR_RX), 0);
        memcpy(&event, vd_at(&r.d, VD_USED + 4 + 8 * 64), 2);
        assert_int_equal(event, with_event ? 2 : 0);
        assert_int_equal(*(uint16_t *)vd_at(&r.d, VD_USED), 0); /* or by its flags */
        nr_offer_buffers(&r, 2, 4, 100);
        vd_notify(&r.d);
        assert_int_equal(nr_n_used(&r, NR_RX), 3);
        assert_received(0, 100, (struct nr_header){.n_buffers = 3});
        assert_memory_equal(nr_received(&r, 2) - NR_HEADER, bytes + 188, 62);
        assert_int_equal(*(uint16_t *)vd_at(&r.d, VD_USED), !with_event); /* not any more */
        assert_true(bring(bytes, 80));
        vd_take_used(&r.d, &(uint32_t){0}, &(uint32_t){0});
        vd_take_used(&r.d, &(uint32_t){0}, &(uint32_t){0});
        assert_received(3, 92, (struct nr_header){.n_buffers = 1});
    }
}

/* ---- Offloads to the guest --------------------------------------------------------------------
 */

static void checksums_for_the_guest(void **state)
{
    const struct net_offload partial = {
        .flags = NET_NEEDS_CSUM, .csum_start = NR_UDP_START, .csum_offset = NR_UDP_SUM};
    const struct net_offload valid = {.flags = NET_DATA_VALID};
    const struct nr_header same = {
        .flags = 1, .csum_start = NR_UDP_START, .csum_offset = NR_UDP_SUM, .n_buffers = 1};
    const struct nr_header finished = {
        .csum_start = NR_UDP_START, .csum_offset = NR_UDP_SUM, .n_buffers = 1};

    (void)state;
    remake(true, 0);
    nr_start(&r, NR_GUEST_CSUM);
    nr_offer_buffers(&r, 0, 1, 1600);
    assert_true(nr_bring(&r, nr_udp_packet, NR_UDP_BYTES, partial));
    assert_received(0, NR_UDP_BYTES + NR_HEADER, same);
    assert_memory_equal(nr_received(&r, 0), nr_udp_packet, NR_UDP_BYTES);
    assert_true(nr_bring(&r, nr_udp_packet, NR_UDP_BYTES, valid));
    assert_received(1, NR_UDP_BYTES + NR_HEADER, (struct nr_header){.flags = 2, .n_buffers = 1});

    nr_start(&r, 0); /* It takes none that is not finished. */
    nr_offer_buffers(&r, 0, 1, 1600);
    assert_true(nr_bring(&r, nr_udp_packet, NR_UDP_BYTES, partial));
    assert_received(0, NR_UDP_BYTES + NR_HEADER, finished);
    assert_int_equal(nr_received(&r, 0)[NR_UDP_START + NR_UDP_SUM], NR_UDP_GOOD_HIGH);
    assert_int_equal(nr_received(&r, 0)[NR_UDP_START + NR_UDP_SUM + 1], NR_UDP_GOOD_LOW);
    assert_true(nr_bring(&r, nr_udp_packet, NR_UDP_BYTES, valid));
    assert_received(1, NR_UDP_BYTES + NR_HEADER, (struct nr_header){.n_buffers = 1});
}

static void segments_for_the_guest(void **state)
{
    uint8_t bytes[1500];
    struct net_offload o = {
        .flags = 1, .gso_type = 1, .gso_size = 500, .csum_start = 34, .csum_offset = 16};

    (void)state;
    nr_fill(bytes, sizeof bytes);
    remake(true, 0);
    nr_start(&r, NR_GUEST_CSUM | NR_GUEST_TSO4);
    nr_offer_buffers(&r, 0, 0, 1600);
    assert_true(nr_bring(&r, bytes, sizeof bytes, o));
    assert_received(0, sizeof bytes + NR_HEADER,
                    (struct nr_header){.flags = 1,
                                       .gso_type = 1,
                                       .gso_size = 500,
                                       .csum_start = 34,
                                       .csum_offset = 16,
                                       .n_buffers = 1});
    /* What the driver has not agreed on is lost, and what comes next is not. */
    for (unsigned six = 0; six < 2; six++) {
        nr_start(&r, NR_GUEST_CSUM | (six ? NR_GUEST_TSO4 : NR_GUEST_TSO6));
        nr_offer_buffers(&r, 0, 0, 1600);
        o.gso_type = six ? NET_GSO_TCPV6 : NET_GSO_TCPV4;
        assert_true(nr_bring(&r, bytes, sizeof bytes, o));
        assert_int_equal(nr_n_used(&r, NR_RX), 0);
        assert_true(bring(bytes, 100));
        assert_int_equal(nr_n_used(&r, NR_RX), 1);
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
    nr_start(&r, 0);
    do
        number_frame(bytes, n_waiting);
    while (bring(bytes, sizeof bytes) && ++n_waiting < 1000000);
    assert_in_range(n_waiting, 1000, 100000);
    assert_false(bring(bytes, sizeof bytes));
    assert_false(net_may_deliver(r.net));
    while (n_got < n_waiting) {
        nr_offer_buffers(&r, 0, 63, 1600);
        vd_notify(&r.d);
        for (unsigned i = 0; i < 64 && n_got < n_waiting; i++, n_got++) {
            assert_received(i, sizeof bytes + NR_HEADER, (struct nr_header){.n_buffers = 1});
            assert_memory_equal(nr_received(&r, i), &n_got, sizeof n_got);
        }
        while (vd_n_used(&r.d) > 0)
            vd_take_used(&r.d, &(uint32_t){0}, &(uint32_t){0});
        if (n_got < n_waiting)
            continue;
        assert_true(net_may_deliver(r.net));
    }
    assert_well();
}

/* ---- Reset at any moment
 * -------------------------------------------------------------------------- */

static void reset_while_frames_wait(void **state)
{
    uint8_t bytes[100];

    (void)state;
    nr_fill(bytes, sizeof bytes);
    assert_false(bring(bytes, sizeof bytes)); /* before there is a driver */
    nr_start(&r, NR_MRG_RXBUF);
    nr_offer_buffers(&r, 0, 0, 60);
    assert_true(bring(bytes, sizeof bytes));
    vd_set(&r.d, VD_STATUS, 0);
    assert_false(bring(bytes, sizeof bytes));
    nr_start(&r, 0);
    nr_offer_buffers(&r, 0, 3, 1600);
    vd_notify(&r.d);
    assert_int_equal(nr_n_used(&r, NR_RX), 0); /* Nothing of before. */
    assert_true(bring(bytes, 50));
    assert_received(0, 62, (struct nr_header){.n_buffers = 1});
}

/* A saved state is that of the device, not of the network. */
static void saved(void **state)
{
    char *text;
    size_t len;
    struct state_io io = {.saving = true};

    (void)state;
    nr_start(&r, 0);
    nr_offer_buffers(&r, 0, 0, 1600);
    io.f = open_memstream(&text, &len);
    virtio_mmio_state(&r.d.slot, &io);
    fclose(io.f);
    vd_set(&r.d, VD_STATUS, 0);
    io = (struct state_io){.f = fmemopen(text, len, "r")};
    r.d.n_kicks = 0;
    virtio_mmio_state(&r.d.slot, &io);
    fclose(io.f);
    free(text);
    assert_true(r.d.n_kicks > 0); /* It takes frames again without the driver's doing. */
    assert_false(io.failed);
    vd_poll(&r.d);
    assert_true(bring(nr_udp_packet, NR_UDP_BYTES));
    assert_int_equal(nr_n_used(&r, NR_RX), 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_frame_comes),
        TEST(received_into_any_layout),
        TEST(merged_buffers),
        TEST(a_frame_that_is_too_long),
        TEST(a_buffer_without_room_for_a_header),
        TEST(buffers_run_short),
        TEST(checksums_for_the_guest),
        TEST(segments_for_the_guest),
        TEST(frames_wait_and_are_lost),
        TEST(reset_while_frames_wait),
        TEST(saved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
