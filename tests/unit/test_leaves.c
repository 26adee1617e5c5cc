/* softmmu/leaves.c: what fences leave of the upper half's salts, with two harts: as much as lies
 * where it did. What is allowed at all is in test_salts_random.c. */
#include "tests/lib/toy_guest.h"

#define HIGH  UINT64_C(0xffffffff80000000)
#define OTHER UINT64_C(0xffffffff90000000)
enum { ALL = TOY_R | TOY_W | TOY_X | TOY_G, LEN = 0x200000, KERNEL = 0, SECOND = 1 };

static struct salts *salts;
static struct toy *a, *b;
static void (*before_leaf)(void); /* called once, by the next walk of a's, behind its look */

static bool walk(struct cpu_state *s, uint64_t gva, enum mmu_access access, uint64_t rights,
                 struct mmu_map *map, struct mmu_fault *fault)
{
    bool found = toy_walk(s, gva, access, rights, map, fault);
    void (*f)(void) = before_leaf;

    if (f && s == &a->s) {
        before_leaf = NULL;
        f();
    }
    return found;
}

static uint8_t domains[2]; /* of a, of b and c */

/* One for all, if nobody says else, and not what harts have that were never asked. */
static size_t domain(struct cpu_state *s, uint8_t *out)
{
    *out = 7 + domains[!a || s != &a->s];
    return 1;
}

static const struct mmu_guest guest = {.walk = walk,
                                       .peek = toy_peek_map,
                                       .domain = domain,
                                       .allowed = toy_allowed,
                                       .access_fault = toy_access_fault,
                                       .misaligned = toy_misaligned};

/* Both look at one page table, as it were. */
static void map_both(uint64_t va, uint64_t gpa, uint64_t len, unsigned flags)
{
    toy_add(a, 0, va, gpa, len, flags);
    toy_add(b, 0, va, gpa, len, flags);
}

static struct toy_map *mapping(unsigned hart, unsigned i)
{
    return &(hart ? b : a)->map[i];
}

static void move(unsigned i)
{
    for (unsigned h = 0; h < 2; h++)
        mapping(h, i)->gpa += LEN;
}

static int begin(struct salts *of)
{
    salts = of;
    before_leaf = NULL;
    domains[0] = domains[1] = 0;
    a = toy_create_sharing(of, &guest);
    b = toy_create_sharing(of, &guest);
    mmu_flush_all(a->mmu); /* as a reset does: the domain is asked */
    mmu_flush_all(b->mmu);
    map_both(HIGH, TOY_RAM, LEN, ALL);
    map_both(OTHER, TOY_RAM + LEN, 0x1000, ALL);
    toy_enter(a, 1, 3);
    toy_enter(b, 1, 3);
    toy_enter(a, 2, 4); /* it follows b */
    toy_enter(a, 1, 3);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return begin(salts_create(2));
}

/* Each has salts of its own. */
static int setup_alone(void **state)
{
    (void)state;
    return begin(NULL);
}

static int teardown(void **state)
{
    (void)state;
    toy_destroy(a);
    toy_destroy(b);
    if (salts)
        salts_destroy(salts);
    return 0;
}

static uint64_t fetch(struct toy *t, uint64_t gva)
{
    struct mmu_fault fault;
    uint64_t gpa;

    assert_true(mmu_fetch(t->mmu, gva, &gpa, &fault));
    return gpa;
}

static bool is_remembered(struct toy *t, uint64_t gva)
{
    unsigned walks = t->walks;

    fetch(t, gva);
    return t->walks == walks;
}

static void fence_all(struct toy *t)
{
    mmu_fence(t->mmu, true, 0, true, 0);
}

static uint64_t salt(const struct toy *t)
{
    return t->s.salt[1];
}

static void what_lies_where_it_did_stays(void **state)
{
    uint64_t old = salt(a), low = a->s.salt[0];

    (void)state;
    fetch(a, HIGH + 0x5000);
    fetch(b, OTHER);
    fence_all(a);
    assert_int_equal(salt(a), old);
    assert_int_not_equal(a->s.salt[0], low); /* of the lower half nobody knows */
    assert_true(is_remembered(a, HIGH + 0x5000));
    fence_all(b);
    toy_enter(b, 2, 4);
    assert_int_equal(salt(b), old);
    assert_true(is_remembered(b, OTHER));
}

