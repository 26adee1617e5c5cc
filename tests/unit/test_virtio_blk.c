/* virtio-blk and virtio-rng, as a driver sees them. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/virtio/virtio_blk.h"
#include "devices/virtio/virtio_rng.h"
#include "tests/lib/virtio_driver.h"

enum {
    SECTOR = 512,
    N_SECTORS = 2048,
    HEADER = VD_DATA,
    STATUS = VD_DATA + 0x100,
    DATA = VD_DATA + 0x1000
};
enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8, DISCARD = 11, ZEROES = 13 };
enum { OK, IOERR, UNSUPP };
enum { F_RO = 1 << 5, F_FLUSH = 1 << 9, F_DISCARD = 1 << 13, F_WRITE_ZEROES = 1 << 14 };

static struct virtio_driver d;
static struct virtio_blk blk;
static struct block *block;
static int file = -1;

/* A disk in memory whose every byte is its sector's number. */
static void make(struct block_config config)
{
    char path[64];
    struct err e;

    file = memfd_create("disk", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    for (unsigned i = 0; i < N_SECTORS; i++) {
        uint8_t sector[SECTOR];

        memset(sector, (int)(i & 255), sizeof sector);
        assert_int_equal(write(file, sector, sizeof sector), sizeof sector);
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    config.path = path;
    block = block_open(&config, &e);
    if (!block)
        fail_msg("%s", e.text);
    vd_init(&d);
    virtio_blk_init(&blk, block, "serial-number-of-this-disk", &d.host);
    d.slot = (struct virtio_mmio){.device = &blk.v};
    assert_true(vd_negotiate(&d, config.read_only ? F_RO | F_FLUSH : F_FLUSH));
    vd_start(&d, 128);
}

static int begin(void **state)
{
    (void)state;
    make((struct block_config){0});
    return 0;
}

static int end(void **state)
{
    (void)state;
    virtio_blk_fini(&blk);
    block_close(block);
    close(file);
    vd_fini(&d);
    return 0;
}

static void remake(struct block_config config)
{
    end(NULL);
    make(config);
}

static uint8_t byte_of_file(uint64_t offset)
{
    uint8_t byte;

    assert_int_equal(pread(file, &byte, 1, (off_t)offset), 1);
    return byte;
}

static void header(uint32_t type, uint64_t sector)
{
    const uint32_t head[2] = {type, 0};

    memcpy(vd_at(&d, HEADER), head, 8);
    memcpy(vd_at(&d, HEADER + 8), &sector, 8);
    *(uint8_t *)vd_at(&d, STATUS) = 99;
}

/* Waits for the host and serves what it did. */
static void serve(void)
{
    vd_notify(&d);
    block_wait(block);
    vd_poll(&d);
}

static unsigned status(void)
{
    return *(const uint8_t *)vd_at(&d, STATUS);
}

/* One request; its data at DATA. Returns the status. */
static unsigned request(uint32_t type, uint64_t sector, uint32_t len)
{
    uint32_t head, used;
    uint16_t data_flags = type == IN || type == GET_ID ? VD_WRITE : 0;

    header(type, sector);
    vd_desc(&d, 0, VD_RAM + HEADER, 16, VD_NEXT, len ? 1 : 2);
    vd_desc(&d, 1, VD_RAM + DATA, len, VD_NEXT | data_flags, 2);
    vd_desc(&d, 2, VD_RAM + STATUS, 1, VD_WRITE, 0);
    vd_offer(&d, 0);
    serve();
    assert_int_equal(vd_n_used(&d), 1);
    vd_take_used(&d, &head, &used);
    assert_int_equal(head, 0);
    assert_int_equal(used, (data_flags ? len : 0) + 1);
    assert_true(d.irq);
    vd_set(&d, VD_INTERRUPT_ACK, 1);
    return status();
}

static unsigned range_request(uint32_t type, uint64_t sector, uint32_t n, uint32_t flags)
{
    memcpy(vd_at(&d, DATA), &sector, 8);
    memcpy(vd_at(&d, DATA + 8), &n, 4);
    memcpy(vd_at(&d, DATA + 12), &flags, 4);
    return request(type, 0, 16);
}

static void assert_all(uint64_t offset, size_t len, uint8_t want)
{
    const uint8_t *bytes = vd_at(&d, offset);

    for (size_t i = 0; i < len; i++)
        assert_int_equal(bytes[i], want);
}

/* ---- What it is ---------------------------------------------------------------------------- */

static void configuration(void **state)
{
    uint64_t features;

    (void)state;
    assert_int_equal(vd_get(&d, VD_DEVICE_ID), 2);
    assert_int_equal(virtio_mmio.read(&d.slot, VD_CONFIG, 8), N_SECTORS);
    assert_int_equal(vd_get(&d, VD_CONFIG + 12), 254);           /* seg_max */
    assert_int_equal(vd_get(&d, VD_CONFIG + 20), SECTOR);        /* blk_size */
    assert_int_equal(vd_get(&d, VD_CONFIG + 36), (1 << 22) - 1); /* max_discard_sectors */
    assert_int_equal(vd_get(&d, VD_CONFIG + 40), 1);
    assert_int_equal(vd_get(&d, VD_CONFIG + 48), (1 << 22) - 1); /* max_write_zeroes_sectors */
    assert_int_equal(vd_get(&d, VD_CONFIG + 56), 1);             /* may unmap */
    features = blk.v.offered;
    assert_int_equal(features & (F_RO | F_FLUSH | F_DISCARD | F_WRITE_ZEROES),
                     F_FLUSH | F_DISCARD | F_WRITE_ZEROES);
    remake((struct block_config){.read_only = true});
    features = blk.v.offered;
    assert_int_equal(features & (F_RO | F_FLUSH | F_DISCARD | F_WRITE_ZEROES), F_RO | F_FLUSH);
}

static void the_serial_number(void **state)
{
    (void)state;
    memset(vd_at(&d, DATA), 'x', 64);
    assert_int_equal(request(GET_ID, 0, 20), OK);
    assert_memory_equal(vd_at(&d, DATA), "serial-number-of-thixx", 22);
    memset(vd_at(&d, DATA), 'x', 64);
    assert_int_equal(request(GET_ID, 0, 6), OK);
    assert_memory_equal(vd_at(&d, DATA), "serialxx", 8);
}

/* ---- Requests -------------------------------------------------------------------------------- */

static void reads(void **state)
{
    (void)state;
    assert_int_equal(request(IN, 5, 3 * SECTOR), OK);
    assert_all(DATA, SECTOR, 5);
    assert_all(DATA + 2 * SECTOR, SECTOR, 7);
    /* The guest's memory was told of: code may lie there. */
    assert_true(d.wrote_low <= STATUS && d.wrote_high >= DATA + 3 * SECTOR);
    assert_int_equal(request(IN, N_SECTORS - 1, SECTOR), OK);
    assert_int_equal(request(IN, 0, 0), OK);
}

static void writes(void **state)
{
    (void)state;
    memset(vd_at(&d, DATA), 'w', 2 * SECTOR);
    assert_int_equal(request(OUT, 9, 2 * SECTOR), OK);
    assert_int_equal(byte_of_file(9 * SECTOR - 1), 8);
    assert_int_equal(byte_of_file(9 * SECTOR), 'w');
    assert_int_equal(byte_of_file(11 * SECTOR - 1), 'w');
    assert_int_equal(byte_of_file(11 * SECTOR), 11);
    assert_int_equal(request(FLUSH, 0, 0), OK);
}

static void behind_the_end(void **state)
{
    (void)state;
    memset(vd_at(&d, DATA), 'w', 2 * SECTOR);
    assert_int_equal(request(OUT, N_SECTORS - 1, 2 * SECTOR), IOERR);
    assert_int_equal(request(OUT, N_SECTORS, SECTOR), IOERR);
    assert_int_equal(request(OUT, UINT64_MAX, SECTOR), IOERR);
    assert_int_equal(request(OUT, UINT64_C(1) << 55, SECTOR), IOERR);
    assert_int_equal(request(IN, N_SECTORS - 1, 2 * SECTOR), IOERR);
    assert_int_equal(request(IN, UINT64_MAX, SECTOR), IOERR);
    assert_int_equal(request(OUT, 0, SECTOR - 1), IOERR);
    assert_int_equal(request(IN, 0, 100), IOERR);
    assert_int_equal(byte_of_file(N_SECTORS * SECTOR - 1), 255);
    assert_int_equal(byte_of_file(0), 0);
    assert_int_equal(lseek(file, 0, SEEK_END), N_SECTORS * SECTOR);
}

static void unknown_requests(void **state)
{
    static const uint32_t types[] = {2, 3, 5, 7, 10, 12, 14, 15, 1000, UINT32_MAX};

    (void)state;
    for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++)
        assert_int_equal(request(types[i], 0, 16), UNSUPP);
}

static void discards_and_zeroes(void **state)
{
    (void)state;
    assert_int_equal(range_request(DISCARD, 64, 64, 0), OK);
    assert_int_equal(byte_of_file(64 * SECTOR), 0);
    assert_int_equal(byte_of_file(128 * SECTOR), 128);
    assert_int_equal(range_request(ZEROES, 200, 1, 0), OK);
    assert_int_equal(range_request(ZEROES, 203, 1, 1), OK);
    assert_int_equal(byte_of_file(200 * SECTOR + 511), 0);
    assert_int_equal(byte_of_file(201 * SECTOR), 201);
    assert_int_equal(byte_of_file(203 * SECTOR), 0);
    assert_int_equal(range_request(DISCARD, 1, 0, 0), OK);

    assert_int_equal(range_request(DISCARD, 300, 1, 1), UNSUPP);
    assert_int_equal(range_request(ZEROES, 300, 1, 2), UNSUPP);
    assert_int_equal(range_request(DISCARD, N_SECTORS, 1, 0), IOERR);
    assert_int_equal(range_request(ZEROES, N_SECTORS - 1, 2, 0), IOERR);
    assert_int_equal(range_request(ZEROES, UINT64_MAX, 2, 0), IOERR);
    assert_int_equal(range_request(DISCARD, UINT64_MAX, 2, 0), IOERR);
    assert_int_equal(range_request(ZEROES, 300, 1 << 22, 0), IOERR);
    assert_int_equal(request(ZEROES, 0, 32), IOERR); /* two ranges: one is offered */
    assert_int_equal(request(DISCARD, 0, 15), IOERR);
    assert_int_equal(byte_of_file(300 * SECTOR), 300 & 255);
}

static void read_only(void **state)
{
    (void)state;
    remake((struct block_config){.read_only = true});
    assert_int_equal(request(OUT, 1, SECTOR), IOERR);
    assert_int_equal(range_request(DISCARD, 1, 1, 0), IOERR);
    assert_int_equal(range_request(ZEROES, 1, 1, 0), IOERR);
    assert_int_equal(request(FLUSH, 0, 0), OK);
    assert_int_equal(request(IN, 1, SECTOR), OK);
    assert_all(DATA, SECTOR, 1);
    assert_int_equal(byte_of_file(SECTOR), 1);
}

static void snapshot(void **state)
{
    (void)state;
    remake((struct block_config){.snapshot = true});
    memset(vd_at(&d, DATA), 'w', SECTOR);
    assert_int_equal(request(OUT, 1, SECTOR), OK);
    assert_int_equal(request(FLUSH, 0, 0), OK);
    assert_int_equal(request(IN, 0, 3 * SECTOR), OK);
    assert_all(DATA, SECTOR, 0);
    assert_all(DATA + SECTOR, SECTOR, 'w');
    assert_all(DATA + 2 * SECTOR, SECTOR, 2);
    assert_int_equal(byte_of_file(SECTOR), 1);
}

/* What the host could not read is an error, and nothing of anybody's memory. */
static void an_error_of_the_host(void **state)
{
    (void)state;
    assert_int_equal(ftruncate(file, 10 * SECTOR), 0);
    memset(vd_at(&d, DATA), 'x', 4 * SECTOR);
    assert_int_equal(request(IN, 8, 4 * SECTOR), IOERR);
    assert_all(DATA, 4 * SECTOR, 0);
    assert_int_equal(request(IN, 8, 2 * SECTOR), OK);
    /* And now the host takes no writes. */
    assert_int_equal(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE), 0);
    assert_int_equal(request(OUT, 8, SECTOR), IOERR);
    assert_int_equal(range_request(ZEROES, 8, 1, 0), IOERR);
    assert_int_equal(request(IN, 8, SECTOR), OK);
}

