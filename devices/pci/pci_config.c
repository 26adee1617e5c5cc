/* Configuration space of one function: bytes, of which some can be written. */
#include <string.h>

#include "dbt/base/check.h"
#include "devices/pci/pci.h"

enum { BAR_FLAGS = 15, FIRST_CAPABILITY = 0x40 };

uint32_t pci_get_locked(const struct pci_device *d, unsigned offset, unsigned size)
{
    uint32_t value = 0;

    CHECK(size <= sizeof value && offset + size <= PCI_CONFIG_LEN);
    memcpy(&value, &d->config[offset], size);
    return value;
}

void pci_put_locked(struct pci_device *d, unsigned offset, unsigned size, uint32_t value)
{
    CHECK(size <= sizeof value && offset + size <= PCI_CONFIG_LEN);
    memcpy(&d->config[offset], &value, size);
}

/* ---- Making one ------------------------------------------------------------------------------ */

/* There are no I/O ports and no parity: of COMMAND only what is used can be set. Cache line size
 * and interrupt line are notes of the system's to itself. */
void pci_init(struct pci_device *d, const struct pci_ops *ops, const struct pci_identity *id)
{
    *d = (struct pci_device){.ops = ops};
    pci_put_locked(d, PCI_VENDOR, 2, id->vendor);
    pci_put_locked(d, PCI_DEVICE, 2, id->device);
    pci_put_locked(d, PCI_REVISION, 1, id->revision);
    pci_put_locked(d, PCI_CLASS, 3, id->class_code);
    pci_put_locked(d, PCI_SUBSYSTEM_VENDOR, 2, id->subsystem_vendor);
    pci_put_locked(d, PCI_SUBSYSTEM, 2, id->subsystem);
    d->writable[PCI_COMMAND] = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
    d->writable[PCI_CACHE_LINE] = 0xff;
    d->writable[PCI_INTERRUPT_LINE] = 0xff;
}

/* Address bits below the size cannot be set: so the driver learns the size by writing ones. */
void pci_add_bar(struct pci_device *d, unsigned bar, uint64_t len_bytes, unsigned flags)
{
    const unsigned at = PCI_BAR + 4 * bar, n = flags & PCI_BAR_64 ? 8 : 4;
    const uint64_t mask = ~(len_bytes - 1);

    CHECK(at + n <= PCI_BAR + 4 * PCI_BARS && d->bar_len[bar] == 0);
    CHECK(len_bytes >= 16 && (len_bytes & (len_bytes - 1)) == 0);
    d->bar_len[bar] = len_bytes;
    d->config[at] = (uint8_t)flags;
    memcpy(&d->writable[at], &mask, n);
}

void pci_add_writable(struct pci_device *d, unsigned offset, size_t len)
{
    CHECK(offset + len <= PCI_CONFIG_LEN);
    memset(&d->writable[offset], 0xff, len);
}

void pci_add_capability(struct pci_device *d, uint8_t id, unsigned offset, const void *body,
                        size_t len)
{
    CHECK(offset >= FIRST_CAPABILITY && offset % 4 == 0 && offset + 2 + len <= PCI_CONFIG_LEN);
    d->config[offset] = id;
    d->config[offset + 1] = d->config[PCI_CAPABILITIES];
    memcpy(&d->config[offset + 2], body, len);
    d->config[PCI_CAPABILITIES] = (uint8_t)offset;
    d->config[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
}

void pci_use_intx(struct pci_device *d)
{
    d->config[PCI_INTERRUPT_PIN] = 1;
    d->writable[PCI_COMMAND + 1] = PCI_COMMAND_NO_INTX >> 8;
}

void pci_reset(struct pci_device *d)
{
    for (unsigned i = 0; i < PCI_CONFIG_LEN; i++)
        d->config[i] &= (uint8_t)~d->writable[i];
}

/* What cannot be written is this program's, not the file's. */
void pci_state(struct pci_device *d, struct state_io *io)
{
    uint8_t config[PCI_CONFIG_LEN];

    memcpy(config, d->config, sizeof config);
    STATE_IO(io, config);
    for (unsigned i = 0; i < PCI_CONFIG_LEN; i++)
        d->config[i] = (uint8_t)((d->config[i] & ~d->writable[i]) | (config[i] & d->writable[i]));
}

/* ---- While it runs -----------------------------------------------------------------------------
 */

bool pci_bar_at_locked(const struct pci_device *d, unsigned bar, uint64_t *gpa)
{
    const unsigned at = PCI_BAR + 4 * bar;

    if (d->bar_len[bar] == 0 || !(d->config[PCI_COMMAND] & PCI_COMMAND_MEMORY))
        return false;
    *gpa = pci_get_locked(d, at, 4) & ~(uint32_t)BAR_FLAGS;
    if (d->config[at] & PCI_BAR_64)
        *gpa |= (uint64_t)pci_get_locked(d, at + 4, 4) << 32;
    return true;
}
