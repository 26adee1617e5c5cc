#include "devices/virtio/virtq.h"

#include <stdatomic.h>
#include <string.h>

enum { /* virtio 1.2, sections 2.7.5 to 2.7.8 */
       DESC_NEXT = 1,
       DESC_WRITE = 2,
       DESC_INDIRECT = 4,
       AVAIL_NO_INTERRUPT = 1,
       USED_NO_NOTIFY = 1,
};

/* Offsets in the driver and the device area; used_event and avail_event come behind the rings. */
enum { FLAGS = 0, IDX = 2, RING = 4, AVAIL_ENTRY = 2, USED_ENTRY = 8 };

struct desc {
    uint64_t gpa;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
};

/* ---- The rings: RAM that the guest writes at the same time --------------------------------- */

static uint16_t load16(const struct virtq *q, uint64_t gpa)
{
    return __atomic_load_n((const uint16_t *)(void *)phys_ptr(q->dma->phys, gpa), __ATOMIC_ACQUIRE);
}

static void store16(const struct virtq *q, uint64_t gpa, uint16_t value)
{
    __atomic_store_n((uint16_t *)(void *)phys_ptr(q->dma->phys, gpa), value, __ATOMIC_RELEASE);
}

/* The device area lies where the guest says: also where it has code. */
static void wrote(const struct virtq *q, uint64_t gpa, uint64_t len_bytes)
{
    const struct iovec iov = {phys_ptr(q->dma->phys, gpa), len_bytes};

    dma_wrote(q->dma, &iov, 1, 0, len_bytes);
}

static uint64_t used_event_gpa(const struct virtq *q)
{
    return q->driver_gpa + RING + AVAIL_ENTRY * (uint64_t)q->num;
}

static uint64_t avail_event_gpa(const struct virtq *q)
{
    return q->device_gpa + RING + USED_ENTRY * (uint64_t)q->num;
}

static uint64_t event_bytes(const struct virtq *q)
{
    return q->event_idx ? 2 : 0;
}

/* ---- Life ------------------------------------------------------------------------------------ */

bool virtq_enable(struct virtq *q, const char **why)
{
    uint64_t num = q->num;

    *why = NULL;
    if (num == 0 || num > q->max || (num & (num - 1)) != 0)
        *why = "its size is no power of two, or larger than offered";
    else if (q->desc_gpa % 16 || q->driver_gpa % 2 || q->device_gpa % 4)
        *why = "an area of it is misaligned";
    else if (!phys_is_ram(q->dma->phys, q->desc_gpa, sizeof(struct desc) * num) ||
             !phys_is_ram(q->dma->phys, q->driver_gpa, RING + AVAIL_ENTRY * num + event_bytes(q)) ||
             !phys_is_ram(q->dma->phys, q->device_gpa, RING + USED_ENTRY * num + event_bytes(q)))
        *why = "an area of it lies outside RAM";
    if (*why)
        return false;
    q->ready = true;
    return true;
}

void virtq_reset(struct virtq *q)
{
    *q = (struct virtq){.dma = q->dma, .max = q->max, .num = q->max};
}

/* ---- Taking a chain ----------------------------------------------------------------------------
 */

/* Read once: the barrier keeps the compiler from reading the guest's memory again where the copy
 * is used. A table of indirect descriptors may be misaligned. */
static struct desc read_desc(const struct virtq *q, uint64_t table_gpa, uint32_t i)
{
    struct desc d;

    memcpy(&d, phys_ptr(q->dma->phys, table_gpa + sizeof d * (uint64_t)i), sizeof d);
    atomic_signal_fence(memory_order_seq_cst);
    return d;
}

/* NULL, or what is wrong with the piece. */
static const char *add_piece(const struct virtq *q, struct virtq_chain *c, const struct desc *d)
{
    bool writable = (d->flags & DESC_WRITE) != 0;

    if (!writable && c->n_in > 0)
        return "a descriptor to be read stands behind one to be written";
    if (d->len == 0)
        return NULL;
    if (!phys_is_ram(q->dma->phys, d->gpa, d->len))
        return "a descriptor points outside RAM";
    if (c->out_bytes + c->in_bytes + d->len > UINT32_MAX)
        return "a chain is 4 GiB long";
    c->iov[c->n_out + c->n_in] =
        (struct iovec){.iov_base = phys_ptr(q->dma->phys, d->gpa), .iov_len = d->len};
    if (writable) {
        c->n_in++;
        c->in_bytes += d->len;
    } else {
        c->n_out++;
        c->out_bytes += d->len;
    }
    return NULL;
}

/* Where the descriptors of a chain are: the queue's own, or a table that one of them names. */
struct table {
    uint64_t gpa;
    uint32_t n;
    bool indirect;
};

static const char *enter_indirect(const struct virtq *q, const struct desc *d, struct table *t)
{
    if (!q->indirect || t->indirect)
        return "an indirect descriptor where none may be";
    if (d->flags & DESC_NEXT)
        return "an indirect descriptor has a successor";
    if (d->len == 0 || d->len % sizeof *d != 0)
        return "a table of indirect descriptors has an odd length";
    if (!phys_is_ram(q->dma->phys, d->gpa, d->len))
        return "a table of indirect descriptors lies outside RAM";
    *t = (struct table){.gpa = d->gpa, .n = d->len / (uint32_t)sizeof *d, .indirect = true};
    return NULL;
}

