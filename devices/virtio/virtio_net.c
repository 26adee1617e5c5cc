#include "devices/virtio/virtio_net.h"

#include <string.h>

#include "dbt/base/check.h"
#include "dbt/base/log.h"

enum { /* virtio 1.2, section 5.1.3: bits of the features */
       F_CSUM = 1 << 0,
       F_GUEST_CSUM = 1 << 1,
       F_MTU = 1 << 3,
       F_MAC = 1 << 5,
       F_GUEST_TSO4 = 1 << 7,
       F_GUEST_TSO6 = 1 << 8,
       F_HOST_TSO4 = 1 << 11,
       F_HOST_TSO6 = 1 << 12,
       F_MRG_RXBUF = 1 << 15,
       F_STATUS = 1 << 16,
};

enum { RX, TX, N_QUEUES, QUEUE_MAX = 256, S_LINK_UP = 1 };

/* Section 5.1.6. The host's side has the same in front, up to n_buffers. */
struct header {
    struct net_offload offload;
    uint16_t n_buffers;
};

static struct virtio_net *of(struct virtio_device *d)
{
    return (struct virtio_net *)(void *)d;
}

/* ---- To the host -------------------------------------------------------------------------- */

/* Has the driver agreed on what the header asks for, and does it make sense? hdr_len is a hint, and
 * not used. */
static bool is_allowed(const struct virtio_device *d, const struct net_offload *o, size_t len_bytes)
{
    if ((o->flags & NET_NEEDS_CSUM) && !virtio_has(d, F_CSUM))
        return false;
    if ((o->gso_type == NET_GSO_TCPV4 && !virtio_has(d, F_HOST_TSO4)) ||
        (o->gso_type == NET_GSO_TCPV6 && !virtio_has(d, F_HOST_TSO6)))
        return false;
    return len_bytes >= NET_MIN_FRAME && len_bytes <= NET_MAX_FRAME &&
           net_offload_is_sound(o, len_bytes);
}

static void send(struct virtio_device *d, struct virtq *q, struct virtq_chain *c)
{
    struct net *net = of(d)->net;
    struct header h;
    struct net_frame *f;
    size_t len;

    if (dma_gather(c->iov, c->n_out, 0, &h, sizeof h) != sizeof h) {
        virtio_fail(d, "a packet without its header");
        return;
    }
    len = c->out_bytes - sizeof h;
    h.offload.flags &= NET_NEEDS_CSUM;
    if (!is_allowed(d, &h.offload, len)) {
        log_line(LOG_guest, "%s: a packet of %zu bytes is dropped: its header is wrong",
                 d->ops->name, len);
    } else {
        f = net_send_begin(net, len);
        f->offload = h.offload;
        dma_gather(c->iov, c->n_out, sizeof h, f->bytes, len);
        net_send(net, f);
    }
    virtq_give(q, c->head, 0);
}

static bool may_send(struct virtio_device *d)
{
    return net_may_send(of(d)->net);
}

/* ---- To the guest -----------------------------------------------------------------------------
 */

/* What the frame needs that the driver has not agreed on is done here, if it can be. */
static bool fit_offload(const struct virtio_device *d, struct net_frame *f)
{
    struct net_offload *o = &f->offload;

    if ((o->gso_type == NET_GSO_TCPV4 && !virtio_has(d, F_GUEST_TSO4)) ||
        (o->gso_type == NET_GSO_TCPV6 && !virtio_has(d, F_GUEST_TSO6)))
        return false;
    if (!virtio_has(d, F_GUEST_CSUM)) {
        net_finish_checksum(f);
        o->flags = 0;
    }
    return true;
}

/* The buffers that a frame goes into. The header is written last, for it says how many there are;
 * its place is in the first. */
struct filling {
    unsigned n;
    struct iovec header[sizeof(struct header)];
    unsigned n_header;
    uint16_t head[QUEUE_MAX];
    uint32_t written[QUEUE_MAX];
};

/* Copies what fits of the frame's bytes from `done` on. Returns how many did. */
static size_t fill(struct virtio_device *d, struct filling *to, const struct virtq_chain *c,
                   const struct net_frame *f, size_t done)
{
    size_t skip = to->n == 0 ? sizeof(struct header) : 0, len = f->len - done;

    if (to->n == 0)
        to->n_header = dma_slice(virtq_in(c), c->n_in, 0, skip, to->header);
    len = dma_scatter(&d->host.dma, virtq_in(c), c->n_in, skip, f->bytes + done, len);
    to->head[to->n] = c->head;
    to->written[to->n] = (uint32_t)(skip + len);
    to->n++;
    return len;
}

static void finish(struct virtio_device *d, const struct filling *to, const struct net_frame *f)
{
    const struct header h = {.offload = f->offload, .n_buffers = (uint16_t)to->n};

    dma_scatter(&d->host.dma, to->header, to->n_header, 0, &h, sizeof h);
    for (unsigned i = 0; i < to->n; i++)
        virtq_give(&d->queue[RX], to->head[i], to->written[i]);
}

enum put { PUT, NO_BUFFERS, TOO_LONG };

/* When buffers run short, those that were taken go back, and the driver is asked to tell of more,
 * beyond those: so the queue listens while they are still taken. */
static enum put put(struct virtio_device *d, const struct net_frame *f)
{
    struct virtq *q = &d->queue[RX];
    struct virtq_chain chain;
    struct filling to = {0};
    size_t done = 0;