static void what_lies_elsewhere_goes(void **state)
{
    uint64_t old = salt(a);

    (void)state;
    fetch(a, HIGH + 0x5000);
    fetch(b, OTHER);
    move(KERNEL);
    fence_all(a);
    assert_int_not_equal(salt(a), old);
    assert_int_equal(salt(b), old); /* it has not fenced */
    assert_int_equal(fetch(a, HIGH + 0x5000), TOY_RAM + LEN + 0x5000);
    fence_all(b);
    assert_int_not_equal(salt(b), old);
    toy_enter(a, 2, 4); /* it follows */
    assert_int_equal(salt(b), salt(a));
    /* Noted anew. */
    fetch(a, HIGH);
    old = salt(a);
    fence_all(a);
    assert_int_equal(salt(a), old);
    move(KERNEL);
    fence_all(b);
    assert_int_not_equal(salt(b), old);
}

static void what_the_other_has_fetched_counts(void **state)
{
    uint64_t old = salt(a);

    (void)state;
    fetch(b, OTHER);
    move(SECOND);
    fence_all(a);
    assert_int_not_equal(salt(a), old);
}

/* It may not be fetched, is not for all spaces, is half as long, or is not there. */
static void a_leaf_that_has_changed_goes(void **state)
{
    static const unsigned without[] = {TOY_X, TOY_G};

    (void)state;
    for (unsigned k = 0; k < 3; k++) {
        uint64_t old = salt(a);
        struct toy_map *m = mapping(0, KERNEL), was = *m;

        fetch(a, HIGH);
        if (k < 2)
            m->flags &= ~without[k];
        else
            m->len /= 2;
        fence_all(a);
        assert_int_not_equal(salt(a), old);
        *m = was;
        fence_all(a);
    }
    /* Nothing there. */
    uint64_t old = salt(a);

    fetch(a, HIGH);
    mapping(0, KERNEL)->va += LEN;
    fence_all(a);
    assert_int_not_equal(salt(a), old);
}

static void more_than_are_noted_go(void **state)
{
    const uint64_t first = OTHER + 0x1000000;
    uint64_t old;

    (void)state;
    for (unsigned n = 0; n < 2; n++)
        toy_add(a, 0, first + n * 0x1000000, TOY_RAM + 0x400000, 0x1000, ALL);
    for (unsigned i = 0; i < N_LEAVES - 1; i++) {
        a->map[2].va = first + i * 0x10000;
        fetch(a, a->map[2].va);
    }
    old = salt(a);
    mmu_fence(a->mmu, false, OTHER + 0x200000, true, 0);
    assert_int_equal(salt(a), old);
    assert_false(leaves_may_have(a->mmu, OTHER + 0x200000));
    fetch(a, HIGH); /* the last that is noted */
    assert_false(leaves_may_have(a->mmu, OTHER + 0x200000));
    fetch(a, a->map[3].va);
    assert_true(leaves_may_have(a->mmu, OTHER + 0x200000));
    assert_false(leaves_stand(a->mmu));
    fence_all(a);
    assert_int_not_equal(salt(a), old);
    /* And from there on they are known again. */
    old = salt(a);
    fetch(a, HIGH);
    fence_all(a);
    assert_int_equal(salt(a), old);
}

/* A page between two that were fetched, and one that the filter takes for one of them. */
static void a_page_that_no_leaf_has_counts_for_nothing(void **state)
{
    uint64_t old = salt(a), alike = OTHER + 0x1000;

    (void)state;
    map_both(OTHER + LEN, TOY_RAM + 2 * LEN, LEN, ALL);
    fetch(a, HIGH);
    fetch(b, OTHER);
    fetch(b, OTHER + LEN);
    while (!salt_may_have_fetched(&a->mmu->high, alike))
        alike += 0x1000;
    mmu_fence(a->mmu, false, alike, true, 0);
    assert_int_equal(salt(a), old);
    mmu_fence(a->mmu, false, OTHER + 0x1000, true, 0);
    assert_int_equal(salt(a), old);
    mmu_fence(a->mmu, false, OTHER + LEN + 0x5000, true, 0); /* of its leaf */
    assert_int_not_equal(salt(a), old);
}

