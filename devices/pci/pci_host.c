/* The host bridge: who answers an access, and whose interrupts a line carries. It is QEMU's generic
 * one (1b36:0008), as the board's is. */
#include <inttypes.h>
#include <string.h>

#include "dbt/base/check.h"
#include "devices/pci/pci.h"

/* What nobody answers reads as ones, and is not kept. */
static uint64_t nobody(unsigned size)
{
    return UINT64_MAX >> (64 - 8 * size);
}

/* ---- Interrupts --------------------------------------------------------------------------------
 */

static bool drives(const struct pci_device *d)
{
    return d->intx && !(pci_get_locked(d, PCI_COMMAND, 2) & PCI_COMMAND_NO_INTX);
}

static void update_locked(struct pci_host *h)
{
    uint8_t levels = 0;

    for (unsigned i = 0; i < PCI_SLOTS; i++)
        if (h->slot[i] && drives(h->slot[i]))
            levels |= (uint8_t)(1u << i % PCI_LINES);
    for (unsigned n = 0; n < PCI_LINES; n++)
        if ((levels ^ h->levels) >> n & 1)
            irq_set(&h->line[n], levels >> n & 1);
    h->levels = levels;
}

/* STATUS tells what the function wants also while COMMAND keeps it from the line. */
void pci_set_intx(struct pci_device *d, bool level)
{
    struct pci_host *h = d->host;

    pthread_mutex_lock(&h->lock);
    d->intx = level;
    if (level)
        d->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
    else
        d->config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
    update_locked(h);
    pthread_mutex_unlock(&h->lock);
}

/* ---- Configuration space, by ECAM ---------------------------------------------------------------
 */

/* Bus, slot, function and register stand in the offset. NULL: nobody there. */
static struct pci_device *addressed(const struct pci_host *h, uint64_t offset, unsigned size)
{
    const uint64_t function = offset / PCI_ECAM_FUNCTION;

    if (offset % PCI_ECAM_FUNCTION + size > PCI_CONFIG_LEN)
        return NULL;
    return function < 8 * PCI_SLOTS && function % 8 == 0 ? h->slot[function / 8] : NULL;
}

static uint64_t config_read(struct pci_device *d, unsigned at, unsigned size)
{
    uint64_t value = 0;

    if (d->ops->config_reads)
        d->ops->config_reads(d, at, size);
    pthread_mutex_lock(&d->host->lock);
    memcpy(&value, &d->config[at], size);
    pthread_mutex_unlock(&d->host->lock);
    return value;
}

static void config_write(struct pci_device *d, unsigned at, unsigned size, uint64_t value)
{
    pthread_mutex_lock(&d->host->lock);
    for (unsigned i = 0; i < size; i++) {
        const uint8_t mask = d->writable[at + i], byte = (uint8_t)(value >> 8 * i);

        d->config[at + i] = (uint8_t)((d->config[at + i] & ~mask) | (byte & mask));
    }
    update_locked(d->host);
    pthread_mutex_unlock(&d->host->lock);
    if (d->ops->config_wrote)
        d->ops->config_wrote(d, at, size);
}

static uint64_t ecam_read(void *device, uint64_t offset, unsigned size)
{
    struct pci_device *d = addressed(device, offset, size);

    return d ? config_read(d, (unsigned)(offset % PCI_ECAM_FUNCTION), size) : nobody(size);
}

static void ecam_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct pci_device *d = addressed(device, offset, size);

    if (d)
        config_write(d, (unsigned)(offset % PCI_ECAM_FUNCTION), size, value);
}

const struct phys_mmio pci_ecam = {
    .read = ecam_read, .write = ecam_write, .min_size = 1, .max_size = 8};

uint32_t pci_get(struct pci_device *d, unsigned offset, unsigned size)
{
    uint32_t value;

    pthread_mutex_lock(&d->host->lock);
    value = pci_get_locked(d, offset, size);
    pthread_mutex_unlock(&d->host->lock);
    return value;
}

void pci_put(struct pci_device *d, unsigned offset, unsigned size, uint32_t value)
{
    pthread_mutex_lock(&d->host->lock);
    pci_put_locked(d, offset, size, value);
    pthread_mutex_unlock(&d->host->lock);
}

bool pci_is_master(struct pci_device *d)
{
    return (pci_get(d, PCI_COMMAND, 2) & PCI_COMMAND_MASTER) != 0;
}

/* ---- Memory
 * --------------------------------------------------------------------------------------- */

/* Of two BARs at one address, which is the driver's mistake, the lower slot's answers. An access is
 * aligned, and so is a BAR, to its size: none reaches beyond. */
static struct pci_device *owner_locked(const struct pci_host *h, uint64_t gpa, unsigned *bar,
                                       uint64_t *offset)
{
    uint64_t base;

    for (unsigned i = 0; i < PCI_SLOTS; i++) {
        for (*bar = 0; h->slot[i] && *bar < PCI_BARS; ++*bar) {
            if (!pci_bar_at_locked(h->slot[i], *bar, &base) || gpa < base ||
                gpa - base >= h->slot[i]->bar_len[*bar])
                continue;
            *offset = gpa - base;
            return h->slot[i];
        }
    }
    return NULL;
}

