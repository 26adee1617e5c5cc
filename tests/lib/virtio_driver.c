#include "tests/lib/virtio_driver.h"

#include <stdatomic.h>
#include <string.h>

#include "dbt/base/check.h"

static void set_irq(void *arg, unsigned n, bool level)
{
    struct virtio_driver *d = arg;

    (void)n;
    d->irq = level;
    d->n_irqs += level;
}

static void kick(void *arg)
{
    atomic_fetch_add(&((struct virtio_driver *)arg)->n_kicks, 1);
}

static void wrote(void *arg, uint64_t gpa, uint64_t len_bytes)
{
    struct virtio_driver *d = arg;

    CHECK(phys_is_ram(&d->phys, gpa, len_bytes) && "a device writes RAM only");
    d->n_wrote += len_bytes;
    if (gpa - VD_RAM < d->wrote_low)
        d->wrote_low = gpa - VD_RAM;
    if (gpa - VD_RAM + len_bytes > d->wrote_high)
        d->wrote_high = gpa - VD_RAM + len_bytes;
}

void vd_init(struct virtio_driver *d)
{
    struct err e;

    memset(d, 0, sizeof *d);
    CHECK(phys_init(&d->phys, VD_RAM, VD_RAM_LEN, &e));
    d->host = (struct virtio_host){.dma = {.phys = &d->phys, .wrote = wrote, .arg = d},
                                   .irq = {.set = set_irq, .arg = d},
                                   .kick = kick,
                                   .arg = d};
    d->wrote_low = UINT64_MAX;
}

void vd_fini(struct virtio_driver *d)
{
    phys_fini(&d->phys);
}

uint32_t vd_get(struct virtio_driver *d, uint64_t reg)
{
    return (uint32_t)virtio_mmio.read(&d->slot, reg, 4);
}

void vd_set(struct virtio_driver *d, uint64_t reg, uint32_t value)
{
    virtio_mmio.write(&d->slot, reg, 4, value);
}

bool vd_negotiate(struct virtio_driver *d, uint64_t features)
{
    features |= VIRTIO_F_VERSION_1;
    vd_set(d, VD_STATUS, 0);
    d->avail_idx = d->used_idx = 0;
    memset(d->other, 0, sizeof d->other);
    vd_set(d, VD_STATUS, VD_ACKNOWLEDGE);
    vd_set(d, VD_STATUS, VD_ACKNOWLEDGE | VD_DRIVER);
    for (unsigned sel = 0; sel < 2; sel++) {
        vd_set(d, VD_DRIVER_FEATURES_SEL, sel);
        vd_set(d, VD_DRIVER_FEATURES, (uint32_t)(features >> (32 * sel)));
    }
    vd_set(d, VD_STATUS, VD_ACKNOWLEDGE | VD_DRIVER | VD_FEATURES_OK);
    return (vd_get(d, VD_STATUS) & VD_FEATURES_OK) != 0;
}

static void set_address(struct virtio_driver *d, uint64_t reg, uint64_t gpa)
{
    vd_set(d, reg, (uint32_t)gpa);
    vd_set(d, reg + 4, (uint32_t)(gpa >> 32));
}

/* Where something of the selected queue's lies, of which this is queue 0's place. */
static uint64_t own(const struct virtio_driver *d, uint64_t offset)
{
    return offset + (uint64_t)VD_STRIDE * d->queue;
}

void vd_select(struct virtio_driver *d, unsigned queue)
{
    d->other[d->queue].num = d->num;
    d->other[d->queue].avail_idx = d->avail_idx;
    d->other[d->queue].used_idx = d->used_idx;
    d->queue = queue;
    d->num = d->other[queue].num;
    d->avail_idx = d->other[queue].avail_idx;
    d->used_idx = d->other[queue].used_idx;
}

void vd_make_queue(struct virtio_driver *d, uint16_t num)
{
    d->num = num;
    memset(vd_at(d, own(d, VD_DESC)), 0, VD_DATA - VD_DESC);
    vd_set(d, VD_QUEUE_SEL, d->queue);
    vd_set(d, VD_QUEUE_NUM, num);
    set_address(d, VD_QUEUE_DESC, VD_RAM + own(d, VD_DESC));
    set_address(d, VD_QUEUE_DRIVER, VD_RAM + own(d, VD_AVAIL));
    set_address(d, VD_QUEUE_DEVICE, VD_RAM + own(d, VD_USED));
    vd_set(d, VD_QUEUE_READY, 1);
}

void vd_start(struct virtio_driver *d, uint16_t num)
{
    vd_make_queue(d, num);
    vd_set(d, VD_STATUS, vd_get(d, VD_STATUS) | VD_DRIVER_OK);
}

static void write_desc(uint8_t *at, uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next)
{
    memcpy(at, &gpa, 8);
    memcpy(at + 8, &len, 4);
    memcpy(at + 12, &flags, 2);
    memcpy(at + 14, &next, 2);
}

void vd_desc(struct virtio_driver *d, unsigned i, uint64_t gpa, uint32_t len, uint16_t flags,
             uint16_t next)
{
    write_desc(vd_at(d, own(d, VD_DESC + 16 * i)), gpa, len, flags, next);
}

void vd_table_desc(struct virtio_driver *d, unsigned i, uint64_t gpa, uint32_t len, uint16_t flags,
                   uint16_t next)
{
    write_desc(vd_at(d, own(d, VD_TABLE + 16 * i)), gpa, len, flags, next);
}

void vd_offer(struct virtio_driver *d, uint16_t head)
{
    memcpy(vd_at(d, own(d, VD_AVAIL + 4 + 2 * (d->avail_idx & (d->num - 1)))), &head, 2);
    d->avail_idx++;
    memcpy(vd_at(d, own(d, VD_AVAIL + 2)), &d->avail_idx, 2);
}

void vd_notify(struct virtio_driver *d)
{
    vd_set(d, VD_QUEUE_NOTIFY, d->queue);
    vd_poll(d);
}

void vd_poll(struct virtio_driver *d)
{
    virtio_poll(d->slot.device);
}

unsigned vd_n_used(struct virtio_driver *d)
{
    uint16_t idx;

    memcpy(&idx, vd_at(d, own(d, VD_USED + 2)), 2);
    return (uint16_t)(idx - d->used_idx);
}

void vd_take_used(struct virtio_driver *d, uint32_t *head, uint32_t *len)
{
    const uint8_t *at = vd_at(d, own(d, VD_USED + 4 + 8 * (d->used_idx & (d->num - 1))));

    CHECK(vd_n_used(d) > 0 && "there is a used buffer");
    memcpy(head, at, 4);
    memcpy(len, at + 4, 4);
    d->used_idx++;
}
