/* softmmu/reserve: with --lrsc=strict each kind of store by another hart or a device ends a
 * reservation, the same value or not, and nothing else does. Two harts, one thread. */
#include "tests/lib/toy_guest.h"

#include "dbt/ir/ir.h"

#define PAGE   UINT64_C(0x10000) /* two pages, all bytes 0 */
#define GPA    (TOY_RAM + 0x9000)
#define DEV    UINT64_C(0x50000)
#define WORD   (PAGE + 0x1000 - 8) /* the first page's last */
#define BEHIND (PAGE + 0x1000)     /* the second page's first */

static struct toy *a, *b;
static struct track *track;
static struct reserve *r;

static bool on_write(void *arg, uint64_t gpa, unsigned len, bool *page_is_code)
{
    (void)arg, (void)len;
    *page_is_code = reserve_watches(r, gpa);
    return false;
}

/* Hart `hart`, on RAM that is the first's. */
static struct toy *make(struct phys *phys, unsigned hart)
{
    struct toy *t = calloc(1, sizeof *t);

    assert_non_null(t);
    t->mmu = mmu_create(&t->s, phys, track, NULL, &toy_guest);
    assert_non_null(t->mmu);
    mmu_reserve_strictly(t->mmu, r, hart);
    toy_add(t, 1, PAGE, GPA, 0x2000, TOY_R | TOY_W);
    toy_add(t, 1, DEV, TOY_DEVICE, 0x1000, TOY_R | TOY_W);
    toy_enter(t, 1, 0);
    return t;
}

static struct phys phys;

static int setup(void **state)
{
    struct err e;

    (void)state;
    assert_true(phys_init(&phys, TOY_RAM, TOY_RAM_LEN, &e));
    track = track_create(&phys, on_write, NULL);
    r = reserve_create(2);
    a = make(&phys, 0);
    b = make(&phys, 1);
    phys_add_mmio(&phys, TOY_DEVICE, TOY_DEVICE_LEN, "toy", &toy_mmio, a);
    /* All its LRs watch. */
    memset(a->mmu->lr_watches, 0xff, sizeof a->mmu->lr_watches);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mmu_destroy(a->mmu);
    mmu_destroy(b->mmu);
    free(a);
    free(b);
    reserve_destroy(r);
    track_destroy(track);
    phys_fini(&phys);
    return 0;
}

static uint64_t gpa_of_va(uint64_t va)
{
    return GPA + (va - PAGE);
}

/* Can the page be stored to through the store view? Only that says whether translated code's stores
 * are heard of. */
static bool is_open(uint64_t va)
{
    return !track_is_code(track, gpa_of_va(va));
}

/* ---- Stores ------------------------------------------------------------------------------ */

static void st(struct toy *t, uint64_t va, enum ir_mem mem)
{
    mmu_store(&t->s, va, (uint8_t)mem, 0);
}

static void byte(struct toy *t, uint64_t va)
{
    st(t, va, IR_U8);
}
static void half(struct toy *t, uint64_t va)
{
    st(t, va, IR_U16);
}
static void word(struct toy *t, uint64_t va)
{
    st(t, va, IR_U32);
}
static void dword(struct toy *t, uint64_t va)
{
    st(t, va, IR_64);
}
static void amo(struct toy *t, uint64_t va)
{
    mmu_amo(&t->s, va, 4, MMU_ADD, 0);
}
static void amo_max(struct toy *t, uint64_t va)
{
    mmu_amo(&t->s, va, 8, MMU_MAX, 0);
}
static void zero(struct toy *t, uint64_t va)
{
    mmu_zero(&t->s, va, 64);
}
static void sc(struct toy *t, uint64_t va)
{
    mmu_lr(&t->s, va, 8);
    assert_int_equal(mmu_sc(&t->s, va, 8, 0, true), 0);
}
static void walker(struct toy *t, uint64_t va)
{
    assert_true(mmu_phys_cas64(&t->s, gpa_of_va(va), 0, 0));
}
static void device(struct toy *t, uint64_t va)
{
    (void)t;
    reserve_wrote(r, gpa_of_va(va), 1);
}

