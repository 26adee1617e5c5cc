#include "tests/diff/qemu_program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dbt/base/check.h"
#include "tests/lib/elf_write.h"

enum {
    T0 = 5,
    T1 = 6,
    S0 = 8,
    S1 = 9,
    A0 = 10,
    A1 = 11,
    A2 = 12,
    A7 = 17,
    S2 = 18,
    FA0 = 10,
    FA3 = 13
};
enum { NOP = 0x13, ECALL = 0x73, CSR_FCSR = 3, SYS_WRITE = 64, SYS_EXIT = 93 };

struct asm_out {
    uint8_t *image;
    uint32_t at;
};

static void put(struct asm_out *o, uint32_t word)
{
    CHECK(o->at + 4 <= QEMU_OPERANDS);
    memcpy(o->image + o->at, &word, 4);
    o->at += 4;
}

static void op(struct asm_out *o, enum rv_op row, unsigned rd, unsigned rs1, unsigned rs2,
               int64_t imm)
{
    const struct rv_insn i = {.row = (uint16_t)row,
                              .rd = (uint8_t)rd,
                              .rs1 = (uint8_t)rs1,
                              .rs2 = (uint8_t)rs2,
                              .imm = imm};
    uint32_t word;

    CHECK(rv_encode(&i, &word));
    put(o, word);
}

static void load_const(struct asm_out *o, unsigned rd, uint64_t value)
{
    uint64_t high = (value + 0x800) & ~UINT64_C(0xfff);

    op(o, RV_OP_lui, rd, 0, 0, (int64_t)high);
    op(o, RV_OP_addiw, rd, rd, 0, (int64_t)(value - high));
}

static const char *syntax_of(const struct rv_insn *i)
{
    return rv_formats[rv_rows[i->op].format].syntax;
}

bool qemu_is_atomic(uint16_t op)
{
    return rv_rows[op].kind == RV_KIND_AMO && strchr(rv_formats[rv_rows[op].format].syntax, 't') &&
           op != RV_OP_sc_w && op != RV_OP_sc_d;
}

void qemu_registers(struct rv_insn *i, uint64_t pick)
{
    const char *syntax = syntax_of(i);

    if (strchr(syntax, 's'))
        i->rs1 = A0 + (pick & 1);
    if (strchr(syntax, 't'))
        i->rs2 = A0 + (pick >> 1 & 1);
    if (strchr(syntax, 'd'))
        i->rd = (uint8_t)(A0 + (pick >> 2) % 3);
    if (strchr(syntax, 'S'))
        i->rs1 = (uint8_t)(FA0 + (pick >> 8) % 3);
    if (strchr(syntax, 'T'))
        i->rs2 = (uint8_t)(FA0 + (pick >> 16) % 3);
    if (strchr(syntax, 'R'))
        i->rs3 = (uint8_t)(FA0 + (pick >> 24) % 3);
    if (strchr(syntax, 'D'))
        i->rd = FA0 + (pick >> 32 & 3);
    if (qemu_is_atomic(i->op))
        i->rs1 = T1;
}

static void one_word(struct asm_out *o, uint32_t word, bool known)
{
    struct rv_insn i;

    rv_decode(word, &i);
    op(o, RV_OP_ld, A0, S0, 0, offsetof(struct qemu_operands, a));
    op(o, RV_OP_ld, A1, S0, 0, offsetof(struct qemu_operands, b));
    for (unsigned k = 0; k < 3; k++)
        op(o, RV_OP_fld, FA0 + k, S0, 0, (int64_t)(offsetof(struct qemu_operands, f) + 8 * k));
    op(o, RV_OP_ld, T0, S0, 0, offsetof(struct qemu_operands, fcsr));
    op(o, RV_OP_csrrw, 0, T0, 0, CSR_FCSR);
    if (qemu_is_atomic(i.op))
        op(o, RV_OP_sd, 0, T1, A1, 0);
    put(o, known ? word : NOP);
    if (qemu_is_atomic(i.op))
        op(o, RV_OP_fld, FA0, T1, 0, 0);
    op(o, RV_OP_sd, 0, S1, strchr(syntax_of(&i), 'd') ? i.rd : A0, offsetof(struct qemu_result, x));
    op(o, RV_OP_fsd, 0, S1, strchr(syntax_of(&i), 'D') ? i.rd : FA0,
       offsetof(struct qemu_result, f));
    op(o, RV_OP_csrrs, T0, 0, 0, CSR_FCSR);
    op(o, RV_OP_sd, 0, S1, T0, offsetof(struct qemu_result, fcsr));
    op(o, RV_OP_addi, S1, S1, 0, sizeof(struct qemu_result));
}

