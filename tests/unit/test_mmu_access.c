/* softmmu/access: loads and stores of every size and alignment, crossings, MMIO, faults,
 * stores into code, watching. */
#include "tests/lib/toy_guest.h"

#include "dbt/ir/ir.h"

/* Two pages next to each other, far apart in RAM; behind them nothing. */
#define PAGE1 UINT64_C(0x10000)
#define PAGE2 UINT64_C(0x11000)
#define GPA1  (TOY_RAM + 0x9000)
#define GPA2  (TOY_RAM + 0x2000)
#define DEV   UINT64_C(0x50000)
enum { RW = TOY_R | TOY_W };

static struct toy *t;

static int setup(void **state)
{
    (void)state;
    t = toy_create();
    toy_add(t, 1, PAGE1, GPA1, 0x1000, RW);
    toy_add(t, 1, PAGE2, GPA2, 0x1000, RW);
    toy_add(t, 1, DEV, TOY_DEVICE, 0x1000, RW);
    toy_enter(t, 1, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    toy_destroy(t);
    return 0;
}

/* The guest's byte at gva in the two pages, as the host sees it. */
static uint8_t *byte_at(uint64_t gva)
{
    uint64_t gpa = gva < PAGE2 ? GPA1 + (gva - PAGE1) : GPA2 + (gva - PAGE2);

    return phys_ptr(&t->phys, gpa);
}

static uint64_t expected(uint64_t gva, uint8_t aux)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < ir_mem_size(aux); i++)
        v |= (uint64_t)*byte_at(gva + i) << 8 * i;
    return ir_mem_signed(aux) ? (uint64_t)sign_extend(v, 8 * ir_mem_size(aux)) : v;
}

/* Every place around the crossing and every kind, with an empty TLB and with a full one. */
static void loads_of_all_kinds(void **state)
{
    static const uint8_t kinds[] = {IR_U8, IR_U16, IR_U32, IR_64, IR_S8, IR_S16, IR_S32};

    (void)state;
    for (uint64_t gva = PAGE2 - 16; gva < PAGE2 + 16; gva++)
        *byte_at(gva) = (uint8_t)(gva * 37 + 0x81);
    for (unsigned k = 0; k < sizeof(kinds); k++) {
        for (uint64_t gva = PAGE2 - 16; gva < PAGE2 + 8; gva++) {
            mmu_flush_all(t->mmu);
            assert_int_equal(mmu_load(&t->s, gva, kinds[k]), expected(gva, kinds[k]));
            assert_int_equal(mmu_load(&t->s, gva, kinds[k]), expected(gva, kinds[k]));
        }
    }
}

static void stores_of_all_kinds(void **state)
{
    uint64_t value = 0x1122334455667788;

    (void)state;
    for (uint8_t kind = IR_U8; kind <= IR_64; kind++) {
        for (uint64_t gva = PAGE2 - 16; gva < PAGE2 + 8; gva++) {
            for (unsigned again = 0; again < 2; again++) {
                unsigned size = ir_mem_size(kind);
                uint64_t mask = size == 8 ? UINT64_MAX : bit(8 * size) - 1;

                if (!again)
                    mmu_flush_all(t->mmu);
                for (uint64_t at = PAGE2 - 24; at < PAGE2 + 24; at++)
                    *byte_at(at) = 0xee;
                value = value * 6364136223846793005 + 1;
                assert_false(mmu_store(&t->s, gva, kind, value));
                assert_int_equal(expected(gva, kind), value & mask);
                assert_int_equal(*byte_at(gva - 1), 0xee);
                assert_int_equal(*byte_at(gva + size), 0xee);
            }
        }
    }
}

static void misaligned_hits_need_no_walk(void **state)
{
    unsigned walks;

    (void)state;
    mmu_load(&t->s, PAGE1, IR_64);
    mmu_load(&t->s, PAGE2, IR_64);
    mmu_store(&t->s, PAGE1, IR_64, 0);
    mmu_store(&t->s, PAGE2, IR_64, 0);
    walks = t->walks;
    mmu_load(&t->s, PAGE1 + 3, IR_64);
    mmu_store(&t->s, PAGE1 + 3, IR_64, 0);
    mmu_load(&t->s, PAGE2 - 3, IR_64);
    mmu_store(&t->s, PAGE2 - 3, IR_64, 0);
    assert_int_equal(t->walks, walks);
}

