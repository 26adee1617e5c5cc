/* What all virtio devices have in common, whatever bus they are on (virtio 1.2, chapter 2): status,
 * features, queues, configuration space. A device type is a struct virtio_ops; a transport
 * (virtio_mmio.h, virtio_pci.h) is the registers by which the driver reaches this.
 *
 *      driver --registers--> transport --> struct virtio_device --> struct virtio_ops
 *                                               |  ^
 *               board's poll, on the hart's  <--+  +--  virtio_kick(), from any thread
 *               thread: virtio_poll() --> ops->serve
 *
 * A notification does no more than ask for virtio_poll(). All that a device does with a queue or
 * writes into guest memory it does in ops->serve, so between two blocks of the guest's code, on the
 * thread that may drop such code. Work that waits for the host belongs on a thread of the
 * device's host side, which calls virtio_kick() when it has something; it may read from and write
 * into the guest's buffers directly, as long as ops->serve tells (dma_wrote) before it gives
 * the buffer back. */
#pragma once

#include <pthread.h>

#include "devices/irq.h"
#include "devices/virtio/virtq.h"

enum { VIRTIO_MAX_QUEUES = 8 };

/* Device types (virtio 1.2, chapter 5). */
enum {
    VIRTIO_ID_NET = 1,
    VIRTIO_ID_BLK = 2,
    VIRTIO_ID_CONSOLE = 3,
    VIRTIO_ID_RNG = 4,
    VIRTIO_ID_BALLOON = 5,
    VIRTIO_ID_FS = 26,
};

/* Features that are not of one device type (virtio 1.2, chapter 6). The common part offers
 * these four itself and serves them. */
#define VIRTIO_F_ANY_LAYOUT    (UINT64_C(1) << 27)
#define VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_F_EVENT_IDX     (UINT64_C(1) << 29)
#define VIRTIO_F_VERSION_1     (UINT64_C(1) << 32)

struct virtio_device;

/* A device type. Every function is called with the device's lock held; those marked may be
 * NULL. */
struct virtio_ops {
    const char *name; /* "virtio-blk", for messages */
    uint32_t id;      /* VIRTIO_ID_* */
    unsigned n_queues;
    uint16_t queue_max; /* descriptors a queue, a power of two */

    /* The driver has chosen d->features: does the device do with that? NULL: yes. */
    bool (*accept)(struct virtio_device *d, uint64_t features);
    /* On the serving thread, while the driver is ready (DRIVER_OK): bit n of `queues` says that
     * queue n was notified. Also after each virtio_kick(), when queues may be 0. */
    void (*serve)(struct virtio_device *d, uint32_t queues);
    /* Waits until no thread of the host's reads or writes a buffer of the guest's. NULL: none
     * ever does. */
    void (*settle)(struct virtio_device *d);
    /* After settle: buffers taken from this queue will not be given back. NULL: the device
     * keeps none beyond serve. */
    void (*forget)(struct virtio_device *d, unsigned queue);
    /* Reset, after all queues were. NULL: nothing else to forget. */
    void (*reset)(struct virtio_device *d);
    /* The driver wrote to configuration space; size is 1, 2 or 4. NULL: it cannot. */
    void (*write_config)(struct virtio_device *d, uint64_t offset, unsigned size, uint32_t value);
    /* What it has beyond struct virtio_device. NULL: nothing. */
    void (*state)(struct virtio_device *d, struct state_io *io);
};

/* How a device reaches the machine. */
struct virtio_host {
    struct virtio_dma dma;
    struct irq_line irq;
    /* Asks that virtio_poll() be called soon. Any thread, any lock. */
    void (*kick)(void *arg);
    void *arg;
};

/* Embedded in a device type's struct, as its first member. */
struct virtio_device {
    const struct virtio_ops *ops;
    struct virtio_host host;
    pthread_mutex_t lock; /* all below; the PLIC's and those of `wrote` are taken inside it */

    /* Set once, before the transport is added. */
    uint64_t offered; /* features: the device type's, and the common part's */
    const void *config;
    size_t config_len;

    uint64_t features; /* what the driver has written; settled once FEATURES_OK is set */
    uint8_t status;
    uint8_t interrupts;  /* InterruptStatus */
    uint32_t generation; /* of configuration space */
    uint32_t notified;   /* queues whose notification waits for virtio_poll() */
    bool irq_out;
    bool held; /* guest memory is out of reach: see virtio_hold() */
    struct virtq queue[VIRTIO_MAX_QUEUES];
};