/* Header, data and status cut up anywhere, and the status in one piece with the data. */
static void any_layout(void **state)
{
    (void)state;
    header(IN, 77);
    vd_desc(&d, 0, VD_RAM + HEADER, 3, VD_NEXT, 1);
    vd_desc(&d, 1, VD_RAM + HEADER + 3, 13, VD_NEXT, 2);
    vd_desc(&d, 2, VD_RAM + DATA, 100, VD_WRITE | VD_NEXT, 3);
    vd_desc(&d, 3, VD_RAM + DATA + 100, 413, VD_WRITE, 0);
    vd_offer(&d, 0);
    serve();
    assert_all(DATA, SECTOR, 77);
    assert_all(DATA + SECTOR, 1, OK);

    /* Header and data in one piece. */
    header(OUT, 78);
    memset(vd_at(&d, HEADER + 16), 'z', SECTOR);
    vd_desc(&d, 0, VD_RAM + HEADER, 16 + SECTOR, VD_NEXT, 1);
    vd_desc(&d, 1, VD_RAM + DATA, 1, VD_WRITE, 0);
    vd_offer(&d, 0);
    serve();
    assert_all(DATA, 1, OK);
    assert_int_equal(byte_of_file(78 * SECTOR), 'z');
    assert_int_equal(byte_of_file(79 * SECTOR - 1), 'z');
}

