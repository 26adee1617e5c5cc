#include "devices/virtio/virtio_balloon.h"

#include <stdlib.h>
#include <string.h>

#include "dbt/base/bits.h"

enum { /* virtio 1.2, section 5.5.3: bits of the features */
       F_STATS_VQ = 1 << 1,
       F_DEFLATE_ON_OOM = 1 << 2,
       F_PAGE_POISON = 1 << 4,
       F_REPORTING = 1 << 5,
};

enum {
    INFLATE = 0,
    DEFLATE = 1,
    STATS = 2,
    N_QUEUES = 5,
    QUEUE_MAX = 128,
    PAGE = 4096,
    /* Of one buffer so many pages are looked at, so that its driver cannot keep us for minutes.
     * Linux sends 256. The others stay with the guest, which does not notice. */
    MAX_PAGES = 4096,
    CHUNK = 256,
    STAT_BYTES = 10, /* a tag of 16 bits, a value of 64 */
    MAX_STATS = 64,
};

static struct virtio_balloon *balloon_of(struct virtio_device *d)
{
    return (struct virtio_balloon *)(void *)d;
}

/* ---- Giving back ----------------------------------------------------------------------------- */

/* The pages that lie wholly in [gpa, gpa+len), all of it RAM. Code that was made from them is old.
 */
static void give_back(struct virtio_balloon *b, uint64_t gpa, uint64_t len_bytes)
{
    const struct virtio_dma *dma = &b->v.host.dma;
    uint64_t first = align_up(gpa, PAGE), end = align_down(gpa + len_bytes, PAGE);
    struct iovec iov;

    if (first >= end || !phys_discard(dma->phys, first, end - first))
        return;
    b->given_bytes += end - first;
    iov = (struct iovec){phys_ptr(dma->phys, first), end - first};
    dma_wrote(dma, &iov, 1, 0, end - first);
}

/* ---- The balloon ------------------------------------------------------------------------------
 */

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Neighbours go together: each hole is a call, and each costs all threads their TLBs. */
static void inflate_chunk(struct virtio_balloon *b, uint32_t *page, unsigned n)
{
    const struct phys *phys = b->v.host.dma.phys;
    unsigned run;

    qsort(page, n, sizeof *page, by_number);
    for (unsigned i = 0; i < n; i += run) {
        uint64_t gpa = (uint64_t)page[i] * PAGE;

        run = 1;
        if (!phys_is_ram(phys, gpa, PAGE))
            continue; /* section 5.5.6.1: what is no memory is not ours to take */
        while (i + run < n && page[i + run] == page[i] + run &&
               phys_is_ram(phys, (uint64_t)page[i + run] * PAGE, PAGE))
            run++;
        give_back(b, gpa, (uint64_t)run * PAGE);
    }
}

static void inflate(struct virtio_device *d, struct virtq *q, struct virtq_chain *c)
{
    uint32_t page[CHUNK];

    for (size_t at = 0; at < MAX_PAGES * sizeof *page; at += sizeof page) {
        size_t n = dma_gather(c->iov, c->n_out, at, page, sizeof page) / sizeof *page;

        inflate_chunk(balloon_of(d), page, (unsigned)n);
        if (n < CHUNK)
            break;
    }
    virtq_give(q, c->head, 0);
}

/* Nothing to do: the host gives memory where it is touched. */
static void deflate(struct virtio_device *d, struct virtq *q, struct virtq_chain *c)
{
    (void)d;
    virtq_give(q, c->head, 0);
}

/* ---- Free page reporting (section 5.5.6.7) -----------------------------------------------------
 */

/* The buffer is free memory itself. If the driver relies on what it filled it with, it must stay
 * so: zeros are what it gets (section 5.5.6.6). */
static void report(struct virtio_device *d, struct virtq *q, struct virtq_chain *c)
{
    struct virtio_balloon *b = balloon_of(d);
    const struct phys *phys = d->host.dma.phys;
    bool poisoned = virtio_has(d, F_PAGE_POISON) && b->space.poison_val != 0;

    for (unsigned i = 0; i < c->n_in && virtio_has(d, F_REPORTING) && !poisoned; i++) {
        const struct iovec *piece = &virtq_in(c)[i];

        give_back(b, phys->ram_gpa + (uint64_t)((uint8_t *)piece->iov_base - phys->ram),
                  piece->iov_len);
    }
    virtq_give(q, c->head, 0);
}

/* ---- The guest's figures (section 5.5.6.3) -----------------------------------------------------
 */

static void give_stats(struct virtio_balloon *b)
{
    if (!b->stats_held)
        return;
    b->stats_held = false;
    virtq_give(&b->v.queue[STATS], b->stats_head, 0);
}

/* The buffer stays here until newer figures are wanted: giving it back asks for them. */
static void take_stats(struct virtio_device *d, struct virtq *q, struct virtq_chain *c)
{
    struct virtio_balloon *b = balloon_of(d);
    uint8_t stat[STAT_BYTES];

    (void)q;
    give_stats(b); /* a driver has one */
    for (size_t i = 0; i < MAX_STATS; i++) {
        uint16_t tag;

        if (dma_gather(c->iov, c->n_out, i * STAT_BYTES, stat, sizeof stat) < sizeof stat)
            break;
        memcpy(&tag, stat, sizeof tag);
        if (tag >= VIRTIO_BALLOON_N_STATS)
            continue;
        memcpy(&b->stats.value[tag], stat + sizeof tag, sizeof b->stats.value[tag]);
        b->stats.known |= UINT32_C(1) << tag;
    }
    b->stats_held = true;
    b->stats_head = c->head;
}

