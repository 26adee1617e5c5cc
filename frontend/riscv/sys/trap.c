/* Traps and interrupts: who takes them, what is saved, and the way back. */
#include <inttypes.h>

#include "frontend/riscv/sys/sys.h"

const char *rv_cause_name(uint64_t cause)
{
    static const char *const exceptions[] = {
        [RV_FETCH_MISALIGNED] = "fetch misaligned",
        [RV_FETCH_ACCESS] = "fetch access fault",
        [RV_ILLEGAL] = "illegal instruction",
        [RV_BREAKPOINT] = "breakpoint",
        [RV_LOAD_MISALIGNED] = "load misaligned",
        [RV_LOAD_ACCESS] = "load access fault",
        [RV_STORE_MISALIGNED] = "store misaligned",
        [RV_STORE_ACCESS] = "store access fault",
        [RV_ECALL_U] = "ecall from U",
        [RV_ECALL_S] = "ecall from S",
        [RV_ECALL_M] = "ecall from M",
        [RV_FETCH_PAGE] = "fetch page fault",
        [RV_LOAD_PAGE] = "load page fault",
        [RV_STORE_PAGE] = "store page fault",
    };
    static const char *const interrupts[] = {
        [RV_SSI] = "supervisor software interrupt", [RV_MSI] = "machine software interrupt",
        [RV_STI] = "supervisor timer interrupt",    [RV_MTI] = "machine timer interrupt",
        [RV_SEI] = "supervisor external interrupt", [RV_MEI] = "machine external interrupt",
    };
    uint64_t n = cause & ~RV_CAUSE_INTERRUPT;
    const char *name = NULL;

    if (cause & RV_CAUSE_INTERRUPT)
        name = n < sizeof(interrupts) / sizeof(interrupts[0]) ? interrupts[n] : NULL;
    else
        name = n < sizeof(exceptions) / sizeof(exceptions[0]) ? exceptions[n] : NULL;
    return name ? name : "reserved";
}

/* ---- Entry ----------------------------------------------------------------------- */

static uint64_t vector(uint64_t tvec, uint64_t cause)
{
    uint64_t base = tvec & ~UINT64_C(3);
    bool vectored = (tvec & 1) && (cause & RV_CAUSE_INTERRUPT);

    return vectored ? base + 4 * (cause & ~RV_CAUSE_INTERRUPT) : base;
}

static void enter_supervisor(struct rv_hart *h, uint64_t cause, uint64_t tval)
{
    uint64_t status = h->mstatus & ~(RV_STATUS_SIE | RV_STATUS_SPIE | RV_STATUS_SPP);

    status |= h->mstatus & RV_STATUS_SIE ? RV_STATUS_SPIE : 0;
    status |= h->priv == RV_S ? RV_STATUS_SPP : 0;
    h->mstatus = status;
    h->scause = cause;
    h->sepc = h->s.pc;
    h->stval = tval;
    h->priv = RV_S;
    h->s.pc = vector(h->stvec, cause);
}

static void enter_machine(struct rv_hart *h, uint64_t cause, uint64_t tval)
{
    uint64_t status = h->mstatus & ~(RV_STATUS_MIE | RV_STATUS_MPIE | RV_STATUS_MPP);

    status |= h->mstatus & RV_STATUS_MIE ? RV_STATUS_MPIE : 0;
    status |= (uint64_t)h->priv << RV_STATUS_MPP_SHIFT;
    h->mstatus = status;
    h->mcause = cause;
    h->mepc = h->s.pc;
    h->mtval = tval;
    h->priv = RV_M;
    h->s.pc = vector(h->mtvec, cause);
}

/* A reservation survives: sc may fail after a trap, but need not. What mmu_sc asks of it holds
 * however late it comes. */
static void enter(struct rv_hart *h, uint64_t cause, uint64_t tval, bool delegated)
{
    if (log_on(LOG_trap))
        log_line(LOG_trap, "trap: %s (%" PRIx64 ") pc %016" PRIx64 " tval %016" PRIx64 " %c -> %c",
                 rv_cause_name(cause), cause, h->s.pc, tval, "US?M"[h->priv],
                 delegated ? 'S' : 'M');
    if (delegated)
        enter_supervisor(h, cause, tval);
    else
        enter_machine(h, cause, tval);
    rv_sync(h);
}

