/* Flash memory: Intel's commands, what loads see, what is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/pflash.h"

enum { READY = 0x80, ERASE_ERROR = 0x20, PROGRAM_ERROR = 0x10 };

static struct pflash f;
static uint8_t *bytes;
static uint64_t kept_at, kept_len, wrote_at, wrote_len;
static unsigned n_kept, n_wakes, n_wrote;
static bool cannot_keep;

static bool keep(void *arg, uint64_t offset, uint64_t len_bytes)
{
    (void)arg;
    kept_at = offset;
    kept_len = len_bytes;
    n_kept++;
    return !cannot_keep;
}

static void wake(void *arg)
{
    (void)arg;
    n_wakes++;
}

static void wrote(void *arg, uint64_t offset, uint64_t len_bytes)
{
    (void)arg;
    wrote_at = offset;
    wrote_len = len_bytes;
    n_wrote++;
}

static const struct pflash_host host = {.keep = keep, .wake = wake, .wrote = wrote};

static int begin(void **state)
{
    (void)state;
    n_kept = n_wakes = n_wrote = 0;
    cannot_keep = false;
    bytes = malloc(PFLASH_LEN);
    assert_non_null(bytes);
    memset(bytes, 0xff, PFLASH_LEN);
    pflash_init(&f, bytes, false, &host);
    return 0;
}

static int end(void **state)
{
    (void)state;
    pflash_fini(&f);
    free(bytes);
    return 0;
}

static uint64_t get(uint64_t at, unsigned size)
{
    return pflash_mmio.read(&f, at, size);
}

static void set(uint64_t at, unsigned size, uint64_t value)
{
    pflash_mmio.write(&f, at, size, value);
}

/* To both chips. */
static void command(uint64_t at, uint8_t cmd)
{
    set(at, 4, cmd | (uint32_t)cmd << 16);
}

static void assert_status(uint8_t status)
{
    assert_int_equal(get(0x1000, 4), status | (uint32_t)status << 16);
}

static void program(uint64_t at, uint32_t value)
{
    command(at, 0x40);
    set(at, 4, value);
}

/* ---- What loads see ---------------------------------------------------------------------------
 */

static void an_array_is_memory(void **state)
{
    (void)state;
    memcpy(bytes + PFLASH_LEN - 8, "\1\2\3\4\5\6\7\10", 8);
    assert_int_equal(get(PFLASH_LEN - 8, 8), 0x0807060504030201);
    assert_int_equal(get(PFLASH_LEN - 4, 4), 0x08070605);
    assert_int_equal(get(PFLASH_LEN - 2, 2), 0x0807);
    assert_int_equal(get(PFLASH_LEN - 1, 1), 8);
}

static void identity(void **state)
{
    (void)state;
    command(0, 0x90);
    assert_int_equal(get(0, 4), 0x00890089);
    assert_int_equal(get(4, 4), 0x00180018);
    assert_int_equal(get(8, 4), 0); /* not locked */
    assert_int_equal(get(PFLASH_BLOCK, 2), 0x89);
    assert_int_equal(get(1, 1), 0);
    assert_int_equal(get(2, 1), 0x89);
    command(0, 0xff);
    assert_int_equal(get(0, 4), 0xffffffff);
    command(0, 0x90);
    command(0, 0xf0);
    assert_int_equal(get(0, 4), 0xffffffff);
}

static uint8_t query(unsigned word)
{
    uint64_t value = get(4 * (uint64_t)word, 4);

    assert_int_equal(value >> 16, value & 0xffff);
    return (uint8_t)value;
}

/* The geometry that a driver computes from it is ours. */
static void the_query(void **state)
{
    (void)state;
    command(0x55 * 4, 0x98);
    assert_int_equal(query(0x10), 'Q');
    assert_int_equal(query(0x11), 'R');
    assert_int_equal(query(0x12), 'Y');
    assert_int_equal(query(0x13) | query(0x14) << 8, 1);
    assert_int_equal(2u << query(0x27), PFLASH_LEN);
    assert_int_equal(2u << query(0x2a), PFLASH_BUFFER);
    assert_int_equal(query(0x2c), 1);
    assert_int_equal((query(0x2d) | query(0x2e) << 8) + 1, PFLASH_LEN / PFLASH_BLOCK);
    assert_int_equal(2 * 256 * (query(0x2f) | query(0x30) << 8), PFLASH_BLOCK);
    assert_int_equal(query(query(0x15)), 'P');
    assert_int_equal(query(0x0f), 0);
    assert_int_equal(query(0x80), 0);
}

