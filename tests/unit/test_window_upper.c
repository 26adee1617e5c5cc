/* softmmu: a kernel's window, over the upper half of the addresses: where it lies, what is in it,
 * and what takes it away. test_window_pieces.c counts what it costs. */
#include "tests/lib/toy_windows.h"

#include <sys/mman.h>

#define FLOOR  UINT64_C(0xffffffc000000000) /* the half's first address */
#define KERNEL UINT64_C(0xffffffff80000000)
#define LARGE  UINT64_C(0xffffffd000000000)
#define LAST   UINT64_C(0xfffffffffffff000)
enum { ALL = TOY_R | TOY_W | TOY_X | TOY_G, MAPPINGS_MAX = 200000 };

/* ---- Where it is -------------------------------------------------------------------------------
 */

static void it_lies_before_its_view(void **state)
{
    struct mmu_view *v;

    (void)state;
    toy_add(t, 0, FLOOR, GPA, 0x1000, ALL);
    toy_add(t, 0, LAST, GPA + 0x3000, 0x1000, ALL);
    toy_enter(t, 1, 0);
    v = t->s.view;
    assert_int_equal(v->window_floor, FLOOR - 1);
    assert_int_equal(v->window_limit, 0);
    assert_int_equal(v->window_origin, (uintptr_t)v - WINDOW_OFF);
    assert_int_equal(store_faults(FLOOR), WINDOW_UPDATED);
    assert_int_equal(store_faults(LAST + 0xff8), WINDOW_UPDATED);
    assert_ptr_equal(host(LAST), (uint8_t *)v - WINDOW_OFF - 0x1000);
    assert_true(can_write(FLOOR) && can_write(LAST) && can_write(UINT64_MAX));
    assert_int_equal((uintptr_t)host(FLOOR) % MIB2, 0); /* so that the host can map 2 MiB as one */
    *host(FLOOR) = 17;
    *host(UINT64_MAX) = 18;
    assert_int_equal(*phys_ptr(&t->phys, GPA), 17);
    assert_int_equal(*phys_ptr(&t->phys, GPA + 0x3fff), 18);
}

static void beside_it_nothing_can_be_reached(void **state)
{
    const uint64_t at[] = {0,
                           8,
                           0x8000,
                           FLOOR - 1,
                           FLOOR - 8,
                           FLOOR / 2,
                           TOY_LIMIT - 8,
                           UINT64_C(1) << 63,
                           TOY_LIMIT,
                           -TOY_LIMIT * 2};

    (void)state;
    toy_add(t, 0, FLOOR - 0x1000, GPA, 0x2000, ALL);
    toy_add(t, 0, LAST, GPA + 0x3000, 0x1000, ALL);
    toy_add(t, 0, 0, GPA + 0x4000, 0x1000, ALL);
    toy_enter(t, 1, 0);
    assert_int_equal(store_faults(FLOOR), WINDOW_UPDATED);
    assert_int_equal(store_faults(LAST), WINDOW_UPDATED);
    for (unsigned i = 0; i < sizeof at / sizeof at[0]; i++)
        assert_int_equal(load_faults(at[i]), WINDOW_OUTSIDE);
    for (uint64_t off = 0; off < WINDOW_GUARD; off += 0x1000) {
        assert_false(can_read(off)); /* where 2^64 is passed */
        assert_false(can_read(FLOOR - 0x1000 - off));
        assert_true(mmu_owns_window_address(t->mmu, host(off)));
        assert_true(mmu_owns_window_address(t->mmu, host(FLOOR - 0x1000 - off)));
    }
    assert_true(host(0) + WINDOW_GUARD <= (uint8_t *)t->s.view);
    assert_false(mmu_owns_window_address(t->mmu, t->phys.store));
    assert_false(mmu_owns_window_address(t->mmu, t->phys.ram));
}

/* Accesses of which a part is beside it. */
static void an_access_over_an_end_maps_nothing_beside(void **state)
{
    (void)state;
    toy_add(t, 0, FLOOR - 0x1000, GPA, 0x2000, ALL);
    toy_add(t, 0, LAST, GPA + 0x3000, 0x1000, ALL);
    toy_add(t, 0, 0, GPA + 0x4000, 0x1000, ALL);
    toy_enter(t, 1, 0);
    mmu_window_fault(t->mmu, UINT64_MAX - 3, 8, MMU_STORE);
    assert_true(can_write(LAST));
    assert_false(can_read(0));
    assert_int_equal(mmu_window_fault(t->mmu, FLOOR - 4, 8, MMU_STORE), WINDOW_OUTSIDE);
    assert_false(can_read(FLOOR));
    assert_int_equal(kernel_window()->n_pages, 1);
    mmu_store(&t->s, UINT64_MAX - 3, IR_64, UINT64_C(0x1122334455667788));
    assert_int_equal((uint32_t)toy_peek(t, GPA + 0x4000), 0x11223344);
}

