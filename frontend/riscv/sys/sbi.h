/* The built-in SBI, private to its files: an extension is a function that gets the
 * function number and the arguments and gives what a0 and a1 become. */
#pragma once

#include "frontend/riscv/sys/sys.h"

/* Error codes of the SBI specification 2.0, chapter 3. */
enum sbi_error {
    SBI_SUCCESS = 0,
    SBI_FAILED = -1,
    SBI_NOT_SUPPORTED = -2,
    SBI_INVALID_PARAM = -3,
    SBI_DENIED = -4,
    SBI_INVALID_ADDRESS = -5,
    SBI_ALREADY_AVAILABLE = -6,
    SBI_ALREADY_STARTED = -7,
    SBI_ALREADY_STOPPED = -8,
};

struct sbi_ret {
    int64_t error;
    uint64_t value;
};

static inline struct sbi_ret sbi_ok(uint64_t value)
{
    return (struct sbi_ret){SBI_SUCCESS, value};
}

static inline struct sbi_ret sbi_err(enum sbi_error error)
{
    return (struct sbi_ret){error, 0};
}

/* arg[0..5] are a0..a5. */
typedef struct sbi_ret sbi_fn(struct rv_hart *h, uint64_t fid, const uint64_t *arg);

sbi_fn sbi_ipi; /* sbi_hart.c */
sbi_fn sbi_rfence;
sbi_fn sbi_hsm;
sbi_fn sbi_pmu;
sbi_fn sbi_dbcn;

/* Calls 0 to 8 of the time before SBI 0.2: a0 is the result, a1 is kept. */
int64_t sbi_legacy(struct rv_hart *h, uint64_t eid, const uint64_t *arg);

void sbi_set_timer(struct rv_hart *h, uint64_t deadline_ticks);
void sbi_reset(struct rv_hart *h, unsigned type, unsigned reason);
