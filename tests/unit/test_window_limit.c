/* softmmu: what code that goes through a window compares addresses with in place of a look at
 * `pending`: cpu_state.limit. */
#include "tests/lib/toy_windows.h"

#include <pthread.h>
#include <sched.h>

#include "softmmu/mmu_int.h"

#define MOST_NS UINT64_C(5000000000) /* where the two have one processor */
enum { ROUNDS = 2000000, SPINS = 2000 };

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

/* Lines that both write to: a store waits behind such a one, and a load behind it does not. */
static struct {
    _Alignas(64) _Atomic unsigned word;
} contended[4];

static void contend(unsigned n)
{
    for (unsigned i = 0; i < sizeof contended / sizeof contended[0]; i++)
        atomic_store_explicit(&contended[i].word, n, memory_order_relaxed);
}

static _Atomic unsigned served;
static _Atomic bool done;

/* Another hart: each round waits for the one before to be seen, and a while that differs. */
static void *kick(void *arg)
{
    struct cpu_state *s = arg;

    for (unsigned n = 0; n < ROUNDS && !done; n++) {
        for (volatile unsigned wait = n % 151; wait > 0; wait--)
            ;
        contend(n);
        state_pend(s, PENDING_EVENT);
        for (unsigned spins = 0; atomic_load(&served) == n && !done; spins++)
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
    const uint64_t until = window_clock() + MOST_NS;
    bool lost = false;
    pthread_t other;

    (void)state;
    map_low();
    enter(1, 0);
    served = 0;
    done = false;
    assert_int_equal(pthread_create(&other, NULL, kick, &t->s), 0);
    while (served < ROUNDS && !lost && (served % SPINS || window_clock() < until)) {
        contend(served);
        mmu_set_limit(t->mmu); /* the kick has left it 0, in the other hart's cache */
        if (limit() != 0 && !ends())
            lost = atomic_load(&t->s.pending) != 0;
        if (atomic_exchange(&t->s.pending, 0))
            served++;
    }
    done = true;
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
