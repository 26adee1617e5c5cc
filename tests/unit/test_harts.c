/* Several harts and one translation cache: what one made the other runs; code that changes, is
 * thrown out, or is linked for another space while somebody is inside; the world stopped. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/hart_int.h"
#include "runtime/quiesce.h"
#include "tests/lib/toy_isa.h"

#define CODE    (TOY_RAM + 0x10000)
#define DATA    (TOY_RAM + 0x400000)
#define TABLE_A (TOY_RAM + 0x700000)
#define TABLE_B (TOY_RAM + 0x780000)
enum { LIMIT_S = 60, ADDI_MAX = 8000 };

static const struct toy_config hows[] = {
    {.engine = ENGINE_JIT, .n_harts = 2},
    {.engine = ENGINE_JIT, .n_harts = 2, .evaluate_first = true},
    {.engine = ENGINE_INTERP, .n_harts = 2},
    {.engine = ENGINE_CHECK, .n_harts = 2, .turns = true},
    {.engine = ENGINE_JIT, .n_harts = 2, .stress_seed = 7},
};

static struct toy_hart *a, *b;

/* A hang is a failure, and says so. */
static void begin_with(const struct toy_config *config)
{
    alarm(LIMIT_S);
    a = toy_create(config);
    b = toy_add_hart(a, config);
}

static void begin(void **state)
{
    begin_with(*state);
}

static void end(void)
{
    alarm(0);
    toy_destroy(b);
    toy_destroy(a);
}

static const struct hart_stats *stats(const struct toy_hart *t)
{
    return hart_stats(t->world->hart);
}

static void stop(struct toy_run *r)
{
    toy_stop(r->t);
    toy_wait_for(r);
}

static uint64_t look(uint64_t gpa)
{
    return __atomic_load_n((uint64_t *)(void *)phys_ptr(&a->world->phys, gpa), __ATOMIC_ACQUIRE);
}

/* As a device's thread does. */
static void put_now(uint64_t gpa, uint32_t word)
{
    __atomic_store_n((uint32_t *)(void *)phys_ptr(&a->world->phys, gpa), word, __ATOMIC_SEQ_CST);
    tcache_wrote(a->world->tcache, gpa, sizeof word);
}

/* ---- One code for both -------------------------------------------------------------------------
 */

static void code_is_made_once(void **state)
{
    uint64_t at = CODE;

    begin(state);
    TOY(a, at, ADDI, 3, 3, 5);
    TOY(a, at, ADDI, 4, 4, 1);
    TOY(a, at, BNE, 4, 5, -4);
    TOY(a, at, STOP, 0, 0, 0);
    a->s.reg[5] = b->s.reg[5] = 100;
    toy_run(a, CODE);
    assert_int_equal(a->s.reg[3], 500);

    uint64_t made = stats(a)->translated;

    toy_run(b, CODE);
    assert_int_equal(b->s.reg[3], 500);
    assert_int_equal(stats(a)->translated, made);
    if (!((const struct toy_config *)*state)->evaluate_first) {
        assert_true(made > 0);
        assert_int_equal(stats(b)->translated, 0);
    }
    end();
}

/* A hart goes round in a loop that another thread rewrites: it must come to run each new one. */
static void a_loop_that_changes(void **state)
{
    const unsigned rounds = ((const struct toy_config *)*state)->engine == ENGINE_JIT ? 3000 : 200;
    uint64_t at = CODE;
    struct toy_run r;

    begin(state);
    TOY(a, at, ADDI, 3, 2, 0);
    TOY(a, at, ST, 3, 6, 0);
    TOY(a, at, JMP, 0, 0, -4);
    b->s.reg[6] = DATA;
    toy_start(&r, b, CODE);
    for (unsigned n = 1; n <= rounds; n++) {
        put_now(CODE, toy_word(TOY_ADDI, 3, 2, (int)(n % ADDI_MAX)));
        while (look(DATA) != n % ADDI_MAX)
            continue;
    }
    stop(&r);
    end();
}

