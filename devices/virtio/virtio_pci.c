#include "devices/virtio/virtio_pci.h"

#include <string.h>

#include "dbt/base/check.h"
#include "dbt/base/log.h"

enum { VENDOR = 0x1af4, DEVICE_FIRST = 0x1040, SUBSYSTEM = 0x1100, REVISION = 1 };

/* Where things are, in BAR 4 and in configuration space: as QEMU's. */
enum {
    BAR = 4,
    BAR_LEN = 0x4000,
    REGION_LEN = 0x1000,
    COMMON = 0x0000,
    ISR = 0x1000,
    DEVICE = 0x2000,
    NOTIFY = 0x3000,
    NOTIFY_STRIDE = 4,

    CAPABILITY_ID = 9, /* vendor specific */
    COMMON_AT = 0x40,
    ISR_AT = 0x50,
    DEVICE_AT = 0x60,
    NOTIFY_AT = 0x70,
    ACCESS_AT = 0x84,
};

enum { /* cfg_type, virtio 1.2, section 4.1.4 */
       CAP_COMMON = 1,
       CAP_NOTIFY = 2,
       CAP_ISR = 3,
       CAP_DEVICE = 4,
       CAP_ACCESS = 5,
};

/* struct virtio_pci_cap behind its two header bytes; `extra` is there in two of them. */
struct capability {
    uint8_t cap_len, cfg_type, bar, padding[3];
    uint32_t offset, length, extra;
} __attribute__((packed));

enum { /* fields of CAP_ACCESS in configuration space, section 4.1.4.9 */
       ACCESS_BAR = ACCESS_AT + 4,
       ACCESS_OFFSET = ACCESS_AT + 8,
       ACCESS_LENGTH = ACCESS_AT + 12,
       ACCESS_DATA = ACCESS_AT + 16,
};

enum { /* struct virtio_pci_common_cfg, section 4.1.4.3 */
       DEVICE_FEATURE_SELECT = 0x00,
       DEVICE_FEATURE = 0x04,
       DRIVER_FEATURE_SELECT = 0x08,
       DRIVER_FEATURE = 0x0c,
       CONFIG_MSIX_VECTOR = 0x10,
       NUM_QUEUES = 0x12,
       DEVICE_STATUS = 0x14,
       CONFIG_GENERATION = 0x15,
       QUEUE_SELECT = 0x16,
       QUEUE_SIZE = 0x18,
       QUEUE_MSIX_VECTOR = 0x1a,
       QUEUE_ENABLE = 0x1c,
       QUEUE_NOTIFY_OFF = 0x1e,
       QUEUE_DESC = 0x20,
       QUEUE_DRIVER = 0x28,
       QUEUE_DEVICE = 0x30,
       COMMON_END = 0x38,
       NO_VECTOR = 0xffff,
};

static struct virtio_pci *of(struct pci_device *d)
{
    return (struct virtio_pci *)(void *)d;
}

/* ---- Common configuration ------------------------------------------------------------------- */

/* One of the three addresses, by halves. */
static uint64_t *address(struct virtq *q, unsigned at)
{
    return at < QUEUE_DRIVER ? &q->desc_gpa : at < QUEUE_DEVICE ? &q->driver_gpa : &q->device_gpa;
}

static uint32_t read_queue(struct virtq *q, uint16_t n, unsigned at)
{
    switch (at) {
    case QUEUE_SIZE: return q->num;
    case QUEUE_ENABLE: return q->ready;
    case QUEUE_NOTIFY_OFF: return n;
    default: return at < QUEUE_DESC ? 0 : (uint32_t)(*address(q, at) >> (at % 8 * 8));
    }
}

/* A queue that is not there has the size 0. */
static uint32_t read_field(const struct virtio_pci *t, unsigned at)
{
    struct virtio_device *d = t->device;
    struct virtq *q = virtio_queue(d, t->queue_sel);

    switch (at) {
    case DEVICE_FEATURE_SELECT: return t->device_features_sel;
    case DEVICE_FEATURE: return virtio_offered(d, t->device_features_sel);
    case DRIVER_FEATURE_SELECT: return t->driver_features_sel;
    case DRIVER_FEATURE:
        return t->driver_features_sel > 1
                   ? 0
                   : (uint32_t)(d->features >> (32 * t->driver_features_sel));
    case CONFIG_MSIX_VECTOR:
    case QUEUE_MSIX_VECTOR: return NO_VECTOR;
    case NUM_QUEUES: return d->ops->n_queues;
    case DEVICE_STATUS: return d->status;
    case CONFIG_GENERATION: return (uint8_t)d->generation;
    case QUEUE_SELECT: return t->queue_sel;
    default: return q ? read_queue(q, t->queue_sel, at) : 0;
    }
}

