/* The evaluator: each operation by hand-made values, each way out of a block. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/ir_random.h"

#define MIN64   UINT64_C(0x8000000000000000)
#define PAGE_VA UINT64_C(0x3f12345000)

static struct ir_block block;
static struct ir_world world;

/* ---- Pure rows ----------------------------------------------------------------- */

struct pure_case {
    enum ir_op op;
    uint8_t aux;
    uint64_t a, b, c, result;
};

static const struct pure_case pure_cases[] = {
    {IR_addsh, 3, 1, 2, 0, 17},
    {IR_andn, 0, 0xff, 0x0f, 0, 0xf0},
    {IR_shl, 0, 1, 65, 0, 2},
    {IR_shr, 0, MIN64, 63, 0, 1},
    {IR_sar, 0, MIN64, 127, 0, UINT64_MAX},
    {IR_rotr, 0, 1, 1, 0, MIN64},
    {IR_rotr, 0, 5, 64, 0, 5},
    {IR_rotr32, 0, UINT64_C(0xffffffff00000001), 1, 0, 0x80000000},
    {IR_rotr32, 0, UINT64_C(0xffffffff00000001), 32, 0, 1},
    {IR_mulhu, 0, UINT64_MAX, UINT64_MAX, 0, UINT64_MAX - 1},
    {IR_mulhs, 0, UINT64_MAX, UINT64_MAX, 0, 0},
    {IR_mulhs, 0, MIN64, MIN64, 0, UINT64_C(1) << 62},
    {IR_mulhsu, 0, UINT64_MAX, UINT64_MAX, 0, UINT64_MAX},
    {IR_mulhsu, 0, 2, UINT64_MAX, 0, 1},
    {IR_divu, 0, 7, 0, 0, UINT64_MAX},
    {IR_divs, 0, 7, 0, 0, UINT64_MAX},
    {IR_divs, 0, MIN64, UINT64_MAX, 0, MIN64},
    {IR_divs, 0, (uint64_t)-7, 2, 0, (uint64_t)-3},
    {IR_remu, 0, 7, 0, 0, 7},
    {IR_rems, 0, (uint64_t)-7, 0, 0, (uint64_t)-7},
    {IR_rems, 0, MIN64, UINT64_MAX, 0, 0},
    {IR_rems, 0, (uint64_t)-7, 2, 0, UINT64_MAX},
    {IR_lt, 0, MIN64, 0, 0, 1},
    {IR_ltu, 0, MIN64, 0, 0, 0},
    {IR_select, 0, MIN64, 1, 2, 1},
    {IR_select, 0, 0, 1, 2, 2},
    {IR_sext8, 0, 0x180, 0, 0, (uint64_t)-128},
    {IR_sext32, 0, 0x80000000, 0, 0, UINT64_C(0xffffffff80000000)},
    {IR_zext16, 0, UINT64_MAX, 0, 0, 0xffff},
    {IR_clz, 0, 0, 0, 0, 64},
    {IR_clz, 0, 1, 0, 0, 63},
    {IR_ctz, 0, 0, 0, 0, 64},
    {IR_ctz, 0, MIN64, 0, 0, 63},
    {IR_popcnt, 0, UINT64_MAX, 0, 0, 64},
    {IR_bswap, 0, 0x0102, 0, 0, UINT64_C(0x0201000000000000)},
    {IR_orcb, 0, UINT64_C(0x0100800000ff0010), 0, 0, UINT64_C(0xff00ff0000ff00ff)},
    {IR_box32, 0, 0x12345678, 0, 0, UINT64_C(0xffffffff12345678)},
    {IR_unbox32, 0, 0x12345678, 0, 0, UINT64_C(0xffffffff7fc00000)},
    {IR_unbox32, 0, UINT64_C(0xffffffff12345678), 0, 0, UINT64_C(0xffffffff12345678)},
    {IR_fsgnj, IR_FP(64, 0), 5, MIN64, 0, MIN64 | 5},
    {IR_fsgnjn, IR_FP(64, 0), 5, MIN64, 0, 5},
    {IR_fsgnjx, IR_FP(64, 0), MIN64 | 5, MIN64, 0, 5},
    {IR_fsgnj, IR_FP(32, 0), 5, 0x80000000, 0, UINT64_C(0xffffffff80000005)},
};

