/* Between the privileged rules (priv_rules.h) and our hart: the same state in both, an access made
 * by the soft MMU, and what it did, in the rules' terms. */
#pragma once

#include "tests/lib/priv_rules.h"
#include "tests/lib/rv_rig.h"

/* The hart's state as the rules hold it, and back. Counters are not carried over: see
 * pr_advance(). */
void priv_from_hart(struct pr_hart *p, const struct rv_hart *h);
void priv_to_hart(const struct pr_hart *p, struct rv_hart *h);

/* What our soft MMU made of an access. */
struct priv_result {
    bool ok;
    uint64_t cause, tval; /* if not ok */
    uint64_t value;       /* loads, LR: what was read; AMO: the old value; SC: what rd gets */
    uint64_t gpa;         /* fetches */
};
/* Stores `value` if kind stores; an SC comes with a reservation of sc_pa and what is there. */
void priv_access(struct rig *r, enum pr_kind kind, uint64_t va, unsigned size, uint64_t value,
                 uint64_t sc_pa, struct priv_result *out);

/* One line: the state that an access depends on. Returns text. */
const char *priv_line(const struct pr_hart *p, char *text, unsigned len);
const char *pr_kind_name(enum pr_kind kind);
