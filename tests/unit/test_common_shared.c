/* softmmu: harts that run in turn on one thread have the kernel's view in common. None finds in it
 * what it could not have walked to itself. */
#include "tests/lib/toy_thread.h"

/* ---- Tables --------------------------------------------------------------------------------- */

static void what_one_has_walked_to_all_find(void **state)
{
    (void)state;
    toy_touch(resume(0), KERNEL);
    for (unsigned k = 1; k < N; k++) {
        unsigned walks = hart[k]->walks;

        assert_true(toy_hits_both(resume(k), KERNEL));
        assert_ptr_equal(hart[k]->s.view, hart[0]->s.view);
        assert_int_equal(hart[k]->walks, walks);
    }
}

static void what_is_not_global_is_its_own(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 2; round++)
        for (unsigned k = 0; k < N; k++) {
            assert_true(toy_hits_none(resume(k), OWN));
            assert_int_equal(mmu_load(&hart[k]->s, OWN, IR_64), 100 + k);
        }
}

/* Nor by a hart that has been in other rights all the time. */
static void it_is_seen_to_when_the_kernel_is_entered(void **state)
{
    (void)state;
    toy_switch(resume(1), 2, 5, TOY_USER, TOY_USER, 0);
    toy_touch(resume(0), OWN);
    resume(1);
    toy_enter(hart[1], 2, 5);
    assert_true(toy_hits_none(hart[1], OWN));
    assert_int_equal(mmu_load(&hart[1]->s, OWN, IR_64), 101);
}

static void who_would_walk_elsewhere_finds_nothing(void **state)
{
    (void)state;
    hart[1]->map[0].gpa = AT(9);
    toy_poke(t, AT(0), 1);
    toy_poke(t, AT(9), 9);
    alike = false;
    assert_int_equal(mmu_load(&resume(0)->s, KERNEL, IR_64), 1);
    alike = true; /* later: it was walked to before */
    assert_true(toy_hits_none(resume(1), KERNEL));
    assert_int_equal(mmu_load(&hart[1]->s, KERNEL, IR_64), 9);
    assert_true(toy_hits_none(resume(2), KERNEL)); /* it was asked, too */
    mmu_load(&resume(1)->s, KERNEL, IR_64);
    assert_true(toy_hits_load(resume(2), KERNEL) && toy_hits_load(resume(1), KERNEL)); /* once */
}

static void who_has_no_page_table_finds_nothing(void **state)
{
    (void)state;
    toy_switch(resume(1), 0, 0, TOY_SUPER, TOY_SUPER, 0);
    toy_touch(resume(0), KERNEL);
    toy_enter(resume(1), 2, 5);
    assert_true(toy_hits_none(hart[1], KERNEL));
    toy_touch(hart[1], KERNEL);
    assert_true(toy_hits_both(resume(2), KERNEL) && toy_hits_both(resume(0), KERNEL));
}

static void nor_who_has_another_protection(void **state)
{
    (void)state;
    protection[1] = 7;
    mmu_flush_all(hart[1]->mmu);
    toy_touch(resume(0), KERNEL);
    assert_true(toy_hits_both(resume(2), KERNEL));
    assert_true(toy_hits_none(resume(1), KERNEL));
    toy_touch(hart[1], KERNEL);
    assert_true(toy_hits_none(resume(0), KERNEL));
}

/* A guest that does not say how its walks begin shares nothing. */
static void nobody_answers(void **state)
{
    (void)state;
    shared_kernel.walks_alike = NULL;
    toy_touch(resume(0), KERNEL);
    assert_true(toy_hits_none(resume(1), KERNEL));
}

/* ---- Fences --------------------------------------------------------------------------------- */

static void a_fence_of_one_is_of_all(void **state)
{
    (void)state;
    for (unsigned by = 0; by < N; by++) {
        toy_touch(resume(0), KERNEL);
        mmu_fence(resume(by)->mmu, false, KERNEL, true, 0);
        for (unsigned k = 0; k < N; k++)
            assert_true(toy_hits_none(resume(k), KERNEL));
        toy_touch(resume(0), KERNEL);
        mmu_fence(resume(by)->mmu, true, 0, true, 0);
        for (unsigned k = 0; k < N; k++)
            assert_true(toy_hits_none(resume(k), KERNEL));
    }
}

