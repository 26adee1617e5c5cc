/* softmmu/atomic: AMO, LR/SC, cache blocks, the page walker's accesses. */
#include "tests/lib/toy_guest.h"

#include "dbt/ir/ir.h"

#define PAGE  UINT64_C(0x10000)
#define GPA   (TOY_RAM + 0x9000)
#define ALIAS UINT64_C(0x20000) /* the same physical page */
#define DEV   UINT64_C(0x50000)

static struct toy *t;

static int setup(void **state)
{
    (void)state;
    t = toy_create();
    toy_add(t, 1, PAGE, GPA, 0x1000, TOY_R | TOY_W);
    toy_add(t, 1, ALIAS, GPA, 0x1000, TOY_R | TOY_W);
    toy_add(t, 1, DEV, TOY_DEVICE, 0x1000, TOY_R | TOY_W);
    toy_enter(t, 1, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    toy_destroy(t);
    return 0;
}

/* ---- AMO ------------------------------------------------------------------------------------- */

struct amo_case {
    enum mmu_amo op;
    unsigned size;
    uint64_t old, v, new;
};

static void amo_computes(void **state)
{
    static const struct amo_case cases[] = {
        {MMU_SWAP, 8, 1, 0x8000000000000002, 0x8000000000000002},
        {MMU_ADD, 8, UINT64_MAX, 2, 1},
        {MMU_XOR, 8, 0xff00, 0x0ff0, 0xf0f0},
        {MMU_AND, 8, 0xff00, 0x0ff0, 0x0f00},
        {MMU_OR, 8, 0xff00, 0x0ff0, 0xfff0},
        {MMU_MIN, 8, UINT64_MAX, 3, UINT64_MAX},
        {MMU_MIN, 8, 4, 3, 3},
        {MMU_MAX, 8, UINT64_MAX, 3, 3},
        {MMU_MINU, 8, UINT64_MAX, 3, 3},
        {MMU_MAXU, 8, UINT64_MAX, 3, UINT64_MAX},
        /* 32 bits: the upper half of the memory stays, that of the operand is not seen. */
        {MMU_SWAP, 4, 0x1111111180000000, 0xffffffff00000007, 0x1111111100000007},
        {MMU_ADD, 4, 0x11111111ffffffff, 1, 0x1111111100000000},
        {MMU_XOR, 4, 0x11111111ffffffff, 0xff000000ff, 0x11111111ffffff00},
        {MMU_AND, 4, 0x11111111ffffffff, 0xff, 0x11111111000000ff},
        {MMU_OR, 4, 0x1111111100000000, UINT64_MAX, 0x11111111ffffffff},
        {MMU_MIN, 4, 0x1111111180000000, 5, 0x1111111180000000},
        {MMU_MAX, 4, 0x1111111180000000, 0xffffffff00000005, 0x1111111100000005},
        {MMU_MINU, 4, 0x1111111180000000, 0xffffffff00000005, 0x1111111100000005},
        {MMU_MAXU, 4, 0x1111111180000000, 5, 0x1111111180000000},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct amo_case *c = &cases[i];
        uint64_t old = c->size == 4 ? (uint64_t)sign_extend(c->old, 32) : c->old;

        toy_poke(t, GPA + 8, c->old);
        assert_int_equal(mmu_amo(&t->s, PAGE + 8, c->size, c->op, c->v), old);
        if (toy_peek(t, GPA + 8) != c->new)
            fail_msg("case %u left %llx", i, (unsigned long long)toy_peek(t, GPA + 8));
    }
    assert_true(toy_hits_load(t, PAGE) && toy_hits_store(t, PAGE));
    assert_int_equal(t->s.pending, 0);
}

static void amo_faults_are_a_stores(void **state)
{
    (void)state;
    ASSERT_RAISES(t, TOY_MISALIGNED + MMU_STORE, PAGE + 4, mmu_amo(&t->s, PAGE + 4, 8, MMU_ADD, 1));
    ASSERT_RAISES(t, TOY_PAGE_FAULT + MMU_STORE, 0, mmu_amo(&t->s, 0, 8, MMU_ADD, 1));
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_STORE, DEV + 0x800,
                  mmu_amo(&t->s, DEV + 0x800, 4, MMU_ADD, 1));
    assert_int_equal(t->dev_reads + t->dev_writes, 0);
    t->map[1].flags = TOY_R;
    ASSERT_RAISES(t, TOY_PAGE_FAULT + MMU_STORE, ALIAS, mmu_amo(&t->s, ALIAS, 8, MMU_ADD, 1));
    t->forbidden = GPA;
    t->forbidden_len = 0x1000;
    t->forbidden_access = 1 << MMU_LOAD;
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_STORE, PAGE, mmu_amo(&t->s, PAGE, 8, MMU_ADD, 1));
    assert_int_equal(toy_peek(t, GPA), 0);
}

