/* Guest memory as a device reaches it: RAM, checked, and whoever must hear that it was written.
 * A device sees the guest's buffers as iovecs that point into RAM's plain view. */
#pragma once

#include <sys/uio.h>

#include "softmmu/phys.h"

struct virtio_dma {
    struct phys *phys;
    /* RAM in [gpa, gpa+len) was written: code that was made from it is dropped. On the thread
     * that serves the device (virtio.h), with its lock held. */
    void (*wrote)(void *arg, uint64_t gpa, uint64_t len_bytes);
    void *arg;
};

/* ---- Any thread ------------------------------------------------------------------------ */

/* Host address of [gpa, gpa+len), or NULL when not all of it is RAM. */
uint8_t *dma_ptr(const struct virtio_dma *dma, uint64_t gpa, uint64_t len_bytes);

/* What is left of n iovecs without their first `skip` bytes, at most len bytes of it: written to
 * out, which has room for n. Returns how many. */
unsigned dma_slice(const struct iovec *iov, unsigned n, size_t skip, size_t len_bytes,
                   struct iovec *out);

/* Copies out of n iovecs, from byte `skip` of them. Returns how many bytes there were. */
size_t dma_gather(const struct iovec *iov, unsigned n, size_t skip, void *to, size_t len_bytes);

/* ---- The thread that serves the device --------------------------------------------------- */

/* Bytes [skip, skip+len) of n iovecs were written, by whomever: tells `wrote`. */
void dma_wrote(const struct virtio_dma *dma, const struct iovec *iov, unsigned n, size_t skip,
               size_t len_bytes);

/* Copies into n iovecs, from byte `skip` of them, and tells. Returns how many bytes fitted. */
size_t dma_scatter(const struct virtio_dma *dma, const struct iovec *iov, unsigned n, size_t skip,
                   const void *from, size_t len_bytes);
