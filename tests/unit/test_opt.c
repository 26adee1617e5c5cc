/* Passes: each leaves what a block does as it was, on random blocks; and a few
 * shapes become what they should. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dbt/opt/opt.h"
#include "tests/lib/ir_random.h"

enum { N_BLOCKS = 4000, N_STATES = 3 };

static struct ir_block before, after;
static struct ir_world start, expected, got;

static void report(uint64_t seed, uint32_t set)
{
    struct err e;

    fprintf(stderr, "seed 0x%" PRIx64 ", passes 0x%x\n-- before\n", seed, set);
    ir_print(&before, stderr);
    fprintf(stderr, "-- after\n");
    ir_print(&after, stderr);
    if (!ir_verify(&after, &e))
        fprintf(stderr, "%s\n", e.text);
}

/* A random block before and after the passes of `set`, from some random states. */
static bool same_before_and_after(uint64_t seed, uint32_t set)
{
    struct ir_random r = {.seed = seed, .parts = IR_RANDOM_ALL, .n_guest = 1 + seed % 24};
    struct err e;

    ir_random_block(&r, &before);
    assert_true(ir_verify(&before, &e));
    after = before;
    opt_run(&after, set, NULL, NULL);
    if (!ir_verify(&after, &e)) {
        report(seed, set);
        return false;
    }
    for (unsigned n = 0; n < N_STATES; n++) {
        enum exit_reason x, y;

        ir_world_init(&start, &r);
        ir_world_copy(&expected, &start);
        ir_world_copy(&got, &start);
        x = ir_world_eval(&expected, &before);
        y = ir_world_eval(&got, &after);
        /* A jump whose target became known can be linked: the same place, a better way. */
        if (x == EXIT_LOOKUP && y == EXIT_LINK)
            y = x;
        if (ir_world_same(&expected, x, &got, y, stderr))
            continue;
        report(seed, set);
        return false;
    }
    return true;
}

static void random_blocks(uint32_t set)
{
    unsigned failed = 0;

    for (uint64_t seed = 0; seed < N_BLOCKS && failed == 0; seed++)
        failed += !same_before_and_after(seed * 0x10001 + set, set);
    assert_int_equal(failed, 0);
}

static void each_pass_keeps_meaning(void **state)
{
    (void)state;
    for (unsigned i = 0; i < OPT_COUNT; i++)
        random_blocks(1u << i);
}

static void all_passes_keep_meaning(void **state)
{
    (void)state;
    random_blocks(OPT_ALL);
}

/* Nothing is left to do for a second run of the cheap ones. */
static void passes_reach_their_end(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct ir_random r = {.seed = seed, .parts = IR_RANDOM_ALL, .n_guest = 16};

        ir_random_block(&r, &after);
        opt_run(&after, OPT_state | OPT_cse | OPT_dce, NULL, NULL);
        before = after;
        opt_run(&after, OPT_state | OPT_cse | OPT_dce, NULL, NULL);
        assert_true(after.n <= before.n);
        opt_run(&after, OPT_ALL, NULL, NULL);
        assert_true(after.n <= IR_MAX_INSNS);
    }
}

/* Parses the body of a block of one guest instruction into b. */
static void parse_body(struct ir_block *b, const char *body)
{
    char text[1024];
    struct err e;

    snprintf(text, sizeof(text), "block gpa=0x80000000 len=4 guest=1\n insn 0 4\n %s\n", body);
    b->helpers = ir_world_helpers;
    b->n_helpers = ir_world_n_helpers;
    if (!ir_parse(b, text, &e) || !ir_verify(b, &e))
        fail_msg("%s\n%s", e.text, text);
}

/* A block so long that folding might not find room is left as it is. */
static void a_long_block_is_not_folded(void **state)
{
    (void)state;
    for (unsigned n = IR_MAX_INSNS / 3 - 8; n < IR_MAX_INSNS / 3 + 8; n++) {
        const ir_ref x = {1}, y = {2};
        struct err e;

        parse_body(&before, "%1 = get r5\n %2 = const 0\n exit_goto +4");
        before.n--;
        while (before.n < n)
            before.insn[before.n++] = (struct ir_insn){IR_add, 0, x, y, IR_NONE, 0};
        before.insn[before.n++] = (struct ir_insn){IR_exit_goto, 0, IR_NONE, IR_NONE, IR_NONE, 4};
        opt_run(&before, OPT_fold, NULL, NULL);
        assert_true(ir_verify(&before, &e));
        assert_int_equal(before.n == n + 1, n >= IR_MAX_INSNS / 3);
    }
}