/* ---- What has faulted in the window ------------------------------------------------------- */

static struct told {
    unsigned n, len;
    uint64_t va;
    enum mmu_access access;
} told;

static void tell(void *arg, uint64_t va, unsigned len, enum mmu_access access)
{
    told = (struct told){told.n + 1, len, va, access};
    ((struct toy *)arg)->s.window_fault = NULL;
}

static void what_faulted_in_the_window_is_told_first(void **state)
{
    (void)state;
    mmu_set_window_fault(t->mmu, tell, t);
    told.n = 0;
    mmu_amo(&t->s, PAGE, 8, MMU_ADD, 1);
    mmu_zero(&t->s, PAGE + 0x48, 64);
    assert_int_equal(told.n, 0);
    t->s.window_fault = &told;
    mmu_amo(&t->s, PAGE + 8, 4, MMU_ADD, 1);
    assert_true(told.n == 1 && told.va == PAGE + 8 && told.len == 4 && told.access == MMU_STORE);
    t->s.window_fault = &told;
    mmu_zero(&t->s, PAGE + 0x48, 64);
    assert_true(told.n == 2 && told.va == PAGE + 0x40 && told.len == 64 &&
                told.access == MMU_STORE);
}

/* ---- LR/SC
 * --------------------------------------------------------------------------------------- */

static void sc_succeeds_once(void **state)
{
    (void)state;
    toy_poke(t, GPA, 0x1111111180000005);
    assert_int_equal(mmu_lr(&t->s, PAGE, 4), 0xffffffff80000005);
    assert_int_equal(mmu_sc(&t->s, PAGE, 4, 0xabc00000007, false), 0);
    assert_int_equal(toy_peek(t, GPA), 0x1111111100000007);
    assert_int_equal(mmu_sc(&t->s, PAGE, 4, 9, false), 1);
    assert_int_equal(mmu_lr(&t->s, PAGE, 8), 0x1111111100000007);
    assert_int_equal(mmu_sc(&t->s, ALIAS, 8, 10, false), 0); /* the same physical word */
    assert_int_equal(toy_peek(t, GPA), 10);
}

static void sc_fails(void **state)
{
    (void)state;
    assert_int_equal(mmu_sc(&t->s, PAGE, 8, 1, false), 1); /* without LR */
    mmu_lr(&t->s, PAGE, 8);
    assert_int_equal(mmu_sc(&t->s, PAGE + 8, 8, 1, false), 1); /* elsewhere */
    assert_int_equal(mmu_sc(&t->s, PAGE, 8, 1, false), 1);     /* and that used it up */
    mmu_lr(&t->s, PAGE, 8);
    assert_int_equal(mmu_sc(&t->s, PAGE, 4, 1, false), 1); /* another size */
    mmu_lr(&t->s, PAGE, 8);
    mmu_store(&t->s, PAGE + 7, IR_U8, 1);
    assert_int_equal(mmu_sc(&t->s, PAGE, 8, 2, false), 1); /* changed in between */
    mmu_lr(&t->s, PAGE, 8);
    mmu_clear_reservation(t->mmu);
    assert_int_equal(mmu_sc(&t->s, PAGE, 8, 2, false), 1);
    mmu_lr(&t->s, PAGE, 8);
    ASSERT_RAISES(t, TOY_PAGE_FAULT + MMU_STORE, 0x30000, mmu_sc(&t->s, 0x30000, 8, 2, false));
    assert_int_equal(mmu_sc(&t->s, PAGE, 8, 2, false), 1); /* the fault used it up */
    assert_int_equal(toy_peek(t, GPA), UINT64_C(1) << 56);
}

static void lr_sc_faults(void **state)
{
    (void)state;
    ASSERT_RAISES(t, TOY_MISALIGNED + MMU_LOAD, PAGE + 2, mmu_lr(&t->s, PAGE + 2, 4));
    ASSERT_RAISES(t, TOY_MISALIGNED + MMU_STORE, PAGE + 4, mmu_sc(&t->s, PAGE + 4, 8, 0, false));
    ASSERT_RAISES(t, TOY_PAGE_FAULT + MMU_LOAD, 0x30000, mmu_lr(&t->s, 0x30000, 4));
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_LOAD, DEV + 0x800, mmu_lr(&t->s, DEV + 0x800, 4));
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_STORE, DEV + 0x800,
                  mmu_sc(&t->s, DEV + 0x800, 4, 0, false));
}

