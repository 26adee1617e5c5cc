/* The board's virtio devices, in its eight slots or on PCI. Devices take the slots from the last
 * one down, and the device tree names the last one first, both as QEMU's `virt` does: so guests
 * number disks in the order of the command line, and find each where QEMU has it. On PCI they take
 * the slots from 1 up. */
#pragma once

#include "devices/plic.h"
#include "devices/virtio/virtio_balloon.h"
#include "devices/virtio/virtio_blk.h"
#include "devices/virtio/virtio_console.h"
#include "devices/virtio/virtio_fs.h"
#include "devices/virtio/virtio_mmio.h"
#include "devices/virtio/virtio_net.h"
#include "devices/virtio/virtio_pci.h"
#include "devices/virtio/virtio_rng.h"
#include "runtime/system/ends.h"

struct board_virtio;

/* What a device's kick needs to know. */
struct board_virtio_kick {
    struct board_virtio *board;
    unsigned device;
};

struct board_virtio {
    struct virtio_mmio slot[CONFIG_VIRTIO_SLOTS];
    struct pci_host pci;
    struct pci_window low, high; /* where BARs may lie */
    unsigned n_devices;
    union {
        struct virtio_device v;
        struct virtio_blk blk;
        struct virtio_rng rng;
        struct virtio_console console;
        struct virtio_net net;
        struct virtio_fs fs;
        struct virtio_balloon balloon;
    } device[CONFIG_MAX_VIRTIO];                   /* cfg->virtio[i] */
    struct virtio_pci function[CONFIG_MAX_VIRTIO]; /* of device[i], if it is on PCI */
    struct board_virtio_kick kick[CONFIG_MAX_VIRTIO];
    _Atomic uint32_t kicked;        /* a bit a device: virtio_poll() is wanted */
    struct virtio_console *console; /* NULL: there is none */
    struct virtio_balloon *balloon; /* likewise */
    void (*wake)(void *arg);
    void *wake_arg;
    bool repeatable; /* random numbers come from `random`, not from the host */
    uint64_t random;
};

/* How the devices reach the rest of the machine. */
struct board_virtio_host {
    struct plic *plic;
    struct virtio_dma dma;
    struct virtio_console_wire console;
    /* board_virtio_poll() is wanted. Any thread. */
    void (*wake)(void *arg);
    void *wake_arg;
};

/* ---- The main thread, before the first hart runs, after the last has stopped ------ */

/* Makes cfg's devices, and adds all slots and PCI's ranges to RAM's regions. Drives, networks and
 * shares are borrowed. */
void board_virtio_init(struct board_virtio *b, const struct machine_config *cfg,
                       const struct ends *ends, const struct board_virtio_host *host);
void board_virtio_fini(struct board_virtio *b);
void board_virtio_reset(struct board_virtio *b);
void board_virtio_state(struct board_virtio *b, struct state_io *io);

/* ---- The hart's thread, between blocks ------------------------------------------------ */

/* Serves the devices that want it; cheap when none does. */
void board_virtio_poll(struct board_virtio *b);
