#include "devices/virtio/virtio_mmio.h"

#include "dbt/base/log.h"

enum { /* virtio 1.2, table 4.1 */
       MAGIC_VALUE = 0x000,
       VERSION = 0x004,
       DEVICE_ID = 0x008,
       VENDOR_ID = 0x00c,
       DEVICE_FEATURES = 0x010,
       DEVICE_FEATURES_SEL = 0x014,
       DRIVER_FEATURES = 0x020,
       DRIVER_FEATURES_SEL = 0x024,
       QUEUE_SEL = 0x030,
       QUEUE_NUM_MAX = 0x034,
       QUEUE_NUM = 0x038,
       QUEUE_READY = 0x044,
       QUEUE_NOTIFY = 0x050,
       INTERRUPT_STATUS = 0x060,
       INTERRUPT_ACK = 0x064,
       STATUS = 0x070,
       QUEUE_DESC_LOW = 0x080,
       QUEUE_DESC_HIGH = 0x084,
       QUEUE_DRIVER_LOW = 0x090,
       QUEUE_DRIVER_HIGH = 0x094,
       QUEUE_DEVICE_LOW = 0x0a0,
       QUEUE_DEVICE_HIGH = 0x0a4,
       SHM_LEN_LOW = 0x0b0,
       SHM_BASE_HIGH = 0x0bc,
       CONFIG_GENERATION = 0x0fc,
       CONFIG = 0x100,
};

enum { MAGIC = 0x74726976 /* "virt" */, VENDOR = 0x20544244 /* "DBT " */, TRANSPORT_VERSION = 2 };

static uint32_t read_register(const struct virtio_mmio *t, uint64_t offset)
{
    struct virtio_device *d = t->device;
    const struct virtq *q = virtio_queue(d, t->queue_sel);

    switch (offset) {
    case DEVICE_ID: return d->ops->id;
    case DEVICE_FEATURES: return virtio_offered(d, t->device_features_sel);
    case QUEUE_NUM_MAX: return q ? q->max : 0;
    case QUEUE_READY: return q ? q->ready : 0;
    case INTERRUPT_STATUS: return d->interrupts;
    case STATUS: return d->status;
    case CONFIG_GENERATION: return d->generation;
    default: break;
    }
    /* A region of shared memory that does not exist has the length -1. */
    return offset >= SHM_LEN_LOW && offset <= SHM_BASE_HIGH ? UINT32_MAX : 0;
}

static void write_queue(const struct virtio_mmio *t, uint64_t offset, uint32_t value)
{
    struct virtq *q = virtio_queue(t->device, t->queue_sel);

    if (!q)
        return;
    switch (offset) {
    case QUEUE_NUM: virtio_set_num(q, value); break;
    case QUEUE_DESC_LOW: virtio_set_address(q, &q->desc_gpa, 0, value); break;
    case QUEUE_DESC_HIGH: virtio_set_address(q, &q->desc_gpa, 32, value); break;
    case QUEUE_DRIVER_LOW: virtio_set_address(q, &q->driver_gpa, 0, value); break;
    case QUEUE_DRIVER_HIGH: virtio_set_address(q, &q->driver_gpa, 32, value); break;
    case QUEUE_DEVICE_LOW: virtio_set_address(q, &q->device_gpa, 0, value); break;
    case QUEUE_DEVICE_HIGH: virtio_set_address(q, &q->device_gpa, 32, value); break;
    default: break;
    }
}

static void write_register(struct virtio_mmio *t, uint64_t offset, uint32_t value)
{
    struct virtio_device *d = t->device;

    switch (offset) {
    case DEVICE_FEATURES_SEL: t->device_features_sel = value; break;
    case DRIVER_FEATURES: virtio_set_features(d, t->driver_features_sel, value); break;
    case DRIVER_FEATURES_SEL: t->driver_features_sel = value; break;
    case QUEUE_SEL: t->queue_sel = value; break;
    case QUEUE_READY: virtio_set_ready(d, t->queue_sel, value == 1); break;
    case QUEUE_NOTIFY: virtio_notify(d, value); break;
    case INTERRUPT_ACK: virtio_ack(d, value); break;
    case STATUS: virtio_set_status(d, (uint8_t)value); break;
    default: write_queue(t, offset, value); break;
    }
}

/* ---- Accesses -------------------------------------------------------------------------------- */

/* Registers are read and written as words (section 4.2.2.2). */
static bool is_register(const struct virtio_mmio *t, uint64_t offset, unsigned size)
{
    if (offset < CONFIG && size == 4)
        return true;
    if (offset < CONFIG)
        log_line(LOG_guest, "%s: access of %u bytes to register %#llx",
                 t->device ? t->device->ops->name : "virtio", size, (unsigned long long)offset);
    return false;
}

/* What a slot tells without a device, as QEMU's does. */
static bool read_identity(uint64_t offset, uint64_t *value)
{
    switch (offset) {
    case MAGIC_VALUE: *value = MAGIC; return true;
    case VERSION: *value = TRANSPORT_VERSION; return true;
    case VENDOR_ID: *value = VENDOR; return true;
    default: return false;
    }
}

static uint64_t mmio_read(void *device, uint64_t offset, unsigned size)
{
    struct virtio_mmio *t = device;
    uint64_t value = 0;

    if (offset < CONFIG && (!is_register(t, offset, size) || read_identity(offset, &value)))
        return value;
    if (!t->device)
        return 0;
    pthread_mutex_lock(&t->device->lock);
    value = offset < CONFIG ? read_register(t, offset)
                            : virtio_read_config(t->device, offset - CONFIG, size);
    pthread_mutex_unlock(&t->device->lock);
    return value;
}

static void mmio_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct virtio_mmio *t = device;

    if (!t->device || (offset < CONFIG && !is_register(t, offset, size)))
        return;
    pthread_mutex_lock(&t->device->lock);
    if (offset < CONFIG)
        write_register(t, offset, (uint32_t)value);
    else
        virtio_write_config(t->device, offset - CONFIG, size, value);
    pthread_mutex_unlock(&t->device->lock);
}

/* Every address answers, in every size. */
const struct phys_mmio virtio_mmio = {
    .read = mmio_read, .write = mmio_write, .min_size = 1, .max_size = 8};

void virtio_mmio_reset(struct virtio_mmio *t)
{
    if (!t->device)
        return;
    pthread_mutex_lock(&t->device->lock);
    virtio_set_status(t->device, 0);
    t->device_features_sel = t->driver_features_sel = t->queue_sel = 0;
    pthread_mutex_unlock(&t->device->lock);
}

void virtio_mmio_state(struct virtio_mmio *t, struct state_io *io)
{
    if (!t->device)
        return;
    pthread_mutex_lock(&t->device->lock);
    STATE_IO(io, t->device_features_sel);
    STATE_IO(io, t->driver_features_sel);
    STATE_IO(io, t->queue_sel);
    virtio_state(t->device, io);
    pthread_mutex_unlock(&t->device->lock);
}
