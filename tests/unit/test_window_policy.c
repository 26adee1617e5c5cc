/* softmmu: windows: who has one, for how long, and what it may cost. */
#include "tests/lib/toy_policy.h"

static void a_space_that_runs_long_is_promoted_with_what_it_knows(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, GPA, 0x1000, USER);
    toy_add(t, 1, FAR, GPA + 0x3000, 0x1000, USER);
    enter(1, 0);
    mmu_store(&t->s, LOW, IR_64, 1);
    mmu_load(&t->s, FAR, IR_64);
    run_for(5);
    assert_false(has_window());
    run_for(100);
    assert_true(has_window());
    assert_int_equal(mmu_stats(t->mmu)->windows_opened, 1);
    assert_true(can_write(LOW));
    assert_true(can_read(FAR) && !can_write(FAR));
}

static void what_the_tables_lose_again_and_again_counts(void **state)
{
    (void)state;
    enter_large(1);
    for (unsigned i = 0; i < 30000; i++) {
        mmu_load(&t->s, LOW, IR_64);
        mmu_load(&t->s, LOW + SAME_PLACE_IN_TLB, IR_64);
    }
    run_for(1);
    assert_true(has_window());
    ws->first->failed = true;
    mmu_sample(t->mmu, 0, unknown_code);
    assert_false(has_window());
    assert_int_equal(t->mmu->slot->n_fills, 0);
}

/* A page that the guest brings in at its first access costs a window more than it costs the tables.
 */
static void pages_that_are_new_do_not_count(void **state)
{
    (void)state;
    enter_large(1);
    struct toy_map *p = toy_add(t, 1, FAR, GPA, 0x1000, 0);

    for (unsigned i = 0; i < 60000; i++) {
        p->flags = 0;
        mmu_fence(t->mmu, false, FAR, true, 0);
        ASSERT_RAISES(t, TOY_PAGE_FAULT + MMU_LOAD, FAR, mmu_load(&t->s, FAR, IR_64));
        p->flags = USER;
        mmu_load(&t->s, FAR, IR_64);
    }
    run_for(1); /* in which all those came */
    run_for(1);
    assert_false(has_window());
}

/* A window is emptied by such a fence, too. */
static void what_a_fence_of_all_took_away_does_not_count(void **state)
{
    (void)state;
    for (uint64_t all_asid = 0; all_asid < 2; all_asid++) {
        enter_large(1 + all_asid);
        for (unsigned i = 0; i < 60; i++) {
            mmu_fence(t->mmu, true, 0, all_asid, 0);
            load_pages(LARGE);
        }
        run_for(1);
        assert_false(has_window());
    }
}

static void fence_and_load(uint64_t len)
{
    mmu_fence(t->mmu, true, 0, false, 0);
    load_pages(len);
}

/* How much is mapped when it is looked at says little of what is mapped between two such fences. */
static void a_space_that_is_fenced_all_the_time_gets_none(void **state)
{
    (void)state;
    enter_large(1);
    for (unsigned i = 0; i < 500; i++) {
        fence_and_load(LARGE);
        fence_and_load(0x1000);
        run_for(1);
        assert_false(has_window());
    }
}

/* Where little is mapped again each time it pays all the same. */
static void a_space_that_is_fenced_now_and_then_gets_one(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, TOY_RAM, LARGE, USER | TOY_SMALL);
    enter(1, 0);
    for (unsigned i = 0; i < 10; i++) {
        fence_and_load(0x80000);
        run_for(9);
    }
    assert_true(has_window());
}

/* Devices and pages of code, which the tables cannot have, nor can a window. */
static void what_the_tables_never_have_does_not_count(void **state)
{
    (void)state;
    toy_add(t, 1, FAR, TOY_DEVICE, 0x1000, USER);
    enter_large(1);
    track_protect(t->track, TOY_RAM);
    t->still_code = true;
    for (unsigned i = 0; i < 60000; i++) {
        mmu_load(&t->s, FAR, 2); /* 32 bits */
        mmu_store(&t->s, LOW, IR_64, i);
    }
    run_for(1);
    assert_false(has_window());
}

