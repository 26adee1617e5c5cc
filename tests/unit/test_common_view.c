/* softmmu: the view that a kernel has in all spaces: what stays in it when the space changes, and
 * what a fence drops. */
#include "tests/lib/toy_kernel.h"

#include "dbt/ir/ir.h"

/* In the upper half: of the kernel, of one space only; in the lower: marked global all the same. */
#define KERNEL UINT64_C(0xffffffff80000000)
#define OWN    UINT64_C(0xffffffff80001000)
#define BELOW  UINT64_C(0x10000)
#define PLAIN  UINT64_C(0x11000)
#define LARGE  UINT64_C(0xffffffd000400000)
#define GPA(i) (TOY_RAM + UINT64_C(0x1000) * (i))
enum { ALL = TOY_R | TOY_W | TOY_X };

static struct toy *t;

static int setup(void **state)
{
    (void)state;
    t = toy_create_sharing(NULL, &toy_kernel);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    toy_destroy(t);
    return 0;
}

static void enter_user(uint64_t key, uint32_t asid)
{
    toy_switch(t, key, asid, TOY_USER, TOY_USER, 0);
}

static bool is_common(void)
{
    return t->mmu->slot == &t->mmu->common->slot;
}

/* Space 1 has asid 5, space 2 has 7: each its own pages, beside the kernel's. */
static void add_pages(void)
{
    toy_add(t, 0, KERNEL, GPA(0), 0x1000, ALL | TOY_G);
    for (uint64_t key = 1; key <= 2; key++) {
        toy_add(t, key, OWN, GPA(4 * key), 0x1000, ALL);
        toy_add(t, key, BELOW, GPA(4 * key + 1), 0x1000, ALL | TOY_G);
        toy_add(t, key, PLAIN, GPA(4 * key + 2), 0x1000, ALL);
    }
}

static void touch_all(void)
{
    toy_touch(t, KERNEL);
    toy_touch(t, OWN);
    toy_touch(t, BELOW);
    toy_touch(t, PLAIN);
}

/* ---- What stays ------------------------------------------------------------------------------ */

static void a_global_page_serves_all_spaces(void **state)
{
    void *view;
    unsigned walks;

    (void)state;
    add_pages();
    toy_enter(t, 1, 5);
    toy_touch(t, KERNEL);
    view = t->s.view;
    walks = t->walks;
    for (uint64_t key = 2; key < 200; key++) { /* more than there are spaces */
        toy_enter(t, key, 7);
        assert_ptr_equal(t->s.view, view);
        assert_true(toy_hits_both(t, KERNEL));
        enter_user(key, 7);
        assert_ptr_not_equal(t->s.view, view);
        assert_true(toy_hits_none(t, KERNEL));
    }
    assert_int_equal(t->walks, walks);
}

static void other_pages_are_of_the_space(void **state)
{
    (void)state;
    add_pages();
    for (uint64_t i = 0; i < 3; i++) {
        toy_poke(t, GPA(4 + i), 100 + i);
        toy_poke(t, GPA(8 + i), 200 + i);
    }
    toy_enter(t, 1, 5);
    for (unsigned round = 0; round < 4; round++) {
        uint64_t key = round % 2 + 1;

        toy_enter(t, key, key == 1 ? 5 : 7);
        assert_true(toy_hits_none(t, OWN) && toy_hits_none(t, BELOW) && toy_hits_none(t, PLAIN));
        assert_int_equal(mmu_load(&t->s, OWN, IR_64), 100 * key);
        assert_int_equal(mmu_load(&t->s, BELOW, IR_64), 100 * key + 1);
        assert_int_equal(mmu_load(&t->s, PLAIN, IR_64), 100 * key + 2);
    }
}

