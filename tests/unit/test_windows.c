/* softmmu: windows: what is mapped in one, and what takes it away. */
#include "tests/lib/toy_windows.h"

static void a_page_is_mapped_when_it_is_asked_for(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, GPA, 0x1000, USER);
    enter(1, 0);
    assert_int_equal(mmu_code_mode(t->mmu), IR_MODE_WINDOW);
    assert_false(can_read(LOW));
    assert_int_equal(store_faults(LOW + 8), WINDOW_UPDATED);
    assert_true(can_write(LOW));
    toy_poke(t, GPA + 8, 0x1234);
    assert_int_equal(*(uint64_t *)(void *)host(LOW + 8), 0x1234);
    *(uint64_t *)(void *)host(LOW + 16) = 99;
    assert_int_equal(toy_peek(t, GPA + 16), 99);
    assert_false(can_read(LOW + 0x1000));
    assert_false(can_read(LOW - 0x1000));
}

static void only_user_rights_have_one(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, GPA, 0x1000, USER);
    toy_switch(t, 1, 0, TOY_SUM, TOY_SUPER, 0);
    assert_int_equal(mmu_code_mode(t->mmu), 0);
    assert_int_equal(((struct mmu_view *)t->s.view)->window_limit, 0);
    enter(0, 0);
    assert_int_equal(mmu_code_mode(t->mmu), 0);
}

static void the_salt_says_whether_there_is_one(void **state)
{
    uint64_t with;

    (void)state;
    enter(1, 0);
    with = t->s.salt[0];
    t->mmu->windows = NULL;
    window_forget(t->mmu, t->mmu->slot);
    mmu_refresh(t->mmu);
    assert_int_equal(mmu_code_mode(t->mmu), 0);
    assert_int_not_equal(t->s.salt[0], with);
}

static void a_clean_page_is_read_only(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, GPA, 0x1000, USER);
    enter(1, 0);
    assert_int_equal(load_faults(LOW), WINDOW_MAPPED);
    assert_true(can_read(LOW));
    assert_false(can_write(LOW));
    assert_int_equal(store_faults(LOW), WINDOW_UPDATED); /* sets D */
    assert_true(can_write(LOW));
}

static void what_the_guest_forbids_is_its_own_fault(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, GPA, 0x1000, TOY_R | TOY_U);
    toy_add(t, 1, LOW + 0x1000, GPA + 0x1000, 0x1000, TOY_R | TOY_W);
    enter(1, 0);
    assert_int_equal(store_faults(LOW), WINDOW_GUEST);
    assert_int_equal(load_faults(LOW + 0x1000), WINDOW_GUEST);
    assert_int_equal(load_faults(LOW + 0x9000), WINDOW_GUEST);
    assert_int_equal(load_faults(LOW), WINDOW_MAPPED);
    assert_false(can_write(LOW));
    assert_false(can_read(LOW + 0x1000));
}

static void devices_and_parts_of_pages_are_not_mapped(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, TOY_DEVICE, 0x1000, USER);
    toy_add(t, 1, LOW + 0x1000, GPA, 0x1000, USER);
    t->forbidden = GPA + 0x800;
    t->forbidden_len = 8;
    t->forbidden_access = 1 << MMU_LOAD | 1 << MMU_STORE;
    enter(1, 0);
    assert_int_equal(load_faults(LOW), WINDOW_DEVICE);
    assert_int_equal(load_faults(LOW + 0x1000), WINDOW_PART);
    assert_int_equal(load_faults(LOW + 0x1800), WINDOW_GUEST);
    assert_false(can_read(LOW));
    assert_false(can_read(LOW + 0x1000));
}

static void a_page_that_may_only_be_loaded_physically_is_read_only(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, GPA, 0x1000, USER | TOY_DIRTY);
    t->forbidden = GPA;
    t->forbidden_len = 0x1000;
    t->forbidden_access = 1 << MMU_STORE;
    enter(1, 0);
    assert_int_equal(load_faults(LOW), WINDOW_MAPPED);
    assert_true(can_read(LOW));
    assert_false(can_write(LOW));
}

