/* Which accesses touch little but new pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "runtime/touch.h"

#define AT UINT64_C(0x80001230)

static int begin(void **state)
{
    *state = touches_create();
    return 0;
}

static int end(void **state)
{
    touches_destroy(*state);
    return 0;
}

/* n faults of which the last one says something, and that. */
static void says_after(struct touches *t, uint64_t gpa, unsigned n, enum touch_next next)
{
    for (unsigned i = 1; i < n; i++)
        assert_int_equal(touch_fault(t, gpa), TOUCH_GOES_ON);
    assert_int_equal(touch_fault(t, gpa), next);
}

static void it_is_counted_then_known(void **state)
{
    struct touches *t = *state;

    says_after(t, AT, TOUCH_FAULTS, TOUCH_COUNTS);
    says_after(t, AT, TOUCH_FAULTS, TOUCH_IS_OF_NEW_PAGES);
    says_after(t, AT, TOUCH_FAULTS, TOUCH_COUNTS); /* anew, when it was forgotten */
    says_after(t, AT, TOUCH_FAULTS, TOUCH_IS_OF_NEW_PAGES);
}

static void blocks_that_hold_it_count(void **state)
{
    struct touches *t = *state;

    assert_false(touch_is_counted(t, AT, 4));
    says_after(t, AT, TOUCH_FAULTS, TOUCH_COUNTS);
    assert_true(touch_is_counted(t, AT, 4));
    assert_true(touch_is_counted(t, AT - 0x30, 0x32));
    assert_false(touch_is_counted(t, AT - 0x30, 0x30));
    assert_false(touch_is_counted(t, AT + 2, 64));
    says_after(t, AT, TOUCH_FAULTS, TOUCH_IS_OF_NEW_PAGES);
    assert_false(touch_is_counted(t, AT, 4));
}

/* One of them has run often before: then it takes ever more faults until it is counted again. */
static void what_runs_often_is_not(void **state)
{
    struct touches *t = *state;

    for (unsigned n = TOUCH_FAULTS; n <= 16 * TOUCH_FAULTS; n *= 2) {
        says_after(t, AT, n, TOUCH_COUNTS);
        for (unsigned i = 1; i < TOUCH_FAULTS; i++)
            touch_fault(t, AT);
        touch_ran(t, AT + 4, 100); /* another */
        assert_true(touch_is_counted(t, AT, 4));
        touch_ran(t, AT - 4, 100);
        assert_false(touch_is_counted(t, AT, 4));
    }
    says_after(t, AT, 16 * TOUCH_FAULTS, TOUCH_COUNTS);
    says_after(t, AT, TOUCH_FAULTS, TOUCH_IS_OF_NEW_PAGES);
    says_after(t, AT, TOUCH_FAULTS, TOUCH_COUNTS); /* soon again: it was one */
}

/* More accesses than there are places, each of which faults in turn: none is taken for another. */
static void many_in_turn(void **state)
{
    struct touches *t = *state;
    unsigned n_known = 0;

    for (unsigned round = 0; round < 64; round++)
        for (unsigned i = 0; i < 1000; i++)
            n_known += touch_fault(t, AT + 2 * i) == TOUCH_IS_OF_NEW_PAGES;
    assert_true(n_known <= 1000);
    for (unsigned i = 0; i < 1000; i++)
        touch_ran(t, AT + 2 * i, 2);
    assert_false(touch_is_counted(t, 0, UINT64_MAX));
}

/* One whose place another one takes is not counted any more. */
static void a_place_that_is_taken(void **state)
{
    struct touches *t = *state;

    says_after(t, AT, TOUCH_FAULTS, TOUCH_COUNTS);
    for (unsigned i = 1; i < TOUCH_FAULTS; i++)
        touch_fault(t, AT);
    for (unsigned i = 1; i < 4000; i++)
        touch_fault(t, AT + 2 * i);
    assert_false(touch_is_counted(t, 0, UINT64_MAX));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(it_is_counted_then_known), TEST(blocks_that_hold_it_count),
        TEST(what_runs_often_is_not),   TEST(many_in_turn),
        TEST(a_place_that_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
