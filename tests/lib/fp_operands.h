/* Operands for floating point, in the classes that Berkeley TestFloat's documentation describes:
 * exponents about 0, the bias and the maximum; significands of few bits, runs of ones, random;
 * pairs of a small set; and operands chosen for one another: cancellation, halfway sums, products
 * and quotients at the edges, numbers about the limits of integers, doubles halfway between two
 * singles. The same seed gives the same operands, always. */
#pragma once

#include "tests/lib/fp_rules.h"

struct fp_operands {
    uint64_t rng;
    uint64_t n; /* drawn so far: where we are among the pairs of the small set */
    const struct fp_rule *mul[2], *from_long[2]; /* singles, doubles */
};

void fp_operands_init(struct fp_operands *o, uint64_t seed);

uint64_t fp_operands_random(struct fp_operands *o);
unsigned fp_operands_below(struct fp_operands *o, unsigned n);

/* A register of the type (struct fp_rule says which there are), related to nothing. One single in
 * 32 is not boxed. */
uint64_t fp_operand(struct fp_operands *o, char type);

/* The operands of one case of the rule; those that it does not have are 0. */
void fp_operands_draw(struct fp_operands *o, const struct fp_rule *rule, uint64_t v[3]);
