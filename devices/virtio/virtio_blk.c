#include "devices/virtio/virtio_blk.h"

#include <stdlib.h>
#include <string.h>

#include "dbt/base/check.h"

enum { /* virtio 1.2, section 5.2.3: bits of the features */
       F_SEG_MAX = 1 << 2,
       F_RO = 1 << 5,
       F_BLK_SIZE = 1 << 6,
       F_FLUSH = 1 << 9,
       F_TOPOLOGY = 1 << 10,
       F_DISCARD = 1 << 13,
       F_WRITE_ZEROES = 1 << 14,
};

enum { /* section 5.2.6 */
       T_IN = 0,
       T_OUT = 1,
       T_FLUSH = 4,
       T_GET_ID = 8,
       T_DISCARD = 11,
       T_WRITE_ZEROES = 13,
       S_OK = 0,
       S_IOERR = 1,
       S_UNSUPP = 2,
       ZEROES_UNMAP = 1,
};

enum {
    SECTOR = 512,
    QUEUE_MAX = 256,
    /* Header and status stand beside the data. */
    SEG_MAX = QUEUE_MAX - 2,
    /* What one request may name: QEMU's limit, 2 GiB. */
    MAX_RANGE_SECTORS = (1 << 22) - 1,
    PAGE_SECTORS = 8,
};

struct header {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
};

struct range {
    uint64_t sector;
    uint32_t n_sectors;
    uint32_t flags;
};

/* A request while it is with the host. */
struct pending {
    struct block_request r; /* first */
    uint16_t head;
    unsigned n_in;
    uint64_t in_bytes; /* the last of them is the status */
    struct iovec *in;  /* the driver's pieces that the device writes */
    struct iovec *data;
    struct iovec iov[]; /* room for both */
};

/* ---- The end of a request ------------------------------------------------------------------ */

/* The status is the last byte that the device may write, wherever the pieces end (section 5.2.6.4:
 * a driver may lay them out as it likes). */
static void answer(struct virtio_blk *b, uint16_t head, const struct iovec *in, unsigned n_in,
                   uint64_t in_bytes, uint8_t status)
{
    dma_scatter(&b->v.host.dma, in, n_in, in_bytes - 1, &status, 1);
    virtq_give(&b->v.queue[0], head, (uint32_t)in_bytes);
}

static void answer_chain(struct virtio_blk *b, const struct virtq_chain *c, uint8_t status)
{
    answer(b, c->head, virtq_in(c), c->n_in, c->in_bytes, status);
}

static void tell_of_data(const struct virtio_blk *b, const struct pending *p)
{
    if (p->r.op == BLOCK_READ)
        dma_wrote(&b->v.host.dma, p->data, p->r.n_iov, 0, p->r.len);
}

static void finish(struct virtio_blk *b, struct pending *p)
{
    /* What was not read is zeros: all of the buffer is said to be written. */
    for (unsigned i = 0; p->r.op == BLOCK_READ && p->r.error && i < p->r.n_iov; i++)
        memset(p->data[i].iov_base, 0, p->data[i].iov_len);
    tell_of_data(b, p);
    answer(b, p->head, p->in, p->n_in, p->in_bytes, p->r.error ? S_IOERR : S_OK);
    free(p);
}

static void finish_all(struct virtio_blk *b)
{
    struct block_request *next;

    for (struct block_request *r = block_done(b->block); r; r = next) {
        next = block_next(r);
        finish(b, (struct pending *)(void *)r);
    }
}

/* ---- The beginning ----------------------------------------------------------------------------
 */

static bool is_on_disk(const struct virtio_blk *b, uint64_t sector, uint64_t n_sectors)
{
    return sector <= b->space.capacity && n_sectors <= b->space.capacity - sector;
}

