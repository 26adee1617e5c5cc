/* The built-in SBI: performance counters, as far as they are true. There are two,
 * mcycle and minstret, which the guest reads by itself; no event but the two that
 * they count, no firmware events, no overflow interrupt.
 *
 * A counter is stopped while its mcountinhibit bit is set; that is all the state. */
#include "frontend/riscv/sys/sbi.h"

static const struct counter {
    unsigned bit;   /* in mcountinhibit */
    unsigned csr;   /* where S reads it */
    unsigned event; /* the hardware general event that it counts */
} counters[] = {
    {0, 0xc00, 1}, /* SBI_PMU_HW_CPU_CYCLES */
    {2, 0xc02, 2}, /* SBI_PMU_HW_INSTRUCTIONS */
};
enum { N_COUNTERS = sizeof(counters) / sizeof(counters[0]), COUNTER_WIDTH = 64 };

enum { MATCH_SKIP = 1, MATCH_CLEAR = 2, MATCH_START = 4 };
enum { START_SET_VALUE = 1 };

static bool running(const struct rv_hart *h, const struct counter *c)
{
    return !(h->mcountinhibit & bit(c->bit));
}

static void run(struct rv_hart *h, const struct counter *c, bool on)
{
    rv_mcountinhibit_write(h, (h->mcountinhibit & ~bit(c->bit)) | (on ? 0 : bit(c->bit)));
}

/* Do base and mask name counters that exist, and at least one? */
static bool set_ok(uint64_t base, uint64_t mask)
{
    return base < N_COUNTERS && mask != 0 && mask < bit((unsigned)(N_COUNTERS - base));
}

static struct sbi_ret get_info(uint64_t i)
{
    if (i >= N_COUNTERS)
        return sbi_err(SBI_INVALID_PARAM);
    return sbi_ok(counters[i].csr | (COUNTER_WIDTH - 1) << 12);
}

/* Event index: type in bits 16..19, code below. */
static bool counts(const struct counter *c, uint64_t event)
{
    return event == c->event;
}

static struct sbi_ret config_matching(struct rv_hart *h, const uint64_t *arg)
{
    uint64_t base = arg[0], mask = arg[1], flags = arg[2], event = arg[3];

    if (!set_ok(base, mask))
        return sbi_err(SBI_INVALID_PARAM);
    for (uint64_t i = base; i < N_COUNTERS; i++) {
        const struct counter *c = &counters[i];

        if (!(mask >> (i - base) & 1) || !(counts(c, event) || (flags & MATCH_SKIP)))
            continue;
        if (flags & MATCH_CLEAR)
            rv_counter_write(h, c->bit, 0);
        if (flags & MATCH_START)
            run(h, c, true);
        return sbi_ok(i);
    }
    return sbi_err(SBI_NOT_SUPPORTED);
}

static struct sbi_ret start(struct rv_hart *h, const uint64_t *arg)
{
    uint64_t base = arg[0], mask = arg[1], flags = arg[2], value = arg[3];
    enum sbi_error error = SBI_SUCCESS;

    if (!set_ok(base, mask))
        return sbi_err(SBI_INVALID_PARAM);
    for (uint64_t i = base; i < N_COUNTERS; i++) {
        if (!(mask >> (i - base) & 1))
            continue;
        if (running(h, &counters[i])) {
            error = SBI_ALREADY_STARTED;
            continue;
        }
        if (flags & START_SET_VALUE)
            rv_counter_write(h, counters[i].bit, value);
        run(h, &counters[i], true);
    }
    return sbi_err(error);
}

static struct sbi_ret stop(struct rv_hart *h, const uint64_t *arg)
{
    uint64_t base = arg[0], mask = arg[1];
    enum sbi_error error = SBI_SUCCESS;

    if (!set_ok(base, mask))
        return sbi_err(SBI_INVALID_PARAM);
    for (uint64_t i = base; i < N_COUNTERS; i++) {
        if (!(mask >> (i - base) & 1))
            continue;
        if (!running(h, &counters[i]))
            error = SBI_ALREADY_STOPPED;
        run(h, &counters[i], false);
    }
    return sbi_err(error);
}

struct sbi_ret sbi_pmu(struct rv_hart *h, uint64_t fid, const uint64_t *arg)
{
    switch (fid) {
    case 0: return sbi_ok(N_COUNTERS);
    case 1: return get_info(arg[0]);
    case 2: return config_matching(h, arg);
    case 3: return start(h, arg);
    case 4: return stop(h, arg);
    default: /* firmware counters, snapshots */ return sbi_err(SBI_NOT_SUPPORTED);
    }
}