struct kind {
    const char *name;
    void (*store)(struct toy *t, uint64_t va);
    /* Offsets from the reserved word where it overlaps, and where it just does not. */
    int64_t over[3], beside[2];
};

static const struct kind kinds[] = {
    {"sb", byte, {0, 3, 7}, {-1, 8}},
    {"sh", half, {0, 6, 2}, {-2, 8}},
    {"sh, misaligned", half, {-1, 1, 7}, {-3, 9}},
    {"sw", word, {0, 4, 4}, {-4, 8}},
    {"sd", dword, {0, 0, 0}, {-8, 8}},
    {"sd, misaligned", dword, {-7, 1, 7}, {-9, 9}},
    {"amoadd.w", amo, {0, 4, 4}, {-4, 8}},
    {"amomax.d", amo_max, {0, 0, 0}, {-8, 8}},
    {"cbo.zero", zero, {0, -56, 7}, {-64, 64}},
    {"sc.d", sc, {0, 0, 0}, {-8, 8}},
    {"the page walker", walker, {0, 0, 0}, {-8, 8}},
    {"a device", device, {0, 3, 7}, {-1, 8}},
};

/* In both pages, so that there are stores across their border. */
static void each_store_ends_it(void **state)
{
    static const uint64_t at[] = {WORD, BEHIND, PAGE + 0x800 + 56};

    (void)state;
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        for (unsigned k = 0; k < 9; k++) {
            const struct kind *kind = &kinds[i];

            if (kind->store == zero && at[k / 3] == BEHIND)
                continue;
            mmu_lr(&a->s, at[k / 3], 8);
            kind->store(b, at[k / 3] + (uint64_t)kind->over[k % 3]);
            if (mmu_sc(&a->s, at[k / 3], 8, 0, false) != 1)
                fail_msg("%s at %d: the SC succeeded", kind->name, (int)kind->over[k % 3]);
        }
    }
}

static void no_other_does(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        for (unsigned k = 0; k < 4; k++) {
            const struct kind *kind = &kinds[i];
            uint64_t at = k / 2 ? PAGE + 0x800 + 56 : PAGE + 0x800;

            /* Whole lines are beside one of the two only. */
            if (kind->store == zero && (k & 1) != k / 2)
                at = PAGE + 0x800 + (k / 2 ? 0 : 56);
            mmu_lr(&a->s, at, 8);
            kind->store(b, at + (uint64_t)kind->beside[k & 1]);
            if (mmu_sc(&a->s, at, 8, 0, false) != 0)
                fail_msg("%s at %d: the SC failed", kind->name, (int)kind->beside[k & 1]);
        }
    }
}

/* The A extension speaks of other harts only. */
static void own_stores_do_not(void **state)
{
    (void)state;
    mmu_lr(&a->s, WORD, 8);
    dword(a, WORD);
    amo(a, WORD);
    zero(a, WORD);
    walker(a, WORD);
    assert_int_equal(mmu_sc(&a->s, WORD, 8, 1, false), 0);
    mmu_lr(&a->s, WORD, 8);
    device(a, WORD);
    assert_int_equal(mmu_sc(&a->s, WORD, 8, 0, false), 1);
    mmu_lr(&a->s, WORD, 4);
    word(b, WORD + 4); /* of the same eight bytes, and not reserved */
    assert_int_equal(mmu_sc(&a->s, WORD, 4, 0, false), 0);
}