/* In M mode its page table is not in force: what it says then does not count, nor what it said. */
static void it_is_asked_when_it_is_in_force(void **state)
{
    uint64_t old = salt(a);

    (void)state;
    fetch(a, HIGH);
    toy_enter(a, 0, 0);
    fence_all(a);
    toy_enter(a, 1, 3);
    assert_int_equal(salt(a), old);
    toy_enter(a, 0, 0);
    fence_all(a);
    move(KERNEL);
    toy_enter(a, 0, 0);
    toy_enter(a, 2, 4);
    assert_int_not_equal(salt(a), old);
    assert_int_equal(fetch(a, HIGH), TOY_RAM + LEN);
}

/* a goes on to a new generation, in which it fetches what is given; b stays behind. */
static void leave_behind(uint64_t fetched)
{
    uint64_t old = salt(b);

    fetch(a, HIGH);
    fetch(b, OTHER);
    mmu_fence(a->mmu, false, HIGH, true, 0);
    assert_int_not_equal(salt(a), old);
    assert_int_equal(salt(b), old);
    fetch(a, fetched);
}

/* Its own generation's notes are gone; in the newest one nobody has fetched that page. */
static void who_lags_behind_goes_on_to_the_newest(void **state)
{
    (void)state;
    leave_behind(HIGH);
    mmu_fence(b->mmu, false, OTHER, true, 0);
    assert_int_equal(salt(b), salt(a));
    assert_false(is_remembered(b, OTHER));
}

static void not_if_the_page_was_fetched_there(void **state)
{
    uint64_t old = salt(b);

    (void)state;
    leave_behind(OTHER);
    mmu_fence(b->mmu, false, OTHER, true, 0);
    assert_int_not_equal(salt(b), old);
    assert_int_not_equal(salt(b), salt(a));
}

static void who_lags_behind_and_fences_all_goes_on_to_the_newest(void **state)
{
    (void)state;
    leave_behind(HIGH);
    fence_all(b);
    assert_int_equal(salt(b), salt(a));
    assert_false(is_remembered(b, OTHER));
}

/* Only b's page table leads elsewhere. */
static void not_if_it_finds_something_elsewhere(void **state)
{
    uint64_t old = salt(b);

    (void)state;
    leave_behind(HIGH);
    mapping(1, KERNEL)->gpa += LEN;
    fence_all(b);
    assert_int_not_equal(salt(b), old);
    assert_int_not_equal(salt(b), salt(a));
    assert_int_equal(fetch(b, HIGH), TOY_RAM + LEN);
}

/* As a hart does that is started: all that it has had since its reset was without a page table. */
static void who_fences_first_comes_to_the_others(void **state)
{
    struct toy *c = toy_create_sharing(salts, &guest);
    uint64_t generation;

    (void)state;
    mmu_flush_all(c->mmu);
    toy_add(c, 0, HIGH, TOY_RAM, LEN, ALL);
    toy_enter(c, 0, 0);
    fetch(a, HIGH);
    mmu_fence(a->mmu, false, HIGH, true, 0); /* a generation begun behind the reset */
    fetch(a, HIGH);
    fence_all(c);
    generation = a->mmu->high.generation;
    toy_enter(c, 1, 3);
    assert_int_equal(salt(c), salt(a));
    assert_int_equal(c->mmu->high.generation, generation);
    toy_destroy(c);
}

/* A walk that leads there still says nothing of that. */
static void protection_has_changed(void **state)
{
    struct mmu_fault fault;
    uint64_t old, gpa;

    (void)state;
    fetch(a, HIGH);
    old = salt(a);
    a->forbidden = TOY_RAM;
    a->forbidden_len = LEN;
    a->forbidden_access = 1 << MMU_FETCH;
    domains[0] = 1;
    mmu_flush_all(a->mmu);
    assert_false(mmu_fetch(a->mmu, HIGH, &gpa, &fault));
    assert_int_not_equal(salt(a), old);
}

