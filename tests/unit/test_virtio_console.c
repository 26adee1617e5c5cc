/* virtio-console: bytes both ways, and the terminal's size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/virtio/virtio_console.h"
#include "tests/lib/virtio_driver.h"

enum {
    F_SIZE = 1,
    F_EMERGENCY = 4,
    DATA = VD_DATA,
    TX_DESC = 0x40000,
    TX_AVAIL = 0x41000,
    TX_USED = 0x42000
};

static struct virtio_driver d;
static struct virtio_console c;
static char sent[8192];
static size_t n_sent;
static unsigned n_ready;
static bool full;    /* nobody takes what is sent */
static bool resizes; /* the terminal's size changes while it is written to */

static void put(void *arg, uint8_t byte)
{
    (void)arg;
    if (n_sent < sizeof sent)
        sent[n_sent] = (char)byte;
    n_sent++;
    if (resizes)
        virtio_console_resize(&c, 80, 25);
}

static bool has_room(void *arg)
{
    (void)arg;
    return !full;
}

static void ready(void *arg)
{
    (void)arg;
    n_ready++;
}

/* Queue 0, the receiver, is the driver library's; queue 1 lies behind its data. */
static void start_transmitter(void)
{
    static const uint64_t at[3] = {TX_DESC, TX_AVAIL, TX_USED};

    memset(vd_at(&d, TX_DESC), 0, 0x3000);
    vd_set(&d, VD_QUEUE_SEL, 1);
    vd_set(&d, VD_QUEUE_NUM, 8);
    for (unsigned i = 0; i < 3; i++)
        vd_set(&d, VD_QUEUE_DESC + 16 * i, (uint32_t)(VD_RAM + at[i]));
    vd_set(&d, VD_QUEUE_READY, 1);
}

static int begin(void **state)
{
    (void)state;
    n_sent = n_ready = 0;
    vd_init(&d);
    full = false;
    virtio_console_init(
        &c, (struct virtio_console_wire){.put = put, .has_room = has_room, .ready = ready},
        &d.host);
    d.slot = (struct virtio_mmio){.device = &c.v};
    assert_true(vd_negotiate(&d, F_SIZE | F_EMERGENCY));
    start_transmitter();
    vd_start(&d, 8);
    vd_poll(&d);
    return 0;
}

static int end(void **state)
{
    (void)state;
    virtio_console_fini(&c);
    vd_fini(&d);
    return 0;
}

/* Hands the transmitter one piece. */
static void send(uint64_t gpa, uint32_t len, uint16_t flags)
{
    static uint16_t idx;
    const uint64_t desc[2] = {gpa, len | (uint64_t)flags << 32};

    memcpy(vd_at(&d, TX_DESC), desc, sizeof desc);
    memcpy(&idx, vd_at(&d, TX_AVAIL + 2), 2);
    idx++;
    memcpy(vd_at(&d, TX_AVAIL + 2), &idx, 2);
    vd_set(&d, VD_QUEUE_NOTIFY, 1);
    vd_poll(&d);
}

static size_t receive(const char *text)
{
    return virtio_console_receive(&c, (const uint8_t *)text, strlen(text));
}

static void the_guest_writes(void **state)
{
    uint16_t used;

    (void)state;
    memset(vd_at(&d, DATA), 'w', 1000);
    send(VD_RAM + DATA, 1000, 0);
    assert_int_equal(n_sent, 1000);
    assert_int_equal(sent[999], 'w');
    memcpy(&used, vd_at(&d, TX_USED + 2), 2);
    assert_int_equal(used, 1);
    assert_true(d.irq);
    send(VD_RAM + DATA, 10, VD_WRITE); /* nothing to be read in it */
    assert_int_equal(n_sent, 1000);
}

/* All of RAM in one buffer is cut, so that the machine can still be ended. */
static void a_very_long_line(void **state)
{
    struct virtio_driver big;
    struct err e;

    (void)state;
    big = d;
    assert_true(phys_init(&d.phys, VD_RAM, 4 << 20, &e));
    vd_set(&d, VD_STATUS, 0);
    assert_true(vd_negotiate(&d, 0));
    start_transmitter();
    vd_start(&d, 8);
    send(VD_RAM, 4 << 20, 0);
    assert_int_equal(n_sent, 1 << 20);
    vd_set(&d, VD_STATUS, 0);
    vd_fini(&d);
    d = big;
}

static void the_guest_reads(void **state)
{
    uint32_t head, len;

    (void)state;
    assert_int_equal(receive("hello, world"), 12);
    vd_poll(&d);
    assert_int_equal(vd_n_used(&d), 0); /* no buffer yet: the bytes wait */
    vd_desc(&d, 0, VD_RAM + DATA, 3, VD_WRITE | VD_NEXT, 1);
    vd_desc(&d, 1, VD_RAM + DATA + 100, 2, VD_WRITE, 0);
    vd_desc(&d, 2, VD_RAM + DATA + 200, 50, VD_WRITE, 0);
    vd_offer(&d, 0);
    vd_offer(&d, 2);
    vd_notify(&d);
    assert_int_equal(vd_n_used(&d), 2);
    vd_take_used(&d, &head, &len);
    assert_int_equal(len, 5);
    vd_take_used(&d, &head, &len);
    assert_int_equal(head, 2);
    assert_int_equal(len, 7);
    assert_memory_equal(vd_at(&d, DATA), "hel", 3);
    assert_memory_equal(vd_at(&d, DATA + 100), "lo", 2);
    assert_memory_equal(vd_at(&d, DATA + 200), ", world", 8);
    assert_true(d.irq);
    assert_int_equal(n_ready, 0);
    /* A buffer that waits gets what comes. */
    vd_offer(&d, 2);
    vd_notify(&d);
    assert_int_equal(vd_n_used(&d), 0);
    assert_int_equal(receive("x"), 1);
    vd_poll(&d);
    vd_take_used(&d, &head, &len);
    assert_int_equal(len, 1);
}

