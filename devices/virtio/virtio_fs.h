/* A shared folder (virtio 1.2, section 5.11): FUSE messages in, answers out. The host's side, which
 * understands them, is devices/host/share.h. */
#pragma once

#include "devices/host/share.h"
#include "devices/virtio/virtio.h"

enum { VIRTIO_FS_TAG_BYTES = 36 };

/* struct virtio_fs_config, as the driver reads it. */
struct virtio_fs_space {
    char tag[VIRTIO_FS_TAG_BYTES]; /* UTF-8, filled up with zeros, none when it is full */
    uint32_t num_request_queues;
};

struct virtio_fs {
    struct virtio_device v; /* first */
    struct share *share;    /* borrowed until virtio_fs_fini() */
    struct virtio_fs_space space;
};

/* ---- Before the first hart runs, after the last has stopped --------------------------------- */

/* tag: what the guest mounts it by; at most 36 bytes are used. */
void virtio_fs_init(struct virtio_fs *f, struct share *share, const char *tag,
                    const struct virtio_host *host);
void virtio_fs_fini(struct virtio_fs *f);
