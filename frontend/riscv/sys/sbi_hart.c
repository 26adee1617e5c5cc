/* The built-in SBI: the extensions that reach other harts. What they do there is cluster.c's. */
#include "frontend/riscv/sys/sbi.h"

/* ---- Hart masks: IPI, RFENCE ----------------------------------------------------- */

/* Which harts the mask names: all must exist. A base of -1 means all harts. */
static bool hart_mask(const struct rv_hart *h, uint64_t mask, uint64_t base, uint64_t *harts)
{
    unsigned n = rv_n_harts(h);

    *harts = base == UINT64_MAX ? UINT64_MAX >> (64 - n) : 0;
    if (*harts)
        return true;
    for (unsigned i = 0; i < 64; i++) {
        if (!(mask >> i & 1))
            continue;
        if (base + i < base || base + i >= n)
            return false;
        *harts |= bit((unsigned)(base + i));
    }
    return true;
}

struct sbi_ret sbi_ipi(struct rv_hart *h, uint64_t fid, const uint64_t *arg)
{
    uint64_t harts;

    if (fid != 0)
        return sbi_err(SBI_NOT_SUPPORTED);
    if (!hart_mask(h, arg[0], arg[1], &harts))
        return sbi_err(SBI_INVALID_PARAM);
    rv_send_ipi(h, harts);
    return sbi_ok(0);
}

struct sbi_ret sbi_rfence(struct rv_hart *h, uint64_t fid, const uint64_t *arg)
{
    const struct rv_fence fence = {
        .start = arg[2], .len = arg[3], .all_asid = fid == 1, .asid = (uint16_t)arg[4]};
    uint64_t harts;

    if (fid > 2) /* the rest fences guests of a hypervisor, which this hart has not */
        return sbi_err(SBI_NOT_SUPPORTED);
    if (!hart_mask(h, arg[0], arg[1], &harts))
        return sbi_err(SBI_INVALID_PARAM);
    rv_send_fence(h, harts, fid == 0 ? NULL : &fence);
    return sbi_ok(0);
}

/* ---- HSM ------------------------------------------------------------------------- */

enum { SUSPEND_RETENTIVE = 0, SUSPEND_NON_RETENTIVE = INT32_MIN };

/* Could a hart fetch its first instruction there? */
static bool can_begin_at(const struct rv_hart *h, uint64_t gpa)
{
    return !(gpa & 1) && h->sbi && h->sbi->ram(h->machine, gpa, 2);
}

static struct sbi_ret hsm_start(struct rv_hart *h, const uint64_t *arg)
{
    if (arg[0] >= rv_n_harts(h))
        return sbi_err(SBI_INVALID_PARAM);
    if (arg[0] == h->hartid)
        return sbi_err(SBI_ALREADY_AVAILABLE);
    if (!can_begin_at(h, arg[1]))
        return sbi_err(SBI_INVALID_ADDRESS);
    return rv_start(h, (unsigned)arg[0], arg[1], arg[2]) ? sbi_ok(0)
                                                         : sbi_err(SBI_ALREADY_AVAILABLE);
}

static struct sbi_ret hsm_status(const struct rv_hart *h, uint64_t hartid)
{
    if (hartid >= rv_n_harts(h))
        return sbi_err(SBI_INVALID_PARAM);
    return sbi_ok(hartid == h->hartid ? RV_HSM_STARTED : rv_hsm_state_of(h, (unsigned)hartid));
}

static struct sbi_ret hsm_suspend(struct rv_hart *h, const uint64_t *arg)
{
    int32_t type = (int32_t)(uint32_t)arg[0];

    if (type != SUSPEND_RETENTIVE && type != SUSPEND_NON_RETENTIVE)
        return sbi_err(SBI_INVALID_PARAM);
    if (type == SUSPEND_RETENTIVE) {
        rv_suspend(h);
        return sbi_ok(0);
    }
    if (!h->cluster)
        return sbi_err(SBI_NOT_SUPPORTED);
    if (!can_begin_at(h, arg[1]))
        return sbi_err(SBI_INVALID_ADDRESS);
    rv_suspend_to(h, arg[1], arg[2]);
    return sbi_ok(0);
}

struct sbi_ret sbi_hsm(struct rv_hart *h, uint64_t fid, const uint64_t *arg)
{
    switch (fid) {
    case 0: return hsm_start(h, arg);
    case 1: return rv_stop_unless_last(h) ? sbi_ok(0) : sbi_err(SBI_FAILED);
    case 2: return hsm_status(h, arg[0]);
    case 3: return hsm_suspend(h, arg);
    default: return sbi_err(SBI_NOT_SUPPORTED);
    }
}