/* ---- Before the first hart runs, after the last has stopped --------------------------------- */

/* config is borrowed, little-endian, and changes only between virtio_lock() and
 * virtio_config_changed(); features are the device type's own. */
void virtio_init(struct virtio_device *d, const struct virtio_ops *ops,
                 const struct virtio_host *host, uint64_t features, const void *config,
                 size_t config_len);
void virtio_fini(struct virtio_device *d);

/* ---- The serving thread ------------------------------------------------------------------------
 */

/* Serves what was notified or kicked. */
void virtio_poll(struct virtio_device *d);

/* ---- The device type, with the lock held
 * --------------------------------------------------------- */

/* Hands the buffers of the queue to `take` until there are none. The driver's notifications are
 * off meanwhile, and on afterwards. Buffers given back at once are published. */
void virtio_each(struct virtio_device *d, unsigned queue,
                 void (*take)(struct virtio_device *d, struct virtq *q, struct virtq_chain *c));
/* The same while has_room(), asked before each, says so. Then the queue stays as it is and is put
 * off (virtio_defer), and the driver need not tell of more. */
void virtio_each_while(struct virtio_device *d, unsigned queue,
                       void (*take)(struct virtio_device *d, struct virtq *q,
                                    struct virtq_chain *c),
                       bool (*has_room)(struct virtio_device *d));

/* Takes one buffer; false when there is none (or the ring is bad). For devices that take buffers
 * when they have something to put in, not when they are notified. */
bool virtio_take(struct virtio_device *d, unsigned queue, struct virtq_chain *c) MUST_CHECK;

/* Shows the driver what was given back, and interrupts it if it wants that. Once per batch. */
void virtio_publish(struct virtio_device *d, unsigned queue);

/* The queue is served again when the next kick comes, as if it had been notified. */
void virtio_defer(struct virtio_device *d, unsigned queue);

/* The driver has broken the rules: the device needs a reset, and does nothing until it comes. */
void virtio_fail(struct virtio_device *d, const char *why);

/* Has the feature been agreed on? */
static inline bool virtio_has(const struct virtio_device *d, uint64_t feature)
{
    return (d->features & feature) != 0;
}

/* May the queues be used? */
bool virtio_is_live(const struct virtio_device *d);

/* After the bytes of configuration space were changed. */
void virtio_config_changed(struct virtio_device *d);

/* ---- Any thread ---------------------------------------------------------------------------------
 */

/* Something for ops->serve to do. Takes no lock. */
void virtio_kick(struct virtio_device *d);

/* ---- The transport, with the lock held
 * ------------------------------------------------------------ */

/* Writes the status register (virtio 1.2, section 2.1): bits are added, 0 resets. */
void virtio_set_status(struct virtio_device *d, uint8_t status);

/* Half `sel` (0: bits 0 to 31) of the features that are offered. */
uint32_t virtio_offered(const struct virtio_device *d, uint32_t sel);

/* Half `sel` of the driver's features. Too late once FEATURES_OK is set. */
void virtio_set_features(struct virtio_device *d, unsigned sel, uint32_t value);

/* NULL: the device has no such queue. */
struct virtq *virtio_queue(struct virtio_device *d, uint32_t queue);

/* What says where a queue is; ignored while it is ready. `at` is one of its three addresses. */
void virtio_set_num(struct virtq *q, uint32_t num);
void virtio_set_address(const struct virtq *q, uint64_t *at, unsigned low_bit, uint32_t value);

/* QueueReady. */
void virtio_set_ready(struct virtio_device *d, unsigned queue, bool ready);

/* Takes guest memory away from the device and gives it back (a bus may do that). When it
 * returns, nothing is read or written; what was asked for waits. */
void virtio_hold(struct virtio_device *d, bool held);

void virtio_notify(struct virtio_device *d, uint32_t queue);
void virtio_ack(struct virtio_device *d, uint32_t interrupts);
/* size is 1, 2, 4 or 8; a write of 8 bytes is ignored. */
uint64_t virtio_read_config(const struct virtio_device *d, uint64_t offset, unsigned size);
void virtio_write_config(struct virtio_device *d, uint64_t offset, unsigned size, uint64_t value);
void virtio_state(struct virtio_device *d, struct state_io *io);