static void other_views_are_out_of_its_reach(void **state)
{
    const struct mmu_view *v;

    (void)state;
    toy_switch(t, 1, 0, TOY_SUM, TOY_SUPER, 0);
    v = t->s.view;
    assert_true(v->window_limit == 0 && v->window_floor == UINT64_MAX);
    enter(1, 0);
    v = t->s.view;
    assert_true(v->window_limit == TOY_LIMIT && v->window_floor == UINT64_MAX);
    toy_enter(t, 0, 0);
    v = t->s.view;
    assert_true(v->window_limit == 0 && v->window_floor == UINT64_MAX);
}

/* ---- Code for it --------------------------------------------------------------------------------
 */

static void code_with_sum_is_the_same_code_without_a_window(void **state)
{
    uint64_t salt[2];

    (void)state;
    toy_enter(t, 1, 0);
    assert_int_equal(mmu_code_mode(t->mmu), IR_MODE_WINDOW);
    assert_int_equal(mmu_code_window(t->mmu), IR_WINDOW_UPPER);
    memcpy(salt, t->s.salt, sizeof salt);
    toy_switch(t, 1, 0, TOY_SUM, TOY_SUPER, 0);
    assert_int_equal(mmu_code_mode(t->mmu), IR_MODE_WINDOW);
    assert_int_equal(mmu_code_window(t->mmu), IR_WINDOW_NONE);
    assert_memory_equal(t->s.salt, salt, sizeof salt);
    toy_enter(t, 2, 0);
    assert_int_equal(t->s.salt[1], salt[1]); /* code of the upper half stays linked */
    enter(1, 0);
    assert_int_equal(mmu_code_window(t->mmu), IR_WINDOW_LOWER);
    toy_enter(t, 0, 0);
    assert_int_equal(mmu_code_mode(t->mmu), 0);
    assert_int_equal(mmu_code_window(t->mmu), IR_WINDOW_NONE);
}

/* Rights that were in force before there was a window. */
static void without_a_window_sum_has_no_code_for_one(void **state)
{
    (void)state;
    toy_switch(t, 1, 0, TOY_SUM, TOY_SUPER, 0);
    assert_int_equal(mmu_code_mode(t->mmu), 0);
    toy_enter(t, 1, 0);
    toy_switch(t, 1, 0, TOY_SUM, TOY_SUPER, 0);
    assert_int_equal(mmu_code_mode(t->mmu), IR_MODE_WINDOW);
}

static void it_is_there_from_the_start(void **state)
{
    (void)state;
    enter(1, 0);
    assert_int_equal(mmu_code_mode(t->mmu), 0); /* a process has to earn its own */
    toy_enter(t, 1, 0);
    assert_int_equal(mmu_code_window(t->mmu), IR_WINDOW_UPPER);
    assert_int_equal(ws->stats.open, 1);
    for (uint64_t key = 2; key < 200; key++)
        toy_enter(t, key, 0);
    assert_int_equal(ws->stats.open, 1);
    assert_int_equal(mmu_stats(t->mmu)->windows_closed, 0);
}

/* ---- What is in it ------------------------------------------------------------------------------
 */

static void neighbours_come_along_in_one_piece(void **state)
{
    static const uint64_t behind[8] = {9, 0, 1, 2, 3, 4, 12, 13}; /* where in RAM each page is */

    (void)state;
    for (unsigned i = 0; i < 8; i++)
        toy_add(t, 0, KERNEL + i * 0x1000, GPA + behind[i] * 0x1000, 0x1000, ALL | TOY_DIRTY);
    toy_enter(t, 1, 0);
    assert_int_equal(load_faults(KERNEL + 0x3000), WINDOW_MAPPED);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(can_write(KERNEL + i * 0x1000), i >= 1 && i <= 5);
    assert_int_equal(load_faults(KERNEL + 0x7000), WINDOW_MAPPED);
    assert_true(can_read(KERNEL + 0x6000) && !can_read(KERNEL));
    assert_int_equal(load_faults(KERNEL), WINDOW_MAPPED);
    assert_true(can_read(KERNEL));
}

/* As many as lie in the same 64 KiB. */
static void no_more_than_sixteen_come_along(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 34; i++)
        toy_add(t, 0, KERNEL + i * 0x1000, GPA + i * 0x1000, 0x1000, ALL);
    toy_enter(t, 1, 0);
    assert_int_equal(load_faults(KERNEL + 0x10000), WINDOW_MAPPED);
    for (unsigned i = 0; i < 34; i++)
        assert_int_equal(can_read(KERNEL + i * 0x1000), i >= 16 && i < 32);
    assert_int_equal(load_faults(KERNEL + 0xf000), WINDOW_MAPPED);
    assert_true(can_read(KERNEL));
}

