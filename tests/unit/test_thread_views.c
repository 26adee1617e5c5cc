/* softmmu: harts that run in turn on one thread, of which each fences for itself: whose memory a
 * view has, and when what another one has walked to serves. */
#include "tests/lib/toy_thread.h"

/* ---- Memory for views ----------------------------------------------------------------------- */

/* Hart k in user rights, with a page of its own. */
static void enter_user(unsigned k)
{
    toy_switch(resume(k), 1 + k, 5 + k, TOY_USER, TOY_USER, 0);
}

static void add_user_pages(void)
{
    for (unsigned k = 0; k < N; k++)
        toy_add(hart[k], 1 + k, LOW, AT(1 + k), 0x1000, TOY_R | TOY_W | TOY_U);
}

/* As a kernel fences when a process ends: its view is not in force. */
static void fence_own(unsigned k)
{
    toy_switch(hart[k], 1 + k, 5 + k, TOY_SUPER, TOY_SUPER, 0);
    mmu_fence(hart[k]->mmu, true, 0, false, 5 + k);
}

static void what_a_fence_has_emptied_another_takes(void **state)
{
    const void *first;

    (void)state;
    add_user_pages();
    enter_user(1);
    assert_int_equal(mmu_load(&hart[1]->s, LOW, IR_64), 101);
    first = hart[1]->s.view;
    fence_own(1);
    enter_user(2);
    assert_ptr_equal(hart[2]->s.view, first);
    assert_true(toy_hits_none(hart[2], LOW));
    assert_int_equal(mmu_load(&hart[2]->s, LOW, IR_64), 102);
    enter_user(1);
    assert_ptr_not_equal(hart[1]->s.view, first);
    assert_true(toy_hits_none(hart[1], LOW));
    assert_int_equal(mmu_load(&hart[1]->s, LOW, IR_64), 101);
    enter_user(2);
    assert_int_equal(mmu_load(&hart[2]->s, LOW, IR_64), 102);
}

/* Who takes it again finds nothing of those who had it meanwhile. */
static void it_is_taken_empty(void **state)
{
    (void)state;
    add_user_pages();
    for (unsigned k = 1; k < N; k++) {
        enter_user(k);
        toy_touch(hart[k], LOW);
    }
    const void *of_2 = hart[2]->s.view;

    fence_own(1);
    resume(2);
    fence_own(2);
    enter_user(1);
    assert_ptr_equal(hart[1]->s.view, of_2);
    assert_true(toy_hits_none(hart[1], LOW));
}

/* What is in force stays, and what other spaces have. */
static void nobody_elses(void **state)
{
    (void)state;
    add_user_pages();
    for (unsigned k = 1; k < N; k++) {
        enter_user(k);
        toy_touch(hart[k], LOW);
    }
    const void *of_1 = hart[1]->s.view, *of_2 = hart[2]->s.view;

    mmu_fence(resume(1)->mmu, true, 0, false, 6);
    assert_ptr_equal(hart[1]->s.view, of_1);
    assert_true(toy_hits_none(hart[1], LOW));
    mmu_fence(hart[1]->mmu, true, 0, false, 7); /* hart 2's own, which is not fenced */
    assert_ptr_equal(resume(2)->s.view, of_2);
    assert_true(toy_hits_both(hart[2], LOW));
}

/* A space's slot is the same one behind the fence: what it has earned towards a window stays. */
static void what_was_earned_stays(void **state)
{
    (void)state;
    add_user_pages();
    enter_user(1);
    toy_touch(hart[1], LOW);
    struct view_slot *slot = hart[1]->mmu->slot;

    slot->ran_ns = 1234;
    fence_own(1);
    assert_null(slot->view);
    enter_user(1);
    assert_ptr_equal(hart[1]->mmu->slot, slot);
    assert_int_equal(slot->ran_ns, 1234);
}

/* Global pages of a kernel that has no common view are not lost for another space's fence. */
static void without_a_common_view_each_keeps_its_own(void **state)
{
    (void)state;
    add_user_pages();
    hart[0]->mmu->common->is_of_no_use = true;
    enter_user(1);
    toy_touch(hart[1], LOW);
    const void *first = hart[1]->s.view;

    fence_own(1);
    enter_user(2);
    enter_user(1);
    assert_ptr_equal(hart[1]->s.view, first);
    assert_true(toy_hits_none(hart[1], LOW));
}