/* Both harts have it; the first SC is the other's loss. */
static void one_of_two(void **state)
{
    (void)state;
    memset(b->mmu->lr_watches, 0xff, sizeof b->mmu->lr_watches);
    mmu_lr(&a->s, WORD, 8);
    mmu_lr(&b->s, WORD, 8);
    assert_int_equal(mmu_sc(&b->s, WORD, 8, 0, false), 0);
    assert_int_equal(mmu_sc(&a->s, WORD, 8, 0, false), 1);
    mmu_lr(&b->s, WORD, 8);
    mmu_lr(&a->s, WORD, 8);
    assert_int_equal(mmu_sc(&b->s, WORD, 8, 0, true), 0);
    assert_int_equal(mmu_sc(&a->s, WORD, 8, 0, true), 1);
}

/* ---- Which reservation it is ----------------------------------------------------------------- */

static void the_last_lr_counts(void **state)
{
    (void)state;
    mmu_lr(&a->s, WORD, 8);
    mmu_lr(&a->s, WORD - 8, 8);
    assert_int_equal(mmu_sc(&a->s, WORD, 8, 1, false), 1);
    assert_int_equal(mmu_sc(&a->s, WORD - 8, 8, 1, false), 1); /* and an SC uses it up */
    mmu_lr(&a->s, WORD, 8);
    assert_int_equal(mmu_sc(&a->s, WORD, 4, 1, false), 1); /* another size */
    mmu_lr(&a->s, WORD, 8);
    mmu_clear_reservation(a->mmu);
    assert_int_equal(mmu_sc(&a->s, WORD, 8, 1, false), 1);
    mmu_lr(&a->s, WORD, 8);
    memset(a->mmu->lr_watches, 0, sizeof a->mmu->lr_watches);
    mmu_lr(&a->s, WORD - 8, 8); /* by value: it ends the watch */
    assert_int_equal(mmu_sc(&a->s, WORD, 8, 1, true), 1);
    mmu_lr(&a->s, WORD, 8);
    assert_int_equal(mmu_sc(&a->s, DEV, 4, 1, false), 1);
    assert_int_equal(mmu_sc(&a->s, WORD, 8, 1, true), 1);
    assert_int_equal(mmu_load(&a->s, WORD, IR_64), 0);
}

static void pairs_go_by_value(void **state)
{
    (void)state;
    memset(a->mmu->lr_watches, 0, sizeof a->mmu->lr_watches);
    mmu_lr(&a->s, WORD, 8);
    assert_true(is_open(WORD));
    assert_false(reserve_watches(r, gpa_of_va(WORD)));
    dword(b, WORD); /* the LR may as well have come behind it */
    assert_int_equal(mmu_sc(&a->s, WORD, 8, 1, true), 0);
    mmu_lr(&a->s, WORD, 8);
    dword(b, WORD);
    assert_int_equal(mmu_sc(&a->s, WORD, 8, 1, true), 1); /* another value */
    assert_int_equal(a->mmu->stats.lr_watched, 0);
}

/* An SC that is not of a pair fails on what was reserved by value; but only once. */
static void others_learn_to_watch(void **state)
{
    (void)state;
    memset(a->mmu->lr_watches, 0, sizeof a->mmu->lr_watches);
    a->s.page_va = 0x40000;
    for (unsigned place = 0; place < 3; place++) {
        for (unsigned try = 0; try < 3; try++) {
            a->s.insn_off = place * 2;
            mmu_lr(&a->s, WORD, 8);
            a->s.insn_off = 0x80;
            assert_int_equal(mmu_sc(&a->s, WORD, 8, 0, false), try == 0);
        }
        assert_int_equal(a->mmu->stats.lr_watched, (place + 1) * 2);
    }
    /* One to another place says nothing about the LR. */
    a->s.insn_off = 0x100;
    mmu_lr(&a->s, WORD, 8);
    assert_int_equal(mmu_sc(&a->s, WORD - 8, 8, 0, false), 1);
    mmu_lr(&a->s, WORD, 8);
    assert_int_equal(a->mmu->stats.lr_watched, 6);
}

