#include "tests/diff/fp_guest.h"

#include <string.h>

#include "dbt/base/check.h"
#include "dbt/opt/opt.h"

/* Registers of the loops. */
enum { X_OPERAND = 5, X_RESULT = 6, X_FLAGS = 7, X_IN = 10, X_OUT = 11, X_END = 12, F_RESULT = 4 };
enum { SLOT_BYTES = 64, N_FIELDS = 8, CAUSE_ECALL_U = 8 };

/* ---- Assembling ----------------------------------------------------------------------------- */

uint32_t fp_encode(const struct rv_insn *i)
{
    uint32_t word;

    CHECK(rv_encode(i, &word) && "operands that the row has");
    return word;
}

void fp_asm_word(struct fp_asm *a, uint32_t word)
{
    memcpy(a->ram + a->at, &word, 4);
    a->at += 4;
}

void fp_asm_op(struct fp_asm *a, enum rv_op row, unsigned rd, unsigned rs1, unsigned rs2,
               int64_t imm)
{
    const struct rv_insn i = {.row = (uint16_t)row,
                              .rd = (uint8_t)rd,
                              .rs1 = (uint8_t)rs1,
                              .rs2 = (uint8_t)rs2,
                              .imm = imm};

    fp_asm_word(a, fp_encode(&i));
}

struct fp_asm fp_guest_spare(struct fp_guest *g, uint32_t bytes)
{
    if (g->spare_used + bytes > FP_SPARE_BYTES) {
        rv_machine_wrote(g->machine, FP_RAM + FP_SPARE_CODE, FP_SPARE_BYTES);
        g->spare_used = 0;
    }
    g->spare_used += bytes;
    return (struct fp_asm){.ram = rv_machine_ram(g->machine),
                           .at = FP_SPARE_CODE + g->spare_used - bytes};
}

enum rv_op fp_row_of(const struct fp_rule *rule)
{
    for (enum rv_op row = 1; row < RV_OP_COUNT; row++)
        if (strcmp(rv_rows[row].name, rule->name) == 0)
            return row;
    CHECK(!"a rule is for a row of the instruction table");
    return RV_OP_reserved;
}

/* ---- The loops ------------------------------------------------------------------------------ */

static uint32_t slot_of(const struct fp_rule *rule, unsigned field)
{
    return ((uint32_t)(rule - fp_rules) * N_FIELDS + field) * SLOT_BYTES;
}

static void load_operands(struct fp_asm *a, const struct fp_rule *rule)
{
    if (!fp_type_is_float(rule->operands[0])) {
        fp_asm_op(a, RV_OP_ld, X_OPERAND, X_IN, 0, 0);
        return;
    }
    for (unsigned k = 0; rule->operands[k]; k++)
        fp_asm_op(a, RV_OP_fld, k + 1, X_IN, 0, 8 * (int64_t)k);
}

static void place_loop(uint8_t *ram, const struct fp_rule *rule, unsigned field)
{
    struct fp_asm a = {.ram = ram, .at = slot_of(rule, field)};
    const uint32_t begin = a.at;
    const bool to_float = fp_type_is_float(rule->result);
    const unsigned arity = fp_rule_arity(rule);
    const struct rv_insn i = {.row = (uint16_t)fp_row_of(rule),
                              .rd = to_float ? F_RESULT : X_RESULT,
                              .rs1 = fp_type_is_float(rule->operands[0]) ? 1 : X_OPERAND,
                              .rs2 = arity > 1 ? 2 : 0,
                              .rs3 = arity > 2 ? 3 : 0,
                              .rm = (uint8_t)(rule->rounds ? field : 0)};

    load_operands(&a, rule);
    fp_asm_word(&a, fp_encode(&i));
    fp_asm_op(&a, RV_OP_csrrw, X_FLAGS, 0, 0, FP_CSR_FFLAGS);
    if (to_float)
        fp_asm_op(&a, RV_OP_fsd, 0, X_OUT, F_RESULT, offsetof(struct fp_outcome, value));
    else
        fp_asm_op(&a, RV_OP_sd, 0, X_OUT, X_RESULT, offsetof(struct fp_outcome, value));
    fp_asm_op(&a, RV_OP_sd, 0, X_OUT, X_FLAGS, offsetof(struct fp_outcome, flags));
    fp_asm_op(&a, RV_OP_addi, X_IN, X_IN, 0, sizeof(struct fp_case));
    fp_asm_op(&a, RV_OP_addi, X_OUT, X_OUT, 0, sizeof(struct fp_outcome));
    fp_asm_op(&a, RV_OP_bltu, 0, X_IN, X_END, (int64_t)begin - a.at);
    fp_asm_word(&a, FP_ECALL_WORD);
    CHECK(a.at <= begin + SLOT_BYTES);
}

bool fp_guest_init(struct fp_guest *g, enum engine engine, const char *name, uint64_t stress_regs,
                   struct err *e)
{
    const struct rv_machine_config config = {.model = "rv64gc",
                                             .engine = engine,
                                             .passes = OPT_ALL,
                                             .stress_regs = stress_regs,
                                             .uncounted = true,
                                             .ram_gpa = FP_RAM,
                                             .ram_len = FP_RAM_BYTES};

    g->engine = name;
    g->machine = rv_machine_create(&config, e);
    if (!g->machine)
        return false;
    CHECK(fp_n_rules * N_FIELDS * SLOT_BYTES <= FP_SPARE_CODE);
    for (unsigned k = 0; k < fp_n_rules; k++)
        for (unsigned field = 0; field < N_FIELDS; field++)
            place_loop(rv_machine_ram(g->machine), &fp_rules[k], field);
    return true;
}

void fp_guest_fini(struct fp_guest *g)
{
    if (g->machine)
        rv_machine_destroy(g->machine);
}

bool fp_guest_run(struct fp_guest *g, const struct fp_rule *rule, unsigned field, unsigned frm,
                  const struct fp_case *cases, unsigned n, struct fp_outcome *out,
                  struct rv_end *end)
{
    uint8_t *ram = rv_machine_ram(g->machine);
    struct rv_regs from = {.pc = FP_RAM + slot_of(rule, field), .fcsr = frm << 5};

    CHECK(n > 0 && n <= FP_BATCH);
    from.x[X_IN] = FP_RAM + FP_DATA;
    from.x[X_OUT] = FP_RAM + FP_RESULTS;
    from.x[X_END] = from.x[X_IN] + n * sizeof(*cases);
    memcpy(ram + FP_DATA, cases, n * sizeof(*cases));
    rv_machine_run(g->machine, &from, RV_U, 0, end);
    memcpy(out, ram + FP_RESULTS, n * sizeof(*out));
    return end->trapped && end->cause == CAUSE_ECALL_U;
}