/* Which it was told of when it had no salts of the upper half yet, and after the doubt of its reset
 * had come up. */
static void a_fence_before_the_first_salts(void **state)
{
    struct toy *c = toy_create_sharing(salts, &guest);
    uint64_t old;

    (void)state;
    mmu_flush_all(c->mmu);
    toy_add(c, 0, HIGH, TOY_RAM, LEN, ALL);
    toy_add(c, 0, OTHER, TOY_RAM + LEN, 0x1000, ALL);
    toy_enter(c, 0, 0);
    fetch(a, HIGH);
    mmu_fence(a->mmu, false, HIGH, true, 0);
    fetch(a, OTHER);
    old = salt(a);
    c->map[SECOND].gpa += LEN;
    move(SECOND);
    mmu_fence(c->mmu, false, OTHER, true, 0);
    toy_enter(c, 1, 3);
    assert_int_not_equal(salt(c), old);
    toy_destroy(c);
}

/* The protection is that of the others from now on, but what the hart has of its own is of before:
 * its space has an upper half of its own. */
static void a_fence_before_the_set_is_entered(void **state)
{
    uint64_t shared;

    (void)state;
    toy_add(a, 1, OTHER + LEN, TOY_RAM, 0x1000, ALL & ~TOY_G);
    domains[0] = 1;
    mmu_flush_all(a->mmu); /* a is not with b any more */
    fetch(a, HIGH);
    fetch(a, OTHER + LEN); /* from here on it has an upper half of its own */
    fetch(b, HIGH);
    mmu_fence(b->mmu, false, HIGH, true, 0); /* a generation begun behind all that a has done */
    fetch(b, OTHER);
    shared = salt(b);
    domains[0] = 0;
    mmu_flush_all(a->mmu); /* all of b's leads where a's walks do */
    move(SECOND);
    mmu_fence(a->mmu, false, OTHER, true, 0); /* but for this now */
    toy_enter(a, 2, 4);
    assert_int_not_equal(salt(a), shared);
}

/* The same in M mode, where nothing is known of the set yet. */
static void a_fence_while_in_doubt_of_another_set(void **state)
{
    uint64_t shared;

    (void)state;
    domains[0] = 1;
    mmu_flush_all(a->mmu);
    fetch(a, HIGH);
    toy_enter(a, 0, 0);
    domains[0] = 0;
    mmu_flush_all(a->mmu);
    fetch(b, HIGH);
    mmu_fence(b->mmu, false, HIGH, true, 0); /* a generation begun behind that */
    fetch(b, OTHER);
    shared = salt(b);
    move(SECOND);
    mmu_fence(a->mmu, false, OTHER, true, 0);
    toy_enter(a, 1, 3);
    assert_int_not_equal(salt(a), shared);
}

static void other_maps_and_fences(void)
{
    move(SECOND);
    fence_all(b);
}

/* The leaf was looked at, then b fences; a's note comes too late for that. */
static void a_fence_between_walk_and_note(void **state)
{
    uint64_t old = salt(b);

    (void)state;
    before_leaf = other_maps_and_fences;
    assert_int_equal(fetch(a, OTHER), TOY_RAM + 2 * LEN);
    assert_int_equal(salt(b), old); /* it has found no note */
}

/* One hart goes on to a new generation with what it remembers. */
static void what_is_remembered_stays_noted(void **state)
{
    uint64_t old;

    (void)state;
    fetch(a, HIGH + 0x5000);
    fetch(a, OTHER);
    old = salt(a);
    mmu_fence(a->mmu, false, OTHER, true, 0);
    assert_int_not_equal(salt(a), old);
    assert_true(is_remembered(a, HIGH + 0x5000));
    old = salt(a);
    move(KERNEL);
    fence_all(a);
    assert_int_not_equal(salt(a), old);
    assert_int_equal(fetch(a, HIGH + 0x5000), TOY_RAM + LEN + 0x5000);
}