static void beside_the_window_nothing_is_mapped(void **state)
{
    const uint64_t at[] = {TOY_LIMIT, TOY_LIMIT + 0x8000, UINT64_MAX - 7, UINT64_MAX - 0x7fff,
                           UINT64_C(1) << 63};

    (void)state;
    toy_add(t, 1, TOY_LIMIT - 0x1000, GPA, 0x2000, USER);
    enter(1, 0);
    for (unsigned i = 0; i < sizeof at / sizeof at[0]; i++)
        assert_int_equal(load_faults(at[i]), WINDOW_OUTSIDE);
    assert_int_equal(store_faults(TOY_LIMIT - 8), WINDOW_UPDATED);
    assert_int_equal(mmu_window_fault(t->mmu, TOY_LIMIT - 4, 8, MMU_LOAD), WINDOW_MAPPED);
    for (int64_t off = -WINDOW_GUARD; off < WINDOW_GUARD; off += 0x1000) {
        assert_false(can_read(TOY_LIMIT + WINDOW_GUARD + (uint64_t)off));
        assert_false(can_read((uint64_t)off - WINDOW_GUARD / 2 * (off >= 0) * 3));
    }
    assert_true(mmu_owns_window_address(t->mmu, host(0) - 1));
    assert_true(mmu_owns_window_address(t->mmu, host(TOY_LIMIT)));
    assert_false(mmu_owns_window_address(t->mmu, t->phys.store));
    assert_false(mmu_owns_window_address(t->mmu, t->phys.ram));
}

static void neighbours_come_along(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, GPA, 0x1000, USER | TOY_DIRTY);
    toy_add(t, 1, LOW + 0x1000, GPA + 0x1000, 0x1000, USER); /* another right */
    toy_add(t, 1, LOW + 0x2000, GPA + 0x9000, 0x1000, USER); /* another place */
    enter(1, 0);
    assert_int_equal(load_faults(LOW), WINDOW_MAPPED);
    assert_true(can_write(LOW));
    assert_true(can_read(LOW + 0x1000) && !can_write(LOW + 0x1000));
    toy_poke(t, GPA + 0x9000, 77);
    assert_int_equal(*(uint64_t *)(void *)host(LOW + 0x2000), 77);
    assert_int_equal(t->mmu->slot->window->n_pages, 3);
}

static void a_crossing_access_maps_both_pages(void **state)
{
    (void)state;
    toy_add(t, 1, LOW + 0xf000, GPA, 0x1000, USER);
    toy_add(t, 1, LOW + 0x10000, GPA + 0x5000, 0x1000, USER);
    enter(1, 0);
    assert_int_equal(store_faults(LOW + 0x10000 - 4), WINDOW_CROSSING);
    const uint64_t value = UINT64_C(0x1122334455667788);

    memcpy(host(LOW + 0x10000 - 4), &value, 8);
    assert_int_equal(toy_peek(t, GPA + 0xff8) >> 32, 0x55667788);
    assert_int_equal((uint32_t)toy_peek(t, GPA + 0x5000), 0x11223344);
}

/* ---- Fences ------------------------------------------------------------------------------------
 */

static void map_three(void)
{
    toy_add(t, 1, LOW, GPA, 0x1000, USER);
    toy_add(t, 1, FAR, GPA + 0x3000, 0x1000, USER | TOY_G);
    toy_add(t, 2, LOW, GPA + 0x5000, 0x1000, USER);
    enter(2, 7);
    assert_int_equal(store_faults(LOW), WINDOW_UPDATED);
    enter(1, 5);
    assert_int_equal(store_faults(LOW), WINDOW_UPDATED);
    assert_int_equal(store_faults(FAR), WINDOW_UPDATED);
}

static void each_space_has_its_own(void **state)
{
    (void)state;
    map_three();
    assert_true(can_write(LOW) && can_write(FAR));
    enter(2, 7);
    assert_true(can_write(LOW) && !can_read(FAR));
    *host(LOW) = 1;
    enter(1, 5);
    *host(LOW) = 2;
    assert_int_equal(*phys_ptr(&t->phys, GPA), 2);
    assert_int_equal(*phys_ptr(&t->phys, GPA + 0x5000), 1);
}

static void a_fence_of_a_page_unmaps_it(void **state)
{
    (void)state;
    map_three();
    mmu_fence(t->mmu, false, LOW, false, 7); /* another space's */
    assert_true(can_write(LOW));
    mmu_fence(t->mmu, false, LOW + 0x1000, false, 5);
    assert_true(can_write(LOW));
    mmu_fence(t->mmu, false, LOW + 0x123, false, 5);
    assert_false(can_read(LOW));
    assert_true(can_write(FAR));
    mmu_fence(t->mmu, false, FAR, true, 0);
    assert_false(can_read(FAR));
    enter(2, 7);
    assert_false(can_read(LOW));
}

