#include "devices/clint.h"

#include "dbt/base/bits.h"
#include "dbt/base/check.h"

enum { MSIP = 0, MTIMECMP = 0x4000, MTIME = 0xbff8 };

static void update_timer_locked(struct clint *c, unsigned i)
{
    struct clint_hart *h = &c->hart[i];
    bool out = clock_now(c->clock) >= h->mtimecmp;

    if (out != h->timer_out) {
        h->timer_out = out;
        irq_set(&h->timer, out);
    }
    c->arm(c->arm_arg, i, out ? UINT64_MAX : h->mtimecmp);
}

void clint_tick(struct clint *c, unsigned hart)
{
    pthread_mutex_lock(&c->lock);
    update_timer_locked(c, hart);
    pthread_mutex_unlock(&c->lock);
}

/* The 8-byte register at `base`, of which the access sees size bytes at offset. */
static uint64_t part(uint64_t reg, uint64_t offset, unsigned size)
{
    return size == 8 ? reg : (uint32_t)(reg >> (offset % 8 * 8));
}

static uint64_t merge(uint64_t reg, uint64_t offset, unsigned size, uint64_t value)
{
    return size == 8 ? value : bits_set(reg, offset % 8 * 8, 32, value);
}

static bool is_msip(const struct clint *c, uint64_t offset, unsigned size)
{
    return size == 4 && offset / 4 < c->n_harts;
}

static bool is_mtimecmp(const struct clint *c, uint64_t offset)
{
    return offset >= MTIMECMP && (offset - MTIMECMP) / 8 < c->n_harts;
}

static uint64_t read_locked(struct clint *c, uint64_t offset, unsigned size)
{
    if (is_msip(c, offset, size))
        return c->hart[offset / 4].msip;
    if (is_mtimecmp(c, offset))
        return part(c->hart[(offset - MTIMECMP) / 8].mtimecmp, offset, size);
    if (offset >= MTIME && offset < MTIME + 8)
        return part(clock_now(c->clock), offset, size);
    return 0;
}

static void write_locked(struct clint *c, uint64_t offset, unsigned size, uint64_t value)
{
    if (is_msip(c, offset, size)) {
        struct clint_hart *h = &c->hart[offset / 4];

        h->msip = value & 1;
        irq_set(&h->soft, h->msip);
    } else if (is_mtimecmp(c, offset)) {
        unsigned i = (unsigned)((offset - MTIMECMP) / 8);

        c->hart[i].mtimecmp = merge(c->hart[i].mtimecmp, offset, size, value);
        update_timer_locked(c, i);
    } else if (offset >= MTIME && offset < MTIME + 8 && c->clock->set_ticks) {
        c->clock->set_ticks(c->clock->arg, merge(clock_now(c->clock), offset, size, value));
        for (unsigned i = 0; i < c->n_harts; i++)
            update_timer_locked(c, i);
    }
}

static uint64_t mmio_read(void *device, uint64_t offset, unsigned size)
{
    struct clint *c = device;
    uint64_t value;

    pthread_mutex_lock(&c->lock);
    value = read_locked(c, offset, size);
    pthread_mutex_unlock(&c->lock);
    return value;
}

static void mmio_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct clint *c = device;

    pthread_mutex_lock(&c->lock);
    write_locked(c, offset, size, value);
    pthread_mutex_unlock(&c->lock);
}

const struct phys_mmio clint_mmio = {
    .read = mmio_read, .write = mmio_write, .min_size = 4, .max_size = 8};

static void no_arm(void *arg, unsigned hart, uint64_t deadline_ticks)
{
    (void)arg, (void)hart, (void)deadline_ticks;
}

void clint_init(struct clint *c, const struct clock *clock, const struct irq_line *soft,
                const struct irq_line *timer, unsigned n_harts,
                void (*arm)(void *arg, unsigned hart, uint64_t deadline_ticks), void *arm_arg)
{
    CHECK(n_harts <= CLINT_MAX_HARTS);
    *c = (struct clint){
        .clock = clock, .n_harts = n_harts, .arm = arm ? arm : no_arm, .arm_arg = arm_arg};
    pthread_mutex_init(&c->lock, NULL);
    for (unsigned i = 0; i < n_harts; i++)
        c->hart[i] =
            (struct clint_hart){.mtimecmp = UINT64_MAX, .soft = soft[i], .timer = timer[i]};
}

void clint_fini(struct clint *c)
{
    pthread_mutex_destroy(&c->lock);
}

void clint_reset(struct clint *c)
{
    pthread_mutex_lock(&c->lock);
    for (unsigned i = 0; i < c->n_harts; i++) {
        c->hart[i].msip = false;
        irq_set(&c->hart[i].soft, false);
        c->hart[i].mtimecmp = UINT64_MAX;
        update_timer_locked(c, i);
    }
    pthread_mutex_unlock(&c->lock);
}

void clint_state(struct clint *c, struct state_io *io)
{
    uint32_t n_harts = c->n_harts;

    pthread_mutex_lock(&c->lock);
    state_io_begin(io, "clint", 1);
    STATE_IO(io, n_harts);
    if (n_harts != c->n_harts)
        io->failed = true;
    for (unsigned i = 0; i < c->n_harts; i++) {
        STATE_IO(io, c->hart[i].msip);
        STATE_IO(io, c->hart[i].mtimecmp);
        irq_set(&c->hart[i].soft, c->hart[i].msip);
        update_timer_locked(c, i);
    }
    pthread_mutex_unlock(&c->lock);
}