/* A register is read once and written once, whatever the operation. */
static void devices_take_atomics(void **state)
{
    (void)state;
    t->dev_value = 40;
    assert_int_equal(mmu_amo(&t->s, DEV + 8, 4, MMU_ADD, 2), 40);
    assert_int_equal(t->dev_value, 42);
    assert_int_equal(mmu_amo(&t->s, DEV + 8, 4, MMU_MAX, 7), 42);
    assert_int_equal(t->dev_value, 42);
    t->dev_value = 0x80000000;
    assert_int_equal(mmu_amo(&t->s, DEV + 8, 4, MMU_MIN, 1), UINT64_C(0xffffffff80000000));
    assert_int_equal(t->dev_value, 0x80000000);
    assert_int_equal(t->dev_reads, 3);
    assert_int_equal(t->dev_writes, 3);
    assert_int_equal(mmu_sc(&t->s, DEV + 8, 4, 9, false), 1);
    assert_int_equal(mmu_lr(&t->s, DEV + 8, 4), UINT64_C(0xffffffff80000000));
    assert_int_equal(mmu_sc(&t->s, DEV + 8, 4, 9, false), 0);
    assert_int_equal(t->dev_value, 9);
    assert_int_equal(mmu_sc(&t->s, DEV + 8, 4, 10, false), 1);
}

/* Doublewords too, of a device that takes them. */
static void wide_devices_take_atomics(void **state)
{
    static const struct phys_mmio wide = {toy_dev_read, toy_dev_write, 4, 8};
    const uint64_t va = DEV + TOY_DEVICE_LEN;

    (void)state;
    phys_add_mmio(&t->phys, TOY_DEVICE + TOY_DEVICE_LEN, 0x100, "wide", &wide, t);
    t->dev_value = UINT64_C(0x80000000ffffffff);
    assert_int_equal(mmu_amo(&t->s, va, 8, MMU_ADD, 1), UINT64_C(0x80000000ffffffff));
    assert_int_equal(t->dev_value, UINT64_C(0x8000000100000000));
    mmu_amo(&t->s, va, 8, MMU_MIN, 1);
    assert_int_equal(t->dev_value, UINT64_C(0x8000000100000000));
    mmu_amo(&t->s, va, 8, MMU_MINU, 1);
    assert_int_equal(t->dev_value, 1);
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_STORE, DEV, mmu_amo(&t->s, DEV, 8, MMU_ADD, 1));
}

/* ---- Code pages: whoever wrote looks at `pending`
 * -------------------------------------------------- */

static bool left(void)
{
    return (atomic_exchange(&t->s.pending, 0) & PENDING_LEAVE) != 0;
}

static void writes_into_code_leave(void **state)
{
    (void)state;
    t->still_code = true;
    t->hit_running = true;
    track_protect(t->track, GPA);
    mmu_amo(&t->s, PAGE + 8, 4, MMU_ADD, 1);
    assert_true(left());
    assert_int_equal(t->wrote_gpa, GPA + 8);
    assert_int_equal(t->wrote_len, 4);
    assert_false(toy_hits_store(t, PAGE));
    mmu_lr(&t->s, PAGE, 8);
    assert_false(left());
    mmu_sc(&t->s, PAGE, 8, 3, false);
    assert_true(left());
    mmu_sc(&t->s, PAGE, 8, 3, false);
    assert_false(left()); /* it failed: nothing was written */
    mmu_zero(&t->s, PAGE + 0x44, 64);
    assert_true(left());
    assert_int_equal(t->wrote_gpa, GPA + 0x40);
    assert_int_equal(t->wrote_len, 64);
    assert_true(mmu_phys_cas64(&t->s, GPA + 16, 0, 5));
    assert_true(left());
    t->hit_running = false;
    mmu_amo(&t->s, PAGE + 8, 4, MMU_ADD, 1);
    assert_false(left());
    assert_int_equal(t->n_wrote, 5);
}

static bool code_hit(void *arg, uint64_t gpa, unsigned size)
{
    (void)gpa;
    (void)size;
    ++*(unsigned *)arg;
    return true;
}
static void ram_seen(void *arg, uint64_t gpa, unsigned size)
{
    assert_true(gpa >= GPA && gpa + size <= GPA + 0x1000);
    *(unsigned *)arg += 100;
}

static void a_watch_sees_atomics(void **state)
{
    unsigned seen = 0;
    const struct mmu_watch watch = {.ram_write = ram_seen, .code_write = code_hit, .arg = &seen};

    (void)state;
    mmu_set_watch(t->mmu, &watch);
    mmu_amo(&t->s, PAGE, 8, MMU_SWAP, 0);
    mmu_lr(&t->s, PAGE, 8);
    mmu_sc(&t->s, PAGE, 8, 0, false);
    mmu_zero(&t->s, PAGE, 64);
    mmu_phys_cas64(&t->s, GPA, 0, 1);
    assert_int_equal(seen, 400);
    track_protect(t->track, GPA);
    mmu_amo(&t->s, PAGE, 8, MMU_SWAP, 0);
    assert_true(left());
    assert_int_equal(seen, 501);
    assert_int_equal(t->n_wrote, 0);
}

