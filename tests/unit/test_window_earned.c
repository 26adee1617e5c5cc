/* softmmu: windows: what they have earned and cost in a page of code, and who may have one for
 * that. */
#include "tests/lib/toy_policy.h"

/* A process that runs the code for so long that windows have earned some milliseconds there. */
static void earn(void)
{
    add_code(1);
    toy_add(t, 0, CODE + 0x1000, SAME_PLACE, 0x1000, USER);
    toy_add(t, 0, LOW, GPA, 0x20000, USER | TOY_DIRTY);
    enter_running(1, CODE);
    run_for(5);
    assert_false(has_window());
    run_for(405);
    assert_true(has_window());
}

static void where_one_has_paid_the_next_comes_early(void **state)
{
    (void)state;
    earn();
    enter_running(2, CODE + 0x1000);
    run_for(5);
    assert_false(has_window());
    enter_running(3, CODE);
    run_for(1);
    assert_true(has_window());
    assert_int_equal(load_faults(LOW), WINDOW_MAPPED);
}

/* Behind earn(): a row of processes, each for n samples. The first have a window, and there are at
 * most so many. */
static void run_a_row(unsigned n, unsigned most)
{
    for (uint64_t key = 2; key < 100; key++) {
        enter_running(key, CODE);
        run_for(n);
        assert_true(key > 10 || has_window());
    }
    assert_false(has_window());
    assert_in_range(mmu_stats(t->mmu)->windows_opened, 10, most);
}

static void early_ones_cost_no_more_than_was_earned(void **state)
{
    (void)state;
    earn();
    run_a_row(1, 30);
}

/* Also when it is looked at again before its process ends: to open it and to close it was paid for,
 * though it is not in what filling it took. */
static void early_ones_that_run_on_pay_all_the_same(void **state)
{
    (void)state;
    earn();
    run_a_row(2, 40);
}

static void touch_new_pages(void)
{
    const uint64_t pc = t->s.pc;

    for (uint64_t at = 0; at < 0x20000; at += 0x1000)
        ASSERT_RAISES(t, TOY_PAGE_FAULT + MMU_LOAD, FAR + at, mmu_load(&t->s, FAR + at, IR_64));
    t->s.pc = pc;
}

static void none_while_pages_come_one_by_one(void **state)
{
    (void)state;
    earn();
    enter_running(2, CODE);
    touch_new_pages();
    run_for(1);
    assert_false(has_window());
    run_for(1);
    assert_true(has_window());
    enter_running(3, CODE + 0x1000);
    for (unsigned i = 0; i < 200; i++) {
        touch_new_pages();
        run_for(1);
    }
    assert_false(has_window());
    run_for(1);
    assert_true(has_window());
}

static void where_one_has_failed_the_next_takes_long(void **state)
{
    (void)state;
    earn();
    ws->first->failed = true;
    mmu_sample(t->mmu, 0, unknown_code);
    assert_false(has_window());
    assert_int_equal(earned_of(t->mmu, CODE_GPA), 0);
    enter_running(2, CODE);
    run_for(5);
    assert_false(has_window());
}

/* What the mappings of an early one cost is paid from what was earned, also when its process ends
 * before anybody has looked. */
static void what_an_early_one_cost_is_paid_when_it_goes(void **state)
{
    (void)state;
    earn();
    enter_running(2, CODE);
    run_for(1);
    assert_true(has_window());
    atomic_fetch_add(&t->mmu->slot->window->spent, 1000000000);
    for (uint64_t key = 3; key < 100; key++) {
        enter(key, 0);
        t->mmu->space->n_own = 1; /* as one that is used */
    }
    enter_running(100, CODE);
    run_for(1);
    assert_false(has_window());
}

/* Each second page, so that each is a piece of its own. */
static void load_pieces(void)
{
    toy_add(t, 0, FAR, TOY_RAM, LARGE, USER | TOY_SMALL);
    for (uint64_t at = 0; at < LARGE; at += 0x2000)
        mmu_load(&t->s, FAR + at, IR_64);
}