/* The next try would end the same way, and fill as much before. */
static void where_host_mappings_were_missing_the_next_takes_long(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, GPA, 0x1000, USER);
    enter(1, 0);
    run_for(100);
    ws->first->failed = true;
    mmu_sample(t->mmu, 0, unknown_code);
    assert_false(has_window());
    run_for(50000);
    assert_false(has_window());
    run_for(20000);
    assert_true(has_window());
}

static void supervisor_time_does_not_count(void **state)
{
    (void)state;
    toy_enter(t, 1, 0);
    run_for(200);
    assert_int_equal(mmu_stats(t->mmu)->windows_opened, 0);
}

/* Harts that share a thread: so long another one runs, as if all before had been earlier. */
static void be_away_for(uint64_t ms)
{
    mmu_pause(t->mmu);
    t->mmu->paused_at -= ms * A_MS;
    t->mmu->sampled_at -= ms * A_MS;
    if (ws->first)
        ws->first->reviewed_at -= ms * A_MS;
    mmu_resume(t->mmu);
}

static void run_and_be_away(uint64_t ran_ms)
{
    t->mmu->sampled_at = window_clock() - ran_ms * A_MS;
    be_away_for(10);
    mmu_sample(t->mmu, 0, unknown_code);
}

static void only_the_time_in_which_the_hart_runs_counts(void **state)
{
    (void)state;
    enter(1, 0);
    for (unsigned i = 0; i < 200; i++)
        run_and_be_away(0);
    assert_false(has_window());
    for (unsigned i = 0; i < 12; i++)
        run_and_be_away(1);
    assert_false(has_window());
    for (unsigned i = 0; i < 12; i++)
        run_and_be_away(1);
    assert_true(has_window());
}

/* The window is in use for so long, of which some goes into changing its mappings. */
static void change_while_in_use(uint64_t ms, uint64_t changes_us)
{
    ws->first->spent += changes_us * 1000;
    ws->first->reviewed_at -= ms * A_MS;
    t->mmu->sampled_at = window_clock() - ms * A_MS;
    mmu_sample(t->mmu, 0, unknown_code);
}

/* 1/32 of the time in which the hart runs, whether it is looked at often or seldom. */
static void changes_may_take_a_part_of_the_time(void **state)
{
    (void)state;
    enter(1, 0);
    run_for(100);
    for (unsigned i = 0; i < 1000; i++) {
        change_while_in_use(1, 31);
        assert_true(has_window());
    }
    change_while_in_use(1000, 30000);
    assert_true(has_window());
    for (unsigned i = 0; i < 1000 && has_window(); i++)
        change_while_in_use(1, 40);
    assert_false(has_window());
}

static void what_passes_while_the_hart_is_away_pays_for_nothing(void **state)
{
    (void)state;
    enter(1, 0);
    run_for(100);
    be_away_for(1000);
    change_while_in_use(1, 10000);
    assert_false(has_window());
}

static void a_new_window_has_no_time_behind_it(void **state)
{
    (void)state;
    enter(1, 0);
    run_for(100);
    change_while_in_use(1, 10000);
    assert_false(has_window());
}

static void time_in_new_code_does_not_count(void **state)
{
    (void)state;
    enter(1, 0);
    for (unsigned i = 0; i < 200; i++) {
        t->mmu->sampled_at = window_clock() - 1000000;
        mmu_sample(t->mmu, UINT64_C(100) * i, unknown_code);
    }
    assert_false(has_window());
}

static void a_space_whose_mappings_change_is_demoted(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, GPA, 0x1000, USER);
    enter(1, 0);
    run_for(100);
    assert_true(has_window());
    for (unsigned i = 0; i < 4000 && has_window(); i++) {
        store_faults(LOW);
        mmu_fence(t->mmu, false, LOW, true, 0);
        mmu_sample(t->mmu, 0, unknown_code);
    }
    assert_false(has_window());
    assert_int_equal(mmu_stats(t->mmu)->windows_closed, 1);
    assert_null(ws->first);
    mmu_store(&t->s, LOW, IR_64, 5); /* goes on by the tables */
    assert_int_equal(toy_peek(t, GPA), 5);
    run_for(100); /* next time it takes longer */
    assert_false(has_window());
    run_for(1000);
    assert_true(has_window());
}