static void without_header_or_status(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        header(IN, 0);
        vd_desc(&d, 0, VD_RAM + HEADER, i ? 16 : 15, i ? 0 : VD_NEXT, 1);
        vd_desc(&d, 1, VD_RAM + DATA, 513, VD_WRITE, 0);
        vd_offer(&d, 0);
        serve();
        assert_int_equal(vd_get(&d, VD_STATUS) & VD_NEEDS_RESET, VD_NEEDS_RESET);
        assert_int_equal(vd_n_used(&d), 0);
        assert_true(vd_negotiate(&d, F_FLUSH));
        vd_start(&d, 128);
    }
    assert_int_equal(request(IN, 3, SECTOR), OK);
}

static void many_at_once(void **state)
{
    unsigned n = 40;

    (void)state;
    for (unsigned i = 0; i < n; i++) {
        uint64_t head = HEADER + 0x8000 + 64 * i;
        const uint64_t words[2] = {IN, 10 + i};

        memcpy(vd_at(&d, head), words, sizeof words);
        *(uint8_t *)vd_at(&d, head + 32) = 99;
        vd_desc(&d, 3 * i, VD_RAM + head, 16, VD_NEXT, (uint16_t)(3 * i + 1));
        vd_desc(&d, 3 * i + 1, VD_RAM + DATA + 0x10000 + SECTOR * i, SECTOR, VD_WRITE | VD_NEXT,
                (uint16_t)(3 * i + 2));
        vd_desc(&d, 3 * i + 2, VD_RAM + head + 32, 1, VD_WRITE, 0);
        vd_offer(&d, (uint16_t)(3 * i));
    }
    serve();
    assert_int_equal(vd_n_used(&d), n);
    for (unsigned i = 0; i < n; i++) {
        assert_all(DATA + 0x10000 + SECTOR * i, SECTOR, (uint8_t)(10 + i));
        assert_all(HEADER + 0x8000 + 64 * i + 32, 1, OK);
    }
}