/* A queue is enabled once; a reset disables it (section 4.1.4.3.2). */
static void write_queue(const struct virtio_pci *t, unsigned at, uint32_t value)
{
    struct virtq *q = virtio_queue(t->device, t->queue_sel);

    if (!q)
        return;
    if (at == QUEUE_SIZE)
        virtio_set_num(q, value);
    else if (at == QUEUE_ENABLE && value == 1)
        virtio_set_ready(t->device, t->queue_sel, true);
    else if (at >= QUEUE_DESC)
        virtio_set_address(q, address(q, at), at % 8 * 8, value);
}

static void write_field(struct virtio_pci *t, unsigned at, uint32_t value)
{
    struct virtio_device *d = t->device;

    switch (at) {
    case DEVICE_FEATURE_SELECT: t->device_features_sel = value; break;
    case DRIVER_FEATURE_SELECT: t->driver_features_sel = value; break;
    case DRIVER_FEATURE: virtio_set_features(d, t->driver_features_sel, value); break;
    case DEVICE_STATUS: virtio_set_status(d, (uint8_t)value); break;
    case QUEUE_SELECT: t->queue_sel = (uint16_t)value; break;
    default: write_queue(t, at, value); break;
    }
}

/* Fields are accessed as wide as they are, those of 64 bits also by halves (section 4.1.3.1). */
static bool is_field(const struct virtio_pci *t, uint64_t at, unsigned size)
{
    const unsigned width = at < CONFIG_MSIX_VECTOR                          ? 4
                           : at == DEVICE_STATUS || at == CONFIG_GENERATION ? 1
                           : at < QUEUE_DESC                                ? 2
                                                                            : 4;

    if (at < COMMON_END && (size == width || (at >= QUEUE_DESC && size == 8)))
        return true;
    log_line(LOG_guest, "%s: access of %u bytes to common configuration %#llx",
             t->device->ops->name, size, (unsigned long long)at);
    return false;
}

static uint64_t read_common(const struct virtio_pci *t, uint64_t at, unsigned size)
{
    uint64_t value;

    if (!is_field(t, at, size))
        return 0;
    value = read_field(t, (unsigned)at);
    return size == 8 ? value | (uint64_t)read_field(t, (unsigned)at + 4) << 32 : value;
}

static void write_common(struct virtio_pci *t, uint64_t at, unsigned size, uint64_t value)
{
    if (!is_field(t, at, size))
        return;
    write_field(t, (unsigned)at, (uint32_t)value);
    if (size == 8)
        write_field(t, (unsigned)at + 4, (uint32_t)(value >> 32));
}

/* ---- BAR 4 ------------------------------------------------------------------------------------
 */

static uint64_t read_isr(const struct virtio_pci *t, uint64_t at)
{
    const uint8_t interrupts = t->device->interrupts;

    if (at != 0)
        return 0;
    virtio_ack(t->device, interrupts);
    return interrupts;
}

static uint64_t bar_read(struct pci_device *pci, unsigned bar, uint64_t offset, unsigned size)
{
    struct virtio_pci *t = of(pci);
    const uint64_t at = offset % REGION_LEN;
    uint64_t value = 0;

    (void)bar;
    pthread_mutex_lock(&t->device->lock);
    switch (offset - at) {
    case COMMON: value = read_common(t, at, size); break;
    case ISR: value = read_isr(t, at); break;
    case DEVICE: value = virtio_read_config(t->device, at, size); break;
    default: break;
    }
    pthread_mutex_unlock(&t->device->lock);
    return value;
}

static void bar_write(struct pci_device *pci, unsigned bar, uint64_t offset, unsigned size,
                      uint64_t value)
{
    struct virtio_pci *t = of(pci);
    const uint64_t at = offset % REGION_LEN;

    (void)bar;
    pthread_mutex_lock(&t->device->lock);
    switch (offset - at) {
    case COMMON: write_common(t, at, size, value); break;
    case DEVICE: virtio_write_config(t->device, at, size, value); break;
    case NOTIFY: virtio_notify(t->device, (uint32_t)(at / NOTIFY_STRIDE)); break;
    default: break;
    }
    pthread_mutex_unlock(&t->device->lock);
}

/* ---- Configuration space ----------------------------------------------------------------------
 */

static bool overlaps(unsigned offset, unsigned size, unsigned at, unsigned len)
{
    return offset < at + len && at < offset + size;
}

/* The access to the BAR that CAP_ACCESS describes: false if there can be none such. */
static bool described(struct pci_device *pci, uint32_t *offset, uint32_t *size)
{
    *offset = pci_get(pci, ACCESS_OFFSET, 4);
    *size = pci_get(pci, ACCESS_LENGTH, 4);
    return pci_get(pci, ACCESS_BAR, 1) == BAR && (*size == 1 || *size == 2 || *size == 4) &&
           *offset % *size == 0 && *offset < BAR_LEN;
}

