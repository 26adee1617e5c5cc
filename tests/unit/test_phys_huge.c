/* softmmu/huge: RAM in the host's huge pages. What a host does not give is as good as what it
 * gives, so the tests that look at what it gave skip where it has none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "softmmu/phys.h"

#define RAM UINT64_C(0x80000000)
enum { PAGE = 4096, HUGE = PHYS_HUGE_BYTES, REST = 5 * PAGE, RAM_LEN = 3 * HUGE + REST };

static struct phys p;

static int setup(void **state)
{
    struct err e;

    (void)state;
    assert_true(phys_init(&p, RAM, RAM_LEN, &e));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    phys_fini(&p);
    assert_null(p.huge.asked);
    return 0;
}

static uint64_t n_asked(void)
{
    return p.huge.n_given + p.huge.n_refused;
}

static uint64_t blocks(void)
{
    struct stat s;

    assert_int_equal(fstat(p.memfd, &s), 0);
    return (uint64_t)s.st_blocks * 512;
}

/* Kilobytes of the view's mapping that the host's page table has as huge pages. */
static unsigned long huge_kb(const uint8_t *view)
{
    FILE *f = fopen("/proc/self/smaps", "r");
    unsigned long begin, end, kb = 0, found = 0;
    bool inside = false;
    char line[256];

    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
            inside = begin >= (uintptr_t)view && end <= (uintptr_t)view + RAM_LEN;
        else if (inside && sscanf(line, "ShmemPmdMapped: %lu kB", &kb) == 1)
            found += kb;
    }
    fclose(f);
    return found;
}

static void nobody_asks_who_was_not_told(void **state)
{
    (void)state;
    phys_touch(&p, RAM);
    phys_back(&p, RAM, RAM_LEN);
    assert_int_equal(n_asked(), 0);
    assert_int_equal(blocks(), 0);
}

static void views_begin_where_a_huge_page_may(void **state)
{
    (void)state;
    assert_int_equal((uintptr_t)p.ram % HUGE, 0);
    assert_int_equal((uintptr_t)p.store % HUGE, 0);
}

static void what_is_touched_comes_in_one_piece(void **state)
{
    (void)state;
    phys_use_huge_pages(&p);
    phys_touch(&p, RAM + HUGE + 7 * PAGE);
    assert_int_equal(n_asked(), 1);
    if (p.huge.n_given == 0)
        skip();
    assert_int_equal(blocks(), HUGE);
    assert_int_equal(huge_kb(p.store), 0); /* mapped when it is used */
    p.store[HUGE + PAGE] = 1;
    assert_int_equal(huge_kb(p.store), HUGE / 1024);
    assert_int_equal(huge_kb(p.ram), 0); /* not counted twice */
    assert_true(p.huge.ns > 0);
}

static void it_is_asked_for_once(void **state)
{
    (void)state;
    phys_use_huge_pages(&p);
    for (unsigned i = 0; i < 3; i++) {
        phys_touch(&p, RAM + i * PAGE);
        assert_int_equal(n_asked(), 1);
    }
}

/* What is there already stays: bytes, and in the store view the rights. */
static void pages_in_use_are_kept(void **state)
{
    (void)state;
    phys_use_huge_pages(&p);
    for (unsigned i = 0; i < HUGE / PAGE; i += 3)
        p.store[i * PAGE + i] = (uint8_t)(i + 1);
    assert_int_equal(mprotect(p.store + 6 * PAGE, PAGE, PROT_READ), 0);
    phys_touch(&p, RAM);
    for (unsigned i = 0; i < HUGE / PAGE; i++) {
        assert_int_equal(p.ram[i * PAGE + i], i % 3 ? 0 : (uint8_t)(i + 1));
        assert_int_equal(p.store[i * PAGE + i], i % 3 ? 0 : (uint8_t)(i + 1));
    }
    int zero[2];

    /* A system call that writes there says what an access would meet. */
    assert_int_equal(pipe(zero), 0);
    assert_int_equal(write(zero[1], "ab", 2), 2);
    assert_int_equal(read(zero[0], p.store + 6 * PAGE, 1), -1);
    assert_int_equal(read(zero[0], p.store + 7 * PAGE, 1), 1);
    close(zero[0]);
    close(zero[1]);
}

/* The last 2 MiB are not whole. */
static void what_is_left_at_the_end_comes_page_by_page(void **state)
{
    (void)state;
    phys_use_huge_pages(&p);
    phys_touch(&p, RAM + 3 * HUGE);
    phys_touch(&p, RAM + RAM_LEN - 1);
    assert_int_equal(n_asked(), 0);
    assert_int_equal(blocks(), 0);
    p.store[RAM_LEN - 1] = 1;
    assert_int_equal(blocks(), PAGE);
}

