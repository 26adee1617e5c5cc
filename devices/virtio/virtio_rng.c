#include "devices/virtio/virtio_rng.h"

/* A buffer may be 4 GiB; this much of it is filled. Drivers come again. */
enum { MAX_BYTES = 4096, QUEUE_MAX = 8 };

static void take(struct virtio_device *d, struct virtq *q, struct virtq_chain *c)
{
    struct virtio_rng *r = (struct virtio_rng *)(void *)d;
    uint8_t bytes[MAX_BYTES];
    size_t n = c->in_bytes < sizeof bytes ? c->in_bytes : sizeof bytes;

    r->fill(r->fill_arg, bytes, n);
    dma_scatter(&d->host.dma, virtq_in(c), c->n_in, 0, bytes, n);
    virtq_give(q, c->head, (uint32_t)n);
}

static void serve(struct virtio_device *d, uint32_t queues)
{
    if (queues & 1)
        virtio_each(d, 0, take);
}

static const struct virtio_ops rng_ops = {
    .name = "virtio-rng",
    .id = VIRTIO_ID_RNG,
    .n_queues = 1,
    .queue_max = QUEUE_MAX,
    .serve = serve,
};

void virtio_rng_init(struct virtio_rng *r, void (*fill)(void *arg, void *to, size_t len_bytes),
                     void *fill_arg, const struct virtio_host *host)
{
    *r = (struct virtio_rng){.fill = fill, .fill_arg = fill_arg};
    virtio_init(&r->v, &rng_ops, host, 0, NULL, 0);
}

void virtio_rng_fini(struct virtio_rng *r)
{
    virtio_fini(&r->v);
}
