#define _GNU_SOURCE
#include "runtime/system/board_virtio.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include "dbt/base/check.h"
#include "runtime/system/memmap.h"

enum { SLOT_LEN = 0x1000 };

/* ---- What the devices ask for ------------------------------------------------------- */

static void kick(void *arg)
{
    const struct board_virtio_kick *k = arg;
    struct board_virtio *b = k->board;

    atomic_fetch_or(&b->kicked, UINT32_C(1) << k->device);
    b->wake(b->wake_arg);
}

/* SplitMix64: good enough for a guest whose every other input is the same each time, too. */
static uint64_t next_random(struct board_virtio *b)
{
    uint64_t z = b->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void fill(void *arg, void *to, size_t len_bytes)
{
    struct board_virtio *b = arg;
    uint8_t *at = to;
    ssize_t n;

    while (len_bytes > 0 && !b->repeatable) {
        n = getrandom(at, len_bytes, 0);
        CHECK((n > 0 || errno == EINTR) && "getrandom gives what it is asked for");
        at += n > 0 ? n : 0;
        len_bytes -= n > 0 ? (size_t)n : 0;
    }
    for (; len_bytes > 0; len_bytes--)
        *at++ = (uint8_t)next_random(b);
}

/* ---- Life --------------------------------------------------------------------------- */

static void make_device(struct board_virtio *b, unsigned i, const struct virtio_config *c,
                        const struct ends *ends, const struct virtio_console_wire *wire,
                        const struct virtio_host *h)
{
    switch (c->kind) {
    case VIRTIO_KIND_BLK:
        virtio_blk_init(&b->device[i].blk, ends->drives.block[i], c->drive.serial, h);
        break;
    case VIRTIO_KIND_RNG: virtio_rng_init(&b->device[i].rng, fill, b, h); break;
    case VIRTIO_KIND_CONSOLE:
        b->console = &b->device[i].console;
        virtio_console_init(b->console, *wire, h);
        break;
    case VIRTIO_KIND_NET:
        virtio_net_init(&b->device[i].net, ends->networks.net[i], c->card.mac,
                        (uint16_t)c->card.net.mtu, h);
        break;
    case VIRTIO_KIND_FS:
        virtio_fs_init(&b->device[i].fs, ends->shares.share[i], c->share.tag, h);
        break;
    case VIRTIO_KIND_BALLOON:
        b->balloon = &b->device[i].balloon;
        virtio_balloon_init(b->balloon, &c->balloon, h);
        break;
    }
}

/* `slot` is the board's or PCI's. */
static void add_device(struct board_virtio *b, unsigned i, unsigned slot,
                       const struct virtio_config *c, const struct ends *ends,
                       const struct board_virtio_host *host)
{
    struct virtio_host h = {.dma = host->dma, .kick = kick, .arg = &b->kick[i]};

    b->kick[i] = (struct board_virtio_kick){.board = b, .device = i};
    h.irq = c->on_pci ? virtio_pci_irq(&b->function[i])
                      : plic_line(host->plic, MEMMAP_virtio_irq + slot);
    make_device(b, i, c, ends, &host->console, &h);
    if (c->on_pci) {
        virtio_pci_init(&b->function[i], &b->device[i].v);
        pci_plug(&b->pci, slot, &b->function[i].pci);
    } else {
        b->slot[slot].device = &b->device[i].v;
    }
}

static void add_devices(struct board_virtio *b, const struct machine_config *cfg,
                        const struct ends *ends, const struct board_virtio_host *host)
{
    unsigned slot = CONFIG_VIRTIO_SLOTS, pci_slot = 1;

    b->n_devices = cfg->n_virtio;
    for (unsigned i = 0; i < cfg->n_virtio; i++) {
        const struct virtio_config *c = &cfg->virtio[i];

        CHECK((c->on_pci ? pci_slot < CONFIG_PCI_SLOTS : slot > 0) && "the command line counts");
        add_device(b, i, c->on_pci ? pci_slot++ : --slot, c, ends, host);
    }
}

static void add_regions(struct board_virtio *b, struct phys *phys)
{
    b->low = (struct pci_window){.host = &b->pci, .gpa = MEMMAP_pci_mmio_gpa};
    b->high = (struct pci_window){.host = &b->pci, .gpa = memmap_pci_high_gpa(phys->ram_len)};
    for (unsigned slot = 0; slot < CONFIG_VIRTIO_SLOTS; slot++)
        phys_add_mmio(phys, MEMMAP_virtio_gpa + SLOT_LEN * (uint64_t)slot, SLOT_LEN, "virtio",
                      &virtio_mmio, &b->slot[slot]);
    phys_add_mmio(phys, MEMMAP_pci_io_gpa, MEMMAP_pci_io_len, "pci_io", &pci_io, b);
    phys_add_mmio(phys, MEMMAP_pci_ecam_gpa, MEMMAP_pci_ecam_len, "pci_ecam", &pci_ecam, &b->pci);
    phys_add_mmio(phys, b->low.gpa, MEMMAP_pci_mmio_len, "pci_mmio", &pci_window, &b->low);
    phys_add_mmio(phys, b->high.gpa, memmap_pci_high_len, "pci_mmio", &pci_window, &b->high);
}

void board_virtio_init(struct board_virtio *b, const struct machine_config *cfg,
                       const struct ends *ends, const struct board_virtio_host *host)
{
    struct irq_line line[PCI_LINES];

    memset(b, 0, sizeof *b);
    b->wake = host->wake;
    b->wake_arg = host->wake_arg;
    b->repeatable = cfg->fixed_seed;
    for (unsigned n = 0; n < PCI_LINES; n++)
        line[n] = plic_line(host->plic, MEMMAP_pci_ecam_irq + n);
    pci_host_init(&b->pci, line);
    add_devices(b, cfg, ends, host);
    add_regions(b, host->dma.phys);
}

void board_virtio_fini(struct board_virtio *b)
{
    for (unsigned i = 0; i < b->n_devices; i++) {
        switch (b->device[i].v.ops->id) {
        case VIRTIO_ID_BLK: virtio_blk_fini(&b->device[i].blk); break;
        case VIRTIO_ID_NET: virtio_net_fini(&b->device[i].net); break;
        case VIRTIO_ID_FS: virtio_fs_fini(&b->device[i].fs); break;
        case VIRTIO_ID_RNG: virtio_rng_fini(&b->device[i].rng); break;
        case VIRTIO_ID_BALLOON: virtio_balloon_fini(&b->device[i].balloon); break;
        case VIRTIO_ID_CONSOLE: virtio_console_fini(&b->device[i].console); break;
        default: CHECK(!"a device that nobody made");
        }
    }
    pci_host_fini(&b->pci);
}

void board_virtio_reset(struct board_virtio *b)
{
    for (unsigned slot = 0; slot < CONFIG_VIRTIO_SLOTS; slot++)
        virtio_mmio_reset(&b->slot[slot]);
    for (unsigned i = 0; i < b->n_devices; i++)
        if (b->function[i].device)
            virtio_pci_reset(&b->function[i]);
    pci_host_reset(&b->pci);
}

void board_virtio_state(struct board_virtio *b, struct state_io *io)
{
    for (unsigned slot = 0; slot < CONFIG_VIRTIO_SLOTS; slot++)
        virtio_mmio_state(&b->slot[slot], io);
    pci_host_state(&b->pci, io);
    for (unsigned i = 0; i < b->n_devices; i++)
        if (b->function[i].device)
            virtio_pci_state(&b->function[i], io);
    STATE_IO(io, b->random);
}

/* ---- While it runs -------------------------------------------------------------------- */

void board_virtio_poll(struct board_virtio *b)
{
    if (atomic_load(&b->kicked) == 0)
        return;
    for (uint32_t kicked = atomic_exchange(&b->kicked, 0); kicked; kicked &= kicked - 1)
        virtio_poll(&b->device[__builtin_ctz(kicked)].v);
}
