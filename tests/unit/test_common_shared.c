/* softmmu: harts that run in turn on one thread have the kernel's view in common. None finds in it
 * what it could not have walked to itself. */
#include "tests/lib/toy_windows.h"

#define KERNEL UINT64_C(0xffffffff80000000)
#define OWN    UINT64_C(0xffffffff80001000)
#define AT(i)  (TOY_RAM + 0x100000 + UINT64_C(0x1000) * (i))
enum { ALL = TOY_R | TOY_W | TOY_X | TOY_G, N = 3 };

static struct toy *hart[N]; /* [0] is t */
static struct salts *salts;
static bool alike;
static uint8_t protection[N];

static bool walks_alike(struct cpu_state *a, struct cpu_state *b, uint64_t gva)
{
    (void)gva;
    return alike && ((struct toy *)a)->key && ((struct toy *)b)->key;
}

static size_t domain(struct cpu_state *s, uint8_t *out)
{
    for (unsigned k = 0; k < N; k++)
        if (s == &hart[k]->s)
            *out = protection[k];
    return 1;
}

/* The last look finds hart 0's page table changed. */
static unsigned looks_left;

static bool look(struct cpu_state *s, uint64_t gva, enum mmu_access access, uint64_t rights,
                 struct mmu_map *map)
{
    if (looks_left && --looks_left == 0) {
        alike = false;
        hart[0]->map[0].gpa = AT(9);
    }
    return toy_peek_map(s, gva, access, rights, map);
}

static struct mmu_guest shared_kernel;

static struct toy *add_hart(void)
{
    struct toy *o = calloc(1, sizeof *o);

    assert_non_null(o);
    o->mmu = mmu_create(&o->s, &t->phys, t->track, salts, &shared_kernel);
    assert_non_null(o->mmu);
    mmu_share(o->mmu, t->mmu);
    mmu_set_windows(o->mmu, ws);
    return o;
}

static int begin_harts(enum window_policy policy)
{
    assert_int_equal(pipe(pipe_fd), 0);
    shared_kernel = toy_kernel;
    shared_kernel.walks_alike = walks_alike;
    shared_kernel.domain = domain;
    shared_kernel.peek = look;
    looks_left = 0;
    alike = true;
    memset(protection, 0, sizeof protection);
    salts = salts_create(N);
    hart[0] = t = toy_create_sharing(salts, &shared_kernel);
    ws = windows_create(&t->phys, t->track, policy, N, 1);
    mmu_set_windows(t->mmu, ws);
    for (unsigned k = 1; k < N; k++)
        hart[k] = add_hart();
    for (unsigned k = 0; k < N; k++) {
        toy_add(hart[k], 0, KERNEL, AT(0), 0x1000, ALL);
        toy_add(hart[k], 0, OWN, AT(1 + k), 0x1000, TOY_R | TOY_W);
        toy_poke(t, AT(1 + k), 100 + k);
        toy_enter(hart[k], 1 + k, 5);
    }
    return 0;
}

static int begin_tables(void **state)
{
    (void)state;
    return begin_harts(WINDOWS_OFF);
}

static int begin_auto(void **state)
{
    (void)state;
    return begin_harts(WINDOWS_AUTO);
}

static int begin_windows(void **state)
{
    (void)state;
    return begin_harts(WINDOWS_ALWAYS);
}

/* Whose view it is goes first, or last. */
static int end_harts_from(unsigned first)
{
    struct toy *owner = hart[0];

    for (unsigned i = 0; i < N; i++) {
        unsigned k = (first + i) % N;

        mmu_destroy(hart[k]->mmu);
        if (k)
            free(hart[k]);
    }
    windows_destroy(ws);
    track_destroy(owner->track);
    phys_fini(&owner->phys);
    free(owner);
    salts_destroy(salts);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
    return 0;
}

static int end_harts(void **state)
{
    (void)state;
    return end_harts_from(0);
}

static int end_harts_owner_last(void **state)
{
    (void)state;
    return end_harts_from(1);
}

/* Its turn comes. */
static struct toy *resume(unsigned k)
{
    mmu_resume(hart[k]->mmu);
    return hart[k];
}

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

static uint64_t load_in_window(unsigned k, uint64_t va)
{
    t = resume(k);
    load_faults(va);
    return mmu_load(&t->s, va, IR_64);
}

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

static bool is_mapped_for(unsigned k, uint64_t va)
{
    t = resume(k);
    return can_read(va);
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
        TEST(what_a_fence_has_emptied_another_takes, begin_tables),
        LAST(what_a_fence_has_emptied_another_takes, begin_tables),
        TEST(nobody_elses, begin_tables),
        TEST(what_was_earned_stays, begin_tables),
        TEST(without_a_common_view_each_keeps_its_own, begin_tables),
        TEST(there_is_room_for_all, begin_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
