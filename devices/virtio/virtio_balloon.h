/* Memory that the guest gives back (virtio 1.2, section 5.5): the balloon, which takes it up to a
 * target that the user sets; free page reporting, by which the driver names what it does not use
 * at present; and the guest's own figures. What is given back is a hole in the memory file: the
 * guest finds zeros when it uses it again. */
#pragma once

#include "devices/virtio/virtio.h"

/* struct virtio_balloon_config, as the driver reads it. */
struct virtio_balloon_space {
    uint32_t num_pages; /* that the balloon is to hold */
    uint32_t actual;    /* that it holds, says the driver */
    uint32_t free_page_hint_cmd_id;
    uint32_t poison_val; /* what the driver fills free pages with */
};

/* Section 5.5.6.4, by tag. */
enum { VIRTIO_BALLOON_N_STATS = 10 };

struct virtio_balloon_stats {
    uint32_t known; /* a bit a tag */
    uint64_t value[VIRTIO_BALLOON_N_STATS];
};

struct virtio_balloon {
    struct virtio_device v; /* first */
    struct virtio_balloon_space space;
    struct virtio_balloon_stats stats;
    bool stats_held; /* the driver's buffer waits here until somebody wants newer ones */
    uint16_t stats_head;
    uint64_t given_bytes; /* back to the host, all in all */
};

/* What its user chooses. */
struct virtio_balloon_config {
    bool deflate_on_oom; /* the guest may take pages back before it runs out of memory */
    bool no_reporting;   /* free pages are not given back by themselves */
};

/* ---- Before the first hart runs, after the last has stopped --------------------------------- */

void virtio_balloon_init(struct virtio_balloon *b, const struct virtio_balloon_config *config,
                         const struct virtio_host *host);
void virtio_balloon_fini(struct virtio_balloon *b);

/* ---- The serving thread, between two blocks of the guest's code -------------------------------
 */

/* The guest is to have so much memory, no more than there is. It comes to that in its own time. */
void virtio_balloon_set(struct virtio_balloon *b, uint64_t guest_bytes);

/* So much it has, it says. */
uint64_t virtio_balloon_actual(struct virtio_balloon *b);

/* What it said last, and asks for newer figures. */
struct virtio_balloon_stats virtio_balloon_ask(struct virtio_balloon *b);

/* Of a tag: QEMU's word for it. */
const char *virtio_balloon_stat_name(unsigned tag);