const char *virtio_balloon_stat_name(unsigned tag)
{
    static const char *const names[VIRTIO_BALLOON_N_STATS] = {
        "swap_in",      "swap_out",         "major_page_faults", "minor_page_faults",
        "free_mem",     "total_mem",        "available_mem",     "disk_caches",
        "htlb_pgalloc", "htlb_pgalloc_fail"};

    return tag < VIRTIO_BALLOON_N_STATS ? names[tag] : NULL;
}

/* ---- Service -----------------------------------------------------------------------------------
 */

/* Section 5.5.2 has queue 3 for hints, which are not offered, and 4 for reports. Linux leaves no
 * gaps, so that reports come to 3, or to 2 without figures; QEMU agrees with it. */
static bool is_for_reports(const struct virtio_device *d, unsigned queue)
{
    return queue > STATS || (queue == STATS && !virtio_has(d, F_STATS_VQ));
}

static void serve(struct virtio_device *d, uint32_t queues)
{
    if (queues & 1 << INFLATE)
        virtio_each(d, INFLATE, inflate);
    if (queues & 1 << DEFLATE)
        virtio_each(d, DEFLATE, deflate);
    for (unsigned queue = STATS; queue < N_QUEUES; queue++)
        if (queues & UINT32_C(1) << queue)
            virtio_each(d, queue, is_for_reports(d, queue) ? report : take_stats);
}

static void forget(struct virtio_device *d, unsigned queue)
{
    if (queue == STATS)
        balloon_of(d)->stats_held = false;
}

/* A driver that starts anew has an empty balloon, and may fill pages with something else. */
static void reset(struct virtio_device *d)
{
    struct virtio_balloon *b = balloon_of(d);

    b->space.actual = 0;
    b->space.poison_val = 0;
    b->stats.known = 0;
}

/* The two fields that are the driver's, in any pieces. */
static void write_config(struct virtio_device *d, uint64_t offset, unsigned size, uint32_t value)
{
    struct virtio_balloon_space *s = &balloon_of(d)->space;

    for (unsigned i = 0; i < size; i++) {
        uint64_t at = offset + i;
        bool ours =
            at / sizeof(uint32_t) == offsetof(struct virtio_balloon_space, actual) / 4 ||
            (at / sizeof(uint32_t) == offsetof(struct virtio_balloon_space, poison_val) / 4 &&
             virtio_has(d, F_PAGE_POISON));

        if (ours)
            ((uint8_t *)s)[at] = (uint8_t)(value >> 8 * i);
    }
}

static void state(struct virtio_device *d, struct state_io *io)
{
    struct virtio_balloon *b = balloon_of(d);

    STATE_IO(io, b->space);
    STATE_IO(io, b->stats);
    STATE_IO(io, b->stats_held);
    STATE_IO(io, b->stats_head);
    if (b->stats_held && (!d->queue[STATS].ready || d->queue[STATS].n_taken == 0)) {
        b->stats_held = false;
        io->failed = true;
    }
}

static const struct virtio_ops balloon_ops = {
    .name = "virtio-balloon",
    .id = VIRTIO_ID_BALLOON,
    .n_queues = N_QUEUES,
    .queue_max = QUEUE_MAX,
    .serve = serve,
    .forget = forget,
    .reset = reset,
    .write_config = write_config,
    .state = state,
};

/* ---- Its user ---------------------------------------------------------------------------------
 */

void virtio_balloon_set(struct virtio_balloon *b, uint64_t guest_bytes)
{
    uint64_t all = b->v.host.dma.phys->ram_len;

    pthread_mutex_lock(&b->v.lock);
    b->space.num_pages = (uint32_t)((guest_bytes < all ? all - guest_bytes : 0) / PAGE);
    virtio_config_changed(&b->v);
    pthread_mutex_unlock(&b->v.lock);
}

uint64_t virtio_balloon_actual(struct virtio_balloon *b)
{
    uint64_t all = b->v.host.dma.phys->ram_len, held;

    pthread_mutex_lock(&b->v.lock);
    held = (uint64_t)b->space.actual * PAGE;
    pthread_mutex_unlock(&b->v.lock);
    return held < all ? all - held : 0;
}

struct virtio_balloon_stats virtio_balloon_ask(struct virtio_balloon *b)
{
    struct virtio_balloon_stats stats;

    pthread_mutex_lock(&b->v.lock);
    stats = b->stats;
    if (virtio_is_live(&b->v)) {
        give_stats(b);
        virtio_publish(&b->v, STATS);
    }
    pthread_mutex_unlock(&b->v.lock);
    return stats;
}

/* ---- Life -------------------------------------------------------------------------------------
 */

void virtio_balloon_init(struct virtio_balloon *b, const struct virtio_balloon_config *config,
                         const struct virtio_host *host)
{
    uint64_t features = F_STATS_VQ | F_PAGE_POISON;

    features |= config->deflate_on_oom ? F_DEFLATE_ON_OOM : 0;
    features |= config->no_reporting ? 0 : F_REPORTING;
    *b = (struct virtio_balloon){0};
    virtio_init(&b->v, &balloon_ops, host, features, &b->space, sizeof b->space);
}

void virtio_balloon_fini(struct virtio_balloon *b)
{
    virtio_fini(&b->v);
}
