/* softmmu: what code that goes through a window compares addresses with in place of a look at
 * `pending`: cpu_state.limit. */
#include "tests/lib/toy_windows.h"

#include <pthread.h>
#include <sched.h>

#include "softmmu/mmu_int.h"

enum { ROUNDS = 200000, SPINS = 2000 };

static uint64_t limit(void)
{
    return atomic_load(&t->s.limit);
}

static void map_low(void)
{
    toy_add(t, 0, LOW, GPA, 0x1000, USER);
}

static void it_is_that_of_the_view_in_force(void **state)
{
    (void)state;
    map_low();
    assert_int_equal(limit(), 0);
    enter(1, 0);
    assert_int_not_equal(t->mmu->slot->view->window_limit, 0);
    assert_int_equal(limit(), t->mmu->slot->view->window_limit);
    toy_switch(t, 1, 0, TOY_SUM, TOY_USER, 0); /* rights that have no window */
    assert_int_equal(limit(), t->mmu->slot->view->window_limit);
    assert_int_equal(limit(), 0);
    enter(2, 0);
    assert_int_not_equal(limit(), 0);
    enter(0, 0);
    assert_int_equal(limit(), 0);
}

static void it_is_0_while_something_is_pending(void **state)
{
    (void)state;
    map_low();
    enter(1, 0);
    state_pend(&t->s, PENDING_EVENT);
    assert_int_equal(limit(), 0);
    mmu_set_limit(t->mmu);
    assert_int_equal(limit(), 0);
    enter(2, 0); /* and another view has none either */
    assert_int_equal(limit(), 0);
    atomic_store(&t->s.pending, 0);
    assert_int_equal(limit(), 0);
    mmu_set_limit(t->mmu);
    assert_int_equal(limit(), t->mmu->slot->view->window_limit);
    assert_int_not_equal(limit(), 0);
}

static _Atomic unsigned served;
static _Atomic bool lost;

/* Another hart: each round waits for the one before to be seen, and a while that differs. */
static void *kick(void *arg)
{
    struct cpu_state *s = arg;

    for (unsigned n = 0; n < ROUNDS && !lost; n++) {
        for (volatile unsigned wait = n % 61; wait > 0; wait--)
            ;
        state_pend(s, PENDING_EVENT);
        for (unsigned spins = 0; atomic_load(&served) == n && !lost; spins++)
            if (spins % SPINS == SPINS - 1)
                sched_yield();
    }
    return NULL;
}

/* Code that runs on as long as there is a limit. */
static bool ends(void)
{
    const uint64_t until = window_clock() + 1000000000;

    for (unsigned spins = 0; limit() != 0; spins++) {
        if (spins % SPINS == SPINS - 1)
            sched_yield();
        if (spins % SPINS == SPINS - 1 && window_clock() > until)
            return false;
    }
    return true;
}

static void no_kick_is_lost(void **state)
{
    pthread_t other;

    (void)state;
    map_low();
    enter(1, 0);
    served = 0;
    lost = false;
    assert_int_equal(pthread_create(&other, NULL, kick, &t->s), 0);
    while (served < ROUNDS && !lost) {
        /* The same that a visit to the kernel does, and a return from it. */
        atomic_store_explicit(&t->s.limit, 0, memory_order_relaxed);
        mmu_set_limit(t->mmu);
        if (limit() != 0 && !ends())
            lost = atomic_load(&t->s.pending) != 0;
        if (atomic_exchange(&t->s.pending, 0))
            served++;
    }
    pthread_join(other, NULL);
    assert_false(lost);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_that_of_the_view_in_force, setup, teardown),
        cmocka_unit_test_setup_teardown(it_is_0_while_something_is_pending, setup, teardown),
        cmocka_unit_test_setup_teardown(no_kick_is_lost, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
