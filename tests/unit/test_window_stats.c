/* softmmu: windows: what --stats counts of them, and what -d mmu tells. */
#include "tests/lib/toy_windows.h"

#include "dbt/base/log.h"

enum { PARTLY = 0x4000, CODE = 0x6000 }; /* from LOW and GPA on */

static void add_one_of_each(void)
{
    toy_add(t, 1, LOW, GPA, 0x1000, USER);
    toy_add(t, 1, LOW + 0x1000, GPA + 0x1000, 0x1000, USER | TOY_DIRTY);
    toy_add(t, 1, LOW + 0x2000, TOY_DEVICE, 0x1000, USER);
    toy_add(t, 1, LOW + PARTLY, GPA + PARTLY, 0x1000, USER);
    toy_add(t, 1, LOW + CODE, GPA + CODE, 0x1000, USER | TOY_DIRTY);
    toy_add(t, 1, FAR + 0xf000, GPA + 0x8000, 0x1000, USER);
    toy_add(t, 1, FAR + 0x10000, GPA + 0xa000, 0x1000, USER);
    t->forbidden = GPA + PARTLY;
    t->forbidden_len = 8;
    t->forbidden_access = 1 << MMU_LOAD | 1 << MMU_STORE;
    track_protect(t->track, GPA + CODE);
}

static const struct {
    uint64_t va;
    enum mmu_access access;
    enum mmu_window_fault kind;
} faults[] = {
    {LOW, MMU_LOAD, WINDOW_MAPPED}, /* and its neighbour, for stores */
    {LOW, MMU_STORE, WINDOW_UPDATED},
    {LOW + 0x3000, MMU_LOAD, WINDOW_GUEST},
    {LOW + 0x1ffc, MMU_STORE, WINDOW_DEVICE}, /* by its second half */
    {LOW + 0x3ffc, MMU_STORE, WINDOW_GUEST},  /* by its first */
    {LOW + PARTLY + 8, MMU_LOAD, WINDOW_PART},
    {LOW + PARTLY, MMU_LOAD, WINDOW_GUEST},
    {LOW + CODE, MMU_LOAD, WINDOW_MAPPED},
    {LOW + CODE, MMU_STORE, WINDOW_CODE},
    {FAR + 0xfffc, MMU_LOAD, WINDOW_CROSSING},
    {FAR + 0xfffc, MMU_STORE, WINDOW_CROSSING},
    {TOY_LIMIT, MMU_LOAD, WINDOW_OUTSIDE},
    {UINT64_MAX - 7, MMU_STORE, WINDOW_OUTSIDE},
};

static void kinds_of_faults_are_told_apart(void **state)
{
    struct mmu_stats want = {0};
    const struct mmu_stats *u = mmu_stats(t->mmu);

    (void)state;
    add_one_of_each();
    enter(1, 0);
    for (unsigned i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        enum mmu_window_fault kind = mmu_window_fault(t->mmu, faults[i].va, 8, faults[i].access);

        if (kind != faults[i].kind)
            fail_msg("fault %u is of kind %d, not %d", i, kind, faults[i].kind);
        want.window_faults[kind]++;
    }
    while (mmu_window_fault(t->mmu, LOW, 8, MMU_LOAD) != WINDOW_SHUNNED) {
        mmu_fence(t->mmu, false, LOW, true, 0);
        assert_true(++want.window_faults[WINDOW_MAPPED] < 100);
    }
    want.window_faults[WINDOW_SHUNNED]++;
    ws->first->failed = true;
    assert_int_equal(store_faults(LOW), WINDOW_REFUSED);
    want.window_faults[WINDOW_REFUSED]++;
    for (unsigned k = 0; k < WINDOW_FAULT_KINDS; k++) {
        assert_int_equal(u->window_faults[k], want.window_faults[k]);
        assert_true(u->window_faults[k] > 0 || k == WINDOW_LOCAL);
        /* A signal alone is some microseconds. */
        assert_in_range(u->window_fault_ns[k], 1000 * u->window_faults[k], UINT64_C(60000000000));
    }
}