/* Not the other way round: a page that is only read may be clean, or code. */
static void a_store_is_a_walk_for_loads_as_well(void **state)
{
    unsigned walks = t->walks;

    (void)state;
    mmu_store(&t->s, PAGE1, IR_64, 7);
    assert_int_equal(mmu_load(&t->s, PAGE1, IR_64), 7);
    assert_int_equal(t->walks, walks + 1);
    mmu_load(&t->s, PAGE2, IR_64);
    mmu_store(&t->s, PAGE2, IR_64, 0);
    assert_int_equal(t->walks, walks + 3);
}

static void what_may_be_stored_to_only_is_asked_about_loads(void **state)
{
    (void)state;
    const uint64_t last = PAGE1 + 0xff8;
    struct mmu_place place = mmu_translate(t->mmu, last, 8, MMU_STORE);

    mmu_flush_all(t->mmu);
    t->forbidden = place.gpa;
    t->forbidden_len = 8; /* not of the page's first bytes */
    t->forbidden_access = 1 << MMU_LOAD;
    assert_false(mmu_store(&t->s, PAGE1, IR_64, 7));
    assert_true(toy_hits_store(t, PAGE1) && !toy_hits_load(t, PAGE1));
    assert_false(mmu_store(&t->s, last, IR_64, 7));
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_LOAD, last, mmu_load(&t->s, last, IR_64));
}

/* ---- Faults --------------------------------------------------------------------------------- */

static void faults_name_the_first_byte_that_fails(void **state)
{
    (void)state;
    ASSERT_RAISES(t, TOY_PAGE_FAULT + MMU_LOAD, PAGE1 - 8, mmu_load(&t->s, PAGE1 - 8, IR_64));
    ASSERT_RAISES(t, TOY_PAGE_FAULT + MMU_LOAD, PAGE1 - 3, mmu_load(&t->s, PAGE1 - 3, IR_64));
    ASSERT_RAISES(t, TOY_PAGE_FAULT + MMU_LOAD, PAGE2 + 0x1000,
                  mmu_load(&t->s, PAGE2 + 0xffd, IR_U32));
    ASSERT_RAISES(t, TOY_PAGE_FAULT + MMU_STORE, PAGE2 + 0x1000,
                  mmu_store(&t->s, PAGE2 + 0xfff, IR_U16, 0));
    ASSERT_RAISES(t, TOY_PAGE_FAULT + MMU_STORE, PAGE1 - 1, mmu_store(&t->s, PAGE1 - 1, IR_U8, 0));
}

static void assert_second_page_stops_the_store(void)
{
    ASSERT_RAISES(t, TOY_PAGE_FAULT + MMU_STORE, PAGE2 + 0x1000,
                  mmu_store(&t->s, PAGE2 + 0xffd, IR_64, 0));
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(*byte_at(PAGE2 + 0xff0 + i), 0x5a);
}

static void a_store_that_faults_in_its_second_page_stores_nothing(void **state)
{
    (void)state;
    memset(byte_at(PAGE2 + 0xff0), 0x5a, 16);
    assert_second_page_stops_the_store();
    mmu_store(&t->s, PAGE2, IR_U8, 0); /* now its first page hits */
    assert_second_page_stops_the_store();
}

static void read_only_pages_take_no_store(void **state)
{
    (void)state;
    t->map[0].flags = TOY_R;
    mmu_load(&t->s, PAGE1, IR_U8);
    assert_false(toy_hits_store(t, PAGE1));
    ASSERT_RAISES(t, TOY_PAGE_FAULT + MMU_STORE, PAGE1 + 5, mmu_store(&t->s, PAGE1 + 5, IR_U8, 0));
}

static void a_load_does_not_open_the_way_for_stores(void **state)
{
    (void)state;
    mmu_load(&t->s, PAGE1, IR_U8);
    assert_true(toy_hits_load(t, PAGE1));
    assert_false(toy_hits_store(t, PAGE1)); /* the D bit is not set yet */
    assert_false(t->map[0].flags & TOY_DIRTY);
    mmu_store(&t->s, PAGE1, IR_U8, 0);
    assert_true(toy_hits_store(t, PAGE1));
    assert_true(t->map[0].flags & TOY_DIRTY);
}

