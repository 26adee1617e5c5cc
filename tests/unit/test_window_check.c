/* softmmu: what a fence of all addresses leaves of a kernel's window: what is mapped as the page
 * table still says. Others of its fences: test_window_upper.c. */
#include "tests/lib/toy_windows.h"

#define KERNEL UINT64_C(0xffffffff80000000)
#define OTHER  (KERNEL + 8 * MIB2) /* far enough for 2 MiB of its own */
#define LARGE  UINT64_C(0xffffffd000000000)
enum { ALL = TOY_R | TOY_W | TOY_X | TOY_G };

/* The window is asked when it is next entered, here by another space. */
static void fence_all(void)
{
    mmu_fence(t->mmu, true, 0, true, 0);
    toy_enter(t, 2, 7);
}

/* What is there was checked then, and is looked at only as far as that asks for. */
static void fence_again(void)
{
    for (unsigned i = 0; i < 2; i++) {
        fence_all();
        toy_enter(t, 1, 5);
    }
}

static void what_is_as_it_was_stays(void **state)
{
    (void)state;
    toy_add(t, 0, KERNEL, GPA, 0x1000, ALL);
    toy_add(t, 0, KERNEL + 0x5000, GPA + 0x3000, 0x1000, ALL);
    toy_add(t, 0, OTHER, TOY_RAM + MIB2, MIB2, ALL | TOY_DIRTY);
    toy_add(t, 0, LARGE, TOY_RAM, 2 * MIB2, ALL | TOY_DIRTY);
    toy_enter(t, 1, 5);
    store_faults(KERNEL);
    load_faults(KERNEL + 0x5000);
    store_faults(OTHER);
    store_faults(LARGE + MIB2);
    uint64_t n_pages = kernel_window()->n_pages;

    for (unsigned i = 0; i < 4; i++) {
        toy_enter(t, 1, 5);
        if (i == 1)
            enter(1, 5);
        else if (i == 2)
            toy_enter(t, 0, 0);
        if (i == 3) {
            mmu_flush_all(t->mmu);
            toy_enter(t, 1, 5);
        } else {
            fence_all();
        }
        assert_true(can_write(KERNEL) && can_read(KERNEL + 0x5000));
        assert_true(can_write(OTHER) && can_write(OTHER + MIB2 - 1));
        assert_true(can_write(LARGE + MIB2) && !can_read(LARGE));
        assert_int_equal(kernel_window()->n_pages, n_pages);
    }
    assert_int_equal(ws->stats.drops, 0);
    assert_true(ws->stats.drop_ns > 0); /* to look took time */
    assert_int_equal(ws->stats.drop_ns + mmu_stats(t->mmu)->window_fault_ns[WINDOW_MAPPED] +
                         mmu_stats(t->mmu)->window_fault_ns[WINDOW_UPDATED],
                     kernel_window()->spent);
}

/* What the tables know goes all the same: they are filled anew by one walk. */
static void the_tables_are_emptied(void **state)
{
    (void)state;
    toy_add(t, 0, KERNEL, GPA, 0x1000, ALL);
    toy_enter(t, 1, 5);
    mmu_store(&t->s, KERNEL, IR_64, 1);
    assert_true(toy_hits_store(t, KERNEL));
    fence_all();
    assert_false(toy_hits_store(t, KERNEL));
}

static void move(struct toy_map *p)
{
    p->gpa += 0x2000;
}
static void make_read_only(struct toy_map *p)
{
    p->flags &= ~(unsigned)TOY_W;
}
static void make_clean(struct toy_map *p)
{
    p->flags &= ~(unsigned)TOY_DIRTY;
}
static void make_local(struct toy_map *p)
{
    p->flags &= ~(unsigned)TOY_G;
}
static void take_away(struct toy_map *p)
{
    p->flags = 0;
}
static void forbid(struct toy_map *p)
{
    t->forbidden = p->gpa;
    t->forbidden_len = 0x1000;
    t->forbidden_access = 1u << MMU_LOAD | 1u << MMU_STORE;
}
static void forbid_stores_to_a_part(struct toy_map *p)
{
    t->forbidden = p->gpa + 0x800;
    t->forbidden_len = 8;
    t->forbidden_access = 1u << MMU_STORE;
}