/* ---- Reset at any moment ------------------------------------------------------------------------
 */

/* When the register write returns, nothing more happens to guest memory. */
static void reset_in_flight(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        header(IN, 5);
        vd_desc(&d, 0, VD_RAM + HEADER, 16, VD_NEXT, 1);
        vd_desc(&d, 1, VD_RAM + DATA, 64 * SECTOR, VD_WRITE | VD_NEXT, 2);
        vd_desc(&d, 2, VD_RAM + STATUS, 1, VD_WRITE, 0);
        vd_offer(&d, 0);
        d.wrote_low = UINT64_MAX;
        d.wrote_high = 0;
        vd_notify(&d);
        vd_set(&d, VD_STATUS, 0);
        /* It was read, heard of or not: code in the buffer is not what it was. */
        assert_true(d.wrote_low <= DATA && d.wrote_high >= DATA + 64 * SECTOR);
        memset(vd_at(&d, DATA), 'q', 64 * SECTOR);
        *(uint8_t *)vd_at(&d, STATUS) = 98;
        vd_poll(&d);
        assert_all(DATA, 64 * SECTOR, 'q');
        assert_int_equal(status(), 98);
        assert_true(vd_negotiate(&d, F_FLUSH));
        vd_start(&d, 128);
        vd_poll(&d);
        assert_int_equal(vd_n_used(&d), 0);
    }
    assert_int_equal(request(IN, 5, SECTOR), OK);
}

