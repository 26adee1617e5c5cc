/* backend-x86_64: accesses through a window, as text: what is compared with what, how often, and
 * where the accesses go. What the code does is shown by the guests tests/guest/bare/window_*. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/x64_text.h"

static bool wild_access, wild_loop;

static bool is_wild(void *arg, uint64_t gpa, uint32_t mode)
{
    (void)arg;
    (void)mode;
    return gpa & 1 ? wild_loop : wild_access;
}

static const struct ir_advice advice = {.is_wild = is_wild};

/* Which code: of which half, for which window. */
struct kind {
    bool upper_half, virtual_time;
    enum ir_window window;
};

static const struct kind lower = {false, false, IR_WINDOW_LOWER};
static const struct kind upper = {true, false, IR_WINDOW_UPPER};

static int setup(void **state)
{
    wild_access = wild_loop = false;
    return x64_text_begin(state);
}

/* Leaves the block's host code in `text`. */
static void emit(const struct kind *k, const char *ir)
{
    parse(ir);
    block.mode = IR_MODE_WINDOW;
    block.advice = &advice;
    block.upper_half = k->upper_half;
    block.virtual_time = k->virtual_time;
    block.window = k->window;
    disassemble(emit_block(), 0);
}

/* Lines that have both words. */
static unsigned count(const char *a, const char *b)
{
    unsigned n = 0;

    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        char one[256];

        snprintf(one, sizeof one, "%.*s", (int)strcspn(line, "\n"), line);
        n += strstr(one, a) && strstr(one, b);
    }
    return n;
}

/* Does the first comparison have this operand? */
static bool compares_first(const char *place)
{
    const char *line = strstr(text, "cmp");

    return line && strstr(line, place) && strstr(line, place) < strchr(line, '\n');
}

static bool looks_at(size_t word_of_state)
{
    char place[32];

    snprintf(place, sizeof place, "[rbp + 0x%zx]", word_of_state - STATE_BIAS);
    return compares_first(place);
}

#define LOOKS_BY_ADDRESS looks_at(offsetof(struct cpu_state, limit))
#define LOOKS            looks_at(offsetof(struct cpu_state, pending))

static unsigned compares(size_t word_of_view)
{
    char place[32];

    snprintf(place, sizeof place, "gs:[0x%zx]", word_of_view);
    return count("cmp", place);
}

#define LIMIT compares(offsetof(struct mmu_view, window_limit))
#define FLOOR compares(offsetof(struct mmu_view, window_floor))

/* The address is the base's, less or more the way from the view to guest address 0. */
static unsigned through(const char *way)
{
    return count("gs:[r", way);
}

#define HEAD "block gpa=0x80000010\n       insn +0x10, 4\n"

static const char one_load[] = HEAD "%1   = get r10\n%2   = ld.64 [%1 +0x0]\n"
                                    "       set %2 r11\n       exit_goto -> +0x14\n";
static const char one_store[] = HEAD "%1   = get r10\n%2   = get r11\n       st.64 [%1 +0x8], %2\n"
                                     "       exit_goto -> +0x14\n";

static void each_half_compares_with_its_own_bound(void **state)
{
    const char *const ir[] = {one_load, one_store};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        emit(&lower, ir[i]);
        assert_true(LIMIT == 1 && FLOOR == 0);
        assert_true(count("jae", "") == 1 && count("jbe", "") == 0);
        assert_int_equal(through(i ? "+ 0x100008]" : "+ 0x100000]"), 1);
        emit(&upper, ir[i]);
        assert_true(LIMIT == 0 && FLOOR == 1);
        assert_true(count("jbe", "") == 1 && count("jae", "") == 0);
        assert_int_equal(through(i ? "- 0xffff8]" : "- 0x100000]"), 1);
    }
}

/* Blocks that were translated with SUM set, and those of the half that has none. */
static void without_a_window_of_its_half_it_asks_the_tables(void **state)
{
    const struct kind kinds[] = {
        {true, false, IR_WINDOW_NONE},
        {false, false, IR_WINDOW_NONE},
        {true, false, IR_WINDOW_LOWER},
        {false, false, IR_WINDOW_UPPER},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        emit(&kinds[i], one_load);
        assert_true(LIMIT == 0 && FLOOR == 0);
        assert_true(through("0x100000]") == 0);
        assert_true(count("shr", "") + count("and", "") >= 1); /* an index is made */
        emit(&kinds[i], one_store);
        assert_true(LIMIT == 0 && FLOOR == 0);
        assert_true(through("0xffff8]") == 0 && through("0x100008]") == 0);
    }
}