static int64_t earned_in_a_sample(void)
{
    int64_t before = earned_of(t->mmu, CODE_GPA);

    run_for(1);
    return earned_of(t->mmu, CODE_GPA) - before;
}

static void run_pieces_until_promoted(void)
{
    add_code(1);
    enter_running(1, CODE);
    load_pieces();
    for (unsigned i = 0; i < 1000 && !has_window(); i++)
        run_for(1);
    assert_true(has_window());
}

/* Filling it is in what was paid for it: it takes nothing more from what the code has earned, and
 * what it took less than was feared gives nothing back. */
static void what_filling_took_is_paid_once(void **state)
{
    const int64_t at_most = INT64_C(10000000) / 32; /* a sample is of 10 ms, or less */

    (void)state;
    run_pieces_until_promoted();
    assert_in_range(earned_in_a_sample(), 1, at_most);
    run_for(400);
    enter_running(2, CODE);
    load_pieces();
    run_for(1);
    assert_true(has_window()); /* an early one */
    assert_in_range(earned_in_a_sample(), 1, at_most);
}

/* One that goes before it was looked at has earned nothing, least of all for code nobody knows. */
static void a_short_one_earns_nothing(void **state)
{
    (void)state;
    run_pieces_until_promoted();
    for (uint64_t key = 2; key < 200; key++) {
        enter(key, 0);
        t->mmu->space->n_own = 1; /* as one that is used */
    }
    assert_int_equal(mmu_stats(t->mmu)->windows_closed, 1);
    assert_int_equal(earned_of(t->mmu, 0), 0);
    assert_in_range(-earned_of(t->mmu, CODE_GPA), 1, 10 * A_MS); /* it was lent something */
}

/* Two that end when they have just got their windows: the second pays what the first was lent. */
static void what_was_lent_is_paid_by_the_next(void **state)
{
    unsigned n_samples[2] = {0};

    (void)state;
    add_code(1);
    toy_add(t, 0, LOW, GPA, LARGE, USER | TOY_SMALL);
    for (unsigned k = 0; k < 2; k++) {
        enter_running(1 + k, CODE);
        for (load_pages(LARGE); !has_window() && n_samples[k] < 100; n_samples[k]++)
            run_code(10, OF_FOUR);
    }
    assert_int_equal(n_samples[0], 2);
    assert_int_equal(n_samples[1], 3);
}

static void owe_10_ms(uint64_t gpa)
{
    earned_add(t->mmu, gpa, 1); /* the page has an account */
    earned_add(t->mmu, gpa, -(int64_t)(10 * A_MS));
}

/* Nor is a page lent anything that owes something, by whose saving ever it would be. */
static void who_owes_is_lent_nothing(void **state)
{
    (void)state;
    add_code(1);
    owe_10_ms(CODE_GPA);
    enter_running(1, CODE);
    t->mmu->slot->saving_ns = 300000; /* in other code */
    run_code(10, OF_FOUR);
    assert_false(has_window());
    assert_in_range(-earned_of(t->mmu, CODE_GPA), 8 * A_MS, 10 * A_MS);
    t->mmu->slot->saving_ns = 600000;
    run_code(10, OF_FOUR);
    assert_true(has_window());
}

static void a_window_is_for_the_code_that_it_was_given_in(void **state)
{
    (void)state;
    add_code(1);
    enter_running(1, CODE);
    t->mmu->slot->saving_ns = 10 * A_MS; /* so that nothing is lent */
    run_code(10, OF_FOUR);
    assert_true(has_window());
    assert_int_equal(t->mmu->slot->window->for_code, CODE_GPA);
}