    while (done < f->len || to.n == 0) {
        if (!virtio_take(d, RX, &chain)) {
            if (virtio_is_live(d) && virtq_listen(q))
                continue;
            virtq_untake(q, to.n);
            return NO_BUFFERS;
        }
        if (chain.in_bytes < sizeof(struct header)) {
            virtio_fail(d, "a receive buffer without room for a header");
            return NO_BUFFERS;
        }
        done += fill(d, &to, &chain, f, done);
        if (done < f->len && (!virtio_has(d, F_MRG_RXBUF) || to.n == q->num)) {
            virtq_untake(q, to.n);
            return TOO_LONG;
        }
    }
    finish(d, &to, f);
    return PUT;
}

static void receive_all(struct virtio_device *d)
{
    struct net *net = of(d)->net;
    struct net_frame *f;

    while ((f = net_receive(net))) {
        bool fits = fit_offload(d, f);
        enum put how = fits ? put(d, f) : TOO_LONG;

        if (how == NO_BUFFERS)
            break;
        if (how == TOO_LONG)
            log_line(LOG_net, "%s: a frame of %u bytes is lost: the driver takes none like it",
                     d->ops->name, f->len);
        net_receive_done(net, f);
    }
    if (!f)
        virtq_deaf(&d->queue[RX]);
    virtio_publish(d, RX);
}

/* ---- Serving
 * ------------------------------------------------------------------------------------- */

static unsigned guest_offloads(const struct virtio_device *d)
{
    return (virtio_has(d, F_GUEST_CSUM) ? NET_GET_CSUM : 0) |
           (virtio_has(d, F_GUEST_TSO4) ? NET_GET_TSO4 : 0) |
           (virtio_has(d, F_GUEST_TSO6) ? NET_GET_TSO6 : 0);
}

static void update_link(struct virtio_net *n)
{
    uint16_t status = net_link(n->net) ? S_LINK_UP : 0;

    if (status == n->space.status)
        return;
    n->space.status = status;
    virtio_config_changed(&n->v);
}

static void serve(struct virtio_device *d, uint32_t queues)
{
    struct virtio_net *n = of(d);

    if (!n->started) {
        n->started = true;
        net_start_guest(n->net, guest_offloads(d));
    }
    update_link(n);
    if (queues & 1u << TX)
        virtio_each_while(d, TX, send, may_send);
    receive_all(d);
}

/* Section 5.1.3.1: what needs what. */
static bool accept(struct virtio_device *d, uint64_t features)
{
    (void)d;
    return (!(features & (F_GUEST_TSO4 | F_GUEST_TSO6)) || (features & F_GUEST_CSUM)) &&
           (!(features & (F_HOST_TSO4 | F_HOST_TSO6)) || (features & F_CSUM));
}

static void was_reset(struct virtio_device *d)
{
    struct virtio_net *n = of(d);

    n->started = false;
    net_stop_guest(n->net);
}

/* The frames on their way are the network's; but it must be started anew. */
static void state(struct virtio_device *d, struct state_io *io)
{
    if (!io->saving)
        virtio_kick(d);
}

static const struct virtio_ops net_ops = {
    .name = "virtio-net",
    .id = VIRTIO_ID_NET,
    .n_queues = N_QUEUES,
    .queue_max = QUEUE_MAX,
    .accept = accept,
    .serve = serve,
    .reset = was_reset,
    .state = state,
};

/* ---- Life
 * ------------------------------------------------------------------------------------------ */

/* Any frame may be sent without its checksum: the host side knows what to do. */
static uint64_t features_of(const struct net *net, uint16_t mtu)
{
    static const struct {
        unsigned host;
        uint64_t feature;
    } rows[] = {
        {NET_SEND_TSO4, F_HOST_TSO4}, {NET_SEND_TSO6, F_HOST_TSO6}, {NET_GET_CSUM, F_GUEST_CSUM},
        {NET_GET_TSO4, F_GUEST_TSO4}, {NET_GET_TSO6, F_GUEST_TSO6},
    };
    uint64_t features = F_CSUM | F_MAC | F_MRG_RXBUF | F_STATUS | (mtu ? F_MTU : 0);

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (net_offloads(net) & rows[i].host)
            features |= rows[i].feature;
    return features;
}

static void kick(void *arg)
{
    virtio_kick(arg);
}

void virtio_net_init(struct virtio_net *n, struct net *net, const uint8_t mac[VIRTIO_NET_MAC_BYTES],
                     uint16_t mtu, const struct virtio_host *host)
{
    _Static_assert(sizeof(struct header) == 12 && sizeof(struct virtio_net_space) == 12,
                   "laid out as in virtio 1.2, sections 5.1.4 and 5.1.6");
    *n = (struct virtio_net){
        .net = net,
        .space = {.status = net_link(net) ? S_LINK_UP : 0, .max_virtqueue_pairs = 1, .mtu = mtu}};
    memcpy(n->space.mac, mac, sizeof n->space.mac);
    virtio_init(&n->v, &net_ops, host, features_of(net, mtu), &n->space, sizeof n->space);
    net_on_event(net, kick, &n->v);
}

void virtio_net_fini(struct virtio_net *n)
{
    net_on_event(n->net, NULL, NULL);
    net_stop_guest(n->net);
    virtio_fini(&n->v);
}
