/* A driver for virtio devices, for tests: RAM of its own, a slot, and two queues laid out in
 * it, of which one is selected. What a test wants to get wrong it writes over. Registers have
 * virtio-mmio's names and offsets, also when the device is on PCI. */
#pragma once

#include "devices/virtio/virtio_mmio.h"
#include "devices/virtio/virtio_pci.h"

enum {
    VD_RAM_LEN = 1 << 20,
    VD_N_QUEUES = 2,
    VD_STRIDE = 0x80000, /* from a queue's areas to the next one's */
    VD_DESC = 0x1000,    /* offsets in RAM of queue 0's areas */
    VD_AVAIL = 0x5000,
    VD_USED = 0x7000,
    VD_TABLE = 0xa000, /* indirect descriptors */
    VD_DATA = 0x10000, /* buffers */
};
#define VD_RAM UINT64_C(0x80000000)

enum {
    VD_MAGIC = 0x00,
    VD_VERSION = 0x04,
    VD_DEVICE_ID = 0x08,
    VD_VENDOR_ID = 0x0c,
    VD_DEVICE_FEATURES = 0x10,
    VD_DEVICE_FEATURES_SEL = 0x14,
    VD_DRIVER_FEATURES = 0x20,
    VD_DRIVER_FEATURES_SEL = 0x24,
    VD_QUEUE_SEL = 0x30,
    VD_QUEUE_NUM_MAX = 0x34,
    VD_QUEUE_NUM = 0x38,
    VD_QUEUE_READY = 0x44,
    VD_QUEUE_NOTIFY = 0x50,
    VD_INTERRUPT_STATUS = 0x60,
    VD_INTERRUPT_ACK = 0x64,
    VD_STATUS = 0x70,
    VD_QUEUE_DESC = 0x80,
    VD_QUEUE_DRIVER = 0x90,
    VD_QUEUE_DEVICE = 0xa0,
    VD_GENERATION = 0xfc,
    VD_CONFIG = 0x100
};

enum {
    VD_ACKNOWLEDGE = 1,
    VD_DRIVER = 2,
    VD_DRIVER_OK = 4,
    VD_FEATURES_OK = 8,
    VD_NEEDS_RESET = 64,
    VD_FAILED = 128
};

enum { VD_NEXT = 1, VD_WRITE = 2, VD_INDIRECT = 4 };

struct virtio_driver {
    struct phys phys;
    struct virtio_mmio slot;
    bool on_pci;
    struct pci_host pci;
    struct pci_window window;
    struct virtio_pci function; /* in slot 1 */
    struct virtio_host host;    /* hand this to the device's init */
    unsigned queue;             /* selected: the next three are its own */
    uint16_t num;
    uint16_t avail_idx, used_idx;
    struct {
        uint16_t num, avail_idx, used_idx;
    } other[VD_N_QUEUES]; /* of those that are not selected */
    bool irq;
    _Atomic unsigned n_kicks;
    unsigned n_irqs; /* times that the line went up */
    uint64_t n_wrote;
    uint64_t wrote_low, wrote_high; /* the range that `wrote` told of, from RAM's start */
};

/* RAM and host; then the test makes the device, and sets d->slot.device. */
void vd_init(struct virtio_driver *d);
void vd_fini(struct virtio_driver *d);

/* For a device on PCI: before it is made, and then instead of setting d->slot. Its BAR is at
 * VD_BAR. */
#define VD_BAR UINT64_C(0x40000000)
void vd_init_pci(struct virtio_driver *d);
void vd_plug(struct virtio_driver *d, struct virtio_device *device);

/* Configuration space. */
uint32_t vd_config(struct virtio_driver *d, unsigned at, unsigned size);
void vd_set_config(struct virtio_driver *d, unsigned at, unsigned size, uint32_t value);

uint32_t vd_get(struct virtio_driver *d, uint64_t reg);
void vd_set(struct virtio_driver *d, uint64_t reg, uint32_t value);

/* To FEATURES_OK with these features (VERSION_1 is added). True: the device agrees. */
bool vd_negotiate(struct virtio_driver *d, uint64_t features);

/* What follows is done with that queue; it is 0 at first. */
void vd_select(struct virtio_driver *d, unsigned queue);

/* The queue, num descriptors, at the offsets above. */
void vd_make_queue(struct virtio_driver *d, uint16_t num);

/* The same, then DRIVER_OK. */
void vd_start(struct virtio_driver *d, uint16_t num);

/* RAM at an offset. */
static inline void *vd_at(struct virtio_driver *d, uint64_t offset)
{
    return d->phys.ram + offset;
}

/* Writes descriptor i of the queue, or of the table at VD_TABLE. */
void vd_desc(struct virtio_driver *d, unsigned i, uint64_t gpa, uint32_t len, uint16_t flags,
             uint16_t next);
void vd_table_desc(struct virtio_driver *d, unsigned i, uint64_t gpa, uint32_t len, uint16_t flags,
                   uint16_t next);

/* Makes a chain available; vd_notify() tells the device and serves it. */
void vd_offer(struct virtio_driver *d, uint16_t head);
void vd_notify(struct virtio_driver *d);
void vd_poll(struct virtio_driver *d);

/* Used buffers that were not taken yet; takes one. */
unsigned vd_n_used(struct virtio_driver *d);
void vd_take_used(struct virtio_driver *d, uint32_t *head, uint32_t *len);
