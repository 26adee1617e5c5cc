/* backend-x86_64: which registers a block asks at its start whether they hold singles, and which
 * where they are used, as text; and what becomes of a block where one holds none. What it does
 * then: tests/guest/bare/fp_box.S. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "dbt/opt/opt.h"
#include "tests/lib/rv_machine.h"
#include "tests/lib/x64_text.h"

static bool start_is_wild;

static bool is_wild(void *arg, uint64_t gpa, uint32_t mode)
{
    (void)arg;
    (void)mode;
    return start_is_wild && gpa == IR_START_AT(UINT64_C(0x80000100));
}

static const struct ir_advice advice = {.is_wild = is_wild};

static int setup(void **state)
{
    start_is_wild = false;
    return x64_text_begin(state);
}

static const struct x64_unit *emit(bool virtual_time, const char *ir)
{
    parse(ir);
    block.advice = &advice;
    block.virtual_time = virtual_time;
    const struct x64_unit *u = emit_block();

    disassemble(u, 0);
    return u;
}

static unsigned count(const char *word)
{
    unsigned n = 0;

    for (const char *at = text; (at = strstr(at, word)); at++)
        n++;
    return n;
}

#define HEAD "block gpa=0x80000100\n       insn +0x100, 4\n"
#define SUM                                                                                        \
    "%1   = getf f10\n%2   = unbox32 %1\n%3   = getf f11\n%4   = unbox32 %3\n"                     \
    "%5   = fadd.32.dyn %2, %4\n%6   = box32 %5\n"
#define THREE                                                                                      \
    HEAD SUM "       setf %6 f12\n%8   = getf f13\n%9   = unbox32 %8\n"                            \
             "%10  = fmul.32.dyn %9, %2\n%11  = box32 %10\n       setf %11 f14\n"                  \
             "       exit_goto -> +0x104\n"

static void all_are_asked_at_once(void **state)
{
    (void)state;
    emit(false, THREE);
    assert_int_equal(count("vptest"), 1);
    assert_int_equal(count("vandpd"), 2); /* the second and the third */
}

static void where_they_are_used_if_that_fails_often(void **state)
{
    (void)state;
    start_is_wild = true;
    emit(false, THREE);
    assert_int_equal(count("vptest"), 3);
    assert_int_equal(count("vandpd"), 0);
}

/* Blocks are left at their ends only. */
static void in_virtual_time_where_they_are_used(void **state)
{
    (void)state;
    emit(true, THREE);
    assert_int_equal(count("vptest"), 3);
}

/* f10 is what was set when it is used again; f12 is set before it is used at all. */
static void what_is_set_is_asked_where_it_is_used(void **state)
{
    (void)state;
    emit(false, HEAD SUM "%7   = get r10\n%8   = i2f %7\n       setf %8 f10\n%10  = getf f10\n"
                         "%11  = unbox32 %10\n       setf %8 f12\n%13  = getf f12\n"
                         "%14  = unbox32 %13\n%15  = fadd.32.dyn %11, %14\n%16  = box32 %15\n"
                         "       setf %16 f13\n       exit_goto -> +0x104\n");
    assert_int_equal(count("vptest"), 3);
    assert_int_equal(count("vandpd"), 1);
}

/* Which may write registers. */
static void behind_a_helper_all_are_asked_where_they_are_used(void **state)
{
    (void)state;
    emit(false, HEAD SUM "       setf %6 f12\n%8   = call 5 0x0 ()\n%9   = getf f10\n"
                         "%10  = unbox32 %9\n%11  = getf f13\n%12  = unbox32 %11\n"
                         "%13  = fadd.32.dyn %10, %12\n%14  = box32 %13\n       setf %14 f14\n"
                         "       exit_goto -> +0x104\n");
    assert_int_equal(count("vptest"), 3);
    assert_int_equal(count("vandpd"), 1);
}

/* What is used as a double, or stored, says nothing. */
static void doubles_are_not_asked(void **state)
{
    (void)state;
    emit(false, HEAD "%1   = getf f10\n%2   = getf f11\n%3   = fadd.64.dyn %1, %2\n"
                     "       setf %3 f12\n       exit_goto -> +0x104\n");
    assert_int_equal(count("vptest"), 0);
}

/* Who comes without a look at `pending` is asked all the same. */
static void onward_leads_before_the_question(void **state)
{
    (void)state;
    const struct x64_unit *u = emit(false, THREE);

    assert_true(u->onward > 0);
    disassemble(u, u->onward);
    assert_int_equal(count("vptest"), 1);
    assert_int_equal(count("vandpd"), 2);
}

/* ---- Runs ---------------------------------------------------------------------------------- */

static void count_one(void *arg, const struct rv_regs *r)
{
    (void)r;
    ++*(unsigned *)arg;
}

/* It is left at its start a few times only, however often it runs. */
static void a_block_that_is_left_often_is_made_anew(void **state)
{
    static const uint32_t loop[] = {
        0x00c5f553, /* fadd.s fa0, fa1, fa2 */
        0xfff30313, /* addi t1, t1, -1 */
        0xfe031ce3, /* bnez t1, .-8 */
        0x00000073, /* ecall */
    };
    const struct rv_machine_config config = {.model = "default",
                                             .engine = ENGINE_JIT,
                                             .passes = OPT_ALL,
                                             .uncounted = true,
                                             .ram_gpa = 0x80000000,
                                             .ram_len = 1 << 20};
    struct rv_regs from = {.pc = 0x80000000, .x[6] = 10000};
    struct rv_end end;
    struct err e;
    unsigned n = 0;
    struct rv_machine *m = rv_machine_create(&config, &e);

    (void)state;
    assert_non_null(m);
    memcpy(rv_machine_ram(m), loop, sizeof loop);
    from.f[11] = from.f[12] = UINT64_C(0x3ff0000000000000);
    rv_machine_watch(m, count_one, &n);
    rv_machine_run(m, &from, RV_M, 0, &end);
    assert_true(end.trapped);
    assert_int_equal(end.regs.pc, 0x8000000c);
    assert_int_equal(end.regs.x[6], 0);
    assert_int_equal(end.regs.f[10], UINT64_C(0xffffffff7fc00000));
    assert_in_range(n, 1, 200);
    rv_machine_destroy(m);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, x64_text_end)
    const struct CMUnitTest tests[] = {
        TEST(all_are_asked_at_once),
        TEST(where_they_are_used_if_that_fails_often),
        TEST(in_virtual_time_where_they_are_used),
        TEST(what_is_set_is_asked_where_it_is_used),
        TEST(behind_a_helper_all_are_asked_where_they_are_used),
        TEST(doubles_are_not_asked),
        TEST(onward_leads_before_the_question),
        TEST(a_block_that_is_left_often_is_made_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