/* That one names the space of another hart, by chance. */
static void a_fence_of_an_asid_leaves_what_is_global(void **state)
{
    (void)state;
    toy_touch(resume(0), KERNEL);
    toy_touch(hart[0], OWN);
    mmu_fence(hart[1]->mmu, false, OWN, false, 5);
    assert_true(toy_hits_both(resume(0), KERNEL) && toy_hits_both(hart[0], OWN));
    mmu_fence(hart[0]->mmu, true, 0, false, 5);
    assert_true(toy_hits_both(resume(0), KERNEL) && toy_hits_none(hart[0], OWN));
    toy_touch(hart[0], OWN);
    mmu_fence(hart[0]->mmu, false, OWN, false, 5);
    assert_true(toy_hits_none(hart[0], OWN));
}

/* ---- Windows -------------------------------------------------------------------------------- */

/* One of them has its window taken away. */
static void give_up_window(unsigned by)
{
    resume(by);
    window_forget(hart[by]->mmu, &t->mmu->common->slot);
    mmu_refresh(hart[by]->mmu);
}

/* And gets another one. */
static void renew_window(unsigned by)
{
    give_up_window(by);
    t->mmu->common->slot.live = false;
    mmu_refresh(hart[by]->mmu);
}

static void one_window_serves_all(void **state)
{
    (void)state;
    assert_int_equal(kernel_window()->share, ws->pieces_of_common);
    assert_true(ws->pieces_of_common > ws->pieces_of_one);
    load_in_window(0, KERNEL);
    for (unsigned k = 0; k < N; k++)
        assert_true(is_mapped_for(k, KERNEL));
    assert_int_equal(ws->stats.open, 1);
    t = hart[0];
}

static void but_not_who_would_walk_elsewhere(void **state)
{
    (void)state;
    alike = false;
    hart[1]->map[0].gpa = AT(9);
    load_in_window(0, KERNEL);
    assert_true(is_mapped_for(2, KERNEL)); /* who finds by its own walk that it is the same */
    assert_false(is_mapped_for(1, KERNEL));
    load_in_window(1, KERNEL);
    assert_false(is_mapped_for(0, KERNEL));
    t = hart[0];
}

/* After a fence of all the hart that has made it finds in the window what it walks to now: so do
 * the others then, whatever they would walk to. */
static void after_a_fence_it_keeps_what_that_hart_walks_to(void **state)
{
    (void)state;
    load_in_window(0, KERNEL);
    mmu_fence(hart[1]->mmu, true, 0, true, 0);
    assert_true(is_mapped_for(0, KERNEL));
    alike = false;
    mmu_fence(hart[1]->mmu, true, 0, true, 0);
    assert_true(is_mapped_for(0, KERNEL) && is_mapped_for(2, KERNEL));
    toy_switch(hart[1], 2, 5, TOY_USER, TOY_USER, 0);
    hart[1]->map[0].gpa = AT(9);
    mmu_fence(hart[1]->mmu, true, 0, true, 0);
    assert_true(is_mapped_for(0, KERNEL));
    toy_enter(hart[1], 2, 5);
    assert_false(is_mapped_for(0, KERNEL));
    t = hart[0];
}

/* Another page table's entry changes between the walk that the tables were filled by and the look
 * by which the page is mapped. */
static void what_is_mapped_at_a_fault_may_be_foreign(void **state)
{
    (void)state;
    resume(0);
    looks_left = 2; /* the first is before the walk */
    load_faults(KERNEL);
    assert_int_equal(looks_left, 0);
    assert_true(is_mapped_for(0, KERNEL));
    assert_false(is_mapped_for(1, KERNEL));
    t = hart[0];
}

/* What the window is filled with, when it is given anew, was walked to when it is filled. */
static void what_it_is_filled_with_may_be_foreign(void **state)
{
    (void)state;
    give_up_window(0);
    assert_null(t->mmu->common->slot.window);
    toy_touch(resume(0), KERNEL);
    alike = false;
    hart[0]->map[0].gpa = AT(9);
    t->mmu->common->slot.n_fills += 100000;
    run_for(400);
    assert_non_null(t->mmu->common->slot.window);
    assert_true(is_mapped_for(0, KERNEL));
    assert_false(is_mapped_for(1, KERNEL));
    t = hart[0];
}