/* An eighth of its time would be saved, where 1/32 is as good a guess where nothing is known. */
static void code_that_reaches_memory_often_gets_one_sooner(void **state)
{
    (void)state;
    add_code(2);
    enter_running(1, CODE);
    run_code(2, OF_FOUR); /* one sample or two might hit anything */
    assert_false(has_window());
    run_code(2, OF_FOUR);
    assert_true(has_window());
    enter_running(2, CODE + 0x1000);
    run_for(7);
    assert_false(has_window());
}

static void look_ups_in_the_table_count_for_more(void **state)
{
    (void)state;
    add_code(1);
    enter_running(1, CODE);
    run_code(10, (struct mmu_density){24, 1, 0, false});
    assert_false(has_window());
    enter_running(2, CODE);
    run_code(10, (struct mmu_density){24, 1, 1, false});
    assert_true(has_window());
}

/* 15 ms, of which 1 or 2.5 would be saved, for a window that costs 2.5. */
static void look_ups_in_a_full_table_count_for_still_more(void **state)
{
    (void)state;
    toy_add(t, 0, LOW, TOY_RAM, LARGE, USER | TOY_SMALL);
    add_code(1);
    for (unsigned key = 1; key <= 2; key++) {
        enter_running(key, CODE);
        load_pages(key == 1 ? 0x3f0000 : 0x410000);
        run_code(15, (struct mmu_density){24, 1, 1, false});
        assert_int_equal(has_window(), key == 2);
    }
}

/* Who runs code of which no page is known pays all. */
static void it_pays_half_where_the_code_is_known(void **state)
{
    (void)state;
    enter(1, 0);
    run_for(10); /* 312 us of 500 */
    assert_false(has_window());
    run_for(10);
    assert_true(has_window());
    add_code(1);
    enter_running(2, CODE);
    run_for(7);
    assert_false(has_window());
    run_for(3);
    assert_true(has_window());
    assert_in_range(-earned_of(t->mmu, CODE_GPA), 150000, 200000); /* it owes the rest */
}

/* 32 leaves in a row, of which a page in each `stride` bytes is loaded. */
static void enter_with_huge_leaves(uint64_t leaf_len, uint64_t stride)
{
    for (unsigned i = 0; i < 32; i++)
        toy_add(t, 0, leaf_len * i, TOY_RAM, leaf_len, USER);
    add_code(1);
    enter_running(1, CODE);
    for (uint64_t at = 0; at < 32 * leaf_len; at += stride)
        mmu_load(&t->s, at, IR_64);
}

/* 64 pieces of 2 MiB, of which each page would be one. */
static void huge_leaves_are_cheap(void **state)
{
    (void)state;
    enter_with_huge_leaves(2 * MIB2, 0x9000);
    run_code(5, OF_FOUR);
    assert_false(has_window());
    run_code(5, OF_FOUR);
    assert_true(has_window());
}

/* 128 pieces, which a table with few places would take for new ones again and again. */
static void far_ones_are_told_apart(void **state)
{
    (void)state;
    enter_with_huge_leaves(4 * MIB2, 0x11000);
    run_code(10, OF_FOUR);
    assert_false(has_window());
    run_code(10, OF_FOUR);
    assert_true(has_window());
}

/* A page of each in turns: none may be counted as 2 MiB again each time. */
static void those_that_have_one_place_are_not_counted_again(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 3; i++)
        toy_add(t, 0, i << 31, TOY_RAM, MIB2, USER);
    add_code(1);
    enter_running(1, CODE);
    for (uint64_t page = 0; page < 512; page++)
        mmu_load(&t->s, (page % 3 << 31) + (page << 12), IR_64);
    run_code(20, OF_FOUR);
    assert_true(has_window());
}

/* Leaves of 64 KiB are mapped page by page. */
static void small_leaves_cost_as_pages_do(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 48; i++)
        toy_add(t, 0, (47 - i) * 0x10000, TOY_RAM + i * 0x10000, 0x10000, USER);
    add_code(1);
    enter_running(1, CODE);
    for (uint64_t at = 0; at < 48 * 0x10000; at += 0x1000)
        mmu_load(&t->s, at, IR_64);
    run_code(5, OF_FOUR);
    assert_false(has_window());
    run_code(10, OF_FOUR);
    assert_true(has_window());
}

