/* A bank of flash memory as QEMU's `virt` has two: 32 bits wide, of two chips of 16 with Intel's
 * command set (Common Flash Interface, JESD68; Intel StrataFlash 28F128J3). It is read like memory
 * until a command says otherwise; programming clears bits, erasing a block sets them. It is never
 * busy. Code is fetched from the array, whatever loads see at the time. */
#pragma once

#include <pthread.h>

#include "devices/device.h"
#include "softmmu/phys.h"

enum {
    PFLASH_LEN = 32 << 20,    /* a bank */
    PFLASH_BLOCK = 256 << 10, /* what is erased at once */
    PFLASH_BUFFER = 4096,     /* what is programmed at once, aligned */
};

/* What loads see. */
enum pflash_mode { PFLASH_ARRAY, PFLASH_STATUS, PFLASH_ID, PFLASH_CFI };

/* What the next store is. */
enum pflash_next {
    PFLASH_COMMAND,
    PFLASH_WORD,     /* to program */
    PFLASH_ERASE,    /* confirms */
    PFLASH_LOCK,     /* says what about locks */
    PFLASH_COUNT,    /* of stores to the buffer, less one */
    PFLASH_BUFFERED, /* one of them */
    PFLASH_CONFIRM,  /* programs the buffer */
};

/* How a bank reaches the machine. All are called with the device's lock held. */
struct pflash_host {
    /* These have changed; false: they could not be kept. On the thread of a hart, in the midst of a
     * store. */
    bool (*keep)(void *arg, uint64_t offset, uint64_t len_bytes);
    void (*wake)(void *arg); /* pflash_poll() is wanted; likewise */
    /* Code that was made from these must go. On the hart's thread, between blocks. */
    void (*wrote)(void *arg, uint64_t offset, uint64_t len_bytes);
    void *arg;
};

struct pflash {
    uint8_t *bytes; /* PFLASH_LEN, borrowed */
    bool read_only;
    struct pflash_host host;

    pthread_mutex_t lock; /* all below, and bytes */
    enum pflash_mode mode;
    enum pflash_next next;
    uint8_t status;
    uint32_t n_left;      /* stores to the buffer */
    uint64_t buffer_base; /* offset of the buffer's first byte */
    uint64_t low, high;   /* [low, high) has changed since pflash_poll(); high 0: nothing */
    uint8_t buffer[PFLASH_BUFFER];
};

extern const struct phys_mmio pflash_mmio; /* device: struct pflash * */

/* ---- Before the first hart runs, after the last has stopped --------------------------------- */

void pflash_init(struct pflash *f, uint8_t *bytes, bool read_only, const struct pflash_host *host);
void pflash_fini(struct pflash *f);

/* Loads see the array again; what is in it stays. */
void pflash_reset(struct pflash *f);

/* The commands' state; the bytes are in their file. */
void pflash_state(struct pflash *f, struct state_io *io);

/* ---- The hart's thread, between blocks ------------------------------------------------------- */

/* Tells of what has changed; cheap when nothing has. */
void pflash_poll(struct pflash *f);