/* An account in the other's place is left alone. */
static void loans_open_accounts(void **state)
{
    (void)state;
    assert_true(earned_can_lend(t->mmu, CODE_GPA));
    earned_lend(t->mmu, CODE_GPA, 1000);
    assert_int_equal(earned_of(t->mmu, CODE_GPA), -1000);
    assert_false(earned_can_lend(t->mmu, CODE_GPA) || earned_can_lend(t->mmu, SAME_PLACE));
    earned_lend(t->mmu, SAME_PLACE, 1000);
    assert_int_equal(earned_of(t->mmu, SAME_PLACE), 0);
    assert_int_equal(earned_of(t->mmu, CODE_GPA), -1000);
    earned_add(t->mmu, CODE_GPA, 2000);
    assert_true(earned_can_lend(t->mmu, CODE_GPA));
    assert_false(earned_can_lend(t->mmu, SAME_PLACE));
}

/* More than there was is a debt, which time has to pay before the next comes early. */
static void what_was_overdrawn_is_owed(void **state)
{
    (void)state;
    earn();
    atomic_fetch_add(&t->mmu->slot->window->spent, 25000000);
    mmu_sample(t->mmu, 0, unknown_code);
    assert_false(has_window());
    assert_in_range(-earned_of(t->mmu, CODE_GPA), 1, 25000000);
    for (uint64_t key = 2; key < 20; key++) {
        enter_running(key, CODE);
        run_for(20);
        assert_false(has_window());
    }
}

/* What is owed is paid by the next that runs there, before it has a window by its own time. */
static void debts_are_paid_by_those_that_run_for_long_too(void **state)
{
    (void)state;
    add_code(1);
    owe_10_ms(CODE_GPA);
    toy_add(t, 1, LOW, GPA, LARGE, USER | TOY_SMALL | TOY_DIRTY);
    enter_running(1, CODE);
    load_pages(LARGE);
    run_code(80, OF_FOUR);
    assert_false(has_window());
    run_code(30, OF_FOUR);
    assert_true(has_window());
    assert_in_range(-earned_of(t->mmu, CODE_GPA), 0, 2 * A_MS); /* what it was lent itself */
}

static void debts_are_paid_by_those_without_one(void **state)
{
    (void)state;
    add_code(1);
    owe_10_ms(CODE_GPA);
    for (unsigned key = 1; key <= 14; key++) {
        enter_running(key, CODE);
        run_code(5, OF_FOUR);
        assert_false(has_window());
    }
    assert_in_range(-earned_of(t->mmu, CODE_GPA), 1, 2 * A_MS);
    enter_running(30, CODE);
    run_code(40, OF_FOUR);
    assert_true(has_window());
    assert_true(earned_of(t->mmu, CODE_GPA) >= 0);
}

/* Windows that were given in code of which no page was known. */
static void what_nobody_knows_is_no_debtor(void **state)
{
    (void)state;
    owe_10_ms(0);
    assert_int_equal(earned_of(t->mmu, 0), 0);
    enter(1, 0);
    run_for(40);
    assert_true(has_window());
}

/* Samples that do not count leave nothing for those that do. */
static void new_code_is_not_made_up_for(void **state)
{
    (void)state;
    add_code(8);
    for (unsigned i = 0; i < 12; i++) {
        enter_running(1, CODE + i % 6 * UINT64_C(0x1000));
        t->mmu->sampled_at = window_clock() - (i < 6 ? 10 * A_MS : A_MS);
        mmu_sample(t->mmu, i < 6 ? 100000 * (i + 1) : 600000,
                   (struct mmu_density){10, 10, 0, false});
    }
    assert_in_range(t->mmu->slot->saving_ns, 0, A_MS / 2);
    assert_false(has_window());
}

/* More spaces than there may be windows, in turns, each for long enough to get one at first. */
static void spaces_seldom_take_each_others(void **state)
{
    enum { MAX = 4, N };

    (void)state;
    t->mmu->windows->max_of_hart = MAX;
    add_code(1);
    for (unsigned turn = 0; turn < 4; turn++) {
        for (unsigned key = 1; key <= N; key++) {
            enter_running(key, CODE);
            run_code(20, OF_FOUR);
        }
    }
    assert_in_range(mmu_stats(t->mmu)->windows_opened, N, 2 * N);
}

