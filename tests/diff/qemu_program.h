/* A riscv64 program, made of instruction words and rows of operands, that executes each word
 * with each row and writes what came out to its standard output. The same bytes run as a Linux
 * program under qemu-riscv64 and, up to the ecall of that write, in our engine.
 *
 *     QEMU_BASE | code | rows of operands | memory of an atomic | results | */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "frontend/riscv/rv_decode.h"

#define QEMU_BASE UINT64_C(0x10000000)
enum {
    QEMU_MAX_WORDS = 256,
    QEMU_MAX_ROWS = 128,
    QEMU_OPERANDS = 0x10000, /* offsets */
    QEMU_MEMORY = 0x1ff00,
    QEMU_RESULTS = 0x20000,
    QEMU_BYTES = 0x100000,
};

/* What the registers hold before: a0, a1; fa0, fa1, fa2. a2 and fa3 hold what the word
 * before left, and no word reads them. */
struct qemu_operands {
    uint64_t a, b, f[3], fcsr;
};

/* rd, or a0 if the word writes none; the same of fa3, but of an atomic what it leaves in memory,
 * where operand b was. */
struct qemu_result {
    uint64_t x, f, fcsr;
};

struct qemu_program {
    unsigned n_words, n_rows;
    uint32_t word[QEMU_MAX_WORDS];
    struct qemu_operands row[QEMU_MAX_ROWS];
};

/* An atomic but lr and sc. */
bool qemu_is_atomic(uint16_t op);

/* Gives the instruction registers that the program sets and stores; which of them, as pick
 * says. */
void qemu_registers(struct rv_insn *i, uint64_t pick);

/* Writes code and operands into QEMU_BYTES of image. Words of which known() is false are
 * nops. */
void qemu_place(const struct qemu_program *p, uint8_t *image, bool (*known)(uint32_t word));

/* Word w with row r. */
struct qemu_result qemu_result(const struct qemu_program *p, const uint8_t *image, unsigned w,
                               unsigned r);

/* Runs it in a directory of ours under qemu-riscv64; its results go into image. False with a
 * line on stderr: it did not work. */
bool qemu_run(const struct qemu_program *p, const char *dir, uint8_t *image);
