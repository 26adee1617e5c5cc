/* PCI: functions with a configuration space, and the host bridge that the guest finds them by
 * (PCI Local Bus 3.0, chapter 6; PCI Express 4.0, section 7.2.2 for ECAM). One bus, one function a
 * slot, memory BARs, INTx. There are no message-signalled interrupts: the PLIC takes none.
 *
 *   ECAM ------> pci_ecam ----> struct pci_device: config[] --> ops->config_wrote
 *   windows ---> pci_window --> whose BAR holds the address --> ops->bar_read, bar_write
 *   pci_set_intx() --> four lines, shared as slot and pin have it --> PLIC
 *
 * The bridge has one lock, for all configuration spaces and lines. It is taken inside a
 * device's and released before a device's ops are called. */
#pragma once

#include <pthread.h>
#include <stdio.h>

#include "devices/device.h"
#include "devices/irq.h"
#include "softmmu/phys.h"

enum {
    PCI_CONFIG_LEN = 256, /* what PCI Express has beyond reads as ones */
    PCI_SLOTS = 32,
    PCI_BARS = 6,
    PCI_LINES = 4,
    PCI_ECAM_FUNCTION = 4096,
};

enum { /* registers of configuration space, header type 0 */
       PCI_VENDOR = 0x00,
       PCI_DEVICE = 0x02,
       PCI_COMMAND = 0x04,
       PCI_STATUS = 0x06,
       PCI_REVISION = 0x08,
       PCI_CLASS = 0x09,
       PCI_CACHE_LINE = 0x0c,
       PCI_HEADER_TYPE = 0x0e,
       PCI_BAR = 0x10,
       PCI_SUBSYSTEM_VENDOR = 0x2c,
       PCI_SUBSYSTEM = 0x2e,
       PCI_CAPABILITIES = 0x34,
       PCI_INTERRUPT_LINE = 0x3c,
       PCI_INTERRUPT_PIN = 0x3d,
};

enum { PCI_COMMAND_MEMORY = 1 << 1, PCI_COMMAND_MASTER = 1 << 2, PCI_COMMAND_NO_INTX = 1 << 10 };
enum { PCI_STATUS_INTERRUPT = 1 << 3, PCI_STATUS_CAPABILITIES = 1 << 4 };
enum { PCI_BAR_64 = 4, PCI_BAR_PREFETCHABLE = 8 };

struct pci_device;
struct pci_host;

/* What a function does. Called without the bridge's lock, on the thread of the hart that makes the
 * access. */
struct pci_ops {
    const char *name;
    /* An access to the BAR's range, aligned; size is 1, 2, 4 or 8. NULL: it has no BARs. */
    uint64_t (*bar_read)(struct pci_device *d, unsigned bar, uint64_t offset, unsigned size);
    void (*bar_write)(struct pci_device *d, unsigned bar, uint64_t offset, unsigned size,
                      uint64_t value);
    /* Configuration space is about to be read there. NULL: it is as it stands. */
    void (*config_reads)(struct pci_device *d, unsigned offset, unsigned size);
    /* It was written there. NULL: nothing else comes of it. */
    void (*config_wrote)(struct pci_device *d, unsigned offset, unsigned size);
};

struct pci_identity {
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint8_t revision;
    uint32_t class_code; /* base class, subclass, programming interface: 24 bits */
};

/* Embedded in a function's struct, as its first member. */
struct pci_device {
    const struct pci_ops *ops;
    struct pci_host *host; /* once it is plugged */
    unsigned slot;
    uint64_t bar_len[PCI_BARS]; /* 0: there is none; the upper half of a 64-bit one has 0 */

    /* The bridge's lock. */
    uint8_t config[PCI_CONFIG_LEN];
    uint8_t writable[PCI_CONFIG_LEN]; /* bits that are; after a reset they are 0 */
    bool intx;                        /* what the function drives, whatever COMMAND says */
};

/* A range of guest physical memory in which BARs lie: PCI addresses are the same. */
struct pci_window {
    struct pci_host *host;
    uint64_t gpa;
};

struct pci_host {
    pthread_mutex_t lock;
    struct pci_device bridge; /* slot 0 */
    struct pci_device *slot[PCI_SLOTS];
    struct irq_line line[PCI_LINES];
    uint8_t levels; /* bit n: what line[n] was last set to */
};

extern const struct phys_mmio pci_ecam;   /* device: struct pci_host * */
extern const struct phys_mmio pci_window; /* device: struct pci_window * */
extern const struct phys_mmio pci_io;     /* no function has I/O ports; device: not used */

/* ---- Before the first hart runs, after the last has stopped: pci_config.c ------------------- */

void pci_init(struct pci_device *d, const struct pci_ops *ops, const struct pci_identity *id);

/* A memory BAR of len_bytes, a power of two of 16 or more; flags are PCI_BAR_*. */
void pci_add_bar(struct pci_device *d, unsigned bar, uint64_t len_bytes, unsigned flags);

/* A capability at `offset`, first in the list; `len` bytes from its second header byte's successor
 * on. */
void pci_add_capability(struct pci_device *d, uint8_t id, unsigned offset, const void *body,
                        size_t len);

/* Makes bits of configuration space writable. */
void pci_add_writable(struct pci_device *d, unsigned offset, size_t len);

/* It interrupts, by INTA. */
void pci_use_intx(struct pci_device *d);

/* All that can be written is 0. */
void pci_reset(struct pci_device *d);
void pci_state(struct pci_device *d, struct state_io *io);

/* ---- The same: pci_host.c -------------------------------------------------------------------- */

/* A slot's pin drives the line of its number, slot and pin counted together, modulo 4. */
void pci_host_init(struct pci_host *h, const struct irq_line line[PCI_LINES]);
void pci_host_fini(struct pci_host *h);
void pci_host_reset(struct pci_host *h);
void pci_host_state(struct pci_host *h, struct state_io *io);

/* Into slot 1 to 31, which is free. d is borrowed. */
void pci_plug(struct pci_host *h, unsigned slot, struct pci_device *d);

/* ---- Any thread -------------------------------------------------------------------------------
 */

/* Drives the function's interrupt. */
void pci_set_intx(struct pci_device *d, bool level);

/* May it read and write guest memory (COMMAND)? */
bool pci_is_master(struct pci_device *d);

/* Bytes of configuration space, little-endian, past what can be written and who hears of it. */
uint32_t pci_get(struct pci_device *d, unsigned offset, unsigned size);
void pci_put(struct pci_device *d, unsigned offset, unsigned size, uint32_t value);

/* The functions, and where their BARs are, some lines each. */
void pci_print(struct pci_host *h, FILE *out);

/* ---- Private to devices/pci -------------------------------------------------------------------
 */

/* The lock is held. Where the BAR lies; false when it has none, or memory is disabled. */
bool pci_bar_at_locked(const struct pci_device *d, unsigned bar, uint64_t *gpa);
uint32_t pci_get_locked(const struct pci_device *d, unsigned offset, unsigned size);
void pci_put_locked(struct pci_device *d, unsigned offset, unsigned size, uint32_t value);