/* One that fails in other code than it was opened for. */
static void neither_code_has_earned_where_one_has_failed(void **state)
{
    (void)state;
    earn();
    enter_running(2, CODE);
    run_for(1);
    assert_true(has_window());
    const struct window *w = t->mmu->slot->window;

    assert_int_equal(w->for_code, CODE_GPA);
    assert_true(earned_of(t->mmu, CODE_GPA) > 0);
    enter_running(2, CODE + 0x1000);
    atomic_fetch_add(&t->mmu->slot->window->spent, 1000000000);
    mmu_sample(t->mmu, 0, unknown_code);
    assert_false(has_window());
    assert_int_equal(earned_of(t->mmu, CODE_GPA), 0);
}

/* What an early one costs is paid by both: 500 us, of which 300 are there. */
static void the_time_of_the_process_itself_counts(void **state)
{
    (void)state;
    add_code(1);
    earned_add(t->mmu, CODE_GPA, 300000);
    enter_running(1, CODE);
    run_for(5); /* which are 160 us more */
    assert_false(has_window());
    run_for(5);
    assert_true(has_window());
    assert_in_range(earned_of(t->mmu, CODE_GPA), 1, 200000); /* the rest, and what it earns now */
}

static void walks_alone_bring_none_early(void **state)
{
    (void)state;
    add_code(1);
    earned_add(t->mmu, CODE_GPA, 1);
    enter_running(1, CODE);
    t->mmu->slot->n_fills = 100000; /* 6 ms of walks */
    run_for(2);
    assert_false(has_window());
    run_for(10);
    assert_true(has_window());
    assert_int_equal(earned_of(t->mmu, CODE_GPA), 1); /* they pay when it is due */
}

/* What the process pays itself stays in the account. */
static void the_code_lends_what_the_process_lacks(void **state)
{
    (void)state;
    add_code(1);
    enter(1, 0);
    run_for(12); /* 375 us of 500 */
    earned_add(t->mmu, CODE_GPA, 490000);
    enter_running(1, CODE);
    run_for(1);
    assert_true(has_window());
    assert_in_range(earned_of(t->mmu, CODE_GPA), 350000, 480000);
}

/* One that has run for long enough, and has much mapped. */
static void what_was_earned_counts_for_a_large_one(void **state)
{
    (void)state;
    enter_large(1);
    add_code(1);
    enter_running(1, CODE);
    run_for(1);
    assert_false(has_window());
    earned_add(t->mmu, CODE_GPA, 5000000);
    run_for(1);
    assert_true(has_window());
}

int main(void)
{
#define AUTO(f) cmocka_unit_test_setup_teardown(f, setup_auto, teardown)
    const struct CMUnitTest tests[] = {
        AUTO(where_one_has_paid_the_next_comes_early),
        AUTO(early_ones_cost_no_more_than_was_earned),
        AUTO(early_ones_that_run_on_pay_all_the_same),
        AUTO(none_while_pages_come_one_by_one),
        AUTO(where_one_has_failed_the_next_takes_long),
        AUTO(what_an_early_one_cost_is_paid_when_it_goes),
        AUTO(what_filling_took_is_paid_once),
        AUTO(a_short_one_earns_nothing),
        AUTO(what_was_lent_is_paid_by_the_next),
        AUTO(who_owes_is_lent_nothing),
        AUTO(a_window_is_for_the_code_that_it_was_given_in),
        AUTO(loans_open_accounts),
        AUTO(the_time_of_the_process_itself_counts),
        AUTO(walks_alone_bring_none_early),
        AUTO(what_was_overdrawn_is_owed),
        AUTO(debts_are_paid_by_those_that_run_for_long_too),
        AUTO(debts_are_paid_by_those_without_one),
        AUTO(what_nobody_knows_is_no_debtor),
        AUTO(new_code_is_not_made_up_for),
        AUTO(spaces_seldom_take_each_others),
        AUTO(neither_code_has_earned_where_one_has_failed),
        AUTO(the_code_lends_what_the_process_lacks),
        AUTO(what_was_earned_counts_for_a_large_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
