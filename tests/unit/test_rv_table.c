/* frontend/riscv/isa: what must hold of every row, whoever adds one. That a row says
 * what the manual says is for tests/diff/objdump.sh and the outside emulators. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/riscv/rv_decode.h"

#define FOR_EACH_ROW(row) for (enum rv_op row = 1; row < RV_OP_COUNT; row++)

static const struct {
    enum rv_op special, general;
} refines[] = {
#define RV_REFINE(special, general) {RV_OP_##special, RV_OP_##general},
#include "frontend/riscv/isa/rv_refine.def"
#undef RV_REFINE
};
enum { N_REFINES = sizeof(refines) / sizeof(refines[0]) };

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 24;
}

/* Bits that belong to the word at all. */
static uint32_t width_mask(enum rv_op row)
{
    return rv_row_is_compressed(row) ? 0xffff : 0xffffffff;
}

static uint32_t random_word(enum rv_op row, uint64_t *state)
{
    uint32_t any = (uint32_t)next_random(state) & width_mask(row);

    return (any & ~rv_row_mask(row)) | rv_row_match(row);
}

static bool is_carved_out(enum rv_op row)
{
    return rv_rows[row].expands == RV_OP_reserved;
}

/* The row that the rules of rv_isa.def choose, found without any index. */
static enum rv_op find_slowly(uint32_t word)
{
    enum rv_op best = RV_OP_reserved;
    bool is_short = rv_len_bytes((uint16_t)word) == 2;

    if (is_short)
        word &= 0xffff;
    FOR_EACH_ROW(row)
    {
        if (rv_row_is_compressed(row) != is_short ||
            ((word ^ rv_row_match(row)) & rv_row_mask(row)) != 0)
            continue;
        if (best == RV_OP_reserved ||
            __builtin_popcount(rv_row_mask(row)) > __builtin_popcount(rv_row_mask(best)))
            best = row;
    }
    return best;
}

/* ---- One row ------------------------------------------------------------------------ */

static void encoding_has_its_width(void **state)
{
    (void)state;
    FOR_EACH_ROW(row)
    {
        unsigned n = 0;

        for (const char *c = rv_rows[row].bits; *c; c++) {
            if (!strchr("01. ", *c))
                fail_msg("%s: '%c' in its encoding", rv_rows[row].name, *c);
            n += *c != ' ';
        }
        if (n != (rv_row_is_compressed(row) ? 16 : 32))
            fail_msg("%s: %u bits", rv_rows[row].name, n);
        if ((rv_row_mask(row) & 3) != 3)
            fail_msg("%s: bits 0 and 1 must be fixed", rv_rows[row].name);
        if ((rv_row_match(row) & 3) == 3 && rv_row_is_compressed(row))
            fail_msg("%s: 11 in bits 0 and 1 is a long instruction's", rv_rows[row].name);
        if ((rv_row_match(row) & 3) != 3 && !rv_row_is_compressed(row))
            fail_msg("%s: bits 0 and 1 must be 11", rv_rows[row].name);
    }
}

/* What is carved out has no operands: its format names the whole word. */
static void every_dot_is_an_operand(void **state)
{
    (void)state;
    FOR_EACH_ROW(row)
    {
        const struct rv_format *f = &rv_formats[rv_rows[row].format];
        uint32_t dots = ~rv_row_mask(row) & width_mask(row), pieces = 0;

        for (unsigned k = 0; k < f->n_pieces; k++)
            pieces |= ((UINT32_C(1) << f->piece[k].n) - 1) << f->piece[k].lo;
        if ((dots & ~pieces) != 0)
            fail_msg("%s: dots %08" PRIx32 " are in no piece of its format", rv_rows[row].name,
                     dots & ~pieces);
        if ((pieces & ~dots) != 0 && !is_carved_out(row))
            fail_msg("%s: its format reads fixed bits %08" PRIx32, rv_rows[row].name,
                     pieces & ~dots);
    }
}

static void compressed_rows_expand_to_long_ones(void **state)
{
    (void)state;
    FOR_EACH_ROW(row)
    {
        if (rv_row_is_compressed(row))
            assert_true(rv_rows[row].expands < RV_OP_COMPRESSED);
        else
            assert_int_equal(rv_rows[row].expands, row);
    }
}