/* The commonest switches of all: a process traps to its kernel and comes back. */
static void nothing_goes_while_the_space_stays(void **state)
{
    (void)state;
    add_pages();
    toy_enter(t, 1, 5);
    touch_all();
    enter_user(1, 5);
    toy_enter(t, 1, 5);
    assert_true(toy_hits_both(t, KERNEL) && toy_hits_both(t, OWN) && toy_hits_both(t, BELOW) &&
                toy_hits_both(t, PLAIN));
    enter_user(2, 7); /* another process, which has not trapped since */
    enter_user(1, 5);
    toy_enter(t, 1, 5);
    assert_true(toy_hits_both(t, OWN) && toy_hits_both(t, BELOW) && toy_hits_both(t, PLAIN));
    toy_enter(t, 1, 6); /* the same root under another asid is another space */
    assert_true(toy_hits_both(t, KERNEL) && toy_hits_none(t, OWN) && toy_hits_none(t, BELOW) &&
                toy_hits_none(t, PLAIN));
}

static void other_rights_and_no_translation_have_their_own(void **state)
{
    void *view;

    (void)state;
    add_pages();
    toy_enter(t, 1, 5);
    touch_all();
    view = t->s.view;
    toy_switch(t, 1, 5, TOY_SUM, TOY_SUPER, 0);
    assert_ptr_not_equal(t->s.view, view);
    assert_true(toy_hits_none(t, KERNEL) && toy_hits_none(t, OWN));
    touch_all();
    toy_switch(t, 2, 7, TOY_SUM, TOY_SUPER, 0);
    assert_true(toy_hits_none(t, KERNEL) && toy_hits_none(t, OWN)); /* a view for each space */
    toy_switch(t, 1, 5, TOY_SUM, TOY_SUPER, 0);
    assert_true(toy_hits_both(t, KERNEL) && toy_hits_both(t, OWN));
    toy_enter(t, 0, 0);
    assert_ptr_not_equal(t->s.view, view);
    assert_true(toy_hits_none(t, KERNEL) && toy_hits_none(t, OWN));
    toy_enter(t, 1, 5); /* and they have not made it another space's */
    assert_ptr_equal(t->s.view, view);
    assert_true(toy_hits_both(t, KERNEL) && toy_hits_both(t, OWN));
}

/* A recycled space may lie where the one lay that the pages are of. */
static void pages_of_a_recycled_space_are_nobodys(void **state)
{
    const struct space *first;
    bool met = false;

    (void)state;
    add_pages();
    toy_enter(t, 1, 5);
    touch_all();
    first = t->mmu->space;
    for (uint64_t key = 2; key < 200; key++) {
        enter_user(key, 7);
        t->mmu->space->n_own = 1; /* as one that is used */
        if (t->mmu->space != first)
            continue;
        met = true;
        toy_enter(t, key, 7);
        assert_true(toy_hits_both(t, KERNEL));
        assert_true(toy_hits_none(t, OWN) && toy_hits_none(t, BELOW) && toy_hits_none(t, PLAIN));
        break;
    }
    assert_true(met);
}

/* A fence by asid must not take one that is gone for the one in its place. */
static void a_fence_may_name_the_asid_of_a_recycled_space(void **state)
{
    (void)state;
    add_pages();
    toy_enter(t, 1, 5);
    touch_all();
    for (uint64_t key = 2; key < 70; key++) {
        enter_user(key, 7);
        t->mmu->space->n_own = 1;
    }
    assert_null(t->mmu->common->of);
    mmu_fence(t->mmu, false, OWN, false, 5);
    mmu_fence(t->mmu, true, 0, false, 5);
    toy_enter(t, 1, 5);
    assert_true(toy_hits_both(t, KERNEL) && toy_hits_none(t, OWN));
}

static void cells_go_with_the_space(void **state)
{
    struct mmu_view *v;

    (void)state;
    add_pages();
    toy_enter(t, 1, 5);
    touch_all();
    v = t->s.view;
    v->cell[3] = v->load[tlb_index(PLAIN)];
    v->cell_chunks |= 1u << 3 / CELL_CHUNK;
    v->chunks_of[tlb_index(PLAIN)] |= 1u << 3 / CELL_CHUNK;
    enter_user(2, 7);
    toy_enter(t, 1, 5);
    assert_int_equal(v->cell[3].tag, PLAIN);
    toy_enter(t, 2, 7);
    assert_ptr_equal(t->s.view, v);
    assert_int_equal(v->cell[3].tag, TLB_EMPTY);
}

