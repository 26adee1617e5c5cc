/* Traps and returns by the privileged specification's text, and which instructions a hart may
 * execute. */
#include "tests/lib/priv_rules.h"

#include <stddef.h>

#define BIT(n)    (UINT64_C(1) << (n))
#define INTERRUPT BIT(63)

/* ---- Interrupts (3.1.9, 10.1.3) ---------------------------------------------------------------
 */

static int first_of(uint64_t pending)
{
    /* MEI, MSI, MTI, SEI, SSI, STI. */
    static const int order[] = {11, 3, 7, 9, 1, 5};

    for (unsigned i = 0; i < 6; i++) {
        if (pending & BIT(order[i]))
            return order[i];
    }
    return -1;
}

int pr_interrupt(const struct pr_hart *h, const char **clause)
{
    uint64_t ready = pr_pending(h) & h->mie;
    uint64_t to_m = ready & ~h->mideleg, to_s = ready & h->mideleg;

    *clause = "3.1.9: interrupts to M-mode take priority over any to lower modes";
    if (to_m && (h->priv != PR_M || (h->mstatus & PR_MIE)))
        return first_of(to_m);
    *clause = "10.1.3: S traps if it is S with SIE, or less than S";
    if (to_s && (h->priv == PR_U || (h->priv == PR_S && (h->mstatus & PR_SIE))))
        return first_of(to_s);
    *clause = "3.1.9: none is pending, enabled and not masked";
    return -1;
}

/* ---- Entry (3.1.6.1, 3.1.7, 3.1.8, 10.1.2)
 * ---------------------------------------------------------- */

/* Vectored: interrupts only, BASE + 4 * cause. */
static uint64_t target(uint64_t tvec, uint64_t cause)
{
    uint64_t base = tvec >> 2 << 2;

    if ((tvec & 3) == 1 && (cause & INTERRUPT))
        return base + 4 * (cause & ~INTERRUPT);
    return base;
}

static uint64_t copy_bit(uint64_t status, uint64_t to, bool set)
{
    return set ? status | to : status & ~to;
}

static void enter(struct pr_hart *h, uint64_t cause, uint64_t tval, bool to_s)
{
    if (to_s) {
        h->scause = cause;
        h->sepc = h->pc;
        h->stval = tval;
        h->mstatus = copy_bit(h->mstatus, PR_SPP, h->priv == PR_S);
        h->mstatus = copy_bit(h->mstatus, PR_SPIE, h->mstatus & PR_SIE);
        h->mstatus &= ~PR_SIE;
        h->priv = PR_S;
        h->pc = target(h->stvec, cause);
        return;
    }
    h->mcause = cause;
    h->mepc = h->pc;
    h->mtval = tval;
    h->mstatus = (h->mstatus & ~PR_MPP) | (uint64_t)h->priv << PR_MPP_SHIFT;
    h->mstatus = copy_bit(h->mstatus, PR_MPIE, h->mstatus & PR_MIE);
    h->mstatus &= ~PR_MIE;
    h->priv = PR_M;
    h->pc = target(h->mtvec, cause);
}

/* 3.1.16: "for other traps, mtval is set to zero". */
void pr_take_interrupt(struct pr_hart *h, int irq)
{
    enter(h, INTERRUPT | (uint64_t)irq, 0, h->mideleg & BIT(irq));
}

/* 3.1.8: delegated "when occurring in S-mode or U-mode"; never to a lower mode. */
void pr_take_exception(struct pr_hart *h, uint64_t cause, uint64_t tval)
{
    enter(h, cause, tval, h->priv != PR_M && (h->medeleg & BIT(cause)));
}

/* ---- Returns (3.1.6.1, 3.3.2)
 * ------------------------------------------------------------------------- */

static void returned(struct pr_hart *h, unsigned priv, uint64_t epc)
{
    h->priv = priv;
    h->pc = epc;
    if (priv != PR_M)
        h->mstatus &= ~PR_MPRV;
}