/* Nobody watches a device's registers. */
static void not_on_a_device(void **state)
{
    (void)state;
    mmu_lr(&a->s, DEV + 8, 4);
    assert_int_equal(mmu_sc(&a->s, DEV + 8, 4, 0, false), 1);
    mmu_lr(&a->s, DEV + 8, 4);
    assert_int_equal(mmu_sc(&a->s, DEV + 8, 4, 0, true), 1);
    assert_int_equal(a->dev_writes, 0);
}

/* As --engine=check does it: both runs begin with the same. */
static void comes_back(void **state)
{
    struct mmu_reservation before, none;

    (void)state;
    none = mmu_get_reservation(a->mmu);
    mmu_lr(&a->s, WORD, 8);
    before = mmu_get_reservation(a->mmu);
    assert_int_equal(mmu_sc(&a->s, WORD, 8, 0, false), 0);
    mmu_set_reservation(a->mmu, &before);
    assert_int_equal(mmu_sc(&a->s, WORD, 8, 0, false), 0);
    mmu_set_reservation(a->mmu, &before);
    dword(b, WORD);
    assert_int_equal(mmu_sc(&a->s, WORD, 8, 0, false), 1);
    mmu_set_reservation(a->mmu, &before);
    mmu_set_reservation(a->mmu, &none);
    assert_int_equal(mmu_sc(&a->s, WORD, 8, 0, false), 1);

    /* So is what is known of LRs. */
    memset(a->mmu->lr_watches, 0, sizeof a->mmu->lr_watches);
    mmu_lr(&a->s, WORD, 8);
    before = mmu_get_reservation(a->mmu);
    assert_int_equal(mmu_sc(&a->s, WORD, 8, 0, false), 1);
    mmu_set_reservation(a->mmu, &before);
    assert_int_equal(a->mmu->lr_watches[0] | a->mmu->lr_watches[1] | a->mmu->lr_watches[2] |
                         a->mmu->lr_watches[3],
                     0);
    assert_int_equal(mmu_sc(&a->s, WORD, 8, 0, true), 0);
}

/* ---- The page ----------------------------------------------------------------------------- */

static void page_is_closed_and_opens(void **state)
{
    (void)state;
    dword(a, PAGE);
    dword(b, PAGE);
    assert_true(toy_hits_store(a, PAGE) && toy_hits_store(b, PAGE));
    mmu_lr(&a->s, PAGE, 8);
    assert_false(is_open(PAGE));
    assert_false(toy_hits_store(a, PAGE));
    for (unsigned i = 0; i < 1000; i++) {
        dword(b, PAGE + 8);
        dword(a, PAGE + 16);
    }
    assert_false(is_open(PAGE)); /* as long as there is a reservation */
    assert_false(toy_hits_store(b, PAGE));
    dword(b, PAGE);
    assert_false(is_open(PAGE)); /* or there was, and its hart has not noticed */
    assert_int_equal(mmu_sc(&a->s, PAGE, 8, 1, false), 1);
    dword(b, PAGE + 8);
    assert_true(is_open(PAGE));
    mmu_lr(&a->s, PAGE, 8);
    assert_false(is_open(PAGE));
    assert_int_equal(mmu_sc(&a->s, PAGE, 8, 0, false), 0); /* is heard of like any other store */
    dword(b, PAGE + 8);
    assert_true(is_open(PAGE));
    /* One that is watched again and again stays closed for longer, not for ever. */
    for (unsigned i = 0; i < 20; i++) {
        mmu_lr(&a->s, PAGE, 8);
        mmu_sc(&a->s, PAGE, 8, 0, false);
        dword(b, PAGE + 8);
    }
    assert_false(is_open(PAGE));
    for (unsigned i = 0; i < 200; i++)
        dword(b, PAGE + 8);
    assert_true(is_open(PAGE));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_store_ends_it),
        CASE(no_other_does),
        CASE(own_stores_do_not),
        CASE(one_of_two),
        CASE(the_last_lr_counts),
        CASE(pairs_go_by_value),
        CASE(others_learn_to_watch),
        CASE(not_on_a_device),
        CASE(comes_back),
        CASE(page_is_closed_and_opens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