/* ---- Fences ------------------------------------------------------------------------------------
 */

struct form {
    bool all_va, all_asid;
    uint64_t va;
    uint32_t asid;
    bool kernel, own, below; /* stay */
};

/* Pages are space 1's, of asid 5; the fence names one address or all, one asid or all. */
static const struct form forms[] = {
    {false, true, KERNEL, 0, false, true, true},
    {false, true, OWN + 0xabc, 0, true, false, true},
    {false, true, BELOW, 0, true, true, false},
    {false, false, KERNEL, 5, true, true, true}, /* global */
    {false, false, OWN, 5, true, false, true},
    {false, false, OWN, 7, true, true, true},    /* another's */
    {false, false, BELOW, 5, true, true, false}, /* global: but it is the space's here */
    {true, false, 0, 5, true, false, false},
    {true, false, 0, 7, true, true, true},
    {true, true, 0, 0, false, false, false},
};
enum { N_FORMS = sizeof forms / sizeof forms[0] };

static void each_fence_drops_what_it_names(void **state)
{
    (void)state;
    add_pages();
    for (unsigned i = 0; i < N_FORMS; i++) {
        const struct form *f = &forms[i];

        toy_enter(t, 1, 5);
        touch_all();
        mmu_fence(t->mmu, f->all_va, f->va, f->all_asid, f->asid);
        assert_true(is_common());
        assert_int_equal(toy_hits_both(t, KERNEL), f->kernel);
        assert_int_equal(toy_hits_none(t, KERNEL), !f->kernel);
        assert_int_equal(toy_hits_both(t, OWN), f->own);
        assert_int_equal(toy_hits_none(t, OWN), !f->own);
        assert_int_equal(toy_hits_none(t, BELOW), !f->below);
    }
}

/* The space is in force with other rights, or another space is. */
static void each_fence_is_heard_while_another_view_is_in_force(void **state)
{
    (void)state;
    add_pages();
    for (unsigned i = 0; i < 3 * N_FORMS; i++) {
        const struct form *f = &forms[i % N_FORMS];

        toy_enter(t, 1, 5);
        touch_all();
        if (i < N_FORMS)
            enter_user(1, 5);
        else if (i < 2 * N_FORMS)
            enter_user(2, 7);
        else
            toy_enter(t, 0, 0);
        mmu_fence(t->mmu, f->all_va, f->va, f->all_asid, f->asid);
        toy_enter(t, 1, 5);
        assert_int_equal(toy_hits_both(t, KERNEL), f->kernel);
        assert_int_equal(toy_hits_none(t, KERNEL), !f->kernel);
        assert_int_equal(toy_hits_none(t, OWN), !f->own);
        assert_int_equal(toy_hits_none(t, BELOW), !f->below);
    }
}

/* Its global pages are every space's: a fence for all asids of another space drops them here. */
static void a_fence_in_another_space_drops_the_kernels_page(void **state)
{
    struct toy_map *p = toy_add(t, 0, KERNEL, GPA(0), 0x1000, ALL | TOY_G);

    (void)state;
    toy_enter(t, 1, 5);
    toy_touch(t, KERNEL);
    toy_enter(t, 2, 7);
    p->gpa = GPA(20);
    mmu_fence(t->mmu, false, KERNEL, true, 0);
    toy_enter(t, 1, 5);
    mmu_store(&t->s, KERNEL, IR_64, 55);
    assert_int_equal(toy_peek(t, GPA(20)), 55);
}

/* Two fences, the second of which names less: the first is not forgotten. */
static void a_smaller_fence_does_not_hide_a_larger_one(void **state)
{
    (void)state;
    add_pages();
    toy_enter(t, 1, 5);
    touch_all();
    enter_user(1, 5);
    mmu_fence(t->mmu, true, 0, true, 0);
    mmu_fence(t->mmu, true, 0, false, 5);
    toy_enter(t, 1, 5);
    assert_true(toy_hits_none(t, KERNEL) && toy_hits_none(t, OWN));
    touch_all();
    enter_user(2, 7);
    mmu_fence(t->mmu, true, 0, false, 5);
    toy_enter(t, 2, 7);
    assert_true(toy_hits_both(t, KERNEL) && toy_hits_none(t, OWN));
}