static void config_reads(struct pci_device *pci, unsigned at, unsigned size)
{
    uint32_t offset, n;

    if (overlaps(at, size, ACCESS_DATA, 4) && described(pci, &offset, &n))
        pci_put(pci, ACCESS_DATA, n, (uint32_t)bar_read(pci, BAR, offset, n));
}

/* Read inside the device's lock, so that of two harts that write COMMAND the last one's word
 * stands. */
static void follow_command(struct virtio_pci *t)
{
    pthread_mutex_lock(&t->device->lock);
    virtio_hold(t->device, !pci_is_master(&t->pci));
    pthread_mutex_unlock(&t->device->lock);
}

static void config_wrote(struct pci_device *pci, unsigned at, unsigned size)
{
    uint32_t offset, n;

    if (overlaps(at, size, PCI_COMMAND, 2))
        follow_command(of(pci));
    if (overlaps(at, size, ACCESS_DATA, 4) && described(pci, &offset, &n))
        bar_write(pci, BAR, offset, n, pci_get(pci, ACCESS_DATA, n));
}

static const struct pci_ops ops = {.name = "virtio",
                                   .bar_read = bar_read,
                                   .bar_write = bar_write,
                                   .config_reads = config_reads,
                                   .config_wrote = config_wrote};

/* ---- Life
 * ---------------------------------------------------------------------------------------- */

static void add_region(struct virtio_pci *t, unsigned at, uint8_t type, uint32_t offset)
{
    const struct capability c = {
        .cap_len = 16, .cfg_type = type, .bar = BAR, .offset = offset, .length = REGION_LEN};

    pci_add_capability(&t->pci, CAPABILITY_ID, at, &c, 14);
}

static void add_capabilities(struct virtio_pci *t)
{
    const struct capability notify = {.cap_len = 20,
                                      .cfg_type = CAP_NOTIFY,
                                      .bar = BAR,
                                      .offset = NOTIFY,
                                      .length = REGION_LEN,
                                      .extra = NOTIFY_STRIDE};
    const struct capability access = {.cap_len = 20, .cfg_type = CAP_ACCESS};

    add_region(t, COMMON_AT, CAP_COMMON, COMMON);
    add_region(t, ISR_AT, CAP_ISR, ISR);
    add_region(t, DEVICE_AT, CAP_DEVICE, DEVICE);
    pci_add_capability(&t->pci, CAPABILITY_ID, NOTIFY_AT, &notify, sizeof notify);
    pci_add_capability(&t->pci, CAPABILITY_ID, ACCESS_AT, &access, sizeof access);
    pci_add_writable(&t->pci, ACCESS_BAR, 1);
    pci_add_writable(&t->pci, ACCESS_OFFSET, 12);
}

static void drive(void *arg, unsigned n, bool level)
{
    (void)n;
    pci_set_intx(arg, level);
}

static uint32_t class_of(uint32_t id)
{
    switch (id) {
    case VIRTIO_ID_NET: return 0x020000;     /* Ethernet */
    case VIRTIO_ID_BLK: return 0x010000;     /* mass storage, SCSI: as QEMU says of it */
    case VIRTIO_ID_CONSOLE: return 0x078000; /* simple communication, other */
    case VIRTIO_ID_FS: return 0x018000;      /* mass storage, other */
    default: return 0x00ff00;                /* none of the others */
    }
}

void virtio_pci_init(struct virtio_pci *t, struct virtio_device *device)
{
    const struct pci_identity id = {.vendor = VENDOR,
                                    .device = (uint16_t)(DEVICE_FIRST + device->ops->id),
                                    .subsystem_vendor = VENDOR,
                                    .subsystem = SUBSYSTEM,
                                    .revision = REVISION,
                                    .class_code = class_of(device->ops->id)};

    *t = (struct virtio_pci){.device = device};
    pci_init(&t->pci, &ops, &id);
    pci_add_bar(&t->pci, BAR, BAR_LEN, PCI_BAR_64 | PCI_BAR_PREFETCHABLE);
    pci_use_intx(&t->pci);
    add_capabilities(t);
    device->held = true;
}

struct irq_line virtio_pci_irq(struct virtio_pci *t)
{
    return (struct irq_line){.set = drive, .arg = &t->pci};
}

void virtio_pci_reset(struct virtio_pci *t)
{
    pthread_mutex_lock(&t->device->lock);
    virtio_set_status(t->device, 0);
    t->device_features_sel = t->driver_features_sel = 0;
    t->queue_sel = 0;
    t->device->held = true;
    pthread_mutex_unlock(&t->device->lock);
}

void virtio_pci_state(struct virtio_pci *t, struct state_io *io)
{
    pthread_mutex_lock(&t->device->lock);
    STATE_IO(io, t->device_features_sel);
    STATE_IO(io, t->driver_features_sel);
    STATE_IO(io, t->queue_sel);
    virtio_state(t->device, io);
    pthread_mutex_unlock(&t->device->lock);
    follow_command(t);
}