/* 20 ms, of which 2.5 would be saved, for a window that costs 3.6. */
static void where_one_has_failed_the_next_pays_all(void **state)
{
    (void)state;
    toy_add(t, 0, LOW, GPA, LARGE, USER | TOY_SMALL);
    add_code(1);
    enter_running(1, CODE);
    load_pages(LARGE);
    t->mmu->slot->need_ns = 20 * A_MS;
    run_code(20, OF_FOUR);
    assert_false(has_window());
    run_code(20, OF_FOUR);
    assert_true(has_window());
}

static void code_that_reaches_no_memory_gets_none(void **state)
{
    (void)state;
    add_code(1);
    enter_running(1, CODE);
    run_code(10000, (struct mmu_density){10, 0, 0, false});
    assert_false(has_window());
}

/* A compiler, whose every function is another's. */
static void code_that_is_always_elsewhere_waits_for_itself(void **state)
{
    enum { N = N_CODE + 1 };

    (void)state;
    add_code(N);
    for (unsigned n = N; n >= N - 1; n--) {
        toy_add(t, n, LOW, GPA, LARGE, USER | TOY_SMALL | TOY_DIRTY);
        enter(n, 0);
        load_pages(LARGE);
        for (unsigned i = 0; i < 40; i++) {
            enter_running(n, CODE + i % n * UINT64_C(0x1000));
            run_code(1, OF_FOUR);
        }
        assert_int_equal(has_window(), n < N);
    }
}

/* What is translated already is translated again, for windows. */
static void much_code_makes_one_dear(void **state)
{
    (void)state;
    add_code(200);
    run_pages(1, 200);
    run_code(200, OF_FOUR);
    assert_false(has_window());
    run_code(70, OF_FOUR);
    assert_true(has_window());
}

static void code_that_is_there_for_windows_costs_nothing(void **state)
{
    (void)state;
    add_code(200);
    run_pages(1, 200);
    for (unsigned i = 0; i < 60; i++) /* half of it */
        run_code(1, (struct mmu_density){4, 1, 0, i % 2});
    assert_false(has_window());
    run_pages(2, 200);
    run_code(20, (struct mmu_density){4, 1, 0, true});
    assert_true(has_window());
    assert_true(t->mmu->slot->n_code == 0 && t->mmu->slot->n_made == 0);
}

static uint64_t sample(struct mmu_density code)
{
    t->mmu->sampled_at = window_clock() - A_MS;
    return mmu_sample(t->mmu, 0, code);
}

/* A space is looked at soon and often while it is new, and ever more seldom. */
static void samples_are_wanted_while_there_is_no_window(void **state)
{
    const struct mmu_density none = {10, 0, 0, false};
    uint64_t last = 0, sum = 0;

    (void)state;
    add_code(1);
    enter_running(1, CODE);
    for (unsigned i = 0; i < 200; i++) {
        const uint64_t ns = sample(none);

        assert_true(ns >= last);
        last = ns;
        sum += i < 9 ? ns : 0;
    }
    assert_int_equal(sum, 8 * A_MS + 2 * A_MS);
    assert_int_equal(last, 10 * A_MS);
    for (unsigned key = 2; key < 200; key++) { /* one of them in its place */
        enter_running(key, CODE);
        t->mmu->space->n_own = 1; /* as one that is used */
        assert_int_equal(sample(none), A_MS);
    }
    run_code(10, OF_FOUR);
    assert_true(has_window());
    assert_int_equal(sample(OF_FOUR), 0);
    toy_enter(t, 1, 0);
    assert_int_equal(sample(OF_FOUR), 0); /* which may have none */
}

/* Now and then: once in a hundred times this is not kept waiting in between. */
static void a_sample_is_wanted_now_and_then(void **state)
{
    bool one_was_not = false;

    (void)state;
    enter(1, 0);
    for (unsigned i = 0; i < 100; i++) {
        sample(unknown_code);
        one_was_not |= !mmu_wants_sample(t->mmu);
    }
    assert_true(one_was_not);
    t->mmu->sampled_at -= A_MS;
    assert_true(mmu_wants_sample(t->mmu));
}