static void what_may_not_be_kept_is_not(void **state)
{
    (void)state;
    t->uncached = true;
    mmu_load(&t->s, PAGE1, IR_U8);
    mmu_store(&t->s, PAGE1, IR_U8, 0);
    assert_false(toy_hits_load(t, PAGE1) || toy_hits_store(t, PAGE1));
}

static void protection_finer_than_a_page(void **state)
{
    (void)state;
    t->forbidden = GPA1 + 0x100;
    t->forbidden_len = 0x10;
    t->forbidden_access = 1 << MMU_STORE;
    mmu_store(&t->s, PAGE1 + 0xf8, IR_64, 7);
    mmu_store(&t->s, PAGE1 + 0x110, IR_64, 7);
    assert_false(toy_hits_store(t, PAGE1)); /* so that the next one asks, too */
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_STORE, PAGE1 + 0x108,
                  mmu_store(&t->s, PAGE1 + 0x108, IR_U8, 7));
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_STORE, PAGE1 + 0xfc,
                  mmu_store(&t->s, PAGE1 + 0xfc, IR_64, 7));
    mmu_load(&t->s, PAGE1 + 0x108, IR_64);
    assert_true(toy_hits_load(t, PAGE1));
    mmu_store(&t->s, PAGE2, IR_64, 7);
    assert_true(toy_hits_store(t, PAGE2));
}

static void untranslated_addresses_reach_ram_or_nothing(void **state)
{
    (void)state;
    toy_enter(t, 0, 0);
    mmu_store(&t->s, TOY_RAM + 16, IR_64, 99);
    assert_int_equal(mmu_load(&t->s, TOY_RAM + 16, IR_64), 99);
    assert_true(toy_hits_load(t, TOY_RAM));
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_LOAD, 0, mmu_load(&t->s, 0, IR_64));
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_STORE, TOY_RAM + TOY_RAM_LEN,
                  mmu_store(&t->s, TOY_RAM + TOY_RAM_LEN, IR_U8, 0));
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_LOAD, TOY_RAM + TOY_RAM_LEN,
                  mmu_load(&t->s, TOY_RAM + TOY_RAM_LEN - 4, IR_64));
    /* The last bytes of the address space, and round its end. */
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_LOAD, UINT64_MAX, mmu_load(&t->s, UINT64_MAX, IR_U8));
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_LOAD, UINT64_MAX, mmu_load(&t->s, UINT64_MAX, IR_64));
}

/* ---- MMIO --------------------------------------------------------------------------------------
 */

static void mmio_of_the_right_size(void **state)
{
    (void)state;
    t->dev_value = 0xffffffff80000001;
    assert_int_equal(mmu_load(&t->s, DEV + 0x14, IR_U32), 0x80000001);
    assert_int_equal(t->dev_offset, 0x14);
    assert_int_equal(t->dev_size, 4);
    assert_int_equal(mmu_load(&t->s, DEV + 0x14, IR_S32), 0xffffffff80000001);
    assert_int_equal(mmu_load(&t->s, DEV + 1, IR_U8), 1);
    assert_false(mmu_store(&t->s, DEV + 2, IR_U16, 0x12345678));
    assert_int_equal(t->dev_value, 0x5678);
    assert_int_equal(t->dev_reads, 3);
    assert_int_equal(t->dev_writes, 1);
    assert_false(toy_hits_load(t, DEV));
    assert_false(toy_hits_store(t, DEV));
    assert_int_equal(mmu_stats(t->mmu)->mmio, 4);
}

static void mmio_that_no_device_takes(void **state)
{
    (void)state;
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_LOAD, DEV + 2, mmu_load(&t->s, DEV + 2, IR_U32));
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_LOAD, DEV + 8, mmu_load(&t->s, DEV + 8, IR_64));
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_STORE, DEV + 0x100,
                  mmu_store(&t->s, DEV + 0x100, IR_U32, 0));
    toy_add(t, 1, DEV + 0x1000, TOY_RAM, 0x1000, RW);
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_LOAD, DEV + 0xffe,
                  mmu_load(&t->s, DEV + 0xffe, IR_U32));
    toy_add(t, 1, PAGE2 + 0x1000, TOY_DEVICE, 0x1000, RW);
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_STORE, PAGE2 + 0x1000,
                  mmu_store(&t->s, PAGE2 + 0xffe, IR_U32, 0xffffffff));
    assert_int_equal(*byte_at(PAGE2 + 0xffe), 0);
    assert_int_equal(t->dev_reads + t->dev_writes, 0);
}

