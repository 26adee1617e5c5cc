#include "devices/virtio/virtio.h"

#include <string.h>

#include "dbt/base/bits.h"
#include "dbt/base/check.h"
#include "dbt/base/log.h"

enum { /* virtio 1.2, section 2.1 */
       STATUS_DRIVER_OK = 4,
       STATUS_FEATURES_OK = 8,
       STATUS_NEEDS_RESET = 64,
       /* What a driver may set: the other bits mean nothing. */
       STATUS_OF_DRIVER = 0x8f,
};

enum { INTERRUPT_USED = 1, INTERRUPT_CONFIG = 2 };

/* ---- The interrupt line ------------------------------------------------------------------- */

static void update_irq(struct virtio_device *d)
{
    bool out = d->interrupts != 0;

    if (out == d->irq_out)
        return;
    d->irq_out = out;
    irq_set(&d->host.irq, out);
}

static void interrupt(struct virtio_device *d, uint8_t cause)
{
    d->interrupts |= cause;
    update_irq(d);
}

void virtio_ack(struct virtio_device *d, uint32_t interrupts)
{
    d->interrupts &= (uint8_t)~interrupts;
    update_irq(d);
}

/* ---- Life ----------------------------------------------------------------------------------- */

void virtio_init(struct virtio_device *d, const struct virtio_ops *ops,
                 const struct virtio_host *host, uint64_t features, const void *config,
                 size_t config_len)
{
    CHECK(ops->n_queues <= VIRTIO_MAX_QUEUES && ops->queue_max <= VIRTQ_MAX_SIZE);
    *d = (struct virtio_device){.ops = ops,
                                .host = *host,
                                .offered = features | VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC |
                                           VIRTIO_F_EVENT_IDX | VIRTIO_F_ANY_LAYOUT,
                                .config = config,
                                .config_len = config_len};
    pthread_mutex_init(&d->lock, NULL);
    for (unsigned i = 0; i < ops->n_queues; i++) {
        d->queue[i] = (struct virtq){.dma = &d->host.dma, .max = ops->queue_max};
        virtq_reset(&d->queue[i]);
    }
}

void virtio_fini(struct virtio_device *d)
{
    if (d->ops->settle)
        d->ops->settle(d);
    pthread_mutex_destroy(&d->lock);
}

static void stop_queue(struct virtio_device *d, unsigned i)
{
    if (d->ops->settle)
        d->ops->settle(d);
    if (d->ops->forget)
        d->ops->forget(d, i);
    virtq_reset(&d->queue[i]);
    d->notified &= ~(UINT32_C(1) << i);
}

/* The write that resets returns when it is done: no buffer is touched after it. (Drivers should
 * read the status until it is 0, but those of virtio-mmio do not.) */
static void reset(struct virtio_device *d)
{
    for (unsigned i = 0; i < d->ops->n_queues; i++)
        stop_queue(d, i);
    d->features = 0;
    d->status = 0;
    d->notified = 0;
    if (d->ops->reset)
        d->ops->reset(d);
    d->interrupts = 0;
    update_irq(d);
}

/* ---- Driver and device agree ------------------------------------------------------------------
 */

bool virtio_is_live(const struct virtio_device *d)
{
    return (d->status & (STATUS_DRIVER_OK | STATUS_NEEDS_RESET)) == STATUS_DRIVER_OK;
}

uint32_t virtio_offered(const struct virtio_device *d, uint32_t sel)
{
    return sel > 1 ? 0 : (uint32_t)(d->offered >> (32 * sel));
}

void virtio_set_features(struct virtio_device *d, unsigned sel, uint32_t value)
{
    if (sel > 1 || (d->status & STATUS_FEATURES_OK))
        return;
    d->features &= sel == 0 ? ~UINT64_C(0xffffffff) : UINT64_C(0xffffffff);
    d->features |= (uint64_t)value << (32 * sel);
}

