/* runtime and softmmu: a hart asks for samples, and says what it knows of the code that they find.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "dbt/base/check.h"
#include "runtime/hart_int.h"
#include "softmmu/mmu_int.h"
#include "tests/lib/toy_isa.h"

enum { LIMIT_S = 60 };
#define CODE TOY_RAM
#define A_MS UINT64_C(1000000)

/* The toy's guest, with windows for everybody. */
static const struct mmu_guest *toy_ops;
static struct mmu_guest ops;

static bool peek(struct cpu_state *s, uint64_t gva, enum mmu_access access, uint64_t rights,
                 struct mmu_map *map)
{
    struct mmu_fault fault;

    return toy_ops->walk(s, gva, access, rights, map, &fault);
}

static uint64_t window_bound(uint64_t space_key, uint64_t rights)
{
    (void)space_key, (void)rights;
    return UINT64_C(1) << 38;
}

static uint64_t wanted_ns;
static unsigned n_wanted;

static void sample_after(void *arg, uint64_t ns)
{
    (void)arg;
    wanted_ns = ns;
    n_wanted++;
}

static struct toy_hart *begin(void)
{
    struct toy_hart *t = toy_create(&(struct toy_config){.engine = ENGINE_JIT});
    struct mmu *m = t->s.mmu;
    uint64_t at = CODE;

    alarm(LIMIT_S);
    TOY(t, at, LD, 3, 4, 0);
    TOY(t, at, STOP, 0, 0, 0);
    toy_ops = m->guest;
    ops = *toy_ops;
    ops.peek = peek;
    ops.window_bound = window_bound;
    m->guest = &ops;
    t->world->tcache->windows->policy = WINDOWS_AUTO;
    mmu_set_windows(m, t->world->tcache->windows);
    n_wanted = 0;
    t->world->hart->config.events.sample_after = sample_after;
    return t;
}

static void end(struct toy_hart *t)
{
    alarm(0);
    toy_destroy(t);
}

/* A load and a stop. */
static void run(struct toy_hart *t)
{
    t->s.reg[4] = CODE;
    toy_run(t, CODE);
    t->s.pc = CODE;
}

static void sample(struct toy_hart *t)
{
    struct mmu *m = t->s.mmu;

    m->sampled_at = window_clock() - 10 * A_MS;
    mmu_sample(m, 0, hart_density(t->world->hart));
}

static void give_window(struct toy_hart *t)
{
    for (unsigned i = 0; i < 100 && !mmu_code_mode(t->s.mmu); i++)
        sample(t);
    assert_true(mmu_code_mode(t->s.mmu));
}

static void a_hart_without_a_window_asks_for_samples(void **state)
{
    struct toy_hart *t = begin();

    (void)state;
    hart_kick(t->world->hart, PENDING_EVENT);
    run(t);
    assert_int_equal(wanted_ns, A_MS);
    end(t);
}

static void one_that_has_it_does_not(void **state)
{
    struct toy_hart *t = begin();

    (void)state;
    run(t);
    give_window(t);
    n_wanted = 0;
    t->s.mmu->sampled_at -= A_MS;
    hart_kick(t->world->hart, PENDING_EVENT);
    run(t);
    assert_int_equal(n_wanted, 0);
    end(t);
}

static void it_knows_what_is_there_for_windows(void **state)
{
    struct toy_hart *t = begin();
    struct mmu *m = t->s.mmu;

    (void)state;
    run(t);
    assert_int_equal(hart_density(t->world->hart).n_insns, 2);
    assert_false(hart_density(t->world->hart).is_made);
    give_window(t);
    run(t);
    m->slot->window->failed = true;
    sample(t);
    assert_false(mmu_code_mode(m));
    assert_true(hart_density(t->world->hart).is_made);
    end(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hart_without_a_window_asks_for_samples),
        cmocka_unit_test(one_that_has_it_does_not),
        cmocka_unit_test(it_knows_what_is_there_for_windows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