/* The writer is a hart, and its code is in the page that it writes to. */
static void a_hart_changes_what_another_runs(void **state)
{
    const int rounds = ((const struct toy_config *)*state)->engine == ENGINE_CHECK ? 50 : 500;
    uint64_t at = CODE;
    struct toy_run of_a, of_b;

    begin(state);
    /* b: DATA = r2 + imm, for ever. */
    TOY(a, at, ADDI, 3, 2, 0);
    TOY(a, at, ST, 3, 6, 0);
    TOY(a, at, JMP, 0, 0, -4);
    /* a: one word more, wait until it is seen, again. r7: the word; r8: the address of b's. */
    at = CODE + 0x100;
    TOY(a, at, ADDI, 9, 9, 1);
    TOY(a, at, LD, 7, 10, 0);
    TOY(a, at, ADDI, 10, 10, 8);
    TOY(a, at, STW, 7, 8, 0);
    TOY(a, at, LD, 11, 6, 0);
    TOY(a, at, BNE, 11, 9, -2);
    TOY(a, at, BNE, 9, 12, -12);
    TOY(a, at, STOP, 0, 0, 0);
    for (int n = 0; n < rounds; n++)
        toy_write(a, DATA + 0x1000 + 8 * (uint64_t)n, toy_word(TOY_ADDI, 3, 2, n + 1));
    a->s.reg[6] = b->s.reg[6] = DATA;
    a->s.reg[8] = CODE;
    a->s.reg[10] = DATA + 0x1000;
    a->s.reg[12] = (uint64_t)rounds;
    toy_start(&of_b, b, CODE);
    toy_start(&of_a, a, CODE + 0x100);
    toy_wait_for(&of_a);
    assert_int_equal(a->s.reg[9], rounds);
    stop(&of_b);
    end();
}

/* ---- Code that is thrown out
 * --------------------------------------------------------------------- */

enum { N_PIECES = 6000, TIMES = 8 };

/* Both go through more code than the cache holds, over and over. */
static void segments_are_reused(void **state)
{
    struct toy_config config = *(const struct toy_config *)*state;
    uint64_t at = CODE, sum = 0;
    struct toy_run r[2];

    const unsigned times = config.engine == ENGINE_CHECK ? 2 : TIMES;

    config.cache_bytes = 192 << 10; /* with two harts: six segments of 32 KiB */
    config.cache_segments = 2;
    begin_with(&config);
    for (int k = 0; k < N_PIECES; k++) {
        TOY(a, at, ADDI, 3, 3, k % 100);
        TOY(a, at, JMP, 0, 0, 10);
        at += 16;
        sum += (uint64_t)k % 100;
    }
    TOY(a, at, ADDI, 4, 4, 1);
    const uint64_t back = at;

    TOY(a, at, BNE, 4, 5, 4);
    TOY(a, at, STOP, 0, 0, 0);
    assert_int_equal(at, back + 8);
    toy_put(a, at, toy_word(TOY_JR, 0, 7, 0));
    for (unsigned k = 0; k < 2; k++) {
        struct toy_hart *t = k ? b : a;

        t->s.reg[5] = times;
        t->s.reg[7] = CODE;
        toy_start(&r[k], t, CODE);
    }
    for (unsigned k = 0; k < 2; k++) {
        toy_wait_for(&r[k]);
        assert_int_equal(r[k].t->s.reg[3], sum * times);
    }
    if (config.engine == ENGINE_JIT && !config.evaluate_first)
        assert_true(hart_cache_stats(a->world->hart)->evictions > 10);
    end();
}

/* ---- Links over pages ---------------------------------------------------------------------------
 */

/* The same code in two spaces, where its next page is another one: each hart links for itself what
 * the other has just linked. */
static void two_spaces_share_code(void **state)
{
    const unsigned rounds =
        ((const struct toy_config *)*state)->engine == ENGINE_CHECK ? 2000 : 20000;
    struct toy_run r[2];

    begin(state);
    toy_put(a, CODE, toy_word(TOY_JMP, 0, 0, 0x1000 / 2));
    for (unsigned k = 0; k < 2; k++) {
        uint64_t at = CODE + 0x1000 + 0x1000 * (uint64_t)k;

        TOY(a, at, ADDI, 3, 3, k ? 100 : 1);
        TOY(a, at, ADDI, 4, 4, 1);
        TOY(a, at, BNE, 4, 5, -(0x1000 + 8) / 2);
        TOY(a, at, STOP, 0, 0, 0);
    }
    for (unsigned k = 0; k < 2; k++) {
        struct toy_hart *t = k ? b : a;
        uint64_t table = k ? TABLE_B : TABLE_A;

        toy_map(a, table, 0x1000, CODE);
        toy_map(a, table, 0x2000, CODE + 0x1000 + 0x1000 * (uint64_t)k);
        t->root = table;
        t->s.reg[5] = rounds;
    }
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned k = 0; k < 2; k++) {
            struct toy_hart *t = k ? b : a;

            t->s.reg[3] = t->s.reg[4] = 0;
            mmu_switch(t->s.mmu, t->root, 0, 0, 0, TOY_MODE_KEY);
            toy_start(&r[k], t, 0x1000);
        }
        for (unsigned k = 0; k < 2; k++) {
            toy_wait_for(&r[k]);
            assert_int_equal(r[k].t->s.reg[3], rounds * (k ? 100 : 1));
        }
    }
    end();
}

