/* What every instruction of F and D does to its registers and to fflags, in plain integers:
 * written from IEEE 754-2019 and the RISC-V unprivileged manual (chapters F and D), and from
 * nothing of dbt, so that dbt can be compared with it.
 *
 *     registers --unbox--> sign, exponent, significand --exact--> the same, wide --round-->
 * register
 *
 * A row has the name of the row in frontend/riscv/isa. Registers are raw: a single is boxed, and
 * what is not boxed reads as the canonical NaN (manual, "NaN Boxing of Narrower Values"). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { FP_RNE, FP_RTZ, FP_RDN, FP_RUP, FP_RMM, FP_N_MODES };
enum { FP_NX = 1, FP_UF = 2, FP_OF = 4, FP_DZ = 8, FP_NV = 16 };

struct fp_format;
struct fp_rule;

/* Operands as the types say: singles unboxed to 32 bits, everything else as the register is. */
typedef uint64_t fp_rule_fn(const struct fp_rule *rule, const uint64_t v[3], unsigned rm,
                            unsigned *flags);

/* Types of operands and results:
 *     s d        a single, a double, in a floating-point register
 *     r          a floating-point register as it is
 *     w u l v    an integer register: int32, uint32, int64, uint64 */
struct fp_rule {
    const char *name;     /* with _ for a dot, as in the tables of the front end */
    const char *operands; /* one letter each */
    char result;
    bool rounds; /* has the rm field */
    fp_rule_fn *rule;
    int variant; /* what the function makes of it */
};

extern const struct fp_rule fp_rules[];
extern const unsigned fp_n_rules;

/* NULL: none. */
const struct fp_rule *fp_rule_find(const char *name);

/* v: registers, as many as the rule has operands; rm: 0..4. Returns the register that is written,
 * and ORs what is raised into *flags. */
uint64_t fp_rule_apply(const struct fp_rule *rule, const uint64_t *v, unsigned rm, unsigned *flags);

/* Is the type in a floating-point register? */
static inline bool fp_type_is_float(char type)
{
    return type == 's' || type == 'd' || type == 'r';
}

static inline unsigned fp_rule_arity(const struct fp_rule *rule)
{
    return rule->operands[1] == 0 ? 1 : rule->operands[2] == 0 ? 2 : 3;
}
