/* The host's side of the machine's disks. They are opened once for a run of dbt-run: a guest that
 * resets finds its disks, and what it wrote to one with snapshot=on. */
#pragma once

#include "devices/host/block.h"
#include "runtime/system/config.h"

struct drives {
    struct block *block[CONFIG_MAX_VIRTIO]; /* of cfg->virtio[i]; NULL: no disk */
};

/* ---- The main thread --------------------------------------------------------------- */

/* If IMAGE is a disk, it becomes the first drive; boot_plan() then finds who boots it. */
bool drives_take_image(struct machine_config *cfg, struct err *e) MUST_CHECK;

/* If U-Boot is to boot a disk: is it the first one that can be booted? */
bool drives_check_boot(const struct machine_config *cfg, struct err *e) MUST_CHECK;

/* Nothing to give back when it returns false. synchronous: see block_config. */
bool drives_open(struct drives *d, const struct machine_config *cfg, bool synchronous,
                 struct err *e) MUST_CHECK;
void drives_close(struct drives *d);
