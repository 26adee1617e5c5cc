/* What fuzz_virtio.c and the program that counts (virtio_count.c) share. */
#pragma once

#include <stdint.h>

/* What stands at the beginning of an input: new ones come last. */
enum fuzz_virtio_kind {
    BLK,
    BLK_READ_ONLY,
    BLK_SNAPSHOT,
    BLK_THREADS,
    RNG,
    CONSOLE,
    NET,
    NET_ABLE,
    FS,
    FS_THREADS,
    BALLOON,
    N_KINDS
};

/* Steps that were made, by what step() did. */
extern struct fuzz_virtio_counts {
    uint64_t step[16];
} fuzz_virtio_counts;

/* Not -1: every input is for that kind of device. */
extern int fuzz_virtio_only;
