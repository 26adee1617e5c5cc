/* Random words of every row for tests/diff/objdump.sh:
 *
 *     objdump_words SEED N ASM TEXT
 *
 * writes an assembler file with the words and a text file with what rv_disasm() says
 * of each. Words that binutils is known not to understand are left out, here and
 * nowhere else, each with its reason. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "frontend/riscv/rv_decode.h"

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 24;
}

/* Of the CSRs only ours: binutils has names for many more. */
static uint32_t random_csr(uint64_t *state)
{
    static const struct {
        uint32_t number, count;
    } rows[] = {
#define CSR(number, count, name, first, exists, reads, writes) {number, count},
#include "frontend/riscv/rv_csr.def"
#undef CSR
    };
    uint64_t r = next_random(state);
    unsigned k = (unsigned)(r % (sizeof(rows) / sizeof(rows[0])));

    return rows[k].number + (uint32_t)(r >> 16) % rows[k].count;
}

static bool is_csr(enum rv_op row)
{
    return row >= RV_OP_csrrw && row <= RV_OP_csrrci;
}

static bool is_left_out(const struct rv_insn *i)
{
    switch (i->op) {
    case RV_OP_czero_eqz: /* binutils 2.40 knows no Zicond */
    case RV_OP_czero_nez:
    case RV_OP_pause: /* an alias of fence there */ return true;
    case RV_OP_fence: /* reserved fields, which we ignore as the manual says, are unknown there */
        return i->rd != 0 || i->rs1 != 0 || i->imm > 0xff;
    case RV_OP_fence_i: return i->rd != 0 || i->rs1 != 0 || i->imm != 0;
    case RV_OP_fcvt_d_s: /* these take any rounding mode; there only 0 */
    case RV_OP_fcvt_d_w:
    case RV_OP_fcvt_d_wu: return i->rm != 0;
    case RV_OP_reserved: /* c.addi16sp with 0 is reserved and printed there */
        return i->word == 0x6101;
    default: /* printed there as c.slli64 and so on, which are RV128's */
        return i->len == 2 && i->imm == 0 &&
               (i->op == RV_OP_slli || i->op == RV_OP_srli || i->op == RV_OP_srai);
    }
}

static void write_word(uint32_t word, uint64_t *pc, FILE *as, FILE *text)
{
    struct rv_insn i;
    char line[96];

    rv_decode(word, &i);
    if (is_left_out(&i))
        return;
    rv_disasm(word, *pc, line, sizeof(line));
    fprintf(as, ".insn %u, 0x%" PRIx32 "\n", i.len, i.word);
    fprintf(text, "%0*" PRIx32 " %s\n", i.len * 2, i.word, line);
    *pc += i.len;
}

int main(int argc, char **argv)
{
    uint64_t random, pc = 0;
    unsigned long n_words;
    FILE *as, *text;

    if (argc != 5) {
        fprintf(stderr, "usage: %s SEED N ASM TEXT\n", argv[0]);
        return 1;
    }
    random = strtoull(argv[1], NULL, 0);
    n_words = strtoul(argv[2], NULL, 0);
    as = fopen(argv[3], "w");
    text = fopen(argv[4], "w");
    if (!as || !text) {
        perror("objdump_words");
        return 1;
    }
    fputs(".attribute arch, \"rv64imafdc_zicsr_zifencei_zba_zbb_zbs_zicbom_zicboz_zawrs_svinval\"\n"
          ".text\n",
          as);
    for (enum rv_op row = 1; row < RV_OP_COUNT; row++) {
        for (unsigned long n = 0; n < n_words; n++) {
            uint32_t any = (uint32_t)next_random(&random);
            uint32_t word = (any & ~rv_row_mask(row)) | rv_row_match(row);

            if (row == RV_OP_fence || row == RV_OP_fence_i)
                word &= any & 1 ? 0x0ff0707f : 0x0000707f; /* or hardly any would be left */
            if (is_csr(row))
                word = (word & 0xfffff) | random_csr(&random) << 20;
            write_word(word, &pc, as, text);
        }
    }
    for (uint32_t word = 0; word < 0x10000; word++) { /* and every short one */
        if (rv_len_bytes((uint16_t)word) == 2)
            write_word(word, &pc, as, text);
    }
    if (pc & 2) /* the assembler would pad the section, and objdump print that */
        write_word(0x0505, &pc, as, text);
    return fclose(as) || fclose(text);
}