#define A_SECOND UINT64_C(1000000000)

/* Another hart's thread spends a second on the window while a fault is served. */
static bool peek_meanwhile(struct cpu_state *s, uint64_t gva, enum mmu_access access,
                           uint64_t rights, struct mmu_map *map)
{
    atomic_fetch_add(&ws->first->spent, A_SECOND);
    return toy_peek_map(s, gva, access, rights, map);
}

static void what_others_spend_is_not_a_faults(void **state)
{
    struct mmu_guest ops = *t->mmu->guest;
    const struct mmu_stats *u = mmu_stats(t->mmu);
    uint64_t spent;

    (void)state;
    ops.peek = peek_meanwhile;
    toy_add(t, 1, LOW, GPA, 0x1000, USER);
    enter(1, 0);
    t->mmu->guest = &ops;
    spent = atomic_load(&ws->first->spent);
    assert_int_equal(mmu_window_fault(t->mmu, LOW, 8, MMU_LOAD), WINDOW_MAPPED);
    assert_true(atomic_load(&ws->first->spent) > spent + A_SECOND);
    assert_in_range(u->window_fault_ns[WINDOW_MAPPED], 1, A_SECOND - 1);
    t->mmu->guest = &toy_guest;
}

#define HIGH (UINT64_MAX - TOY_LIMIT + 1)

static bool kernel_rights(uint64_t space_key, uint64_t rights)
{
    return space_key != 0 && rights == TOY_SUPER;
}
static uint64_t kernel_bound(uint64_t space_key, uint64_t rights)
{
    return kernel_rights(space_key, rights) ? HIGH : 0;
}

/* In the kernel's window, which stays when the space changes. */
static void a_page_of_one_space_is_told_in_the_window_of_all(void **state)
{
    struct mmu_guest kernel = toy_guest;

    (void)state;
    kernel.shares_view = kernel.shares_code = kernel_rights;
    kernel.window_bound = kernel_bound;
    t->mmu->guest = &kernel;
    toy_add(t, 0, HIGH + LOW, GPA, 0x1000, TOY_R | TOY_G);
    toy_add(t, 1, HIGH + FAR, GPA + 0x1000, 0x1000, TOY_R);
    toy_enter(t, 1, 0);
    assert_int_equal(load_faults(HIGH + LOW), WINDOW_MAPPED);
    assert_int_equal(load_faults(HIGH + FAR), WINDOW_LOCAL);
    assert_int_equal(load_faults(HIGH + FAR + 0x1000), WINDOW_GUEST);
    assert_int_equal(load_faults(LOW), WINDOW_OUTSIDE);
    t->mmu->guest = &toy_guest;
}

/* What demotes a window is what is shown, each nanosecond once. */
static void time_is_told_by_its_cause(void **state)
{
    const struct mmu_stats *u = mmu_stats(t->mmu);
    uint64_t sum = 0;

    (void)state;
    add_one_of_each();
    enter(1, 0);
    mmu_store(&t->s, LOW, IR_64, 1);
    run_for(100);
    assert_true(u->window_fill_ns > 0 && u->window_turn_ns > 0);
    struct window *w = ws->first;

    assert_non_null(w);
    assert_int_equal(w->spent, u->window_fill_ns);
    for (unsigned i = 0; i < sizeof faults / sizeof faults[0]; i++)
        mmu_window_fault(t->mmu, faults[i].va, 8, faults[i].access);
    assert_int_equal(windows_stats(ws).drops, 0);
    mmu_fence(t->mmu, false, LOW + 0x3000, true, 0); /* of nothing */
    assert_int_equal(windows_stats(ws).drops, 0);
    mmu_fence(t->mmu, false, LOW, true, 0);
    assert_int_equal(windows_stats(ws).drops, 1);
    assert_int_equal(windows_stats(ws).protects, 0);
    track_protect(t->track, GPA + 0x1000);
    assert_int_equal(windows_stats(ws).protects, 1);
    mmu_fence(t->mmu, true, 0, true, 0);
    enter(1, 0);
    assert_int_equal(windows_stats(ws).drops, 2);
    assert_true(windows_stats(ws).drop_ns > 0 && windows_stats(ws).code_ns > 0);
    for (unsigned k = 0; k < WINDOW_FAULT_KINDS; k++)
        sum += k == WINDOW_OUTSIDE ? 0 : u->window_fault_ns[k];
    sum += u->window_fill_ns + windows_stats(ws).drop_ns + windows_stats(ws).code_ns;
    assert_int_equal(w->spent, sum);
}

