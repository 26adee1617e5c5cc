/* Where code begins: x64_lead(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "backend-x86_64/x64.h"
#include "runtime/mmu_layout.h"
#include "tests/lib/x64_one.h"

enum { CAP = 4096 };

static struct x64_unit unit_with_pair(uint32_t first, uint32_t last)
{
    return (struct x64_unit){.n_pairs = 1, .pair = {{first, last}}};
}

static void what_is_in_one_line_stays(void **state)
{
    (void)state;
    struct x64_unit u = unit_with_pair(0x20, 0x2f);

    assert_int_equal(x64_lead(&u, 0x1000), 0);
    assert_int_equal(x64_lead(&u, 0x1010), 0); /* its last byte is the line's */
    u.n_pairs = 0;
    assert_int_equal(x64_lead(&u, 0x1020), 0);
}

static void a_comparison_is_moved_into_its_jumps_line(void **state)
{
    (void)state;
    struct x64_unit u = unit_with_pair(0x3f, 0x47);

    assert_int_equal(x64_lead(&u, 0x1000), 16);
    assert_int_equal(x64_lead(&u, 0x1010), 0);
    u = unit_with_pair(0x10, 0x20);
    assert_int_equal(x64_lead(&u, 0x1020), 16);
    u = unit_with_pair(0x04, 0x14);
    assert_int_equal(x64_lead(&u, 0x1030), 16);
}

static void a_loop_is_moved_into_one_line(void **state)
{
    (void)state;
    /* From 0x12 to the jump back that ends with 0x3f. */
    struct x64_unit u = {.loop = 0x12, .n_exits = 1, .exit = {{.jump = 0x3c, .turns = true}}};

    assert_int_equal(x64_lead(&u, 0x1000), 0);
    assert_int_equal(x64_lead(&u, 0x1010), 32);
    assert_int_equal(x64_lead(&u, 0x1020), 16);
    assert_int_equal(x64_lead(&u, 0x1030), 0);
    u.exit[0].turns = false;
    assert_int_equal(x64_lead(&u, 0x1010), 0);
}

/* What cannot all be had: the fewest, and the nearest place that has them. */
static void the_fewest_breaks_win(void **state)
{
    (void)state;
    struct x64_unit u = {.n_pairs = 3, .pair = {{0x3c, 0x44}, {0x7c, 0x84}, {0x2c, 0x34}}};

    assert_int_equal(x64_lead(&u, 0x1000), 32);
    assert_int_equal(x64_lead(&u, 0x1010), 16);
    u.pair[1] = (struct x64_pair){0x1c, 0x24};
    u.pair[2] = (struct x64_pair){0x0c, 0x14};
    u.n_pairs = 4;
    u.pair[3] = (struct x64_pair){0x2c, 0x34};
    assert_int_equal(x64_lead(&u, 0x1000), 0); /* one breaks everywhere */
}

/* Each comparison that has a jump is known, with its bytes. */
static void emitted_comparisons_are_known(void **state)
{
    static const char ir[] =
        "block gpa=0x80000010\n       insn +0x10, 4\n%1   = get r10\n%2   = get r11\n"
        "       exit_if.ne %1, %2 -> +0x30\n       insn +0x14, 4\n%5   = const 0x0\n"
        "       exit_if.eq %1, %5 -> +0x10\n       exit_goto -> +0x18\n";
    static struct ir_block b;
    static uint8_t code[CAP];
    static const struct x64_mmu_layout layout = {MMU_LAYOUT};
    struct x64_emitter *emitter = x64_emitter_create(&layout, 16);
    struct err e;

    (void)state;
    assert_true(ir_parse(&b, ir, &e) && ir_verify(&b, &e));
    const struct x64_unit *u = emit_in_one(emitter, &b, code, CAP);

    assert_non_null(u);
    assert_int_equal(u->n_pairs, 2);
    for (unsigned k = 0; k < 2; k++) {
        assert_int_equal(u->pair[k].last, u->exit[k].jump + 3);
        /* cmp or test of two registers, and a jcc rel32 */
        assert_int_equal(u->pair[k].last - u->pair[k].first, 8);
        assert_true((code[u->pair[k].first] & 0xf0) == 0x40);
    }
    x64_emitter_destroy(emitter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_one_line_stays),
        cmocka_unit_test(a_comparison_is_moved_into_its_jumps_line),
        cmocka_unit_test(a_loop_is_moved_into_one_line),
        cmocka_unit_test(the_fewest_breaks_win),
        cmocka_unit_test(emitted_comparisons_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
