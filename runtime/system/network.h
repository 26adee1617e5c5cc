/* The host's side of the machine's networks. As the disks, they are opened once for a run of
 * dbt-run: a guest that resets finds the ports that lead to it still open. */
#pragma once

#include "devices/host/net.h"
#include "runtime/system/config.h"

struct networks {
    struct net *net[CONFIG_MAX_VIRTIO]; /* of cfg->virtio[i]; NULL: no network */
};

/* ---- The main thread --------------------------------------------------------------- */

/* Nothing to give back when it returns false. */
bool networks_open(struct networks *n, const struct machine_config *cfg, struct err *e) MUST_CHECK;
void networks_close(struct networks *n);
