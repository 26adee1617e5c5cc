/* Counters, clock and timer compare; floating-point control and flags.
 *
 * mcycle and minstret are one clock with two bases:
 *
 *      counter = clock - base      while it counts
 *      counter = base              while mcountinhibit stops it
 *
 * The clock is the number of instructions under --time=virtual. In host time it
 * is the machine's clock at 1 GHz for both: counting instructions would cost every
 * block, and a guest can only use either to see that time has passed. */
#include "frontend/riscv/sys/sys.h"

/* ---- mcycle, minstret, and how they are seen ------------------------------------- */

uint64_t rv_time(const struct rv_hart *h)
{
    return h->now_ticks ? h->now_ticks(h->now_arg) : 0;
}

/* What counter n counts. In virtual time a trap takes a cycle and retires nothing
 * (Privileged 3.3.1: ECALL and EBREAK "should not increment the minstret CSR"). */
static uint64_t count_of(const struct rv_hart *h, unsigned n)
{
    uint64_t set = __atomic_load_n(&h->s.time_add, __ATOMIC_RELAXED);

    if (!h->virtual_time) /* since power-on, whatever mtime was set to */
        return (rv_time(h) - set) * RV_CYCLES_PER_TICK;
    return n == 0 ? h->s.icount : h->s.icount - h->s.n_unretired;
}

static uint64_t *counter_base(struct rv_hart *h, unsigned n)
{
    return n == 0 ? &h->mcycle_base : &h->minstret_base;
}

uint64_t rv_counter(const struct rv_hart *h, unsigned n)
{
    uint64_t base = n == 0 ? h->mcycle_base : h->minstret_base;

    return h->mcountinhibit & bit(n) ? base : count_of(h, n) - base;
}

/* From the guest's CSR instruction: "a value written to instret by one instruction will be the
 * value read by the following instruction" (Zicsr). The writing instruction, which the clock
 * is about to count, does not count. In host time no count is that exact. */
void rv_counter_write_csr(struct rv_hart *h, unsigned n, uint64_t v)
{
    uint64_t counted = h->virtual_time && !(h->mcountinhibit & bit(n)) ? 1 : 0;

    rv_counter_write(h, n, v - counted);
}

void rv_counter_write(struct rv_hart *h, unsigned n, uint64_t v)
{
    *counter_base(h, n) = h->mcountinhibit & bit(n) ? v : count_of(h, n) - v;
}

void rv_mcountinhibit_write(struct rv_hart *h, uint64_t v)
{
    static const unsigned running[] = {0, 2};
    uint64_t inhibit = (uint32_t)v & ~bit(1); /* time cannot be stopped */

    for (unsigned i = 0; i < 2; i++) {
        unsigned n = running[i];
        uint64_t value = rv_counter(h, n);

        h->mcountinhibit = (h->mcountinhibit & ~bit(n)) | (inhibit & bit(n));
        rv_counter_write(h, n, value);
    }
    h->mcountinhibit = inhibit;
}

/* cycle, time, instret and hpmcounter3.. for less than M: each level above must
 * have opened the counter. The first three are Zicntr; the rest read as 0. */
bool rv_counter_ok(const struct rv_hart *h, unsigned n)
{
    if (n < 3 && !rv_has(&h->model, RV_EXT_zicntr))
        return false;
    if (h->priv < RV_M && (h->mcounteren & bit(n)) == 0)
        return false;
    return h->priv > RV_U || (h->scounteren & bit(n)) != 0;
}

void rv_mcounteren_write(struct rv_hart *h, uint64_t v)
{
    h->mcounteren = (uint32_t)v;
    rv_sync(h); /* RV_MODE_TIME_OK */
}

void rv_scounteren_write(struct rv_hart *h, uint64_t v)
{
    h->scounteren = (uint32_t)v;
    rv_sync(h);
}

/* ---- stimecmp -------------------------------------------------------------------- */

bool rv_stimecmp_ok(const struct rv_hart *h)
{
    if (!rv_has(&h->model, RV_EXT_sstc))
        return false;
    return h->priv == RV_M || ((h->menvcfg & RV_ENVCFG_STCE) && (h->mcounteren & bit(1)));
}

void rv_stimecmp_write(struct rv_hart *h, uint64_t v)
{
    h->stimecmp = v;
    rv_timer_tick(h);
}

void rv_timer_tick(struct rv_hart *h)
{
    bool in_use = rv_timer_in_use(h);
    bool reached = in_use && rv_time(h) >= h->stimecmp;

    rv_set_mip(h, RV_STI, reached);
    if (in_use && !reached && h->set_timer)
        h->set_timer(h->now_arg, h->stimecmp);
}

/* ---- fflags, frm, fcsr ----------------------------------------------------------- */

enum {
    MXCSR_MASKS = 0x1f80, /* no exception is delivered by the processor */
    MXCSR_RC_SHIFT = 13,
    FFLAGS_MASK = 31,
    FRM_MASK = 7,
};

bool rv_fp_on(const struct rv_hart *h)
{
    return (h->mstatus & RV_STATUS_FS) != 0;
}

uint64_t rv_fflags(const struct rv_hart *h)
{
    return ir_fp_from_mxcsr(h->s.mxcsr) & FFLAGS_MASK;
}

uint64_t rv_fcsr(const struct rv_hart *h)
{
    return (uint64_t)h->frm << 5 | rv_fflags(h);
}

/* MXCSR's rounding field for each frm; what the host has not (RMM, reserved)
 * rounds in C, under the host's nearest. */
static uint32_t mxcsr_rounding(unsigned frm)
{
    static const uint8_t rc[FRM_MASK + 1] = {
        [IR_RM_RNE] = 0,
        [IR_RM_RDN] = 1,
        [IR_RM_RUP] = 2,
        [IR_RM_RTZ] = 3,
    };

    return (uint32_t)rc[frm] << MXCSR_RC_SHIFT;
}

void rv_fcsr_set(struct rv_hart *h, uint64_t frm, uint64_t fflags)
{
    h->frm = frm & FRM_MASK;
    if (h->frm <= IR_RM_RMM)
        h->s.fp_rm = h->frm;
    h->s.mxcsr = MXCSR_MASKS | mxcsr_rounding(h->frm) | ir_fp_to_mxcsr(fflags & FFLAGS_MASK);
}

void rv_fcsr_write(struct rv_hart *h, uint64_t frm, uint64_t fflags)
{
    rv_fcsr_set(h, frm, fflags);
    h->mstatus |= RV_STATUS_FS;
    rv_sync(h);
}
