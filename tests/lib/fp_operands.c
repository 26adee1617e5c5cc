#include "tests/lib/fp_operands.h"

#define BOX UINT64_C(0xffffffff00000000)

struct layout {
    int fraction, exponent; /* bits */
};

static struct layout layout_of(char type)
{
    return type == 's' ? (struct layout){23, 8} : (struct layout){52, 11};
}

static int bias_of(struct layout l)
{
    return (1 << (l.exponent - 1)) - 1;
}

static int top_exponent(struct layout l)
{
    return (1 << l.exponent) - 1;
}

static uint64_t sign_bit(struct layout l)
{
    return UINT64_C(1) << (l.fraction + l.exponent);
}

/* ---- Randomness ------------------------------------------------------------------------------ */

void fp_operands_init(struct fp_operands *o, uint64_t seed)
{
    o->rng = seed * UINT64_C(0xd1342543de82ef95) + 1;
    o->n = 0;
    o->mul[0] = fp_rule_find("fmul_s");
    o->mul[1] = fp_rule_find("fmul_d");
    o->from_long[0] = fp_rule_find("fcvt_s_l");
    o->from_long[1] = fp_rule_find("fcvt_d_l");
}

/* A Weyl sequence and a mixer. */
uint64_t fp_operands_random(struct fp_operands *o)
{
    uint64_t z = o->rng += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

unsigned fp_operands_below(struct fp_operands *o, unsigned n)
{
    return (unsigned)((fp_operands_random(o) >> 32) * n >> 32);
}

static int around(struct fp_operands *o, int middle, int spread)
{
    return middle - spread + (int)fp_operands_below(o, 2 * (unsigned)spread + 1);
}

static uint64_t bit_below(struct fp_operands *o, int width)
{
    return UINT64_C(1) << fp_operands_below(o, (unsigned)width);
}

/* ---- Parts of a number ----------------------------------------------------------------------- */

/* Patterns of `width` bits, with anything above them: one bit, two, their difference (a run), runs
 * from either end, holes, zeros below or above something random. */
static uint64_t pattern(struct fp_operands *o, int width)
{
    const uint64_t a = bit_below(o, width), b = bit_below(o, width);

    switch (fp_operands_below(o, 10)) {
    case 0: return 0;
    case 1: return a;
    case 2: return a + b;
    case 3: return a - b;
    case 4: return a - 1;
    case 5: return 0 - a;
    case 6: return ~a;
    case 7: return (fp_operands_random(o) | 1) * a;
    case 8: return fp_operands_random(o) & (a - 1);
    default: return fp_operands_random(o);
    }
}

static int interesting_exponent(struct fp_operands *o, struct layout l)
{
    const int bias = bias_of(l), top = top_exponent(l), p = l.fraction + 1;
    const int middle[] = {0, 1, p, bias - p, bias, bias + p, bias + 31, bias + 63, top - 1, top};

    return around(o, middle[fp_operands_below(o, 10)], 2);
}

/* A number of this exponent, or the nearest that there is, of any pattern and sign. */
static uint64_t of_exponent(struct fp_operands *o, struct layout l, int exponent)
{
    const int top = top_exponent(l);
    const uint64_t e = (uint64_t)(exponent < 0 ? 0 : exponent > top ? top : exponent);
    const uint64_t fraction = pattern(o, l.fraction) & ((UINT64_C(1) << l.fraction) - 1);

    return (fp_operands_random(o) & sign_bit(l)) | e << l.fraction | fraction;
}

static int exponent_of(struct layout l, uint64_t bits)
{
    return (int)(bits >> l.fraction) & top_exponent(l);
}

/* ---- The small set --------------------------------------------------------------------------- */

enum { N_EXPONENTS = 11, N_FRACTIONS = 6, N_SMALL = 2 * N_EXPONENTS * N_FRACTIONS };

static uint64_t small_member(struct layout l, unsigned k)
{
    const int bias = bias_of(l), top = top_exponent(l), p = l.fraction + 1;
    const int exponent[N_EXPONENTS] = {0,        1,        2,       bias - p, bias - 1, bias,
                                       bias + 1, bias + p, top - 2, top - 1,  top};
    const uint64_t half = UINT64_C(1) << (l.fraction - 1);
    const uint64_t fraction[N_FRACTIONS] = {0, 1, half - 1, half, half + 1, 2 * half - 1};
    const uint64_t sign = k & 1 ? sign_bit(l) : 0;

    k /= 2;
    return sign | (uint64_t)exponent[k % N_EXPONENTS] << l.fraction | fraction[k / N_EXPONENTS];
}

/* All pairs, one after the other in an order that spreads (the step and the number of pairs have
 * no common divisor); the third operand is any. */
static void small_operands(struct fp_operands *o, struct layout l, uint64_t v[3])
{
    enum { PAIRS = N_SMALL * N_SMALL, STEP = 6151 };
    unsigned k = (unsigned)(o->n % PAIRS) * STEP % PAIRS;

    v[0] = small_member(l, k % N_SMALL);
    v[1] = small_member(l, k / N_SMALL);
    v[2] = small_member(l, fp_operands_below(o, N_SMALL));
}

/* ---- Single operands ------------------------------------------------------------------------- */

/* n + 0, 1/4, 1/2 or 3/4 where n is close to a power of two at which some integer type ends or
 * some format stops having fractions. */
static uint64_t near_integer_limit(struct fp_operands *o, char type)
{
    static const int limit[] = {0, 1, 7, 23, 24, 30, 31, 32, 51, 52, 53, 60};
    const struct fp_rule *from = o->from_long[type == 'd'];
    const struct layout l = layout_of(type);
    const int64_t n = (INT64_C(4) << limit[fp_operands_below(o, 12)]) + around(o, 0, 9);
    const uint64_t register_value = (uint64_t)n;
    unsigned ignored = 0;
    uint64_t bits = fp_rule_apply(from, &register_value, fp_operands_below(o, 5), &ignored);

    if (type == 's')
        bits &= ~BOX;
    if (exponent_of(l, bits) > 2)
        bits -= UINT64_C(2) << l.fraction;
    return bits ^ (fp_operands_random(o) & sign_bit(l));
}

/* The limits of 64 bits, and what is next to them. */
static uint64_t near_long_limit(struct fp_operands *o, struct layout l)
{
    uint64_t exponent = (uint64_t)(bias_of(l) + around(o, 63, 1));

    return ((exponent << l.fraction) + (uint64_t)around(o, 0, 2)) ^
           (fp_operands_random(o) & sign_bit(l));
}

/* A double halfway between two singles, or next to it; subnormal ones too, which have fewer
 * bits. */
static uint64_t near_halfway_single(struct fp_operands *o)
{
    const int e = fp_operands_below(o, 2) ? around(o, -138, 14) : around(o, 0, 128);
    const int kept = e < -126 ? e + 149 : 23; /* bits of the single's fraction */
    const int lost = 52 - (kept < 0 ? 0 : kept);
    const uint64_t half = UINT64_C(1) << (lost - 1);
    const uint64_t high = lost < 52 ? (pattern(o, 52 - lost) << lost) & (UINT64_MAX >> 12) : 0;
    const uint64_t low[] = {0, 1, half - 1, half, half + 1, 2 * half - 1};

    return (fp_operands_random(o) & UINT64_C(1) << 63) | (uint64_t)(e + 1023) << 52 | high |
           low[fp_operands_below(o, 6)];
}

/* The square of a number of half as many bits, or next to it. */
static uint64_t near_square(struct fp_operands *o, char type)
{
    const struct fp_rule *mul = o->mul[type == 'd'];
    const struct layout l = layout_of(type);
    const uint64_t keep = UINT64_MAX << (l.fraction / 2 + 1);
    uint64_t root = of_exponent(o, l, around(o, bias_of(l), bias_of(l) / 2)) & keep;
    unsigned ignored = 0;

    if (type == 's')
        root |= BOX;
    const uint64_t v[2] = {root, root};

    return fp_rule_apply(mul, v, FP_RNE, &ignored) + (uint64_t)around(o, 0, 1);
}

/* Without its box, whose place the caller fills. */
static uint64_t any_float(struct fp_operands *o, char type)
{
    const struct layout l = layout_of(type);

    switch (fp_operands_below(o, 12)) {
    case 0: return small_member(l, fp_operands_below(o, N_SMALL));
    case 1: return fp_operands_random(o);
    case 2: return near_integer_limit(o, type);
    case 3: return near_long_limit(o, l);
    case 4: return type == 'd' ? near_halfway_single(o) : of_exponent(o, l, 0);
    case 5: return near_square(o, type);
    case 6:
    case 7: return of_exponent(o, l, around(o, bias_of(l), l.fraction + 14));
    case 8:
    case 9: return of_exponent(o, l, (int)fp_operands_below(o, 1U << l.exponent));
    default: return of_exponent(o, l, interesting_exponent(o, l));
    }
}

static uint64_t any_int(struct fp_operands *o)
{
    const uint64_t n = pattern(o, 64) >> fp_operands_below(o, 64);
    const unsigned shift = fp_operands_below(o, 64);

    switch (fp_operands_below(o, 5)) {
    case 0: /* halfway between two numbers of 24 or 53 bits, or next to it */
        return ((((fp_operands_random(o) >> (fp_operands_below(o, 2) ? 40 : 11)) << 1 | 1)
                 << (shift % 40)) +
                (uint64_t)around(o, 0, 1)) ^
               (0 - (uint64_t)fp_operands_below(o, 2));
    case 1: return (UINT64_C(1) << shift) + (uint64_t)around(o, 0, 2);
    case 2: return 0 - n;
    default: return n;
    }
}

/* ---- Operands chosen for another ------------------------------------------------------------- */

/* For `other`: close to it or to its negative, as large, half a unit of it, or such that product
 * or quotient are about to underflow or to overflow. */
static uint64_t related_float(struct fp_operands *o, char type, uint64_t other)
{
    const struct layout l = layout_of(type);
    const int e = exponent_of(l, other), bias = bias_of(l), p = l.fraction + 1;
    const int edge = fp_operands_below(o, 2) ? around(o, top_exponent(l), 1) : around(o, 0, p + 2);

    switch (fp_operands_below(o, 7)) {
    case 0: return (other ^ sign_bit(l)) + (uint64_t)around(o, 0, 3);
    case 1: return other + (uint64_t)around(o, 0, 2);
    case 2: return of_exponent(o, l, around(o, e, 2));
    case 3: return of_exponent(o, l, around(o, e - p, 2));
    case 4: return of_exponent(o, l, around(o, e, p + 3));
    case 5: return of_exponent(o, l, around(o, edge + bias - e, 1));
    default: return of_exponent(o, l, around(o, e - edge + bias, 1));
    }
}

/* One upper half in 32 is not all ones, if only by a bit. */
static uint64_t boxed(struct fp_operands *o, char type, uint64_t bits)
{
    if (type != 's')
        return bits;
    if (fp_operands_below(o, 32) != 0)
        return BOX | bits;
    const uint64_t upper = fp_operands_random(o) & BOX;

    switch (fp_operands_below(o, 4)) {
    case 0: return upper | (uint32_t)bits;
    case 1: return (uint32_t)bits;
    default: return (BOX ^ UINT64_C(1) << (32 + fp_operands_below(o, 32))) | (uint32_t)bits;
    }
}

/* The addend of a fused operation that nearly cancels the product, or is half a unit of it. */
static uint64_t related_addend(struct fp_operands *o, char type, const uint64_t v[2])
{
    const struct fp_rule *mul = o->mul[type == 'd'];
    const struct layout l = layout_of(type);
    unsigned ignored = 0;
    uint64_t product = fp_rule_apply(mul, v, fp_operands_below(o, 5), &ignored);

    if (fp_operands_below(o, 3) == 0)
        return related_float(o, type, product);
    return product ^ (fp_operands_random(o) & sign_bit(l));
}

uint64_t fp_operand(struct fp_operands *o, char type)
{
    if (type == 'r')
        type = fp_operands_below(o, 2) ? 's' : 'd';
    if (!fp_type_is_float(type))
        return any_int(o);
    return boxed(o, type, any_float(o, type));
}

void fp_operands_draw(struct fp_operands *o, const struct fp_rule *rule, uint64_t v[3])
{
    const unsigned arity = fp_rule_arity(rule);
    const char type = rule->operands[0];

    o->n++;
    v[0] = v[1] = v[2] = 0;
    if (arity == 1) {
        v[0] = fp_operand(o, type);
        return;
    }
    if (fp_operands_below(o, 4) == 0) {
        small_operands(o, layout_of(type), v);
    } else {
        v[0] = any_float(o, type);
        v[1] = fp_operands_below(o, 2) ? any_float(o, type) : related_float(o, type, v[0]);
        if (fp_operands_below(o, 8) == 0)
            v[1] = v[0];
        v[2] = fp_operands_below(o, 2) ? any_float(o, type) : related_float(o, type, v[1]);
    }
    v[0] = boxed(o, type, v[0]);
    v[1] = boxed(o, type, v[1]);
    if (arity == 3 && fp_operands_below(o, 3) == 0)
        v[2] = related_addend(o, type, v);
    v[2] = arity == 3 ? boxed(o, type, v[2]) : 0;
}
