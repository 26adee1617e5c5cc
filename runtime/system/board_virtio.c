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

    atomic_fetch_or(&b->kicked, UINT32_C(1) << k->slot);
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

static void add_device(struct board_virtio *b, unsigned slot, const struct virtio_config *c,
                       struct block *block, struct net *net, struct share *share,
                       const struct board_virtio_host *host)
{
    struct virtio_host h = {.dma = host->dma,
                            .irq = plic_line(host->plic, MEMMAP_virtio_irq + slot),
                            .kick = kick,
                            .arg = &b->kick[slot]};

    b->kick[slot] = (struct board_virtio_kick){.board = b, .slot = slot};
    switch (c->kind) {
    case VIRTIO_KIND_BLK: virtio_blk_init(&b->device[slot].blk, block, c->drive.serial, &h); break;
    case VIRTIO_KIND_RNG: virtio_rng_init(&b->device[slot].rng, fill, b, &h); break;
    case VIRTIO_KIND_CONSOLE:
        b->console = &b->device[slot].console;
        virtio_console_init(b->console, host->console, &h);
        break;
    case VIRTIO_KIND_NET:
        virtio_net_init(&b->device[slot].net, net, c->card.mac, (uint16_t)c->card.net.mtu, &h);
        break;
    case VIRTIO_KIND_BALLOON:
        b->balloon = &b->device[slot].balloon;
        virtio_balloon_init(b->balloon, &c->balloon, &h);
        break;
    case VIRTIO_KIND_FS: virtio_fs_init(&b->device[slot].fs, share, c->share.tag, &h); break;
    }
    b->slot[slot].device = &b->device[slot].v;
}

void board_virtio_init(struct board_virtio *b, const struct machine_config *cfg,
                       const struct ends *ends, const struct board_virtio_host *host)
{
    memset(b, 0, sizeof *b);
    b->wake = host->wake;
    b->wake_arg = host->wake_arg;
    b->repeatable = cfg->fixed_seed;
    CHECK(cfg->n_virtio <= CONFIG_MAX_VIRTIO);
    for (unsigned i = 0; i < cfg->n_virtio; i++)
        add_device(b, CONFIG_MAX_VIRTIO - 1 - i, &cfg->virtio[i], ends->drives.block[i],
                   ends->networks.net[i], ends->shares.share[i], host);
    for (unsigned slot = 0; slot < CONFIG_MAX_VIRTIO; slot++)
        phys_add_mmio(host->dma.phys, MEMMAP_virtio_gpa + SLOT_LEN * (uint64_t)slot, SLOT_LEN,
                      "virtio", &virtio_mmio, &b->slot[slot]);
}

void board_virtio_fini(struct board_virtio *b)
{
    for (unsigned slot = 0; slot < CONFIG_MAX_VIRTIO; slot++) {
        if (!b->slot[slot].device)
            continue;
        switch (b->device[slot].v.ops->id) {
        case VIRTIO_ID_BLK: virtio_blk_fini(&b->device[slot].blk); break;
        case VIRTIO_ID_NET: virtio_net_fini(&b->device[slot].net); break;
        case VIRTIO_ID_FS: virtio_fs_fini(&b->device[slot].fs); break;
        case VIRTIO_ID_RNG: virtio_rng_fini(&b->device[slot].rng); break;
        case VIRTIO_ID_BALLOON: virtio_balloon_fini(&b->device[slot].balloon); break;
        case VIRTIO_ID_CONSOLE: virtio_console_fini(&b->device[slot].console); break;
        default: CHECK(!"a device that nobody made");
        }
    }
}

void board_virtio_reset(struct board_virtio *b)
{
    for (unsigned slot = 0; slot < CONFIG_MAX_VIRTIO; slot++)
        virtio_mmio_reset(&b->slot[slot]);
}

void board_virtio_state(struct board_virtio *b, struct state_io *io)
{
    for (unsigned slot = 0; slot < CONFIG_MAX_VIRTIO; slot++)
        virtio_mmio_state(&b->slot[slot], io);
    STATE_IO(io, b->random);
}

/* ---- While it runs -------------------------------------------------------------------- */

void board_virtio_poll(struct board_virtio *b)
{
    if (atomic_load(&b->kicked) == 0)
        return;
    for (uint32_t slots = atomic_exchange(&b->kicked, 0); slots; slots &= slots - 1)
        virtio_poll(b->slot[__builtin_ctz(slots)].device);
}