/* A host request for the chain; `data` are the bytes of its pieces that are the disk's. */
static struct pending *make(const struct virtq_chain *c, enum block_op op, const struct iovec *data,
                            unsigned n_data, size_t skip, size_t len_bytes)
{
    struct pending *p = malloc(sizeof *p + (c->n_in + n_data) * sizeof *p->iov);

    CHECK(p && "memory for a disk request");
    *p = (struct pending){.head = c->head, .n_in = c->n_in, .in_bytes = c->in_bytes};
    p->in = p->iov;
    p->data = p->iov + c->n_in;
    memcpy(p->in, virtq_in(c), c->n_in * sizeof *p->in);
    p->r.op = op;
    p->r.len = len_bytes;
    p->r.iov = p->data;
    p->r.n_iov = dma_slice(data, n_data, skip, len_bytes, p->data);
    return p;
}

/* Without FLUSH agreed on, a write that is answered must be safe (section 5.2.5.2). */
static bool is_durable(const struct virtio_blk *b)
{
    return !virtio_has(&b->v, F_FLUSH);
}

/* Each begins its request and returns S_OK, or returns why it does not. */
static uint8_t begin_read(struct virtio_blk *b, const struct virtq_chain *c, uint64_t sector)
{
    uint64_t len = c->in_bytes - 1;
    struct pending *p;

    if (len % SECTOR != 0 || !is_on_disk(b, sector, len / SECTOR))
        return S_IOERR;
    p = make(c, BLOCK_READ, virtq_in(c), c->n_in, 0, len);
    p->r.offset = sector * SECTOR;
    block_submit(b->block, &p->r);
    return S_OK;
}

static uint8_t begin_write(struct virtio_blk *b, const struct virtq_chain *c, uint64_t sector)
{
    uint64_t len = c->out_bytes - sizeof(struct header);
    struct pending *p;

    if (block_is_read_only(b->block) || len % SECTOR != 0 || !is_on_disk(b, sector, len / SECTOR))
        return S_IOERR;
    p = make(c, BLOCK_WRITE, c->iov, c->n_out, sizeof(struct header), len);
    p->r.offset = sector * SECTOR;
    p->r.durable = is_durable(b);
    block_submit(b->block, &p->r);
    return S_OK;
}

static uint8_t begin_flush(struct virtio_blk *b, const struct virtq_chain *c)
{
    block_submit(b->block, &make(c, BLOCK_FLUSH, NULL, 0, 0, 0)->r);
    return S_OK;
}

static uint8_t begin_range(struct virtio_blk *b, const struct virtq_chain *c, uint32_t type)
{
    uint32_t known_flags = type == T_WRITE_ZEROES ? ZEROES_UNMAP : 0;
    struct range range;
    struct pending *p;

    if (block_is_read_only(b->block) || c->out_bytes != sizeof(struct header) + sizeof range)
        return S_IOERR;
    dma_gather(c->iov, c->n_out, sizeof(struct header), &range, sizeof range);
    if (range.flags & ~known_flags)
        return S_UNSUPP;
    if (range.n_sectors > MAX_RANGE_SECTORS || !is_on_disk(b, range.sector, range.n_sectors))
        return S_IOERR;
    p = make(c, type == T_DISCARD ? BLOCK_DISCARD : BLOCK_ZERO, NULL, 0, 0,
             (size_t)range.n_sectors * SECTOR);
    p->r.offset = range.sector * SECTOR;
    p->r.unmap = (range.flags & ZEROES_UNMAP) != 0;
    p->r.durable = is_durable(b);
    block_submit(b->block, &p->r);
    return S_OK;
}

/* The one request that needs no host. */
static void get_id(struct virtio_blk *b, const struct virtq_chain *c)
{
    uint64_t room = c->in_bytes - 1;

    dma_scatter(&b->v.host.dma, virtq_in(c), c->n_in, 0, b->id,
                room < sizeof b->id ? room : sizeof b->id);
    answer_chain(b, c, S_OK);
}

