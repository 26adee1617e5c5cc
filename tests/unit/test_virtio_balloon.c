/* virtio-balloon: what is given back, and what is not; the guest's figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/virtio/virtio_balloon.h"
#include "tests/lib/virtio_driver.h"

enum { /* features */
       F_STATS_VQ = 1 << 1,
       F_DEFLATE_ON_OOM = 1 << 2,
       F_PAGE_POISON = 1 << 4,
       F_REPORTING = 1 << 5,
};

enum { PAGE = 4096, NUM_PAGES = VD_CONFIG, ACTUAL = VD_CONFIG + 4, POISON = VD_CONFIG + 12 };
/* Pages of the driver's RAM that its queues do not lie in. */
enum { FREE = 0x20000, N_FREE = 32, LIST = VD_DATA };

static struct virtio_driver d;
static struct virtio_balloon b;

static void make(struct virtio_balloon_config config)
{
    vd_init(&d);
    virtio_balloon_init(&b, &config, &d.host);
    d.slot = (struct virtio_mmio){.device = &b.v};
}

static int begin(void **state)
{
    (void)state;
    make((struct virtio_balloon_config){0});
    return 0;
}

static int end(void **state)
{
    (void)state;
    virtio_balloon_fini(&b);
    vd_fini(&d);
    return 0;
}

/* With one queue, of that number, at the place of queue 0. */
static void start(uint64_t features, unsigned queue)
{
    static const uint32_t at[3] = {VD_DESC, VD_AVAIL, VD_USED};

    memset(vd_at(&d, FREE), 'f', N_FREE * PAGE);
    assert_true(vd_negotiate(&d, features));
    vd_make_queue(&d, 8);
    vd_set(&d, VD_QUEUE_READY, 0);
    vd_set(&d, VD_QUEUE_SEL, queue);
    vd_set(&d, VD_QUEUE_NUM, 8);
    for (unsigned i = 0; i < 3; i++) {
        vd_set(&d, VD_QUEUE_DESC + 16 * i, (uint32_t)VD_RAM + at[i]);
        vd_set(&d, VD_QUEUE_DESC + 16 * i + 4, 0);
    }
    vd_set(&d, VD_QUEUE_READY, 1);
    vd_set(&d, VD_STATUS, VD_ACKNOWLEDGE | VD_DRIVER | VD_FEATURES_OK | VD_DRIVER_OK);
}

/* Tells the device of descriptor 0, which is its to look at. */
static void tell(unsigned queue)
{
    vd_offer(&d, 0);
    vd_set(&d, VD_QUEUE_NOTIFY, queue);
    vd_poll(&d);
}

static void take_used(void)
{
    uint32_t head, len;

    assert_int_equal(vd_n_used(&d), 1);
    vd_take_used(&d, &head, &len);
    assert_int_equal(head, 0);
    assert_int_equal(len, 0);
}

static void send_pages(unsigned queue, const uint32_t *page, unsigned n)
{
    memcpy(vd_at(&d, LIST), page, n * sizeof *page);
    vd_desc(&d, 0, VD_RAM + LIST, n * 4, 0, 0);
    tell(queue);
    take_used();
}

/* Of the n-th free page: its number for the balloon. */
static uint32_t page_of(unsigned n)
{
    return (uint32_t)((VD_RAM + FREE) / PAGE + n);
}

static bool is_gone(unsigned n)
{
    const uint8_t *at = vd_at(&d, FREE + (uint64_t)n * PAGE);

    for (unsigned i = 0; i < PAGE; i++)
        if (at[i] != at[0])
            fail_msg("page %u: byte %u is %u, the first %u", n, i, at[i], at[0]);
    assert_true(at[0] == 0 || at[0] == 'f');
    return at[0] == 0;
}

