/* softmmu/salt.c with several harts: generations, who follows whom, domains. What one hart does is
 * in test_mmu.c. */
#include "tests/lib/toy_guest.h"

#define LOW   UINT64_C(0x10000)
#define HIGH  UINT64_C(0xffffffff80000000)
#define LARGE UINT64_C(0x100000)
enum { ALL = TOY_R | TOY_W | TOY_X };

static struct salts *salts;
static struct toy *a, *b;
static uint8_t domain_of_a, domain_of_b;

static size_t domain(struct cpu_state *s, uint8_t *out)
{
    *out = s == &a->s ? domain_of_a : domain_of_b;
    return 1;
}

static const struct mmu_guest guest = {.walk = toy_walk,
                                       .allowed = toy_allowed,
                                       .domain = domain,
                                       .access_fault = toy_access_fault,
                                       .misaligned = toy_misaligned};

static int setup(void **state)
{
    (void)state;
    domain_of_a = domain_of_b = 0;
    salts = salts_create(2);
    a = toy_create_sharing(salts, &guest);
    b = toy_create_sharing(salts, &guest);
    for (unsigned k = 0; k < 2; k++) {
        struct toy *t = k ? b : a;

        mmu_flush_all(t->mmu); /* as a reset does: the domain is asked */
        toy_add(t, 1, LOW, TOY_RAM, 0x1000, ALL);
        toy_add(t, 1, LARGE, TOY_RAM + 0x100000, 0x100000, ALL);
        toy_add(t, 0, HIGH, TOY_RAM + 0x200000, 0x200000, ALL | TOY_G);
        toy_enter(t, 1, 3);
    }
    toy_enter(a, 2, 4); /* it follows b, which was made later */
    toy_enter(a, 1, 3);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    toy_destroy(a);
    toy_destroy(b);
    salts_destroy(salts);
    return 0;
}

static void fetch(struct toy *t, uint64_t gva)
{
    struct mmu_fault fault;
    uint64_t gpa;

    assert_true(mmu_fetch(t->mmu, gva, &gpa, &fault));
}

/* Another space and back, as at a trap or a process switch. */
static void switch_over(struct toy *t)
{
    toy_enter(t, 2, 4);
    toy_enter(t, 1, 3);
}

static bool same(unsigned half)
{
    return a->s.salt[half] == b->s.salt[half];
}

static void harts_have_the_same_salts(void **state)
{
    (void)state;
    assert_true(same(0));
    assert_true(same(1));
    toy_enter(a, 2, 4);
    assert_false(same(0));
    assert_true(same(1)); /* the upper half is that of all spaces */
    toy_enter(b, 2, 4);
    assert_true(same(0));
    toy_switch(a, 2, 4, TOY_SUPER, TOY_USER, 0);
    assert_false(same(0)); /* other rights */
    toy_switch(b, 2, 4, TOY_SUPER, TOY_USER, 1);
    assert_false(same(0)); /* another mode */
    toy_switch(a, 2, 4, TOY_SUPER, TOY_USER, 1);
    assert_true(same(0));
}

static void a_fence_of_what_another_fetched(void **state)
{
    uint64_t old = a->s.salt[0];

    (void)state;
    fetch(b, LOW);
    mmu_fence(a->mmu, false, LOW + 0x1000, false, 3);
    assert_int_equal(a->s.salt[0], old); /* nobody fetched that one */
    mmu_fence(a->mmu, false, LOW, false, 3);
    assert_int_not_equal(a->s.salt[0], old);
    assert_int_equal(b->s.salt[0], old); /* it has not fenced */
    switch_over(b);
    fetch(b, LARGE);
    old = a->s.salt[0];
    mmu_fence(a->mmu, false, LARGE + 0x5000, false, 3); /* the same leaf */
    assert_int_not_equal(a->s.salt[0], old);
}

/* What it remembers may be older than what the new generation promises. */
static void who_follows_forgets(void **state)
{
    unsigned walks;

    (void)state;
    fetch(b, LOW);
    walks = b->walks;
    fetch(b, LOW);
    assert_int_equal(b->walks, walks);
    mmu_fence(a->mmu, false, LOW, false, 3);
    assert_false(same(0));
    switch_over(b);
    assert_true(same(0));
    fetch(b, LOW);
    assert_true(b->walks > walks);
}