static struct pci_device *owner(const struct pci_window *w, uint64_t at, unsigned *bar,
                                uint64_t *offset)
{
    struct pci_device *d;

    pthread_mutex_lock(&w->host->lock);
    d = owner_locked(w->host, w->gpa + at, bar, offset);
    pthread_mutex_unlock(&w->host->lock);
    return d;
}

static uint64_t window_read(void *device, uint64_t at, unsigned size)
{
    unsigned bar;
    uint64_t offset;
    struct pci_device *d = owner(device, at, &bar, &offset);

    return d ? d->ops->bar_read(d, bar, offset, size) : nobody(size);
}

static void window_write(void *device, uint64_t at, unsigned size, uint64_t value)
{
    unsigned bar;
    uint64_t offset;
    struct pci_device *d = owner(device, at, &bar, &offset);

    if (d)
        d->ops->bar_write(d, bar, offset, size, value);
}

const struct phys_mmio pci_window = {
    .read = window_read, .write = window_write, .min_size = 1, .max_size = 8};

static uint64_t io_read(void *device, uint64_t offset, unsigned size)
{
    (void)device, (void)offset;
    return nobody(size);
}

static void io_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    (void)device, (void)offset, (void)size, (void)value;
}

const struct phys_mmio pci_io = {.read = io_read, .write = io_write, .min_size = 1, .max_size = 8};

/* ---- Life
 * ----------------------------------------------------------------------------------------- */

static const struct pci_ops bridge_ops = {.name = "host bridge"};

void pci_host_init(struct pci_host *h, const struct irq_line line[PCI_LINES])
{
    static const struct pci_identity id = {.vendor = 0x1b36,
                                           .device = 0x0008,
                                           .subsystem_vendor = 0x1af4,
                                           .subsystem = 0x1100,
                                           .class_code = 0x060000};

    *h = (struct pci_host){0};
    pthread_mutex_init(&h->lock, NULL);
    memcpy(h->line, line, sizeof h->line);
    pci_init(&h->bridge, &bridge_ops, &id);
    h->bridge.host = h;
    h->slot[0] = &h->bridge;
}

void pci_host_fini(struct pci_host *h)
{
    pthread_mutex_destroy(&h->lock);
}

void pci_plug(struct pci_host *h, unsigned slot, struct pci_device *d)
{
    CHECK(slot > 0 && slot < PCI_SLOTS && !h->slot[slot]);
    d->host = h;
    d->slot = slot;
    h->slot[slot] = d;
}

/* The functions' own devices have been reset, and drive nothing. */
void pci_host_reset(struct pci_host *h)
{
    pthread_mutex_lock(&h->lock);
    for (unsigned i = 0; i < PCI_SLOTS; i++)
        if (h->slot[i])
            pci_reset(h->slot[i]);
    update_locked(h);
    pthread_mutex_unlock(&h->lock);
}

void pci_host_state(struct pci_host *h, struct state_io *io)
{
    pthread_mutex_lock(&h->lock);
    state_io_begin(io, "pci", 1);
    for (unsigned i = 0; i < PCI_SLOTS; i++)
        if (h->slot[i])
            pci_state(h->slot[i], io);
    update_locked(h);
    pthread_mutex_unlock(&h->lock);
}

/* ---- For the eye
 * ------------------------------------------------------------------------------------ */

static void print_device(const struct pci_device *d, FILE *out)
{
    uint64_t gpa;

    fprintf(out, "00:%02x.0 %04" PRIx32 ":%04" PRIx32 " class %06" PRIx32 " %s", d->slot,
            pci_get_locked(d, PCI_VENDOR, 2), pci_get_locked(d, PCI_DEVICE, 2),
            pci_get_locked(d, PCI_CLASS, 3), d->ops->name);
    if (pci_get_locked(d, PCI_COMMAND, 2) & PCI_COMMAND_MASTER)
        fprintf(out, ", bus master");
    if (d->config[PCI_INTERRUPT_PIN])
        fprintf(out, ", line %u%s%s", d->slot % PCI_LINES, d->intx ? " up" : "",
                pci_get_locked(d, PCI_COMMAND, 2) & PCI_COMMAND_NO_INTX ? " disabled" : "");
    fprintf(out, "\n");
    for (unsigned bar = 0; bar < PCI_BARS; bar++) {
        if (d->bar_len[bar] == 0)
            continue;
        if (pci_bar_at_locked(d, bar, &gpa))
            fprintf(out, "    BAR %u: %016" PRIx64 "-%016" PRIx64 "\n", bar, gpa,
                    gpa + (d->bar_len[bar] - 1));
        else
            fprintf(out, "    BAR %u: %" PRIu64 " bytes, disabled\n", bar, d->bar_len[bar]);
    }
}

void pci_print(struct pci_host *h, FILE *out)
{
    pthread_mutex_lock(&h->lock);
    for (unsigned i = 0; i < PCI_SLOTS; i++)
        if (h->slot[i])
            print_device(h->slot[i], out);
    pthread_mutex_unlock(&h->lock);
}
