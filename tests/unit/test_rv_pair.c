/* --lrsc=strict in the front end: which SCs are told of as paired, so that they may go by value;
 * and that a block begins with its LR. By value is wrong where a store of another hart's could be
 * observed between the two: so "paired" is the answer that must not be given too often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/riscv/build/rv_build.h"

enum { MODE = RV_S | 3 << RV_MODE_FS_SHIFT | RV_MODE_TIME_OK, MAX = 8 };

enum {
    LR_D = 0x1005362f,
    LR_W = 0x1005262f,
    LR_D_RL = 0x1205362f,
    SC_D = 0x18b536af,
    SC_W = 0x18b526af,
    ADD = 0x00b60633,
    C_ADD = 0x962e,
    MUL = 0x02b60633,
    BNE_AWAY = 0x04b61063,
    BNE_BACK = (int32_t)0xfcb610e3u,
    BNE_NEAR = 0x00b61463, /* over the next instruction */
    J_NEAR = 0x0080006f,   /* likewise */
    NOP = 0x00000013,
    LD = 0x00053703,
    SD = 0x00e53423,
    FENCE = 0x0330000f,
    FENCE_I = 0x0000100f,
    PAUSE = 0x0100000f,
    AMOADD = 0x00b5372f,
    RDCYCLE = (int32_t)0xc0002773u,
    FADD = 0x02b57553,
    WRS = 0x00d00073,
};

struct sequence {
    const char *what;
    int32_t insn[MAX]; /* 0: the end */
    bool paired;       /* the last SC */
};

static const struct sequence sequences[] = {
    {"next to each other", {LR_D, SC_D}, true},
    {"32 bits", {LR_W, SC_W}, true},
    {"with rl", {LR_D_RL, SC_D}, true},
    {"sizes that differ", {LR_W, SC_D}, true}, /* the SC fails all the same */
    {"computation", {LR_D, ADD, C_ADD, MUL, SC_D}, true},
    {"branches", {LR_D, BNE_AWAY, ADD, BNE_BACK, SC_D}, true},
    {"a jump forward", {LR_D, J_NEAR, LD, SC_D}, true},
    {"a branch to the SC", {LR_D, BNE_NEAR, ADD, SC_D}, true},
    {"a fence", {LR_D, FENCE, SC_D}, true}, /* which has nothing to order but the two */
    {"no LR", {ADD, SC_D}, false},
    {"an SC between", {LR_D, SC_D, SC_D}, false},
    {"an SC elsewhere between", {LR_D, SC_W, ADD, SC_D}, false},
    {"a load", {LR_D, LD, SC_D}, false},
    {"a store", {LR_D, SD, SC_D}, false},
    {"fence.i", {LR_D, FENCE_I, SC_D}, false},
    {"pause", {LR_D, PAUSE, SC_D}, false},
    {"an AMO", {LR_D, AMOADD, SC_D}, false},
    {"a CSR", {LR_D, RDCYCLE, SC_D}, false},
    {"floating point", {LR_D, FADD, SC_D}, false},
    {"wrs.nto", {LR_D, WRS, SC_D}, false},
    {"a load, and computation behind", {LR_D, LD, ADD, BNE_AWAY, SC_D}, false},
};

static uint16_t code[PAGE_SIZE / 2];
static struct ir_block block;
static struct rv_cpu_model model;

static bool parcel(void *arg, uint32_t offset, uint16_t *out, uint64_t *cause, uint64_t *tval)
{
    (void)arg, (void)cause, (void)tval;
    *out = code[offset / 2];
    return true;
}

/* Puts the words at `offset`; gives what is behind. */
static uint32_t put(uint32_t offset, const int32_t *insn)
{
    for (unsigned n = 0; n < MAX && insn[n]; n++) {
        unsigned len = rv_len_bytes((uint16_t)insn[n]);

        memcpy((uint8_t *)code + offset, &insn[n], len);
        offset += len;
    }
    return offset;
}