void rv_trap(struct rv_hart *h, uint64_t cause, uint64_t tval)
{
    if (cause == RV_ECALL_S && h->builtin_sbi) {
        rv_sbi_call(h);
        return;
    }
    enter(h, cause, tval, h->priv <= RV_S && cause < 64 && (h->medeleg >> cause & 1));
}

/* ---- Interrupts ------------------------------------------------------------------ */

/* Those of `pending` that go to one level, by falling priority (3.1.9). */
static int highest(uint64_t pending)
{
    static const uint8_t order[] = {RV_MEI, RV_MSI, RV_MTI, RV_SEI, RV_SSI, RV_STI};

    for (unsigned i = 0; i < sizeof(order); i++) {
        if (pending >> order[i] & 1)
            return order[i];
    }
    return -1;
}

int rv_irq_deliverable(const struct rv_hart *h)
{
    uint64_t pending = rv_mip_latched(h) & h->mie;
    bool m_open = h->priv < RV_M || (h->mstatus & RV_STATUS_MIE);
    bool s_open = h->priv < RV_S || (h->priv == RV_S && (h->mstatus & RV_STATUS_SIE));
    int irq = -1;

    if (pending == 0)
        return -1;
    /* All that go to M come before any that goes to S. */
    if (m_open)
        irq = highest(pending & ~h->mideleg);
    if (irq < 0 && s_open)
        irq = highest(pending & h->mideleg);
    return irq;
}

void rv_sync_irq(struct rv_hart *h)
{
    if (rv_irq_deliverable(h) >= 0)
        state_pend(&h->s, PENDING_IRQ);
}

/* PENDING_IRQ goes first and the bits are read after: a bit that is raised in
 * between sets it again, so that no interrupt is slept through. */
bool rv_interrupt(struct rv_hart *h)
{
    enum rv_attend others;
    int irq;

    atomic_fetch_and(&h->s.pending, ~(uint32_t)PENDING_IRQ);
    others = rv_attend(h);
    if (others != RV_ATTEND_RUN)
        return others == RV_ATTEND_BEGAN;
    irq = rv_irq_deliverable(h);
    if (irq < 0)
        return false;
    enter(h, RV_CAUSE_INTERRUPT | (unsigned)irq, 0, (h->mideleg >> irq & 1) != 0);
    return true;
}

/* SSIP is a bit that software clears (an IPI was taken); the others are levels. */
void rv_set_mip(struct rv_hart *h, unsigned bit_number, bool level)
{
    _Atomic uint64_t *word = bit_number == RV_SSI ? &h->mip : &h->mip_line;
    uint64_t mask = bit(bit_number);
    uint64_t old = level ? atomic_fetch_or(word, mask) : atomic_fetch_and(word, ~mask);

    if (((old & mask) != 0) == level)
        return;
    if (log_on(LOG_irq))
        log_line(LOG_irq, "irq: hart %" PRIu64 " %s %s", h->hartid,
                 rv_cause_name(RV_CAUSE_INTERRUPT | bit_number), level ? "raised" : "lowered");
    if (level)
        state_pend(&h->s, PENDING_IRQ);
}

/* ---- The way back ---------------------------------------------------------------- */

/* MPRV does not survive the way to a lower privilege: 3.1.6.3. */
static void set_priv(struct rv_hart *h, enum rv_priv priv)
{
    h->priv = priv;
    if (priv != RV_M)
        h->mstatus &= ~RV_STATUS_MPRV;
    rv_sync(h);
    if (priv == RV_U && h->yield_in_user)
        state_pend(&h->s, PENDING_YIELD);
}

uint64_t rv_mret(struct rv_hart *h)
{
    enum rv_priv to = (enum rv_priv)bits_get(h->mstatus, RV_STATUS_MPP_SHIFT, 2);
    uint64_t status = h->mstatus & ~(RV_STATUS_MIE | RV_STATUS_MPP);

    status |= h->mstatus & RV_STATUS_MPIE ? RV_STATUS_MIE : 0;
    h->mstatus = status | RV_STATUS_MPIE;
    set_priv(h, to);
    return h->mepc;
}

uint64_t rv_sret(struct rv_hart *h)
{
    enum rv_priv to = h->mstatus & RV_STATUS_SPP ? RV_S : RV_U;
    uint64_t status = h->mstatus & ~(RV_STATUS_SIE | RV_STATUS_SPP);

    status |= h->mstatus & RV_STATUS_SPIE ? RV_STATUS_SIE : 0;
    h->mstatus = status | RV_STATUS_SPIE;
    set_priv(h, to);
    return h->sepc;
}