/* The device goes while it works: fini waits, and ASan sees what is lost. */
static void gone_in_flight(void **state)
{
    (void)state;
    header(OUT, 5);
    vd_desc(&d, 0, VD_RAM + HEADER, 16, VD_NEXT, 1);
    vd_desc(&d, 1, VD_RAM + DATA, 64 * SECTOR, VD_NEXT, 2);
    vd_desc(&d, 2, VD_RAM + STATUS, 1, VD_WRITE, 0);
    vd_offer(&d, 0);
    vd_notify(&d);
}

/* A saved state has nothing in flight: what was is answered first. */
static void saved_in_flight(void **state)
{
    char *text;
    size_t len;
    struct state_io io = {.saving = true};

    (void)state;
    header(IN, 5);
    vd_desc(&d, 0, VD_RAM + HEADER, 16, VD_NEXT, 1);
    vd_desc(&d, 1, VD_RAM + DATA, SECTOR, VD_WRITE | VD_NEXT, 2);
    vd_desc(&d, 2, VD_RAM + STATUS, 1, VD_WRITE, 0);
    vd_offer(&d, 0);
    vd_notify(&d);
    io.f = open_memstream(&text, &len);
    virtio_mmio_state(&d.slot, &io);
    fclose(io.f);
    free(text);
    assert_int_equal(vd_n_used(&d), 1);
    assert_int_equal(status(), OK);
    assert_all(DATA, SECTOR, 5);
    assert_int_equal(blk.v.queue[0].n_taken, 0);
}

/* ---- virtio-rng
 * --------------------------------------------------------------------------------------- */

static void fill(void *arg, void *to, size_t len_bytes)
{
    memset(to, 'r', len_bytes);
    *(size_t *)arg += len_bytes;
}

static void random_numbers(void **state)
{
    static struct virtio_driver r;
    struct virtio_rng rng;
    size_t filled = 0;
    uint32_t head, len;

    (void)state;
    vd_init(&r);
    virtio_rng_init(&rng, fill, &filled, &r.host);
    r.slot = (struct virtio_mmio){.device = &rng.v};
    assert_int_equal(vd_get(&r, VD_DEVICE_ID), 4);
    assert_true(vd_negotiate(&r, 0));
    vd_start(&r, 8);
    vd_desc(&r, 0, VD_RAM + DATA, 10, VD_WRITE | VD_NEXT, 1);
    vd_desc(&r, 1, VD_RAM + DATA + 20, 30, VD_WRITE, 0);
    vd_desc(&r, 2, VD_RAM + DATA, 100000, VD_WRITE, 0);
    vd_desc(&r, 3, VD_RAM + DATA, 4, 0, 0);
    vd_offer(&r, 0);
    vd_notify(&r);
    vd_take_used(&r, &head, &len);
    assert_int_equal(len, 40);
    assert_int_equal(filled, 40);
    assert_memory_equal(vd_at(&r, DATA + 19), "\0rr", 3);
    assert_memory_equal(vd_at(&r, DATA + 49), "r\0", 2);
    vd_offer(&r, 2); /* large: a part of it is filled */
    vd_offer(&r, 3); /* none of it can be */
    vd_notify(&r);
    vd_take_used(&r, &head, &len);
    assert_int_equal(len, 4096);
    vd_take_used(&r, &head, &len);
    assert_int_equal(len, 0);
    virtio_rng_fini(&rng);
    vd_fini(&r);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(configuration),
        TEST(the_serial_number),
        TEST(reads),
        TEST(writes),
        TEST(behind_the_end),
        TEST(unknown_requests),
        TEST(discards_and_zeroes),
        TEST(read_only),
        TEST(snapshot),
        TEST(an_error_of_the_host),
        TEST(any_layout),
        TEST(without_header_or_status),
        TEST(many_at_once),
        TEST(reset_in_flight),
        TEST(gone_in_flight),
        TEST(saved_in_flight),
        TEST(random_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