/* Two roots under one asid: it names both. */
static void a_fence_of_an_asid_is_for_all_its_spaces(void **state)
{
    (void)state;
    add_pages();
    toy_enter(t, 1, 5);
    touch_all();
    enter_user(2, 5);
    mmu_fence(t->mmu, false, OWN, false, 5);
    toy_enter(t, 1, 5);
    assert_true(toy_hits_none(t, OWN) && toy_hits_both(t, PLAIN));
    enter_user(2, 5);
    mmu_fence(t->mmu, true, 0, false, 5);
    toy_enter(t, 1, 5);
    assert_true(toy_hits_both(t, KERNEL) && toy_hits_none(t, PLAIN));
}

static void a_change_of_protection_drops_all(void **state)
{
    (void)state;
    add_pages();
    for (unsigned i = 0; i < 3; i++) {
        toy_enter(t, 1, 5);
        touch_all();
        if (i)
            toy_enter(t, i == 1 ? 0 : 2, 7);
        mmu_flush_all(t->mmu);
        toy_enter(t, 1, 5);
        assert_true(toy_hits_none(t, KERNEL) && toy_hits_none(t, OWN) && toy_hits_none(t, BELOW));
    }
}

static void a_huge_leaf_goes_as_a_whole(void **state)
{
    (void)state;
    toy_add(t, 0, LARGE, TOY_RAM, UINT64_C(1) << 22, ALL | TOY_G);
    toy_enter(t, 1, 5);
    toy_touch(t, LARGE);
    toy_enter(t, 2, 7);
    toy_touch(t, LARGE + 0x5000);
    assert_true(toy_hits_both(t, LARGE));
    mmu_fence(t->mmu, false, LARGE + 0x9000, false, 7); /* global */
    assert_true(toy_hits_both(t, LARGE) && toy_hits_both(t, LARGE + 0x5000));
    mmu_fence(t->mmu, false, LARGE + 0x9000, true, 0);
    assert_true(toy_hits_none(t, LARGE) && toy_hits_none(t, LARGE + 0x5000));
}

static void a_huge_leaf_that_is_not_global_goes_with_the_space(void **state)
{
    (void)state;
    toy_add(t, 0, LARGE, TOY_RAM, UINT64_C(1) << 22, ALL);
    toy_add(t, 0, KERNEL, GPA(0), 0x1000, ALL | TOY_G);
    toy_enter(t, 1, 5);
    toy_touch(t, LARGE);
    toy_touch(t, LARGE + 0x5000);
    toy_touch(t, KERNEL);
    mmu_fence(t->mmu, false, LARGE + 0x9000, false, 5);
    assert_true(toy_hits_none(t, LARGE) && toy_hits_none(t, LARGE + 0x5000));
    toy_touch(t, LARGE);
    toy_enter(t, 2, 7);
    assert_true(toy_hits_none(t, LARGE) && toy_hits_both(t, KERNEL));
}

/* A leaf that has become larger, or global, without a fence: the fence then drops old and new. */
static void a_page_that_changes_sides_is_dropped_as_it_was_filled(void **state)
{
    struct toy_map *p = toy_add(t, 0, KERNEL, GPA(0), 0x1000, ALL);

    (void)state;
    toy_enter(t, 1, 5);
    mmu_load(&t->s, KERNEL, IR_64); /* not global */
    p->flags |= TOY_G;
    mmu_store(&t->s, KERNEL, IR_64, 1);
    toy_enter(t, 2, 7);
    assert_true(!toy_hits_load(t, KERNEL) && toy_hits_store(t, KERNEL));
    mmu_fence(t->mmu, false, KERNEL, true, 0);
    assert_true(toy_hits_none(t, KERNEL));
}

/* ---- Kernels that are not so --------------------------------------------------------------------
 */