static void pure_rows_mean_what_the_manual_says(void **state)
{
    (void)state;
    for (unsigned n = 0; n < sizeof(pure_cases) / sizeof(pure_cases[0]); n++) {
        const struct pure_case *t = &pure_cases[n];
        uint64_t r = ir_eval_pure(t->op, t->aux, t->a, t->b, t->c, 0);

        if (r != t->result)
            fail_msg("%s of %" PRIx64 ", %" PRIx64 ": %" PRIx64 ", not %" PRIx64,
                     ir_ops[t->op].name, t->a, t->b, r, t->result);
    }
}

/* The tricky ones against a second way to compute them. */
static void pure_rows_agree_with_plain_loops(void **state)
{
    struct ir_random r = {.seed = 3};

    (void)state;
    for (unsigned n = 0; n < 100000; n++) {
        uint64_t a = ir_random_value(&r), b = ir_random_value(&r), orcb = 0;
        __int128 product = (__int128)(int64_t)a * (unsigned __int128)b;

        for (unsigned k = 0; k < 64; k += 8)
            orcb |= (a >> k & 0xff) ? UINT64_C(0xff) << k : 0;
        assert_int_equal(ir_eval_pure(IR_orcb, 0, a, 0, 0, 0), orcb);
        assert_int_equal(ir_eval_pure(IR_mulhsu, 0, a, b, 0, 0), (uint64_t)(product >> 64));
        if (b != 0 && !(a == MIN64 && b == UINT64_MAX)) {
            uint64_t q = ir_eval_pure(IR_divs, 0, a, b, 0, 0);

            assert_int_equal(q * b + ir_eval_pure(IR_rems, 0, a, b, 0, 0), a);
        }
    }
}

/* ---- Floating point --------------------------------------------------------------- */

static void flags_have_their_places_in_mxcsr(void **state)
{
    (void)state;
    assert_int_equal(ir_fp_to_mxcsr(IR_FP_NV), 0x01);
    assert_int_equal(ir_fp_to_mxcsr(IR_FP_DZ), 0x04);
    assert_int_equal(ir_fp_to_mxcsr(IR_FP_OF), 0x08);
    assert_int_equal(ir_fp_to_mxcsr(IR_FP_UF), 0x10);
    assert_int_equal(ir_fp_to_mxcsr(IR_FP_NX), 0x20);
    for (uint32_t f = 0; f < 32; f++)
        assert_int_equal(ir_fp_from_mxcsr(ir_fp_to_mxcsr(f) | 2 | 0x1f80), f);
}

static void fp_rows_take_raw_registers(void **state)
{
    const uint64_t one32 = 0x3f800000, one64 = UINT64_C(0x3ff0000000000000);
    uint32_t flags = 0;

    (void)state;
    /* The upper half of a 32-bit operand is nothing; that of the result all ones. */
    assert_int_equal(ir_eval_fp(IR_fadd, IR_FP(32, 0), 0, one32, one64 << 32 | one32, 0, &flags),
                     UINT64_C(0xffffffff40000000));
    assert_int_equal(ir_eval_fp(IR_fle, IR_FP(32, 0), 0, one32, one32, 0, &flags), 1);
    assert_int_equal(ir_eval_fp(IR_fclass, IR_FP(64, 0), 0, one64, 0, 0, &flags), 1 << 6);
    assert_int_equal(ir_eval_fp(IR_f32to64, IR_FP(32, 0), 0, one32, 0, 0, &flags), one64);
    assert_int_equal(ir_eval_fp(IR_f64to32, IR_FP(64, 0), 0, one64, 0, 0, &flags),
                     UINT64_C(0xffffffff00000000) | one32);
    assert_int_equal(ir_eval_fp(IR_u32f, IR_FP(64, 0), 0, MIN64 | 1, 0, 0, &flags), one64);
    assert_int_equal(flags, 0);
    /* The dynamic mode is asked for, the static one not. 1 + 2^-53, up and down. */
    assert_int_equal(ir_eval_fp(IR_fadd, IR_FP(64, IR_RM_DYN), IR_RM_RUP, one64,
                                UINT64_C(0x3ca0000000000000), 0, &flags),
                     one64 + 1);
    assert_int_equal(ir_eval_fp(IR_fadd, IR_FP(64, IR_RM_RDN), IR_RM_RUP, one64,
                                UINT64_C(0x3ca0000000000000), 0, &flags),
                     one64);
    assert_int_equal(flags, IR_FP_NX);
}