/* A hart that was in the kernel when its window went. */
static void who_comes_back_finds_it_gone(void **state)
{
    (void)state;
    for (unsigned by = 0; by < N; by++) {
        for (unsigned k = 0; k < N; k++) {
            resume(k);
            assert_int_equal(mmu_code_window(hart[k]->mmu), IR_WINDOW_UPPER);
        }
        renew_window(by);
        for (unsigned k = 0; k < N; k++) {
            resume(k);
            assert_ptr_equal(hart[k]->s.view, t->mmu->common->slot.window->view);
            assert_ptr_equal(hart[k]->mmu->slot, &t->mmu->common->slot);
        }
        assert_int_equal(ws->stats.open, 1);
    }
}

/* Windows are counted where they are, however many harts open and close them. */
static void each_hart_may_have_as_many(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        give_up_window(round % N);
        renew_window((round + 1) % N);
    }
    assert_int_equal(hart[0]->mmu->n_windows, 1);
    assert_int_equal(hart[1]->mmu->n_windows, 0);
    assert_int_equal(hart[2]->mmu->n_windows, 0);
}

/* --stress=table: what each remembers is not in a window that is gone. */
static void under_stress_too(void **state)
{
    (void)state;
    for (unsigned k = 0; k < N; k++)
        mmu_stress(hart[k]->mmu);
    for (unsigned k = 0; k < N; k++) {
        load_in_window(k, KERNEL);
        toy_touch(hart[k], KERNEL);
    }
    t = hart[0];
    renew_window(1);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned k = 0; k < N; k++) {
            mmu_refresh(hart[k]->mmu);
            for (unsigned i = 0; i < 2 * N_RECENT; i++) {
                load_in_window(k, KERNEL);
                mmu_load(&hart[k]->s, OWN, IR_64);
            }
        }
    t = hart[0];
}

/* A kernel without global pages gives the common view up: that of all. */
static void it_is_given_up_by_all(void **state)
{
    void *common = hart[0]->s.view;

    (void)state;
    for (unsigned i = 0; i < 4 * COMMON_TRIAL; i++)
        mmu_load(&resume(i % N)->s, OWN, IR_64);
    for (unsigned k = 0; k < N; k++) {
        assert_ptr_not_equal(resume(k)->s.view, common);
        assert_int_equal(mmu_load(&hart[k]->s, OWN, IR_64), 100 + k);
    }
    assert_ptr_not_equal(hart[1]->s.view, hart[2]->s.view);
}

int main(void)
{
#define TEST(f, b) cmocka_unit_test_setup_teardown(f, b, end_harts)
#define LAST(f, b) cmocka_unit_test_setup_teardown(f, b, end_harts_owner_last)
    const struct CMUnitTest tests[] = {
        TEST(what_one_has_walked_to_all_find, begin_tables),
        TEST(what_is_not_global_is_its_own, begin_tables),
        TEST(it_is_seen_to_when_the_kernel_is_entered, begin_tables),
        TEST(who_would_walk_elsewhere_finds_nothing, begin_tables),
        TEST(who_has_no_page_table_finds_nothing, begin_tables),
        TEST(nor_who_has_another_protection, begin_tables),
        TEST(nobody_answers, begin_tables),
        TEST(a_fence_of_one_is_of_all, begin_tables),
        TEST(a_fence_of_an_asid_leaves_what_is_global, begin_tables),
        TEST(one_window_serves_all, begin_windows),
        TEST(but_not_who_would_walk_elsewhere, begin_windows),
        TEST(after_a_fence_it_keeps_what_that_hart_walks_to, begin_windows),
        TEST(what_is_mapped_at_a_fault_may_be_foreign, begin_windows),
        TEST(what_it_is_filled_with_may_be_foreign, begin_auto),
        TEST(who_comes_back_finds_it_gone, begin_windows),
        LAST(who_comes_back_finds_it_gone, begin_windows),
        TEST(each_hart_may_have_as_many, begin_windows),
        LAST(each_hart_may_have_as_many, begin_windows),
        TEST(under_stress_too, begin_windows),
        LAST(under_stress_too, begin_windows),
        TEST(it_is_given_up_by_all, begin_tables),
        LAST(it_is_given_up_by_all, begin_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