/* ---- Code pages
 * ---------------------------------------------------------------------------------- */

/* ROM: aligned loads are its device's, the others see its bytes; stores are the device's or fault.
 */
static void rom_is_memory_to_odd_loads(void **state)
{
    static uint8_t rom[2 * 4096];
    const uint64_t gva = PAGE2 + 0x1000, gpa = UINT64_C(0x20000000);
    unsigned mmio;

    (void)state;
    for (unsigned i = 0; i < sizeof rom; i++)
        rom[i] = (uint8_t)(i * 37 + i / 4096);
    phys_set_rom(&t->phys, gpa, sizeof rom, rom);
    toy_add(t, 1, gva, gpa, sizeof rom, RW);
    mmio = (unsigned)mmu_stats(t->mmu)->mmio;
    for (uint64_t at = 4096 - 16; at < 4096 + 16; at++) {
        for (uint8_t kind = IR_U16; kind <= IR_64; kind++) {
            unsigned size = ir_mem_size(kind);
            uint64_t want = 0;

            memcpy(&want, rom + at, size);
            if (at % size != 0)
                assert_int_equal(mmu_load(&t->s, gva + at, kind), want);
        }
    }
    assert_int_equal(mmu_stats(t->mmu)->mmio, mmio);
    /* Half in RAM: the page before it. */
    *byte_at(PAGE2 + 0xfff) = 0x77;
    assert_int_equal(mmu_load(&t->s, gva - 1, IR_U16), 0x77 | rom[0] << 8);
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_LOAD, gva, mmu_load(&t->s, gva, IR_64)); /* no device */
    ASSERT_RAISES(t, TOY_PAGE_FAULT + MMU_LOAD, gva + sizeof rom,
                  mmu_load(&t->s, gva + sizeof rom - 1, IR_U16));
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_STORE, gva + 1, mmu_store(&t->s, gva + 1, IR_U16, 0));
    ASSERT_RAISES(t, TOY_ACCESS_FAULT + MMU_STORE, gva, mmu_store(&t->s, gva - 1, IR_U16, 0));
    assert_int_equal(*byte_at(PAGE2 + 0xfff), 0x77);
}

static void stores_into_code_are_told(void **state)
{
    (void)state;
    t->still_code = true;
    t->hit_running = true;
    mmu_store(&t->s, PAGE1, IR_64, 0);
    track_protect(t->track, GPA1);
    mmu_forget_store(t->mmu, PAGE1);
    assert_true(mmu_store(&t->s, PAGE1 + 0x20, IR_U32, 0x1234));
    assert_int_equal(t->wrote_gpa, GPA1 + 0x20);
    assert_int_equal(t->wrote_len, 4);
    assert_int_equal(*byte_at(PAGE1 + 0x20), 0x34);
    assert_false(toy_hits_store(t, PAGE1));
    t->hit_running = false;
    assert_false(mmu_store(&t->s, PAGE1 + 0x24, IR_U32, 0x1234));
    assert_int_equal(t->n_wrote, 2);
    assert_int_equal(t->s.pending, 0);

    /* Across: only the code page's part is told. */
    assert_false(mmu_store(&t->s, PAGE2 - 2, IR_64, UINT64_MAX));
    assert_int_equal(t->n_wrote, 3);
    assert_int_equal(t->wrote_gpa, GPA1 + 0xffe);
    assert_int_equal(t->wrote_len, 2);

    /* No block is left: the page opens, and the next store finds its way in. */
    t->still_code = false;
    mmu_store(&t->s, PAGE1, IR_64, 0);
    mmu_store(&t->s, PAGE1, IR_64, 0);
    assert_true(toy_hits_store(t, PAGE1));
}