static const char two_of_one_base[] =
    HEAD "%1   = get r10\n%2   = ld.64 [%1 +0x0]\n       set %2 r11\n       insn +0x14, 4\n"
         "%5   = ld.64 [%1 +0x7f0]\n       set %5 r12\n       insn +0x18, 4\n"
         "       st.64 [%1 -0x10], %5\n       exit_goto -> +0x1c\n";

static void one_base_is_compared_once(void **state)
{
    const struct kind kinds[] = {{false, true, IR_WINDOW_LOWER}, {true, true, IR_WINDOW_UPPER}};

    (void)state;
    emit(&lower, two_of_one_base);
    assert_int_equal(LIMIT, 1);
    emit(&upper, two_of_one_base);
    assert_int_equal(FLOOR, 1);
    assert_true(through("- 0x100000]") == 1 && through("- 0xff810]") == 1 &&
                through("- 0x100010]") == 1);
    emit(&kinds[0], two_of_one_base); /* under virtual time a block is left at its ends only */
    assert_int_equal(LIMIT, 3);
    emit(&kinds[1], two_of_one_base);
    assert_int_equal(FLOOR, 3);
}

static const char far_and_near[] =
    HEAD "%1   = get r10\n%2   = ld.64 [%1 +0x8000]\n       set %2 r11\n       insn +0x14, 4\n"
         "%5   = ld.64 [%1 +0x7ff8]\n       set %5 r12\n       exit_goto -> +0x1c\n";

static void what_is_far_from_its_base_asks_the_tables(void **state)
{
    (void)state;
    emit(&upper, far_and_near);
    assert_int_equal(FLOOR, 1);
    assert_int_equal(through("- 0xf8008]"), 1);
    assert_int_equal(through("- 0xf8000]"), 0);
}

static void what_is_wild_asks_the_tables(void **state)
{
    (void)state;
    wild_access = true;
    emit(&upper, one_load);
    assert_true(FLOOR == 0 && through("- 0x100000]") == 0);
    emit(&lower, one_load);
    assert_true(LIMIT == 0 && through("+ 0x100000]") == 0);
}

/* Two pointers that move by 8 in each turn, and one that stays. */
static const char three_pointers[] =
    "block gpa=0x80000010\n       insn +0x10, 4\n%1   = get r10\n%2   = ld.64 [%1 +0x0]\n"
    "       insn +0x14, 4\n%4   = get r11\n       st.64 [%4 +0x0], %2\n"
    "       insn +0x18, 4\n%7   = get r12\n       st.64 [%7 +0x10], %2\n"
    "       insn +0x1c, 4\n%10  = const 0x8\n%11  = add %1, %10\n       set %11 r10\n"
    "%13  = add %4, %10\n       set %13 r11\n"
    "       exit_if.ne %11, %13 -> +0x10\n       exit_goto -> +0x20\n";

/* All are above the floor if what all of them have is; below the limit, if what any has is. */
static void a_loop_compares_its_pointers_at_once(void **state)
{
    (void)state;
    emit(&upper, three_pointers);
    assert_int_equal(FLOOR, 1);
    assert_true(count(" and rax", "") == 2 && count(" or rax", "") == 0);
    assert_int_equal(through("- 0x100000]") + through("- 0xffff0]"), 3);
    emit(&lower, three_pointers);
    assert_int_equal(LIMIT, 1);
    assert_true(count(" or rax", "") == 2 && count(" and rax", "") == 0);
    wild_loop = true;
    emit(&upper, three_pointers);
    assert_int_equal(FLOOR, 3);
    assert_int_equal(count(" and rax", ""), 0);
    const struct kind in_turns = {true, true, IR_WINDOW_UPPER};

    wild_loop = false;
    emit(&in_turns, three_pointers);
    assert_int_equal(FLOOR, 3);
}

/* A list: the address is what the turn before has loaded. */
static const char chase[] =
    "block gpa=0x80000010\n       insn +0x10, 4\n%1   = get r10\n%2   = ld.64 [%1 +0x8]\n"
    "       set %2 r10\n       insn +0x14, 4\n%5   = const 0x0\n"
    "       exit_if.ne %2, %5 -> +0x10\n       exit_goto -> +0x18\n";