/* ---- Shapes ------------------------------------------------------------------ */

struct shape {
    const char *in, *out; /* without the block line and insn */
};

static const struct shape shapes[] = {
    /* A register that was set is not read again, nor set twice. */
    {"%1 = const 5\n set %1 r7\n %2 = get r7\n set %2 r8\n set %2 r7\n exit_goto +4",
     "%1 = const 5\n set %1 r8\n set %1 r7\n exit_goto +4"},
    /* One read is enough, and writing it back is nothing. */
    {"%1 = get r5\n %2 = get r5\n set %2 r5\n %3 = add %1 %2\n set %3 r6\n exit_goto +4",
     "%1 = get r5\n %2 = add %1 %1\n set %2 r6\n exit_goto +4"},
    /* What a load could show must be there, what it could not need not. */
    {"%1 = get r5\n set %1 r6\n %2 = ld.64 [%1 +0]\n set %2 r6\n set %1 r6\n exit_goto +4",
     "%1 = get r5\n set %1 r6\n %2 = ld.64 [%1 +0]\n exit_goto +4"},
    /* What has an effect stays, in its order, and shows no register. */
    {"%1 = get r5\n set %1 r6\n count 0x1\n set %1 r7\n %2 = time\n %3 = get r7\n"
     " %4 = add %3 %2\n fence 1\n set %4 r6\n set %2 r7\n exit_goto +4",
     "%1 = get r5\n count 0x1\n %2 = time\n %3 = add %1 %2\n fence 1\n set %3 r6\n set %2 r7\n"
     " exit_goto +4"},
    /* A helper may write any register. */
    {"%1 = get r5\n set %1 r6\n %2 = call hash_all 0\n %3 = get r6\n set %3 r5\n exit_goto +4",
     "%1 = get r5\n set %1 r6\n %2 = call hash_all 0\n %3 = get r6\n set %3 r5\n exit_goto +4"},
    /* The halves of a product come together, whichever is first; others' do not. */
    {"%1 = get r5\n %2 = get r6\n %3 = mul %1 %2\n set %3 r7\n %4 = ld.64 [%1 +0]\n"
     " %5 = mulhu %1 %2\n %6 = add %4 %5\n set %6 r8\n exit_goto +4",
     "%1 = get r5\n %2 = get r6\n %3 = mul %1 %2\n %4 = mulhu %1 %2\n set %3 r7\n"
     " %5 = ld.64 [%1 +0]\n %6 = add %5 %4\n set %6 r8\n exit_goto +4"},
    {"%1 = get r5\n %2 = get r6\n %3 = mulhs %1 %2\n set %3 r7\n %4 = ld.64 [%1 +0]\n"
     " set %4 r8\n %5 = mul %1 %2\n set %5 r9\n exit_goto +4",
     "%1 = get r5\n %2 = get r6\n %3 = mulhs %1 %2\n %4 = mul %1 %2\n set %3 r7\n"
     " %5 = ld.64 [%1 +0]\n set %5 r8\n set %4 r9\n exit_goto +4"},
    {"%1 = get r5\n %2 = get r6\n %3 = mul %1 %2\n set %3 r7\n %4 = mulhu %1 %1\n set %4 r8\n"
     " %5 = mulhsu %1 %2\n set %5 r9\n exit_goto +4",
     "%1 = get r5\n %2 = get r6\n %3 = mul %1 %2\n set %3 r7\n %4 = mulhu %1 %1\n set %4 r8\n"
     " %5 = mulhsu %1 %2\n set %5 r9\n exit_goto +4"},
    /* Each low half has one high half: signed and unsigned, the first gets it. */
    {"%1 = get r5\n %2 = get r6\n %3 = mul %1 %2\n set %3 r7\n %4 = mulhu %1 %2\n set %4 r8\n"
     " %5 = mulhs %1 %2\n set %5 r9\n exit_goto +4",
     "%1 = get r5\n %2 = get r6\n %3 = mul %1 %2\n %4 = mulhu %1 %2\n set %3 r7\n set %4 r8\n"
     " %5 = mulhs %1 %2\n set %5 r9\n exit_goto +4"},
    /* slli, srli by 32. */
    {"%1 = get r5\n %2 = const 32\n %3 = shl %1 %2\n set %3 r5\n %4 = get r5\n %5 = shr %4 %2\n"
     " set %5 r5\n exit_goto +4",
     "%1 = get r5\n %2 = zext32 %1\n set %2 r5\n exit_goto +4"},
    /* A loaded byte needs no extension; a sum of words does. */
    {"%1 = get r5\n %2 = ld.u8 [%1 +0]\n %3 = sext32 %2\n set %3 r5\n %4 = ld.s32 [%1 +4]\n"
     " %5 = add %4 %3\n %6 = sext32 %5\n set %6 r6\n exit_goto +4",
     "%1 = get r5\n %2 = ld.u8 [%1 +0]\n set %2 r5\n %3 = ld.s32 [%1 +4]\n %4 = add %3 %2\n"
     " %5 = sext32 %4\n set %5 r6\n exit_goto +4"},
    /* A comparison that only a branch looks at. */
    {"%1 = get r5\n %2 = get r6\n %3 = lt %1 %2\n %4 = const 0\n exit_if.eq %3 %4 -> +0x40\n"
     " exit_goto +4",
     "%1 = get r5\n %2 = get r6\n exit_if.ge %1 %2 -> +0x40\n exit_goto +4"},
    /* A constant on the left of an order goes to the right, unless there is none above it. */
    {"%1 = get r5\n %2 = const 1\n exit_if.ltu %2 %1 -> +0x40\n exit_goto +4",
     "%1 = get r5\n %2 = const 2\n exit_if.geu %1 %2 -> +0x40\n exit_goto +4"},
    {"%1 = get r5\n %2 = const -7\n exit_if.ge %2 %1 -> +0x40\n exit_goto +4",
     "%1 = get r5\n %2 = const -6\n exit_if.lt %1 %2 -> +0x40\n exit_goto +4"},
    {"%1 = get r5\n %2 = const 0x7fffffffffffffff\n exit_if.lt %2 %1 -> +0x40\n exit_goto +4",
     "%1 = get r5\n %2 = const 0x7fffffffffffffff\n exit_if.lt %2 %1 -> +0x40\n exit_goto +4"},
    /* Never taken. */
    {"%1 = const 1\n %2 = const 2\n exit_if.eq %1 %2 -> +0x40\n exit_goto +4", "exit_goto +4"},
    /* auipc, jalr: the sum is found, but the jump stays one that asks for the mapping in
     * force (a helper may have changed it). */
    {"%1 = pc +0x12000\n %2 = const -0x10\n %3 = add %1 %2\n %4 = const -2\n %5 = and %3 %4\n"
     " exit_jump %5",
     "%1 = pc +0x11ff0\n exit_jump %1"},
    /* slliw, srliw, or: a rotation by 7, also of a value that is extended already; by
     * amounts that do not add up it is none. */
    {"%1 = get r5\n %2 = const 25\n %3 = shl %1 %2\n %4 = sext32 %3\n %5 = zext32 %1\n"
     " %6 = const 7\n %7 = shr %5 %6\n %8 = or %7 %4\n set %8 r6\n exit_goto +4",
     "%1 = get r5\n %2 = const 7\n %3 = rotr32 %1 %2\n %4 = sext32 %3\n set %4 r6\n"
     " exit_goto +4"},
    {"%1 = get r5\n %2 = const 57\n %3 = shl %1 %2\n %4 = const 7\n %5 = shr %1 %4\n"
     " %6 = or %3 %5\n set %6 r6\n exit_goto +4",
     "%1 = get r5\n %2 = const 7\n %3 = rotr %1 %2\n set %3 r6\n exit_goto +4"},
    {"%1 = get r5\n %2 = const 57\n %3 = shl %1 %2\n %4 = const 8\n %5 = shr %1 %4\n"
     " %6 = or %3 %5\n set %6 r6\n exit_goto +4",
     "%1 = get r5\n %2 = const 57\n %3 = shl %1 %2\n %4 = const 8\n %5 = shr %1 %4\n"
     " %6 = or %3 %5\n set %6 r6\n exit_goto +4"},
    /* The left half of a value that is extended already; of another value it is no rotation. */
    {"%1 = get r5\n %2 = sext32 %1\n set %2 r7\n %3 = const 25\n %4 = shl %2 %3\n %5 = sext32 %4\n"
     " %6 = zext32 %1\n %7 = const 7\n %8 = shr %6 %7\n %9 = or %8 %5\n set %9 r6\n exit_goto +4",
     "%1 = get r5\n %2 = sext32 %1\n set %2 r7\n %3 = const 7\n %4 = rotr32 %1 %3\n"
     " %5 = sext32 %4\n set %5 r6\n exit_goto +4"},
    {"%1 = get r5\n %2 = get r8\n %3 = const 25\n %4 = shl %2 %3\n %5 = sext32 %4\n"
     " %6 = zext32 %1\n %7 = const 7\n %8 = shr %6 %7\n %9 = or %8 %5\n set %9 r6\n exit_goto +4",
     "%1 = get r5\n %2 = get r8\n %3 = const 25\n %4 = shl %2 %3\n %5 = const 7\n"
     " %6 = shr32 %1 %5\n %7 = or %4 %6\n %8 = sext32 %7\n set %8 r6\n exit_goto +4"},
    {"%1 = get r5\n %2 = get r8\n %3 = const 57\n %4 = shl %2 %3\n %5 = const 7\n %6 = shr %1 %5\n"
     " %7 = or %4 %6\n set %7 r6\n exit_goto +4",
     "%1 = get r5\n %2 = get r8\n %3 = const 57\n %4 = shl %2 %3\n %5 = const 7\n %6 = shr %1 %5\n"
     " %7 = or %4 %6\n set %7 r6\n exit_goto +4"},
    /* The right half of a value that is extended already, and stays so in a register. */
    {"%1 = get r5\n %2 = zext32 %1\n set %2 r7\n %3 = const 7\n %4 = shr %2 %3\n %5 = const 25\n"
     " %6 = shl %1 %5\n %7 = sext32 %6\n %8 = or %4 %7\n set %8 r6\n exit_goto +4",
     "%1 = get r5\n %2 = zext32 %1\n set %2 r7\n %3 = const 7\n %4 = rotr32 %1 %3\n %5 = sext32 "
     "%4\n"
     " set %5 r6\n exit_goto +4"},
    /* slli by 32, srli by 29: an index of 32 bits that is scaled, also when a register has the
     * slli, and joins an addition. srli by more gives a field of it. */
    {"%1 = get r5\n %2 = get r6\n %3 = const 32\n %4 = shl %1 %3\n set %4 r7\n %5 = const 29\n"
     " %6 = shr %4 %5\n %7 = add %6 %2\n set %7 r8\n exit_goto +4",
     "%1 = get r5\n %2 = get r6\n %3 = const 32\n %4 = shl %1 %3\n set %4 r7\n %5 = zext32 %1\n"
     " %6 = addsh %2 %5 3\n set %6 r8\n exit_goto +4"},
    {"%1 = get r5\n %2 = const 48\n %3 = shl %1 %2\n %4 = const 52\n %5 = sar %3 %4\n set %5 r6\n"
     " exit_goto +4",
     "%1 = get r5\n %2 = sext16 %1\n %3 = const 4\n %4 = sar %2 %3\n set %4 r6\n exit_goto +4"},
    {"%1 = get r5\n %2 = const 32\n %3 = shl %1 %2\n %4 = const 40\n %5 = shr %3 %4\n set %5 r6\n"
     " exit_goto +4",
     "%1 = get r5\n %2 = const 8\n %3 = shr32 %1 %2\n set %3 r6\n exit_goto +4"},
    /* srliw, srliw of that, and srlw. */
    {"%1 = get r5\n %2 = zext32 %1\n %3 = const 4\n %4 = shr %2 %3\n %5 = sext32 %4\n"
     " %6 = zext32 %5\n %7 = shr %6 %3\n set %7 r6\n exit_goto +4",
     "%1 = get r5\n %2 = const 8\n %3 = shr32 %1 %2\n set %3 r6\n exit_goto +4"},
    {"%1 = get r5\n %2 = get r6\n %3 = zext32 %1\n %4 = const 31\n %5 = and %2 %4\n"
     " %6 = shr %3 %5\n %7 = sext32 %6\n set %7 r7\n exit_goto +4",
     "%1 = get r5\n %2 = get r6\n %3 = shr32 %1 %2\n %4 = sext32 %3\n set %4 r7\n exit_goto +4"},
    /* A complement that is masked. */
    {"%1 = get r5\n %2 = get r6\n %3 = const -1\n %4 = xor %1 %3\n %5 = and %4 %2\n set %5 r7\n"
     " exit_goto +4",
     "%1 = get r5\n %2 = get r6\n %3 = andn %2 %1\n set %3 r7\n exit_goto +4"},
    /* One extension for a row of them, of what a register does not hold. */
    {"%1 = get r5\n %2 = get r6\n %3 = sext32 %1\n %4 = sext32 %2\n %5 = xor %3 %4\n"
     " %6 = ld.s32 [%1 +0]\n %7 = xor %6 %5\n set %7 r7\n exit_goto +4",
     "%1 = get r5\n %2 = get r6\n %3 = xor %1 %2\n %4 = ld.s32 [%1 +0]\n %5 = xor %3 %4\n"
     " %6 = sext32 %5\n set %6 r7\n exit_goto +4"},
    {"%1 = get r5\n %2 = sext32 %1\n set %2 r6\n %3 = ld.s32 [%1 +0]\n %4 = or %2 %3\n set %4 r7\n"
     " exit_goto +4",
     "%1 = get r5\n %2 = sext32 %1\n set %2 r6\n %3 = ld.s32 [%1 +0]\n %4 = or %2 %3\n set %4 r7\n"
     " exit_goto +4"},
    /* addw of addw: the sum in between needs no extension, but one that is shifted down does,
     * and one that an address is made of. */
    {"%1 = get r5\n %2 = get r6\n %3 = add %1 %2\n %4 = sext32 %3\n %5 = add %4 %1\n"
     " %6 = sext32 %5\n set %6 r7\n exit_goto +4",
     "%1 = get r5\n %2 = get r6\n %3 = add %1 %2\n %4 = add %3 %1\n %5 = sext32 %4\n set %5 r7\n"
     " exit_goto +4"},
    {"%1 = get r5\n %2 = sext32 %1\n %3 = const 1\n %4 = sar %2 %3\n %5 = sext32 %4\n set %5 r7\n"
     " exit_goto +4",
     "%1 = get r5\n %2 = sext32 %1\n %3 = const 1\n %4 = sar %2 %3\n set %4 r7\n exit_goto +4"},
    {"%1 = get r5\n %2 = zext16 %1\n %3 = add %1 %2\n st.u16 [%2 +0] %3\n exit_goto +4",
     "%1 = get r5\n %2 = zext16 %1\n %3 = add %1 %2\n st.u16 [%2 +0] %3\n exit_goto +4"},
    {"%1 = get r5\n %2 = get r6\n %3 = zext16 %2\n %4 = const 0x1ffff\n %5 = and %1 %4\n"
     " %6 = add %5 %3\n st.u16 [%1 +0] %6\n exit_goto +4",
     "%1 = get r5\n %2 = get r6\n %3 = add %1 %2\n st.u16 [%1 +0] %3\n exit_goto +4"},
    /* A shift down, by whatever, and a condition look above what is wanted of the result. */
    {"%1 = get r5\n %2 = zext8 %1\n %3 = const 4\n %4 = shr %2 %3\n st.u8 [%1 +0] %4\n exit_goto "
     "+4",
     "%1 = get r5\n %2 = zext8 %1\n %3 = const 4\n %4 = shr %2 %3\n st.u8 [%1 +0] %4\n exit_goto "
     "+4"},
    {"%1 = get r5\n %2 = get r6\n %3 = zext8 %1\n %4 = shr %3 %2\n st.u8 [%1 +0] %4\n exit_goto +4",
     "%1 = get r5\n %2 = get r6\n %3 = zext8 %1\n %4 = shr %3 %2\n st.u8 [%1 +0] %4\n exit_goto "
     "+4"},
    {"%1 = get r5\n %2 = get r6\n %3 = zext8 %1\n %4 = select %3 %1 %2\n st.u8 [%1 +0] %4\n "
     "exit_goto +4",
     "%1 = get r5\n %2 = get r6\n %3 = zext8 %1\n %4 = select %3 %1 %2\n st.u8 [%1 +0] %4\n "
     "exit_goto +4"},
    /* A sum of words has 33 bits; an amount of six bits is no srlw. */
    {"%1 = get r5\n %2 = sext32 %1\n %3 = ld.s32 [%1 +0]\n %4 = ld.s32 [%1 +4]\n %5 = add %3 %4\n "
     "%6 = xor %2 %5\n set %6 r6\n exit_goto +4",
     "%1 = get r5\n %2 = sext32 %1\n %3 = ld.s32 [%1 +0]\n %4 = ld.s32 [%1 +4]\n %5 = add %3 %4\n "
     "%6 = xor %2 %5\n set %6 r6\n exit_goto +4"},
    {"%1 = get r5\n %2 = get r6\n %3 = zext32 %1\n %4 = const 63\n %5 = and %2 %4\n %6 = shr %3 "
     "%5\n set %6 r7\n exit_goto +4",
     "%1 = get r5\n %2 = get r6\n %3 = zext32 %1\n %4 = shr %3 %2\n set %4 r7\n exit_goto +4"},
    /* A difference that is zero is an equality, a sum is not. */
    {"%1 = get r5\n %2 = get r6\n %3 = sub %1 %2\n %4 = const 0\n exit_if.eq %3 %4 -> +0x40\n"
     " exit_goto +4",
     "%1 = get r5\n %2 = get r6\n exit_if.eq %1 %2 -> +0x40\n exit_goto +4"},
    {"%1 = get r5\n %2 = get r6\n %3 = add %1 %2\n %4 = const 0\n exit_if.eq %3 %4 -> +0x40\n"
     " exit_goto +4",
     "%1 = get r5\n %2 = get r6\n %3 = add %1 %2\n %4 = const 0\n exit_if.eq %3 %4 -> +0x40\n"
     " exit_goto +4"},
    /* Memory and state are read each time: what is there may be another. */
    {"%1 = get r5\n %2 = ld.64 [%1 +0]\n st.u8 [%1 +0] %1\n %3 = ld.64 [%1 +0]\n set %2 r6\n"
     " set %3 r7\n exit_goto +4",
     "%1 = get r5\n %2 = ld.64 [%1 +0]\n st.u8 [%1 +0] %1\n %3 = ld.64 [%1 +0]\n set %2 r6\n"
     " set %3 r7\n exit_goto +4"},
    {"%1 = get r5\n %2 = ld.64 [%1 +0]\n %3 = ld.64 [%1 +0]\n set %2 r6\n set %3 r7\n"
     " exit_goto +4",
     "%1 = get r5\n %2 = ld.64 [%1 +0]\n %3 = ld.64 [%1 +0]\n set %2 r6\n set %3 r7\n"
     " exit_goto +4"},
    {"%1 = get r5\n %2 = ldst 0x1000\n stst %1 0x1000\n %3 = ldst 0x1000\n set %2 r6\n"
     " set %3 r7\n exit_goto +4",
     "%1 = get r5\n %2 = ldst 0x1000\n stst %1 0x1000\n %3 = ldst 0x1000\n set %2 r6\n"
     " set %3 r7\n exit_goto +4"},
    /* Nearly the same operation is not the same. */
    {"%1 = get r5\n %2 = get r6\n %3 = addsh %1 %2 1\n %4 = addsh %1 %2 2\n set %3 r7\n"
     " set %4 r8\n exit_goto +4",
     "%1 = get r5\n %2 = get r6\n %3 = addsh %1 %2 1\n %4 = addsh %1 %2 2\n set %3 r7\n"
     " set %4 r8\n exit_goto +4"},
    {"%1 = getf f5\n %2 = getf f6\n %3 = fsgnj.64.dyn %1 %2\n %4 = fsgnj.32.dyn %1 %2\n"
     " %5 = box32 %4\n setf %3 f7\n setf %5 f8\n exit_goto +4",
     "%1 = getf f5\n %2 = getf f6\n %3 = fsgnj.64.dyn %1 %2\n %4 = fsgnj.32.dyn %1 %2\n"
     " %5 = box32 %4\n setf %3 f7\n setf %5 f8\n exit_goto +4"},
    /* What faults or raises flags stays, wanted or not. */
    {"%1 = get r5\n %2 = ld.64 [%1 +0]\n %3 = getf f1\n %4 = fadd.64.dyn %3 %3\n exit_goto +4",
     "%1 = get r5\n %2 = ld.64 [%1 +0]\n %3 = getf f1\n %4 = fadd.64.dyn %3 %3\n exit_goto +4"},
    /* An offset joins an address, unless a register holds the sum anyway. */
    {"%1 = get r5\n %2 = const 16\n %3 = add %1 %2\n %4 = ld.64 [%3 -8]\n set %4 r6\n"
     " exit_goto +4",
     "%1 = get r5\n %2 = ld.64 [%1 +8]\n set %2 r6\n exit_goto +4"},
    {"%1 = get r5\n %2 = const 16\n %3 = add %1 %2\n set %3 r5\n %4 = ld.64 [%3 -8]\n"
     " set %4 r6\n exit_goto +4",
     "%1 = get r5\n %2 = const 16\n %3 = add %1 %2\n set %3 r5\n %4 = ld.64 [%3 -8]\n"
     " set %4 r6\n exit_goto +4"},
    /* The same value twice; a sum with a scaled index. */
    {"%1 = get r5\n %2 = get r6\n %3 = const 3\n %4 = shl %1 %3\n %5 = add %2 %4\n set %5 r7\n"
     " %6 = shl %1 %3\n %7 = add %2 %6\n set %7 r8\n exit_goto +4",
     "%1 = get r5\n %2 = get r6\n %3 = addsh %2 %1 3\n set %3 r7\n set %3 r8\n exit_goto +4"},
    /* Single precision neither boxes twice nor unboxes what is boxed. */
    {"%1 = getf f1\n %2 = unbox32 %1\n %3 = fadd.32.dyn %2 %2\n %4 = box32 %3\n %5 = unbox32 %4\n"
     " %6 = fmul.32.dyn %5 %2\n %7 = box32 %6\n setf %7 f2\n exit_goto +4",
     "%1 = getf f1\n %2 = unbox32 %1\n %3 = fadd.32.dyn %2 %2\n %4 = fmul.32.dyn %3 %2\n"
     " %5 = box32 %4\n setf %5 f2\n exit_goto +4"},
};

