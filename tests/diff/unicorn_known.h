/* Where Unicorn 2.0.1 is known to be wrong, or to use a freedom that the specification gives
 * differently from us: rows of unicorn_known.def. */
#pragma once

#include "tests/diff/unicorn_oracle.h"

enum unicorn_known {
    UNICORN_UNKNOWN,
#define KNOWN(name, clause, what, when) UNICORN_##name,
#include "tests/diff/unicorn_known.def"
#undef KNOWN
    UNICORN_N_KNOWN
};

/* The first instruction after which the two disagree. */
struct culprit {
    struct rv_insn i;
    struct rv_regs before;
    uint16_t lr;       /* the last load-reserved before it; 0: none */
    bool touches_code; /* a load or store before it, or it, met the code */
};

/* Does the instruction, with these operands, explain the difference? */
enum unicorn_known unicorn_known(const struct culprit *c, const struct rv_end *ours,
                                 const struct unicorn_end *theirs);
const char *unicorn_known_name(enum unicorn_known k);
const char *unicorn_known_clause(enum unicorn_known k);
const char *unicorn_known_what(enum unicorn_known k);
