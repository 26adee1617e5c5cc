/* softmmu: windows of one hart while another one translates: a page of code is never writable in
 * one. */
#include "tests/lib/toy_windows.h"

#include <pthread.h>

enum { N_PAGES = 8, STEPS = 4000, PROTECT_STEPS = 1500, LOOKS = 20 };

/* Page i is mapped at three addresses, two of the kernel's and one of a process's. */
#define ONE(i)     (UINT64_C(0xffffffff80000000) + 0x1000 * (uint64_t)(i))
#define OTHER(i)   (UINT64_C(0xffffffd000400000) + 0x3000 * (uint64_t)(i))
#define USERS(i)   (UINT64_C(0x100000) + 0x2000 * (uint64_t)(i))
#define PAGE_OF(i) (GPA + 0x1000 * (uint64_t)(i))

static _Atomic unsigned wrong;
static _Atomic bool done;

static unsigned next(unsigned *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 16;
}

/* The other hart: what it makes code stays read-only until it lets it go. */
static void *translate(void *arg)
{
    struct window *const *windows = arg;
    unsigned seed = 5;

    for (unsigned n = 0; n < PROTECT_STEPS; n++) {
        uint64_t i = next(&seed) % N_PAGES;

        track_protect(t->track, PAGE_OF(i));
        for (unsigned k = 0; k < LOOKS; k++) {
            wrong += window_has(windows[0], ONE(i), true);
            wrong += window_has(windows[0], OTHER(i), true);
            wrong += window_has(windows[1], USERS(i), true);
        }
        track_wrote(t->track, PAGE_OF(i), 8); /* it holds no blocks: it opens */
    }
    done = true;
    return NULL;
}

static void map_and_fence(unsigned *seed)
{
    uint64_t i = next(seed) % N_PAGES;
    uint64_t va = next(seed) % 3 == 0 ? USERS(i) : next(seed) & 1 ? ONE(i) : OTHER(i);

    if (va >> 63)
        toy_enter(t, 1, 0);
    else
        enter(1, 0);
    if (next(seed) % 4)
        mmu_window_fault(t->mmu, va, 8, next(seed) & 1 ? MMU_STORE : MMU_LOAD);
    else
        mmu_fence(t->mmu, next(seed) % 16 == 0, va, true, 0);
    memset(t->mmu->slot->window->churn, 0, sizeof t->mmu->slot->window->churn);
}

static void what_another_hart_translates_is_never_writable(void **state)
{
    unsigned seed = 9, n = 0;
    struct window *windows[2];
    pthread_t other;

    (void)state;
    for (unsigned i = 0; i < N_PAGES; i++) {
        toy_add(t, 0, ONE(i), PAGE_OF(i), 0x1000, TOY_R | TOY_W | TOY_G | TOY_DIRTY);
        toy_add(t, 0, OTHER(i), PAGE_OF(i), 0x1000, TOY_R | TOY_W | TOY_G | TOY_DIRTY);
        toy_add(t, 1, USERS(i), PAGE_OF(i), 0x1000, USER | TOY_DIRTY);
    }
    toy_enter(t, 1, 0);
    windows[0] = t->mmu->slot->window;
    enter(1, 0);
    windows[1] = t->mmu->slot->window;
    assert_int_equal(pthread_create(&other, NULL, translate, windows), 0);
    for (; n < STEPS || !done; n++)
        map_and_fence(&seed);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(wrong, 0);
    /* What has changed sides often opens after many stores, and can be mapped so. */
    toy_enter(t, 1, 0);
    for (unsigned i = 0; i < N_PAGES; i++) {
        for (unsigned k = 0; k < 200; k++)
            track_wrote(t->track, PAGE_OF(i), 8);
        assert_int_equal(store_faults(OTHER(i)), WINDOW_MAPPED);
        assert_true(can_write(OTHER(i)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_another_hart_translates_is_never_writable,
                                        setup_kernel, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
