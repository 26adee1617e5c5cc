#include "devices/virtio/dma.h"

#include <stdatomic.h>
#include <string.h>

uint8_t *dma_ptr(const struct virtio_dma *dma, uint64_t gpa, uint64_t len_bytes)
{
    return phys_is_ram(dma->phys, gpa, len_bytes) ? phys_ptr(dma->phys, gpa) : NULL;
}

unsigned dma_slice(const struct iovec *iov, unsigned n, size_t skip, size_t len_bytes,
                   struct iovec *out)
{
    unsigned n_out = 0;

    for (unsigned i = 0; i < n && len_bytes > 0; i++) {
        size_t room = iov[i].iov_len;

        if (skip >= room) {
            skip -= room;
            continue;
        }
        room -= skip;
        if (room > len_bytes)
            room = len_bytes;
        out[n_out++] =
            (struct iovec){.iov_base = (uint8_t *)iov[i].iov_base + skip, .iov_len = room};
        len_bytes -= room;
        skip = 0;
    }
    return n_out;
}

/* Calls `piece` for what lies in bytes [skip, skip+len). Returns how many bytes did. */
static size_t each_piece(const struct iovec *iov, unsigned n, size_t skip, size_t len_bytes,
                         void (*piece)(void *arg, uint8_t *at, size_t len_bytes), void *arg)
{
    size_t done = 0;

    for (unsigned i = 0; i < n && done < len_bytes; i++) {
        size_t room = iov[i].iov_len;

        if (skip >= room) {
            skip -= room;
            continue;
        }
        room -= skip;
        if (room > len_bytes - done)
            room = len_bytes - done;
        piece(arg, (uint8_t *)iov[i].iov_base + skip, room);
        done += room;
        skip = 0;
    }
    return done;
}

static void copy_out(void *arg, uint8_t *at, size_t len_bytes)
{
    uint8_t **to = arg;

    memcpy(*to, at, len_bytes);
    *to += len_bytes;
}

static void copy_in(void *arg, uint8_t *at, size_t len_bytes)
{
    const uint8_t **from = arg;

    memcpy(at, *from, len_bytes);
    *from += len_bytes;
}

static void tell(void *arg, uint8_t *at, size_t len_bytes)
{
    const struct virtio_dma *dma = arg;

    dma->wrote(dma->arg, dma->phys->ram_gpa + (uint64_t)(at - dma->phys->ram), len_bytes);
}

size_t dma_gather(const struct iovec *iov, unsigned n, size_t skip, void *to, size_t len_bytes)
{
    uint8_t *at = to;

    return each_piece(iov, n, skip, len_bytes, copy_out, &at);
}

/* The fence: whether a page holds code is asked only when the bytes can be seen (track.c). */
void dma_wrote(const struct virtio_dma *dma, const struct iovec *iov, unsigned n, size_t skip,
               size_t len_bytes)
{
    if (!dma->wrote)
        return;
    atomic_thread_fence(memory_order_seq_cst);
    each_piece(iov, n, skip, len_bytes, tell, (void *)dma);
}

size_t dma_scatter(const struct virtio_dma *dma, const struct iovec *iov, unsigned n, size_t skip,
                   const void *from, size_t len_bytes)
{
    const uint8_t *at = from;
    size_t done = each_piece(iov, n, skip, len_bytes, copy_in, &at);

    dma_wrote(dma, iov, n, skip, done);
    return done;
}