/* The same for the half that all spaces share: what is walked to anew serves them all again. */
static void who_follows_forgets_the_upper_half(void **state)
{
    unsigned walks;

    (void)state;
    fetch(b, HIGH);
    toy_enter(b, 2, 4);
    fetch(b, HIGH);
    mmu_fence(a->mmu, false, HIGH, true, 0);
    assert_false(same(1));
    toy_enter(b, 1, 3);
    assert_true(same(1));
    walks = b->walks;
    fetch(b, HIGH);
    assert_true(b->walks > walks);
    toy_enter(b, 2, 4);
    walks = b->walks;
    fetch(b, HIGH);
    assert_int_equal(b->walks, walks);
}

static void who_lags_behind_leaves_at_any_fence(void **state)
{
    uint64_t old = b->s.salt[0];

    (void)state;
    fetch(a, LOW);
    mmu_fence(a->mmu, false, LOW, false, 3);
    assert_int_equal(b->s.salt[0], old);
    /* What its generation has fetched is known no more. */
    mmu_fence(b->mmu, false, LOW + 0x5000, false, 3);
    assert_int_not_equal(b->s.salt[0], old);
}

/* As after a remote fence of a kernel's. */
static void harts_that_all_fence_meet(void **state)
{
    uint64_t old = a->s.salt[0];

    (void)state;
    fetch(a, LOW);
    fetch(b, LOW);
    mmu_fence(a->mmu, false, LOW, true, 0);
    mmu_fence(b->mmu, false, LOW, true, 0);
    switch_over(a);
    switch_over(b);
    assert_true(same(0));
    assert_int_not_equal(a->s.salt[0], old);
    old = a->s.salt[0];
    mmu_fence(a->mmu, true, 0, true, 0);
    mmu_fence(b->mmu, true, 0, true, 0);
    switch_over(a);
    switch_over(b);
    assert_true(same(0));
    assert_true(same(1));
    assert_int_not_equal(a->s.salt[0], old);
}

/* One that was begun after the fence by another will do: no third is made. */
static void a_generation_of_another_will_do(void **state)
{
    (void)state;
    toy_enter(a, 2, 4);
    toy_enter(b, 2, 4);
    mmu_fence(a->mmu, true, 0, false, 3); /* of the space that neither is in */
    mmu_fence(b->mmu, true, 0, false, 3);
    toy_enter(a, 1, 3);

    uint64_t generation = salts->generation;

    toy_enter(b, 1, 3);
    assert_int_equal(salts->generation, generation);
    assert_true(same(0));
}

/* A fence that a hart hears of late forbids what was walked before it was made, and no more. */
static void a_late_fence_is_of_its_moment(void **state)
{
    uint64_t old = a->s.salt[0], generation, moment;

    (void)state;
    toy_enter(b, 2, 4);
    moment = mmu_moment(a->mmu);
    mmu_fence_since(a->mmu, moment, true, 0, false, 3);
    assert_int_not_equal(a->s.salt[0], old); /* of the space that it is in */
    generation = salts->generation;
    assert_true(generation > moment);
    mmu_fence_since(b->mmu, moment, true, 0, false, 3);
    toy_enter(b, 1, 3);
    assert_int_equal(salts->generation, generation);
    assert_true(same(0));
    /* An earlier one does not take back what a later one has forbidden. */
    toy_enter(b, 2, 4);
    mmu_fence(b->mmu, true, 0, false, 3);
    mmu_fence_since(b->mmu, moment, true, 0, false, 3);
    toy_enter(b, 1, 3);
    assert_true(salts->generation > generation);
    assert_false(same(0));
}

static void other_protection_has_other_salts(void **state)
{
    (void)state;
    domain_of_b = 1;
    mmu_flush_all(b->mmu);
    switch_over(a);
    switch_over(b);
    switch_over(a);
    assert_false(same(0));
    assert_false(same(1));
    domain_of_a = 1;
    mmu_flush_all(a->mmu);
    mmu_flush_all(b->mmu);
    switch_over(a);
    switch_over(b);
    assert_true(same(0));
    /* More of them than are remembered: nothing is shared then, and nothing wrong. */
    for (unsigned n = 2; n < N_DOMAINS + 8; n++) {
        domain_of_a = (uint8_t)n;
        mmu_flush_all(a->mmu);
        assert_false(same(0));
    }
    domain_of_b = domain_of_a;
    mmu_flush_all(b->mmu);
    switch_over(b);
    assert_false(same(0));
}

/* Of a space whose salts went already, by a fence of all addresses. */
static void a_page_fence_of_a_stale_space_counts(void **state)
{
    (void)state;
    toy_enter(b, 2, 4);
    mmu_fence(b->mmu, true, 0, true, 0);
    mmu_fence(a->mmu, true, 0, false, 3);
    fetch(a, LOW);
    mmu_fence(b->mmu, false, LOW, false, 3);
    toy_enter(b, 1, 3);
    assert_false(same(0));
}