static uint32_t results_bytes(const struct qemu_program *p)
{
    return p->n_words * p->n_rows * (uint32_t)sizeof(struct qemu_result);
}

void qemu_place(const struct qemu_program *p, uint8_t *image, bool (*known)(uint32_t word))
{
    struct asm_out o = {.image = image};

    CHECK(QEMU_RESULTS + results_bytes(p) <= QEMU_BYTES);
    memset(image, 0, QEMU_BYTES);
    memcpy(image + QEMU_OPERANDS, p->row, p->n_rows * sizeof(p->row[0]));
    load_const(&o, S0, QEMU_BASE + QEMU_OPERANDS);
    load_const(&o, S1, QEMU_BASE + QEMU_RESULTS);
    load_const(&o, T1, QEMU_BASE + QEMU_MEMORY);
    load_const(&o, S2, QEMU_BASE + QEMU_OPERANDS + p->n_rows * sizeof(p->row[0]));
    uint32_t loop = o.at;

    for (unsigned w = 0; w < p->n_words; w++)
        one_word(&o, p->word[w], known(p->word[w]));
    op(&o, RV_OP_addi, S0, S0, 0, sizeof(struct qemu_operands));
    op(&o, RV_OP_bgeu, 0, S0, S2, 8);
    op(&o, RV_OP_jal, 0, 0, 0, (int64_t)loop - o.at);
    load_const(&o, A0, 1);
    load_const(&o, A1, QEMU_BASE + QEMU_RESULTS);
    load_const(&o, A2, results_bytes(p));
    load_const(&o, A7, SYS_WRITE);
    put(&o, ECALL);
    load_const(&o, A0, 0);
    load_const(&o, A7, SYS_EXIT);
    put(&o, ECALL);
}

struct qemu_result qemu_result(const struct qemu_program *p, const uint8_t *image, unsigned w,
                               unsigned r)
{
    struct qemu_result res;

    memcpy(&res, image + QEMU_RESULTS + (r * p->n_words + w) * sizeof(res), sizeof(res));
    return res;
}

/* ---- Under QEMU --------------------------------------------------------------------------- */

bool qemu_run(const struct qemu_program *p, const char *dir, uint8_t *image)
{
    const struct elf_segment segment = {QEMU_BASE, image, QEMU_RESULTS, QEMU_BYTES};
    char elf[256], out[256], command[1024];

    snprintf(elf, sizeof(elf), "%s/program", dir);
    snprintf(out, sizeof(out), "%s/results", dir);
    snprintf(command, sizeof(command),
             "chmod +x %s && timeout 60 qemu-riscv64 -cpu rv64,zba=true,zbb=true,zbs=true %s >%s",
             elf, elf, out);
    if (!elf_write(elf, QEMU_BASE, &segment, 1)) {
        fprintf(stderr, "cannot write %s\n", elf);
        return false;
    }
    int status = system(command);
    FILE *f = status == 0 ? fopen(out, "rb") : NULL;
    size_t got = f ? fread(image + QEMU_RESULTS, 1, results_bytes(p), f) : 0;

    if (f)
        fclose(f);
    if (got == results_bytes(p))
        return true;
    fprintf(stderr, "qemu-riscv64: status %d, %zu of %u bytes of results\n", status, got,
            results_bytes(p));
    return false;
}