/* Goes back and forth between two spaces with a page of its own in each, n times. */
static void lose(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t key = 1 + i % 2;

        toy_enter(t, key, 5);
        toy_touch(t, OWN);
        enter_user(key, 5);
    }
}

static void without_global_pages_each_space_has_its_own_again(void **state)
{
    void *first, *second;

    (void)state;
    add_pages();
    lose(COMMON_TRIAL);
    assert_true(!t->mmu->common->is_of_no_use);
    lose(1);
    assert_true(t->mmu->common->is_of_no_use);
    for (unsigned i = 0; i < 3; i++) {
        toy_enter(t, 1, 5);
        assert_int_equal(toy_hits_both(t, OWN), i > 0);
        toy_touch(t, OWN);
        first = t->s.view;
        toy_enter(t, 2, 5);
        assert_int_equal(toy_hits_both(t, OWN), i > 0);
        toy_touch(t, OWN);
        second = t->s.view;
        assert_ptr_not_equal(first, second);
        assert_false(is_common());
    }
    mmu_store(&t->s, OWN, IR_64, 77);
    assert_int_equal(toy_peek(t, GPA(8)), 77);
    mmu_fence(t->mmu, false, OWN, true, 0);
    assert_true(toy_hits_none(t, OWN));
}

/* What is in force when the trial ends stays right until the next switch. */
static void the_view_in_force_is_right_when_the_trial_ends(void **state)
{
    uint64_t key = 1;

    (void)state;
    add_pages();
    for (unsigned n = 0; n < 200 && !t->mmu->common->is_of_no_use; n++, key = 3 - key) {
        toy_enter(t, key, 5);
        mmu_store(&t->s, OWN, IR_64, key);
    }
    key = 3 - key;
    assert_true(is_common());
    mmu_store(&t->s, OWN, IR_64, 50 + key);
    assert_int_equal(toy_peek(t, GPA(4 * key)), 50 + key);
    assert_int_equal(toy_peek(t, GPA(4 * (3 - key))), 3 - key);
    mmu_fence(t->mmu, false, OWN, true, 0);
    assert_true(toy_hits_none(t, OWN));
    mmu_fence(t->mmu, true, 0, true, 0); /* takes what is in force into force again */
    assert_false(is_common());
}

static void a_kernel_that_seldom_has_others_keeps_it(void **state)
{
    (void)state;
    add_pages();
    for (unsigned i = 0; i < 2000; i++) {
        toy_enter(t, 1 + i % 2, 5);
        if (i % 8 == 0)
            toy_touch(t, OWN);
        toy_touch(t, KERNEL);
        enter_user(1 + i % 2, 5);
    }
    assert_true(t->mmu->common->n_lost > COMMON_TRIAL);
    toy_enter(t, 1, 5);
    assert_true(is_common());
}

/* Losses count by the changes of space that cost them, not by traps. */
static void traps_are_no_losses(void **state)
{
    (void)state;
    add_pages();
    for (unsigned i = 0; i < 500; i++) {
        toy_enter(t, 1, 5);
        toy_touch(t, OWN);
        enter_user(1, 5);
        mmu_fence(t->mmu, true, 0, false, 5);
    }
    toy_enter(t, 1, 5);
    assert_true(is_common());
    assert_int_equal(t->mmu->common->n_lost, 0);
}

/* ---- With windows -------------------------------------------------------------------------------
 */

static void with_windows(enum window_policy policy, void (*f)(struct windows *ws))
{
    struct windows *ws;
    void *unused = NULL;

    setup(&unused);
    ws = windows_create(&t->phys, t->track, policy, 1, 1);
    mmu_set_windows(t->mmu, ws);
    add_pages();
    f(ws);
    mmu_destroy(t->mmu);
    assert_int_equal(ws->stats.open, 0);
    windows_destroy(ws);
    track_destroy(t->track);
    phys_fini(&t->phys);
    free(t);
}

