/* --lrsc=strict and the run loop: another hart's code takes a reservation away, by whatever entries
 * it has for the page; the page stays closed while it is watched. The guest has no LR: its hart a
 * is this thread, which calls what an LR calls. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/hart_int.h"
#include "tests/lib/toy_isa.h"

#define CODE (TOY_RAM + 0x10000)
#define DATA (TOY_RAM + 0x400000)
enum { LIMIT_S = 60, ROUNDS = 2000 };

static const struct toy_config hows[] = {
    {.engine = ENGINE_JIT, .n_harts = 2, .strict_lrsc = true},
    {.engine = ENGINE_JIT, .n_harts = 2, .strict_lrsc = true, .evaluate_first = true},
    {.engine = ENGINE_INTERP, .n_harts = 2, .strict_lrsc = true},
};

static struct toy_hart *a, *b;

static int begin(void **state)
{
    alarm(LIMIT_S);
    a = toy_create(*state);
    b = toy_add_hart(a, *state);
    b->s.reg[6] = DATA;
    b->s.reg[7] = DATA + 8;
    return 0;
}

static int end(void **state)
{
    (void)state;
    alarm(0);
    toy_destroy(b);
    toy_destroy(a);
    return 0;
}

static struct track *track(void)
{
    return a->world->tcache->track;
}

/* The first time, where it goes by value, does not count. */
static void lr(void)
{
    mmu_lr(&a->s, DATA, 8);
    if (!track_is_code(track(), DATA)) {
        assert_int_equal(mmu_sc(&a->s, DATA, 8, 0, false), 1);
        mmu_lr(&a->s, DATA, 8);
    }
    assert_true(track_is_code(track(), DATA));
}

static bool sc(void)
{
    return mmu_sc(&a->s, DATA, 8, 0, false) == 0;
}

/* Code of b's: a store of its register 1, which is 0, to where register r points. */
static void put_store(unsigned r)
{
    uint64_t at = CODE;

    TOY(b, at, ST, 1, r, 0);
    TOY(b, at, STOP, 0, 0, 0);
}

/* b has entries for the page, and cells: they do not help it. */
static void code_is_heard(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        put_store(6);
        for (unsigned k = 0; k < 5; k++)
            toy_run(b, CODE);
        lr();
        toy_run(b, CODE);
        assert_false(sc());
        lr();
        assert_true(sc());
    }
}

/* A store to another word of the page is heard of, and must not open it. */
static void page_stays_closed(void **state)
{
    (void)state;
    uint64_t at = CODE;

    for (unsigned k = 0; k < 3; k++)
        TOY(b, at, ST, 1, 7, 0);
    TOY(b, at, ST, 1, 6, 0);
    TOY(b, at, STOP, 0, 0, 0);
    for (unsigned round = 0; round < 20; round++) {
        lr();
        toy_run(b, CODE);
        assert_false(sc());
    }
    put_store(7);
    lr();
    for (unsigned k = 0; k < 300; k++)
        toy_run(b, CODE);
    assert_true(sc());
    for (unsigned k = 0; k < 300; k++)
        toy_run(b, CODE);
    assert_false(track_is_code(track(), DATA));
}

static void devices_are_heard(void **state)
{
    (void)state;
    lr();
    tcache_wrote(a->world->tcache, DATA - 0x1000, 0x1001);
    assert_false(sc());
    lr();
    hart_wrote(a->world->hart, DATA + 7, 1);
    assert_false(sc());
    lr();
    tcache_wrote(a->world->tcache, DATA - 0x1000, 0x1000);
    hart_wrote(b->world->hart, DATA + 8, 0x1000);
    assert_true(sc());
}

/* ---- At once ------------------------------------------------------------------------------ */

static void *run_b(void *arg)
{
    (void)arg;
    b->s.pc = CODE;
    hart_run(b->world->hart);
    return NULL;
}

static uint64_t look(uint64_t gpa)
{
    return __atomic_load_n((uint64_t *)(void *)phys_ptr(&a->world->phys, gpa), __ATOMIC_ACQUIRE);
}

/* b counts its rounds at [5], stores the same value to what is reserved, and counts again at [4].
 * So a knows whether a whole store, or none, came between its LR and its SC. The page with the
 * counters is another one; now and then b stores beside the word. */
static void at_once(void **state)
{
    unsigned failed = 0, passed = 0;
    uint64_t at = CODE, loop;
    pthread_t thread;

    (void)state;
    b->s.reg[4] = DATA + 0x10000;
    b->s.reg[5] = DATA + 0x10008;
    loop = at;
    TOY(b, at, ADDI, 2, 2, 1);
    TOY(b, at, ST, 2, 5, 0);
    TOY(b, at, ST, 1, 6, 0);
    TOY(b, at, ST, 2, 4, 0);
    TOY(b, at, ST, 1, 7, 0);
    TOY(b, at, ADDI, 3, 8, 0);
    /* A pause, so that a comes to its SC without a store in between, too. */
    TOY(b, at, ADDI, 3, 3, -1);
    TOY(b, at, BNE, 3, 1, -2);
    TOY(b, at, JMP, 0, 0, (int)(loop - at) / 2);
    b->s.reg[8] = 300;
    atomic_store(&b->world->stop, false);
    assert_int_equal(pthread_create(&thread, NULL, run_b, NULL), 0);
    lr();
    sc();
    for (unsigned round = 0; round < ROUNDS || failed < 100 || passed < 100; round++) {
        uint64_t begun, ended;

        ended = look(DATA + 0x10000);
        mmu_lr(&a->s, DATA, 8);
        begun = look(DATA + 0x10008);
        if (round % 4 == 0)
            while (look(DATA + 0x10000) <= begun)
                sched_yield();

        uint64_t ended_then = look(DATA + 0x10000);
        bool success = sc();

        if (ended_then > begun && success)
            fail_msg("round %u: the SC succeeded behind a store", round);
        if (look(DATA + 0x10008) == ended && !success)
            fail_msg("round %u: the SC failed, and nobody had stored", round);
        success ? passed++ : failed++;
    }
    toy_stop(b);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

#define CASE(name, how)                                                                            \
    cmocka_unit_test_prestate_setup_teardown(name, begin, end, (void *)&hows[how])
#define CASES(name) CASE(name, 0), CASE(name, 1), CASE(name, 2)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASES(code_is_heard),
        CASES(page_stays_closed),
        CASES(devices_are_heard),
        CASES(at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
