/* Fibers: each has its own stack, registers and rounding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <xmmintrin.h>

#include "runtime/fiber.h"

enum { N = 5, ROUNDS = 1000, DEEP = 200000 };

static struct fiber thread, fiber[N];
static unsigned n_runs[N];
static int of_each[N];

static void make(unsigned k, void (*body)(void *arg), void *arg)
{
    struct err e;

    assert_true(fiber_create(&fiber[k], body, arg, &e));
}

static void begin(void **state)
{
    (void)state;
    memset(n_runs, 0, sizeof n_runs);
    memset(fiber, 0, sizeof fiber);
    fiber_of_thread(&thread);
}

static void end(void)
{
    for (unsigned k = 0; k < N; k++)
        fiber_destroy(&fiber[k]);
}

/* ---- Round and round --------------------------------------------------------------------------
 */

static void count(void *arg)
{
    const unsigned k = (unsigned)((int *)arg - of_each);

    for (;;) {
        n_runs[k]++;
        fiber_switch(&fiber[k], k + 1 < N ? &fiber[k + 1] : &thread);
    }
}

static void they_go_round(void **state)
{
    begin(state);
    for (unsigned k = 0; k < N; k++)
        make(k, count, &of_each[k]);
    for (unsigned r = 1; r <= ROUNDS; r++) {
        fiber_switch(&thread, &fiber[0]);
        for (unsigned k = 0; k < N; k++)
            assert_int_equal(n_runs[k], r);
    }
    end();
}

/* ---- What a call keeps -------------------------------------------------------------------------
 */

/* Stack that is aligned as SSE wants it, deep enough, and nobody else's. */
static void use_stack(void *arg)
{
    const unsigned k = (unsigned)((int *)arg - of_each);
    _Alignas(16) volatile uint8_t room[DEEP];

    memset((void *)room, (int)k, sizeof room);
    n_runs[k] = (uintptr_t)room % 16 == 0;
    fiber_switch(&fiber[k], &thread);
    for (unsigned i = 0; i < sizeof room; i++)
        n_runs[k] += room[i] != k;
    fiber_switch(&fiber[k], &thread);
}

static void each_has_its_stack(void **state)
{
    begin(state);
    for (unsigned k = 0; k < 2; k++)
        make(k, use_stack, &of_each[k]);
    for (unsigned r = 0; r < 2; r++)
        for (unsigned k = 0; k < 2; k++)
            fiber_switch(&thread, &fiber[k]);
    assert_int_equal(n_runs[0], 1);
    assert_int_equal(n_runs[1], 1);
    end();
}

static void round_up(void *arg)
{
    (void)arg;
    assert_int_equal(_MM_GET_ROUNDING_MODE(), _MM_ROUND_DOWN); /* its maker's */
    _MM_SET_ROUNDING_MODE(_MM_ROUND_UP);
    fiber_switch(&fiber[0], &thread);
    n_runs[0] = _MM_GET_ROUNDING_MODE() == _MM_ROUND_UP;
    fiber_switch(&fiber[0], &thread);
}

static void each_rounds_as_it_likes(void **state)
{
    const unsigned before = _MM_GET_ROUNDING_MODE();

    begin(state);
    _MM_SET_ROUNDING_MODE(_MM_ROUND_DOWN);
    make(0, round_up, NULL);
    _MM_SET_ROUNDING_MODE(before);
    fiber_switch(&thread, &fiber[0]);
    assert_int_equal(_MM_GET_ROUNDING_MODE(), before);
    fiber_switch(&thread, &fiber[0]);
    assert_int_equal(_MM_GET_ROUNDING_MODE(), before);
    assert_int_equal(n_runs[0], 1);
    end();
}

/* As helpers leave blocks. */
static void jump(void *arg)
{
    static jmp_buf back;
    volatile unsigned n = 0;

    (void)arg;
    if (setjmp(back) < 3) {
        fiber_switch(&fiber[0], &thread);
        longjmp(back, (int)++n);
    }
    n_runs[0] = n;
    fiber_switch(&fiber[0], &thread);
}

static void longjmp_stays_on_its_stack(void **state)
{
    begin(state);
    make(0, jump, NULL);
    for (unsigned r = 0; r < 4; r++)
        fiber_switch(&thread, &fiber[0]);
    assert_int_equal(n_runs[0], 3);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_go_round),
        cmocka_unit_test(each_has_its_stack),
        cmocka_unit_test(each_rounds_as_it_likes),
        cmocka_unit_test(longjmp_stays_on_its_stack),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