/* ---- Cache blocks
 * ------------------------------------------------------------------------------------ */

static void zero_clears_its_block(void **state)
{
    (void)state;
    for (unsigned again = 0; again < 2; again++) {
        memset(phys_ptr(&t->phys, GPA), 0xaa, 0x1000);
        mmu_zero(&t->s, PAGE + 0x7f, 64);
        assert_int_equal(*phys_ptr(&t->phys, GPA + 0x3f), 0xaa);
        for (unsigned i = 0x40; i < 0x80; i++)
            assert_int_equal(*phys_ptr(&t->phys, GPA + i), 0);
        assert_int_equal(*phys_ptr(&t->phys, GPA + 0x80), 0xaa);
    }
    mmu_zero(&t->s, PAGE + 0xfff, 64);
    assert_int_equal(*phys_ptr(&t->phys, GPA + 0xfff), 0);
}

static void zero_faults_at_the_address_given(void **state)
{
    (void)state;
    ASSERT_RAISES(t, TOY_PAGE_FAULT + MMU_STORE, 0x30023, mmu_zero(&t->s, 0x30023, 64));
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_STORE, DEV + 0x23, mmu_zero(&t->s, DEV + 0x23, 64));
    t->forbidden = GPA + 0x78;
    t->forbidden_len = 8;
    t->forbidden_access = 1 << MMU_STORE;
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_STORE, PAGE + 0x44, mmu_zero(&t->s, PAGE + 0x44, 64));
    mmu_zero(&t->s, PAGE + 0x80, 64);
}

/* Else each block that is cleared in line would fault in the host. */
static void zero_drops_the_entry_of_a_page_of_code(void **state)
{
    (void)state;
    t->still_code = true;
    mmu_zero(&t->s, PAGE, 64);
    assert_true(toy_hits_store(t, PAGE));
    track_protect(t->track, GPA);
    mmu_zero(&t->s, PAGE + 0x80, 64);
    assert_false(toy_hits_store(t, PAGE));
}

static void probe_takes_either_right(void **state)
{
    (void)state;
    mmu_probe_cbo(&t->s, PAGE);
    mmu_probe_cbo(&t->s, DEV);
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_STORE, DEV + 0x100, mmu_probe_cbo(&t->s, DEV + 0x100));
    ASSERT_RAISES(t, TOY_PAGE_FAULT + MMU_STORE, 0x30001, mmu_probe_cbo(&t->s, 0x30001));
    t->map[0].flags = TOY_X;
    t->map[1].flags = TOY_W;
    mmu_flush_all(t->mmu);
    ASSERT_RAISES(t, TOY_PAGE_FAULT + MMU_STORE, PAGE, mmu_probe_cbo(&t->s, PAGE));
    mmu_probe_cbo(&t->s, ALIAS);
}

/* ---- The page walker
 * ------------------------------------------------------------------------------------ */

static void walker_reaches_ram_only(void **state)
{
    uint64_t v = 0;

    (void)state;
    toy_poke(t, GPA, 0x1234);
    assert_true(mmu_phys_load64(&t->s, GPA, &v));
    assert_int_equal(v, 0x1234);
    assert_false(mmu_phys_load64(&t->s, TOY_DEVICE, &v));
    assert_false(mmu_phys_load64(&t->s, TOY_RAM + TOY_RAM_LEN, &v));
    assert_false(mmu_phys_load64(&t->s, GPA + 4, &v));
    assert_true(mmu_phys_cas64(&t->s, GPA, 0x1234, 0x1235));
    assert_int_equal(toy_peek(t, GPA), 0x1235);
    assert_false(mmu_phys_cas64(&t->s, GPA, 0x1234, 0x1236));
    assert_int_equal(toy_peek(t, GPA), 0x1235);
    assert_false(mmu_phys_cas64(&t->s, TOY_DEVICE, 0, 0));
    assert_int_equal(t->dev_reads + t->dev_writes, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(amo_computes),
        CASE(amo_faults_are_a_stores),
        CASE(what_faulted_in_the_window_is_told_first),
        CASE(sc_succeeds_once),
        CASE(sc_fails),
        CASE(lr_sc_faults),
        CASE(devices_take_atomics),
        CASE(wide_devices_take_atomics),
        CASE(writes_into_code_leave),
        CASE(a_watch_sees_atomics),
        CASE(zero_clears_its_block),
        CASE(zero_faults_at_the_address_given),
        CASE(zero_drops_the_entry_of_a_page_of_code),
        CASE(probe_takes_either_right),
        CASE(walker_reaches_ram_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