static void lose_window(struct windows *ws)
{
    uint64_t salt;

    toy_enter(t, 1, 5);
    assert_int_equal(mmu_code_mode(t->mmu), IR_MODE_WINDOW);
    assert_int_equal(mmu_code_window(t->mmu), IR_WINDOW_UPPER);
    salt = t->s.salt[1];
    toy_switch(t, 1, 5, TOY_SUM, TOY_SUPER, 0);
    assert_int_equal(mmu_code_mode(t->mmu), IR_MODE_WINDOW);
    lose(COMMON_TRIAL + 4);
    toy_enter(t, 1, 5);
    assert_false(is_common());
    assert_null(t->mmu->common->slot.window);
    toy_touch(t, OWN);
    if (ws->policy == WINDOWS_AUTO) {
        assert_int_equal(mmu_code_mode(t->mmu), 0);
        assert_int_equal(ws->stats.open, 0);
    } else {
        assert_int_equal(mmu_code_mode(t->mmu), IR_MODE_WINDOW);
        assert_int_equal(mmu_code_window(t->mmu), IR_WINDOW_UPPER);
        assert_int_equal(mmu_window_fault(t->mmu, OWN, 8, MMU_STORE), WINDOW_MAPPED);
    }
    assert_true(ws->policy != WINDOWS_AUTO || t->s.salt[1] != salt);
    toy_switch(t, 1, 5, TOY_SUM, TOY_SUPER, 0);
    assert_int_equal(mmu_code_mode(t->mmu), 0);
    toy_enter(t, 2, 5);
    assert_true(toy_hits_none(t, OWN) || t->s.view != t->mmu->common->slot.view);
}

static void its_window_goes_with_it(void **state)
{
    (void)state;
    with_windows(WINDOWS_AUTO, lose_window);
    with_windows(WINDOWS_ALWAYS, lose_window);
}

/* The entries that --stress=table would drop next lay in the window's view. */
static void lose_under_stress(struct windows *ws)
{
    const uint64_t users = 0x100000;

    toy_add(t, 1, users, GPA(30), 0x1000, ALL | TOY_U);
    mmu_stress(t->mmu);
    enter_user(1, 5);
    for (unsigned ms = 0; ms < 2000 && !t->mmu->slot->window; ms++) {
        t->mmu->sampled_at = window_clock() - 1000000;
        mmu_sample(t->mmu, 0, (struct mmu_density){.n_insns = 0});
    }
    assert_non_null(t->mmu->slot->window);
    toy_enter(t, 1, 5);
    for (uint64_t i = 0; i < 8; i++) {
        mmu_load(&t->s, i % 2 ? OWN : KERNEL, IR_64);
        mmu_window_fault(t->mmu, KERNEL, 8, MMU_STORE);
    }
    assert_true(window_has(t->mmu->slot->window, KERNEL, true));
    lose(COMMON_TRIAL + 4);
    assert_null(t->mmu->common->slot.window);
    for (unsigned i = 0; i < 12; i++) {
        toy_enter(t, 1 + i % 2, 5);
        touch_all();
        if (t->mmu->slot->window)
            mmu_window_fault(t->mmu, OWN, 8, MMU_STORE);
    }
    enter_user(1, 5);
    mmu_window_fault(t->mmu, users, 8, MMU_LOAD);
    assert_int_equal(ws->stats.open, ws->policy == WINDOWS_ALWAYS ? 4 : 1); /* the users', too */
}

static void stress_forgets_what_was_there(void **state)
{
    (void)state;
    with_windows(WINDOWS_AUTO, lose_under_stress);
    with_windows(WINDOWS_ALWAYS, lose_under_stress);
}

static void under_stress_few_entries_live(void **state)
{
    unsigned live = 0;

    (void)state;
    mmu_stress(t->mmu);
    for (uint64_t i = 0; i < 32; i++)
        toy_add(t, 0, KERNEL + 0x1000 * i, GPA(i), 0x1000, ALL | TOY_G);
    for (uint64_t i = 0; i < 32; i++) {
        toy_enter(t, 1 + i % 3, 5);
        mmu_load(&t->s, KERNEL + 0x1000 * i, IR_64);
        assert_true(toy_hits_load(t, KERNEL + 0x1000 * i));
    }
    for (uint64_t i = 0; i < 32; i++)
        live += toy_hits_load(t, KERNEL + 0x1000 * i);
    assert_int_equal(live, N_RECENT);
}