static void a_chase_has_the_origin_in_a_register(void **state)
{
    char word[32];

    (void)state;
    snprintf(word, sizeof word, "gs:[0x%zx]", offsetof(struct mmu_view, window_origin));
    emit(&upper, chase);
    assert_int_equal(count("mov r13", word), 1);
    assert_int_equal(count("+ r13 + 8]", ""), 1);
    assert_int_equal(FLOOR, 1); /* each turn's is another pointer */
    emit(&lower, chase);
    assert_int_equal(count("mov r13", word), 1);
    assert_int_equal(count("+ r13 + 8]", ""), 1);
    const struct kind none = {true, false, IR_WINDOW_NONE};

    emit(&none, chase);
    assert_int_equal(count("r13", word), 0);
}

/* Nor is there one to spare where an operation takes rdx, two operands and a result, all of which
 * are wanted later. */
static void a_chase_that_divides_or_multiplies_has_none(void **state)
{
    static const char *const ops[] = {"mulhu", "mulhs", "mulhsu", "divu", "divs", "remu", "rems"};
    char word[32], ir[512];

    (void)state;
    snprintf(word, sizeof word, "gs:[0x%zx]", offsetof(struct mmu_view, window_origin));
    for (unsigned i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        snprintf(
            ir, sizeof ir,
            HEAD
            "%%1   = get r25\n%%2   = ld.64 [%%1 +0x0]\n       set %%2 r25\n"
            "       insn +0x14, 4\n%%5   = get r20\n%%6   = get r6\n%%7   = add %%5, %%6\n"
            "%%8   = get r7\n%%9   = xor %%5, %%8\n%%10  = %s %%9, %%7\n%%11  = add %%9, %%7\n"
            "       set %%10 r24\n       set %%11 r28\n       set %%9 r19\n       set %%7 r23\n"
            "       insn +0x18, 4\n%%17  = const 0x0\n"
            "       exit_if.ne %%10, %%17 -> +0x10\n       exit_goto -> +0x1c\n",
            ops[i]);
        emit(&lower, ir);
        assert_int_equal(count("r13", word), 0);
    }
}

/* A helper may have changed the view: behind it nothing counts on what was compared. */
static void behind_a_helper_all_is_compared_anew(void **state)
{
    static const char ir[] =
        HEAD "%1   = get r10\n%2   = ld.64 [%1 +0x0]\n       set %2 r11\n       insn +0x14, 4\n"
             "%5   = call 5 0x0 (%2)\n       insn +0x18, 4\n%7   = ld.64 [%1 +0x8]\n"
             "       set %7 r12\n       exit_goto -> +0x1c\n";

    (void)state;
    emit(&upper, ir);
    assert_int_equal(FLOOR, 2);
    emit(&lower, ir);
    assert_int_equal(LIMIT, 2);
}

/* A word of 16 bytes at a time, behind what tells an address that is not a block's first. */
static void a_block_is_zeroed_in_the_window(void **state)
{
    static const char ir[] = HEAD "%1   = get r10\n%2   = call.zero.64 5 0x0 (%1)\n"
                                  "       exit_goto -> +0x14\n";

    (void)state;
    emit(&upper, ir);
    assert_true(FLOOR == 1 && count("test", ", 0x3f") == 1);
    assert_true(strstr(text, "gs:[0x") < strstr(text, ", 0x3f"));
    assert_int_equal(count("vmovups", "gs:[r"), 4);
    assert_int_equal(count("vmovups", "- 0x100000]"), 1);
    assert_int_equal(count("vmovups", "- 0xfffd0]"), 1);
    wild_access = true;
    emit(&upper, ir);
    assert_true(FLOOR == 0 && count("vmovups", "gs:[r") == 0 && count("vmovups", "[r") == 4);
}

/* Two elements of one table by the same index, scaled by a shift before it is added; both scaled
 * values go into registers as well. Gives how often is compared. */
static unsigned compares_of_elements(const char *index, unsigned constant, unsigned shift)
{
    char ir[512];

    snprintf(ir, sizeof ir,
             HEAD
             "%%1   = get r10\n%%2   = get r11\n%%3   = const 0x%x\n%%4   = %s\n"
             "%%5   = const 0x%x\n%%6   = shl %%4, %%5\n       set %%6 r14\n%%8   = add %%6, %%1\n"
             "%%9   = ld.64 [%%8 +0x0]\n       set %%9 r12\n       insn +0x14, 4\n"
             "%%12  = add %%1, %%6\n%%13  = ld.64 [%%12 +0x8]\n       set %%13 r13\n"
             "       insn +0x18, 4\n%%16  = ld.64 [%%1 +0x8]\n       set %%16 r15\n"
             "       exit_goto -> +0x1c\n",
             constant, index, shift);
    emit(&upper, ir);
    return FLOOR;
}