/* ---- The world stopped
 * ---------------------------------------------------------------------------- */

struct stopper {
    pthread_t thread;
    unsigned rounds;
};

/* Nothing moves while it is stopped, whoever stopped it. */
static void *stop_and_look(void *arg)
{
    struct stopper *s = arg;
    struct tcache *t = a->world->tcache;

    for (unsigned n = 0; n < s->rounds; n++) {
        tcache_stop(t, NULL);
        uint64_t of_a = look(DATA), of_b = look(DATA + 8);

        usleep(50);
        if (look(DATA) != of_a || look(DATA + 8) != of_b) {
            tcache_resume(t);
            return s;
        }
        tcache_resume(t);
        while (look(DATA) == of_a || look(DATA + 8) == of_b)
            usleep(10);
    }
    return NULL;
}

static void the_world_stops(void **state)
{
    struct stopper s[2] = {{.rounds = 60}, {.rounds = 60}};
    uint64_t at = CODE;
    struct toy_run r[2];
    void *wrong;

    begin(state);
    TOY(a, at, ADDI, 3, 3, 1);
    TOY(a, at, ST, 3, 6, 0);
    TOY(a, at, JMP, 0, 0, -4);
    a->s.reg[6] = DATA;
    b->s.reg[6] = DATA + 8;
    toy_start(&r[0], a, CODE);
    toy_start(&r[1], b, CODE);
    for (unsigned k = 0; k < 2; k++)
        assert_int_equal(pthread_create(&s[k].thread, NULL, stop_and_look, &s[k]), 0);
    for (unsigned k = 0; k < 2; k++) {
        assert_int_equal(pthread_join(s[k].thread, &wrong), 0);
        assert_null(wrong);
    }
    stop(&r[0]);
    stop(&r[1]);
    end();
}

/* One that sleeps is not waited for, and if it is woken it does not run. */
static void a_sleeper_is_stopped(void **state)
{
    uint64_t at = CODE;
    struct toy_run r;

    begin(state);
    TOY(a, at, WAIT, 0, 0, 0);
    TOY(a, at, ADDI, 3, 3, 1);
    TOY(a, at, ST, 3, 6, 0);
    TOY(a, at, STOP, 0, 0, 0);
    b->s.reg[6] = DATA;
    b->masked = 1; /* it wakes, and goes on */
    toy_start(&r, b, CODE);
    while (!atomic_load(&b->world->n_waits))
        usleep(100);
    tcache_stop(b->world->tcache, NULL);
    atomic_store(&b->world->line, true);
    hart_kick(b->world->hart, PENDING_IRQ);
    usleep(2000);
    assert_int_equal(look(DATA), 0);
    tcache_resume(b->world->tcache);
    toy_wait_for(&r);
    assert_int_equal(look(DATA), 1);
    end();
}

/* ---- Sleeping on a word ------------------------------------------------------------------------
 */

static _Atomic unsigned word_size;
static _Atomic unsigned n_rests, n_changed;

static void rest_on_data(void *arg)
{
    struct toy_world *w = arg;
    uint64_t value = word_size == 8 ? 7 : UINT64_MAX << 32 | 7; /* no matter what is above */

    if (hart_sleep_on_word(w->hart, phys_ptr(&w->phys, DATA), word_size, value, UINT64_MAX))
        atomic_fetch_add(&n_changed, 1);
    atomic_fetch_add(&n_rests, 1);
}

static void store_data(uint64_t value)
{
    __atomic_store_n((uint64_t *)(void *)phys_ptr(&a->world->phys, DATA), value, __ATOMIC_SEQ_CST);
}

static void rest_until_asleep(unsigned size)
{
    const struct hart *h = b->world->hart;

    word_size = size;
    store_data(7);
    hart_kick(b->world->hart, PENDING_REST);
    while (!atomic_load(&h->asleep))
        usleep(100);
}

/* `a` comes round its loop; is b still asleep? */
static bool sleeps_on(uint64_t stop)
{
    unsigned n = atomic_load(&n_rests);

    toy_run(a, stop);
    usleep(2000);
    return atomic_load(&n_rests) == n;
}