static void the_fp_helper_is_the_same(void **state)
{
    struct ir_random r = {.seed = 9};

    (void)state;
    for (unsigned n = 0; n < 20000; n++) {
        enum ir_op op = (enum ir_op)ir_random_below(&r, IR_OP_COUNT);
        unsigned width = op == IR_f32to64 ? 32 : op == IR_f64to32 || (n & 1) ? 64 : 32;
        uint8_t aux = IR_FP(width, IR_RM_DYN);
        uint64_t a = ir_random_float(&r), b = ir_random_float(&r), c = ir_random_float(&r);
        uint32_t flags = 0;

        if (!(ir_ops[op].flags & FPFLAGS))
            continue;
        world.s.mxcsr = 0x1f80;
        world.s.fp_rm = n % 5;
        assert_int_equal(ir_help_fp(&world.s, op | (uint64_t)aux << 8, a, b, c),
                         ir_eval_fp(op, aux, n % 5, a, b, c, &flags));
        assert_int_equal(world.s.mxcsr, 0x1f80 | ir_fp_to_mxcsr(flags));
    }
}

/* ---- Blocks --------------------------------------------------------------------------- */

static void setup(const char *text)
{
    struct ir_random r = {.seed = 1};
    struct err e;

    block.helpers = ir_world_helpers;
    block.n_helpers = ir_world_n_helpers;
    if (!ir_parse(&block, text, &e) || !ir_verify(&block, &e))
        fail_msg("%s", e.text);
    ir_world_init(&world, &r);
    state_set_page(&world.s, PAGE_VA);
    world.s.icount_deadline = UINT64_MAX;
}

static void direct_exits_give_target_and_number(void **state)
{
    (void)state;
    setup("block gpa=0x80000010\n insn 0x10 4\n %1 = get r5\n %2 = const 1\n"
          " exit_if.eq %1 %2 -> -8\n exit_if.ltu %1 %2 -> 0x1000\n exit_goto 0x14\n");
    world.s.reg[5] = 1;
    assert_int_equal(ir_world_eval(&world, &block), EXIT_LINK);
    assert_int_equal(world.s.pc, PAGE_VA - 8);
    assert_int_equal(world.s.exit_index, 0);
    world.s.reg[5] = 0;
    assert_int_equal(ir_world_eval(&world, &block), EXIT_LINK);
    assert_int_equal(world.s.pc, PAGE_VA + 0x1000);
    assert_int_equal(world.s.exit_index, 1);
    world.s.reg[5] = 2;
    assert_int_equal(ir_world_eval(&world, &block), EXIT_LINK);
    assert_int_equal(world.s.pc, PAGE_VA + 0x14);
    assert_int_equal(world.s.exit_index, 2);
    assert_null(world.s.exit_block);
}

