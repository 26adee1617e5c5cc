/* The virtio-pci transport (virtio 1.2, section 4.1) without what was before 1.0: a PCI function
 * with a device in it.
 *
 *   configuration space   five capabilities that say where in BAR 4 the rest is
 *   BAR 4  +0x0000        common configuration: status, features, queues
 *          +0x1000        ISR status: reading it takes the interrupt back
 *          +0x2000        the device's configuration space
 *          +0x3000        notifications, four bytes a queue
 *
 * Interrupts are INTx: there are no MSI-X capability and no vectors. While COMMAND keeps the
 * function from being bus master the device leaves guest memory alone. */
#pragma once

#include "devices/pci/pci.h"
#include "devices/virtio/virtio.h"

struct virtio_pci {
    struct pci_device pci;
    struct virtio_device *device;
    /* The device's lock. */
    uint32_t device_features_sel, driver_features_sel;
    uint16_t queue_sel;
};

/* ---- Before the first hart runs, after the last has stopped --------------------------------- */

/* The device's line is virtio_pci_irq() of the struct that is made here, after the device: it is
 * plugged before the first interrupt. */
void virtio_pci_init(struct virtio_pci *t, struct virtio_device *device);
struct irq_line virtio_pci_irq(struct virtio_pci *t);

/* As after power-on; the bridge resets configuration space after it. */
void virtio_pci_reset(struct virtio_pci *t);

/* After the bridge's. */
void virtio_pci_state(struct virtio_pci *t, struct state_io *io);