static void what_has_changed_goes_with_its_two_mib(void **state)
{
    static void (*const change[])(struct toy_map * p) = {
        move, make_read_only, make_clean, make_local, take_away, forbid, forbid_stores_to_a_part};

    (void)state;
    struct toy_map *p = toy_add(t, 0, KERNEL + 0x3000, GPA, 0x1000, ALL);

    toy_add(t, 0, KERNEL, GPA + 0x10000, 0x1000, ALL);
    toy_add(t, 0, OTHER, GPA + 0x20000, 0x1000, ALL);
    for (unsigned i = 0; i < sizeof change / sizeof change[0]; i++) {
        const struct toy_map before = *p;

        toy_enter(t, 1, 5);
        store_faults(KERNEL);
        store_faults(p->va);
        store_faults(OTHER);
        assert_true(can_write(KERNEL) && can_write(p->va) && can_write(OTHER));
        change[i](p);
        fence_all();
        assert_false(can_read(p->va) || can_read(KERNEL));
        assert_true(can_write(OTHER));
        assert_int_equal(kernel_window()->n_pages, 1);
        assert_int_equal(ws->stats.drops, i + 1);
        *p = before;
        t->forbidden_len = 0;
    }
}

/* Where all is gone nobody looks again; where one of two 2 MiB is left, they do. */
static void what_is_empty_is_forgotten(void **state)
{
    (void)state;
    struct toy_map *first = toy_add(t, 0, KERNEL, GPA, 0x1000, ALL);
    struct toy_map *second = toy_add(t, 0, KERNEL + MIB2, GPA + 0x1000, 0x1000, ALL);

    toy_enter(t, 1, 5);
    store_faults(KERNEL);
    store_faults(KERNEL + MIB2);
    assert_int_equal(kernel_window()->n_used, 1);
    take_away(first);
    fence_all();
    assert_int_equal(kernel_window()->n_used, 1);
    take_away(second);
    fence_all();
    assert_int_equal(kernel_window()->n_used, 0);
    assert_int_equal(kernel_window()->n_pages, 0);
    first->flags = ALL;
    store_faults(KERNEL);
    assert_int_equal(kernel_window()->n_used, 1);
    assert_true(can_write(KERNEL));
    first->gpa += 0x3000;
    fence_all();
    assert_false(can_read(KERNEL));
}

/* One that was mapped without the right to store does not need it. */
static void a_page_for_loads_needs_no_right_to_store(void **state)
{
    (void)state;
    struct toy_map *p = toy_add(t, 0, KERNEL, GPA, 0x1000, ALL);

    toy_enter(t, 1, 5);
    load_faults(KERNEL);
    make_read_only(p);
    fence_all();
    assert_true(can_read(KERNEL));
    assert_false(can_write(KERNEL));
}

/* At the first fence behind its mapping, or at one that comes later. */
static void a_leaf_that_has_changed_goes(void **state)
{
    static void (*const change[])(struct toy_map * p) = {move, make_read_only, make_local,
                                                         take_away};

    (void)state;
    for (uint64_t len = MIB2; len <= 2 * MIB2; len += MIB2) {
        struct toy_map *p = toy_add(t, 0, LARGE + 16 * len, TOY_RAM + MIB2, len, ALL | TOY_DIRTY);

        for (unsigned i = 0; i < 2 * sizeof change / sizeof change[0]; i++) {
            const struct toy_map before = *p;

            toy_enter(t, 1, 5);
            store_faults(p->va);
            assert_true(can_write(p->va + 0x3000));
            if (i % 2)
                fence_again();
            assert_true(can_write(p->va + 0x3000));
            change[i / 2](p);
            fence_all();
            assert_false(can_read(p->va) || can_read(p->va + 0x3000));
            *p = before;
        }
        forbid_stores_to_a_part(p);
        toy_enter(t, 1, 5);
        store_faults(p->va + 0x3000);
        assert_true(can_write(p->va + 0x3000));
        fence_all(); /* its pages were mapped one by one, and it is asked about as a whole */
        assert_false(can_read(p->va + 0x3000));
        t->forbidden_len = 0;
    }
}

/* 64 KiB, or a page, and something else behind it: it is asked about all of it when they have
 * become one leaf, which begins as the first of them did. What is known of the next 2 MiB says
 * nothing of them. */
static void what_was_of_parts_is_asked_about_by_parts(void **state)
{
    (void)state;
    for (uint64_t len = 0x1000; len <= 0x10000; len += 0xf000) {
        const uint64_t va = LARGE + len * 0x1000;
        struct toy_map *a = toy_add(t, 0, va, TOY_RAM + MIB2, 0x10000, ALL | TOY_DIRTY);
        struct toy_map *b = toy_add(t, 0, va + 0x10000, GPA, len, ALL | TOY_DIRTY);

        toy_add(t, 0, va + MIB2, TOY_RAM, MIB2, ALL | TOY_DIRTY);
        toy_enter(t, 1, 5);
        store_faults(va);
        store_faults(b->va);
        store_faults(va + MIB2);
        fence_again();
        assert_true(can_write(va) && can_write(b->va) && can_write(va + MIB2));
        a->len = MIB2;
        b->flags = 0;
        fence_all();
        assert_false(can_read(b->va));
    }
}