/* A fence drops leaves, so that each page is to be known as of its own. */
static void a_neighbour_of_another_leaf_does_not_come_along(void **state)
{
    (void)state;
    toy_add(t, 0, KERNEL, GPA, 0x1000, ALL);
    toy_add(t, 0, KERNEL + 0x1000, GPA + 0x1000, 0xf000, ALL);
    toy_enter(t, 1, 0);
    assert_int_equal(load_faults(KERNEL), WINDOW_MAPPED);
    assert_true(can_read(KERNEL) && !can_read(KERNEL + 0x1000));
}

static void a_clean_neighbour_does_not_come_along_to_be_written(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        toy_add(t, 0, KERNEL + i * 0x1000, GPA + i * 0x1000, 0x1000, i % 2 ? ALL : ALL | TOY_DIRTY);
    toy_enter(t, 1, 0);
    assert_int_equal(store_faults(KERNEL + 0x2000), WINDOW_MAPPED);
    assert_true(can_write(KERNEL + 0x2000));
    assert_false(can_write(KERNEL + 0x1000) || can_write(KERNEL + 0x3000));
    assert_int_equal(load_faults(KERNEL + 0x1000), WINDOW_MAPPED);
    assert_false(can_write(KERNEL + 0x1000) || can_read(KERNEL));
}

static void only_global_pages_are_mapped(void **state)
{
    struct toy_map *p;

    (void)state;
    toy_add(t, 0, KERNEL, GPA, 0x1000, ALL);
    p = toy_add(t, 0, KERNEL + 0x1000, GPA + 0x1000, 0x1000, ALL & ~TOY_G);
    toy_add(t, 0, KERNEL + 0x2000, GPA + 0x2000, 0x1000, ALL);
    toy_enter(t, 1, 0);
    assert_int_equal(store_faults(KERNEL + 0x1000), WINDOW_LOCAL);
    assert_false(can_read(KERNEL + 0x1000));
    assert_int_equal(load_faults(KERNEL), WINDOW_MAPPED);
    assert_true(can_read(KERNEL) && !can_read(KERNEL + 0x1000));
    assert_false(can_read(KERNEL + 0x2000)); /* no neighbour: it would be a piece of its own */
    p->flags |= TOY_G;
    assert_int_equal(load_faults(KERNEL + 0x1000), WINDOW_MAPPED);
}

static void a_users_page_is_not_the_kernels(void **state)
{
    (void)state;
    toy_add(t, 0, KERNEL, GPA, 0x1000, ALL | TOY_U);
    toy_switch(t, 1, 0, TOY_SUM, TOY_SUPER, 0);
    mmu_store(&t->s, KERNEL, IR_64, 1);
    toy_enter(t, 1, 0);
    assert_int_equal(load_faults(KERNEL), WINDOW_GUEST);
    assert_false(can_read(KERNEL));
}

static void what_is_mapped_serves_all_spaces(void **state)
{
    (void)state;
    toy_add(t, 0, KERNEL, GPA, 0x1000, ALL);
    toy_add(t, 1, KERNEL + 0x100000, GPA + 0x1000, 0x1000, ALL & ~TOY_G);
    toy_enter(t, 1, 0);
    assert_int_equal(store_faults(KERNEL), WINDOW_UPDATED);
    mmu_load(&t->s, KERNEL + 0x100000, IR_64); /* so that something goes */
    for (uint64_t key = 2; key < 100; key++) {
        toy_enter(t, key, 0);
        assert_true(can_write(KERNEL));
        enter(key, 0);
        toy_enter(t, key, 0);
    }
    assert_int_equal(mmu_stats(t->mmu)->window_faults[WINDOW_UPDATED], 1);
}

static void large_leaves_are_mapped_two_mib_at_a_time(void **state)
{
    (void)state;
    toy_add(t, 0, LARGE, TOY_RAM + MIB2, MIB2, ALL | TOY_DIRTY);
    toy_add(t, 0, LARGE + 2 * MIB2, TOY_RAM, 2 * MIB2, ALL | TOY_DIRTY);
    toy_enter(t, 1, 0);
    assert_int_equal(load_faults(LARGE + 0x5008), WINDOW_MAPPED);
    assert_true(can_write(LARGE) && can_write(LARGE + MIB2 - 1));
    assert_int_equal(kernel_window()->n_pages, 512);
    assert_int_equal(load_faults(LARGE + 3 * MIB2 + 8), WINDOW_MAPPED);
    assert_true(can_write(LARGE + 3 * MIB2) && can_write(LARGE + 4 * MIB2 - 1));
    assert_false(can_read(LARGE + 3 * MIB2 - 1));
    assert_int_equal(kernel_window()->n_pages, 1024);
    *host(LARGE + MIB2 - 1) = 3; /* two guest addresses of one byte */
    assert_int_equal(*host(LARGE + 4 * MIB2 - 1), 3);
}

static void a_crossing_access_maps_both_pages(void **state)
{
    (void)state;
    toy_add(t, 0, KERNEL + 0xf000, GPA, 0x1000, ALL);
    toy_add(t, 0, KERNEL + 0x10000, GPA + 0x5000, 0x1000, ALL);
    toy_enter(t, 1, 0);
    assert_int_equal(store_faults(KERNEL + 0x10000 - 4), WINDOW_CROSSING);
    assert_true(can_write(KERNEL + 0xffff) && can_write(KERNEL + 0x10000));
}