static void names_are_unique(void **state)
{
    (void)state;
    FOR_EACH_ROW(a)
    {
        for (enum rv_op b = a + 1; b < RV_OP_COUNT; b++)
            assert_string_not_equal(rv_rows[a].name, rv_rows[b].name);
    }
}

/* ---- Two rows ------------------------------------------------------------------------- */

static bool overlap(enum rv_op a, enum rv_op b)
{
    return rv_row_is_compressed(a) == rv_row_is_compressed(b) &&
           ((rv_row_match(a) ^ rv_row_match(b)) & rv_row_mask(a) & rv_row_mask(b)) == 0;
}

static bool is_marked(enum rv_op a, enum rv_op b)
{
    for (unsigned k = 0; k < N_REFINES; k++) {
        if ((refines[k].special == a && refines[k].general == b) ||
            (refines[k].special == b && refines[k].general == a))
            return true;
    }
    return false;
}

/* Two rows neither of which is a case of the other may overlap in words that a third
 * row claims, which is a case of both. */
static bool is_claimed_by_third(enum rv_op a, enum rv_op b)
{
    uint32_t mask = rv_row_mask(a) | rv_row_mask(b);
    uint32_t match = rv_row_match(a) | rv_row_match(b);

    FOR_EACH_ROW(row)
    {
        if (row != a && row != b && rv_row_mask(row) == mask && rv_row_match(row) == match)
            return true;
    }
    return false;
}

static void overlaps_are_marked(void **state)
{
    (void)state;
    FOR_EACH_ROW(a)
    {
        for (enum rv_op b = a + 1; b < RV_OP_COUNT; b++) {
            if (overlap(a, b) && !is_marked(a, b) && !is_claimed_by_third(a, b))
                fail_msg("%s and %s overlap: name them in rv_refine.def?", rv_rows[a].name,
                         rv_rows[b].name);
        }
    }
}

static void marks_are_true(void **state)
{
    (void)state;
    for (unsigned k = 0; k < N_REFINES; k++) {
        enum rv_op a = refines[k].special, b = refines[k].general;

        if (!overlap(a, b) || (rv_row_mask(b) & ~rv_row_mask(a)) != 0 ||
            rv_row_mask(a) == rv_row_mask(b))
            fail_msg("%s is no special case of %s", rv_rows[a].name, rv_rows[b].name);
    }
}

/* ---- Decoder and encoder ---------------------------------------------------------------- */

static void assert_round_trip(uint32_t word, const struct rv_insn *i, uint64_t seed)
{
    uint32_t again = 0;

    if (!rv_encode(i, &again) || again != word)
        fail_msg("seed %" PRIx64 ": %08" PRIx32 " is %s, and comes back as %08" PRIx32, seed, word,
                 rv_rows[i->row].name, again);
}

static void encode_undoes_decode(void **state)
{
    uint64_t random = 1;

    (void)state;
    FOR_EACH_ROW(row)
    {
        for (unsigned n = 0; n < 300; n++) {
            uint64_t seed = random;
            uint32_t word = random_word(row, &random);
            struct rv_insn i;

            rv_decode(word, &i);
            if (i.row != row && !is_marked(i.row, row))
                fail_msg("seed %" PRIx64 ": %08" PRIx32 " is %s, not %s", seed, word,
                         rv_rows[i.row].name, rv_rows[row].name);
            assert_int_equal(i.op, rv_rows[i.row].expands);
            assert_int_equal(i.len, rv_row_is_compressed(row) ? 2 : 4);
            assert_int_equal(i.word, word);
            assert_round_trip(word, &i, seed);
        }
    }
}

static void index_finds_what_a_search_finds(void **state)
{
    uint64_t random = 2;
    struct rv_insn i;

    (void)state;
    for (uint32_t word = 0; word < 0x10000; word++) {
        if (rv_len_bytes((uint16_t)word) != 2)
            continue;
        rv_decode(word | 0xabcd0000, &i);
        assert_int_equal(i.row, find_slowly(word));
        assert_int_equal(i.word, word);
    }
    for (unsigned n = 0; n < 200000; n++) {
        uint32_t word = (uint32_t)next_random(&random) | 3;

        if (n & 1) /* random words are rarely instructions */
            word = random_word(1 + word % (RV_OP_COMPRESSED - 1), &random);
        if (n % 4 == 1)
            word ^= UINT32_C(1) << (word % 30 + 2);
        rv_decode(word, &i);
        assert_int_equal(i.row, find_slowly(word));
    }
}