static void a_fence_of_an_asid_unmaps_it_all(void **state)
{
    (void)state;
    map_three();
    mmu_fence(t->mmu, true, 0, false, 5);
    assert_false(can_read(LOW));
    enter(2, 7);
    assert_true(can_write(LOW));
}

static void a_fence_of_everything_unmaps_everything(void **state)
{
    (void)state;
    map_three();
    mmu_fence(t->mmu, true, 0, true, 0);
    assert_false(can_read(LOW) || can_read(FAR));
    enter(2, 7);
    assert_false(can_read(LOW));
    enter(1, 5);
    assert_int_equal(store_faults(LOW), WINDOW_MAPPED);
    mmu_flush_all(t->mmu);
    assert_false(can_read(LOW));
}

/* What --engine=check has undone. */
static void a_window_stays_when_the_tables_forget(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, GPA, 0x1000, USER);
    enter(1, 0);
    mmu_store(&t->s, LOW, IR_64, 1);
    assert_int_equal(store_faults(LOW), WINDOW_MAPPED);
    uint64_t walks = mmu_stats(t->mmu)->walks;

    mmu_store(&t->s, LOW, IR_64, 2);
    assert_int_equal(mmu_stats(t->mmu)->walks, walks);
    mmu_forget_known(t->mmu);
    mmu_store(&t->s, LOW, IR_64, 3);
    assert_int_equal(mmu_stats(t->mmu)->walks, walks + 1);
    assert_true(can_write(LOW));
}

static void after_the_fence_the_new_page_is_seen(void **state)
{
    struct toy_map *p = toy_add(t, 1, LOW, GPA, 0x1000, USER);

    (void)state;
    enter(1, 0);
    store_faults(LOW);
    p->gpa = GPA + 0x4000;
    *host(LOW) = 3; /* no fence: the old one */
    assert_int_equal(*phys_ptr(&t->phys, GPA), 3);
    mmu_fence(t->mmu, false, LOW, true, 0);
    store_faults(LOW);
    *host(LOW) = 4;
    assert_int_equal(*phys_ptr(&t->phys, GPA + 0x4000), 4);
}

static void a_huge_leaf_goes_as_a_whole(void **state)
{
    (void)state;
    toy_add(t, 1, 4 * MIB2, TOY_RAM + MIB2, MIB2, USER | TOY_DIRTY);
    enter(1, 0);
    assert_int_equal(load_faults(4 * MIB2 + 0x5000), WINDOW_MAPPED);
    assert_true(can_write(4 * MIB2) && can_write(5 * MIB2 - 1));
    mmu_fence(t->mmu, false, 4 * MIB2 + 0x9000, true, 0);
    assert_false(can_read(4 * MIB2 + 0x5000) || can_read(4 * MIB2) || can_read(5 * MIB2 - 1));
    assert_int_equal(t->mmu->slot->window->n_pages, 0);
}

/* By a fence of an address, or of all. */
static void where_a_huge_leaf_was_pages_go_alone(void **state)
{
    (void)state;
    for (unsigned all = 0; all < 2; all++) {
        const uint64_t va = (4 + 4 * all) * MIB2;
        struct toy_map *huge = toy_add(t, 1, va, TOY_RAM + MIB2, MIB2, USER | TOY_DIRTY);

        enter(1, 0);
        assert_int_equal(load_faults(va), WINDOW_MAPPED);
        mmu_fence(t->mmu, all, va, true, 0);
        huge->len = 0x1000;
        toy_add(t, 1, va + 0x9000, GPA, 0x1000, USER | TOY_DIRTY);
        enter(1, 0);
        load_faults(va);
        load_faults(va + 0x9000);
        mmu_fence(t->mmu, false, va, true, 0);
        assert_false(can_read(va));
        assert_true(can_read(va + 0x9000));
    }
}

static void a_leaf_larger_than_2_mib_goes_as_a_whole(void **state)
{
    (void)state;
    toy_add(t, 1, 8 * MIB2, TOY_RAM, 2 * MIB2, USER | TOY_DIRTY);
    toy_add(t, 1, LOW, GPA, 0x1000, USER);
    enter(1, 0);
    load_faults(LOW);
    assert_int_equal(load_faults(8 * MIB2), WINDOW_MAPPED);
    assert_int_equal(load_faults(9 * MIB2), WINDOW_MAPPED);
    mmu_fence(t->mmu, false, 9 * MIB2 + 0x3000, true, 0);
    assert_false(can_read(8 * MIB2) || can_read(9 * MIB2));
}