/* The count of descriptors ends a loop. */
static const char *walk(const struct virtq *q, struct virtq_chain *c)
{
    struct table t = {.gpa = q->desc_gpa, .n = q->num};
    uint32_t i = c->head;
    const char *why;

    for (unsigned n_seen = 0; n_seen <= VIRTQ_MAX_PIECES; n_seen++) {
        struct desc d;

        if (i >= t.n)
            return "a descriptor's number is too large";
        d = read_desc(q, t.gpa, i);
        if (d.flags & DESC_INDIRECT) {
            if ((why = enter_indirect(q, &d, &t)))
                return why;
            i = 0;
            continue;
        }
        if (c->n_out + c->n_in == VIRTQ_MAX_PIECES)
            break;
        if ((why = add_piece(q, c, &d)))
            return why;
        if (!(d.flags & DESC_NEXT))
            return NULL;
        i = d.next;
    }
    return "a chain is a loop, or too long";
}

enum virtq_found virtq_take(struct virtq *q, struct virtq_chain *c, const char **why)
{
    uint16_t idx;

    if (!q->ready)
        return VIRTQ_EMPTY;
    idx = load16(q, q->driver_gpa + IDX);
    if (idx == q->next_avail)
        return VIRTQ_EMPTY;
    c->n_out = c->n_in = 0;
    c->out_bytes = c->in_bytes = 0;
    c->head =
        load16(q, q->driver_gpa + RING + AVAIL_ENTRY * (uint64_t)(q->next_avail & (q->num - 1)));
    if ((uint16_t)(idx - q->next_avail) > q->num)
        *why = "its index of available buffers is too far ahead";
    else if (q->n_taken >= q->num)
        *why = "more buffers are with the device than it has descriptors";
    else
        *why = walk(q, c);
    if (*why)
        return VIRTQ_BAD;
    q->next_avail++;
    q->n_taken++;
    return VIRTQ_CHAIN;
}

void virtq_untake(struct virtq *q, unsigned n)
{
    DCHECK(n <= q->n_taken);
    q->next_avail = (uint16_t)(q->next_avail - n);
    q->n_taken = (uint16_t)(q->n_taken - n);
}

/* ---- Giving it back
 * -------------------------------------------------------------------------------- */

void virtq_give(struct virtq *q, uint16_t head, uint32_t written)
{
    uint64_t gpa = q->device_gpa + RING + USED_ENTRY * (uint64_t)(q->next_used & (q->num - 1));
    const uint32_t entry[2] = {head, written};

    DCHECK(q->ready && q->n_taken > 0);
    memcpy(phys_ptr(q->dma->phys, gpa), entry, sizeof entry);
    wrote(q, gpa, sizeof entry);
    q->next_used++;
    q->n_taken--;
}

/* Has `now` passed `event` since it was `before`? (virtio 1.2, section 2.7.10, vring_need_event) */
static bool passed(uint16_t event, uint16_t now, uint16_t before)
{
    return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

bool virtq_publish(struct virtq *q)
{
    uint16_t before = q->shown_used;

    if (!q->ready || before == q->next_used)
        return false;
    store16(q, q->device_gpa + IDX, q->next_used);
    wrote(q, q->device_gpa + IDX, 2);
    q->shown_used = q->next_used;
    /* The driver first says what it wants to hear of, then looks at idx; we the other way round. */
    atomic_thread_fence(memory_order_seq_cst);
    if (q->event_idx)
        return passed(load16(q, used_event_gpa(q)), q->next_used, before);
    return !(load16(q, q->driver_gpa + FLAGS) & AVAIL_NO_INTERRUPT);
}

/* ---- Being notified
 * ------------------------------------------------------------------------------------ */

/* With event_idx there is nothing to do: avail_event, which lies behind, is not passed again. */
void virtq_deaf(struct virtq *q)
{
    if (!q->ready || q->event_idx)
        return;
    store16(q, q->device_gpa + FLAGS, USED_NO_NOTIFY);
    wrote(q, q->device_gpa + FLAGS, 2);
}

bool virtq_listen(struct virtq *q)
{
    uint64_t gpa = q->event_idx ? avail_event_gpa(q) : q->device_gpa + FLAGS;

    if (!q->ready)
        return false;
    store16(q, gpa, q->event_idx ? q->next_avail : 0);
    wrote(q, gpa, 2);
    atomic_thread_fence(memory_order_seq_cst);
    return load16(q, q->driver_gpa + IDX) != q->next_avail;
}

void virtq_state(struct virtq *q, struct state_io *io)
{
    const char *why;

    STATE_IO(io, q->num);
    STATE_IO(io, q->ready);
    STATE_IO(io, q->indirect);
    STATE_IO(io, q->event_idx);
    STATE_IO(io, q->desc_gpa);
    STATE_IO(io, q->driver_gpa);
    STATE_IO(io, q->device_gpa);
    STATE_IO(io, q->next_avail);
    STATE_IO(io, q->next_used);
    STATE_IO(io, q->shown_used);
    STATE_IO(io, q->n_taken);
    /* A file is no more to be trusted than a guest. */
    if (!io->saving && q->ready && !virtq_enable(q, &why)) {
        q->ready = false;
        io->failed = true;
    }
}