static void take(struct virtio_device *d, struct virtq *q, struct virtq_chain *c)
{
    struct virtio_blk *b = (struct virtio_blk *)(void *)d;
    struct header h;
    uint8_t status = S_UNSUPP;

    (void)q;
    if (c->in_bytes == 0 || dma_gather(c->iov, c->n_out, 0, &h, sizeof h) != sizeof h) {
        virtio_fail(d, "a request without header or status");
        return;
    }
    switch (h.type) {
    case T_IN: status = begin_read(b, c, h.sector); break;
    case T_OUT: status = begin_write(b, c, h.sector); break;
    case T_FLUSH: status = begin_flush(b, c); break;
    case T_DISCARD:
    case T_WRITE_ZEROES: status = begin_range(b, c, h.type); break;
    case T_GET_ID: get_id(b, c); return;
    default: break;
    }
    if (status != S_OK)
        answer_chain(b, c, status);
}

static void serve(struct virtio_device *d, uint32_t queues)
{
    struct virtio_blk *b = (struct virtio_blk *)(void *)d;

    if (queues & 1)
        virtio_each(d, 0, take);
    finish_all(b);
    virtio_publish(d, 0);
}

/* ---- Reset
 * ---------------------------------------------------------------------------------------- */

static void settle(struct virtio_device *d)
{
    block_wait(((struct virtio_blk *)(void *)d)->block);
}

/* There is one queue: what is done is all its own. The driver does not hear of it any more, but its
 * buffers were written: code that was made from them is old. */
static void forget(struct virtio_device *d, unsigned queue)
{
    struct virtio_blk *b = (struct virtio_blk *)(void *)d;
    struct block_request *next;

    (void)queue;
    for (struct block_request *r = block_done(b->block); r; r = next) {
        next = block_next(r);
        tell_of_data(b, (struct pending *)(void *)r);
        free(r);
    }
}

static const struct virtio_ops blk_ops = {
    .name = "virtio-blk",
    .id = VIRTIO_ID_BLK,
    .n_queues = 1,
    .queue_max = QUEUE_MAX,
    .serve = serve,
    .settle = settle,
    .forget = forget,
};

/* ---- Life
 * -------------------------------------------------------------------------------------------- */

static struct virtio_blk_space make_space(const struct block *block)
{
    return (struct virtio_blk_space){
        .capacity = block_size(block) / SECTOR,
        .seg_max = SEG_MAX,
        .blk_size = SECTOR,
        .physical_block_exp = 3, /* a page of the host's: what it reads and writes at once */
        .min_io_size = 1,
        .num_queues = 1,
        .max_discard_sectors = MAX_RANGE_SECTORS,
        .max_discard_seg = 1,
        .discard_sector_alignment = PAGE_SECTORS,
        .max_write_zeroes_sectors = MAX_RANGE_SECTORS,
        .max_write_zeroes_seg = 1,
        .write_zeroes_may_unmap = 1,
    };
}

static void kick(void *arg)
{
    virtio_kick(arg);
}

void virtio_blk_init(struct virtio_blk *b, struct block *block, const char *id,
                     const struct virtio_host *host)
{
    uint64_t features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY;

    _Static_assert(offsetof(struct virtio_blk_space, write_zeroes_may_unmap) == 56,
                   "laid out as in virtio 1.2, section 5.2.4");
    features |= block_is_read_only(block) ? F_RO : F_DISCARD | F_WRITE_ZEROES;
    *b = (struct virtio_blk){.block = block, .space = make_space(block)};
    memcpy(b->id, id, strnlen(id, sizeof b->id));
    virtio_init(&b->v, &blk_ops, host, features, &b->space, sizeof b->space);
    block_on_done(block, kick, &b->v);
}

void virtio_blk_fini(struct virtio_blk *b)
{
    settle(&b->v);
    forget(&b->v, 0);
    block_on_done(b->block, NULL, NULL);
    virtio_fini(&b->v);
}
