/* dbt/base: the log's categories and lines, errors, the arena, bit fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dbt/base/arena.h"
#include "dbt/base/bits.h"
#include "dbt/base/check.h"
#include "dbt/base/err.h"
#include "dbt/base/log.h"

/* ---- log -------------------------------------------------------------------------------- */

static int fresh_log(void **state)
{
    (void)state;
    log_state = (struct log){.last = UINT64_MAX};
    return 0;
}

static void each_category_has_a_name(void **state)
{
    (void)state;
    for (unsigned k = 0; k < LOG_COUNT; k++) {
        struct err e;

        assert_true(strlen(log_name(k)) > 0);
        assert_true(strlen(log_help(k)) > 0);
        log_state.mask = 0;
        assert_true(log_parse(log_name(k), &e));
        assert_int_equal(log_state.mask, 1u << k);
    }
    assert_true(log_on(1u << (LOG_COUNT - 1)));
    assert_false(log_on(1));
}

static void a_list_adds_up(void **state)
{
    struct err e;

    (void)state;
    assert_true(log_parse("exec,cache", &e));
    assert_int_equal(log_state.mask, LOG_exec | LOG_cache);
    assert_true(log_parse("ir", &e));
    assert_true(log_on(LOG_ir));
    assert_false(log_on(LOG_ir_opt));
}

static void a_wrong_name_is_named(void **state)
{
    static const struct {
        const char *list, *named;
    } rows[] = {{"exec,nonsense,ir", "-d nonsense:"},
                {"", "-d :"},
                {"exec,", "-d :"},
                {"i", "-d i:"},
                {"irx", "-d irx:"},
                {"%s%n", "-d %s%n:"}};

    (void)state;
    for (unsigned k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        struct err e;

        assert_false(log_parse(rows[k].list, &e));
        assert_ptr_equal(strstr(e.text, rows[k].named), e.text);
    }
}

static void a_line_is_written_when_it_is_on(void **state)
{
    char text[64] = "";
    FILE *out = fmemopen(text, sizeof text, "w");

    (void)state;
    assert_non_null(out);
    log_state.out = out;
    log_line(LOG_cache, "off %d", 1);
    log_state.mask = LOG_cache;
    log_line(LOG_cache | LOG_exec, "on %d", 2);
    log_line(LOG_exec, "off %d", 3);
    fclose(out);
    log_state.out = NULL;
    assert_string_equal(text, "on 2\n");
}

static void the_filter_has_both_ends(void **state)
{
    (void)state;
    assert_true(log_in_filter(0));
    assert_true(log_in_filter(UINT64_MAX));
    log_state.first = 0x1000;
    log_state.last = 0x1fff;
    assert_false(log_in_filter(0xfff));
    assert_true(log_in_filter(0x1000));
    assert_true(log_in_filter(0x1fff));
    assert_false(log_in_filter(0x2000));
}

/* ---- err ---------------------------------------------------------------------------------- */

static void an_error_is_one_line(void **state)
{
    struct err e;

    (void)state;
    assert_false(err_set(&e, "cannot open %s: %d", "x", 5));
    assert_string_equal(e.text, "cannot open x: 5");
    assert_false(err_prefix(&e, "boot"));
    assert_string_equal(e.text, "boot: cannot open x: 5");
}

static void a_long_error_is_cut(void **state)
{
    char longer[2000];
    struct err e;

    (void)state;
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_false(err_set(&e, "%s", longer));
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    assert_false(err_prefix(&e, longer));
    assert_true(strlen(e.text) < sizeof e.text);
    assert_non_null(strstr(e.text, "a: a"));
    /* Text from outside is not a format. */
    assert_false(err_set(&e, "%s", "100%s%n"));
    assert_false(err_prefix(&e, "%d"));
    assert_string_equal(e.text, "%d: 100%s%n");
}

static void a_failed_check_ends_the_process(void **state)
{
    int status;

    (void)state;
    fflush(NULL);
    pid_t child = fork();

    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        CHECK(1 + 1 == 3);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_BUG);
}