void pr_return(struct pr_hart *h, enum pr_insn insn)
{
    if (insn == PR_MRET) {
        unsigned y = h->mstatus >> PR_MPP_SHIFT & 3;

        h->mstatus = copy_bit(h->mstatus, PR_MIE, h->mstatus & PR_MPIE);
        h->mstatus = (h->mstatus | PR_MPIE) & ~PR_MPP;
        returned(h, y, h->mepc);
    } else {
        unsigned y = h->mstatus & PR_SPP ? PR_S : PR_U;

        h->mstatus = copy_bit(h->mstatus, PR_SIE, h->mstatus & PR_SPIE);
        h->mstatus = (h->mstatus | PR_SPIE) & ~PR_SPP;
        returned(h, y, h->sepc);
    }
}

/* ---- Who may execute what (3.1.6.5, 3.3, Svinval, Zawrs, Zicbom)
 * ------------------------------------------ */

/* Each level above the one that executes has the field open. */
static bool cbo_legal(const struct pr_hart *h, uint64_t envcfg_field)
{
    if (h->priv != PR_M && !(h->menvcfg & envcfg_field))
        return false;
    return h->priv != PR_U || (h->senvcfg & envcfg_field);
}

bool pr_legal(const struct pr_hart *h, enum pr_insn insn, const char **clause)
{
    bool m = h->priv == PR_M, s = h->priv == PR_S;

    switch (insn) {
    case PR_MRET: *clause = "3.3.2: MRET can be executed in M only"; return m;
    case PR_SRET:
        *clause = "3.3.2, 3.1.6.5: SRET in M, and in S unless TSR";
        return m || (s && !(h->mstatus & PR_TSR));
    case PR_WFI:
        *clause = "3.1.6.5, 3.3.3: WFI in M, in S unless TW; choice: never in U";
        return m || (s && !(h->mstatus & PR_TW));
    case PR_SFENCE_VMA:
    case PR_SINVAL_VMA:
        *clause = "3.1.6.5, 10.2.1: in M, and in S unless TVM";
        return m || (s && !(h->mstatus & PR_TVM));
    case PR_SFENCE_W_INVAL: *clause = "Svinval: in S and M, whatever TVM says"; return m || s;
    case PR_WRS_NTO:
        *clause = "Zawrs: choice, illegal at once under TW below M";
        return m || !(h->mstatus & PR_TW);
    case PR_WRS_STO: *clause = "Zawrs: WRS.STO is not subject to TW"; return true;
    case PR_CBO_CLEAN:
    case PR_CBO_FLUSH: *clause = "Zicbom: CBCFE"; return cbo_legal(h, PR_CBCFE);
    case PR_CBO_INVAL: *clause = "Zicbom: CBIE"; return cbo_legal(h, PR_CBIE);
    default: *clause = "Zicboz: CBZE"; return cbo_legal(h, PR_CBZE);
    }
}

/* ---- Several exceptions at once (3.1.15, "Synchronous exception priority")
 * ---------------------------------- */

static bool raise(uint64_t *cause, uint64_t c, uint64_t *tval, uint64_t t)
{
    *cause = c;
    *tval = t;
    return true;
}

bool pr_first_exception(const struct pr_reasons *r, uint64_t *cause, uint64_t *tval,
                        const char **clause)
{
    /* Parcels in the order in which they are needed. */
    for (unsigned i = 0; i < 2; i++) {
        if (r->fetch[i] && !r->fetch[i]->ok) {
            *clause = r->fetch[i]->clause;
            return raise(cause, r->fetch[i]->cause, tval, r->fetch[i]->tval);
        }
    }
    *clause = "3.1.15: illegal instruction; 3.1.16: its bits";
    if (r->illegal)
        return raise(cause, 2, tval, r->word);
    *clause = "2.5 (unprivileged): on the jump; 3.1.16: the target";
    if (r->target_misaligned)
        return raise(cause, 0, tval, r->target);
    *clause = "3.3.1: ecall, by mode; tval 0";
    if (r->ecall)
        return raise(cause, 8 + r->priv, tval, 0);
    *clause = "3.3.1, 3.1.16: ebreak; choice: tval is pc";
    if (r->ebreak)
        return raise(cause, 3, tval, r->pc);
    if (r->data && !r->data->ok) {
        *clause = r->data->clause;
        return raise(cause, r->data->cause, tval, r->data->tval);
    }
    *clause = "none";
    return false;
}