/* Svnapot's: as any other leaf, a fence of one address in it is one of all. */
static void a_leaf_of_64k_goes_as_a_whole(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, GPA, 0x10000, USER);
    enter(1, 0);
    assert_int_equal(store_faults(LOW + 0x5000), WINDOW_UPDATED);
    assert_true(can_read(LOW + 0xf000));
    mmu_fence(t->mmu, false, LOW, true, 0);
    for (unsigned i = 0; i < 16; i++)
        assert_false(can_read(LOW + i * 0x1000));
}

static void a_page_that_comes_and_goes_costs_no_more_than_one(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, GPA, 0x1000, USER);
    enter(1, 0);
    for (unsigned i = 0; i < 12000; i++) {
        assert_int_equal(store_faults(LOW), i == 0 ? WINDOW_UPDATED : WINDOW_MAPPED);
        mmu_fence(t->mmu, false, LOW, true, 0);
        memset(t->mmu->slot->window->churn, 0, sizeof t->mmu->slot->window->churn);
    }
    assert_false(t->mmu->slot->window->failed);
}

/* Linux maps what it patches at one address, for a store each. */
static void a_page_that_is_fenced_all_the_time_is_left_to_the_tables(void **state)
{
    struct window_churn *c;
    unsigned n = 0;

    (void)state;
    toy_add(t, 1, LOW, GPA, 0x2000, USER);
    enter(1, 0);
    c = &t->mmu->slot->window->churn[(LOW >> 12) % WINDOW_N_CHURN];
    for (; n < 100 && store_faults(LOW) != WINDOW_SHUNNED; n++)
        mmu_fence(t->mmu, false, LOW, true, 0);
    assert_in_range(n, 4, 16);
    assert_false(can_read(LOW));
    assert_int_equal(store_faults(LOW + 0x1000), WINDOW_MAPPED); /* the other is not */
    c->at_ns -= UINT64_C(1000000000);
    assert_int_equal(store_faults(LOW), WINDOW_MAPPED); /* a second later */
}

static void a_huge_leaf_with_a_forbidden_page_is_mapped_by_pages(void **state)
{
    (void)state;
    toy_add(t, 1, 4 * MIB2, TOY_RAM + MIB2, MIB2, USER | TOY_DIRTY);
    t->forbidden = TOY_RAM + MIB2 + 0x4000;
    t->forbidden_len = 0x1000;
    t->forbidden_access = 1 << MMU_LOAD | 1 << MMU_STORE;
    enter(1, 0);
    assert_int_equal(load_faults(4 * MIB2), WINDOW_MAPPED);
    assert_true(can_write(4 * MIB2 + 0x3000) && can_write(4 * MIB2 + 0x5000));
    assert_false(can_read(4 * MIB2 + 0x4000));
    mmu_fence(t->mmu, false, 4 * MIB2 + 0x100000, true, 0);
    assert_false(can_read(4 * MIB2));
    toy_add(t, 1, 8 * MIB2, TOY_RAM + MIB2, MIB2, USER & ~TOY_W); /* nobody stores there anyway */
    load_faults(8 * MIB2);
    assert_true(can_read(8 * MIB2 + 0x3000));
    assert_false(can_read(8 * MIB2 + 0x4000));
}

/* ---- Pages that become code
 * ----------------------------------------------------------------------- */

static void a_page_that_becomes_code_is_read_only(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, GPA, 0x1000, USER);
    toy_add(t, 1, FAR, GPA, 0x1000, USER); /* the same page of RAM */
    enter(1, 0);
    store_faults(LOW);
    store_faults(FAR);
    track_protect(t->track, GPA);
    assert_true(can_read(LOW) && can_read(FAR));
    assert_false(can_write(LOW) || can_write(FAR));
    assert_int_equal(store_faults(LOW), WINDOW_CODE);
    track_wrote(t->track, GPA, 8); /* no blocks: it opens */
    assert_int_equal(store_faults(LOW), WINDOW_MAPPED);
    assert_true(can_write(LOW));
    track_protect(t->track, GPA); /* once more */
    assert_false(can_write(LOW));
}

static void code_is_mapped_read_only(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, GPA, 0x3000, USER | TOY_DIRTY);
    track_protect(t->track, GPA + 0x1000);
    enter(1, 0);
    assert_int_equal(load_faults(LOW), WINDOW_MAPPED);
    assert_true(can_write(LOW) && can_write(LOW + 0x2000));
    assert_true(can_read(LOW + 0x1000) && !can_write(LOW + 0x1000));
}