static void a_sample_is_wanted_at_once_where_a_window_has_to_go(void **state)
{
    bool one_was_not = false;

    (void)state;
    enter(1, 0);
    run_for(100);
    assert_true(has_window());
    for (unsigned i = 0; i < 100; i++) {
        sample(unknown_code);
        window_sample_soon(t->mmu);
        one_was_not |= !mmu_wants_sample(t->mmu);
    }
    assert_true(one_was_not);
    ws->first->failed = true;
    t->mmu->sampled_at = window_clock();
    window_sample_soon(t->mmu);
    assert_true(mmu_wants_sample(t->mmu));
    sample(unknown_code);
    assert_false(t->mmu->sample_soon);
}

static void none_is_wanted_where_all_have_one(void **state)
{
    (void)state;
    enter(1, 0);
    assert_int_equal(sample(unknown_code), 0);
    ws->first->failed = true;
    assert_int_equal(sample(unknown_code), 0);
    assert_false(has_window());
}

/* Two looks 10 ms apart, and a window that costs what both are worth, and neither alone. */
static void the_first_look_counts_behind_the_second(void **state)
{
    (void)state;
    add_code(77);
    run_pages(1, 77);
    for (unsigned i = 0; i < 2; i++) {
        assert_false(has_window());
        run_code(10, (struct mmu_density){10, 10, 0, false});
    }
    assert_true(has_window());
}

/* More accesses than instructions: bytes of a pair, or what a pass has added. */
static void no_code_is_thought_to_save_more_than_a_quarter(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, GPA, LARGE, USER | TOY_SMALL | TOY_DIRTY);
    add_code(1);
    enter_running(1, CODE);
    load_pages(LARGE);
    run_code(6, (struct mmu_density){10, 20, 0, false});
    assert_false(has_window());
    run_code(12, (struct mmu_density){10, 20, 0, false});
    assert_true(has_window());
}

static void what_was_known_before_promotion_is_forgotten_at_demotion(void **state)
{
    struct toy_map *p = toy_add(t, 1, LOW, GPA, 0x1000, USER);

    (void)state;
    enter(1, 0);
    mmu_store(&t->s, LOW, IR_64, 1);
    run_for(100);
    assert_true(has_window());
    p->gpa = GPA + 0x1000;
    mmu_fence(t->mmu, false, LOW, true, 0);
    ws->first->failed = true;
    mmu_sample(t->mmu, 0, unknown_code);
    assert_false(has_window());
    mmu_store(&t->s, LOW, IR_64, 2);
    assert_int_equal(toy_peek(t, GPA), 1);
    assert_int_equal(toy_peek(t, GPA + 0x1000), 2);
}

static void without_host_mappings_it_ends_without_harm(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, GPA, 0x1000, USER);
    enter(1, 0);
    run_for(100);
    ws->stats.mappings = 1 << 20; /* as if others had taken all */
    assert_true(has_window());
    mmu_fence(t->mmu, false, LOW, true, 0);
    store_faults(LOW);
    assert_true(ws->first->failed);
    assert_false(can_read(LOW));
    assert_int_equal(store_faults(LOW), WINDOW_REFUSED);
    ws->stats.mappings -= (1 << 20) - ws->first->pieces;
    mmu_sample(t->mmu, 0, unknown_code);
    assert_false(has_window());
}

static void a_window_that_nobody_uses_goes(void **state)
{
    (void)state;
    enter(1, 0);
    run_for(100);
    assert_non_null(ws->first);
    toy_enter(t, 3, 0);
    for (unsigned i = 0; i < 2 * t->mmu->n_spaces; i++)
        mmu_sample(t->mmu, 0, unknown_code);
    assert_non_null(ws->first);
    ws->first->idle_from -= UINT64_C(20000000000);
    for (unsigned i = 0; i < 2 * t->mmu->n_spaces; i++)
        mmu_sample(t->mmu, 0, unknown_code);
    assert_null(ws->first);
}

/* ---- Many of them -------------------------------------------------------------------------- */

static void a_recycled_space_gives_its_window_back(void **state)
{
    (void)state;
    for (uint64_t key = 1; key < 200; key++)
        enter(key, 0);
    assert_true(ws->stats.open <= 64 && ws->stats.open > 32);
    assert_int_equal(t->mmu->stats.windows_opened - t->mmu->stats.windows_closed, ws->stats.open);
}