/* ---- Fences
 * -------------------------------------------------------------------------------------- */

static void a_fence_of_a_page_of_all_asids_drops_it(void **state)
{
    (void)state;
    toy_add(t, 0, KERNEL, GPA, 0x1000, ALL);
    toy_add(t, 0, LARGE, GPA + 0x8000, 0x1000, ALL);
    for (unsigned i = 0; i < 3; i++) {
        toy_enter(t, 1, 5);
        store_faults(KERNEL);
        store_faults(LARGE);
        assert_true(can_write(KERNEL) && can_write(LARGE));
        if (i == 1)
            enter(1, 5);
        else if (i == 2)
            toy_enter(t, 0, 0);
        mmu_fence(t->mmu, false, KERNEL + 0x123, true, 0);
        toy_enter(t, 2, 7);
        assert_false(can_read(KERNEL));
        assert_true(can_write(LARGE));
    }
}

/* Global pages are not theirs: a process that is fenced leaves the kernel's as they are. */
static void a_fence_of_an_asid_leaves_it(void **state)
{
    (void)state;
    toy_add(t, 0, KERNEL, GPA, 0x1000, ALL);
    toy_add(t, 1, LARGE, GPA + 0x1000, 0x1000, ALL & ~TOY_G);
    toy_enter(t, 1, 5);
    store_faults(KERNEL);
    mmu_load(&t->s, LARGE, IR_64);
    mmu_fence(t->mmu, true, 0, false, 5);
    assert_false(toy_hits_load(t, LARGE));
    assert_true(can_write(KERNEL));
    enter(1, 5);
    mmu_fence(t->mmu, true, 0, false, 5);
    toy_enter(t, 2, 7);
    assert_true(can_write(KERNEL));
}

static void after_the_fence_the_new_page_is_seen(void **state)
{
    struct toy_map *p = toy_add(t, 0, KERNEL, GPA, 0x1000, ALL);

    (void)state;
    toy_enter(t, 1, 0);
    store_faults(KERNEL);
    p->gpa = GPA + 0x4000;
    *host(KERNEL) = 3; /* no fence: the old one */
    assert_int_equal(*phys_ptr(&t->phys, GPA), 3);
    toy_enter(t, 2, 0);
    mmu_fence(t->mmu, false, KERNEL, true, 0);
    toy_enter(t, 1, 0);
    store_faults(KERNEL);
    *host(KERNEL) = 4;
    assert_int_equal(*phys_ptr(&t->phys, GPA + 0x4000), 4);
}

/* Which of the leaves above 2 MiB an address lies in is not noted: a fence between the first and
 * the last drops all. Others leave them. */
static void only_fences_among_larger_leaves_drop_those(void **state)
{
    (void)state;
    toy_add(t, 0, LARGE, TOY_RAM, 2 * MIB2, ALL | TOY_DIRTY);
    toy_add(t, 0, LARGE + 8 * MIB2, TOY_RAM, 2 * MIB2, ALL | TOY_DIRTY);
    toy_add(t, 0, KERNEL, GPA, 0x1000, ALL);
    toy_add(t, 0, LARGE - 0x1000, GPA + 0x1000, 0x1000, ALL);
    for (unsigned i = 0; i < 4; i++) {
        const uint64_t at[] = {LARGE, LARGE + 2 * MIB2 - 1, LARGE + 10 * MIB2 - 1,
                               LARGE + 5 * MIB2};

        toy_enter(t, 1, 0);
        load_faults(LARGE + MIB2);
        load_faults(LARGE + 8 * MIB2);
        store_faults(KERNEL);
        store_faults(LARGE - 0x1000);
        mmu_fence(t->mmu, false, KERNEL, true, 0);
        mmu_fence(t->mmu, false, LARGE - 1, true, 0);
        mmu_fence(t->mmu, false, LARGE + 10 * MIB2, true, 0);
        assert_false(can_read(KERNEL) || can_read(LARGE - 0x1000));
        assert_true(can_write(LARGE + MIB2) && can_write(LARGE + 8 * MIB2));
        store_faults(KERNEL);
        mmu_fence(t->mmu, false, at[i], true, 0);
        assert_false(can_read(LARGE + MIB2) || can_read(LARGE + 8 * MIB2));
    }
}

/* The tables', too, which serve what does not go through the window. */
static void a_fence_below_large_leaves_leaves_them_in_the_tables(void **state)
{
    (void)state;
    toy_add(t, 0, LARGE, TOY_RAM, 2 * MIB2, ALL);
    toy_enter(t, 1, 0);
    mmu_store(&t->s, LARGE, IR_64, 1);
    mmu_fence(t->mmu, false, LARGE - 0x1000, true, 0);
    assert_true(toy_hits_store(t, LARGE));
    mmu_fence(t->mmu, false, LARGE + 0x1000, true, 0);
    assert_false(toy_hits_store(t, LARGE));
}

