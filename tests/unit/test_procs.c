/* Harts that share a host thread (runtime/proc.h): who runs when, and that nobody is forgotten. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dbt/base/clock.h"
#include "runtime/hart_int.h"
#include "runtime/quiesce.h"
#include "softmmu/window.h"
#include "tests/lib/toy_isa.h"

#define CODE (TOY_RAM + 0x10000)
#define DATA (TOY_RAM + 0x400000)
enum { LIMIT_S = 60, N = 3, MS = 1000000 };

static struct toy_hart *toy[N];
static struct hart *hart[N];
static char story[256]; /* what the harts write down: one runs at a time */

static void say(char c)
{
    __atomic_store_n(&story[strlen(story)], c, __ATOMIC_RELAXED);
}

static void begin(void **state)
{
    const struct toy_config config = {.engine = ENGINE_JIT, .n_harts = N, .n_procs = 1};

    (void)state;
    alarm(LIMIT_S);
    memset(story, 0, sizeof story);
    for (unsigned k = 0; k < N; k++) {
        toy[k] = k ? toy_add_hart(toy[0], &config) : toy_create(&config);
        hart[k] = toy[k]->world->hart;
        atomic_store(&hart[k]->s->pending, 0);
    }
}

static void end(void)
{
    alarm(0);
    for (unsigned k = N; k-- > 0;)
        toy_destroy(toy[k]);
}

static void body(unsigned k, void (*f)(void *arg))
{
    struct err e;

    assert_true(proc_prepare(hart[k], f, hart[k], &e));
}

/* Gives its argument if nobody is left running on it. */
static void *run_processor(void *arg)
{
    proc_run(arg, 0);
    return hart_running() ? NULL : arg;
}

static void start(pthread_t *thread)
{
    assert_int_equal(pthread_create(thread, NULL, run_processor, hart[0]->tc), 0);
}

static void run_all(void)
{
    pthread_t thread;
    void *nobody_left;

    start(&thread);
    pthread_join(thread, &nobody_left);
    assert_non_null(nobody_left);
}

static void nothing(void *arg)
{
    (void)arg;
}

/* ---- In turn -----------------------------------------------------------------------------------
 */

static void two_rounds(void *arg)
{
    struct hart *h = arg;

    quiesce_enter(h);
    for (unsigned r = 0; r < 2; r++) {
        assert_ptr_equal(hart_running(), h);
        say((char)('0' + h->n));
        hart_yield(h);
    }
    quiesce_leave(h);
}

static void those_who_yield_go_round(void **state)
{
    begin(state);
    for (unsigned k = 0; k < N; k++)
        body(k, two_rounds);
    run_all();
    assert_string_equal(story, "012012");
    end();
}

/* One that has nobody to give way to goes on. */
static void alone_it_goes_on(void **state)
{
    begin(state);
    body(0, nothing);
    body(1, two_rounds);
    body(2, nothing);
    run_all();
    assert_string_equal(story, "11");
    end();
}

/* ---- Sleep -------------------------------------------------------------------------------------
 */

static void sleep_for_ever(void *arg)
{
    struct hart *h = arg;

    quiesce_enter(h);
    hart_sleep(h, UINT64_MAX);
    say((char)('0' + h->n));
    quiesce_leave(h);
}

/* Another thread's kicks, while the processor idles: of all at once, as a device may. */
static void all_who_are_kicked_come_to_run(void **state)
{
    pthread_t thread;

    begin(state);
    for (unsigned k = 0; k < N; k++)
        body(k, sleep_for_ever);
    start(&thread);
    while (!atomic_load(&hart[0]->tc->proc->idle))
        continue;
    for (unsigned k = N; k-- > 0;)
        hart_kick(hart[k], PENDING_EVENT);
    pthread_join(thread, NULL);
    assert_int_equal(strlen(story), N);
    end();
}

enum { KICKS = 20000 };
static _Atomic unsigned n_sleeps;

static void sleep_again_and_again(void *arg)
{
    struct hart *h = arg;

    quiesce_enter(h);
    for (unsigned k = 1; k <= KICKS; k++) {
        atomic_store(&h->kicks, 0);
        atomic_store(&h->s->pending, 0);
        atomic_store(&n_sleeps, k);
        hart_sleep(h, UINT64_MAX);
    }
    quiesce_leave(h);
}

