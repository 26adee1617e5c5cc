/* runtime/rewrite: where blocks end because code is rewritten again and again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dbt/ir/state.h"
#include "runtime/rewrite.h"

enum { PAGE = 0x80001000 };

static int begin(void **state)
{
    *state = rewrite_create();
    return 0;
}

static int end(void **state)
{
    rewrite_destroy(*state);
    return 0;
}

static void store(struct rewrite *r, uint64_t gpa, uint64_t len_bytes, unsigned times)
{
    while (times-- > 0)
        rewrite_note(r, gpa, len_bytes);
}

static void a_few_times_is_not_often(void **state)
{
    struct rewrite *r = *state;

    store(r, PAGE + 0x40, 4, 7);
    assert_int_equal(rewrite_block_end(r, PAGE), PAGE_SIZE);
    store(r, PAGE + 0x44, 4, 1); /* the same granule */
    assert_int_equal(rewrite_block_end(r, PAGE), 0x40);
    store(r, PAGE + 0x44, 4, 1000);
    assert_int_equal(rewrite_block_end(r, PAGE), 0x40);
}

static void before_in_and_behind_a_place(void **state)
{
    struct rewrite *r = *state;

    store(r, PAGE + 0x40, 4, 8);
    assert_int_equal(rewrite_block_end(r, PAGE + 0x3e), 0x40);
    assert_int_equal(rewrite_block_end(r, PAGE + 0x40), 0x48);
    assert_int_equal(rewrite_block_end(r, PAGE + 0x46), 0x48);
    assert_int_equal(rewrite_block_end(r, PAGE + 0x48), PAGE_SIZE);
    assert_int_equal(rewrite_block_end(r, PAGE + PAGE_SIZE), PAGE_SIZE);
    assert_int_equal(rewrite_block_end(r, PAGE - PAGE_SIZE), PAGE_SIZE);
}

static void places_side_by_side_are_one(void **state)
{
    struct rewrite *r = *state;

    store(r, PAGE + 0x46, 4, 8); /* both sides of 0x48 */
    store(r, PAGE + 0x50, 1, 8);
    assert_int_equal(rewrite_block_end(r, PAGE), 0x40);
    assert_int_equal(rewrite_block_end(r, PAGE + 0x40), 0x58);
    store(r, PAGE + PAGE_SIZE - 1, 1, 8);
    assert_int_equal(rewrite_block_end(r, PAGE + 0x58), PAGE_SIZE - 8);
    assert_int_equal(rewrite_block_end(r, PAGE + PAGE_SIZE - 2), PAGE_SIZE);
}

static void new_code_is_no_place(void **state)
{
    struct rewrite *r = *state;

    store(r, PAGE, 17, 100);
    assert_int_equal(rewrite_block_end(r, PAGE), PAGE_SIZE);
    store(r, PAGE + 8, 16, 8);
    assert_int_equal(rewrite_block_end(r, PAGE), 8);
}

static void a_newer_page_takes_the_place(void **state)
{
    const uint64_t far = UINT64_C(64) * PAGE_SIZE;
    struct rewrite *r = *state;

    store(r, PAGE + 0x40, 4, 8);
    store(r, PAGE + far + 0x80, 4, 7);
    assert_int_equal(rewrite_block_end(r, PAGE), PAGE_SIZE);
    assert_int_equal(rewrite_block_end(r, PAGE + far), PAGE_SIZE);
    store(r, PAGE + far + 0x80, 4, 1);
    assert_int_equal(rewrite_block_end(r, PAGE + far), 0x80);
    assert_int_equal(rewrite_block_end(r, PAGE), PAGE_SIZE);
}

/* Translates n blocks elsewhere. */
static void translate(struct rewrite *r, unsigned n)
{
    while (n-- > 0)
        rewrite_block_end(r, PAGE + PAGE_SIZE);
}

static void a_place_at_rest_is_forgotten(void **state)
{
    struct rewrite *r = *state;

    store(r, PAGE + 0x40, 4, 1000);
    translate(r, 1000);
    assert_int_equal(rewrite_block_end(r, PAGE), 0x40);
    translate(r, 2 * 1024);
    assert_int_equal(rewrite_block_end(r, PAGE), PAGE_SIZE);
    store(r, PAGE + 0x40, 4, 8); /* it can become one again */
    assert_int_equal(rewrite_block_end(r, PAGE), 0x40);
    translate(r, 100 * 1024);
    store(r, PAGE + 0x40, 4, 7); /* all of what was before is forgotten */
    assert_int_equal(rewrite_block_end(r, PAGE), PAGE_SIZE);
}

static void a_place_that_stays_is_kept(void **state)
{
    struct rewrite *r = *state;

    store(r, PAGE + 0x40, 4, 16);
    for (unsigned n = 0; n < 1000; n++) {
        assert_int_equal(rewrite_block_end(r, PAGE), 0x40);
        translate(r, 99);
        store(r, PAGE + 0x40, 4, 1);
    }
}

/* Code that is replaced by other code, page by page: each time a store to every third granule drops
 * a block, and what stands there then is translated. */
static void new_code_over_and_over_is_no_place(void **state)
{
    struct rewrite *r = *state;

    for (unsigned n = 0; n < 1000; n++) {
        for (uint64_t at = n % 3 * 8; at < PAGE_SIZE; at += 3 * 8)
            store(r, PAGE + at, 8, 1);
        for (uint64_t at = 0; at < PAGE_SIZE; at += 3 * 8)
            assert_int_equal(rewrite_block_end(r, PAGE + at), PAGE_SIZE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_few_times_is_not_often, begin, end),
        cmocka_unit_test_setup_teardown(before_in_and_behind_a_place, begin, end),
        cmocka_unit_test_setup_teardown(places_side_by_side_are_one, begin, end),
        cmocka_unit_test_setup_teardown(new_code_is_no_place, begin, end),
        cmocka_unit_test_setup_teardown(a_newer_page_takes_the_place, begin, end),
        cmocka_unit_test_setup_teardown(a_place_at_rest_is_forgotten, begin, end),
        cmocka_unit_test_setup_teardown(a_place_that_stays_is_kept, begin, end),
        cmocka_unit_test_setup_teardown(new_code_over_and_over_is_no_place, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
