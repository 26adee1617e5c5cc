/* softmmu: windows: who has one, for how long, and what it may cost. */
#include "tests/lib/toy_windows.h"

#define LARGE             UINT64_C(0x600000)
#define SAME_PLACE_IN_TLB ((uint64_t)TLB_SIZE << 12)

static bool has_window(void)
{
    return mmu_code_mode(t->mmu) != 0;
}

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

static void load_pages(uint64_t len)
{
    for (uint64_t at = 0; at < len; at += 0x1000)
        mmu_load(&t->s, LOW + at, IR_64);
}

/* A space with so much mapped that by its time alone it would have to run for 100 ms. */
static void enter_large(uint64_t key)
{
    toy_add(t, key, LOW, TOY_RAM, LARGE, USER);
    toy_add(t, key, LOW + SAME_PLACE_IN_TLB, GPA, 0x1000, USER);
    enter(key, 0);
    load_pages(LARGE);
    run_for(50);
    assert_false(has_window());
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
    toy_add(t, 1, LOW, TOY_RAM, LARGE, USER);
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

#define A_MS UINT64_C(1000000)

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

#define CODE       UINT64_C(0x7000000)
#define CODE_GPA   (GPA + 0x20000)
#define SAME_PLACE (CODE_GPA ^ 0x101000) /* its account has the same place in the table */

static void enter_running(uint64_t key, uint64_t va)
{
    struct mmu_fault fault;
    uint64_t gpa;

    enter(key, 0);
    t->s.pc = va;
    assert_true(mmu_fetch(t->mmu, va, &gpa, &fault));
}

/* So many pages of it. */
static void add_code(unsigned n)
{
    toy_add(t, 0, CODE, CODE_GPA, n * UINT64_C(0x1000), USER);
}

static void run_pages(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        enter_running(1, CODE + i * UINT64_C(0x1000));
}

#define OF_FOUR ((struct mmu_density){4, 1, 0})

/* An eighth of its time would be saved, where 1/32 is as good a guess where nothing is known. */
static void code_that_reaches_memory_often_gets_one_sooner(void **state)
{
    (void)state;
    add_code(2);
    enter_running(1, CODE);
    run_code(4, OF_FOUR); /* one look or two might hit anything */
    assert_false(has_window());
    run_code(5, OF_FOUR);
    assert_true(has_window());
    enter_running(2, CODE + 0x1000);
    run_for(10);
    assert_false(has_window());
}

static void look_ups_in_the_table_count_for_more(void **state)
{
    (void)state;
    add_code(1);
    enter_running(1, CODE);
    run_code(20, (struct mmu_density){24, 1, 0});
    assert_false(has_window());
    enter_running(2, CODE);
    run_code(20, (struct mmu_density){24, 1, 1});
    assert_true(has_window());
}

static void code_that_reaches_no_memory_gets_none(void **state)
{
    (void)state;
    add_code(1);
    enter_running(1, CODE);
    run_code(10000, (struct mmu_density){10, 0, 0});
    assert_false(has_window());
}

/* A compiler, whose every function is another's. */
static void code_that_is_always_elsewhere_waits_for_itself(void **state)
{
    enum { N = N_CODE + 1 };

    (void)state;
    add_code(N);
    for (unsigned n = N; n >= N - 1; n--) {
        toy_add(t, n, LOW, GPA, LARGE, USER | TOY_DIRTY);
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
    run_pages(200);
    run_code(60, OF_FOUR);
    assert_false(has_window());
    run_code(60, OF_FOUR);
    assert_true(has_window());
}

/* Two looks 10 ms apart, and a window that costs what both are worth, and neither alone. */
static void the_first_look_counts_behind_the_second(void **state)
{
    (void)state;
    add_code(100);
    run_pages(100);
    for (unsigned i = 0; i < 2; i++) {
        assert_false(has_window());
        run_code(10, (struct mmu_density){10, 10, 0});
    }
    assert_true(has_window());
}

/* More accesses than instructions: bytes of a pair, or what a pass has added. */
static void no_code_is_thought_to_save_more_than_a_quarter(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, GPA, LARGE, USER | TOY_DIRTY);
    add_code(1);
    enter_running(1, CODE);
    load_pages(LARGE);
    run_code(8, (struct mmu_density){10, 20, 0});
    assert_false(has_window());
    run_code(12, (struct mmu_density){10, 20, 0});
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

/* ---- Code in which windows have paid
 * ------------------------------------------------------------------ */

/* A process that runs the code for so long that windows have earned some milliseconds there. */
static void earn(void)
{
    add_code(1);
    toy_add(t, 0, CODE + 0x1000, SAME_PLACE, 0x1000, USER);
    toy_add(t, 0, LOW, GPA, 0x20000, USER | TOY_DIRTY);
    enter_running(1, CODE);
    run_for(10);
    assert_false(has_window());
    run_for(400);
    assert_true(has_window());
}

static void where_one_has_paid_the_next_comes_early(void **state)
{
    (void)state;
    earn();
    enter_running(2, CODE + 0x1000);
    run_for(10);
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
    run_for(10);
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
    toy_add(t, 0, FAR, TOY_RAM, LARGE, USER);
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
    assert_int_equal(earned_of(t->mmu, CODE_GPA), 0);
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

static void owe_10_ms(uint64_t gpa)
{
    earned_add(t->mmu, gpa, 1); /* the page has an account */
    earned_add(t->mmu, gpa, -(int64_t)(10 * A_MS));
}

/* What is owed is paid by the next that runs there, before it has a window by its own time. */
static void debts_are_paid_by_those_that_run_for_long_too(void **state)
{
    (void)state;
    add_code(1);
    owe_10_ms(CODE_GPA);
    toy_add(t, 1, LOW, GPA, LARGE, USER | TOY_DIRTY);
    enter_running(1, CODE);
    load_pages(LARGE);
    run_code(100, OF_FOUR);
    assert_false(has_window());
    run_code(40, OF_FOUR);
    assert_true(has_window());
    assert_true(earned_of(t->mmu, CODE_GPA) >= 0);
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
    for (unsigned i = 0; i < 16; i++) {
        enter_running(1, CODE + i % 8 * UINT64_C(0x1000));
        t->mmu->sampled_at = window_clock() - (i < 8 ? 10 * A_MS : A_MS);
        mmu_sample(t->mmu, i < 8 ? 100000 * (i + 1) : 800000, (struct mmu_density){10, 10, 0});
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
    run_for(5);
    assert_false(has_window());
    run_for(25);
    assert_true(has_window());
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
        AUTO(code_that_reaches_no_memory_gets_none),
        AUTO(code_that_is_always_elsewhere_waits_for_itself),
        AUTO(much_code_makes_one_dear),
        AUTO(the_first_look_counts_behind_the_second),
        AUTO(no_code_is_thought_to_save_more_than_a_quarter),
        AUTO(what_was_known_before_promotion_is_forgotten_at_demotion),
        AUTO(without_host_mappings_it_ends_without_harm),
        AUTO(a_window_that_nobody_uses_goes),
        AUTO(where_one_has_paid_the_next_comes_early),
        AUTO(early_ones_cost_no_more_than_was_earned),
        AUTO(early_ones_that_run_on_pay_all_the_same),
        AUTO(none_while_pages_come_one_by_one),
        AUTO(where_one_has_failed_the_next_takes_long),
        AUTO(what_an_early_one_cost_is_paid_when_it_goes),
        AUTO(what_filling_took_is_paid_once),
        AUTO(a_short_one_earns_nothing),
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
        ALWAYS(a_recycled_space_gives_its_window_back),
        ALWAYS(under_stress_a_window_holds_few_pages),
        ALWAYS(many_addresses_one_by_one_leave_little_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