static void under_stress_a_window_holds_few_pages(void **state)
{
    (void)state;
    mmu_stress(t->mmu);
    for (uint64_t at = 0; at < 0x10000; at += 0x1000)
        toy_add(t, 1, LOW + at, GPA + at, 0x1000, USER | TOY_DIRTY);
    enter(1, 0);
    for (unsigned i = 0; i < 16; i++) {
        assert_int_equal(load_faults(LOW + 0x1000 * i), WINDOW_MAPPED);
        assert_true(can_read(LOW + 0x1000 * i));
    }
    assert_false(can_read(LOW) || can_read(LOW + 0x1000));
    assert_int_equal(t->mmu->slot->window->n_pages, N_RECENT);
}

/* Each 4 MiB that were touched cost 4 KiB of the host's, also when each page goes by a fence of its
 * own. */
static void many_addresses_one_by_one_leave_little_behind(void **state)
{
    (void)state;
    enter(1, 0);
    struct window *w = t->mmu->slot->window;

    for (uint64_t i = 0; i < 5000; i++) {
        assert_true(window_map(w, i << 22, GPA, 1, false, PAGE_SIZE));
        assert_true(can_read(i << 22));
        window_drop_page(w, i << 22);
        assert_in_range(w->n_used, 1, 1025);
    }
}

int main(void)
{
#define ALWAYS(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define AUTO(f)   cmocka_unit_test_setup_teardown(f, setup_auto, teardown)
    const struct CMUnitTest tests[] = {
        AUTO(a_space_that_runs_long_is_promoted_with_what_it_knows),
        AUTO(what_the_tables_lose_again_and_again_counts),
        AUTO(pages_that_are_new_do_not_count),
        AUTO(what_a_fence_of_all_took_away_does_not_count),
        AUTO(a_space_that_is_fenced_all_the_time_gets_none),
        AUTO(a_space_that_is_fenced_now_and_then_gets_one),
        AUTO(what_the_tables_never_have_does_not_count),
        AUTO(where_host_mappings_were_missing_the_next_takes_long),
        AUTO(supervisor_time_does_not_count),
        AUTO(only_the_time_in_which_the_hart_runs_counts),
        AUTO(changes_may_take_a_part_of_the_time),
        AUTO(what_passes_while_the_hart_is_away_pays_for_nothing),
        AUTO(a_new_window_has_no_time_behind_it),
        AUTO(time_in_new_code_does_not_count),
        AUTO(a_space_whose_mappings_change_is_demoted),
        AUTO(code_that_reaches_memory_often_gets_one_sooner),
        AUTO(look_ups_in_the_table_count_for_more),
        AUTO(look_ups_in_a_full_table_count_for_still_more),
        AUTO(it_pays_half_where_the_code_is_known),
        AUTO(huge_leaves_are_cheap),
        AUTO(far_ones_are_told_apart),
        AUTO(those_that_have_one_place_are_not_counted_again),
        AUTO(small_leaves_cost_as_pages_do),
        AUTO(where_one_has_failed_the_next_pays_all),
        AUTO(samples_are_wanted_while_there_is_no_window),
        ALWAYS(none_is_wanted_where_all_have_one),
        AUTO(a_sample_is_wanted_now_and_then),
        AUTO(a_sample_is_wanted_at_once_where_a_window_has_to_go),
        AUTO(code_that_reaches_no_memory_gets_none),
        AUTO(code_that_is_always_elsewhere_waits_for_itself),
        AUTO(much_code_makes_one_dear),
        AUTO(code_that_is_there_for_windows_costs_nothing),
        AUTO(the_first_look_counts_behind_the_second),
        AUTO(no_code_is_thought_to_save_more_than_a_quarter),
        AUTO(what_was_known_before_promotion_is_forgotten_at_demotion),
        AUTO(without_host_mappings_it_ends_without_harm),
        AUTO(a_window_that_nobody_uses_goes),
        ALWAYS(a_recycled_space_gives_its_window_back),
        ALWAYS(under_stress_a_window_holds_few_pages),
        ALWAYS(many_addresses_one_by_one_leave_little_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