static char *printed(const struct ir_block *b)
{
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    ir_print(b, f);
    fclose(f);
    return text;
}

static void shapes_become_what_they_should(void **state)
{
    (void)state;
    for (unsigned n = 0; n < sizeof(shapes) / sizeof(shapes[0]); n++) {
        char *x, *y;

        parse_body(&before, shapes[n].in);
        parse_body(&after, shapes[n].out);
        opt_run(&before, OPT_ALL, NULL, NULL);
        x = printed(&before);
        y = printed(&after);
        assert_string_equal(x, y);
        free(x);
        free(y);
    }
}

/* ---- The list ---------------------------------------------------------------------- */

static void count_dump(void *arg, const struct ir_block *b, const char *pass)
{
    (void)b;
    assert_non_null(pass);
    ++*(unsigned *)arg;
}

static void passes_are_switched_by_name(void **state)
{
    uint32_t set = OPT_ALL;
    unsigned dumps = 0;
    struct err e;

    (void)state;
    assert_true(opt_parse("-fold,-cse,-calls", &set, &e));
    assert_int_equal(set, OPT_state | OPT_join | OPT_demand | OPT_dce | OPT_pair | OPT_share |
                              OPT_cells);
    assert_true(opt_parse("none,dce,+fold", &set, &e));
    assert_int_equal(set, OPT_fold | OPT_dce);
    assert_false(opt_parse("dce,loop", &set, &e));
    assert_non_null(strstr(e.text, "loop"));
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        set = 0;
        assert_true(opt_parse(opt_name(i), &set, &e));
        assert_int_equal(set, 1u << i);
        assert_true(strlen(opt_help(i)) > 10);
    }
    set = OPT_fold | OPT_dce;
    parse_body(&after, "exit_goto +4");
    opt_run(&after, set, count_dump, &dumps);
    assert_int_equal(dumps, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_pass_keeps_meaning),
        cmocka_unit_test(all_passes_keep_meaning),
        cmocka_unit_test(passes_reach_their_end),
        cmocka_unit_test(a_long_block_is_not_folded),
        cmocka_unit_test(shapes_become_what_they_should),
        cmocka_unit_test(passes_are_switched_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