/* Linux patches itself through one page, which it maps anew for each store. */
static void a_page_that_is_fenced_all_the_time_is_left_to_the_tables(void **state)
{
    unsigned n = 0;

    (void)state;
    toy_add(t, 0, KERNEL, GPA, 0x1000, ALL);
    toy_add(t, 0, KERNEL + 0x1000, GPA + 0x1000, 0x1000, ALL);
    toy_add(t, 0, LAST, GPA + 0x2000, 0x1000, ALL);
    toy_enter(t, 1, 0);
    for (; n < 100 && store_faults(KERNEL) != WINDOW_SHUNNED; n++)
        mmu_fence(t->mmu, false, KERNEL, true, 0);
    assert_in_range(n, 4, 16);
    assert_false(can_read(KERNEL));
    assert_int_equal(store_faults(KERNEL + 0x1000), WINDOW_UPDATED);
    assert_false(can_read(KERNEL)); /* nor does it come along with its neighbour */
    assert_int_equal(store_faults(LAST), WINDOW_UPDATED);
}

static void under_stress_all_together_hold_few_pages(void **state)
{
    uint64_t n_pages = 0;

    (void)state;
    mmu_stress(t->mmu);
    for (uint64_t at = 0; at < 0x10000; at += 0x1000)
        toy_add(t, 0, KERNEL + at, GPA + at, 0x1000, ALL | TOY_DIRTY);
    for (uint64_t at = 0; at < 0x8000; at += 0x1000)
        toy_add(t, 0, LOW + at, GPA + at, 0x1000, USER | TOY_DIRTY);
    for (unsigned i = 0; i < 16; i++) {
        bool kernel = i % 8 < 5; /* some of the one, then some of the other */
        uint64_t va = kernel ? KERNEL + 0x1000 * i : LOW + 0x1000 * (i % 8);

        if (kernel)
            toy_enter(t, 1, 0);
        else
            enter(1, 0);
        assert_int_equal(load_faults(va), WINDOW_MAPPED);
        assert_true(can_read(va));
        for (struct window *other = ws->first; other; other = other->next)
            n_pages += other->n_pages;
        assert_in_range(n_pages, 1, N_RECENT);
        n_pages = 0;
    }
}

/* ---- Pages that become code -------------------------------------------------------------------
 */

static void a_page_of_a_leaf_that_becomes_code_is_read_only(void **state)
{
    (void)state;
    toy_add(t, 0, LARGE, TOY_RAM, MIB2, ALL | TOY_DIRTY);
    toy_enter(t, 1, 0);
    load_faults(LARGE);
    track_protect(t->track, TOY_RAM + 0x3000);
    assert_true(can_read(LARGE + 0x3000) && !can_write(LARGE + 0x3000));
    assert_true(can_write(LARGE + 0x2fff) && can_write(LARGE + 0x4000));
    assert_int_equal(store_faults(LARGE + 0x3000), WINDOW_CODE);
    track_wrote(t->track, TOY_RAM + 0x3000, 8);
    assert_int_equal(store_faults(LARGE + 0x3000), WINDOW_MAPPED);
    assert_true(can_write(LARGE + 0x3000));
}

/* Linux has all of RAM at one address and itself at another. */
static void code_is_read_only_wherever_it_is_mapped(void **state)
{
    (void)state;
    toy_add(t, 0, LARGE, TOY_RAM, MIB2, ALL | TOY_DIRTY);
    toy_add(t, 0, KERNEL, TOY_RAM + 0x3000, 0x1000, ALL | TOY_DIRTY);
    toy_add(t, 0, LAST, TOY_RAM + 0x3000, 0x1000, ALL | TOY_DIRTY);
    toy_add(t, 0, FLOOR, TOY_RAM + 0x3000, 0x1000, ALL | TOY_DIRTY);
    toy_enter(t, 1, 0);
    for (unsigned round = 0; round < 2; round++) {
        const uint64_t at[] = {LARGE + 0x3000, KERNEL, LAST, FLOOR};

        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(store_faults(at[round ? 3 - i : i]), WINDOW_MAPPED);
        track_protect(t->track, TOY_RAM + 0x3000);
        for (unsigned i = 0; i < 4; i++)
            assert_true(can_read(at[i]) && !can_write(at[i]));
        assert_true(can_write(LARGE + 0x2000));
        track_wrote(t->track, TOY_RAM + 0x3000, 8);
    }
}

/* Of two places the one is mapped anew: the other is still there. */
static void the_other_place_is_not_forgotten(void **state)
{
    (void)state;
    toy_add(t, 0, KERNEL, GPA, 0x1000, ALL);
    toy_add(t, 0, LAST, GPA, 0x1000, ALL);
    toy_enter(t, 1, 0);
    load_faults(KERNEL);
    store_faults(LAST); /* sets D */
    store_faults(KERNEL);
    store_faults(KERNEL);
    assert_true(can_write(KERNEL) && can_write(LAST));
    track_protect(t->track, GPA);
    assert_false(can_write(KERNEL) || can_write(LAST));
}

