#include "devices/virtio/virtio_console.h"

#include <string.h>

#include "dbt/base/log.h"

enum { F_SIZE = 1 << 0, F_EMERGENCY = 1 << 2 }; /* virtio 1.2, section 5.3.3 */
enum { RECEIVE = 0, TRANSMIT = 1, N_QUEUES = 2, QUEUE_MAX = 64 };
enum { EMERGENCY_OFFSET = 8 };

/* A buffer may be 4 GiB of RAM, over and over; who sends more than this at once is not talking to
 * a person, and the machine must still end when that person says so. */
enum { MAX_OUT = 1 << 20 };

/* ---- From the driver ---------------------------------------------------------------------- */

static void transmit(struct virtio_device *d, struct virtq *q, struct virtq_chain *chain)
{
    struct virtio_console *c = (struct virtio_console *)(void *)d;
    uint8_t bytes[256];
    size_t done = 0, n;

    while (done < MAX_OUT &&
           (n = dma_gather(chain->iov, chain->n_out, done, bytes, sizeof bytes))) {
        for (size_t i = 0; i < n; i++)
            c->wire.put(c->wire.arg, bytes[i]);
        done += n;
    }
    if (done < chain->out_bytes)
        log_line(LOG_guest, "virtio-console: %llu bytes at once, the rest is dropped",
                 (unsigned long long)chain->out_bytes);
    virtq_give(q, chain->head, 0);
}

static bool has_room(struct virtio_device *d)
{
    struct virtio_console *c = (struct virtio_console *)(void *)d;

    return !c->wire.has_room || c->wire.has_room(c->wire.arg);
}

static void write_config(struct virtio_device *d, uint64_t offset, unsigned size, uint32_t value)
{
    struct virtio_console *c = (struct virtio_console *)(void *)d;

    (void)size;
    if (offset == EMERGENCY_OFFSET)
        c->wire.put(c->wire.arg, (uint8_t)value);
}

/* ---- To the driver -------------------------------------------------------------------------- */

/* The bytes in front, up to the ring's seam and to `room`. */
static size_t ring_front(struct virtio_console *c, uint8_t *to, size_t room)
{
    size_t n;

    pthread_mutex_lock(&c->ring_lock);
    n = VIRTIO_CONSOLE_RING - c->ring_head;
    n = n < c->ring_len ? n : c->ring_len;
    n = n < room ? n : room;
    memcpy(to, c->ring + c->ring_head, n);
    pthread_mutex_unlock(&c->ring_lock);
    return n;
}

static bool has_input(struct virtio_console *c)
{
    uint8_t byte;

    return ring_front(c, &byte, 1) > 0;
}

/* True when somebody waits for the room. */
static bool ring_drop(struct virtio_console *c, size_t n)
{
    bool refused;

    pthread_mutex_lock(&c->ring_lock);
    c->ring_head = (unsigned)((c->ring_head + n) % VIRTIO_CONSOLE_RING);
    c->ring_len -= (unsigned)n;
    refused = c->refused;
    c->refused = false;
    pthread_mutex_unlock(&c->ring_lock);
    return refused;
}

static void deliver(struct virtio_console *c)
{
    struct virtq *q = &c->v.queue[RECEIVE];
    uint8_t bytes[VIRTIO_CONSOLE_RING];
    struct virtq_chain chain;
    bool wanted = false;

    while (has_input(c) && virtio_take(&c->v, RECEIVE, &chain)) {
        size_t room = chain.in_bytes < sizeof bytes ? chain.in_bytes : sizeof bytes;

        size_t n = ring_front(c, bytes, room);

        dma_scatter(&c->v.host.dma, virtq_in(&chain), chain.n_in, 0, bytes, n);
        virtq_give(q, chain.head, (uint32_t)n);
        wanted |= ring_drop(c, n);
    }
    virtio_publish(&c->v, RECEIVE);
    if (wanted)
        c->wire.ready(c->wire.arg);
}

/* The terminal's size becomes the driver's. The lock is held. */
static void take_size(struct virtio_console *c)
{
    uint16_t columns, rows;

    pthread_mutex_lock(&c->ring_lock);
    columns = c->columns;
    rows = c->rows;
    pthread_mutex_unlock(&c->ring_lock);
    if (columns == c->space.columns && rows == c->space.rows)
        return;
    c->space.columns = columns;
    c->space.rows = rows;
    virtio_config_changed(&c->v);
}

/* The driver tells of each buffer that it adds to receive into: input may be waiting for it. */
static void serve(struct virtio_device *d, uint32_t queues)
{
    struct virtio_console *c = (struct virtio_console *)(void *)d;

    take_size(c);
    do
        deliver(c);
    while (virtq_listen(&d->queue[RECEIVE]) && has_input(c) && virtio_is_live(d));
    if (queues & 1 << TRANSMIT)
        virtio_each_while(d, TRANSMIT, transmit, has_room);
}

size_t virtio_console_receive(struct virtio_console *c, const uint8_t *data, size_t n)
{
    size_t taken;

    pthread_mutex_lock(&c->ring_lock);
    for (taken = 0; taken < n && c->ring_len < VIRTIO_CONSOLE_RING; taken++)
        c->ring[(c->ring_head + c->ring_len++) % VIRTIO_CONSOLE_RING] = data[taken];
    c->refused = taken < n;
    pthread_mutex_unlock(&c->ring_lock);
    if (taken > 0)
        virtio_kick(&c->v);
    return taken;
}

void virtio_console_room(struct virtio_console *c)
{
    virtio_kick(&c->v);
}

void virtio_console_resize(struct virtio_console *c, uint16_t columns, uint16_t rows)
{
    pthread_mutex_lock(&c->ring_lock);
    c->columns = columns;
    c->rows = rows;
    pthread_mutex_unlock(&c->ring_lock);
    /* Who holds it may be sending a megabyte, and our caller has Ctrl-A x to hear; serve() comes
     * when he is done, or the driver is ready. */
    if (pthread_mutex_trylock(&c->v.lock) != 0) {
        virtio_kick(&c->v);
        return;
    }
    take_size(c);
    pthread_mutex_unlock(&c->v.lock);
}

/* ---- Life --------------------------------------------------------------------------------------
 */

static void state(struct virtio_device *d, struct state_io *io)
{
    struct virtio_console *c = (struct virtio_console *)(void *)d;

    pthread_mutex_lock(&c->ring_lock);
    STATE_IO(io, c->ring);
    STATE_IO(io, c->ring_head);
    STATE_IO(io, c->ring_len);
    if (c->ring_head >= VIRTIO_CONSOLE_RING || c->ring_len > VIRTIO_CONSOLE_RING) {
        c->ring_head = c->ring_len = 0;
        io->failed = true;
    }
    pthread_mutex_unlock(&c->ring_lock);
}

static const struct virtio_ops console_ops = {
    .name = "virtio-console",
    .id = VIRTIO_ID_CONSOLE,
    .n_queues = N_QUEUES,
    .queue_max = QUEUE_MAX,
    .serve = serve,
    .write_config = write_config,
    .state = state,
};

void virtio_console_init(struct virtio_console *c, struct virtio_console_wire wire,
                         const struct virtio_host *host)
{
    *c = (struct virtio_console){.wire = wire, .space = {.max_ports = 1}};
    pthread_mutex_init(&c->ring_lock, NULL);
    virtio_init(&c->v, &console_ops, host, F_SIZE | F_EMERGENCY, &c->space, sizeof c->space);
}

void virtio_console_fini(struct virtio_console *c)
{
    virtio_fini(&c->v);
    pthread_mutex_destroy(&c->ring_lock);
}