/* Of a space that has salts of its own for the upper half on one hart only. */
static void a_fence_before_the_upper_half_is_its_own_counts(void **state)
{
    const uint64_t local = HIGH + 0x400000;

    (void)state;
    toy_add(a, 1, local, TOY_RAM, 0x1000, ALL);
    toy_add(b, 1, local, TOY_RAM, 0x1000, ALL);
    fetch(a, local);
    mmu_fence(b->mmu, false, local, false, 3);
    fetch(b, local);
    assert_false(same(1));
}

/* One that this hart was never in, and one that it has forgotten. */
static void a_fence_before_a_space_is_entered_counts(void **state)
{
    (void)state;
    toy_enter(a, 7, 9);
    mmu_fence(b->mmu, false, LOW, false, 9);
    toy_enter(b, 7, 9);
    assert_false(same(0));
    toy_enter(a, 8, 10);
    mmu_fence(b->mmu, false, LOW, false, 9); /* of others: they may be the same */
    toy_enter(b, 8, 10);
    assert_true(same(0));
    mmu_fence(b->mmu, true, 0, false, 10); /* gone: its place is free */
    toy_enter(b, 9, 11);
    toy_enter(b, 12, 13);
    mmu_fence(b->mmu, false, HIGH, true, 0); /* of the other half */
    toy_enter(a, 8, 10);
    toy_enter(b, 8, 10);
    assert_false(same(0));
}

static void sets_are_recycled(void **state)
{
    uint64_t old = a->s.salt[0];

    (void)state;
    fetch(a, LOW);
    for (unsigned n = 0; n < N_SETS + 10; n++)
        toy_enter(b, 100 + n, 5);
    assert_int_equal(a->s.salt[0], old);
    /* Its set is another's: whatever is fenced, it has to leave. */
    mmu_fence(a->mmu, false, LOW + 0x5000, false, 3);
    assert_int_not_equal(a->s.salt[0], old);
    toy_enter(b, 1, 3);
    assert_true(same(0));
}

static void count(void *arg)
{
    ++*(unsigned *)arg;
}

static void ids_run_low(void **state)
{
    unsigned n_told = 0;

    (void)state;
    mmu_set_salt_wrap(a->mmu, count, &n_told);
    salts->next_id = SALT_IDS - SALT_MARGIN - 8;
    assert_false(salts_are_low(salts));
    toy_enter(a, 7, 4);
    assert_int_equal(n_told, 0);
    salts->next_id = SALT_IDS - SALT_MARGIN + 1;
    assert_true(salts_are_low(salts));
    toy_enter(a, 8, 4);
    assert_int_not_equal(n_told, 0);
    assert_true(a->s.salt[0] >> 40 > SALT_IDS - SALT_MARGIN); /* there are enough until then */

    a->s.jump[5] = b->s.jump[5] = (struct jump_entry){a->s.salt[0] ^ 10, &n_told};
    salts_begin_anew(salts);
    mmu_begin_anew(a->mmu);
    mmu_refresh(a->mmu);
    mmu_begin_anew(b->mmu);
    mmu_refresh(b->mmu);
    assert_int_equal(a->s.jump[5].tag, JUMP_EMPTY);
    assert_int_equal(b->s.jump[5].tag, JUMP_EMPTY);
    assert_true(a->s.salt[0] >> 40 < 10);
    mmu_fence(a->mmu, false, LOW, true, 0); /* also of spaces that were not entered since */
    toy_enter(a, 1, 3);
    switch_over(b);
    assert_true(same(0));
    assert_true(a->s.salt[0] >> 40 < 20);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(harts_have_the_same_salts),
        CASE(a_fence_of_what_another_fetched),
        CASE(who_follows_forgets),
        CASE(who_follows_forgets_the_upper_half),
        CASE(who_lags_behind_leaves_at_any_fence),
        CASE(harts_that_all_fence_meet),
        CASE(a_generation_of_another_will_do),
        CASE(a_late_fence_is_of_its_moment),
        CASE(other_protection_has_other_salts),
        CASE(a_page_fence_of_a_stale_space_counts),
        CASE(a_fence_before_the_upper_half_is_its_own_counts),
        CASE(a_fence_before_a_space_is_entered_counts),
        CASE(sets_are_recycled),
        CASE(ids_run_low),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