static void what_there_is_is_told(void **state)
{
    (void)state;
    toy_add(t, 1, LOW, GPA, 0x1000, USER);
    assert_int_equal(windows_stats(ws).open, 0);
    enter(1, 0);
    uint64_t reserved = windows_stats(ws).mappings;

    assert_int_equal(windows_stats(ws).open, 1);
    store_faults(LOW);
    assert_int_equal(windows_stats(ws).mappings, reserved + 2);
    window_forget(t->mmu, t->mmu->slot);
    mmu_refresh(t->mmu);
    assert_int_equal(windows_stats(ws).open, 0);
    assert_int_equal(windows_stats(ws).mappings, 0);
}

static void the_log_tells_the_story_of_a_window(void **state)
{
    static const char *const words[] = {
        "window 1 for space 1 after ",
        "window 1: filled with 2 pages in ",
        "window 1: load at 3f0000fffc: over two pages, not both mapped; 2 pages mapped",
        "window 1: the page of 10000 goes",
        "window 1: store at 10008: page not yet mapped, or not for stores; 2 pages mapped",
        "window 1: load at 13000: the guest's own; 0 pages mapped",
        "window 1: the page of 11000 is code",
        "window 1: all 5 pages go",
        "window 1 goes, with 0 pages: nobody uses it; ",
        NULL};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    log_state.mask = LOG_mmu;
    log_state.out = out;
    add_one_of_each();
    enter(1, 0);
    mmu_store(&t->s, LOW, IR_64, 1);
    mmu_load(&t->s, LOW + 0x1000, IR_64);
    run_for(100);
    mmu_window_fault(t->mmu, FAR + 0xfffc, 8, MMU_LOAD);
    mmu_fence(t->mmu, false, LOW, true, 0);
    store_faults(LOW + 8);
    load_faults(LOW + 0x3000);
    track_protect(t->track, GPA + 0x1000);
    mmu_fence(t->mmu, true, 0, true, 0);
    enter(1, 0);
    toy_enter(t, 3, 0);
    run_for(2 * t->mmu->n_spaces);
    ws->first->idle_from -= UINT64_C(20000000000);
    run_for(2 * t->mmu->n_spaces);
    assert_null(ws->first);
    fflush(out);
    const char *at = text;

    for (unsigned i = 0; words[i]; i++) {
        at = strstr(at, words[i]);
        if (!at)
            fail_msg("not told, or too early: %s; but:\n%s", words[i], text);
    }
    log_state = (struct log){.last = UINT64_MAX};
    fclose(out);
    free(text);
}

int main(void)
{
#define ALWAYS(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define AUTO(f)   cmocka_unit_test_setup_teardown(f, setup_auto, teardown)
    const struct CMUnitTest tests[] = {
        ALWAYS(kinds_of_faults_are_told_apart),
        ALWAYS(what_others_spend_is_not_a_faults),
        AUTO(a_page_of_one_space_is_told_in_the_window_of_all),
        AUTO(time_is_told_by_its_cause),
        ALWAYS(what_there_is_is_told),
        AUTO(the_log_tells_the_story_of_a_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