static void await_rests(unsigned n)
{
    while (atomic_load(&n_rests) < n)
        usleep(100);
    assert_int_equal(atomic_load(&n_rests), n);
}

static void who_sleeps_on_a_word_is_waked_by_who_comes_round(void **state)
{
    const uint64_t upper_differs = UINT64_C(1) << 32 | 7, stop_at = CODE + 0x1000;
    uint64_t at = CODE;
    struct toy_run r;

    begin(state);
    atomic_store(&n_rests, 0);
    atomic_store(&n_changed, 0);
    b->world->hart->config.events.rest = rest_on_data;
    TOY(a, at, ADDI, 3, 3, 1);
    TOY(a, at, ST, 3, 6, 0);
    TOY(a, at, JMP, 0, 0, -4);
    at = stop_at;
    TOY(a, at, STOP, 0, 0, 0);
    b->s.reg[6] = DATA + 64;
    toy_start(&r, b, CODE);
    while (look(DATA + 64) == 0) /* so that no kick comes before it begins */
        continue;
    rest_until_asleep(8);
    assert_true(sleeps_on(stop_at));
    store_data(upper_differs);
    toy_run(a, stop_at);
    await_rests(1);

    rest_until_asleep(4);
    store_data(upper_differs);
    assert_true(sleeps_on(stop_at));
    store_data(8);
    toy_run(a, stop_at);
    await_rests(2);

    /* It has changed already; and a kick ends it, too. */
    hart_kick(b->world->hart, PENDING_REST);
    await_rests(3);
    assert_int_equal(atomic_load(&n_changed), 3);
    rest_until_asleep(8);
    hart_kick(b->world->hart, PENDING_LEAVE);
    await_rests(4);
    assert_int_equal(atomic_load(&n_changed), 3);
    assert_int_equal(atomic_load(&a->world->tcache->word_waiters), 0);
    stop(&r);
    end();
}

static _Atomic bool looking;

static void *look_for_waiters(void *arg)
{
    while (atomic_load(&looking))
        word_wake(arg);
    return NULL;
}

/* Words of both sizes, one of them RAM's last: whoever looks in between must not take one's address
 * with the other's size, and read past RAM's end. */
static void a_word_is_looked_at_as_a_whole(void **state)
{
    const uint64_t last = TOY_RAM + TOY_RAM_LEN - 4;
    pthread_t thread;

    begin(state);
    struct hart *h = b->world->hart;
    const void *small = phys_ptr(&a->world->phys, last), *large = phys_ptr(&a->world->phys, DATA);

    hart_kick(h, PENDING_LEAVE); /* so that it does not stay asleep, but goes on to the next */
    atomic_store(&looking, true);
    assert_int_equal(pthread_create(&thread, NULL, look_for_waiters, a->world->tcache), 0);
    for (unsigned n = 0; n < 2000000; n++) {
        hart_sleep_on_word(h, small, 4, 0, 0);
        hart_sleep_on_word(h, large, 8, 0, 0);
    }
    atomic_store(&looking, false);
    pthread_join(thread, NULL);
    end();
}

#define STRESSED(f) cmocka_unit_test_prestate(f, (void *)(uintptr_t)&hows[4])
#define EACH(f)                                                                                    \
    cmocka_unit_test_prestate(f, (void *)(uintptr_t)&hows[0]),                                     \
        cmocka_unit_test_prestate(f, (void *)(uintptr_t)&hows[1]),                                 \
        cmocka_unit_test_prestate(f, (void *)(uintptr_t)&hows[2]),                                 \
        cmocka_unit_test_prestate(f, (void *)(uintptr_t)&hows[3])

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(code_is_made_once),
        EACH(a_loop_that_changes),
        STRESSED(a_loop_that_changes),
        EACH(a_hart_changes_what_another_runs),
        STRESSED(a_hart_changes_what_another_runs),
        EACH(segments_are_reused),
        STRESSED(segments_are_reused),
        EACH(two_spaces_share_code),
        STRESSED(two_spaces_share_code),
        EACH(the_world_stops),
        STRESSED(the_world_stops),
        EACH(a_sleeper_is_stopped),
        cmocka_unit_test_prestate(who_sleeps_on_a_word_is_waked_by_who_comes_round,
                                  (void *)(uintptr_t)&hows[0]),
        cmocka_unit_test_prestate(a_word_is_looked_at_as_a_whole, (void *)(uintptr_t)&hows[0]),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
