/* softmmu/phys: two views of one RAM, guards around them, MMIO regions. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "softmmu/phys.h"

#define RAM UINT64_C(0x80000000)
enum { RAM_LEN = 1 << 20 };

static void both_views_show_the_same_bytes(void **state)
{
    struct phys p;
    struct err e;

    (void)state;
    assert_true(phys_init(&p, RAM, RAM_LEN, &e));
    assert_ptr_not_equal(p.ram, p.store);
    p.ram[5] = 1;
    p.store[RAM_LEN - 1] = 2;
    assert_int_equal(p.store[5], 1);
    assert_int_equal(p.ram[RAM_LEN - 1], 2);
    assert_ptr_equal(phys_ptr(&p, RAM + 5), p.ram + 5);
    phys_fini(&p);
    assert_int_equal(p.memfd, -1);
}

/* A child that touches the byte dies of it. */
static bool touching_kills(uint8_t *byte)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        *(volatile uint8_t *)byte = 1;
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
}

static void views_are_guarded(void **state)
{
    struct phys p;
    struct err e;

    (void)state;
    assert_true(phys_init(&p, RAM, RAM_LEN, &e));
    assert_true(touching_kills(p.ram - 1));
    assert_true(touching_kills(p.ram - 65536));
    assert_true(touching_kills(p.ram + RAM_LEN));
    assert_true(touching_kills(p.ram + RAM_LEN + 65535));
    assert_true(touching_kills(p.store - 1));
    assert_true(touching_kills(p.store + RAM_LEN));
    phys_fini(&p);
}

static void is_ram_knows_the_ends(void **state)
{
    struct phys p;
    struct err e;

    (void)state;
    assert_true(phys_init(&p, RAM, RAM_LEN, &e));
    assert_true(phys_is_ram(&p, RAM, RAM_LEN));
    assert_true(phys_is_ram(&p, RAM + RAM_LEN - 8, 8));
    assert_false(phys_is_ram(&p, RAM + RAM_LEN - 7, 8));
    assert_false(phys_is_ram(&p, RAM + RAM_LEN, 1));
    assert_false(phys_is_ram(&p, RAM - 1, 2));
    assert_false(phys_is_ram(&p, RAM + 1, UINT64_MAX));
    assert_false(phys_is_ram(&p, UINT64_MAX, 8));
    phys_fini(&p);
}

static void ram_too_large_is_refused(void **state)
{
    struct phys p;
    struct err e;

    (void)state;
    assert_false(phys_init(&p, RAM, UINT64_C(1) << 50, &e));
    assert_non_null(strstr(e.text, "choose a smaller -m"));
    assert_false(phys_init(&p, RAM, UINT64_MAX & ~UINT64_C(4095), &e));
    assert_false(phys_init(&p, RAM, 0, &e));
    assert_false(phys_init(&p, RAM, 4097, &e));
    assert_non_null(strstr(e.text, "4096"));
    phys_fini(&p); /* after a failure there is nothing to undo, and it does no harm */
}

static void regions_are_found(void **state)
{
    static const struct phys_mmio ops = {.min_size = 1, .max_size = 8};
    struct phys p;
    struct err e;

    (void)state;
    assert_true(phys_init(&p, RAM, RAM_LEN, &e));
    assert_null(phys_find(&p, 0, 1));
    phys_add_mmio(&p, 0x3000, 0x100, "c", &ops, NULL);
    phys_add_mmio(&p, 0x1000, 0x1000, "a", &ops, NULL);
    phys_add_mmio(&p, 0x2000, 0x10, "b", &ops, NULL);
    phys_add_mmio(&p, UINT64_MAX - 0xff, 0x100, "top", &ops, NULL);
    assert_int_equal(p.n_regions, 4);
    assert_string_equal(phys_find(&p, 0x1000, 8)->name, "a");
    assert_string_equal(phys_find(&p, 0x1fff, 1)->name, "a");
    assert_string_equal(phys_find(&p, 0x2000, 1)->name, "b");
    assert_string_equal(phys_find(&p, 0x30f8, 8)->name, "c");
    assert_string_equal(phys_find(&p, UINT64_MAX, 1)->name, "top");
    assert_null(phys_find(&p, UINT64_MAX, 2));
    assert_null(phys_find(&p, 0x1fff, 2)); /* a and b touch, an access may not straddle */
    assert_null(phys_find(&p, 0x2010, 1));
    assert_null(phys_find(&p, 0xfff, 1));
    assert_null(phys_find(&p, RAM, 1));

    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    phys_print(&p, f);
    fclose(f);
    assert_ptr_equal(strstr(text, "0000000000001000-0000000000001fff  a\n"), text);
    assert_non_null(strstr(text, "0000000000003000-00000000000030ff  c\n0000000080000000-"));
    assert_non_null(strstr(text, "  ram\nffffffffffffff00-ffffffffffffffff  top\n"));
    free(text);
    phys_fini(&p);
}

/* The host has the memory again; what could not be stored to (track.h) still cannot. */
static void pages_are_given_back(void **state)
{
    enum { PAGE = 4096 };
    struct phys p;
    struct stat before, after;
    struct err e;

    (void)state;
    assert_true(phys_init(&p, RAM, RAM_LEN, &e));
    memset(p.ram, 1, 8 * PAGE);
    assert_int_equal(mprotect(p.store + 3 * PAGE, PAGE, PROT_READ), 0);
    assert_int_equal(fstat(p.memfd, &before), 0);
    assert_true(phys_discard(&p, RAM + 2 * PAGE, 3 * PAGE));
    assert_int_equal(fstat(p.memfd, &after), 0);
    assert_int_equal(after.st_blocks, before.st_blocks - 3 * PAGE / 512);
    assert_int_equal(after.st_size, RAM_LEN);
    assert_int_equal(p.ram[2 * PAGE - 1], 1);
    assert_int_equal(p.ram[5 * PAGE], 1);
    for (unsigned i = 2 * PAGE; i < 5 * PAGE; i++)
        assert_int_equal(p.ram[i] | p.store[i], 0);
    assert_true(touching_kills(p.store + 3 * PAGE));
    assert_false(touching_kills(p.store + 2 * PAGE));
    p.store[4 * PAGE] = 7;
    assert_int_equal(p.ram[4 * PAGE], 7);
    phys_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_views_show_the_same_bytes),
        cmocka_unit_test(views_are_guarded),
        cmocka_unit_test(is_ram_knows_the_ends),
        cmocka_unit_test(ram_too_large_is_refused),
        cmocka_unit_test(regions_are_found),
        cmocka_unit_test(pages_are_given_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