static void every_condition_is_decided(void **state)
{
    /* of (-1, 1), (1, -1), (1, 1) */
    static const struct {
        const char *name;
        bool holds[3];
    } conds[] = {
        {"eq", {0, 0, 1}}, {"ne", {1, 1, 0}},  {"lt", {1, 0, 0}},
        {"ge", {0, 1, 1}}, {"ltu", {0, 1, 0}}, {"geu", {1, 0, 1}},
    };

    (void)state;
    for (unsigned n = 0; n < 6; n++) {
        char text[160];

        snprintf(text, sizeof(text),
                 "insn 0 4\n %%1 = get r5\n %%2 = get r6\n"
                 " exit_if.%s %%1 %%2 -> 8\n exit_goto 4\n",
                 conds[n].name);
        setup(text);
        for (unsigned k = 0; k < 3; k++) {
            world.s.reg[5] = k == 0 ? UINT64_MAX : 1;
            world.s.reg[6] = k == 1 ? UINT64_MAX : 1;
            ir_world_eval(&world, &block);
            assert_int_equal(world.s.pc, PAGE_VA + (conds[n].holds[k] ? 8 : 4));
        }
    }
}

static void jumps_and_traps_say_where(void **state)
{
    (void)state;
    setup("insn 0 4\n %1 = get r5\n exit_jump %1\n");
    world.s.reg[5] = 0x1234;
    assert_int_equal(ir_world_eval(&world, &block), EXIT_LOOKUP);
    assert_int_equal(world.s.pc, 0x1234);
    setup("block gpa=0x80000ffe\n insn 0xffe 4\n %1 = get r5\n exit_trap %1 2\n");
    world.s.reg[5] = 0x73;
    assert_int_equal(ir_world_eval(&world, &block), EXIT_TRAP);
    assert_int_equal(world.s.pc, PAGE_VA + 0xffe);
    assert_int_equal(world.s.exit_cause, 2);
    assert_int_equal(world.s.exit_tval, 0x73);
}

static void pending_is_seen_at_entry_and_when_asked(void **state)
{
    (void)state;
    setup("block gpa=0x80000020\n insn 0x20 4\n %1 = const 7\n set %1 r5\n exit_goto 0x24\n");
    world.s.reg[5] = 1;
    world.s.pending = PENDING_IRQ;
    assert_int_equal(ir_world_eval(&world, &block), EXIT_PENDING);
    assert_int_equal(world.s.pc, PAGE_VA + 0x20);
    assert_int_equal(world.s.reg[5], 1);
    /* Virtual time runs out in the middle. */
    setup("insn 0 4\n count 3\n exit_pending -> 4\n insn 4 4\n exit_goto 8\n");
    world.s.icount_deadline = 4;
    assert_int_equal(ir_world_eval(&world, &block), EXIT_LINK);
    assert_int_equal(ir_world_eval(&world, &block), EXIT_PENDING);
    assert_int_equal(world.s.pending, PENDING_TIME);
    assert_int_equal(world.s.pc, PAGE_VA + 4);
    assert_int_equal(world.s.icount, 6);
    /* An interrupt, when there is one. */
    setup("insn 0 4\n %1 = get r5\n irq %1\n exit_pending -> 4\n insn 4 4\n exit_goto 8\n");
    world.s.reg[5] = 0;
    assert_int_equal(ir_world_eval(&world, &block), EXIT_LINK);
    assert_int_equal(world.s.pending, 0);
    world.s.reg[5] = UINT64_C(1) << 63;
    assert_int_equal(ir_world_eval(&world, &block), EXIT_PENDING);
    assert_int_equal(world.s.pending, PENDING_IRQ);
    assert_int_equal(world.s.pc, PAGE_VA + 4);
}

