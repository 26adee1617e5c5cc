/* Unicorn as the outside opinion on RV64GC, put right where the specification says otherwise
 * (README.md): each correction is made exactly where it applies, and counted. */
#pragma once

#include "tests/diff/engine.h"
#include "tests/lib/rv_random.h"

/* Where Unicorn 2.0.1 is wrong. */
enum oracle_error {
    ORACLE_UNBOXED_OPERAND, /* takes the low half of a single that is not NaN-boxed */
    ORACLE_UNBOXED_RESULT,  /* does not NaN-box a single result */
    ORACLE_MIN_SNAN,        /* fmin, fmax of a signalling NaN and a number: NaN */
    ORACLE_FMA_INVALID,     /* inf * 0 + quiet NaN: no NV */
    ORACLE_LRSC_MISALIGNED, /* does not trap */
    ORACLE_AMO_MISALIGNED,  /* the cause is that of a load */
    ORACLE_AMO_MINMAX,      /* the word forms compare all of rs2 */
    ORACLE_CSR_READ_ONLY,   /* csrrs, csrrc of a read-only CSR: rs1 that holds 0 taken for x0 */
    ORACLE_SC_SIZE,         /* sc of another size than lr's: writes, and reports failure */
    ORACLE_SC_UNMAPPED,     /* without a reservation: no fault, which is allowed too */
    ORACLE_TORN_STORE,      /* the bytes before the fault are stored, which is allowed too */
    ORACLE_N_ERRORS
};
extern const char *const oracle_error_name[ORACLE_N_ERRORS];

struct oracle;

struct oracle *oracle_create(enum rv_priv priv);
void oracle_destroy(struct oracle *o);
uint8_t *oracle_ram(struct oracle *o);

/* Runs p as diff_engine_run() does. False: there is nothing to compare. It jumped out of its
 * own instructions, to where an earlier program's may lie, or stored into them without a
 * fence.i, after which old and new bytes are both right. */
bool oracle_run(struct oracle *o, const struct rv_program *p, struct diff_state *s);

/* Instructions executed, and corrections made, since it was created. */
uint64_t oracle_steps(const struct oracle *o);
const uint64_t *oracle_errors(const struct oracle *o);