/* ---- arena --------------------------------------------------------------------------------- */

static void pieces_are_aligned_and_apart(void **state)
{
    struct arena a;
    uint8_t *last = NULL;

    (void)state;
    arena_init(&a, 65536);
    for (size_t n = 0; n < 100; n++) {
        uint8_t *p = arena_take(&a, n);

        assert_int_equal((uintptr_t)p % 16, 0);
        assert_true(!last || p >= last + (n - 1));
        memset(p, 0xff, n);
        last = p;
    }
    arena_reset(&a);
    assert_ptr_equal(arena_take(&a, 65536), a.base); /* all of it */
    a.base[65535] = 1;
    arena_fini(&a);
    assert_null(a.base);
}

static void an_arena_begins_as_zeroes(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 4096);
    const uint8_t *p = arena_take(&a, 4096);

    for (unsigned k = 0; k < 4096; k++)
        assert_int_equal(p[k], 0);
    arena_fini(&a);
}

/* ---- bits ------------------------------------------------------------------------------------ */

static void fields(void **state)
{
    const uint64_t v = UINT64_C(0xfedcba9876543210);

    (void)state;
    assert_int_equal(bits_get(v, 0, 4), 0);
    assert_int_equal(bits_get(v, 4, 8), 0x21);
    assert_int_equal(bits_get(v, 60, 4), 0xf);
    assert_int_equal(bits_get(v, 0, 63), v & INT64_MAX);
    assert_int_equal(bits_set(v, 4, 8, 0xfff), UINT64_C(0xfedcba9876543ff0));
    assert_int_equal(bits_set(v, 60, 4, 0), UINT64_C(0x0edcba9876543210));
    for (unsigned lo = 0; lo < 64; lo++)
        for (unsigned n = 1; n < 64 && lo + n <= 64; n++)
            assert_int_equal(bits_get(bits_set(v, lo, n, 0x5555555555555555), lo, n),
                             0x5555555555555555 & ((UINT64_C(1) << n) - 1));
    assert_int_equal(bit(0), 1);
    assert_int_equal(bit(63), UINT64_C(1) << 63);
}

static void signs(void **state)
{
    (void)state;
    assert_int_equal(sign_extend(0x80, 8), -128);
    assert_int_equal(sign_extend(0x17f, 8), 127);
    assert_int_equal(sign_extend(1, 1), -1);
    assert_int_equal(sign_extend(UINT64_MAX, 64), -1);
    assert_int_equal(sign_extend(UINT64_C(1) << 63, 64), INT64_MIN);
}

static void alignments(void **state)
{
    (void)state;
    assert_int_equal(align_down(0x1fff, 0x1000), 0x1000);
    assert_int_equal(align_down(0x1000, 0x1000), 0x1000);
    assert_int_equal(align_up(0x1001, 0x1000), 0x2000);
    assert_int_equal(align_up(0x1000, 0x1000), 0x1000);
    assert_int_equal(align_up(0, 16), 0);
    assert_int_equal(align_down(UINT64_MAX, 0x1000), UINT64_MAX - 0xfff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_category_has_a_name, fresh_log),
        cmocka_unit_test_setup(a_list_adds_up, fresh_log),
        cmocka_unit_test_setup(a_wrong_name_is_named, fresh_log),
        cmocka_unit_test_setup(a_line_is_written_when_it_is_on, fresh_log),
        cmocka_unit_test_setup(the_filter_has_both_ends, fresh_log),
        cmocka_unit_test(an_error_is_one_line),
        cmocka_unit_test(a_long_error_is_cut),
        cmocka_unit_test(a_failed_check_ends_the_process),
        cmocka_unit_test(pieces_are_aligned_and_apart),
        cmocka_unit_test(an_arena_begins_as_zeroes),
        cmocka_unit_test(fields),
        cmocka_unit_test(signs),
        cmocka_unit_test(alignments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
