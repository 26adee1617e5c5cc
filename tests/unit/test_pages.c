/* dbt/base/pages: which pages there are before they are touched. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "dbt/base/pages.h"

enum { PAGE = 4096, KIB64 = 64 << 10, N_PAGES = 64 };

static unsigned n_backed(void *p, size_t bytes)
{
    unsigned char there[4096];
    unsigned n = 0;

    assert_true(bytes / PAGE <= sizeof there);
    assert_int_equal(mincore(p, bytes, there), 0);
    for (size_t i = 0; i < bytes / PAGE; i++)
        n += there[i] & 1;
    return n;
}

static uint8_t *small_pages(void)
{
    uint8_t *p =
        mmap(NULL, N_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(p, MAP_FAILED);
    madvise(p, N_PAGES * PAGE, MADV_NOHUGEPAGE);
    return p;
}

/* A host that cannot give pages ahead gives them later: then there is nothing to see. */
static bool can_give_ahead(void)
{
    void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const bool can = madvise(p, PAGE, MADV_POPULATE_WRITE) == 0;

    munmap(p, PAGE);
    return can;
}

static void a_table_is_there_and_zero(void **state)
{
    const size_t bytes = (3 << 20) + 100;
    uint8_t *p = pages_create(bytes);

    (void)state;
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % (2 << 20), 0);
    if (can_give_ahead())
        assert_int_equal(n_backed(p, 3 << 20), (3 << 20) / PAGE);
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(p[i], 0);
    p[bytes - 1] = 1;
    pages_destroy(p, bytes);
}

static void pages_come_before_they_are_filled(void **state)
{
    uint8_t *p = small_pages();
    struct pages_ahead ahead = {0};

    (void)state;
    if (!can_give_ahead())
        skip();
    pages_come(&ahead, p, 0, N_PAGES * PAGE, PAGES_WRITTEN);
    assert_int_equal(n_backed(p, N_PAGES * PAGE), 0);
    pages_come(&ahead, p, 1, N_PAGES * PAGE, PAGES_WRITTEN);
    assert_int_equal(n_backed(p, N_PAGES * PAGE), KIB64 / PAGE);
    pages_come(&ahead, p, KIB64, N_PAGES * PAGE, PAGES_WRITTEN);
    assert_int_equal(n_backed(p, N_PAGES * PAGE), KIB64 / PAGE);
    pages_come(&ahead, p, KIB64 + 1, N_PAGES * PAGE, PAGES_READ);
    assert_int_equal(n_backed(p, N_PAGES * PAGE), 2 * KIB64 / PAGE);
    munmap(p, N_PAGES * PAGE);
}

/* Neither end need be a page's, and nothing behind the range is touched. */
static void a_range_keeps_its_end(void **state)
{
    uint8_t *p = small_pages();
    struct pages_ahead ahead = {0};

    (void)state;
    if (!can_give_ahead())
        skip();
    pages_come(&ahead, p + 2 * PAGE + 100, 10, 2 * PAGE, PAGES_WRITTEN);
    assert_int_equal(n_backed(p, 2 * PAGE), 0);
    assert_int_equal(n_backed(p + 2 * PAGE, 3 * PAGE), 3);
    assert_int_equal(n_backed(p + 5 * PAGE, 4 * PAGE), 0);
    assert_int_equal(ahead.backed, 2 * PAGE);
    pages_come(&ahead, p + 2 * PAGE + 100, 3 * PAGE, 2 * PAGE, PAGES_WRITTEN);
    assert_int_equal(n_backed(p + 5 * PAGE, 4 * PAGE), 0);
    munmap(p, N_PAGES * PAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_there_and_zero),
        cmocka_unit_test(pages_come_before_they_are_filled),
        cmocka_unit_test(a_range_keeps_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