/* Where a page of RAM was last mapped is remembered, and may not be so any more. */
static void code_is_found_after_its_page_has_moved(void **state)
{
    struct toy_map *p = toy_add(t, 0, KERNEL, GPA, 0x1000, ALL | TOY_DIRTY);
    struct toy_map *q = toy_add(t, 0, LAST, GPA + 0x1000, 0x1000, ALL | TOY_DIRTY);

    (void)state;
    toy_enter(t, 1, 0);
    for (unsigned i = 0; i < 64; i++) {
        uint64_t gpa = p->gpa;

        store_faults(KERNEL);
        store_faults(LAST);
        p->gpa = q->gpa;
        q->gpa = gpa;
        if (i & 1)
            mmu_fence(t->mmu, false, KERNEL, true, 0);
        if (i & 2)
            mmu_fence(t->mmu, false, LAST, true, 0);
        memset(kernel_window()->churn, 0, sizeof kernel_window()->churn);
        /* Without a fence the old page is still there; a fault brings the new one. */
        if (i & 4)
            store_faults(KERNEL);
        if (i & 8)
            store_faults(LAST);
        track_protect(t->track, GPA);
        for (unsigned k = 0; k < 2; k++) {
            uint64_t va = k ? LAST : KERNEL;

            if (can_write(va)) {
                *host(va) = 0x77;
                assert_int_equal(*phys_ptr(&t->phys, GPA + 0x1000), 0x77);
                *host(va) = 0;
            }
        }
        track_wrote(t->track, GPA, 8);
    }
}

/* Five places, three pages of RAM, random: of each page more places than are remembered, or fewer,
 * and what is remembered was true once. */
static void code_is_found_at_any_of_many_places(void **state)
{
    enum { PLACES = 5, PAGES = 3, ROUNDS = 400 };
    struct toy_map *map[PLACES];
    unsigned found = 0;

    (void)state;
    seed = 0;
    for (unsigned i = 0; i < PLACES; i++)
        map[i] = toy_add(t, 0, KERNEL + 0x10000 * i, GPA, 0x1000, ALL | TOY_DIRTY);
    toy_enter(t, 1, 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        /* Not for long the same ones: a page that is code again and again stays read-only. */
        const uint64_t first = TOY_RAM + 0x1000 * (uint64_t)(round / 8 * PAGES);
        const uint64_t code = first + 0x1000 * below(PAGES);

        for (unsigned i = 0; i < PLACES; i++) {
            if (below(2) || round % 8 == 0) {
                map[i]->gpa = first + 0x1000 * below(PAGES);
                mmu_fence(t->mmu, false, map[i]->va, true, 0);
            }
            memset(kernel_window()->churn, 0, sizeof kernel_window()->churn);
            if (below(2))
                store_faults(map[i]->va);
        }
        track_protect(t->track, code);
        for (unsigned i = 0; i < PLACES; i++) {
            if (map[i]->gpa != code)
                continue;
            found += can_read(map[i]->va);
            assert_false(can_write(map[i]->va));
        }
        track_wrote(t->track, code, 8);
    }
    assert_true(found > ROUNDS);
}

/* The kernel translates a page that a process has in its window, and the other way round. */
static void windows_of_both_halves_hear_of_code(void **state)
{
    (void)state;
    toy_add(t, 0, KERNEL, GPA, 0x1000, ALL | TOY_DIRTY);
    toy_add(t, 1, LOW, GPA, 0x1000, USER | TOY_DIRTY);
    toy_enter(t, 1, 0);
    store_faults(KERNEL);
    enter(1, 0);
    store_faults(LOW);
    assert_true(can_write(LOW));
    track_protect(t->track, GPA);
    assert_true(can_read(LOW) && !can_write(LOW));
    toy_enter(t, 1, 0);
    assert_true(can_read(KERNEL) && !can_write(KERNEL));
}

static void other_harts_hear_of_code_too(void **state)
{
    struct toy *other = calloc(1, sizeof *other);

    (void)state;
    assert_non_null(other);
    other->mmu = mmu_create(&other->s, &t->phys, t->track, NULL, &toy_kernel);
    assert_non_null(other->mmu);
    mmu_set_windows(other->mmu, ws);
    toy_add(other, 0, KERNEL, GPA, 0x1000, ALL);
    toy_enter(other, 3, 0);
    assert_int_equal(mmu_window_fault(other->mmu, KERNEL, 8, MMU_STORE), WINDOW_UPDATED);
    toy_add(t, 0, LARGE, GPA, 0x1000, ALL);
    toy_enter(t, 1, 0);
    assert_int_equal(store_faults(LARGE), WINDOW_UPDATED);
    assert_true(window_has(other->mmu->slot->window, KERNEL, true));
    track_protect(t->track, GPA);
    assert_false(window_has(other->mmu->slot->window, KERNEL, true));
    assert_true(window_has(other->mmu->slot->window, KERNEL, false));
    assert_false(can_write(LARGE));
    mmu_destroy(other->mmu);
    free(other);
    assert_int_equal(ws->stats.open, 1);
}