static void a_range_is_backed_to_its_last_byte(void **state)
{
    (void)state;
    phys_use_huge_pages(&p);
    phys_back(&p, RAM + HUGE, 0);
    assert_int_equal(n_asked(), 0);
    phys_back(&p, RAM + HUGE - 1, 1);
    assert_int_equal(n_asked(), 1);
    if (p.huge.n_given == 0)
        skip(); /* nobody asks such a host again */
    phys_back(&p, RAM + HUGE - 1, 2);
    assert_int_equal(n_asked(), 2);
    phys_back(&p, RAM + HUGE + PAGE, HUGE);
    assert_int_equal(n_asked(), 3);
    phys_back(&p, RAM, RAM_LEN);
    assert_int_equal(n_asked(), 3);
}

/* 2 MiB that the guest gave back will be asked for again; of which it gave a part will not: what is
 * left of them is in use. */
static void what_is_given_back_is_zeros_and_is_asked_for_again(void **state)
{
    (void)state;
    phys_use_huge_pages(&p);
    phys_back(&p, RAM, 3 * HUGE);
    if (p.huge.n_refused > 0)
        skip();
    /* So many that a host under load is not found slow on the way. */
    atomic_store(&p.huge.n_given, 1000000);
    uint64_t n = n_asked();

    memset(p.store, 1, 3 * HUGE);
    assert_true(phys_discard(&p, RAM + PAGE, HUGE + PAGE)); /* all of none */
    phys_touch(&p, RAM);
    phys_touch(&p, RAM + HUGE);
    assert_int_equal(n_asked(), n);
    assert_true(p.store[PAGE - 1] == 1 && p.store[HUGE + 2 * PAGE] == 1);
    assert_true(p.store[PAGE] == 0 && p.store[HUGE + 2 * PAGE - 1] == 0);
    assert_true(phys_discard(&p, RAM + HUGE - PAGE, 2 * HUGE + PAGE));
    assert_true(p.store[HUGE] == 0 && p.store[3 * HUGE - 1] == 0);
    phys_touch(&p, RAM);
    assert_int_equal(n_asked(), n);
    phys_touch(&p, RAM + HUGE);
    phys_touch(&p, RAM + 2 * HUGE);
    assert_int_equal(n_asked(), n + 2);
    assert_true(p.store[HUGE] == 0 && p.ram[3 * HUGE - 1] == 0);
}

/* Who asks next finds that so many answers have taken 4 s. */
static void use_slow_host(uint64_t n_given, uint64_t n_refused)
{
    phys_use_huge_pages(&p);
    atomic_store(&p.huge.n_given, n_given);
    atomic_store(&p.huge.n_refused, n_refused);
    atomic_store(&p.huge.ns, UINT64_C(4000000000));
}

static void a_slow_host_is_not_asked_any_more(void **state)
{
    (void)state;
    use_slow_host(3, 0);
    phys_touch(&p, RAM);
    if (p.huge.n_given == 3)
        skip();
    phys_touch(&p, RAM + HUGE);
    assert_int_equal(p.huge.n_given, 4);
    p.store[HUGE] = 1;
    assert_int_equal(p.store[HUGE], 1);
}

static void a_few_slow_answers_do_not_count(void **state)
{
    (void)state;
    use_slow_host(0, 0);
    phys_touch(&p, RAM);
    if (p.huge.n_given == 0)
        skip();
    phys_touch(&p, RAM + HUGE);
    assert_int_equal(p.huge.n_given, 2);
}

static void what_is_given_back_to_a_slow_host_is_not_asked_for_again(void **state)
{
    (void)state;
    use_slow_host(100, 0);
    phys_touch(&p, RAM);
    assert_int_equal(n_asked(), 101);
    assert_true(phys_discard(&p, RAM, 3 * HUGE));
    phys_touch(&p, RAM + HUGE);
    assert_int_equal(n_asked(), 101);
}

static void a_host_that_is_slow_to_refuse_is_not_asked_any_more(void **state)
{
    (void)state;
    use_slow_host(0, 100);
    phys_touch(&p, RAM);
    assert_int_equal(n_asked(), 101);
    phys_touch(&p, RAM + HUGE);
    assert_int_equal(n_asked(), 101);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(nobody_asks_who_was_not_told),
        TEST(views_begin_where_a_huge_page_may),
        TEST(what_is_touched_comes_in_one_piece),
        TEST(it_is_asked_for_once),
        TEST(pages_in_use_are_kept),
        TEST(what_is_left_at_the_end_comes_page_by_page),
        TEST(a_range_is_backed_to_its_last_byte),
        TEST(what_is_given_back_is_zeros_and_is_asked_for_again),
        TEST(a_slow_host_is_not_asked_any_more),
        TEST(a_few_slow_answers_do_not_count),
        TEST(what_is_given_back_to_a_slow_host_is_not_asked_for_again),
        TEST(a_host_that_is_slow_to_refuse_is_not_asked_any_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