static void memory_leaves_and_faults_precisely(void **state)
{
    (void)state;
    setup("insn 0 4\n %1 = get r5\n %2 = get r6\n st.u32 [%1 -4] %2\n insn 4 2\n"
          " %3 = ld.s32 [%1 -4]\n set %3 r7\n %4 = ldf.u32 [%1 -4]\n setf %4 f1\n exit_goto 6\n");
    world.s.reg[5] = IR_WORLD_VA + 0x104;
    world.s.reg[6] = UINT64_C(0x1234567880000000);
    assert_int_equal(ir_world_eval(&world, &block), EXIT_LINK);
    assert_int_equal(world.s.reg[7], UINT64_C(0xffffffff80000000));
    assert_int_equal(world.s.reg[STATE_FP + 1], UINT64_C(0xffffffff80000000));
    /* A store into code is done, and the block left behind its instruction. */
    world.s.reg[5] = IR_WORLD_VA + 2 * PAGE_SIZE + 4;
    world.s.reg[7] = 0;
    assert_int_equal(ir_world_eval(&world, &block), EXIT_PENDING);
    assert_int_equal(world.s.pc, PAGE_VA + 4);
    assert_int_equal(world.mem[2 * PAGE_SIZE + 3], 0x80);
    assert_int_equal(world.s.reg[7], 0);
    world.s.reg[5] = IR_WORLD_VA + 3 * PAGE_SIZE + 4;
    assert_int_equal(ir_world_eval(&world, &block), EXIT_TRAP);
    assert_int_equal(world.s.exit_cause, IR_WORLD_STORE_FAULT);
    assert_int_equal(world.s.exit_tval, IR_WORLD_VA + 3 * PAGE_SIZE);
    assert_int_equal(world.s.pc, PAGE_VA);
}

static void helpers_see_and_change_the_state(void **state)
{
    (void)state;
    setup("block gpa=0x80000008\n insn 8 4\n %1 = const 9\n set %1 r5\n %2 = const 5\n"
          " %3 = call scatter 0xe9 (%2, %1)\n set %3 r6\n %4 = call may_pend 10 (%1, %2, %3)\n"
          " set %4 r7\n exit_goto 12\n");
    world.s.reg[9] = 0xf0;
    world.s.reg[STATE_FP + 7] = 100;
    assert_int_equal(ir_world_eval(&world, &block), EXIT_LINK);
    assert_int_equal(world.s.reg[9], 0xf5);
    assert_int_equal(world.s.reg[STATE_FP + 7], 109);
    assert_int_equal(world.s.reg[6], 9);
    assert_int_equal(world.s.reg[7], 9 + 5 * 10 + 9);
    setup("block gpa=0x80000008\n insn 8 4\n %1 = const 1\n set %1 r5\n"
          " %2 = call may_raise 6 (%1)\n set %2 r5\n exit_goto 12\n");
    assert_int_equal(ir_world_eval(&world, &block), EXIT_TRAP);
    assert_int_equal(world.s.exit_cause, 4);
    assert_int_equal(world.s.exit_tval, 1);
    assert_int_equal(world.s.pc, PAGE_VA + 8);
    assert_int_equal(world.s.reg[5], 1);
}

static void addresses_are_relative_to_the_page(void **state)
{
    (void)state;
    setup(
        "insn 0 4\n %1 = pc -0x1000\n set %1 r5\n %2 = time\n set %2 r6\n fence 1\n exit_goto 4\n");
    world.ticks = 39;
    assert_int_equal(ir_world_eval(&world, &block), EXIT_LINK);
    assert_int_equal(world.s.reg[5], PAGE_VA - 0x1000);
    assert_int_equal(world.s.reg[6], 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pure_rows_mean_what_the_manual_says),
        cmocka_unit_test(pure_rows_agree_with_plain_loops),
        cmocka_unit_test(flags_have_their_places_in_mxcsr),
        cmocka_unit_test(fp_rows_take_raw_registers),
        cmocka_unit_test(the_fp_helper_is_the_same),
        cmocka_unit_test(direct_exits_give_target_and_number),
        cmocka_unit_test(every_condition_is_decided),
        cmocka_unit_test(jumps_and_traps_say_where),
        cmocka_unit_test(pending_is_seen_at_entry_and_when_asked),
        cmocka_unit_test(memory_leaves_and_faults_precisely),
        cmocka_unit_test(helpers_see_and_change_the_state),
        cmocka_unit_test(addresses_are_relative_to_the_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