/* ---- Having one
 * ---------------------------------------------------------------------------------- */

/* In space 2, 200 pages of it. */
static void run_users_code(void)
{
    const uint64_t code = UINT64_C(0x7000000), len = 200 * PAGE_SIZE;
    struct mmu_fault fault;
    uint64_t gpa;

    toy_add(t, 2, code, GPA + 0x10000, len, TOY_R | TOY_X | TOY_U);
    enter(2, 0);
    for (uint64_t at = code; at < code + len; at += PAGE_SIZE)
        assert_true(mmu_fetch(t->mmu, at, &gpa, &fault));
}

static void one_whose_mappings_change_all_the_time_goes(void **state)
{
    unsigned i = 0;

    (void)state;
    toy_add(t, 0, KERNEL, GPA, 0x1000, ALL);
    toy_add(t, 1, LARGE, GPA + 0x3000, 0x1000, ALL & ~TOY_G);
    toy_enter(t, 1, 0);
    mmu_store(&t->s, LARGE, IR_64, 7);
    for (; i < 60000 && kernel_window(); i++) {
        store_faults(KERNEL);
        mmu_fence(t->mmu, false, KERNEL, true, 0);
        memset(kernel_window()->churn, 0, sizeof kernel_window()->churn);
        mmu_sample(t->mmu, 0, unknown_code);
    }
    assert_null(kernel_window());
    assert_true(i > 1000); /* not soon: all that the kernel has translated goes with it */
    assert_int_equal(mmu_code_mode(t->mmu), 0);
    assert_int_equal(ws->stats.open, 0);
    mmu_store(&t->s, KERNEL, IR_64, 5);
    assert_int_equal(toy_peek(t, GPA), 5);
    toy_enter(t, 2, 0);
    assert_true(toy_hits_store(t, KERNEL));
    run_users_code();
    toy_enter(t, 2, 0);
    /* It comes back, with what was known, and global pages only; what a user has run is none of
     * its, and would take it 280 ms. */
    for (unsigned ms = 0; ms < 250 && !kernel_window(); ms++)
        run_for(1);
    assert_non_null(kernel_window());
    assert_int_equal(mmu_code_window(t->mmu), IR_WINDOW_UPPER);
    assert_true(can_write(KERNEL));
    assert_int_equal(kernel_window()->n_pages, 1);
}

static bool is_left(void)
{
    return (atomic_exchange(&t->s.pending, 0) & PENDING_LEAVE) != 0;
}

/* A guest without a timer is not sampled, but when its block is left. */
static void one_that_has_to_go_is_looked_at_without_a_timer(void **state)
{
    (void)state;
    toy_add(t, 0, KERNEL, GPA, 0x1000, ALL);
    toy_enter(t, 1, 0);
    for (unsigned i = 0; i < 2; i++) {
        store_faults(KERNEL);
        mmu_fence(t->mmu, true, 0, true, 0);
        assert_false(is_left());
        kernel_window()->spent += 1000000000;
        if (i == 0)
            store_faults(KERNEL);
        else
            mmu_fence(t->mmu, true, 0, true, 0);
        assert_true(is_left());
        kernel_window()->spent -= 1000000000;
    }
    kernel_window()->failed = true;
    store_faults(KERNEL);
    assert_true(is_left());
    /* Nor does it ask for samples: they would keep it from sleeping. */
    assert_int_equal(mmu_sample(t->mmu, 0, unknown_code), 0);
    assert_null(kernel_window());
}

static void one_that_is_always_there_is_not_looked_at(void **state)
{
    (void)state;
    toy_add(t, 0, KERNEL, GPA, 0x1000, ALL);
    toy_enter(t, 1, 0);
    kernel_window()->spent += 1000000000;
    store_faults(KERNEL);
    assert_false(is_left());
}

static void without_host_mappings_it_ends_without_harm(void **state)
{
    (void)state;
    toy_add(t, 0, KERNEL, GPA, 0x1000, ALL);
    toy_add(t, 1, LARGE, GPA + 0x1000, 0x1000, ALL & ~TOY_G);
    toy_enter(t, 1, 0);
    mmu_store(&t->s, LARGE, IR_64, 7);
    ws->stats.mappings += 1 << 20; /* as if others had taken all */
    assert_int_not_equal(store_faults(KERNEL), WINDOW_OUTSIDE);
    assert_true(kernel_window()->failed);
    assert_false(can_read(KERNEL));
    ws->stats.mappings -= 1 << 20;
    enter(1, 0);
    mmu_sample(t->mmu, 0, unknown_code); /* not in force */
    assert_non_null(kernel_window());
    toy_enter(t, 2, 0);
    mmu_sample(t->mmu, 0, unknown_code);
    assert_null(kernel_window());
    assert_int_equal(mmu_code_mode(t->mmu), 0);
    mmu_store(&t->s, KERNEL, IR_64, 9);
    assert_int_equal(toy_peek(t, GPA), 9);
    assert_int_equal(ws->stats.mappings, 0);
}

