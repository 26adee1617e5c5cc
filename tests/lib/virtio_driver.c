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
    if (d->on_pci)
        pci_host_fini(&d->pci);
    phys_fini(&d->phys);
}

/* ---- PCI ------------------------------------------------------------------------------------- */

enum { ISR = 0x1000, DEVICE = 0x2000, NOTIFY = 0x3000 };

void vd_init_pci(struct virtio_driver *d)
{
    const struct irq_line line = {.set = set_irq, .arg = d};
    const struct irq_line lines[PCI_LINES] = {line, line, line, line};

    if (d->on_pci)
        pci_host_fini(&d->pci);
    d->on_pci = true;
    pci_host_init(&d->pci, lines);
    d->window = (struct pci_window){.host = &d->pci, .gpa = VD_BAR};
    d->host.irq = virtio_pci_irq(&d->function);
}

/* As a kernel does it. */
static void enable(struct virtio_driver *d)
{
    vd_set_config(d, PCI_COMMAND, 2, 0);
    vd_set_config(d, PCI_BAR + 16, 4, (uint32_t)VD_BAR);
    vd_set_config(d, PCI_BAR + 20, 4, 0);
    vd_set_config(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void vd_plug(struct virtio_driver *d, struct virtio_device *device)
{
    d->slot.device = device;
    virtio_pci_init(&d->function, device);
    pci_plug(&d->pci, 1, &d->function.pci);
    enable(d);
}

uint32_t vd_config(struct virtio_driver *d, unsigned at, unsigned size)
{
    return (uint32_t)pci_ecam.read(&d->pci, 8 * PCI_ECAM_FUNCTION + at, size);
}

void vd_set_config(struct virtio_driver *d, unsigned at, unsigned size, uint32_t value)
{
    pci_ecam.write(&d->pci, 8 * PCI_ECAM_FUNCTION + at, size, value);
}

/* Where in the BAR a register is, and how wide. */
static uint64_t place(uint64_t reg, unsigned *size)
{
    static const struct {
        uint16_t reg, at, size;
    } rows[] = {
        {VD_DEVICE_FEATURES_SEL, 0x00, 4},
        {VD_DEVICE_FEATURES, 0x04, 4},
        {VD_DRIVER_FEATURES_SEL, 0x08, 4},
        {VD_DRIVER_FEATURES, 0x0c, 4},
        {VD_STATUS, 0x14, 1},
        {VD_GENERATION, 0x15, 1},
        {VD_QUEUE_SEL, 0x16, 2},
        {VD_QUEUE_NUM, 0x18, 2},
        {VD_QUEUE_NUM_MAX, 0x18, 2},
        {VD_QUEUE_READY, 0x1c, 2},
        {VD_QUEUE_DESC, 0x20, 4},
        {VD_QUEUE_DESC + 4, 0x24, 4},
        {VD_QUEUE_DRIVER, 0x28, 4},
        {VD_QUEUE_DRIVER + 4, 0x2c, 4},
        {VD_QUEUE_DEVICE, 0x30, 4},
        {VD_QUEUE_DEVICE + 4, 0x34, 4},
        {VD_INTERRUPT_STATUS, ISR, 1},
        {VD_INTERRUPT_ACK, ISR, 1},
    };

    *size = 4;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].reg == reg) {
            *size = rows[i].size;
            return rows[i].at;
        }
    }
    return DEVICE + (reg - VD_CONFIG) % 0x1000;
}

static uint32_t pci_read(struct virtio_driver *d, uint64_t reg)
{
    unsigned size;
    uint64_t at = place(reg, &size);

    return (uint32_t)pci_window.read(&d->window, at, size);
}

/* What is to be taken back is so by reading. */
static void pci_write(struct virtio_driver *d, uint64_t reg, uint32_t value)
{
    unsigned size;
    uint64_t at = place(reg, &size);

    if (reg == VD_INTERRUPT_ACK)
        (void)pci_window.read(&d->window, at, size);
    else if (reg == VD_QUEUE_NOTIFY)
        pci_window.write(&d->window, NOTIFY + 4 * (value % 1024), 2, value);
    else
        pci_window.write(&d->window, at, size, value);
}

/* ---- Registers ------------------------------------------------------------------------------- */

uint32_t vd_get(struct virtio_driver *d, uint64_t reg)
{
    if (d->on_pci)
        return pci_read(d, reg);
    return (uint32_t)virtio_mmio.read(&d->slot, reg, 4);
}

void vd_set(struct virtio_driver *d, uint64_t reg, uint32_t value)
{
    if (d->on_pci)
        pci_write(d, reg, value);
    else
        virtio_mmio.write(&d->slot, reg, 4, value);
}

bool vd_negotiate(struct virtio_driver *d, uint64_t features)
{
    features |= VIRTIO_F_VERSION_1;
    if (d->on_pci)
        enable(d);
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