/* ---- Harts --------------------------------------------------------------------------------------
 */

static void each_hart_has_its_own_and_hears_of_fences_late(void **state)
{
    struct salts *salts = salts_create(2);
    struct toy *hart[2] = {toy_create_sharing(salts, &toy_kernel),
                           toy_create_sharing(salts, &toy_kernel)};
    uint64_t moment;

    (void)state;
    for (unsigned k = 0; k < 2; k++) {
        struct toy *one = hart[k];

        toy_add(one, 0, KERNEL, GPA(0), 0x1000, ALL | TOY_G);
        toy_add(one, 0, OWN, GPA(1), 0x1000, ALL);
        toy_enter(one, 1, 5);
        mmu_load(&one->s, KERNEL, IR_64);
        mmu_load(&one->s, OWN, IR_64);
        toy_enter(one, 2, 7);
        assert_true(toy_hits_load(one, KERNEL) && !toy_hits_load(one, OWN));
        mmu_load(&one->s, OWN, IR_64);
    }
    assert_ptr_not_equal(hart[0]->s.view, hart[1]->s.view);
    moment = mmu_moment(hart[0]->mmu);
    mmu_fence_since(hart[0]->mmu, moment, false, KERNEL, true, 0);
    assert_true(!toy_hits_load(hart[0], KERNEL) && toy_hits_load(hart[1], KERNEL));
    mmu_fence_since(hart[1]->mmu, moment, false, KERNEL, true, 0);
    assert_false(toy_hits_load(hart[1], KERNEL));
    mmu_load(&hart[1]->s, KERNEL, IR_64);
    toy_switch(hart[1], 2, 7, TOY_USER, TOY_USER, 0);
    mmu_fence_since(hart[1]->mmu, moment, true, 0, false, 7);
    toy_enter(hart[1], 2, 7);
    assert_true(toy_hits_load(hart[1], KERNEL) && !toy_hits_load(hart[1], OWN));
    toy_switch(hart[1], 2, 7, TOY_USER, TOY_USER, 0);
    mmu_fence_since(hart[1]->mmu, moment, true, 0, true, 0);
    toy_enter(hart[1], 1, 5);
    assert_false(toy_hits_load(hart[1], KERNEL));
    toy_destroy(hart[0]);
    toy_destroy(hart[1]);
    salts_destroy(salts);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_global_page_serves_all_spaces),
        TEST(other_pages_are_of_the_space),
        TEST(nothing_goes_while_the_space_stays),
        TEST(other_rights_and_no_translation_have_their_own),
        TEST(pages_of_a_recycled_space_are_nobodys),
        TEST(a_fence_may_name_the_asid_of_a_recycled_space),
        TEST(cells_go_with_the_space),
        TEST(each_fence_drops_what_it_names),
        TEST(each_fence_is_heard_while_another_view_is_in_force),
        TEST(a_fence_in_another_space_drops_the_kernels_page),
        TEST(a_smaller_fence_does_not_hide_a_larger_one),
        TEST(a_fence_of_an_asid_is_for_all_its_spaces),
        TEST(a_change_of_protection_drops_all),
        TEST(a_huge_leaf_goes_as_a_whole),
        TEST(a_huge_leaf_that_is_not_global_goes_with_the_space),
        TEST(a_page_that_changes_sides_is_dropped_as_it_was_filled),
        TEST(without_global_pages_each_space_has_its_own_again),
        TEST(the_view_in_force_is_right_when_the_trial_ends),
        TEST(a_kernel_that_seldom_has_others_keeps_it),
        TEST(traps_are_no_losses),
        cmocka_unit_test(its_window_goes_with_it),
        cmocka_unit_test(stress_forgets_what_was_there),
        TEST(under_stress_few_entries_live),
        cmocka_unit_test(each_hart_has_its_own_and_hears_of_fences_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