/* Words of the manual's reserved encodings, and some near them that are not. */
static void reserved_encodings_are_illegal(void **state)
{
    static const struct {
        uint32_t word;
        bool legal;
    } cases[] = {
        {0x0000, false},                          /* all zero */
        {0x0004, false},                          /* c.addi4spn, no immediate */
        {0x0020, true},                           /* c.addi4spn s0, sp, 8 */
        {0x2001, false},                          /* c.addiw, rd = x0 */
        {0x6001, false},                          /* c.lui zero, 0 */
        {0x6101, false},                          /* c.addi16sp 0 */
        {0x6005, true},                           /* c.lui zero, 1: a hint */
        {0x4002, false},                          /* c.lwsp, rd = x0 */
        {0x6002, false},                          /* c.ldsp, rd = x0 */
        {0x2002, true},                           /* c.fldsp ft0 */
        {0x8002, false},                          /* c.jr x0 */
        {0x9002, true},                           /* c.ebreak */
        {0x9c41, false},                          /* reserved in the c.subw group */
        {0x9c61, false},     {0x8000, false},     /* quadrant 0, funct3 100 */
        {0x0001, true},                           /* c.nop */
        {0x0002, true},                           /* c.slli zero, 0: a hint */
        {0x00000073, true},                       /* ecall */
        {0x00200073, false},                      /* uret went away */
        {0x00000173, false},                      /* ecall with an rd */
        {0xffffffff, false}, {0x0000001f, false}, /* longer than 32 bits */
        {0x02051013, true},                       /* slli by 32 */
        {0x0205101b, false},                      /* slliw by 32 */
        {0x1005252f, true},                       /* lr.w */
        {0x1015252f, false},                      /* lr.w with an rs2 */
    };

    (void)state;
    for (unsigned n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        struct rv_insn i;

        rv_decode(cases[n].word, &i);
        if ((i.op != RV_OP_reserved) != cases[n].legal)
            fail_msg("%08" PRIx32 " is %s", cases[n].word, rv_rows[i.op].name);
    }
}

static void operands_that_do_not_fit_are_refused(void **state)
{
    static const struct rv_insn cases[] = {
        {.row = RV_OP_beq, .imm = 3},
        {.row = RV_OP_beq, .imm = 4096},
        {.row = RV_OP_addi, .imm = 2048},
        {.row = RV_OP_addi, .rs2 = 1},
        {.row = RV_OP_slliw, .imm = 32},
        {.row = RV_OP_lui, .imm = 1},
        {.row = RV_OP_c_lw, .rd = 7, .rs1 = 8},
        {.row = RV_OP_c_lwsp, .rd = 1, .rs1 = 3},
        {.row = RV_OP_reserved},
    };

    (void)state;
    for (unsigned n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        uint32_t word;

        if (rv_encode(&cases[n], &word))
            fail_msg("case %u became %08" PRIx32, n, word);
    }
}

/* What the comparison with binutils leaves out. */
static void odd_operands_are_written(void **state)
{
    static const struct {
        uint32_t word;
        const char *text;
    } cases[] = {
        {0xd2050553, "fcvt.d.w\tfa0,a0"},       {0xd2051553, "fcvt.d.w\tfa0,a0,rtz"},
        {0x42051553, "fcvt.d.s\tfa0,fa0,rtz"},  {0x8c002573, "csrrs\ta0,0x8c0,zero"},
        {0x3a002573, "csrrs\ta0,pmpcfg0,zero"}, {0x3b702573, "csrrs\ta0,pmpaddr7,zero"},
    };

    (void)state;
    for (unsigned n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        char text[64];

        assert_int_equal(rv_disasm(cases[n].word, 0, text, sizeof(text)), 4);
        assert_string_equal(text, cases[n].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoding_has_its_width),
        cmocka_unit_test(every_dot_is_an_operand),
        cmocka_unit_test(compressed_rows_expand_to_long_ones),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(overlaps_are_marked),
        cmocka_unit_test(marks_are_true),
        cmocka_unit_test(encode_undoes_decode),
        cmocka_unit_test(index_finds_what_a_search_finds),
        cmocka_unit_test(reserved_encodings_are_illegal),
        cmocka_unit_test(operands_that_do_not_fit_are_refused),
        cmocka_unit_test(odd_operands_are_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
