#include "devices/rtc_goldfish.h"

#include "dbt/base/bits.h"

enum {
    TIME_LOW = 0x00,
    TIME_HIGH = 0x04,
    ALARM_LOW = 0x08,
    ALARM_HIGH = 0x0c,
    IRQ_ENABLED = 0x10,
    CLEAR_ALARM = 0x14,
    ALARM_STATUS = 0x18,
    CLEAR_INTERRUPT = 0x1c,
    NS_PER_TICK = 1000000000 / CLOCK_HZ,
};

static uint64_t now_ns(const struct rtc *r)
{
    return r->clock->wall_seconds(r->clock->arg) + r->offset_ns;
}

static void update_irq_locked(struct rtc *r)
{
    bool out = r->irq_pending && r->irq_enabled;

    if (out == r->irq_out)
        return;
    r->irq_out = out;
    irq_set(&r->irq, out);
}

/* Fires an alarm whose time has come, or asks to be called at it. The sum below
 * may saturate: an alarm in 60,000 years is never. */
static void update_alarm_locked(struct rtc *r)
{
    uint64_t now = now_ns(r), deadline = UINT64_MAX;

    if (r->alarm_running && r->alarm_ns <= now) {
        r->alarm_running = false;
        r->irq_pending = true;
    }
    if (r->alarm_running &&
        __builtin_add_overflow(clock_now(r->clock), (r->alarm_ns - now) / NS_PER_TICK + 1,
                               &deadline))
        deadline = UINT64_MAX;
    r->arm(r->arm_arg, deadline);
    update_irq_locked(r);
}

void rtc_tick(struct rtc *r)
{
    pthread_mutex_lock(&r->lock);
    update_alarm_locked(r);
    pthread_mutex_unlock(&r->lock);
}

static uint64_t read_time_low(struct rtc *r)
{
    uint64_t now = now_ns(r);

    r->latched_high = (uint32_t)(now >> 32);
    return (uint32_t)now;
}

static uint64_t read_locked(struct rtc *r, uint64_t offset)
{
    switch (offset) {
    case TIME_LOW: return read_time_low(r);
    case TIME_HIGH: return r->latched_high;
    case ALARM_LOW: return (uint32_t)r->alarm_ns;
    case ALARM_HIGH: return r->alarm_ns >> 32;
    case IRQ_ENABLED: return r->irq_enabled;
    case ALARM_STATUS: return r->alarm_running;
    default: return 0;
    }
}

static void set_time_part(struct rtc *r, unsigned shift, uint32_t value)
{
    uint64_t now = now_ns(r);

    r->offset_ns += bits_set(now, shift, 32, value) - now;
}

static void write_locked(struct rtc *r, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case TIME_LOW: set_time_part(r, 0, value); break;
    case TIME_HIGH: set_time_part(r, 32, value); break;
    case ALARM_LOW: /* the high half is written before: this starts the alarm */
        r->alarm_ns = bits_set(r->alarm_ns, 0, 32, value);
        r->alarm_running = true;
        break;
    case ALARM_HIGH: r->alarm_ns = bits_set(r->alarm_ns, 32, 32, value); return;
    case IRQ_ENABLED: r->irq_enabled = value & 1; break;
    case CLEAR_ALARM: r->alarm_running = false; break;
    case CLEAR_INTERRUPT: r->irq_pending = false; break;
    default: return;
    }
    update_alarm_locked(r);
}

static uint64_t mmio_read(void *device, uint64_t offset, unsigned size)
{
    struct rtc *r = device;
    uint64_t value;

    (void)size;
    pthread_mutex_lock(&r->lock);
    value = read_locked(r, offset);
    pthread_mutex_unlock(&r->lock);
    return value;
}

static void mmio_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct rtc *r = device;

    (void)size;
    pthread_mutex_lock(&r->lock);
    write_locked(r, offset, (uint32_t)value);
    pthread_mutex_unlock(&r->lock);
}

const struct phys_mmio rtc_mmio = {
    .read = mmio_read, .write = mmio_write, .min_size = 4, .max_size = 4};

static void no_arm(void *arg, uint64_t deadline_ticks)
{
    (void)arg, (void)deadline_ticks;
}

void rtc_init(struct rtc *r, const struct clock *clock, struct irq_line irq,
              void (*arm)(void *arg, uint64_t deadline_ticks), void *arm_arg)
{
    *r = (struct rtc){.clock = clock, .irq = irq, .arm = arm ? arm : no_arm, .arm_arg = arm_arg};
    pthread_mutex_init(&r->lock, NULL);
}

void rtc_fini(struct rtc *r)
{
    pthread_mutex_destroy(&r->lock);
}

/* The time goes on: a battery keeps it. */
void rtc_reset(struct rtc *r)
{
    pthread_mutex_lock(&r->lock);
    r->alarm_ns = 0;
    r->latched_high = 0;
    r->alarm_running = r->irq_pending = r->irq_enabled = false;
    update_alarm_locked(r);
    pthread_mutex_unlock(&r->lock);
}

void rtc_state(struct rtc *r, struct state_io *io)
{
    pthread_mutex_lock(&r->lock);
    state_io_begin(io, "rtc-goldfish", 1);
    STATE_IO(io, r->offset_ns);
    STATE_IO(io, r->alarm_ns);
    STATE_IO(io, r->latched_high);
    STATE_IO(io, r->alarm_running);
    STATE_IO(io, r->irq_pending);
    STATE_IO(io, r->irq_enabled);
    update_alarm_locked(r);
    pthread_mutex_unlock(&r->lock);
}
