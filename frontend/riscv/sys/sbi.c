/* The Supervisor Binary Interface 2.0, served by the host instead of by firmware:
 * dispatch, and the extensions that are about harts, time and the machine's end. */
#include "frontend/riscv/sys/sbi.h"

#include <inttypes.h>

enum {
    SBI_SPEC_VERSION = 2 << 24, /* 2.0 */
    /* Not among the registered numbers (OpenSBI 1, KVM 3, RustSBI 4, ...): "dbt". */
    SBI_IMPL_ID = 0x646274,
    SBI_IMPL_VERSION = 1,
    N_LEGACY = 9,
};

static bool known_extension(uint64_t eid);

static struct sbi_ret sbi_base(struct rv_hart *h, uint64_t fid, const uint64_t *arg)
{
    (void)h;
    switch (fid) {
    case 0: return sbi_ok(SBI_SPEC_VERSION);
    case 1: return sbi_ok(SBI_IMPL_ID);
    case 2: return sbi_ok(SBI_IMPL_VERSION);
    case 3: return sbi_ok(known_extension(arg[0]));
    case 4: /* mvendorid, marchid, mimpid: as the CSRs read */
    case 5:
    case 6: return sbi_ok(0);
    default: return sbi_err(SBI_NOT_SUPPORTED);
    }
}

/* ---- TIME ------------------------------------------------------------------------ */

void sbi_set_timer(struct rv_hart *h, uint64_t deadline_ticks)
{
    h->stimecmp = deadline_ticks;
    rv_timer_tick(h);
}

static struct sbi_ret sbi_time(struct rv_hart *h, uint64_t fid, const uint64_t *arg)
{
    if (fid != 0)
        return sbi_err(SBI_NOT_SUPPORTED);
    sbi_set_timer(h, arg[0]);
    return sbi_ok(0);
}

/* ---- SRST ------------------------------------------------------------------------ */

void sbi_reset(struct rv_hart *h, unsigned type, unsigned reason)
{
    if (h->sbi)
        h->sbi->reset(h->machine, type, reason);
}

static struct sbi_ret sbi_srst(struct rv_hart *h, uint64_t fid, const uint64_t *arg)
{
    uint32_t type = (uint32_t)arg[0];
    uint32_t reason = (uint32_t)arg[1];

    if (fid != 0)
        return sbi_err(SBI_NOT_SUPPORTED);
    if (type > 2 || reason > 1)
        return sbi_err(SBI_INVALID_PARAM);
    sbi_reset(h, type, reason);
    return sbi_ok(0);
}

/* ---- Dispatch -------------------------------------------------------------------- */

static const struct {
    uint64_t eid;
    const char *name;
    sbi_fn *fn;
} extensions[] = {
    {0x10, "base", sbi_base},   {0x54494d45, "time", sbi_time},
    {0x735049, "ipi", sbi_ipi}, {0x52464e43, "rfence", sbi_rfence},
    {0x48534d, "hsm", sbi_hsm}, {0x53525354, "srst", sbi_srst},
    {0x504d55, "pmu", sbi_pmu}, {0x4442434e, "dbcn", sbi_dbcn},
};
enum { N_EXTENSIONS = sizeof(extensions) / sizeof(extensions[0]) };

static unsigned find(uint64_t eid)
{
    unsigned i = 0;

    while (i < N_EXTENSIONS && extensions[i].eid != eid)
        i++;
    return i;
}

static bool known_extension(uint64_t eid)
{
    return eid < N_LEGACY || find(eid) < N_EXTENSIONS;
}

static struct sbi_ret serve(struct rv_hart *h, uint64_t eid, uint64_t fid, const uint64_t *arg)
{
    unsigned i = find(eid);

    return i < N_EXTENSIONS ? extensions[i].fn(h, fid, arg) : sbi_err(SBI_NOT_SUPPORTED);
}

static void log_call(const struct rv_hart *h, const uint64_t *arg, struct sbi_ret ret)
{
    uint64_t eid = h->s.reg[17];
    unsigned i = find(eid);

    log_line(LOG_sbi,
             "sbi: pc %016" PRIx64 " %s (%" PRIx64 ") function %" PRIu64 " args %" PRIx64
             " %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64 " -> %" PRId64 " %" PRIx64,
             h->s.pc,
             eid < N_LEGACY     ? "legacy"
             : i < N_EXTENSIONS ? extensions[i].name
                                : "unknown",
             eid, h->s.reg[16], arg[0], arg[1], arg[2], arg[3], arg[4], ret.error, ret.value);
}

void rv_sbi_call(struct rv_hart *h)
{
    uint64_t *a0 = &h->s.reg[10];
    uint64_t eid = h->s.reg[17];
    uint64_t arg[6];
    struct sbi_ret ret;

    for (unsigned i = 0; i < 6; i++)
        arg[i] = a0[i];
    if (eid < N_LEGACY)
        ret = (struct sbi_ret){sbi_legacy(h, eid, arg), arg[1]};
    else
        ret = serve(h, eid, h->s.reg[16], arg);
    if (log_on(LOG_sbi))
        log_call(h, arg, ret);
    a0[0] = (uint64_t)ret.error;
    a0[1] = ret.value;
    h->s.pc += 4; /* an ecall is never compressed */
    rv_sync(h);
}