/* Nothing is lost when more comes than there is room for, across the ring's seam. */
static void a_pasted_text(void **state)
{
    enum { LEN = 20000 };
    static uint8_t text[LEN], got[LEN];
    size_t offered = 0, n = 0;

    (void)state;
    for (size_t i = 0; i < LEN; i++)
        text[i] = (uint8_t)(i * 7 + i / 256);
    vd_desc(&d, 0, VD_RAM + DATA, 1000, VD_WRITE, 0);
    while (n < LEN) {
        uint32_t head, len;

        offered += virtio_console_receive(&c, text + offered, LEN - offered);
        vd_offer(&d, 0);
        vd_notify(&d);
        vd_take_used(&d, &head, &len);
        memcpy(got + n, vd_at(&d, DATA), len);
        n += len;
        assert_true(n_ready > 0); /* a part was taken: who sends hears of the room */
    }
    assert_memory_equal(got, text, LEN);
    assert_true(n_ready > 3);
}

static void the_terminals_size(void **state)
{
    uint32_t generation = vd_get(&d, VD_GENERATION);

    (void)state;
    assert_int_equal(vd_get(&d, VD_CONFIG), 0);
    virtio_console_resize(&c, 132, 43);
    assert_int_equal(vd_get(&d, VD_CONFIG), 132 | 43 << 16);
    assert_int_equal(vd_get(&d, VD_CONFIG + 4), 1);
    assert_int_not_equal(vd_get(&d, VD_GENERATION), generation);
    assert_int_equal(vd_get(&d, VD_INTERRUPT_STATUS) & 2, 2);
    vd_set(&d, VD_INTERRUPT_ACK, 2);
    virtio_console_resize(&c, 132, 43);
    assert_false(d.irq);
}

/* What nobody takes stays with the driver, until somebody does; and a driver that is new then has
 * nothing to be sent. */
static void the_guest_waits_for_room(void **state)
{
    uint16_t used;

    (void)state;
    full = true;
    send(VD_RAM + DATA, 10, 0);
    send(VD_RAM + DATA, 20, 0);
    vd_poll(&d);
    memcpy(&used, vd_at(&d, TX_USED + 2), 2);
    assert_int_equal(n_sent, 0);
    assert_int_equal(used, 0);
    full = false;
    virtio_console_room(&c);
    vd_poll(&d);
    memcpy(&used, vd_at(&d, TX_USED + 2), 2);
    assert_int_equal(used, 2);
    assert_true(n_sent > 10);
    full = true;
    send(VD_RAM + DATA, 10, 0);
    vd_set(&d, VD_STATUS, 0);
    full = false;
    n_sent = 0;
    virtio_console_room(&c);
    vd_poll(&d);
    assert_int_equal(n_sent, 0);
}

/* The terminal's reader must not wait for who writes to the terminal: Ctrl-A x comes by it. */
static void the_size_changes_in_mid_write(void **state)
{
    (void)state;
    alarm(20); /* for what hangs */
    resizes = true;
    send(VD_RAM + DATA, 10, 0);
    resizes = false;
    alarm(0);
    vd_poll(&d);
    assert_int_equal(vd_get(&d, VD_CONFIG), 80 | 25 << 16);
    assert_int_equal(vd_get(&d, VD_INTERRUPT_STATUS) & 2, 2);
}

static void an_emergency(void **state)
{
    (void)state;
    vd_set(&d, VD_STATUS, 0);
    vd_set(&d, VD_CONFIG + 8, '!');
    vd_set(&d, VD_CONFIG, 0xffff);
    assert_int_equal(n_sent, 1);
    assert_int_equal(sent[0], '!');
}

/* What came in stays for the next driver. */
static void reset(void **state)
{
    uint32_t head, len;

    (void)state;
    receive("abc");
    vd_set(&d, VD_STATUS, 0);
    vd_poll(&d);
    assert_true(vd_negotiate(&d, 0));
    vd_start(&d, 8);
    vd_desc(&d, 0, VD_RAM + DATA, 100, VD_WRITE, 0);
    vd_offer(&d, 0);
    vd_notify(&d);
    vd_take_used(&d, &head, &len);
    assert_int_equal(len, 3);
}

static void state_comes_back(void **state)
{
    char *text;
    size_t len;
    struct state_io io = {.saving = true};
    uint32_t head, used;

    (void)state;
    receive("kept");
    io.f = open_memstream(&text, &len);
    virtio_mmio_state(&d.slot, &io);
    fclose(io.f);
    receive(" not");
    io = (struct state_io){.f = fmemopen(text, len, "r")};
    virtio_mmio_state(&d.slot, &io);
    fclose(io.f);
    free(text);
    assert_false(io.failed);
    vd_desc(&d, 0, VD_RAM + DATA, 100, VD_WRITE, 0);
    vd_offer(&d, 0);
    vd_notify(&d);
    vd_take_used(&d, &head, &used);
    assert_int_equal(used, 4);
    assert_memory_equal(vd_at(&d, DATA), "kept", 4);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(the_guest_writes),
        TEST(a_very_long_line),
        TEST(the_guest_reads),
        TEST(a_pasted_text),
        TEST(the_guest_waits_for_room),
        TEST(the_terminals_size),
        TEST(the_size_changes_in_mid_write),
        TEST(an_emergency),
        TEST(reset),
        TEST(state_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