/* A driver of before virtio 1.0 would use another layout of nearly everything (section 6.2). */
static bool accepts(struct virtio_device *d)
{
    return (d->features & ~d->offered) == 0 && virtio_has(d, VIRTIO_F_VERSION_1) &&
           (!d->ops->accept || d->ops->accept(d, d->features));
}

/* What was made available before DRIVER_OK is served now. */
static void driver_is_ready(struct virtio_device *d)
{
    for (unsigned i = 0; i < d->ops->n_queues; i++)
        if (d->queue[i].ready)
            virtio_notify(d, i);
}

void virtio_set_status(struct virtio_device *d, uint8_t status)
{
    uint8_t added = status & STATUS_OF_DRIVER & (uint8_t)~d->status;

    if (status == 0) {
        reset(d);
        return;
    }
    if ((added & STATUS_FEATURES_OK) && !accepts(d)) {
        log_line(LOG_guest, "%s: features %#llx are refused, %#llx are offered", d->ops->name,
                 (unsigned long long)d->features, (unsigned long long)d->offered);
        added &= (uint8_t)~STATUS_FEATURES_OK;
    }
    if ((added & STATUS_DRIVER_OK) && !((d->status | added) & STATUS_FEATURES_OK)) {
        log_line(LOG_guest, "%s: the driver is ready but has not agreed on features", d->ops->name);
        added &= (uint8_t)~STATUS_DRIVER_OK;
    }
    d->status |= added;
    if (added & STATUS_DRIVER_OK)
        driver_is_ready(d);
}

/* ---- Queues
 * -------------------------------------------------------------------------------------- */

struct virtq *virtio_queue(struct virtio_device *d, uint32_t queue)
{
    return queue < d->ops->n_queues ? &d->queue[queue] : NULL;
}

/* One that is too large must not become a good one by losing its upper bits. */
void virtio_set_num(struct virtq *q, uint32_t num)
{
    if (!q->ready)
        q->num = num <= UINT16_MAX ? (uint16_t)num : 0;
}

void virtio_set_address(const struct virtq *q, uint64_t *at, unsigned low_bit, uint32_t value)
{
    if (!q->ready)
        *at = bits_set(*at, low_bit, 32, value);
}

void virtio_set_ready(struct virtio_device *d, unsigned queue, bool ready)
{
    struct virtq *q;
    const char *why;

    if (queue >= d->ops->n_queues)
        return;
    q = &d->queue[queue];
    if (!ready && q->ready)
        stop_queue(d, queue);
    if (!ready || q->ready)
        return;
    q->indirect = virtio_has(d, VIRTIO_F_INDIRECT_DESC);
    q->event_idx = virtio_has(d, VIRTIO_F_EVENT_IDX);
    if (!virtq_enable(q, &why))
        virtio_fail(d, why);
}

void virtio_fail(struct virtio_device *d, const char *why)
{
    log_line(LOG_guest, "%s: needs a reset: %s", d->ops->name, why);
    d->status |= STATUS_NEEDS_RESET;
    if (d->status & STATUS_DRIVER_OK)
        interrupt(d, INTERRUPT_CONFIG);
}

/* ---- Notifications
 * -------------------------------------------------------------------------------- */

void virtio_kick(struct virtio_device *d)
{
    d->host.kick(d->host.arg);
}

void virtio_notify(struct virtio_device *d, uint32_t queue)
{
    if (queue >= d->ops->n_queues)
        return;
    d->notified |= UINT32_C(1) << queue;
    virtio_kick(d);
}

void virtio_hold(struct virtio_device *d, bool held)
{
    if (held && !d->held && d->ops->settle)
        d->ops->settle(d);
    if (!held && d->held)
        virtio_kick(d);
    d->held = held;
}

void virtio_defer(struct virtio_device *d, unsigned queue)
{
    d->notified |= UINT32_C(1) << queue;
}