/* ---- Programming and erasing
 * --------------------------------------------------------------------- */

static void words_are_programmed(void **state)
{
    (void)state;
    program(0x1000, 0x12345678);
    assert_status(READY);
    assert_int_equal(kept_at, 0x1000);
    assert_int_equal(kept_len, 4);
    command(0, 0xff);
    assert_int_equal(get(0x1000, 4), 0x12345678);
    program(0x1000, 0x0000ffff); /* bits go one way only */
    command(0, 0xff);
    assert_int_equal(get(0x1000, 8), 0xffffffff00005678);
    command(0, 0x10);
    set(0x1004, 1, 0x7e);
    assert_status(READY);
    assert_int_equal(bytes[0x1004], 0x7e);
    assert_int_equal(bytes[0x1005], 0xff);
}

static void blocks_are_erased(void **state)
{
    (void)state;
    memset(bytes, 0, 3 * PFLASH_BLOCK);
    command(PFLASH_BLOCK + 0x1234, 0x20);
    assert_status(READY);
    command(PFLASH_BLOCK + 0x1234, 0xd0);
    assert_status(READY);
    assert_int_equal(bytes[PFLASH_BLOCK - 1], 0);
    assert_int_equal(bytes[PFLASH_BLOCK], 0xff);
    assert_int_equal(bytes[2 * PFLASH_BLOCK - 1], 0xff);
    assert_int_equal(bytes[2 * PFLASH_BLOCK], 0);
    assert_int_equal(kept_at, PFLASH_BLOCK);
    assert_int_equal(kept_len, PFLASH_BLOCK);
}

static void buffers_are_programmed(void **state)
{
    (void)state;
    command(0x2000, 0xe8);
    assert_status(READY);
    command(0x2000, 3 - 1);
    set(0x2000, 4, 0x11111111);
    set(0x2ffc, 4, 0x33333333);
    assert_int_equal(bytes[0x2000], 0xff); /* not before it is confirmed */
    set(0x2004, 4, 0x22222222);
    command(0x2000, 0xd0);
    assert_status(READY);
    assert_int_equal(n_kept, 1);
    command(0, 0xff);
    assert_int_equal(get(0x2000, 8), 0x2222222211111111);
    assert_int_equal(get(0x2008, 8), UINT64_MAX);
    assert_int_equal(get(0x2ff8, 8), 0x33333333ffffffff);
}

static void a_buffer_has_an_end(void **state)
{
    (void)state;
    command(0x2000, 0xe8);
    command(0x2000, 1);
    set(0x2000, 4, 0);
    set(0x3000, 4, 0);
    assert_status(READY | PROGRAM_ERROR);
    assert_int_equal(n_kept, 0);
    command(0, 0x50);
    assert_status(READY);
    program(0x2000, 0); /* a command again */
    assert_status(READY);
    /* More stores than there is room for go over what was there. */
    command(0x4000, 0xe8);
    command(0x4000, 0xff);
    for (uint32_t i = 0; i <= 0xff; i++)
        set(0x4ffc, 4, i);
    command(0x4000, 0xd0);
    assert_status(READY);
    assert_int_equal(bytes[0x4ffc], 0xff);
    assert_int_equal(bytes[0x4ffd], 0);
}

