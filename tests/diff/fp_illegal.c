#include "tests/diff/fp_illegal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CAUSE_ILLEGAL = 2, X_STATUS = 5, MSTATUS_FS = 0x6000, CODE_BYTES = 16 };

struct illegal {
    uint32_t word;
    unsigned frm;
    bool off; /* FS is */
};

static bool is_compressed(uint32_t word)
{
    return (word & 3) != 3;
}

/* The word in M, behind one that switches floating point off if it is to be off. */
static void run(struct fp_guest *g, const struct illegal *c, struct rv_regs *from,
                struct rv_end *end)
{
    struct fp_asm a = fp_guest_spare(g, CODE_BYTES);

    memset(from, 0, sizeof(*from));
    from->pc = FP_RAM + a.at;
    from->fcsr = c->frm << 5 | 9;
    from->x[X_STATUS] = MSTATUS_FS;
    for (unsigned k = 0; k < 32; k++)
        from->f[k] = UINT64_C(0x3ff0000000000000) + k;
    fp_asm_op(&a, c->off ? RV_OP_csrrc : RV_OP_addi, 0, c->off ? X_STATUS : 0, 0,
              c->off ? FP_CSR_MSTATUS : 0);
    fp_asm_word(&a, is_compressed(c->word) ? 0x00010000 | c->word : c->word);
    fp_asm_word(&a, FP_ECALL_WORD);
    rv_machine_run(g->machine, from, RV_M, 0, end);
}

static bool is_illegal(struct fp_guest *g, const struct illegal *c)
{
    struct rv_regs from;
    struct rv_end end;
    char text[80];

    run(g, c, &from, &end);
    if (end.trapped && end.cause == CAUSE_ILLEGAL && end.tval == c->word &&
        end.regs.pc == from.pc + 4 && memcmp(end.regs.f, from.f, sizeof(from.f)) == 0 &&
        memcmp(end.regs.x, from.x, sizeof(from.x)) == 0 && end.regs.fcsr == from.fcsr)
        return true;
    rv_disasm(c->word, 0, text, sizeof(text));
    printf("NOT ILLEGAL in %s: %08x %s, frm %u%s: cause %" PRIu64 ", tval %" PRIx64 "\n", g->engine,
           c->word, text, c->frm, c->off ? ", FS off" : "", end.cause, end.tval);
    return false;
}

struct score {
    uint64_t *passed, *failed;
};

static void check(struct fp_guest *g, const struct illegal *c, struct score *s)
{
    if (is_illegal(g, c))
        ++*s->passed;
    else
        ++*s->failed;
}

/* 101 and 110 are reserved in the instruction, 101 to 111 in frm (manual, table "Rounding mode
 * encoding"). */
static void check_modes(struct fp_guest *g, uint32_t word, struct score *s)
{
    for (unsigned field = 5; field <= 6; field++) {
        const struct illegal c = {.word = word | field << 12};

        check(g, &c, s);
    }
    for (unsigned frm = 5; frm <= 7; frm++) {
        const struct illegal c = {.word = word | FP_DYN << 12, .frm = frm};

        check(g, &c, s);
    }
}

static bool is_float(enum rv_op row)
{
    const uint8_t kind = rv_rows[row].kind;

    return row != RV_OP_reserved &&
           (kind == RV_KIND_FP || kind == RV_KIND_FP_RM || kind == RV_KIND_FP_READ);
}

static void check_csrs(struct fp_guest *g, struct score *s)
{
    static const int number[] = {FP_CSR_FFLAGS, FP_CSR_FRM, FP_CSR_FCSR};

    for (unsigned k = 0; k < 3; k++) {
        const struct rv_insn i = {.row = RV_OP_csrrs, .imm = number[k]};
        const struct illegal c = {.word = fp_encode(&i), .off = true};

        check(g, &c, s);
    }
}

void fp_illegal_check(struct fp_guest *g, uint64_t *passed, uint64_t *failed)
{
    struct score s = {passed, failed};

    for (enum rv_op row = 1; row < RV_OP_COUNT; row++) {
        const enum rv_op means = (enum rv_op)rv_rows[row].expands;
        const struct illegal off = {.word = rv_row_match(row), .off = true};

        if (!is_float(means))
            continue;
        check(g, &off, &s);
        if (rv_rows[row].kind == RV_KIND_FP_RM)
            check_modes(g, off.word, &s);
    }
    check_csrs(g, &s);
}