/* In doubt, and told of a fence that was made before another hart's newest generation was begun. */
static void a_fence_heard_of_late_does_not_undo_a_later_one(void **state)
{
    (void)state;
    fetch(b, HIGH);
    toy_enter(a, 0, 0);
    uint64_t early = mmu_moment(b->mmu);

    mmu_fence(b->mmu, false, HIGH, true, 0);
    fetch(b, HIGH);
    move(KERNEL);
    fence_all(a);
    mmu_fence_since(a->mmu, early, true, 0, true, 0);
    toy_enter(a, 1, 3);
    assert_int_not_equal(salt(a), salt(b));
}

/* And the doubt is over then. */
static void alone_it_is_noted_anew(void **state)
{
    uint64_t old;

    (void)state;
    fetch(a, HIGH);
    move(KERNEL);
    fence_all(a);
    fetch(a, HIGH);
    old = salt(a);
    fence_all(a);
    assert_int_equal(salt(a), old);
    unsigned walks = a->walks;

    toy_enter(a, 2, 4);
    toy_enter(a, 1, 3);
    assert_int_equal(a->walks, walks);
}

/* Of a leaf of sixteen entries, as Svnapot has them, one says something else now. */
static void each_page_of_a_small_leaf_is_walked_to(void **state)
{
    const uint64_t small = OTHER + 0x10000;
    uint64_t old;

    (void)state;
    map_both(small, TOY_RAM, 0x10000, ALL);
    fetch(a, small + 0x5000);
    old = salt(a);
    fence_all(a);
    assert_int_equal(salt(a), old);
    mmu_fence(a->mmu, false, small + 0x1000, true, 0); /* which the leaf covers */
    assert_int_not_equal(salt(a), old);
    fetch(a, small);
    fetch(a, small + 0x5000);
    old = salt(a);
    /* The toy takes the first of its mappings that fits. */
    a->map[a->n_maps++] = a->map[0];
    a->map[0] = (struct toy_map){.va = small + 0x5000, .gpa = TOY_RAM, .len = 0x1000, .flags = ALL};
    fence_all(a);
    assert_int_not_equal(salt(a), old);
}

static void a_new_beginning_knows_nothing(void **state)
{
    uint64_t old;

    (void)state;
    fetch(a, HIGH);
    salts_begin_anew(salts);
    mmu_begin_anew(a->mmu);
    mmu_begin_anew(b->mmu);
    assert_false(leaves_stand(a->mmu));
    assert_true(leaves_may_have(a->mmu, OTHER));
    mmu_refresh(a->mmu);
    assert_true(leaves_stand(a->mmu));
    old = salt(a);
    assert_false(is_remembered(a, HIGH));
    move(KERNEL);
    fence_all(a);
    assert_int_not_equal(salt(a), old);
}

int main(void)
{
#define TEST(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
#define ALONE(f) cmocka_unit_test_setup_teardown(f, setup_alone, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_lies_where_it_did_stays),
        TEST(what_lies_elsewhere_goes),
        TEST(what_the_other_has_fetched_counts),
        TEST(a_leaf_that_has_changed_goes),
        TEST(more_than_are_noted_go),
        TEST(a_page_that_no_leaf_has_counts_for_nothing),
        TEST(it_is_asked_when_it_is_in_force),
        TEST(who_lags_behind_goes_on_to_the_newest),
        TEST(not_if_the_page_was_fetched_there),
        TEST(who_lags_behind_and_fences_all_goes_on_to_the_newest),
        TEST(not_if_it_finds_something_elsewhere),
        TEST(who_fences_first_comes_to_the_others),
        TEST(a_fence_before_the_first_salts),
        TEST(protection_has_changed),
        ALONE(protection_has_changed),
        TEST(a_fence_before_the_set_is_entered),
        TEST(a_fence_while_in_doubt_of_another_set),
        TEST(a_fence_between_walk_and_note),
        ALONE(what_is_remembered_stays_noted),
        TEST(a_fence_heard_of_late_does_not_undo_a_later_one),
        ALONE(alone_it_is_noted_anew),
        TEST(each_page_of_a_small_leaf_is_walked_to),
        TEST(a_new_beginning_knows_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