/* What lies around stays as it is, and costs nothing. */
static void what_was_code_is_mapped_alone(void **state)
{
    (void)state;
    toy_add(t, 1, 0, TOY_RAM, MIB2, USER | TOY_DIRTY);
    enter(1, 0);
    for (unsigned i = 0; i < 8; i++)
        track_protect(t->track, TOY_RAM + i * UINT64_C(0x4000));
    assert_int_equal(store_faults(0x1000), WINDOW_MAPPED);
    assert_int_equal(ws->stats.maps, 16); /* pages of code, and what is between them */
    track_wrote(t->track, TOY_RAM + 0x8000, 8);
    assert_int_equal(store_faults(0x8000), WINDOW_MAPPED);
    assert_int_equal(ws->stats.maps, 17);
    assert_int_equal(mmu_stats(t->mmu)->window_pages, PAGES_MIDDLE + 1);
    assert_true(can_write(0x8000) && can_write(0x9000));
    assert_false(can_write(0xc000));
}

static void other_spaces_hear_of_code_too(void **state)
{
    (void)state;
    map_three();
    track_protect(t->track, GPA + 0x5000); /* of space 2, while 1 is in force */
    assert_true(can_write(LOW));
    enter(2, 7);
    assert_true(can_read(LOW) && !can_write(LOW));
}

/* Another hart has the page in its window, and this one translates it. */
static void other_harts_hear_of_code_too(void **state)
{
    struct toy *other = calloc(1, sizeof *other);

    (void)state;
    assert_non_null(other);
    other->mmu = mmu_create(&other->s, &t->phys, t->track, NULL, &toy_guest);
    assert_non_null(other->mmu);
    mmu_set_windows(other->mmu, ws);
    toy_add(other, 3, LOW, GPA, 0x1000, USER);
    toy_switch(other, 3, 0, TOY_USER, TOY_USER, 0);
    assert_int_equal(mmu_window_fault(other->mmu, LOW, 8, MMU_STORE), WINDOW_UPDATED);
    toy_add(t, 1, FAR, GPA, 0x1000, USER);
    enter(1, 0);
    assert_int_equal(store_faults(FAR), WINDOW_UPDATED);
    assert_true(window_has(other->mmu->slot->window, LOW, true));
    track_protect(t->track, GPA);
    assert_true(window_has(other->mmu->slot->window, LOW, false));
    assert_false(window_has(other->mmu->slot->window, LOW, true));
    assert_false(can_write(FAR));
    assert_int_equal(mmu_window_fault(other->mmu, LOW, 8, MMU_STORE), WINDOW_CODE);
    mmu_destroy(other->mmu);
    free(other);
    assert_int_equal(ws->stats.open, 1);
}

int main(void)
{
#define ALWAYS(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        ALWAYS(a_page_is_mapped_when_it_is_asked_for),
        ALWAYS(only_user_rights_have_one),
        ALWAYS(the_salt_says_whether_there_is_one),
        ALWAYS(a_clean_page_is_read_only),
        ALWAYS(what_the_guest_forbids_is_its_own_fault),
        ALWAYS(devices_and_parts_of_pages_are_not_mapped),
        ALWAYS(a_page_that_may_only_be_loaded_physically_is_read_only),
        ALWAYS(beside_the_window_nothing_is_mapped),
        ALWAYS(neighbours_come_along),
        ALWAYS(a_crossing_access_maps_both_pages),
        ALWAYS(each_space_has_its_own),
        ALWAYS(a_fence_of_a_page_unmaps_it),
        ALWAYS(a_leaf_of_64k_goes_as_a_whole),
        ALWAYS(a_page_that_comes_and_goes_costs_no_more_than_one),
        ALWAYS(a_page_that_is_fenced_all_the_time_is_left_to_the_tables),
        ALWAYS(a_fence_of_an_asid_unmaps_it_all),
        ALWAYS(a_fence_of_everything_unmaps_everything),
        ALWAYS(after_the_fence_the_new_page_is_seen),
        ALWAYS(a_window_stays_when_the_tables_forget),
        ALWAYS(a_huge_leaf_goes_as_a_whole),
        ALWAYS(where_a_huge_leaf_was_pages_go_alone),
        ALWAYS(a_leaf_larger_than_2_mib_goes_as_a_whole),
        ALWAYS(a_huge_leaf_with_a_forbidden_page_is_mapped_by_pages),
        ALWAYS(a_page_that_becomes_code_is_read_only),
        ALWAYS(code_is_mapped_read_only),
        ALWAYS(what_was_code_is_mapped_alone),
        ALWAYS(other_spaces_hear_of_code_too),
        ALWAYS(other_harts_hear_of_code_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
