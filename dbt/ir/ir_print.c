/* A block as text. ir_parse() reads what is printed here; the grammar is this:
 *
 *   block gpa=0x80000010 len=8 guest=2 mode=0x3 [virtual_time]
 *       insn 0x10, 4                    offset, length    # guest address
 *   %1 = get r10                        a value is numbered by its place
 *   %2 = ld.s32 [%1 +8]                 [address offset]
 *   %3 = fadd.64.rne %1, %2
 *   %4 = call csrrw 0x300 (%3)          helper, k, operands it takes
 *       st.64 [%1 -16], %3
 *       exit_if.ltu %1, %2 -> +0x24     offset from the page
 *
 * Everything is a guest address or a number: two runs print the same. */
#include <inttypes.h>

#include "dbt/ir/ir_form.h"

static void print_mnemonic(const struct ir_insn *i, FILE *out)
{
    fputs(ir_ops[i->op].name, out);
    switch (ir_aux_form((enum ir_op)i->op)) {
    case AUX_MEM:
        fprintf(out, ".%s", i->aux < 12 && ir_mem_words[i->aux] ? ir_mem_words[i->aux] : "?");
        break;
    case AUX_COND: fprintf(out, ".%s", i->aux < 6 ? ir_cond_words[i->aux] : "?"); break;
    case AUX_FAST:
        if (i->aux)
            fprintf(out, ".%s.%u",
                    ir_fast_what(i->aux) < IR_FAST_COUNT ? ir_fast_words[ir_fast_what(i->aux)]
                                                         : "?",
                    8 * ir_fast_size(i->aux));
        break;
    case AUX_FLOW:
        if (i->aux)
            fprintf(out, ".%s", i->aux < 3 ? ir_flow_words[i->aux] : "?");
        break;
    case AUX_FP: {
        const char *rm = ir_rm_words[ir_fp_rm(i->aux)];

        fprintf(out, ".%u.%s", ir_fp_width(i->aux), rm ? rm : "?");
        break;
    }
    default: break;
    }
}

static void print_ref(ir_ref r, FILE *out)
{
    if (ir_is_none(r))
        fputc('_', out);
    else
        fprintf(out, "%%%u", r.n);
}

static void print_offset(uint64_t imm, FILE *out)
{
    int64_t v = (int64_t)imm;

    /* Negated as unsigned: the smallest has no opposite. */
    fprintf(out, "%c0x%" PRIx64, v < 0 ? '-' : '+', v < 0 ? -imm : imm);
}

static void print_operands(const struct ir_insn *i, FILE *out)
{
    const ir_ref refs[3] = {i->a, i->b, i->c};

    for (unsigned k = 0; k < ir_n_operands(i); k++) {
        fputs(k ? ", " : " ", out);
        print_ref(refs[k], out);
    }
}

static void print_call(const struct ir_block *b, const struct ir_insn *i, FILE *out)
{
    const ir_ref refs[3] = {i->a, i->b, i->c};
    unsigned id = ir_call_id(i->imm);

    if (b->helpers && id < b->n_helpers)
        fprintf(out, " %s", b->helpers[id].name);
    else
        fprintf(out, " %u", id);
    fprintf(out, " 0x%x (", ir_call_k(i->imm));
    for (unsigned k = 0; k < 3 && !ir_is_none(refs[k]); k++)
        fprintf(out, "%s%%%u", k ? ", " : "", refs[k].n);
    fputc(')', out);
}

static void print_memory(const struct ir_insn *i, FILE *out)
{
    fputs(" [", out);
    print_ref(i->a, out);
    fputc(' ', out);
    print_offset(i->imm, out);
    fputc(']', out);
    if (ir_ops[i->op].flags & STORE) {
        fputs(", ", out);
        print_ref(i->b, out);
    }
}

static void print_imm(const struct ir_insn *i, FILE *out)
{
    switch (ir_imm_form((enum ir_op)i->op)) {
    case IMM_VALUE: fprintf(out, " 0x%" PRIx64, i->imm); break;
    case IMM_REG:
    case IMM_FREG:
        fprintf(out, " %c%" PRIu64, ir_imm_form((enum ir_op)i->op) == IMM_REG ? 'r' : 'f', i->imm);
        break;
    case IMM_OFFSET:
        fputs(ir_ops[i->op].flags & (SIDE | EXIT) ? " -> " : " ", out);
        print_offset(i->imm, out);
        break;
    default: break;
    }
}

static void print_insn(const struct ir_block *b, uint32_t n, FILE *out)
{
    const struct ir_insn *i = &b->insn[n];

    if (ir_ops[i->op].result == 'N')
        fputs("       ", out);
    else
        fprintf(out, "%%%-3u = ", n);
    print_mnemonic(i, out);
    if (i->op == IR_call) {
        print_call(b, i, out);
    } else if (i->op == IR_insn) {
        fprintf(out, " +0x%" PRIx64 ", %u    # %" PRIx64, i->imm, i->aux,
                (b->gpa & ~(uint64_t)(PAGE_SIZE - 1)) + i->imm);
    } else if (ir_ops[i->op].flags & (LOAD | STORE)) {
        print_memory(i, out);
    } else {
        print_operands(i, out);
        print_imm(i, out);
        if (ir_aux_form((enum ir_op)i->op) == AUX_SHIFT)
            fprintf(out, ", %u", i->aux);
        else if (i->op == IR_fence)
            fprintf(out, " %u", i->aux);
    }
    fputc('\n', out);
}

void ir_print(const struct ir_block *b, FILE *out)
{
    fprintf(out, "block gpa=0x%" PRIx64 " len=%u guest=%u mode=0x%x%s\n", b->gpa, b->len_bytes,
            b->n_guest, b->mode, b->virtual_time ? " virtual_time" : "");
    for (uint32_t n = 0; n < b->n; n++)
        print_insn(b, n, out);
}
