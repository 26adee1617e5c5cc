/* Words to operands. What is fixed in each row is worked out once, with lists of the
 * rows that a few bits of the word leave possible:
 *
 *     long   opcode bits 2..6, funct3 and the top seven bits: 2^15 lists
 *     short  bits 0, 1 and 10..15:                            2^8 lists
 *
 * A list has one to four rows as a rule, those with more fixed bits first, so that a
 * special case is found before what it is carved out of. */
#include "frontend/riscv/rv_decode.h"

#include <pthread.h>
#include <string.h>

#include "dbt/base/bits.h"

enum {
    N_LONG_LISTS = 1 << 15,
    N_SHORT_LISTS = 1 << 8,
    POOL_SIZE = 1 << 14,
};

struct decoder {
    uint32_t mask[RV_OP_COUNT], match[RV_OP_COUNT];
    uint16_t by_weight[RV_OP_COUNT]; /* all rows, those with more fixed bits first */
    /* Lists are places in the pool, and end with RV_OP_reserved. */
    uint16_t long_list[N_LONG_LISTS];
    uint16_t short_list[N_SHORT_LISTS];
    uint16_t pool[POOL_SIZE];
    unsigned pool_used;
};

/* A table: written by build_once() and constant from then on. */
static struct decoder decoder;
static pthread_once_t decoder_once = PTHREAD_ONCE_INIT;

/* ---- Making the table ------------------------------------------------------------ */

static void read_bits(const char *bits, uint32_t *mask, uint32_t *match)
{
    *mask = *match = 0;
    for (; *bits; bits++) {
        if (*bits == ' ')
            continue;
        *mask = *mask << 1 | (*bits != '.');
        *match = *match << 1 | (*bits == '1');
    }
}

static void sort_by_weight(struct decoder *d)
{
    unsigned n = 0;

    for (int weight = 32; weight >= 0; weight--) {
        for (unsigned row = 1; row < RV_OP_COUNT; row++) {
            if (__builtin_popcount(d->mask[row]) == weight)
                d->by_weight[n++] = (uint16_t)row;
        }
    }
}

/* The bits of a word that choose its list, and the list's number. Bits 0 and 1 keep
 * long rows and short ones apart. */
#define LONG_KEY_MASK  UINT32_C(0xfe00707f)
#define SHORT_KEY_MASK UINT32_C(0xfc03)

static unsigned long_key(uint32_t word)
{
    return (word >> 2 & 31) | (word >> 12 & 7) << 5 | word >> 25 << 8;
}

static uint32_t long_key_word(unsigned key)
{
    return 3 | (key & 31) << 2 | (key >> 5 & 7) << 12 | (uint32_t)key >> 8 << 25;
}

static unsigned short_key(uint32_t word)
{
    return (word & 3) | (word >> 10 & 63) << 2;
}

static uint32_t short_key_word(unsigned key)
{
    return (key & 3) | key >> 2 << 10;
}

/* Copies from list `from` to `to` the rows that agree with word in the bits of mask. */
static unsigned filter(const struct decoder *d, const uint16_t *from, uint32_t word, uint32_t mask,
                       uint16_t *to)
{
    unsigned n = 0;

    for (; *from != RV_OP_reserved; from++) {
        if (((word ^ d->match[*from]) & d->mask[*from] & mask) == 0)
            to[n++] = *from;
    }
    to[n++] = RV_OP_reserved;
    return n;
}

/* The place in the pool of what filter() leaves. Neighbours mostly have the same
 * list: it is kept once. */
static uint16_t make_list(struct decoder *d, const uint16_t *from, uint32_t word, uint32_t mask,
                          uint16_t last)
{
    uint16_t list[RV_OP_COUNT];
    unsigned n = filter(d, from, word, mask, list);

    if (memcmp(&d->pool[last], list, n * sizeof(list[0])) == 0)
        return last;
    CHECK(d->pool_used + n <= POOL_SIZE && "the pool has room for every list");
    memcpy(&d->pool[d->pool_used], list, n * sizeof(list[0]));
    d->pool_used += n;
    return (uint16_t)(d->pool_used - n);
}