/* A page that became code behind our back (another hart's translation). */
static void a_stale_store_entry_is_forgotten(void **state)
{
    (void)state;
    t->still_code = true;
    mmu_store(&t->s, PAGE1, IR_64, 0);
    track_protect(t->track, GPA1);
    assert_true(toy_hits_store(t, PAGE1));
    mmu_store(&t->s, PAGE1 + 8, IR_64, 5);
    assert_int_equal(t->n_wrote, 1);
    assert_int_equal(*byte_at(PAGE1 + 8), 5);
    assert_false(toy_hits_store(t, PAGE1));
}

/* ---- Watching
 * -------------------------------------------------------------------------------------- */

struct seen {
    unsigned ram, reads, writes, code;
    uint64_t gpa[4], old;
    unsigned size[4];
};

static void see_ram(void *arg, uint64_t gpa, unsigned size)
{
    struct seen *seen = arg;

    seen->gpa[seen->ram % 4] = gpa;
    seen->size[seen->ram++ % 4] = size;
    seen->old = toy_peek(t, gpa & ~UINT64_C(7));
}
static uint64_t see_read(void *arg, const struct phys_region *r, uint64_t offset, unsigned size)
{
    ((struct seen *)arg)->reads++;
    assert_int_equal(r->gpa, TOY_DEVICE);
    return offset * 100 + size;
}
static void see_write(void *arg, const struct phys_region *r, uint64_t offset, unsigned size,
                      uint64_t value)
{
    ((struct seen *)arg)->writes++;
    assert_int_equal(r->gpa + offset + size + value, TOY_DEVICE + 8 + 4 + 9);
}
static bool see_code(void *arg, uint64_t gpa, unsigned size)
{
    (void)gpa;
    (void)size;
    ((struct seen *)arg)->code++;
    return true;
}

static void a_watch_sees_everything(void **state)
{
    struct seen seen = {0};
    const struct mmu_watch watch = {see_ram, see_read, see_write, see_code, &seen};

    (void)state;
    mmu_set_watch(t->mmu, &watch);
    toy_poke(t, GPA1, 0x77);
    mmu_store(&t->s, PAGE1, IR_64, 1);
    assert_int_equal(seen.old, 0x77); /* before the write */
    mmu_store(&t->s, PAGE1 + 1, IR_U16, 1);
    assert_int_equal(seen.ram, 2);
    assert_int_equal(seen.gpa[1], GPA1 + 1);
    mmu_store(&t->s, PAGE2 - 3, IR_64, 1);
    assert_int_equal(seen.ram, 4);
    assert_int_equal(seen.gpa[2], GPA1 + 0xffd);
    assert_int_equal(seen.size[2], 3);
    assert_int_equal(seen.gpa[3], GPA2);
    assert_int_equal(seen.size[3], 5);
    assert_int_equal(mmu_load(&t->s, DEV + 8, IR_U32), 804);
    mmu_store(&t->s, DEV + 8, IR_U32, 9);
    assert_int_equal(seen.reads + seen.writes, 2);
    assert_int_equal(t->dev_reads + t->dev_writes, 0);
    track_protect(t->track, GPA1);
    assert_true(mmu_store(&t->s, PAGE1, IR_U8, 9));
    assert_int_equal(seen.code, 1);
    assert_int_equal(t->n_wrote, 0);
    mmu_set_watch(t->mmu, NULL);
    mmu_store(&t->s, PAGE1, IR_U8, 9);
    assert_int_equal(t->n_wrote, 1);
    assert_int_equal(seen.ram, 5);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(loads_of_all_kinds),
        CASE(stores_of_all_kinds),
        CASE(misaligned_hits_need_no_walk),
        CASE(a_store_is_a_walk_for_loads_as_well),
        CASE(what_may_be_stored_to_only_is_asked_about_loads),
        CASE(faults_name_the_first_byte_that_fails),
        CASE(a_store_that_faults_in_its_second_page_stores_nothing),
        CASE(read_only_pages_take_no_store),
        CASE(a_load_does_not_open_the_way_for_stores),
        CASE(what_may_not_be_kept_is_not),
        CASE(protection_finer_than_a_page),
        CASE(untranslated_addresses_reach_ram_or_nothing),
        CASE(mmio_of_the_right_size),
        CASE(mmio_that_no_device_takes),
        CASE(rom_is_memory_to_odd_loads),
        CASE(stores_into_code_are_told),
        CASE(a_stale_store_entry_is_forgotten),
        CASE(a_watch_sees_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
