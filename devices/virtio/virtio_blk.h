/* A disk (virtio 1.2, section 5.2). The host's side is devices/host/block.h. */
#pragma once

#include "devices/host/block.h"
#include "devices/virtio/virtio.h"

enum { VIRTIO_BLK_ID_BYTES = 20 };

/* struct virtio_blk_config, as the driver reads it. */
struct virtio_blk_space {
    uint64_t capacity; /* in sectors of 512 bytes, as all below */
    uint32_t size_max, seg_max;
    uint16_t cylinders;
    uint8_t heads, sectors;
    uint32_t blk_size;
    uint8_t physical_block_exp, alignment_offset;
    uint16_t min_io_size;
    uint32_t opt_io_size;
    uint8_t writeback, unused;
    uint16_t num_queues;
    uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
    uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap, unused2[3];
};

struct virtio_blk {
    struct virtio_device v; /* first */
    struct block *block;    /* borrowed until virtio_blk_fini() */
    char id[VIRTIO_BLK_ID_BYTES];
    struct virtio_blk_space space;
};

/* ---- Before the first hart runs, after the last has stopped --------------------------------- */

/* id: what the driver gets when it asks for the serial number; cut at 20 bytes. */
void virtio_blk_init(struct virtio_blk *b, struct block *block, const char *id,
                     const struct virtio_host *host);
void virtio_blk_fini(struct virtio_blk *b);