void virtio_poll(struct virtio_device *d)
{
    pthread_mutex_lock(&d->lock);
    if (virtio_is_live(d) && !d->held) {
        uint32_t queues = d->notified;

        d->notified = 0;
        d->ops->serve(d, queues);
    }
    pthread_mutex_unlock(&d->lock);
}

/* ---- For the device type
 * ------------------------------------------------------------------------------ */

bool virtio_take(struct virtio_device *d, unsigned queue, struct virtq_chain *c)
{
    const char *why = NULL;
    enum virtq_found found;

    if (!virtio_is_live(d))
        return false;
    found = virtq_take(&d->queue[queue], c, &why);
    if (found == VIRTQ_BAD)
        virtio_fail(d, why);
    return found == VIRTQ_CHAIN;
}

/* No more than a ringful at a time: with several harts one could add for ever. */
void virtio_each_while(struct virtio_device *d, unsigned queue,
                       void (*take)(struct virtio_device *d, struct virtq *q,
                                    struct virtq_chain *c),
                       bool (*has_room)(struct virtio_device *d))
{
    struct virtq *q = &d->queue[queue];
    struct virtq_chain chain;
    unsigned n = 0;
    bool room;

    /* Anybody may notify anything; and a ring of no entries would be full at once, for ever. */
    if (!q->ready)
        return;
    virtq_deaf(q);
    do {
        while ((room = !has_room || has_room(d)) && n < q->num && virtio_take(d, queue, &chain)) {
            take(d, q, &chain);
            n++;
        }
        if (!room)
            virtio_defer(d, queue);
        else if (n == q->num)
            virtio_notify(d, queue);
    } while (room && n < q->num && virtio_is_live(d) && virtq_listen(q));
    virtio_publish(d, queue);
}

void virtio_each(struct virtio_device *d, unsigned queue,
                 void (*take)(struct virtio_device *d, struct virtq *q, struct virtq_chain *c))
{
    virtio_each_while(d, queue, take, NULL);
}

void virtio_publish(struct virtio_device *d, unsigned queue)
{
    if (virtio_is_live(d) && virtq_publish(&d->queue[queue]))
        interrupt(d, INTERRUPT_USED);
}

/* ---- Configuration space
 * ----------------------------------------------------------------------------------- */

void virtio_config_changed(struct virtio_device *d)
{
    d->generation++;
    if (d->status & STATUS_DRIVER_OK)
        interrupt(d, INTERRUPT_CONFIG);
}

uint64_t virtio_read_config(const struct virtio_device *d, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    DCHECK(size <= sizeof value);
    if (offset < d->config_len)
        memcpy(&value, (const uint8_t *)d->config + offset,
               d->config_len - offset < size ? d->config_len - offset : size);
    return value;
}

void virtio_write_config(struct virtio_device *d, uint64_t offset, unsigned size, uint64_t value)
{
    if (d->ops->write_config && size <= 4)
        d->ops->write_config(d, offset, size, (uint32_t)value);
}

/* ---- State
 * ---------------------------------------------------------------------------------------------------
 */

/* What is with the host comes back first, so that nothing is in flight in a saved state; also if
 * the device is held, for it was asked for before. */
void virtio_state(struct virtio_device *d, struct state_io *io)
{
    if (d->ops->settle)
        d->ops->settle(d);
    if (io->saving && virtio_is_live(d))
        d->ops->serve(d, 0);
    state_io_begin(io, d->ops->name, 1);
    STATE_IO(io, d->features);
    STATE_IO(io, d->status);
    STATE_IO(io, d->interrupts);
    STATE_IO(io, d->generation);
    STATE_IO(io, d->notified);
    for (unsigned i = 0; i < d->ops->n_queues; i++)
        virtq_state(&d->queue[i], io);
    if (d->ops->state)
        d->ops->state(d, io);
    if (!io->saving && d->notified)
        virtio_kick(d);
    update_irq(d);
}