static uint64_t ram_on_host(void)
{
    struct stat st;

    assert_int_equal(fstat(d.phys.memfd, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

/* ---- The balloon ----------------------------------------------------------------------------- */

static void pages_go_back(void **state)
{
    /* Not in order, twice, side by side. */
    const uint32_t page[] = {page_of(9), page_of(3), page_of(5), page_of(4), page_of(3)};

    (void)state;
    start(0, 0);
    send_pages(0, page, 5);
    for (unsigned n = 0; n < N_FREE; n++)
        assert_int_equal(is_gone(n), n == 9 || (n >= 3 && n <= 5));
    assert_int_equal(b.given_bytes, 4 * PAGE + PAGE); /* one of them twice */
}

/* The code that was made from a page is old, and the host has the memory. */
static void who_hears_of_it(void **state)
{
    const uint32_t page[] = {page_of(6), page_of(7)};
    uint64_t before;

    (void)state;
    start(0, 0);
    memset(vd_at(&d, LIST), 1, PAGE);
    before = ram_on_host();
    d.wrote_low = UINT64_MAX;
    d.wrote_high = 0;
    send_pages(0, page, 2);
    assert_int_equal(ram_on_host(), before - 2 * PAGE);
    assert_true(d.wrote_high >= FREE + 8 * PAGE);
    assert_true(d.wrote_low <= FREE + 6 * PAGE);
}

static void pages_that_are_no_memory(void **state)
{
    const uint32_t page[] = {0, (uint32_t)(VD_RAM / PAGE) - 1, page_of(1),
                             (uint32_t)((VD_RAM + VD_RAM_LEN) / PAGE), UINT32_MAX};

    (void)state;
    start(0, 0);
    send_pages(0, page, 5);
    assert_int_equal(b.given_bytes, PAGE);
    assert_true(is_gone(1));
    assert_false(vd_get(&d, VD_STATUS) & VD_NEEDS_RESET);
}

/* A list that ends in the midst of a number, or is empty. */
static void odd_lists(void **state)
{
    (void)state;
    start(0, 0);
    for (unsigned i = 0; i < 4; i++)
        memcpy(vd_at(&d, LIST + 4 * i), &(uint32_t){page_of(i)}, 4);
    vd_desc(&d, 0, VD_RAM + LIST, 11, 0, 0);
    tell(0);
    take_used();
    assert_true(is_gone(0) && is_gone(1) && !is_gone(2));
    vd_desc(&d, 0, VD_RAM + LIST, 8, VD_WRITE, 0);
    tell(0);
    take_used();
    assert_false(is_gone(2));
}

/* More pages than are looked at in one go, and more than at all. */
static void long_lists(void **state)
{
    uint32_t *list;

    (void)state;
    start(0, 0);
    list = vd_at(&d, LIST);
    for (unsigned i = 0; i < 5000; i++)
        list[i] = page_of(i == 299 ? 1 : i == 4095 ? 2 : i == 4096 ? 3 : 0);
    vd_desc(&d, 0, VD_RAM + LIST, 5000 * 4, 0, 0);
    tell(0);
    take_used();
    assert_true(is_gone(0) && is_gone(1) && is_gone(2));
    assert_false(is_gone(3));
}

static void pages_that_come_back(void **state)
{
    const uint32_t page[] = {page_of(2)};

    (void)state;
    start(0, 1);
    send_pages(1, page, 1);
    assert_false(is_gone(2));
    assert_int_equal(b.given_bytes, 0);
}

/* ---- Its size ---------------------------------------------------------------------------------
 */

static void the_target(void **state)
{
    uint32_t generation;

    (void)state;
    start(0, 0);
    generation = vd_get(&d, VD_GENERATION);
    virtio_balloon_set(&b, 3 << 18); /* of 1 MiB */
    assert_int_equal(vd_get(&d, NUM_PAGES), 64);
    assert_int_not_equal(vd_get(&d, VD_GENERATION), generation);
    assert_int_equal(vd_get(&d, VD_INTERRUPT_STATUS), 2);
    virtio_balloon_set(&b, UINT64_MAX);
    assert_int_equal(vd_get(&d, NUM_PAGES), 0);
    virtio_balloon_set(&b, 0);
    assert_int_equal(vd_get(&d, NUM_PAGES), VD_RAM_LEN / PAGE);
}

static void what_the_driver_says_it_holds(void **state)
{
    (void)state;
    start(0, 0);
    assert_int_equal(virtio_balloon_actual(&b), VD_RAM_LEN);
    vd_set(&d, ACTUAL, 64);
    assert_int_equal(vd_get(&d, ACTUAL), 64);
    assert_int_equal(virtio_balloon_actual(&b), VD_RAM_LEN - 64 * PAGE);
    vd_set(&d, ACTUAL, UINT32_MAX);
    assert_int_equal(virtio_balloon_actual(&b), 0);
    vd_set(&d, NUM_PAGES, 7); /* is not the driver's */
    assert_int_equal(vd_get(&d, NUM_PAGES), 0);
    vd_set(&d, POISON, 7); /* was not agreed on */
    assert_int_equal(vd_get(&d, POISON), 0);
    vd_set(&d, VD_STATUS, 0);
    assert_int_equal(vd_get(&d, ACTUAL), 0);
}

/* ---- Free page reporting ------------------------------------------------------------------------
 */

static void report(unsigned queue)
{
    /* A piece that begins and ends within pages: what lies wholly in it goes. */
    vd_desc(&d, 0, VD_RAM + FREE + 100, 4 * PAGE, VD_WRITE | VD_NEXT, 1);
    vd_desc(&d, 1, VD_RAM + FREE + 10 * PAGE, 2 * PAGE, VD_WRITE | VD_NEXT, 2);
    vd_desc(&d, 2, VD_RAM + FREE + 20 * PAGE, 100, VD_WRITE, 0);
    tell(queue);
    take_used();
}

static void assert_reported(bool gone)
{
    for (unsigned n = 0; n < N_FREE; n++)
        assert_int_equal(is_gone(n), gone && ((n >= 1 && n <= 3) || n == 10 || n == 11));
}

static void free_pages_go_back(void **state)
{
    (void)state;
    /* Where the specification has it, where Linux has it, and where that has it without figures. */
    static const struct {
        uint64_t features;
        unsigned queue;
    } rows[] = {{F_REPORTING | F_STATS_VQ, 4}, {F_REPORTING | F_STATS_VQ, 3}, {F_REPORTING, 2}};

    for (unsigned i = 0; i < 3; i++) {
        start(rows[i].features, rows[i].queue);
        report(rows[i].queue);
        assert_reported(true);
        vd_set(&d, VD_STATUS, 0);
    }
}

static void without_the_feature(void **state)
{
    (void)state;
    start(F_STATS_VQ, 4);
    report(4);
    assert_reported(false);
    virtio_balloon_fini(&b);
    vd_fini(&d);
    make((struct virtio_balloon_config){.no_reporting = true, .deflate_on_oom = true});
    assert_int_equal(b.v.offered & (F_REPORTING | F_DEFLATE_ON_OOM), F_DEFLATE_ON_OOM);
}

/* Pages that the driver has filled with something must stay so; zeros they are anyway. */
static void poisoned_pages(void **state)
{
    (void)state;
    start(F_REPORTING | F_STATS_VQ | F_PAGE_POISON, 3);
    vd_set(&d, POISON, 0xaaaaaaaa);
    report(3);
    assert_reported(false);
    vd_set(&d, POISON, 0);
    report(3);
    assert_reported(true);
}

static void a_report_outside_memory(void **state)
{
    (void)state;
    start(F_REPORTING | F_STATS_VQ, 3);
    vd_desc(&d, 0, VD_RAM + VD_RAM_LEN - PAGE, 2 * PAGE, VD_WRITE, 0);
    tell(3);
    assert_true(vd_get(&d, VD_STATUS) & VD_NEEDS_RESET);
    assert_int_equal(b.given_bytes, 0);
}

/* ---- Figures ------------------------------------------------------------------------------------
 */

static void put_stat(unsigned i, uint16_t tag, uint64_t value)
{
    uint8_t *at = vd_at(&d, LIST + 10 * i);

    memcpy(at, &tag, 2);
    memcpy(at + 2, &value, 8);
}

static void figures(void **state)
{
    struct virtio_balloon_stats s;

    (void)state;
    start(F_STATS_VQ, 2);
    assert_int_equal(virtio_balloon_ask(&b).known, 0);
    put_stat(0, 4, 1000);
    put_stat(1, 5, UINT64_MAX);
    put_stat(2, 77, 5);
    put_stat(3, 6, 6);
    vd_desc(&d, 0, VD_RAM + LIST, 39, 0, 0); /* the fourth is cut off */
    tell(2);
    assert_int_equal(vd_n_used(&d), 0); /* it is kept */
    s = virtio_balloon_ask(&b);
    assert_int_equal(s.known, 1 << 4 | 1 << 5);
    assert_int_equal(s.value[4], 1000);
    assert_true(s.value[5] == UINT64_MAX);
    take_used(); /* and given back for newer ones */
    s = virtio_balloon_ask(&b);
    assert_int_equal(vd_n_used(&d), 0);
    put_stat(0, 4, 2000);
    tell(2);
    assert_int_equal(virtio_balloon_ask(&b).value[4], 2000);
    take_used();
}

/* A driver that sends two gets the first one back; a reset forgets. */
static void two_buffers(void **state)
{
    (void)state;
    start(F_STATS_VQ, 2);
    put_stat(0, 4, 1);
    vd_desc(&d, 0, VD_RAM + LIST, 10, 0, 0);
    vd_desc(&d, 1, VD_RAM + LIST, 10, 0, 0);
    tell(2);
    vd_offer(&d, 1);
    vd_set(&d, VD_QUEUE_NOTIFY, 2);
    vd_poll(&d);
    take_used();
    vd_set(&d, VD_STATUS, 0);
    assert_int_equal(virtio_balloon_ask(&b).known, 0);
    start(F_STATS_VQ, 2);
    assert_int_equal(virtio_balloon_ask(&b).known, 0);
    assert_int_equal(vd_n_used(&d), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(pages_go_back),
        TEST(who_hears_of_it),
        TEST(pages_that_are_no_memory),
        TEST(odd_lists),
        TEST(long_lists),
        TEST(pages_that_come_back),
        TEST(the_target),
        TEST(what_the_driver_says_it_holds),
        TEST(free_pages_go_back),
        TEST(without_the_feature),
        TEST(poisoned_pages),
        TEST(a_report_outside_memory),
        TEST(figures),
        TEST(two_buffers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
