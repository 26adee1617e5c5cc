#include "devices/virtio/virtio_fs.h"

#include <stdlib.h>
#include <string.h>

#include "dbt/base/check.h"

enum {
    HIPRIO = 0, /* what need not wait for requests: that nodes are forgotten */
    REQUEST = 1,
    N_QUEUES = 2,
    /* A request of 1 MiB, in pages, and what stands before and behind it. */
    QUEUE_MAX = 1024,
};

/* A request while it is with the host. */
struct pending {
    struct share_request r; /* first */
    uint16_t head;
    uint8_t queue;
    struct iovec iov[];
};

/* ---- The end of a request ------------------------------------------------------------------ */

static void finish(struct virtio_fs *f, struct pending *p)
{
    dma_wrote(&f->v.host.dma, p->r.in, p->r.n_in, 0, p->r.written);
    virtq_give(&f->v.queue[p->queue], p->head, (uint32_t)p->r.written);
    free(p);
}

static struct pending *next_of(const struct pending *p)
{
    return (struct pending *)(void *)p->r.job.next;
}

static struct pending *take_done(struct virtio_fs *f)
{
    return (struct pending *)(void *)share_done(f->share);
}

static void finish_all(struct virtio_fs *f)
{
    struct pending *next;

    for (struct pending *p = take_done(f); p; p = next) {
        next = next_of(p);
        finish(f, p);
    }
}

/* ---- The beginning ----------------------------------------------------------------------------
 */

static void begin(struct virtio_fs *f, const struct virtq_chain *c, uint8_t queue)
{
    unsigned n = c->n_out + c->n_in;
    struct pending *p = malloc(sizeof *p + n * sizeof *p->iov);

    CHECK(p && "memory for a request to a shared folder");
    *p = (struct pending){.head = c->head, .queue = queue};
    memcpy(p->iov, c->iov, n * sizeof *p->iov);
    p->r.out = p->iov;
    p->r.n_out = c->n_out;
    p->r.out_bytes = c->out_bytes;
    p->r.in = p->iov + c->n_out;
    p->r.n_in = c->n_in;
    p->r.in_bytes = c->in_bytes;
    share_submit(f->share, &p->r);
}

static void take_hiprio(struct virtio_device *d, struct virtq *q, struct virtq_chain *c)
{
    (void)q;
    begin((struct virtio_fs *)(void *)d, c, HIPRIO);
}

static void take_request(struct virtio_device *d, struct virtq *q, struct virtq_chain *c)
{
    (void)q;
    begin((struct virtio_fs *)(void *)d, c, REQUEST);
}

static void serve(struct virtio_device *d, uint32_t queues)
{
    struct virtio_fs *f = (struct virtio_fs *)(void *)d;

    if (queues & 1 << HIPRIO)
        virtio_each(d, HIPRIO, take_hiprio);
    if (queues & 1 << REQUEST)
        virtio_each(d, REQUEST, take_request);
    finish_all(f);
    virtio_publish(d, HIPRIO);
    virtio_publish(d, REQUEST);
}

/* ---- Reset --------------------------------------------------------------------------------------
 */

static void settle(struct virtio_device *d)
{
    share_wait(((struct virtio_fs *)(void *)d)->share);
}

/* What is done of the other queue is given back as ever. */
static void forget(struct virtio_device *d, unsigned queue)
{
    struct virtio_fs *f = (struct virtio_fs *)(void *)d;
    struct pending *next;

    for (struct pending *p = take_done(f); p; p = next) {
        next = next_of(p);
        if (p->queue == queue)
            free(p);
        else
            finish(f, p);
    }
}

/* A guest that starts anew has nothing open. */
static void reset(struct virtio_device *d)
{
    share_reset(((struct virtio_fs *)(void *)d)->share);
}

static const struct virtio_ops fs_ops = {
    .name = "virtio-fs",
    .id = VIRTIO_ID_FS,
    .n_queues = N_QUEUES,
    .queue_max = QUEUE_MAX,
    .serve = serve,
    .settle = settle,
    .forget = forget,
    .reset = reset,
};

/* ---- Life --------------------------------------------------------------------------------------
 */

static void kick(void *arg)
{
    virtio_kick(arg);
}

void virtio_fs_init(struct virtio_fs *f, struct share *share, const char *tag,
                    const struct virtio_host *host)
{
    _Static_assert(sizeof(struct virtio_fs_space) == 40, "as in virtio 1.2, section 5.11.4");
    *f = (struct virtio_fs){.share = share, .space.num_request_queues = N_QUEUES - 1};
    memcpy(f->space.tag, tag, strnlen(tag, sizeof f->space.tag));
    virtio_init(&f->v, &fs_ops, host, 0, &f->space, sizeof f->space);
    share_on_done(share, kick, &f->v);
}

void virtio_fs_fini(struct virtio_fs *f)
{
    struct pending *next;

    settle(&f->v);
    for (struct pending *p = take_done(f); p; p = next) {
        next = next_of(p);
        free(p);
    }
    share_reset(f->share);
    share_on_done(f->share, NULL, NULL);
    virtio_fini(&f->v);
}
