/* virtio-fs, as a driver sees it, with the host's threads. What the requests do is tested in
 * test_share.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/virtio/virtio_fs.h"
#include "tests/lib/folder.h"
#include "tests/lib/virtio_driver.h"

enum { OUT = VD_DATA, IN = VD_DATA + 0x8000, EACH = 0x200, HIPRIO = 0, REQUEST = 1 };

static struct virtio_driver d;
static struct virtio_fs fs;
static struct share *share;

static void start(void)
{
    vd_select(&d, REQUEST);
    vd_start(&d, 128);
}

static void serve(void)
{
    vd_notify(&d);
    share_wait(share);
    vd_poll(&d);
}

/* Request n: header, args in two pieces; the answer in two pieces. */
static void offer(unsigned n, uint32_t opcode, uint64_t node, const void *args, uint32_t len)
{
    uint64_t out = OUT + EACH * n, in = IN + EACH * n;
    const struct fuse_in_header h = {
        .len = (uint32_t)sizeof h + len, .opcode = opcode, .unique = 1000 + n, .nodeid = node};

    memcpy(vd_at(&d, out), &h, sizeof h);
    if (len)
        memcpy(vd_at(&d, out + sizeof h), args, len);
    memset(vd_at(&d, in), 0xee, EACH);
    vd_desc(&d, 4 * n, VD_RAM + out, 7, VD_NEXT, (uint16_t)(4 * n + 1));
    vd_desc(&d, 4 * n + 1, VD_RAM + out + 7, (uint32_t)sizeof h + len - 7, VD_NEXT,
            (uint16_t)(4 * n + 2));
    vd_desc(&d, 4 * n + 2, VD_RAM + in, 16, VD_NEXT | VD_WRITE, (uint16_t)(4 * n + 3));
    vd_desc(&d, 4 * n + 3, VD_RAM + in + 16, EACH - 16, VD_WRITE, 0);
    vd_offer(&d, (uint16_t)(4 * n));
}

static int32_t error_of(unsigned n)
{
    struct fuse_out_header h;

    memcpy(&h, vd_at(&d, IN + EACH * n), sizeof h);
    assert_int_equal(h.unique, 1000 + n);
    return h.error;
}

static const void *answer(unsigned n)
{
    return vd_at(&d, IN + EACH * n + 16);
}

static void say_init(void)
{
    const struct fuse_init_in init = {.major = 7, .minor = 36};
    uint32_t head, len;

    offer(0, FUSE_INIT, 0, &init, sizeof init);
    serve();
    assert_int_equal(vd_n_used(&d), 1);
    vd_take_used(&d, &head, &len);
    assert_int_equal(len, 16 + sizeof(struct fuse_init_out));
    assert_int_equal(error_of(0), 0);
}

static int begin(void **state)
{
    struct share_config config = {.dir = "in", .max_open = 16};
    struct err e;

    folder_begin(state);
    share = share_open(&config, &e);
    assert_non_null(share);
    vd_init(&d);
    virtio_fs_init(&fs, share, "a-tag", &d.host);
    d.slot = (struct virtio_mmio){.device = &fs.v};
    assert_true(vd_negotiate(&d, 0));
    start();
    say_init();
    return 0;
}

static int end(void **state)
{
    virtio_fs_fini(&fs);
    share_close(share);
    vd_fini(&d);
    return folder_end(state);
}

static uint64_t look_up(unsigned n, uint64_t parent, const char *name)
{
    struct fuse_entry_out e;
    uint32_t head, len;

    offer(n, FUSE_LOOKUP, parent, name, (uint32_t)strlen(name) + 1);
    serve();
    vd_take_used(&d, &head, &len);
    assert_int_equal(len, 16 + sizeof e);
    assert_int_equal(error_of(n), 0);
    memcpy(&e, answer(n), sizeof e);
    return e.nodeid;
}

/* ---- What it is ---------------------------------------------------------------------------- */

static void configuration(void **state)
{
    static const char tag[36] = "a-tag";
    static const char full[] = "a tag of thirty-six bytes, not more!"
                               "and this is cut";
    struct virtio_fs other;

    (void)state;
    assert_int_equal(vd_get(&d, VD_DEVICE_ID), 26);
    for (unsigned i = 0; i < 36; i++)
        assert_int_equal(virtio_mmio.read(&d.slot, VD_CONFIG + i, 1), tag[i]);
    assert_int_equal(vd_get(&d, VD_CONFIG + 36), 1);
    share_on_done(share, NULL, NULL);
    virtio_fs_init(&other, share, full, &d.host);
    assert_memory_equal(other.space.tag, full, 36);
    assert_int_equal(other.space.num_request_queues, 1);
    virtio_fs_fini(&other);
}

/* ---- Requests -------------------------------------------------------------------------------- */

static void an_answer(void **state)
{
    const struct fuse_getattr_in in = {0};
    uint32_t head, len;

    (void)state;
    d.n_wrote = 0;
    d.wrote_low = UINT64_MAX;
    d.wrote_high = 0;
    offer(1, FUSE_GETATTR, 1, &in, sizeof in);
    serve();
    assert_int_equal(vd_n_used(&d), 1);
    vd_take_used(&d, &head, &len);
    assert_int_equal(head, 4);
    assert_int_equal(len, 16 + sizeof(struct fuse_attr_out));
    assert_int_equal(error_of(1), 0);
    assert_true(d.irq);
    /* The guest's memory was told of, all that was written and no more. */
    assert_true(d.n_wrote >= len && d.n_wrote < len + 32); /* and the ring's */
    assert_int_equal(d.wrote_low, IN + EACH);
    assert_int_equal(((const uint8_t *)vd_at(&d, IN + EACH))[len], 0xee);
}