static void a_scaled_index_that_is_small_shares_its_tables_comparison(void **state)
{
    (void)state;
    assert_int_equal(compares_of_elements("zext8 %2", 0, 3), 1);
    assert_true(compares_of_elements("shr %2, %3", 48, 1) > 1);  /* 16 bits: too far */
    assert_int_equal(compares_of_elements("zext8 %2", 0, 7), 1); /* 32,640 bytes */
    assert_true(compares_of_elements("zext8 %2", 0, 8) > 1);
    assert_true(compares_of_elements("zext8 %2", 0, 58) > 1); /* bits are lost */
    assert_true(compares_of_elements("zext8 %2", 0, 63) > 1);
    assert_true(compares_of_elements("and %2, %3", 0x100, 56) > 1); /* and none is left */
    assert_true(compares_of_elements("sext8 %2", 0, 3) > 1);
}

/* A user's block that comes to an access, whatever happens, looks at `pending` by its comparison.
 */
static void the_first_comparison_is_the_look(void **state)
{
    static const char behind_registers[] =
        HEAD "%1   = get r10\n%2   = const 0x8\n%3   = add %1, %2\n       set %3 r10\n"
             "       insn +0x14, 4\n%6   = get r11\n%7   = add %6, %3\n       insn +0x18, 4\n"
             "%9   = ld.64 [%7 +0x0]\n       set %9 r12\n       exit_goto -> +0x10\n";

    (void)state;
    emit(&lower, one_load);
    assert_true(LOOKS_BY_ADDRESS);
    assert_int_equal(count("jae", ""), 1);
    assert_int_equal(count("jb ", ""), 1); /* when the limit alone is another */
    emit(&lower, one_store);
    assert_true(LOOKS_BY_ADDRESS);
    emit(&lower, behind_registers);
    assert_true(LOOKS_BY_ADDRESS);
    emit(&upper, one_load);
    assert_true(LOOKS);
}

static void what_may_not_come_to_one_looks_at_its_start(void **state)
{
    static const char leaves[] =
        HEAD "%1   = get r10\n%2   = get r11\n       exit_if.ne %1, %2 -> +0x30\n"
             "       insn +0x14, 4\n%5   = ld.64 [%1 +0x0]\n       set %5 r12\n"
             "       exit_goto -> +0x18\n";
    static const char calls[] =
        HEAD "%1   = get r10\n%2   = call 5 0x0 (%1)\n       insn +0x14, 4\n"
             "%4   = ld.64 [%1 +0x0]\n       set %4 r12\n       exit_goto -> +0x18\n";
    static const char floats[] =
        HEAD "%1   = get r10\n%2   = ldf.64 [%1 +0x0]\n       setf %2 f11\n"
             "       exit_goto -> +0x14\n";
    static const char *const ir[] = {leaves, calls, floats, far_and_near};
    const struct kind in_turns = {false, true, IR_WINDOW_LOWER};

    (void)state;
    for (unsigned i = 0; i < sizeof ir / sizeof ir[0]; i++) {
        emit(&lower, ir[i]);
        assert_true(LOOKS);
    }
    emit(&in_turns, one_load);
    assert_true(LOOKS);
    wild_access = true;
    emit(&lower, one_load);
    assert_true(LOOKS);
    wild_access = false;
    emit(&lower, three_pointers); /* compared once for all turns: each of them has to look */
    assert_true(compares_first("gs:["));
    char pending[32];

    snprintf(pending, sizeof pending, "[rbp + 0x%zx]",
             offsetof(struct cpu_state, pending) - STATE_BIAS);
    assert_int_equal(count("cmp", pending), 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, x64_text_end)
    const struct CMUnitTest tests[] = {
        TEST(each_half_compares_with_its_own_bound),
        TEST(without_a_window_of_its_half_it_asks_the_tables),
        TEST(one_base_is_compared_once),
        TEST(what_is_far_from_its_base_asks_the_tables),
        TEST(what_is_wild_asks_the_tables),
        TEST(a_loop_compares_its_pointers_at_once),
        TEST(a_chase_has_the_origin_in_a_register),
        TEST(a_chase_that_divides_or_multiplies_has_none),
        TEST(behind_a_helper_all_is_compared_anew),
        TEST(a_block_is_zeroed_in_the_window),
        TEST(a_scaled_index_that_is_small_shares_its_tables_comparison),
        TEST(the_first_comparison_is_the_look),
        TEST(what_may_not_come_to_one_looks_at_its_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