/* At each moment of the processor's way to sleep. */
static void no_kick_is_lost(void **state)
{
    pthread_t thread;

    begin(state);
    atomic_store(&n_sleeps, 0);
    for (unsigned k = 0; k < N; k++)
        body(k, k ? nothing : sleep_again_and_again);
    start(&thread);
    for (unsigned k = 1; k <= KICKS; k++) {
        while (atomic_load(&n_sleeps) != k)
            continue;
        for (unsigned i = 0; i < k % 500; i++)
            __builtin_ia32_pause();
        hart_kick(hart[0], PENDING_EVENT);
    }
    pthread_join(thread, NULL);
    end();
}

/* Hart 0 looks, with its own eyes, who wants to run. */
static void wake_the_others(void *arg)
{
    struct hart *h = arg;

    quiesce_enter(h);
    hart_yield(h); /* they lie down */
    say(hart_shares_processor(h) ? '+' : '-');
    hart_kick(hart[1], PENDING_EVENT);
    assert_true(atomic_load(&h->s->pending) & PENDING_YIELD);
    atomic_store(&h->s->pending, 0);
    say(hart_shares_processor(h) ? '+' : '-');
    hart_yield(h);
    say(hart_shares_processor(h) ? '+' : '-');
    hart_kick(hart[2], PENDING_EVENT);
    hart_yield(h);
    quiesce_leave(h);
}

/* Who sleeps until it is kicked wants nothing; who is kicked asks at once, and is seen to want. */
static void a_kick_asks_for_the_processor(void **state)
{
    begin(state);
    body(0, wake_the_others);
    body(1, sleep_for_ever);
    body(2, sleep_for_ever);
    run_all();
    assert_string_equal(story, "-+1-2");
    end();
}

static void sleep_a_moment(void *arg)
{
    struct hart *h = arg;
    uint64_t since = clock_ns(CLOCK_MONOTONIC);

    quiesce_enter(h);
    hart_sleep(h, (uint64_t)(30 - 10 * h->n) * MS);
    assert_true(clock_ns(CLOCK_MONOTONIC) - since >= (uint64_t)(30 - 10 * h->n) * MS);
    say((char)('0' + h->n));
    quiesce_leave(h);
}

static void each_wakes_in_its_time(void **state)
{
    begin(state);
    for (unsigned k = 0; k < N; k++)
        body(k, sleep_a_moment);
    run_all();
    assert_string_equal(story, "210");
    end();
}

/* Times that would be beyond the end of the clock are for ever. */
static void sleep_for_ages(void *arg)
{
    struct hart *h = arg;

    quiesce_enter(h);
    hart_sleep(h, UINT64_MAX - 1);
    say('z');
    quiesce_leave(h);
}

static void a_time_beyond_the_end(void **state)
{
    pthread_t thread;

    begin(state);
    for (unsigned k = 0; k < N; k++)
        body(k, k ? nothing : sleep_for_ages);
    start(&thread);
    while (!atomic_load(&hart[0]->tc->proc->idle))
        continue;
    assert_int_equal(__atomic_load_n(&story[0], __ATOMIC_RELAXED), 0);
    hart_kick(hart[0], PENDING_EVENT);
    pthread_join(thread, NULL);
    assert_string_equal(story, "z");
    end();
}

/* ---- Words -------------------------------------------------------------------------------------
 */

static uint64_t word;

static void wait_for_word(void *arg)
{
    struct hart *h = arg;

    quiesce_enter(h);
    say(hart_sleep_on_word(h, &word, 8, 0, UINT64_MAX / 2) ? 'w' : '?');
    quiesce_leave(h);
}

static void set_word(void *arg)
{
    struct hart *h = arg;

    quiesce_enter(h);
    hart_yield(h);
    say(hart_shares_processor(h) ? '+' : '-'); /* nobody kicks it when its word changes */
    __atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
    hart_yield(h);
    say('s');
    quiesce_leave(h);
}

static void a_word_that_changes_wakes(void **state)
{
    begin(state);
    word = 0;
    body(0, set_word);
    body(1, wait_for_word);
    body(2, nothing);
    run_all();
    assert_string_equal(story, "+ws");
    end();
}