/* Without an answer the buffer comes back, too; hiprio's as the others'. */
static void forgetting(void **state)
{
    const struct fuse_forget_in in = {.nlookup = 1};
    uint32_t head, len;
    uint64_t n;

    (void)state;
    folder_write_file("in/f", "f");
    n = look_up(1, 1, "f");
    offer(2, FUSE_FORGET, n, &in, sizeof in);
    serve();
    vd_take_used(&d, &head, &len);
    assert_int_equal(len, 0);
    assert_int_equal(((const uint8_t *)answer(2))[0], 0xee);
    /* Queue 0, where Linux says it. */
    vd_select(&d, HIPRIO);
    vd_make_queue(&d, 128);
    offer(3, FUSE_FORGET, n, &in, sizeof in);
    serve();
    assert_int_equal(vd_n_used(&d), 1);
}

static void fragments(void **state)
{
    (void)state;
    for (uint32_t len = 1; len < 60; len += 13) {
        vd_desc(&d, 0, VD_RAM + OUT, len, VD_NEXT, 1);
        vd_desc(&d, 1, VD_RAM + IN, len, VD_WRITE, 0);
        vd_offer(&d, 0);
        serve();
        vd_desc(&d, 0, VD_RAM + IN, len, VD_WRITE, 0);
        vd_offer(&d, 0);
        serve();
        vd_desc(&d, 0, VD_RAM + OUT, len, 0, 0);
        vd_offer(&d, 0);
        serve();
    }
    assert_int_equal(vd_n_used(&d), 15);
    assert_int_equal(vd_get(&d, VD_STATUS) & VD_NEEDS_RESET, 0);
}

/* Many at once on one file, while the folder that it lies in is renamed: none loses the file. */
static void at_once(void **state)
{
    const struct fuse_getattr_in getattr = {0};
    struct {
        struct fuse_rename2_in in;
        char names[4];
    } rename = {.in.newdir = 1};
    uint64_t dir, file;
    uint32_t head, len;

    (void)state;
    assert_int_equal(mkdir("in/a", 0777), 0);
    folder_write_file("in/a/f", "f");
    dir = look_up(1, 1, "a");
    file = look_up(2, dir, "f");
    for (unsigned round = 0; round < 300; round++) {
        for (unsigned n = 0; n < 32; n++) {
            memcpy(rename.names, n % 16 == 7 ? "a\0b" : "b\0a", 4);
            if (n % 8 == 7)
                offer(n, FUSE_RENAME2, 1, &rename, 20);
            else
                offer(n, FUSE_GETATTR, file, &getattr, sizeof getattr);
        }
        serve();
        assert_int_equal(vd_n_used(&d), 32);
        for (unsigned n = 0; n < 32; n++) {
            vd_take_used(&d, &head, &len);
            if (n % 8 != 7)
                assert_int_equal(error_of(n), 0);
        }
    }
}

/* ---- Reset -------------------------------------------------------------------------------------
 */

/* When the register write returns, nothing more happens to guest memory, and nothing is open. */
static void reset_in_flight(void **state)
{
    const struct fuse_getattr_in in = {0};
    uint64_t n;

    (void)state;
    folder_write_file("in/f", "f");
    n = look_up(1, 1, "f");
    for (unsigned i = 0; i < 100; i++) {
        for (unsigned k = 0; k < 32; k++)
            offer(k, FUSE_GETATTR, n, &in, sizeof in);
        vd_notify(&d);
        vd_set(&d, VD_STATUS, 0);
        memset(vd_at(&d, IN), 0x77, 32 * EACH);
        vd_poll(&d);
        for (unsigned k = 0; k < 32 * EACH; k++)
            assert_int_equal(((const uint8_t *)vd_at(&d, IN))[k], 0x77);
        assert_true(vd_negotiate(&d, 0));
        start();
        vd_poll(&d);
        assert_int_equal(vd_n_used(&d), 0);
    }
    /* Its session is over: INIT comes first again, and the node is none. */
    offer(1, FUSE_GETATTR, 1, &in, sizeof in);
    serve();
    assert_int_equal(error_of(1), -EIO);
    d.used_idx++;
    say_init();
    offer(2, FUSE_GETATTR, n, &in, sizeof in);
    serve();
    assert_int_equal(error_of(2), -ESTALE);
}

/* The device goes while it works: fini waits, and ASan sees what is lost. */
static void gone_in_flight(void **state)
{
    const struct fuse_getattr_in in = {0};

    (void)state;
    for (unsigned k = 0; k < 32; k++)
        offer(k, FUSE_GETATTR, 1, &in, sizeof in);
    vd_notify(&d);
}

/* With files open, too. */
static void gone_with_open_files(void **state)
{
    const struct fuse_open_in in = {.flags = O_RDWR};
    uint64_t n;

    (void)state;
    folder_write_file("in/f", "f");
    n = look_up(1, 1, "f");
    for (unsigned k = 0; k < 8; k++)
        offer(k, k & 1 ? FUSE_OPENDIR : FUSE_OPEN, k & 1 ? 1 : n, &in, sizeof in);
    serve();
    for (unsigned k = 0; k < 8; k++)
        assert_int_equal(error_of(k), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(configuration),  TEST(an_answer),
        TEST(forgetting),     TEST(fragments),
        TEST(at_once),        TEST(reset_in_flight),
        TEST(gone_in_flight), TEST(gone_with_open_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