/* Of instructions in [start, end). */
static void build(uint32_t start, uint32_t end, bool strict)
{
    const struct guest_fetch fetch = {parcel, NULL, end};
    struct err e;

    model.ext = (UINT64_C(1) << RV_EXT_COUNT) - 1;
    block.strict_lrsc = strict;
    rv_build_block(&block, &model, 0x80000000 + start, MODE, &fetch, IR_MAX_GUEST);
    if (!ir_verify(&block, &e))
        fail_msg("%s", e.text);
}

/* The block's last call of the helper, or NULL. */
static const struct ir_insn *last_call(enum rv_helper_id id)
{
    const struct ir_insn *found = NULL;

    for (unsigned n = 0; n < block.n; n++)
        if (block.insn[n].op == IR_call && ir_call_id(block.insn[n].imm) == (unsigned)id)
            found = &block.insn[n];
    return found;
}

static void pairs(void **state)
{
    (void)state;
    for (unsigned n = 0; n < sizeof sequences / sizeof sequences[0]; n++) {
        const struct sequence *q = &sequences[n];
        uint32_t at = 0;

        build(0, put(0, q->insn), true);
        /* The SC may be the next block's. */
        if (!last_call(RV_HELP_sc)) {
            at = block.len_bytes;
            build(at, put(0, q->insn), true);
        }
        const struct ir_insn *sc = last_call(RV_HELP_sc);

        if (!sc)
            fail_msg("%s: no SC in the block at %u", q->what, at);
        if (rv_k_sc_paired(ir_call_k(sc->imm)) != q->paired)
            fail_msg("%s: paired %d", q->what, !q->paired);
    }
}

/* C hears of all of them; by value nobody asks, and the back end does its own. */
static void c_or_inline(void **state)
{
    static const int32_t pair[MAX] = {LR_D, ADD, SC_D}, words[MAX] = {LR_W, SC_W};

    (void)state;
    build(0, put(0, pair), true);
    assert_int_equal(last_call(RV_HELP_lr)->aux, 0);
    assert_int_equal(ir_call_k(last_call(RV_HELP_lr)->imm), 8);
    assert_int_equal(last_call(RV_HELP_sc)->aux, 0);
    assert_int_equal(rv_k_sc_size(ir_call_k(last_call(RV_HELP_sc)->imm)), 8);
    build(0, put(0, words), true);
    assert_int_equal(rv_k_sc_size(ir_call_k(last_call(RV_HELP_sc)->imm)), 4);
    build(0, put(0, pair), false);
    assert_int_equal(last_call(RV_HELP_lr)->aux, IR_FAST(IR_LR, 8));
    assert_int_equal(last_call(RV_HELP_sc)->aux, IR_FAST(IR_SC, 8));
    assert_int_equal(ir_call_k(last_call(RV_HELP_sc)->imm), 8);
}

/* However many branches there are before it, the SC is in the LR's block. */
static void a_block_begins_with_its_lr(void **state)
{
    static const int32_t insn[MAX] = {BNE_AWAY, BNE_AWAY, BNE_AWAY, LR_D, BNE_AWAY, ADD, SC_D};
    uint32_t end = put(0, insn);

    (void)state;
    build(0, end, true);
    assert_int_equal(block.len_bytes, 12);
    assert_int_equal(block.insn[block.n - 1].op, IR_exit_goto);
    build(12, end, true);
    assert_int_equal(block.len_bytes, 16);
    assert_true(rv_k_sc_paired(ir_call_k(last_call(RV_HELP_sc)->imm)));
    build(0, end, false);
    assert_true(block.len_bytes > 12);
}

/* Cut where something else was written (rewrite.c): no pair any more. */
static void a_cut_block(void **state)
{
    static const int32_t insn[MAX] = {LR_D, ADD, SC_D};
    uint32_t end = put(0, insn);

    (void)state;
    build(0, 8, true);
    assert_int_equal(block.len_bytes, 8);
    build(8, end, true);
    assert_false(rv_k_sc_paired(ir_call_k(last_call(RV_HELP_sc)->imm)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs),
        cmocka_unit_test(c_or_inline),
        cmocka_unit_test(a_block_begins_with_its_lr),
        cmocka_unit_test(a_cut_block),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