static void hand_over(void *arg)
{
    struct hart *h = arg;

    quiesce_enter(h);
    hart_yield(h);
    __atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
    hart_yield(h);
    say('0');
    quiesce_leave(h);
}

/* It may have been handed a lock. */
static void who_waited_for_a_word_is_let_in(void **state)
{
    begin(state);
    word = 0;
    body(0, hand_over);
    body(1, two_rounds);
    body(2, wait_for_word);
    run_all();
    assert_string_equal(story, "1w10");
    end();
}

/* Harts 1 and 2 wait for each other, again and again. */
static void play(void *arg)
{
    struct hart *h = arg;

    quiesce_enter(h);
    for (unsigned r = 0; r < 12; r++) {
        while (word % 2 != h->n % 2)
            hart_sleep_on_word(h, &word, 8, word, UINT64_MAX / 2);
        say((char)('0' + h->n));
        word++;
    }
    quiesce_leave(h);
}

static void but_not_before_all_others(void **state)
{
    begin(state);
    word = 0;
    body(0, two_rounds);
    body(1, play);
    body(2, play);
    run_all();
    assert_string_equal(story, "02121212120121212121212121");
    end();
}

/* ---- Outside ------------------------------------------------------------------------------------
 */

/* The world stands still while the others have no processor, and grace periods are over. */
static void stop_the_world(void *arg)
{
    struct hart *h = arg;

    quiesce_enter(h);
    hart_yield(h);
    assert_true(quiesce_is_over(h->tc, h, quiesce_begin(h->tc)));
    tcache_stop(h->tc, h);
    tcache_resume(h->tc);
    say('s');
    quiesce_leave(h);
}

static void who_has_no_processor_is_outside(void **state)
{
    begin(state);
    body(0, stop_the_world);
    body(1, two_rounds);
    body(2, two_rounds);
    run_all();
    assert_string_equal(story, "12s12");
    end();
}

/* ---- Guests -------------------------------------------------------------------------------------
 */

static void run_guest(void *arg)
{
    hart_run(arg);
}

/* Each hart goes through code of its own between yields; state and tables are never another one's.
 */
static void guests_keep_apart(void **state)
{
    begin(state);
    for (unsigned k = 0; k < N; k++) {
        uint64_t at = CODE;

        TOY(toy[0], at, ADDI, 3, 3, 5);
        TOY(toy[0], at, ST, 3, 6, 0);
        TOY(toy[0], at, ADDI, 4, 4, 1);
        TOY(toy[0], at, BNE, 4, 5, -6);
        TOY(toy[0], at, STOP, 0, 0, 0);
        toy[k]->s.pc = CODE;
        toy[k]->s.reg[5] = 1000 * (k + 1);
        toy[k]->s.reg[6] = DATA + 64 * (uint64_t)k;
        body(k, run_guest);
    }
    run_all();
    for (unsigned k = 0; k < N; k++) {
        assert_int_equal(toy[k]->s.reg[3], 5000 * (k + 1));
        assert_int_equal(toy_read(toy[0], DATA + 64 * (uint64_t)k), 5000 * (k + 1));
    }
    end();
}

/* They have one window of the kernel's. */
static void windows_are_counted_by_threads(void **state)
{
    begin(state);
    assert_int_equal(hart[0]->tc->windows->pieces_of_common, WINDOWS_PIECES_MAX / 2);
    assert_int_equal(hart[0]->tc->windows->pieces_of_one, WINDOWS_PIECES_MAX / 2 / N);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_counted_by_threads),
        cmocka_unit_test(those_who_yield_go_round),
        cmocka_unit_test(alone_it_goes_on),
        cmocka_unit_test(all_who_are_kicked_come_to_run),
        cmocka_unit_test(no_kick_is_lost),
        cmocka_unit_test(a_kick_asks_for_the_processor),
        cmocka_unit_test(each_wakes_in_its_time),
        cmocka_unit_test(a_time_beyond_the_end),
        cmocka_unit_test(a_word_that_changes_wakes),
        cmocka_unit_test(who_waited_for_a_word_is_let_in),
        cmocka_unit_test(but_not_before_all_others),
        cmocka_unit_test(who_has_no_processor_is_outside),
        cmocka_unit_test(guests_keep_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