static void build_once(void)
{
    struct decoder *d = &decoder;
    uint16_t last = 0;

    for (unsigned row = 1; row < RV_OP_COUNT; row++)
        read_bits(rv_rows[row].bits, &d->mask[row], &d->match[row]);
    sort_by_weight(d);
    d->pool_used = 1; /* the empty list */
    for (unsigned low = 0; low < 1 << 8; low++) {
        uint16_t some[RV_OP_COUNT];

        filter(d, d->by_weight, long_key_word(low), LONG_KEY_MASK & 0xffff, some);
        for (unsigned high = 0; high < 1 << 7; high++) {
            unsigned key = low | high << 8;

            last = make_list(d, some, long_key_word(key), LONG_KEY_MASK, last);
            d->long_list[key] = last;
        }
    }
    for (unsigned key = 0; key < N_SHORT_LISTS; key++) {
        last = make_list(d, d->by_weight, short_key_word(key), SHORT_KEY_MASK, last);
        d->short_list[key] = last;
    }
}

static const struct decoder *get_decoder(void)
{
    pthread_once(&decoder_once, build_once);
    return &decoder;
}

uint32_t rv_row_mask(enum rv_op row)
{
    return get_decoder()->mask[row];
}

uint32_t rv_row_match(enum rv_op row)
{
    return get_decoder()->match[row];
}

/* ---- Using it ---------------------------------------------------------------------- */

static void take_piece(struct rv_piece p, uint32_t word, int64_t field[RV_FIELD_COUNT])
{
    uint64_t bits = (uint64_t)(word >> p.lo & ((UINT32_C(1) << p.n) - 1)) << p.to;

    field[p.field] |= (int64_t)(p.n ? bits : p.to);
}

/* Most formats have no more pieces. Those that a format has not are all 0, and give nothing: so
 * the processor need not guess how many there are. */
enum { USUAL_PIECES = 4 };

void rv_operands(const struct rv_format *f, uint32_t word, int64_t field[RV_FIELD_COUNT])
{
    memset(field, 0, RV_FIELD_COUNT * sizeof(field[0]));
    for (unsigned k = 0; k < USUAL_PIECES; k++)
        take_piece(f->piece[k], word, field);
    for (unsigned k = USUAL_PIECES; k < f->n_pieces; k++)
        take_piece(f->piece[k], word, field);
    if (f->sign)
        field[RV_FIELD_imm] = sign_extend((uint64_t)field[RV_FIELD_imm], f->sign);
}

void rv_decode(uint32_t word, struct rv_insn *i)
{
    const struct decoder *d = get_decoder();
    const uint16_t *list;
    int64_t field[RV_FIELD_COUNT];

    i->len = (uint8_t)rv_len_bytes((uint16_t)word);
    if (i->len == 2) {
        word &= 0xffff;
        list = &d->pool[d->short_list[short_key(word)]];
    } else {
        list = &d->pool[d->long_list[long_key(word)]];
    }
    while (*list != RV_OP_reserved && (word & d->mask[*list]) != d->match[*list])
        list++;
    i->row = *list;
    i->op = rv_rows[i->row].expands;
    i->word = word;
    rv_operands(&rv_formats[rv_rows[i->row].format], word, field);
    i->rd = (uint8_t)field[RV_FIELD_rd];
    i->rs1 = (uint8_t)field[RV_FIELD_rs1];
    i->rs2 = (uint8_t)field[RV_FIELD_rs2];
    i->rs3 = (uint8_t)field[RV_FIELD_rs3];
    i->rm = (uint8_t)field[RV_FIELD_rm];
    i->imm = field[RV_FIELD_imm];
}
