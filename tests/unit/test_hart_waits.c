/* Who waits for a hart, and what a hart may keep meanwhile: moments between two threads, made to
 * happen by the machine's callbacks. The code runs translated. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/hart_int.h"
#include "tests/lib/toy_isa.h"

#define CODE TOY_RAM
#define HOOK UINT64_C(0x20000000)
enum { LIMIT_S = 20 };

struct scene {
    struct toy_hart *t;
    pthread_t other;
    unsigned n_polls;
    bool linked; /* at the first poll the loop would link an exit */
};

/* A hang is a failure, and says so. */
static struct toy_hart *begin(struct scene *c, bool (*poll)(void *arg))
{
    struct toy_hart *t = toy_create(&(struct toy_config){.engine = ENGINE_JIT});

    alarm(LIMIT_S);
    *c = (struct scene){.t = t};
    t->world->hart->config.events.poll = poll;
    t->world->hart->config.events.arg = c;
    return t;
}

static void end(struct toy_hart *t)
{
    alarm(0);
    toy_destroy(t);
}

/* ---- Stopping a hart that serves another kick ---------------------------------------------- */

static void *stop_the_world(void *arg)
{
    struct scene *c = arg;
    struct toy_world *w = c->t->world;

    tcache_stop(w->tcache, NULL);
    atomic_store(&w->stop, true);
    tcache_resume(w->tcache);
    hart_kick(w->hart, PENDING_EVENT);
    return NULL;
}

static bool poll_until_stopped(void *arg)
{
    return !atomic_load(&((struct scene *)arg)->t->world->stop);
}

/* Returns when the other has kicked, and waits. */
static bool poll_until_kicked(void *arg)
{
    struct scene *c = arg;

    if (c->n_polls++ == 0) {
        assert_int_equal(pthread_create(&c->other, NULL, stop_the_world, c), 0);
        while (!(atomic_load(&c->t->s.pending) & PENDING_LEAVE))
            sched_yield();
    }
    return poll_until_stopped(c);
}

static void a_kick_that_comes_while_another_is_served_stops_the_hart(void **state)
{
    struct scene c;
    struct toy_hart *t = begin(&c, poll_until_stopped);
    uint64_t at = CODE;

    (void)state;
    TOY(t, at, ADDI, 1, 1, 1);
    TOY(t, at, BNE, 1, 2, -2);
    TOY(t, at, STOP, 0, 0, 0);
    t->s.reg[2] = 1000;
    toy_run(t, CODE); /* now the loop is linked to itself */
    assert_int_equal(t->s.reg[1], 1000);
    t->s.reg[2] = 0;
    t->world->hart->config.events.poll = poll_until_kicked;
    hart_kick(t->world->hart, PENDING_EVENT);
    toy_run(t, CODE);
    pthread_join(c.other, NULL);
    end(t);
}

/* ---- A block that is retired while it runs --------------------------------------------------- */

static uint64_t hook_read(void *device, uint64_t offset, unsigned size)
{
    (void)device, (void)offset, (void)size;
    return 0;
}

/* As another hart does that makes room: the running block is dropped, its segment will be used
 * again when this hart has passed. */
static void retire(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct scene *c = device;
    struct tcache *tc = c->t->world->tcache;

    (void)offset, (void)size, (void)value;
    tcache_lock(tc);
    assert_true(block_drop_range(tc->blocks, CODE, 4));
    cache_retire(tc->cache, 0);
    tcache_unlock(tc);
    hart_kick(c->t->world->hart, PENDING_EVENT);
}

static const struct phys_mmio hook_ops = {hook_read, retire, 1, 8};

static bool poll_for_link(void *arg)
{
    struct scene *c = arg;
    const struct hart *h = c->t->world->hart;

    if (c->n_polls++ == 0)
        c->linked = h->link_from && h->link_generation == cache_generation(h->tc->cache);
    return poll_until_stopped(c);
}

static void no_link_is_kept_of_a_block_that_was_retired_meanwhile(void **state)
{
    struct scene c;
    struct toy_hart *t = begin(&c, poll_for_link);
    uint64_t at = CODE;

    (void)state;
    phys_add_mmio(&t->world->phys, HOOK, 0x1000, "hook", &hook_ops, &c);
    TOY(t, at, ST, 1, 2, 0);
    TOY(t, at, JMP, 0, 0, 6);
    at = CODE + 16;
    TOY(t, at, STOP, 0, 0, 0);
    t->s.reg[2] = HOOK;
    toy_run(t, CODE);
    assert_int_equal(c.n_polls, 2); /* the second is STOP's */
    assert_false(c.linked);
    end(t);
}

/* So that the test above can fail. */
static void a_link_is_kept_else(void **state)
{
    struct scene c;
    struct toy_hart *t = begin(&c, poll_for_link);
    uint64_t at = CODE;

    (void)state;
    TOY(t, at, STOP, 0, 0, 0);
    toy_run(t, CODE);
    assert_int_equal(c.n_polls, 1);
    assert_true(c.linked);
    end(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kick_that_comes_while_another_is_served_stops_the_hart),
        cmocka_unit_test(no_link_is_kept_of_a_block_that_was_retired_meanwhile),
        cmocka_unit_test(a_link_is_kept_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
