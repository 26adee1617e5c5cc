/* QEMU's firmware configuration device (docs/specs/fw_cfg of QEMU): what the host has for a
 * firmware, as numbered items, of which some are files with names. The guest selects an item and
 * reads it, through a register or by DMA.
 *
 *   +0  data      the next bytes of the item
 *   +8  selector  16 bits, big-endian: another item, from its start
 *   +16 DMA       64 bits, big-endian: where in RAM an order lies; reads as a signature
 *
 * An order is done between two blocks of the guest's code, which sees its first word become 0. */
#pragma once

#include <pthread.h>

#include "devices/device.h"
#include "devices/virtio/dma.h"

enum {
    FW_CFG_MAX_ITEMS = 48,
    FW_CFG_NAME_ROOM = 56, /* of a file, with the final zero */
};

enum { /* items without a name that a board fills in */
       FW_CFG_UUID = 0x02,
       FW_CFG_RAM_SIZE = 0x03,
       FW_CFG_NOGRAPHIC = 0x04,
       FW_CFG_NB_CPUS = 0x05,
       FW_CFG_KERNEL_SIZE = 0x08,
       FW_CFG_INITRD_SIZE = 0x0b,
       FW_CFG_MAX_CPUS = 0x0f,
       FW_CFG_KERNEL_DATA = 0x11,
       FW_CFG_INITRD_DATA = 0x12,
       FW_CFG_CMDLINE_SIZE = 0x14,
       FW_CFG_CMDLINE_DATA = 0x15,
};

struct fw_cfg_item {
    uint16_t key;
    char name[FW_CFG_NAME_ROOM]; /* "": not a file */
    const uint8_t *data;         /* borrowed; NULL: it is `number` */
    uint32_t len;
    uint8_t number[8];
};

struct fw_cfg {
    struct virtio_dma dma;
    void (*wake)(void *arg); /* fw_cfg_poll() is wanted */
    void *arg;
    struct fw_cfg_item item[FW_CFG_MAX_ITEMS];
    unsigned n_items;
    uint8_t directory[4 + 64 * FW_CFG_MAX_ITEMS];

    pthread_mutex_t lock; /* all below */
    uint16_t key;         /* the item that is selected */
    uint32_t offset;      /* of its next byte */
    uint32_t dma_high;    /* of the address that is being written */
    bool asked;           /* an order lies at order_gpa */
    uint64_t order_gpa;
};

extern const struct phys_mmio fw_cfg_mmio; /* device: struct fw_cfg * */

/* ---- Before the first hart runs, after the last has stopped --------------------------------- */

void fw_cfg_init(struct fw_cfg *f, const struct virtio_dma *dma, void (*wake)(void *arg),
                 void *arg);
void fw_cfg_fini(struct fw_cfg *f);

/* Items: `len` bytes, which are borrowed, or a little-endian number. Files are found by name, in
 * whose order they are listed. */
void fw_cfg_add(struct fw_cfg *f, uint16_t key, const void *data, uint32_t len);
void fw_cfg_add_number(struct fw_cfg *f, uint16_t key, uint64_t value, unsigned size);
void fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, uint32_t len);

void fw_cfg_reset(struct fw_cfg *f);
void fw_cfg_state(struct fw_cfg *f, struct state_io *io);

/* ---- The hart's thread, between blocks ------------------------------------------------------- */

/* Does what was ordered by DMA; cheap when nothing was. */
void fw_cfg_poll(struct fw_cfg *f);