static void what_is_not_confirmed(void **state)
{
    static const uint8_t first[] = {0x20, 0xe8};

    (void)state;
    memset(bytes, 0, PFLASH_BLOCK);
    for (unsigned i = 0; i < 2; i++) {
        command(0, first[i]);
        if (first[i] == 0xe8) {
            command(0, 0);
            set(0, 4, 0);
        }
        command(0, 0x70);
        assert_status(READY | ERASE_ERROR | PROGRAM_ERROR);
        command(0, 0x50);
        command(0, first[i]);
        if (first[i] == 0xe8) {
            command(0, 0);
            set(0, 4, 0);
        }
        command(0, 0xff);
        assert_int_equal(get(0x1000, 4), 0);
        command(0, 0x70);
        assert_status(READY);
    }
    assert_int_equal(n_kept, 0);
}

static void locks(void **state)
{
    (void)state;
    command(0, 0x60);
    command(0, 0xd0);
    assert_status(READY);
    command(0, 0x60);
    command(0, 0x01);
    assert_status(READY);
    program(0, 1); /* there are none */
    assert_status(READY);
    assert_int_equal(bytes[0], 1);
    command(0, 0x60);
    command(0, 0xff);
    assert_int_equal(get(4, 4), 0xffffffff);
}

static void unknown_commands(void **state)
{
    (void)state;
    command(0, 0x90);
    command(0, 0x33);
    assert_int_equal(get(0, 4), 0xffffffff);
    set(0, 8, 0x90);
    assert_int_equal(get(0, 2), 0x89);
}

/* ---- What is kept, and who hears
 * ------------------------------------------------------------------ */

static void read_only(void **state)
{
    (void)state;
    f.read_only = true;
    program(0, 0);
    assert_status(READY | PROGRAM_ERROR);
    command(0, 0x50);
    bytes[0] = 0;
    command(0, 0x20);
    command(0, 0xd0);
    assert_status(READY | ERASE_ERROR);
    assert_int_equal(bytes[0], 0);
    assert_int_equal(bytes[1], 0xff);
    assert_int_equal(n_kept + n_wakes, 0);
}

static void a_full_disk_is_an_error(void **state)
{
    (void)state;
    cannot_keep = true;
    program(0, 0);
    assert_status(READY | PROGRAM_ERROR);
}

static void changes_are_told_once(void **state)
{
    (void)state;
    pflash_poll(&f);
    assert_int_equal(n_wrote, 0);
    program(0x5000, 0);
    program(0x3000, 0);
    program(0x4000, 0);
    assert_int_equal(n_wakes, 3);
    pflash_poll(&f);
    pflash_poll(&f);
    assert_int_equal(n_wrote, 1);
    assert_int_equal(wrote_at, 0x3000);
    assert_int_equal(wrote_len, 0x2004);
    program(0, 0);
    pflash_poll(&f);
    assert_int_equal(wrote_at, 0);
    assert_int_equal(wrote_len, 4);
}

static void a_reset_shows_the_array(void **state)
{
    (void)state;
    program(0, 7);
    command(0, 0x20);
    pflash_reset(&f);
    assert_int_equal(get(0, 4), 7);
    command(0, 0xd0); /* confirms nothing */
    assert_int_equal(bytes[0], 7);
}

static void state_goes_round(void **state)
{
    struct state_io io = {.f = tmpfile(), .saving = true};

    (void)state;
    assert_non_null(io.f);
    command(0x2000, 0xe8);
    command(0x2000, 1);
    set(0x2000, 4, 0x11111111);
    pflash_state(&f, &io);
    pflash_reset(&f);
    rewind(io.f);
    io.saving = false;
    pflash_state(&f, &io);
    fclose(io.f);
    assert_false(io.failed);
    assert_status(READY);
    set(0x2004, 4, 0x22222222);
    command(0x2000, 0xd0);
    command(0, 0xff);
    assert_int_equal(get(0x2000, 8), 0x2222222211111111);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(an_array_is_memory),
        TEST(identity),
        TEST(the_query),
        TEST(words_are_programmed),
        TEST(blocks_are_erased),
        TEST(buffers_are_programmed),
        TEST(a_buffer_has_an_end),
        TEST(what_is_not_confirmed),
        TEST(locks),
        TEST(unknown_commands),
        TEST(read_only),
        TEST(a_full_disk_is_an_error),
        TEST(changes_are_told_once),
        TEST(a_reset_shows_the_array),
        TEST(state_goes_round),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