/* The leaf was elsewhere for a moment, with no fence, when one of its pages was mapped. */
static void a_page_that_came_since_is_asked_about(void **state)
{
    (void)state;
    const uint64_t va = LARGE + MIB2;
    struct toy_map *p = toy_add(t, 0, va, TOY_RAM + MIB2, MIB2, ALL | TOY_DIRTY);

    toy_add(t, 0, LARGE, TOY_RAM, MIB2, ALL | TOY_DIRTY);
    toy_enter(t, 1, 5);
    store_faults(LARGE);
    forbid_stores_to_a_part(p); /* pages are mapped one by one */
    store_faults(va + 0x3000);
    t->forbidden_len = 0;
    fence_again();
    assert_true(can_write(va + 0x3000));
    forbid_stores_to_a_part(p);
    move(p);
    store_faults(va + 0x100000);
    assert_true(can_write(va + 0x3000) && can_write(va + 0x100000));
    p->gpa -= 0x2000;
    t->forbidden_len = 0;
    fence_all();
    assert_true(can_write(LARGE));
    assert_false(can_read(va + 0x100000));
}

/* The same addresses lead to the same bytes, but a fence of one page would take away too little. */
static void a_leaf_of_another_size_goes(void **state)
{
    (void)state;
    struct toy_map *p = toy_add(t, 0, LARGE, TOY_RAM, 2 * MIB2, ALL | TOY_DIRTY);

    toy_enter(t, 1, 5);
    store_faults(LARGE + 0x1000);
    fence_again();
    p->len = MIB2;
    fence_all();
    assert_false(can_read(LARGE + 0x1000));
    store_faults(LARGE + 0x1000);
    p->len = 2 * MIB2;
    fence_all();
    assert_false(can_read(LARGE + 0x1000));
    store_faults(LARGE + 0x1000);
    fence_again();
    p->va += 0x1000; /* 2 MiB become pages */
    p->gpa += 0x1000;
    p->len = 0x1000;
    fence_all();
    assert_false(can_read(LARGE + 0x1000));
}

/* Those above 2 MiB that stay are known as such, those that go are forgotten: a fence of a page
 * among them would drop all. */
static void larger_leaves_are_still_known(void **state)
{
    (void)state;
    toy_add(t, 0, LARGE, TOY_RAM, 2 * MIB2, ALL | TOY_DIRTY);
    struct toy_map *far = toy_add(t, 0, LARGE + 64 * MIB2, TOY_RAM, 2 * MIB2, ALL | TOY_DIRTY);

    toy_add(t, 0, LARGE + 32 * MIB2, GPA, 0x1000, ALL);
    toy_enter(t, 1, 5);
    store_faults(LARGE + MIB2);
    store_faults(far->va);
    store_faults(LARGE + 32 * MIB2);
    fence_again();
    take_away(far);
    fence_all();
    assert_true(can_write(LARGE + MIB2) && !can_read(far->va));
    mmu_fence(t->mmu, false, LARGE + 32 * MIB2, true, 0);
    assert_true(can_write(LARGE + MIB2));
    mmu_fence(t->mmu, false, LARGE, true, 0);
    assert_false(can_read(LARGE + MIB2));
}

/* A page of code is read-only, and stays so; one that becomes code is found. */
static void code_is_as_read_only_as_before(void **state)
{
    (void)state;
    toy_add(t, 0, LARGE, TOY_RAM, MIB2, ALL | TOY_DIRTY);
    toy_enter(t, 1, 5);
    track_protect(t->track, TOY_RAM + 0x3000);
    store_faults(LARGE + 0x1000);
    assert_true(can_write(LARGE + 0x1000) && can_read(LARGE + 0x3000));
    assert_false(can_write(LARGE + 0x3000));
    fence_all();
    assert_true(can_write(LARGE + 0x1000) && can_read(LARGE + 0x3000));
    assert_false(can_write(LARGE + 0x3000));
    track_protect(t->track, TOY_RAM + 0x1000);
    assert_false(can_write(LARGE + 0x1000));
    assert_true(can_write(LARGE + 0x2000));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_kernel, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_as_it_was_stays),
        TEST(the_tables_are_emptied),
        TEST(what_has_changed_goes_with_its_two_mib),
        TEST(what_is_empty_is_forgotten),
        TEST(a_page_for_loads_needs_no_right_to_store),
        TEST(a_leaf_that_has_changed_goes),
        TEST(a_page_that_came_since_is_asked_about),
        TEST(what_was_of_parts_is_asked_about_by_parts),
        TEST(a_leaf_of_another_size_goes),
        TEST(larger_leaves_are_still_known),
        TEST(code_is_as_read_only_as_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