/* As many mappings as the host allows, and the one more that it does not refuse. */
static unsigned take_all_mappings(uint8_t *at[MAPPINGS_MAX])
{
    unsigned n = 0;

    for (; n < MAPPINGS_MAX; n++) {
        at[n] =
            mmap(NULL, 0x1000, n % 2 ? PROT_READ : PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (at[n] == MAP_FAILED)
            break;
    }
    return n;
}

static void a_host_without_mappings_takes_pages_away_all_the_same(void **state)
{
    static uint8_t *at[MAPPINGS_MAX];

    (void)state;
    struct toy_map *p = toy_add(t, 0, KERNEL, GPA, 0x1000, ALL);

    toy_add(t, 0, KERNEL + 0x2000, GPA + 0x5000, 0x1000, ALL);
    for (unsigned one = 0; one < 2; one++) {
        toy_enter(t, 1, 0);
        store_faults(KERNEL);
        store_faults(KERNEL + 0x2000);
        assert_true(can_write(KERNEL) && can_write(KERNEL + 0x2000));
        unsigned n = take_all_mappings(at);

        if (n == MAPPINGS_MAX)
            skip();       /* a host that allows more than it should need */
        p->gpa += 0x8000; /* a fence of all addresses asks */
        mmu_fence(t->mmu, !one, KERNEL, true, 0);
        bool any = can_read(KERNEL) || (!one && can_read(KERNEL + 0x2000));
        bool failed = kernel_window()->failed;

        while (n > 0)
            munmap(at[--n], 0x1000);
        assert_true(failed && !any);
        mmu_sample(t->mmu, 0, unknown_code);
        assert_null(kernel_window());
        assert_int_equal(ws->stats.mappings, 0);
        t->mmu->common->slot.need_ns = 0;
        run_for(100);
    }
}

int main(void)
{
#define ALWAYS(f) cmocka_unit_test_setup_teardown(f, setup_kernel, teardown)
#define AUTO(f)   cmocka_unit_test_setup_teardown(f, setup_kernel_auto, teardown)
    const struct CMUnitTest tests[] = {
        ALWAYS(it_lies_before_its_view),
        ALWAYS(beside_it_nothing_can_be_reached),
        ALWAYS(an_access_over_an_end_maps_nothing_beside),
        ALWAYS(other_views_are_out_of_its_reach),
        ALWAYS(code_with_sum_is_the_same_code_without_a_window),
        ALWAYS(without_a_window_sum_has_no_code_for_one),
        AUTO(it_is_there_from_the_start),
        ALWAYS(neighbours_come_along_in_one_piece),
        ALWAYS(no_more_than_sixteen_come_along),
        ALWAYS(a_neighbour_of_another_leaf_does_not_come_along),
        ALWAYS(a_clean_neighbour_does_not_come_along_to_be_written),
        ALWAYS(only_global_pages_are_mapped),
        ALWAYS(a_users_page_is_not_the_kernels),
        ALWAYS(what_is_mapped_serves_all_spaces),
        ALWAYS(large_leaves_are_mapped_two_mib_at_a_time),
        ALWAYS(a_crossing_access_maps_both_pages),
        ALWAYS(a_fence_of_a_page_of_all_asids_drops_it),
        ALWAYS(a_fence_of_an_asid_leaves_it),
        ALWAYS(after_the_fence_the_new_page_is_seen),
        ALWAYS(only_fences_among_larger_leaves_drop_those),
        ALWAYS(a_fence_below_large_leaves_leaves_them_in_the_tables),
        ALWAYS(a_page_that_is_fenced_all_the_time_is_left_to_the_tables),
        ALWAYS(under_stress_all_together_hold_few_pages),
        ALWAYS(a_page_of_a_leaf_that_becomes_code_is_read_only),
        ALWAYS(code_is_read_only_wherever_it_is_mapped),
        ALWAYS(the_other_place_is_not_forgotten),
        ALWAYS(code_is_found_after_its_page_has_moved),
        ALWAYS(code_is_found_at_any_of_many_places),
        ALWAYS(windows_of_both_halves_hear_of_code),
        ALWAYS(other_harts_hear_of_code_too),
        AUTO(one_whose_mappings_change_all_the_time_goes),
        AUTO(one_that_has_to_go_is_looked_at_without_a_timer),
        ALWAYS(one_that_is_always_there_is_not_looked_at),
        AUTO(without_host_mappings_it_ends_without_harm),
        AUTO(a_host_without_mappings_takes_pages_away_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