/* Harts may need all of what each of them would have by itself. */
static void there_is_room_for_all(void **state)
{
    (void)state;
    for (unsigned k = 0; k < N; k++) {
        toy_add(hart[k], 0, LOW, AT(1), 0x1000, TOY_R | TOY_U);
        for (uint64_t key = 1; key < N_SPACES - 1; key++)
            for (uint64_t rights = 0; rights < N_VIEWS; rights++) {
                toy_switch(hart[k], key, 5, rights, rights, 0);
                if (rights == TOY_USER)
                    mmu_load(&hart[k]->s, LOW, IR_64);
            }
    }
    const struct views *v = hart[0]->mmu->views;

    assert_int_equal(v->n_rooms, N);
    assert_true(v->room[N - 1].n_taken > 0);
}

/* ---- Fences of all that all harts make ------------------------------------------------------ */

static void fence_of_all(unsigned k, uint64_t moment)
{
    mmu_fence_since(resume(k)->mmu, moment, true, 0, true, 0);
}

/* Who comes back first has walked behind the fence's stores: that serves the others. */
static void the_first_looks_for_all(void **state)
{
    uint64_t moment;

    (void)state;
    toy_touch(resume(0), KERNEL);
    moment = mmu_moment(hart[0]->mmu);
    fence_of_all(0, moment);
    assert_true(toy_hits_none(hart[0], KERNEL));
    toy_touch(hart[0], KERNEL);
    for (unsigned k = 1; k < N; k++) {
        fence_of_all(k, moment);
        assert_true(toy_hits_both(hart[k], KERNEL));
    }
}

/* But not a fence that came later than that look, be it the hart's own. */
static void a_later_fence_is_another(void **state)
{
    uint64_t moment;

    (void)state;
    moment = mmu_moment(hart[0]->mmu);
    fence_of_all(0, moment);
    toy_touch(hart[0], KERNEL);
    mmu_fence(resume(1)->mmu, true, 0, true, 0);
    assert_true(toy_hits_none(hart[1], KERNEL));
    toy_touch(hart[1], KERNEL);
    moment = mmu_moment(hart[1]->mmu);
    fence_of_all(2, moment);
    assert_true(toy_hits_none(hart[2], KERNEL));
    toy_touch(hart[2], KERNEL);
    fence_of_all(1, moment);
    assert_true(toy_hits_both(hart[1], KERNEL));
}

/* Its own spaces it knows by itself. */
static void of_its_own_nothing_stays(void **state)
{
    (void)state;
    add_user_pages();
    enter_user(1);
    toy_touch(hart[1], LOW);
    const uint64_t moment = mmu_moment(hart[0]->mmu);

    fence_of_all(0, moment);
    fence_of_all(1, moment);
    assert_true(toy_hits_none(hart[1], LOW));
}

/* What the window keeps was walked to anew, so who would walk elsewhere is asked. */
static void who_walks_elsewhere_looks_for_itself(void **state)
{
    (void)state;
    load_in_window(0, KERNEL);
    const uint64_t moment = mmu_moment(hart[0]->mmu);

    alike = false;
    hart[1]->map[0].gpa = AT(9);
    fence_of_all(0, moment);
    assert_true(is_mapped_for(0, KERNEL));
    fence_of_all(1, moment);
    assert_false(is_mapped_for(1, KERNEL));
    t = hart[0];
}

int main(void)
{
#define TEST(f, b) cmocka_unit_test_setup_teardown(f, b, end_harts)
#define LAST(f, b) cmocka_unit_test_setup_teardown(f, b, end_harts_owner_last)
    const struct CMUnitTest tests[] = {
        TEST(what_a_fence_has_emptied_another_takes, begin_tables),
        LAST(what_a_fence_has_emptied_another_takes, begin_tables),
        TEST(it_is_taken_empty, begin_tables),
        TEST(nobody_elses, begin_tables),
        TEST(what_was_earned_stays, begin_tables),
        TEST(without_a_common_view_each_keeps_its_own, begin_tables),
        TEST(there_is_room_for_all, begin_tables),
        TEST(the_first_looks_for_all, begin_tables),
        TEST(a_later_fence_is_another, begin_tables),
        TEST(of_its_own_nothing_stays, begin_tables),
        TEST(who_walks_elsewhere_looks_for_itself, begin_windows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
