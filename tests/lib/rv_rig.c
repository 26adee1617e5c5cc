#include "tests/lib/rv_rig.h"

#include <stdlib.h>
#include <string.h>

#include "dbt/base/check.h"

static uint64_t now_ticks(void *arg)
{
    return ((struct rig *)arg)->now;
}

static void set_timer(void *arg, uint64_t deadline)
{
    struct rig *r = arg;

    r->armed = deadline;
    r->n_armed++;
}

static void console_put(void *machine, uint8_t byte)
{
    struct rig *r = machine;

    if (r->n_out < sizeof(r->out) - 1)
        r->out[r->n_out++] = (char)byte;
}

static int console_get(void *machine)
{
    struct rig *r = machine;

    return r->in && *r->in ? (uint8_t)*r->in++ : -1;
}

static void machine_reset(void *machine, unsigned type, unsigned reason)
{
    struct rig *r = machine;

    r->reset_type = (int)type;
    r->reset_reason = (int)reason;
}

static uint8_t *machine_ram(void *machine, uint64_t gpa, uint64_t len)
{
    struct rig *r = machine;

    return phys_is_ram(&r->phys, gpa, len) ? phys_ptr(&r->phys, gpa) : NULL;
}

static void machine_wrote(void *machine, uint64_t gpa, uint64_t len)
{
    struct rig *r = machine;

    r->wrote_gpa = gpa;
    r->wrote_len = len;
}

static const struct rv_sbi_host sbi_host = {
    .console_put = console_put,
    .console_get = console_get,
    .reset = machine_reset,
    .ram = machine_ram,
    .wrote = machine_wrote,
};

static bool no_code(void *arg, uint64_t gpa, unsigned len, bool *page_is_code)
{
    (void)arg, (void)gpa, (void)len;
    *page_is_code = false;
    return false;
}

struct rig *rig_create(const char *model)
{
    struct rig *r = calloc(1, sizeof(*r));
    struct err e;

    CHECK(r != NULL);
    CHECK(phys_init(&r->phys, RIG_RAM, RIG_RAM_LEN, &e));
    r->track = track_create(&r->phys, no_code, NULL);
    r->h = calloc(1, sizeof(*r->h));
    CHECK(r->track && r->h);
    CHECK(rv_model_parse(&r->h->model, model, &e));
    r->reset_type = r->reset_reason = -1;
    r->h->now_ticks = now_ticks;
    r->h->now_arg = r;
    r->h->set_timer = set_timer;
    r->h->sbi = &sbi_host;
    r->h->machine = r;
    CHECK(mmu_create(&r->h->s, &r->phys, r->track, NULL, &rv_mmu_guest) != NULL);
    rv_hart_reset(r->h, RIG_RAM);
    return r;
}

void rig_destroy(struct rig *r)
{
    mmu_destroy(r->h->s.mmu);
    track_destroy(r->track);
    phys_fini(&r->phys);
    free(r->h);
    free(r);
}

bool rig_call(struct rig *r, ir_helper_fn *fn, uint64_t k, uint64_t a, uint64_t b, uint64_t *result,
              uint64_t *cause, uint64_t *tval)
{
    struct cpu_state *s = &r->h->s;

    if (setjmp(s->unwind) == 0) {
        *result = fn(s, k, a, b, 0);
        return true;
    }
    *cause = s->exit_cause;
    *tval = s->exit_tval;
    return false;
}

void rig_poke64(struct rig *r, uint64_t gpa, uint64_t value)
{
    CHECK(phys_is_ram(&r->phys, gpa, 8));
    memcpy(phys_ptr(&r->phys, gpa), &value, 8);
}

uint64_t rig_peek64(struct rig *r, uint64_t gpa)
{
    uint64_t value;

    CHECK(phys_is_ram(&r->phys, gpa, 8));
    memcpy(&value, phys_ptr(&r->phys, gpa), 8);
    return value;
}

static uint64_t as_machine(struct rig *r, unsigned number, bool write, uint64_t value)
{
    enum rv_priv priv = r->h->priv;
    uint64_t old;

    r->h->priv = RV_M;
    CHECK(rv_csr_access(r->h, number, RV_CSR_WRITE, write, value, &old));
    r->h->priv = priv;
    rv_sync(r->h);
    return old;
}

uint64_t rig_csr(struct rig *r, unsigned number)
{
    return as_machine(r, number, false, 0);
}

void rig_csr_write(struct rig *r, unsigned number, uint64_t value)
{
    as_machine(r, number, true, value);
}

uint64_t rig_random(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
